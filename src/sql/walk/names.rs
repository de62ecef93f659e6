//! What names mean at a level: its relations, their columns, and the levels
//! around it.

use squawk_syntax::SyntaxNode;

use super::super::{ColumnRef, RelationId, RelationRef, RelationRefKind, SelectId, SelectRole};
use super::{Walker, tree};
use crate::source::{Problem, Span};

/// What a level knows about names.
#[derive(Debug, Default)]
pub(super) struct Level {
    /// The level in whose WITH and FROM lists this one stands.
    pub(super) parent: Option<SelectId>,
    /// The level whose relations it may refer to.
    pub(super) outer: Option<SelectId>,
    /// CTEs that its WITH names so far.
    pub(super) ctes: Vec<Cte>,
    /// Columns of each of its relations, where known.
    pub(super) columns: Vec<Option<Vec<String>>>,
    /// Columns that USING or NATURAL merged, with the relation that stands
    /// for them.
    pub(super) merged: Vec<(String, Option<RelationId>)>,
    /// Aliases of joins in parentheses, with their relations.
    pub(super) join_aliases: Vec<(String, Vec<RelationId>)>,
    /// Names of its output columns, where all are known.
    pub(super) output: Option<Vec<String>>,
}

/// A CTE in scope.
#[derive(Debug, Clone)]
pub(super) struct Cte {
    pub(super) name: String,
    pub(super) select: SelectId,
    /// Names in parentheses after the CTE's.
    pub(super) columns: Option<Vec<String>>,
    /// It is being walked: a reference to it is recursive.
    pub(super) open: bool,
}

impl Level {
    pub(super) fn new(parent: Option<SelectId>, outer: Option<SelectId>) -> Self {
        Self {
            parent,
            outer,
            ..Self::default()
        }
    }

    /// Whether a relation has a column; `None` where its columns are unknown.
    fn has_column(&self, relation: RelationId, name: &str) -> Option<bool> {
        self.columns
            .get(relation)?
            .as_ref()
            .map(|columns| columns.iter().any(|column| column == name))
    }
}

/// Columns that every table has.
const SYSTEM_COLUMNS: &[&str] = &["ctid", "tableoid", "xmin", "xmax", "cmin", "cmax"];

/// What looking for a column at one level gave.
enum Found {
    One(RelationId),
    /// It is there, but which relation has it cannot be told.
    Unclear,
    /// The name means a whole row.
    Row,
    None,
}

/// What a name in an expression means.
pub(super) enum Name {
    Column(ColumnRef),
    /// All columns of a relation as one value.
    Row,
}

impl Walker<'_> {
    /// Finds a CTE by name, from the innermost level on.
    pub(super) fn find_cte(&mut self, from: SelectId, name: &str) -> Option<Cte> {
        let mut level = Some(from);
        while let Some(id) = level {
            let found = self
                .level(id)?
                .ctes
                .iter()
                .rev()
                .find(|cte| cte.name == name)
                .cloned();
            if let Some(cte) = found {
                if cte.open
                    && let Some(select) = self.select_mut(cte.select)
                    && let SelectRole::Cte { recursive, .. } = &mut select.role
                {
                    *recursive = true;
                }
                return Some(cte);
            }
            level = self.level(id)?.parent;
        }
        None
    }

    /// The output names of a CTE or subquery with its alias list applied.
    pub(super) fn output_names(
        &self,
        select: SelectId,
        renamed: Option<&[String]>,
    ) -> Option<Vec<String>> {
        let own = self.level(select).and_then(|level| level.output.clone());
        match (own, renamed) {
            (Some(mut own), Some(renamed)) => {
                for (name, new) in own.iter_mut().zip(renamed) {
                    name.clone_from(new);
                }
                Some(own)
            }
            (Some(own), None) => Some(own),
            // An alias list may be shorter than the output, but rarely is.
            (None, Some(renamed)) => Some(renamed.to_vec()),
            (None, None) => None,
        }
    }

    /// A reference to a table, view or CTE.
    pub(super) fn relation_kind(
        &mut self,
        level: SelectId,
        schema: Option<String>,
        name: &str,
        span: Span,
    ) -> (RelationRefKind, Option<Vec<String>>) {
        if schema.is_none()
            && let Some(cte) = self.find_cte(level, name)
        {
            let columns = self.output_names(cte.select, cte.columns.as_deref());
            return (RelationRefKind::Cte { select: cte.select }, columns);
        }
        self.table_kind(schema, name, span)
    }

    /// A reference to a table or view, CTEs left aside.
    pub(super) fn table_kind(
        &mut self,
        schema: Option<String>,
        name: &str,
        span: Span,
    ) -> (RelationRefKind, Option<Vec<String>>) {
        let found = self
            .catalog
            .and_then(|catalog| catalog.relation(schema.as_deref(), name));
        if let Some(relation) = found {
            let columns = relation
                .columns
                .iter()
                .map(|column| column.name.clone())
                .collect();
            let kind = RelationRefKind::Table {
                schema: Some(relation.schema.clone()),
                name: relation.name.clone(),
                found: true,
            };
            return (kind, Some(columns));
        }
        self.missing_table(schema.as_deref(), name, span);
        let kind = RelationRefKind::Table {
            schema,
            name: name.to_owned(),
            found: false,
        };
        (kind, None)
    }

    fn missing_table(&mut self, schema: Option<&str>, name: &str, span: Span) {
        let Some(catalog) = self.catalog else {
            return;
        };
        // The server's own catalogues are not part of what was read.
        if matches!(schema, Some("pg_catalog" | "information_schema"))
            || schema.is_none() && name.starts_with("pg_")
        {
            return;
        }
        let written = match schema {
            Some(schema) => format!("{}.{}", tree::quoted(schema), tree::quoted(name)),
            None => tree::quoted(name),
        };
        let elsewhere = catalog
            .relations
            .iter()
            .find(|relation| relation.name == name);
        let nearest = catalog
            .relations
            .iter()
            .map(|relation| (distance(&relation.name, name), relation))
            .min_by_key(|(distance, _)| *distance)
            .filter(|(distance, _)| *distance <= name.chars().count().div_ceil(3));
        let hint = match (elsewhere, nearest) {
            (Some(relation), _) => format!(
                "{} exists; write the schema, or put it on the search_path",
                relation.qualified()
            ),
            (None, Some((_, relation))) => {
                format!("did you mean {}?", relation.display_name(catalog))
            }
            (None, None) => {
                "check the name, the database and the schema file that was read".to_owned()
            }
        };
        let problem =
            Problem::at(span, format!("relation {written} does not exist")).with_hint(hint);
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// Adds a relation to a level.
    pub(super) fn add_relation(
        &mut self,
        level: SelectId,
        relation: RelationRef,
        columns: Option<Vec<String>>,
    ) -> RelationId {
        let id = self
            .query
            .selects
            .get(level)
            .map_or(0, |select| select.relations.len());
        if let Some(select) = self.select_mut(level) {
            select.relations.push(relation);
        }
        if let Some(level) = self.level_mut(level) {
            level.columns.push(columns);
        }
        id
    }

    /// What a column's name means at a level, outer levels included.
    pub(super) fn name(&mut self, level: SelectId, node: &SyntaxNode, parts: &[String]) -> Name {
        let span = self.span(node);
        let (qualifier, name) = match parts {
            [.., qualifier, name] => (Some(qualifier.as_str()), name.as_str()),
            [name] => (None, name.as_str()),
            [] => return Name::Row,
        };
        let mut passed = Vec::new();
        let mut at = Some(level);
        while let Some(id) = at {
            let found = match qualifier {
                Some(qualifier) => self.find_qualified(id, qualifier, name),
                None => self.find_unqualified(id, name),
            };
            let relation = match found {
                Found::None => {
                    passed.push(id);
                    at = self.level(id).and_then(|level| level.outer);
                    continue;
                }
                Found::Row => {
                    self.mark_correlated(&passed);
                    return Name::Row;
                }
                Found::One(relation) => {
                    self.mark_correlated(&passed);
                    Some((id, relation))
                }
                Found::Unclear => None,
            };
            return Name::Column(ColumnRef {
                span,
                name: name.to_owned(),
                relation,
            });
        }
        Name::Column(ColumnRef {
            span,
            name: name.to_owned(),
            relation: None,
        })
    }

    fn mark_correlated(&mut self, passed: &[SelectId]) {
        for id in passed {
            if let Some(select) = self.select_mut(*id) {
                select.correlated = true;
            }
        }
    }

    fn find_qualified(&self, level: SelectId, qualifier: &str, name: &str) -> Found {
        let (Some(select), Some(level)) = (self.query.selects.get(level), self.level(level)) else {
            return Found::None;
        };
        if let Some(at) = select
            .relations
            .iter()
            .position(|relation| relation.alias == qualifier)
        {
            return Found::One(at);
        }
        let Some((_, members)) = level
            .join_aliases
            .iter()
            .find(|(alias, _)| alias == qualifier)
        else {
            return Found::None;
        };
        let with_column: Vec<RelationId> = members
            .iter()
            .copied()
            .filter(|id| level.has_column(*id, name) == Some(true))
            .collect();
        match (with_column.as_slice(), members.as_slice()) {
            ([one], _) | ([], [one]) => Found::One(*one),
            _ => Found::Unclear,
        }
    }

    fn find_unqualified(&self, level_id: SelectId, name: &str) -> Found {
        let (Some(select), Some(level)) = (self.query.selects.get(level_id), self.level(level_id))
        else {
            return Found::None;
        };
        if let Some((_, relation)) = level.merged.iter().find(|(merged, _)| merged == name) {
            return relation.map_or(Found::Unclear, Found::One);
        }
        // Aliases of joins in parentheses do not hide unqualified columns.
        let mut with_column = Vec::new();
        let mut unknown = Vec::new();
        for id in 0..select.relations.len() {
            match level.has_column(id, name) {
                Some(true) => with_column.push(id),
                Some(false) => {}
                None => unknown.push(id),
            }
        }
        match (with_column.as_slice(), unknown.as_slice()) {
            ([one], _) => return Found::One(*one),
            ([_, _, ..], _) => return Found::Unclear,
            _ => {}
        }
        if select
            .relations
            .iter()
            .any(|relation| relation.alias == name)
        {
            // A function's alias names its only column as well.
            return Found::Row;
        }
        if SYSTEM_COLUMNS.contains(&name) {
            let tables: Vec<RelationId> = (0..select.relations.len())
                .filter(|id| {
                    select.relations.get(*id).is_some_and(|relation| {
                        matches!(relation.kind, RelationRefKind::Table { .. })
                    })
                })
                .collect();
            return match tables.as_slice() {
                [one] => Found::One(*one),
                [] => Found::None,
                _ => Found::Unclear,
            };
        }
        match unknown.as_slice() {
            [] => Found::None,
            [one] if level.outer.is_none() || select.relations.len() == 1 => Found::One(*one),
            _ => Found::Unclear,
        }
    }

    /// The relation among `members` that surely has the column.
    pub(super) fn owner_among(
        &self,
        level: SelectId,
        members: &[RelationId],
        name: &str,
    ) -> Option<RelationId> {
        let level = self.level(level)?;
        if let Some((_, relation)) = level.merged.iter().find(|(merged, _)| merged == name)
            && let Some(relation) = relation
            && members.contains(relation)
        {
            return Some(*relation);
        }
        let with_column: Vec<RelationId> = members
            .iter()
            .copied()
            .filter(|id| level.has_column(*id, name) == Some(true))
            .collect();
        match (with_column.as_slice(), members) {
            ([one], _) | ([], [one]) => Some(*one),
            _ => None,
        }
    }
}

/// Edits between two names: insertions, deletions, replacements.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (at, left) in left.chars().enumerate() {
        let mut diagonal = at;
        let mut before = at + 1;
        let mut next = vec![before];
        for (right, above) in right.iter().zip(row.iter().skip(1)) {
            let cost = diagonal + usize::from(left != *right);
            before = cost.min(above + 1).min(before + 1);
            next.push(before);
            diagonal = *above;
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn distance_counts_edits() {
        assert_eq!(distance("orders", "orders"), 0);
        assert_eq!(distance("orders", "order"), 1);
        assert_eq!(distance("orders", "odrers"), 2);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }
}
