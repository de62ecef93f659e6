//! Statements that read and write rows.

use super::sink::Sink;
use crate::catalog::RelationKind;
use crate::migration::locks::{LockMode, Work};
use crate::migration::state::{Constrains, Qualified};
use crate::sql::ddl::{Dml, DmlKind, Name};

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
        for name in &dml.reads {
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
    if let Some(relation) = all.last()
        && kind != DmlKind::Delete
    {
        looked_up(sink, relation, kind, columns);
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
