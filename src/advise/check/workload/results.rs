//! What a query gives, and what it writes: a change may leave its plan as it
//! is and alter both.

use std::collections::BTreeSet;

use super::types::taken_alike;
use super::{Lost, Moved, ResultChange, Retyped};
use crate::plan::{NodeKind, PlanGraph};
use crate::sql::{RelationRefKind, Statement};
use crate::verify::{KnownColumn, KnownRelation, ResultColumn, Shape};

/// How EXPLAIN writes a column that an INSERT leaves out and that has no
/// default.
const NULL: &str = "NULL::";

/// What a query gives and takes otherwise.
pub(super) fn result_change(before: &Shape, after: &Shape) -> Option<ResultChange> {
    let mut change = columns_change(&before.columns, &after.columns).unwrap_or_default();
    change.taken = before
        .parameters
        .iter()
        .zip(&after.parameters)
        .filter(|(before, after)| !taken_alike(&before.type_name, &after.type_name))
        .map(|(before, after)| Retyped {
            column: before.name.clone(),
            before: before.type_name.clone(),
            after: after.type_name.clone(),
        })
        .collect();
    (change != ResultChange::default()).then_some(change)
}

/// What two lists of columns that one query gives have not in common.
fn columns_change(before: &[ResultColumn], after: &[ResultColumn]) -> Option<ResultChange> {
    if before == after {
        return None;
    }
    let mut change = ResultChange::default();
    let mut taken = vec![false; after.len()];
    // Each column is the first of its name that is not another's yet.
    let mut places = Vec::new();
    let mut gone = Vec::new();
    for (at, column) in before.iter().enumerate() {
        let found = after
            .iter()
            .zip(&taken)
            .position(|(other, taken)| !taken && other.name == column.name);
        let Some(place) = found else {
            gone.push((at, column));
            continue;
        };
        if let Some(slot) = taken.get_mut(place) {
            *slot = true;
        }
        places.push(place);
        if let Some(other) = after.get(place)
            && other.type_oid != column.type_oid
        {
            change.retyped.push(Retyped {
                column: column.name.clone(),
                before: column.type_name.clone(),
                after: other.type_name.clone(),
            });
        }
    }
    for (at, column) in gone {
        // Another name in the same place, with the same type.
        let renamed = (before.len() == after.len())
            .then(|| after.get(at).zip(taken.get_mut(at)))
            .flatten()
            .filter(|(other, taken)| !**taken && other.type_oid == column.type_oid);
        match renamed {
            Some((other, slot)) => {
                *slot = true;
                change
                    .renamed
                    .push((column.name.clone(), other.name.clone()));
            }
            None => change.gone.push(column.name.clone()),
        }
    }
    change.added = after
        .iter()
        .zip(&taken)
        .filter(|(_, taken)| !**taken)
        .map(|(column, _)| column.name.clone())
        .collect();
    change.reordered = !places.is_sorted();
    change.in_the_middle = !change.added.is_empty()
        && taken
            .iter()
            .rposition(|taken| *taken)
            .is_some_and(|last| taken.iter().take(last).any(|taken| !taken));
    Some(change)
}

/// What an INSERT does after a change and did not before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct InsertChange {
    /// The table, as users write it.
    pub(super) table: String,
    /// Columns that take no NULL and get one.
    pub(super) missing: Vec<String>,
    /// Values that go into another column.
    pub(super) moved: Vec<Moved>,
    /// Columns that get NULL where they got a default.
    pub(super) lost: Vec<Lost>,
}

/// Compares what an INSERT writes by two plans.
pub(super) fn insert_change(
    before: (&PlanGraph, &[KnownRelation]),
    after: (&PlanGraph, &[KnownRelation]),
) -> Option<InsertChange> {
    let (was, is) = (written(before.0, before.1)?, written(after.0, after.1)?);
    if is.relation.rewrites_inserts {
        return None;
    }
    let mut change = InsertChange {
        table: is.relation.name.clone(),
        ..InsertChange::default()
    };
    for (column, text) in &is.columns {
        let old = was
            .columns
            .iter()
            .find(|(other, _)| other.number == column.number);
        if column.generated || !text.starts_with(NULL) {
            continue;
        }
        match old {
            // A column that it left NULL before has to be one that took it.
            Some((old, was)) if was.starts_with(NULL) && (old.not_null || !column.not_null) => {}
            _ if column.not_null => change.missing.push(column.name.clone()),
            Some((old, was)) if !old.generated => change.lost.push(Lost {
                column: column.name.clone(),
                default: (*was).to_owned(),
            }),
            _ => {}
        }
    }
    // A value is told by its text, where no other column has the same.
    for (column, text) in &was.columns {
        if !is_given(text) || count(&was.columns, text) != 1 || count(&is.columns, text) != 1 {
            continue;
        }
        let Some((other, _)) = is.columns.iter().find(|(_, other)| other == text) else {
            continue;
        };
        if other.number != column.number && other.name != column.name {
            change.moved.push(Moved {
                from: column.name.clone(),
                to: other.name.clone(),
            });
        }
    }
    let any = !(change.missing.is_empty() && change.moved.is_empty() && change.lost.is_empty());
    any.then_some(change)
}

/// Whether a text is a value of the statement's own, not a default: a
/// parameter, or a column of what stands behind it.
fn is_given(text: &str) -> bool {
    text.starts_with('$') || text.starts_with("\"*VALUES*\".") || text.starts_with("\"*SELECT*")
}

fn count(columns: &[(&KnownColumn, &str)], text: &str) -> usize {
    columns.iter().filter(|(_, other)| *other == text).count()
}

/// What an INSERT writes into each column of its table.
struct Written<'a> {
    relation: &'a KnownRelation,
    columns: Vec<(&'a KnownColumn, &'a str)>,
}

fn written<'a>(plan: &'a PlanGraph, relations: &'a [KnownRelation]) -> Option<Written<'a>> {
    let (id, node) = plan.nodes().find(|(_, node)| {
        node.kind == NodeKind::ModifyTable
            && node
                .extra
                .get("Operation")
                .and_then(|operation| operation.as_str())
                == Some("Insert")
    })?;
    let relation = relations.iter().find(|relation| {
        Some(&relation.name) == node.relation.name.as_ref()
            && Some(&relation.schema) == node.relation.schema.as_ref()
    })?;
    let (_, child) = plan.children(id).into_iter().next()?;
    let values = plan.node(child).texts("Output");
    // The values stand in the order of the columns' numbers, with a NULL for
    // each that was dropped.
    let columns = relation
        .columns
        .iter()
        .map(|column| {
            let at = usize::try_from(column.number).ok()?.checked_sub(1)?;
            Some((column, *values.get(at)?))
        })
        .collect::<Option<Vec<_>>>()?;
    Some(Written { relation, columns })
}

/// Names of relations whose columns are not the same: what reads none of them
/// gives what it gave.
pub(super) fn changed_relations(
    before: &[KnownRelation],
    after: &[KnownRelation],
) -> BTreeSet<String> {
    let columns = |relation: &KnownRelation| -> Vec<(i16, String, u32)> {
        relation
            .columns
            .iter()
            .map(|column| (column.number, column.name.clone(), column.type_oid))
            .collect()
    };
    let same = |one: &KnownRelation, others: &[KnownRelation]| {
        others
            .binary_search_by(|other| (&other.schema, &other.name).cmp(&(&one.schema, &one.name)))
            .ok()
            .and_then(|at| others.get(at))
            .is_some_and(|other| columns(other) == columns(one))
    };
    before
        .iter()
        .filter(|one| !same(one, after))
        .chain(after.iter().filter(|one| !same(one, before)))
        .map(|relation| relation.name.clone())
        .collect()
}

/// Whether a query names one of these, or cannot be read.
pub(super) fn names_one(statement: &Statement, names: &BTreeSet<String>) -> bool {
    let Some(query) = &statement.query else {
        return true;
    };
    query
        .selects
        .iter()
        .flat_map(|select| &select.relations)
        .chain(&query.target)
        .any(|relation| match &relation.kind {
            RelationRefKind::Table { name, .. } => names.contains(name),
            RelationRefKind::Other => true,
            _ => false,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(list: &[(&str, u32)]) -> Vec<ResultColumn> {
        list.iter()
            .map(|(name, oid)| ResultColumn {
                name: (*name).to_owned(),
                type_oid: *oid,
                type_name: format!("t{oid}"),
            })
            .collect()
    }

    fn change(before: &[(&str, u32)], after: &[(&str, u32)]) -> ResultChange {
        columns_change(&columns(before), &columns(after)).unwrap_or_default()
    }

    #[test]
    fn columns_are_told_apart_by_name_and_place() {
        let before = [("id", 1), ("name", 2)];
        assert_eq!(change(&before, &before), ResultChange::default());
        let more = change(&before, &[("id", 1), ("name", 2), ("vip", 3)]);
        assert_eq!(more.added, ["vip"]);
        assert!(more.is_mild());
        let between = change(&before, &[("id", 1), ("vip", 3), ("name", 2)]);
        assert!(between.in_the_middle && !between.reordered);
        let fewer = change(&before, &[("id", 1)]);
        assert_eq!(fewer.gone, ["name"]);
        let renamed = change(&before, &[("id", 1), ("title", 2)]);
        assert_eq!(renamed.renamed, [("name".to_owned(), "title".to_owned())]);
        assert!(renamed.added.is_empty() && renamed.gone.is_empty());
        let other = change(&before, &[("id", 1), ("title", 3)]);
        assert_eq!(
            (other.gone, other.added),
            (vec!["name".to_owned()], vec!["title".to_owned()])
        );
        let typed = change(&before, &[("id", 9), ("name", 2)]);
        assert_eq!(typed.retyped.len(), 1);
        assert!(change(&before, &[("name", 2), ("id", 1)]).reordered);
        // Two of one name are told apart by their order.
        let twice = [("id", 1), ("id", 2)];
        assert_eq!(change(&twice, &twice), ResultChange::default());
    }
}
