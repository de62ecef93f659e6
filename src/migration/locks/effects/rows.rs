//! Statements that read and write rows.

use super::sink::Sink;
use crate::catalog::RelationKind;
use crate::migration::locks::{LockMode, Work};
use crate::migration::state::{Constrains, Qualified};
use crate::sql::ddl::{Dml, DmlKind, Name, Referential};

/// What is written, in all parts of the statement, and what is locked by
/// `FOR UPDATE`.
pub(super) fn rows(sink: &mut Sink<'_>, dml: &Dml) {
    if let Some(target) = &dml.target {
        written(sink, dml.kind, &target.name, &dml.columns);
    }
    for (kind, place) in &dml.also_writes {
        written(sink, *kind, &place.name, &[]);
    }
    if dml.kind == DmlKind::SelectForUpdate {
        for name in &dml.locks {
            let relation = sink.qualify(name);
            sink.over(&relation, LockMode::RowShare, Work::None, None);
            for one in behind(sink, &relation) {
                sink.over(&one, LockMode::RowShare, Work::None, None);
            }
        }
    }
}

fn written(sink: &mut Sink<'_>, kind: DmlKind, name: &Name, columns: &[String]) {
    let relation = sink.qualify(name);
    let mut all = vec![relation];
    // A view that can be written is one over a single relation.
    while let Some(view) = all.last()
        && let [one] = behind(sink, view).as_slice()
        && !all.contains(one)
    {
        all.push(one.clone());
    }
    let last = all.len().saturating_sub(1);
    for (number, relation) in all.iter().enumerate() {
        let work = if number == last {
            Work::Rows
        } else {
            Work::None
        };
        match kind {
            // Any partition may get rows; children by inheritance get none.
            DmlKind::Insert | DmlKind::CopyFrom => {
                for one in sink.partitions(relation) {
                    let work = if sink.stores(&one) { work } else { Work::None };
                    sink.add(&one, LockMode::RowExclusive, work, None);
                }
            }
            DmlKind::Update | DmlKind::Delete | DmlKind::Merge => {
                sink.over(relation, LockMode::RowExclusive, work, None);
            }
            _ => return,
        }
    }
    if let Some(relation) = all.last() {
        if kind != DmlKind::Delete {
            looked_up(sink, relation, kind, columns);
        }
        if matches!(kind, DmlKind::Update | DmlKind::Delete | DmlKind::Merge) {
            referring(sink, relation, kind == DmlKind::Delete, columns);
        }
    }
}

/// Rows that refer to those that are deleted, or whose key is changed, are
/// looked for, and by their foreign key's action changed or deleted as well.
fn referring(sink: &mut Sink<'_>, relation: &Qualified, deletes: bool, columns: &[String]) {
    let mut seen: Vec<(Qualified, bool)> = vec![(relation.clone(), deletes)];
    let mut next = vec![(relation.clone(), deletes, columns.to_vec())];
    while let Some((relation, deletes, columns)) = next.pop() {
        let mut all = sink.tree(&relation);
        all.extend(
            sink.state
                .parents_above(&relation)
                .into_iter()
                .filter(|table| table.is_partitioned())
                .map(|table| table.name.clone()),
        );
        let mut found: Vec<(Qualified, Vec<String>, Referential)> = Vec::new();
        for one in &all {
            for (from, key) in sink.state.referencing(one) {
                let Constrains::ForeignKey {
                    columns: to,
                    on_delete,
                    on_update,
                    ..
                } = &key.kind
                else {
                    continue;
                };
                let action = if deletes { on_delete } else { on_update };
                let concerned = deletes || to.iter().any(|column| columns.contains(column));
                // A partition's copy is seen to with its parent's.
                if concerned && key.local {
                    found.push((
                        from.name.clone(),
                        key.columns.clone(),
                        action.unwrap_or_default(),
                    ));
                }
            }
        }
        for (from, own, action) in found {
            let writes = !matches!(action, Referential::NoAction | Referential::Restrict);
            for one in sink.partitions(&from) {
                let (mode, work) = match (writes, sink.stores(&one)) {
                    (true, true) => (LockMode::RowExclusive, Work::Rows),
                    (true, false) => (LockMode::RowExclusive, Work::None),
                    (false, _) => (LockMode::RowShare, Work::None),
                };
                if one != relation || writes {
                    sink.add(&one, mode, work, None);
                }
            }
            let also_deletes = deletes && action == Referential::Cascade;
            if writes && !seen.contains(&(from.clone(), also_deletes)) {
                seen.push((from.clone(), also_deletes));
                next.push((from, also_deletes, own));
            }
        }
    }
}

/// What a view reads; nothing of other relations.
fn behind(sink: &Sink<'_>, relation: &Qualified) -> Vec<Qualified> {
    sink.state
        .known(relation)
        .filter(|table| table.kind == RelationKind::View)
        .map(|view| view.reads.clone())
        .unwrap_or_default()
}

/// New values of a foreign key are looked up, and their rows locked.
fn looked_up(sink: &mut Sink<'_>, relation: &Qualified, kind: DmlKind, columns: &[String]) {
    let keys: Vec<Qualified> = sink
        .state
        .known(relation)
        .into_iter()
        .flat_map(|table| &table.constraints)
        .filter(|key| {
            kind != DmlKind::Update || key.columns.iter().any(|one| columns.contains(one))
        })
        .filter_map(|key| match &key.kind {
            Constrains::ForeignKey { table, .. } if table != relation => Some(table.clone()),
            _ => None,
        })
        .collect();
    for table in keys {
        sink.add(&table, LockMode::RowShare, Work::None, None);
    }
}
