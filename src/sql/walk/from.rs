//! FROM: relations, joins and what each side can see.

use squawk_syntax::{SyntaxKind, SyntaxNode};

use super::super::{
    Clause, ColumnRef, Join, JoinKind, RelationId, RelationRef, RelationRefKind, SelectId,
    SelectRole,
};
use super::{Place, Walker, tree};
use crate::source::Span;

/// An alias with its column names.
struct Alias {
    name: Option<String>,
    columns: Option<Vec<String>>,
}

impl Walker<'_> {
    /// Walks the items of FROM or USING.
    pub(super) fn add_items(&mut self, clause: &SyntaxNode, level: SelectId) {
        let mut before: Option<(Vec<RelationId>, Span)> = None;
        for item in clause.children() {
            let start = self.relation_count(level);
            let members = self.add_item(&item, level);
            let span = self.span(&item);
            // Relations before this item, whether joined or not.
            if let Some((left, first)) = before.as_mut() {
                let join = Join {
                    span: Span::new(span.source, first.start..span.end),
                    kind: JoinKind::Cross,
                    left: left.clone(),
                    right: members.clone(),
                    has_condition: false,
                    comma: true,
                };
                if let Some(select) = self.select_mut(level) {
                    select.joins.push(join);
                }
                left.extend(members);
            } else {
                let mut all: Vec<RelationId> = (0..start).collect();
                all.extend(members);
                before = Some((all, span));
            }
        }
    }

    fn relation_count(&self, level: SelectId) -> usize {
        self.query
            .selects
            .get(level)
            .map_or(0, |select| select.relations.len())
    }

    /// Walks one item and says which relations it added.
    pub(super) fn add_item(&mut self, item: &SyntaxNode, level: SelectId) -> Vec<RelationId> {
        match item.kind() {
            SyntaxKind::JOIN_EXPR => self.join_chain(item, level),
            SyntaxKind::RELATION_FROM_ITEM => vec![self.relation_item(item, level)],
            SyntaxKind::PAREN_FROM_ITEM | SyntaxKind::PAREN_EXPR => self.paren_item(item, level),
            SyntaxKind::ON_CLAUSE => Vec::new(),
            _ => vec![self.other_item(item, level)],
        }
    }

    fn relation_item(&mut self, item: &SyntaxNode, level: SelectId) -> RelationId {
        let alias = alias_of(item);
        let name_node = tree::child(item, SyntaxKind::RELATION_NAME_REF);
        let (schema, name) = name_node.as_ref().map(tree::path).unwrap_or_default();
        let name_span = name_node.map_or_else(|| self.span(item), |node| self.span(&node));
        let (mut kind, mut columns) = self.relation_kind(level, schema, &name, name_span);
        if let Some(renamed) = alias.columns {
            // Under other names the columns are not the table's.
            if matches!(kind, RelationRefKind::Table { .. }) {
                kind = RelationRefKind::Other;
            }
            columns = match columns {
                Some(mut columns) => {
                    for (name, new) in columns.iter_mut().zip(renamed) {
                        *name = new;
                    }
                    Some(columns)
                }
                None => None,
            };
        }
        // TABLESAMPLE has expressions of its own.
        if let Some(sample) = tree::child(item, SyntaxKind::TABLESAMPLE_CLAUSE) {
            for expression in tree::expressions(&sample) {
                self.operand(&expression, level);
            }
        }
        let relation = RelationRef {
            span: self.span(item),
            alias: alias.name.unwrap_or(name),
            kind,
            nullable: false,
        };
        self.add_relation(level, relation, columns)
    }

    fn paren_item(&mut self, item: &SyntaxNode, level: SelectId) -> Vec<RelationId> {
        let alias = alias_of(item);
        let inner = item
            .children()
            .find(|child| child.kind() != SyntaxKind::FROM_ALIAS);
        let Some(mut inner) = inner else {
            return Vec::new();
        };
        // `((select …))`
        while inner.kind() == SyntaxKind::PAREN_EXPR {
            match inner.children().next() {
                Some(next)
                    if next.kind() == SyntaxKind::PAREN_EXPR || tree::is_query(next.kind()) =>
                {
                    inner = next;
                }
                _ => break,
            }
        }
        if tree::is_query(inner.kind()) {
            let lateral = tree::has_token(item, SyntaxKind::LATERAL_KW);
            let outer = if lateral {
                Some(level)
            } else {
                self.level(level).and_then(|level| level.outer)
            };
            let select = self.query_node(&inner, Some(level), SelectRole::From { lateral }, outer);
            let columns = self.output_names(select, alias.columns.as_deref());
            let relation = RelationRef {
                span: self.span(item),
                alias: alias.name.unwrap_or_default(),
                kind: RelationRefKind::Subquery { select },
                nullable: false,
            };
            return vec![self.add_relation(level, relation, columns)];
        }
        let members = match inner.kind() {
            SyntaxKind::PAREN_EXPR => inner
                .children()
                .next()
                .map(|next| self.add_item(&next, level))
                .unwrap_or_default(),
            _ => self.add_item(&inner, level),
        };
        if let Some(name) = alias.name
            && let Some(level) = self.level_mut(level)
        {
            level.join_aliases.push((name, members.clone()));
        }
        members
    }

    /// Functions, ROWS FROM, XMLTABLE, `JSON_TABLE`.
    fn other_item(&mut self, item: &SyntaxNode, level: SelectId) -> RelationId {
        let alias = alias_of(item);
        let first = item.children().next();
        let mut name = None;
        for child in item.children() {
            if child.kind() == SyntaxKind::FROM_ALIAS {
                continue;
            }
            if tree::is_expression(child.kind()) {
                if child.kind() == SyntaxKind::CALL_EXPR {
                    name = child
                        .children()
                        .next()
                        .and_then(|callee| tree::name_parts(&callee))
                        .and_then(|mut parts| parts.pop());
                }
                self.operand(&child, level);
            } else {
                let inner: Vec<SyntaxNode> = tree::top_expressions(&child);
                for expression in inner {
                    self.operand(&expression, level);
                }
            }
        }
        let fallback = first
            .and_then(|node| node.first_token())
            .map(|token| token.text().to_ascii_lowercase());
        let alias_name = alias.name.or(name).or(fallback).unwrap_or_default();
        let relation = RelationRef {
            span: self.span(item),
            alias: alias_name,
            kind: RelationRefKind::Other,
            nullable: false,
        };
        self.add_relation(level, relation, alias.columns)
    }

    /// A chain of joins, which the tree nests to the left.
    fn join_chain(&mut self, item: &SyntaxNode, level: SelectId) -> Vec<RelationId> {
        let mut joins = Vec::new();
        let mut first = item.clone();
        while first.kind() == SyntaxKind::JOIN_EXPR {
            let join = tree::child(&first, SyntaxKind::JOIN);
            let left = first
                .children()
                .find(|child| child.kind() != SyntaxKind::JOIN);
            match (left, join) {
                (Some(left), Some(join)) => {
                    joins.push((first.clone(), join));
                    first = left;
                }
                _ => break,
            }
        }
        let mut members = self.add_item(&first, level);
        for (whole, join) in joins.into_iter().rev() {
            let right = self.join(&whole, &join, level, &members);
            members.extend(right);
        }
        members
    }

    fn join(
        &mut self,
        whole: &SyntaxNode,
        join: &SyntaxNode,
        level: SelectId,
        left: &[RelationId],
    ) -> Vec<RelationId> {
        let mut kind = JoinKind::Inner;
        let mut right = Vec::new();
        let mut condition = None;
        let mut using = None;
        for child in join.children() {
            match child.kind() {
                SyntaxKind::JOIN_INNER => kind = JoinKind::Inner,
                SyntaxKind::JOIN_LEFT => kind = JoinKind::Left,
                SyntaxKind::JOIN_RIGHT => kind = JoinKind::Right,
                SyntaxKind::JOIN_FULL => kind = JoinKind::Full,
                SyntaxKind::JOIN_CROSS => kind = JoinKind::Cross,
                SyntaxKind::ON_CLAUSE => condition = Some(child),
                SyntaxKind::JOIN_USING_CLAUSE => using = Some(child),
                _ => right.extend(self.add_item(&child, level)),
            }
        }
        let natural = tree::has_token(join, SyntaxKind::NATURAL_KW);
        let record = Join {
            span: self.span(whole),
            kind,
            left: left.to_vec(),
            right: right.clone(),
            has_condition: condition.is_some() || using.is_some() || natural,
            comma: false,
        };
        if let Some(select) = self.select_mut(level) {
            select.joins.push(record);
        }
        let nullable: Vec<RelationId> = match kind {
            JoinKind::Left => right.clone(),
            JoinKind::Right => left.to_vec(),
            JoinKind::Full => left.iter().chain(&right).copied().collect(),
            JoinKind::Inner | JoinKind::Cross => Vec::new(),
        };
        if let Some(select) = self.select_mut(level) {
            for id in nullable {
                if let Some(relation) = select.relations.get_mut(id) {
                    relation.nullable = true;
                }
            }
        }
        let place = Place {
            clause: Clause::On,
            outer_join: !matches!(kind, JoinKind::Inner | JoinKind::Cross),
            conjunct: true,
            or_group: None,
        };
        if let Some(expression) = condition.and_then(|on| tree::expressions(&on).next()) {
            self.condition(&expression, level, place);
        } else if let Some(using) = using {
            let names: Vec<SyntaxNode> = using
                .descendants()
                .filter(|node| node.kind() == SyntaxKind::COLUMN_NAME_REF)
                .collect();
            for node in names {
                let name = tree::folded(&tree::text(&node));
                let span = self.span(&node);
                self.merge_column(level, (left, &right), name, span, kind, place);
            }
        } else if natural {
            let span = self.span(whole);
            for name in self.common_columns(level, left, &right) {
                self.merge_column(level, (left, &right), name, span, kind, place);
            }
        }
        right
    }

    /// Columns of the same name on both sides, where all columns are known.
    fn common_columns(
        &self,
        level: SelectId,
        left: &[RelationId],
        right: &[RelationId],
    ) -> Vec<String> {
        let Some(level) = self.level(level) else {
            return Vec::new();
        };
        let names = |ids: &[RelationId]| -> Option<Vec<String>> {
            let mut all = Vec::new();
            for id in ids {
                all.extend(level.columns.get(*id)?.clone()?);
            }
            Some(all)
        };
        match (names(left), names(right)) {
            (Some(left), Some(right)) => {
                let mut common: Vec<String> = left
                    .into_iter()
                    .filter(|name| right.contains(name))
                    .collect();
                common.dedup();
                common
            }
            _ => Vec::new(),
        }
    }

    fn merge_column(
        &mut self,
        level: SelectId,
        (left, right): (&[RelationId], &[RelationId]),
        name: String,
        span: Span,
        kind: JoinKind,
        place: Place,
    ) {
        let left_owner = self.owner_among(level, left, &name);
        let right_owner = self.owner_among(level, right, &name);
        let column = |owner: Option<RelationId>| ColumnRef {
            span,
            name: name.clone(),
            relation: owner.map(|owner| (level, owner)),
        };
        self.joined_column(level, column(left_owner), column(right_owner), place);
        // The merged column is the left one, except where that can be null.
        let stands_for = match kind {
            JoinKind::Right => right_owner,
            JoinKind::Full => None,
            _ => left_owner,
        };
        if let Some(level) = self.level_mut(level) {
            level.merged.retain(|(merged, _)| *merged != name);
            level.merged.push((name, stands_for));
        }
    }
}

/// The alias of an item, with the names it gives to columns.
fn alias_of(item: &SyntaxNode) -> Alias {
    let node = tree::child(item, SyntaxKind::FROM_ALIAS);
    let name = node
        .as_ref()
        .and_then(|alias| tree::child(alias, SyntaxKind::TABLE_ALIAS))
        .map(|name| tree::folded(&tree::text(&name)));
    let columns = node.map(|alias| {
        alias
            .descendants()
            .filter(|part| part.kind() == SyntaxKind::COLUMN_NAME)
            .map(|part| tree::folded(&tree::text(&part)))
            .collect::<Vec<_>>()
    });
    Alias {
        name,
        columns: columns.filter(|columns| !columns.is_empty()),
    }
}
