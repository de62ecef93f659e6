//! How a statement uses each table: what it compares, joins, groups, orders
//! and reads, in the terms in which indexes are built.

use std::collections::BTreeSet;

use crate::catalog::{Catalog, Column, Relation, RelationKind};
use crate::finding::IndexSpecKey;
use crate::sql::{
    Clause, ColumnRef, LiteralKind, Operand, Predicate, Query, RelationRefKind, Select, SelectId,
    Wrapper,
};

/// How one FROM item of one query level is used.
#[derive(Debug, Clone)]
pub struct Usage<'a> {
    /// The table.
    pub relation: &'a Relation,
    /// Compared for equality with something known before the scan starts.
    pub equal: Vec<Comparison>,
    /// Compared by order, or by a prefix.
    pub range: Vec<Comparison>,
    /// Equated with a column of another relation.
    pub join: Vec<Comparison>,
    /// Operators that need another access method.
    pub special: Vec<Special>,
    /// Leaves of ORs of which every leaf can use an index of this table.
    pub alternatives: Vec<Vec<Comparison>>,
    /// ORDER BY when all of it is of this table and a LIMIT (or DISTINCT ON,
    /// min or max) stops early.
    pub order: Vec<IndexSpecKey>,
    /// GROUP BY when all of it is of this table.
    pub group: Vec<String>,
    /// Every column of it that the statement reads; `None` after `*`.
    pub read: Option<BTreeSet<String>>,
}

impl Usage<'_> {
    /// Whether there is anything that an index could serve.
    pub fn indexable(&self) -> bool {
        !(self.equal.is_empty()
            && self.range.is_empty()
            && self.join.is_empty()
            && self.special.is_empty()
            && self.alternatives.is_empty()
            && self.order.is_empty())
    }
}

/// One comparison that a B-tree can serve.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The key that serves it.
    pub key: IndexSpecKey,
    /// The column in it.
    pub column: String,
    /// Share of the rows that pass, from statistics; `None` when unknown.
    pub selectivity: Option<f64>,
    /// The predicate as SQL over bare column names, when it is against
    /// literals only: what a partial index could have as its WHERE.
    pub constant: Option<String>,
    /// As SQL reads it, for messages.
    pub text: String,
}

/// A comparison that no B-tree serves.
#[derive(Debug, Clone, PartialEq)]
pub struct Special {
    /// `gin` or `gist`.
    pub method: &'static str,
    /// The key with its operator class.
    pub key: IndexSpecKey,
    /// Extension that brings the operator class.
    pub extension: Option<&'static str>,
}

/// Usages of all tables of a statement, in order of appearance.
pub fn usages<'a>(query: &Query, sql: &str, base: usize, catalog: &'a Catalog) -> Vec<Usage<'a>> {
    let mut found = Vec::new();
    for (level, select) in query.selects.iter().enumerate() {
        for (item, reference) in select.relations.iter().enumerate() {
            let RelationRefKind::Table {
                schema: Some(schema),
                name,
                found: true,
            } = &reference.kind
            else {
                continue;
            };
            let Some(relation) = catalog.relation(Some(schema), name) else {
                continue;
            };
            if matches!(
                relation.kind,
                RelationKind::Table
                    | RelationKind::PartitionedTable
                    | RelationKind::MaterializedView
            ) {
                let reader = Reader {
                    query,
                    sql,
                    base,
                    catalog,
                    relation,
                    here: (level, item),
                };
                found.push(reader.usage(select));
            }
        }
    }
    found
}

struct Reader<'q, 'a> {
    query: &'q Query,
    sql: &'q str,
    base: usize,
    catalog: &'a Catalog,
    relation: &'a Relation,
    here: (SelectId, usize),
}

impl<'a> Reader<'_, 'a> {
    fn usage(&self, select: &Select) -> Usage<'a> {
        let mut usage = Usage {
            relation: self.relation,
            equal: Vec::new(),
            range: Vec::new(),
            join: Vec::new(),
            special: Vec::new(),
            alternatives: Vec::new(),
            order: self.order(select),
            group: self.group(select),
            read: self.read(),
        };
        // A correlated subquery compares our columns in its own level.
        for (_, predicate) in self.query.predicates() {
            // HAVING on a bare column is on a group key, and filters rows as
            // WHERE does.
            let grouped =
                predicate.clause == Clause::Having && !matches!(predicate.left, Operand::Column(_));
            if grouped || !predicate.conjunct {
                continue;
            }
            self.file(predicate, &mut usage);
        }
        self.alternatives(select, &mut usage);
        usage
    }

    fn is_ours(&self, column: &ColumnRef) -> bool {
        column.relation == Some(self.here)
    }

    fn file(&self, predicate: &Predicate, usage: &mut Usage<'a>) {
        for (ours, other) in [
            (&predicate.left, &predicate.right),
            (&predicate.right, &predicate.left),
        ] {
            let Some(column) = ours.column().filter(|column| self.is_ours(column)) else {
                continue;
            };
            let swapped = std::ptr::eq(ours, &raw const predicate.right);
            if let Some(special) = self.special(predicate, ours, other, column, swapped) {
                usage.special.push(special);
                continue;
            }
            let Some(comparison) = self.comparison(predicate, ours, column) else {
                continue;
            };
            let against_other_table = match other {
                Operand::Column(other) | Operand::Wrapped { column: other, .. } => {
                    !self.is_ours(other)
                }
                Operand::Subquery { .. } => true,
                _ => false,
            };
            match predicate.operator.as_str() {
                "=" | "in" | "is not distinct from" if against_other_table => {
                    usage.join.push(comparison);
                }
                "=" | "in" if other.is_constant() && !swapped => usage.equal.push(comparison),
                "is null" | "is true" | "is false" => usage.equal.push(comparison),
                "<" | "<=" | ">" | ">=" | "between" if other.is_constant() => {
                    usage.range.push(comparison);
                }
                "like" if is_prefix_pattern(other) => {
                    let mut comparison = comparison;
                    comparison.key.opclass = self.pattern_opclass(column);
                    comparison.constant = None;
                    usage.range.push(comparison);
                }
                _ => {}
            }
        }
        // `x IN (SELECT our_column …)`: the subquery's output joins too.
        if let Operand::Subquery { select, .. } = &predicate.right
            && *select == self.here.0
            && matches!(predicate.operator.as_str(), "in" | "=")
            && let Some(level) = self.query.selects.get(*select)
            && let Some(column) = level.output.first().and_then(|item| item.operand.column())
            && self.is_ours(column)
            && level.group_by.is_empty()
            && !level.has_aggregate
            && let Some(operand) = level.output.first().map(|item| &item.operand)
            && let Some(comparison) = self.comparison(predicate, operand, column)
        {
            usage.join.push(comparison);
        }
    }

    /// The comparison with the key that would serve it; `None` when the
    /// column is wrapped in something that no index may hold.
    fn comparison(
        &self,
        predicate: &Predicate,
        ours: &Operand,
        column: &ColumnRef,
    ) -> Option<Comparison> {
        let found = self.relation.column(&column.name)?;
        let key = match ours {
            Operand::Column(_) => IndexSpecKey::column(&column.name),
            Operand::Wrapped { by, .. } => {
                if by
                    .iter()
                    .any(|wrapper| matches!(wrapper, Wrapper::Collate { .. }))
                {
                    return None;
                }
                // A key that is only cast or moved by arithmetic wants the
                // other side changed, not a second index.
                let only_moved = by.iter().all(|wrapper| {
                    matches!(wrapper, Wrapper::Cast { .. } | Wrapper::Arithmetic { .. })
                });
                if only_moved && self.relation.is_unique_key(&[&column.name]) {
                    return None;
                }
                IndexSpecKey {
                    is_expression: true,
                    ..IndexSpecKey::column(self.unqualified(ours, column)?)
                }
            }
            _ => return None,
        };
        let against_literals = match &predicate.right {
            Operand::Literal { kind, .. } => *kind != LiteralKind::Null,
            Operand::List { items, .. } => items
                .iter()
                .all(|item| matches!(item, Operand::Literal { .. })),
            Operand::Absent => true,
            _ => false,
        };
        let plain = matches!(ours, Operand::Column(_));
        Some(Comparison {
            selectivity: if plain {
                selectivity(self.relation, found, predicate)
            } else {
                None
            },
            constant: (against_literals && plain)
                .then(|| self.replaced(predicate.span.range(), column))
                .flatten(),
            text: short(self.slice(predicate.span.range())),
            column: column.name.clone(),
            key,
        })
    }

    fn slice(&self, range: std::ops::Range<usize>) -> &str {
        self.sql
            .get(range.start.saturating_sub(self.base)..range.end.saturating_sub(self.base))
            .unwrap_or("")
    }

    /// The operand's text with the column's qualifier taken off.
    fn unqualified(&self, operand: &Operand, column: &ColumnRef) -> Option<String> {
        self.replaced(operand.span()?.range(), column)
    }

    fn replaced(&self, range: std::ops::Range<usize>, column: &ColumnRef) -> Option<String> {
        let whole = self.slice(range.clone());
        let start = column.span.start.checked_sub(range.start)?;
        let end = column.span.end.checked_sub(range.start)?;
        let name = crate::catalog::ident::quote(&column.name);
        Some(format!(
            "{}{name}{}",
            whole.get(..start)?,
            whole.get(end..)?
        ))
    }

    fn pattern_opclass(&self, column: &ColumnRef) -> Option<String> {
        let found = self.relation.column(&column.name)?;
        if found.collation_is_c {
            return None;
        }
        match found.base_type.as_str() {
            "text" => Some("text_pattern_ops".to_owned()),
            "varchar" => Some("varchar_pattern_ops".to_owned()),
            "bpchar" => Some("bpchar_pattern_ops".to_owned()),
            _ => None,
        }
    }

    fn special(
        &self,
        predicate: &Predicate,
        ours: &Operand,
        other: &Operand,
        column: &ColumnRef,
        swapped: bool,
    ) -> Option<Special> {
        let found = self.relation.column(&column.name)?;
        let wrapped = matches!(ours, Operand::Wrapped { .. });
        let mut key = if wrapped {
            IndexSpecKey {
                is_expression: true,
                ..IndexSpecKey::column(self.unqualified(ours, column)?)
            }
        } else {
            IndexSpecKey::column(&column.name)
        };
        let base = found.base_type.as_str();
        let operator = predicate.operator.as_str();
        let plain = |method| {
            Some(Special {
                method,
                key: key.clone(),
                extension: None,
            })
        };
        match operator {
            "@>" | "@?" | "@@" if base == "jsonb" && !wrapped && !swapped => {
                key.opclass = Some("jsonb_path_ops".to_owned());
                Some(Special {
                    method: "gin",
                    key,
                    extension: None,
                })
            }
            "?" | "?|" | "?&" if base == "jsonb" && !swapped => plain("gin"),
            "@>" | "&&" if base.starts_with('_') && !wrapped => plain("gin"),
            "@@" if base == "tsvector" || wraps(ours, "to_tsvector") => plain("gin"),
            "&&" | "@>" | "<@" if base.ends_with("range") && !wrapped => plain("gist"),
            "in" | "=" if swapped && base.starts_with('_') => None,
            "like" | "ilike" if is_substring_pattern(other, operator == "ilike") => {
                if !matches!(base, "text" | "varchar" | "bpchar") {
                    return None;
                }
                let known = |name: &String| name == "pg_trgm";
                if !self.catalog.extensions.iter().any(known)
                    && !self.catalog.available_extensions.iter().any(known)
                {
                    return None;
                }
                key.opclass = Some("gin_trgm_ops".to_owned());
                Some(Special {
                    method: "gin",
                    key,
                    extension: (!self.catalog.extensions.iter().any(known)).then_some("pg_trgm"),
                })
            }
            _ => None,
        }
    }

    fn alternatives(&self, select: &Select, usage: &mut Usage<'a>) {
        let mut groups: BTreeSet<usize> = BTreeSet::new();
        for predicate in &select.predicates {
            groups.extend(predicate.or_group);
        }
        for group in groups {
            let leaves: Option<Vec<Comparison>> = select
                .predicates
                .iter()
                .filter(|predicate| predicate.or_group == Some(group))
                .map(|predicate| {
                    let column = predicate
                        .left
                        .column()
                        .filter(|column| self.is_ours(column))?;
                    let indexable = matches!(
                        predicate.operator.as_str(),
                        "=" | "in" | "<" | "<=" | ">" | ">=" | "between" | "is null"
                    ) && (predicate.right.is_constant()
                        || predicate.right == Operand::Absent);
                    indexable
                        .then(|| self.comparison(predicate, &predicate.left, column))
                        .flatten()
                })
                .collect();
            if let Some(leaves) = leaves
                && leaves.len() > 1
            {
                usage.alternatives.push(leaves);
            }
        }
    }

    fn order(&self, select: &Select) -> Vec<IndexSpecKey> {
        let distinct_on = select.distinct.as_ref().is_some_and(|on| !on.is_empty());
        if select.group_by.is_empty()
            && select.order_by.is_empty()
            && let [item] = select.output.as_slice()
            && let Operand::Wrapped { column, by, .. } = &item.operand
            && let [Wrapper::Function { name, .. }] = by.as_slice()
            && matches!(name.as_str(), "min" | "max")
            && self.is_ours(column)
        {
            return vec![IndexSpecKey::column(&column.name)];
        }
        if select.limit.is_none() && !distinct_on {
            return Vec::new();
        }
        if select.has_aggregate || !select.group_by.is_empty() || select.set_operation.is_some() {
            return Vec::new();
        }
        let keys: Option<Vec<IndexSpecKey>> = select
            .order_by
            .iter()
            .map(|key| {
                let column = match &key.expression.operand {
                    operand @ (Operand::Column(column) | Operand::Wrapped { column, .. })
                        if self.is_ours(column) =>
                    {
                        (operand, column)
                    }
                    _ => return None,
                };
                let mut spec = match column {
                    (Operand::Column(_), column) => IndexSpecKey::column(&column.name),
                    (operand, column) => IndexSpecKey {
                        is_expression: true,
                        ..IndexSpecKey::column(self.unqualified(operand, column)?)
                    },
                };
                spec.descending = key.descending;
                // NULLS FIRST is the default of DESC, NULLS LAST of ASC.
                spec.nulls_first = key.nulls_first.filter(|first| *first != key.descending);
                Some(spec)
            })
            .collect();
        let mut keys = keys.unwrap_or_default();
        // A B-tree is read backwards as easily as forwards.
        if keys
            .iter()
            .all(|key| key.descending && key.nulls_first.is_none())
        {
            for key in &mut keys {
                key.descending = false;
            }
        }
        keys
    }

    fn group(&self, select: &Select) -> Vec<String> {
        select
            .group_by
            .iter()
            .map(|item| match &item.operand {
                Operand::Column(column) if self.is_ours(column) => Some(column.name.clone()),
                _ => None,
            })
            .collect::<Option<Vec<_>>>()
            .unwrap_or_default()
    }

    /// All columns of this item that the statement names anywhere.
    fn read(&self) -> Option<BTreeSet<String>> {
        let mut names = BTreeSet::new();
        let mut all = true;
        let mut visit = |operand: &Operand| {
            all &= self.collect(operand, &mut names);
        };
        for select in &self.query.selects {
            for item in &select.output {
                visit(&item.operand);
            }
            for predicate in &select.predicates {
                visit(&predicate.left);
                visit(&predicate.right);
                if let Some(upper) = &predicate.upper {
                    visit(upper);
                }
            }
            for expression in select
                .group_by
                .iter()
                .chain(select.distinct.iter().flatten())
                .chain(select.order_by.iter().map(|key| &key.expression))
            {
                visit(&expression.operand);
            }
        }
        (all && !self.query.modifies_data && !self.query.locks_rows).then_some(names)
    }

    fn collect(&self, operand: &Operand, names: &mut BTreeSet<String>) -> bool {
        match operand {
            Operand::Column(column) | Operand::Wrapped { column, .. } => {
                if self.is_ours(column) {
                    names.insert(column.name.clone());
                }
                true
            }
            Operand::Other { columns, .. } => {
                for column in columns.iter().filter(|column| self.is_ours(column)) {
                    names.insert(column.name.clone());
                }
                true
            }
            Operand::List { items, .. } => items.iter().all(|item| self.collect(item, names)),
            Operand::Star { qualifier } => {
                let reference = self
                    .query
                    .selects
                    .get(self.here.0)
                    .and_then(|select| select.relations.get(self.here.1));
                qualifier.as_ref().is_some_and(|qualifier| {
                    reference.is_some_and(|reference| reference.alias != *qualifier)
                })
            }
            _ => true,
        }
    }
}

/// On one line, and cut where it would fill more than one.
fn short(text: &str) -> String {
    const MOST: usize = 60;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= MOST {
        return line;
    }
    let mut cut: String = line.chars().take(MOST - 1).collect();
    cut.push('…');
    cut
}

fn wraps(operand: &Operand, function: &str) -> bool {
    matches!(operand, Operand::Wrapped { by, .. } if by.iter().any(
        |wrapper| matches!(wrapper, Wrapper::Function { name, .. } if name == function)))
}

/// `'abc%'`: at least one character before the first wildcard, and no
/// wildcard at the start.
fn is_prefix_pattern(operand: &Operand) -> bool {
    match operand {
        Operand::Literal { value, .. } => !value.starts_with(['%', '_', '\\']) && !value.is_empty(),
        _ => false,
    }
}

/// A pattern that only trigrams can help: a wildcard in front (or any pattern
/// without regard to case), with three characters in a row somewhere.
fn is_substring_pattern(operand: &Operand, ignoring_case: bool) -> bool {
    match operand {
        Operand::Literal { value, .. } => {
            (ignoring_case || value.starts_with(['%', '_']))
                && value
                    .split(['%', '_'])
                    .any(|part| part.chars().filter(|c| c.is_alphanumeric()).count() >= 3)
        }
        _ => false,
    }
}

/// The share of rows that a predicate on a bare column passes: the frequency
/// of a most common value, else an even share of what the most common values
/// leave over (`var_eq_const` in `selfuncs.c`). `None` without statistics.
pub fn selectivity(relation: &Relation, column: &Column, predicate: &Predicate) -> Option<f64> {
    let stats = column.stats.as_ref()?;
    let distinct = stats.distinct(relation.rows());
    let common: f64 = stats.most_common.iter().map(|(_, share)| share).sum();
    let rest = (1.0 - common - stats.null_fraction).max(0.0);
    let others = (distinct - stats.most_common.len() as f64).max(1.0);
    let of_value = |value: &str| {
        stats
            .most_common
            .iter()
            .find(|(common, _)| common == value)
            .map_or(rest / others, |(_, share)| *share)
    };
    let of_boolean = |value: bool| of_value(if value { "t" } else { "f" });
    match (predicate.operator.as_str(), &predicate.right) {
        ("=", Operand::Literal { value, kind, .. }) => Some(match kind {
            LiteralKind::Boolean => of_boolean(value.eq_ignore_ascii_case("true")),
            _ => of_value(value),
        }),
        ("in", Operand::List { items, .. }) => Some(
            items
                .iter()
                .map(|item| match item {
                    Operand::Literal { value, .. } => of_value(value),
                    _ => 1.0 / distinct,
                })
                .sum::<f64>()
                .min(1.0),
        ),
        ("=" | "in", _) => Some((1.0 - stats.null_fraction) / distinct),
        ("is null", _) => Some(stats.null_fraction),
        ("is true", _) => Some(of_boolean(true)),
        ("is false", _) => Some(of_boolean(false)),
        _ => None,
    }
}
