//! DROP.

use std::collections::BTreeSet;

use super::sink::Sink;
use crate::catalog::RelationKind;
use crate::migration::locks::{LockMode, Work};
use crate::migration::state::{Constrains, Qualified};
use crate::sql::ddl::{Drop, Name, ObjectKind};

/// DROP locks the thing, and what goes with it.
pub(super) fn drop(sink: &mut Sink<'_>, drop: &Drop) {
    match drop.object {
        ObjectKind::Table
        | ObjectKind::ForeignTable
        | ObjectKind::View
        | ObjectKind::MaterializedView => {
            let gone: Vec<Qualified> = drop
                .names
                .iter()
                .filter(|place| !is_missing(sink, &place.name, drop.if_exists))
                .map(|place| sink.qualify(&place.name))
                .collect();
            relations(sink, gone, drop.cascade);
        }
        ObjectKind::Index => {
            for place in &drop.names {
                index(sink, &place.name, drop);
            }
        }
        ObjectKind::Trigger | ObjectKind::Rule | ObjectKind::Policy => {
            if let Some(table) = &drop.on {
                let relation = sink.qualify(&table.name);
                if drop.if_exists && is_unattached(sink, &relation, drop) {
                    return;
                }
                let rows = sink.state.known(&relation).is_none_or(|table| {
                    table.triggers.iter().all(|trigger| {
                        trigger.row
                            || drop
                                .names
                                .iter()
                                .all(|place| place.name.name != trigger.name)
                    })
                });
                let all = if drop.object == ObjectKind::Trigger && rows {
                    sink.partitions(&relation)
                } else {
                    vec![relation]
                };
                for one in all {
                    sink.add(&one, LockMode::AccessExclusive, Work::None, None);
                }
            }
        }
        ObjectKind::Schema if drop.cascade => {
            let gone: Vec<Qualified> = sink
                .state
                .tables()
                .into_iter()
                .filter(|table| {
                    drop.names
                        .iter()
                        .any(|place| place.name.name == table.name.schema)
                })
                .map(|table| table.name.clone())
                .collect();
            relations(sink, gone, true);
        }
        ObjectKind::Function if drop.cascade => {
            for place in &drop.names {
                function(sink, &place.name);
            }
        }
        ObjectKind::Sequence if drop.cascade => {
            for place in &drop.names {
                let sequence = sink.qualify(&place.name);
                let users = sink.state.defaults_of_sequence(&sequence);
                for (user, _) in users {
                    let why = Some(format!("a default of it uses {sequence}"));
                    sink.add(&user, LockMode::AccessExclusive, Work::None, why);
                }
            }
        }
        ObjectKind::Type | ObjectKind::Domain if drop.cascade => {
            let users: Vec<Qualified> = sink
                .state
                .tables()
                .into_iter()
                .filter(|table| {
                    table.columns.iter().any(|column| {
                        column.type_name.as_ref().is_some_and(|type_name| {
                            drop.names.iter().any(|place| {
                                if let Some(known) = sink.state.resolve_type(&place.name) {
                                    return column.is_of_type(&known);
                                }
                                place.name.name == type_name.base.name
                                    && (place.name.schema.is_none()
                                        || type_name.base.schema.is_none()
                                        || place.name.schema == type_name.base.schema)
                            })
                        })
                    })
                })
                .map(|table| table.name.clone())
                .collect();
            for user in users {
                sink.add(
                    &user,
                    LockMode::AccessExclusive,
                    Work::None,
                    Some("its columns of the type are dropped".to_owned()),
                );
            }
        }
        _ => {}
    }
}

/// The table has no such trigger, policy or rule, as its history says: then it
/// is not even locked.
fn is_unattached(sink: &Sink<'_>, relation: &Qualified, drop: &Drop) -> bool {
    let Some(table) = sink.state.known(relation) else {
        return !sink.state.is_partial();
    };
    !sink.state.is_partial()
        && table.created.is_some()
        && drop.names.iter().all(|place| match drop.object {
            ObjectKind::Trigger => table
                .triggers
                .iter()
                .all(|trigger| trigger.name != place.name.name),
            ObjectKind::Policy => table.policies.iter().all(|one| *one != place.name.name),
            _ => table.rules.iter().all(|one| *one != place.name.name),
        })
}

/// The history knows all relations, and not this one.
fn is_missing(sink: &Sink<'_>, name: &Name, if_exists: bool) -> bool {
    if_exists && !sink.state.is_partial() && sink.state.table(name).is_none()
}

fn relations(sink: &mut Sink<'_>, gone: Vec<Qualified>, cascade: bool) {
    let mut waiting = gone;
    waiting.reverse();
    let mut seen: BTreeSet<Qualified> = BTreeSet::new();
    while let Some(next) = waiting.pop() {
        let all = if cascade {
            sink.tree(&next)
        } else {
            sink.partitions(&next)
        };
        for one in all {
            if !seen.insert(one.clone()) {
                continue;
            }
            sink.add(&one, LockMode::AccessExclusive, Work::None, None);
            let Some(table) = sink.state.known(&one) else {
                continue;
            };
            for constraint in &table.constraints {
                // What a partition has of its parent's key ends at the parent.
                if let Constrains::ForeignKey { table: to, .. } = &constraint.kind
                    && *to != one
                    && constraint.inherited == 0
                {
                    sink.add(
                        to,
                        LockMode::AccessExclusive,
                        Work::None,
                        Some(format!(
                            "the foreign key {} of {one} references it",
                            constraint.name
                        )),
                    );
                }
            }
            if table.partition_bound.is_some() {
                for parent in &table.parents {
                    sink.add(
                        parent,
                        LockMode::AccessExclusive,
                        Work::None,
                        Some(format!("{one} is a partition of it")),
                    );
                    if let Some(default) = sink.default_partition(parent).filter(|it| *it != one) {
                        sink.add(&default, LockMode::AccessExclusive, Work::None, None);
                    }
                }
            }
            if cascade {
                for (from, constraint) in sink.state.referencing(&one) {
                    if from.name != one {
                        sink.add(
                            &from.name,
                            LockMode::AccessExclusive,
                            Work::None,
                            Some(format!("its foreign key {} is dropped", constraint.name)),
                        );
                    }
                }
                waiting.extend(
                    sink.state
                        .tables()
                        .into_iter()
                        .filter(|view| {
                            matches!(
                                view.kind,
                                RelationKind::View | RelationKind::MaterializedView
                            ) && view.reads.contains(&one)
                        })
                        .map(|view| view.name.clone()),
                );
            }
        }
    }
}

/// DROP FUNCTION … CASCADE drops triggers that call it, and defaults, CHECKs
/// and indexes that use it.
fn function(sink: &mut Sink<'_>, name: &Name) {
    let users: Vec<Qualified> = sink
        .state
        .tables()
        .into_iter()
        .filter(|table| sink.state.uses_function(table, name))
        .map(|table| table.name.clone())
        .collect();
    for user in users {
        let why = Some(format!("what uses {name}() is dropped"));
        sink.add(&user, LockMode::AccessExclusive, Work::None, why);
    }
}

fn index(sink: &mut Sink<'_>, name: &Name, drop: &Drop) {
    let mode = if drop.concurrently {
        LockMode::ShareUpdateExclusive
    } else {
        LockMode::AccessExclusive
    };
    if let Some((table, _)) = sink.state.index(name) {
        let table = table.name.clone();
        for one in sink.partitions(&table) {
            sink.add(&one, mode, Work::None, None);
        }
    } else if sink.state.is_partial() || !drop.if_exists {
        let index = sink.index_name(name);
        sink.add(&index, mode, Work::None, None);
    }
}
