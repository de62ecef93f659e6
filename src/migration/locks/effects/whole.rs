//! Statements about whole tables, and about indexes.

use std::collections::BTreeSet;

use super::sink::Sink;
use crate::catalog::RelationKind;
use crate::migration::locks::{LockMode, Work};
use crate::migration::state::{IndexState, Qualified};
use crate::sql::ddl::{ConstraintKind, CreateIndex, CreateTable, Name, ObjectKind, Place};

/// CREATE TABLE locks what it refers to.
pub(super) fn create_table(sink: &mut Sink<'_>, create: &CreateTable) {
    if create.if_not_exists && sink.state.table(&create.table.name).is_some() {
        return;
    }
    let constraints = create
        .columns
        .iter()
        .flat_map(|column| &column.constraints)
        .chain(&create.constraints);
    for constraint in constraints {
        if let ConstraintKind::ForeignKey { table, .. } = &constraint.kind
            && table.name != create.table.name
        {
            let relation = sink.qualify(&table.name);
            for one in sink.partitions(&relation) {
                sink.add(&one, LockMode::ShareRowExclusive, Work::None, None);
            }
        }
    }
    for parent in &create.inherits {
        sink.lock(parent, LockMode::ShareUpdateExclusive);
    }
    if let Some(partition) = &create.partition_of {
        let parent = sink.qualify(&partition.parent.name);
        sink.add(&parent, LockMode::AccessExclusive, Work::None, None);
        let own = sink.qualify(&create.table.name);
        super::alter::partition_keys(sink, &parent, &own, false);
        if let Some(default) = sink
            .default_partition(&parent)
            .filter(|_| !partition.default)
        {
            sink.over(
                &default,
                LockMode::AccessExclusive,
                Work::Scan,
                Some("the DEFAULT partition must hold no row of the new one"),
            );
        }
    }
}

/// CREATE INDEX.
pub(super) fn create_index(sink: &mut Sink<'_>, index: &CreateIndex) {
    let relation = sink.qualify(&index.table.name);
    let mode = if index.concurrently {
        LockMode::ShareUpdateExclusive
    } else {
        LockMode::Share
    };
    let exists = index.if_not_exists
        && index.name.as_ref().is_some_and(|name| {
            let name = Name::qualified(relation.schema.clone(), name.clone());
            sink.state.index(&name).is_some() || sink.state.table(&name).is_some()
        });
    if exists || index.only {
        sink.add(&relation, mode, Work::None, None);
        return;
    }
    for one in sink.partitions(&relation) {
        let has = one != relation
            && sink
                .state
                .known(&one)
                .is_some_and(|table| table.indexes.iter().any(|other| same(index, other)));
        let work = if has || !(sink.stores(&one) || sink.stands_alone(&one)) {
            Work::None
        } else {
            Work::IndexBuild
        };
        sink.add(&one, mode, work, None);
    }
}

/// An index of a partition that can be attached instead of building one.
fn same(new: &CreateIndex, old: &IndexState) -> bool {
    new.method == old.method
        && new.unique == old.unique
        && new.keys == old.keys
        && new.include == old.include
        && new.nulls_not_distinct == old.nulls_not_distinct
        && new.predicate.as_ref().map(|one| &one.text)
            == old.predicate.as_ref().map(|one| &one.text)
        && old.valid
}

/// REINDEX.
pub(super) fn reindex(
    sink: &mut Sink<'_>,
    kind: ObjectKind,
    name: Option<&Name>,
    concurrently: bool,
) {
    let mode = if concurrently {
        LockMode::ShareUpdateExclusive
    } else {
        LockMode::Share
    };
    match (kind, name) {
        (ObjectKind::Index, Some(name)) => {
            if let Some((table, _)) = sink.state.index(name) {
                let table = table.name.clone();
                for one in sink.partitions(&table) {
                    let work = if sink.stores(&one) {
                        Work::IndexRebuild
                    } else {
                        Work::None
                    };
                    sink.add(&one, mode, work, None);
                }
            }
            if !concurrently || sink.state.index(name).is_none() {
                let index = sink.index_name(name);
                let mode = if concurrently {
                    mode
                } else {
                    LockMode::AccessExclusive
                };
                sink.add(&index, mode, Work::None, None);
            }
        }
        (ObjectKind::Table, Some(name)) => {
            let relation = sink.qualify(name);
            reindex_table(sink, &relation, mode, concurrently);
        }
        (ObjectKind::Schema, Some(schema)) => {
            for table in all(sink) {
                if table.schema == schema.name {
                    reindex_table(sink, &table, mode, concurrently);
                }
            }
        }
        (ObjectKind::Database, _) => {
            for table in all(sink) {
                reindex_table(sink, &table, mode, concurrently);
            }
        }
        _ => {}
    }
}

fn reindex_table(sink: &mut Sink<'_>, relation: &Qualified, mode: LockMode, concurrently: bool) {
    for one in sink.partitions(relation) {
        let work = if sink.stores(&one) {
            Work::IndexRebuild
        } else {
            Work::None
        };
        sink.add(&one, mode, work, None);
        if concurrently {
            continue;
        }
        let indexes: Vec<Qualified> = sink
            .state
            .known(&one)
            .map(|table| {
                table
                    .indexes
                    .iter()
                    .map(|index| Qualified::new(&one.schema, &index.name))
                    .collect()
            })
            .unwrap_or_default();
        for index in indexes {
            sink.add(&index, LockMode::AccessExclusive, Work::None, None);
        }
    }
}

/// Tables and materialised views, sorted.
pub(super) fn all(sink: &Sink<'_>) -> Vec<Qualified> {
    sink.state
        .tables()
        .into_iter()
        .filter(|table| {
            matches!(
                table.kind,
                RelationKind::Table | RelationKind::MaterializedView
            )
        })
        .map(|table| table.name.clone())
        .collect()
}

/// The tables named; all when none is.
pub(super) fn named_or_all(sink: &Sink<'_>, names: &[Name]) -> Vec<Qualified> {
    if names.is_empty() {
        all(sink)
    } else {
        names.iter().map(|name| sink.qualify(name)).collect()
    }
}

/// TRUNCATE, with CASCADE also what references the table, and so on.
pub(super) fn truncate(sink: &mut Sink<'_>, tables: &[Place], cascade: bool) {
    let mut waiting: Vec<Qualified> = tables.iter().map(|one| sink.qualify(&one.name)).collect();
    let mut seen: BTreeSet<Qualified> = BTreeSet::new();
    while let Some(next) = waiting.pop() {
        for one in sink.tree(&next) {
            if !seen.insert(one.clone()) {
                continue;
            }
            sink.add(&one, LockMode::AccessExclusive, Work::None, None);
            if cascade {
                let referencing = sink.state.referencing(&one);
                waiting.extend(referencing.iter().map(|(table, _)| table.name.clone()));
            }
        }
    }
}

/// LOCK TABLE, of a view also what it reads.
pub(super) fn lock_table(sink: &mut Sink<'_>, name: &Name, only: bool, mode: LockMode) {
    let first = sink.qualify(name);
    let mut waiting = vec![first.clone()];
    let mut seen: BTreeSet<Qualified> = BTreeSet::new();
    while let Some(next) = waiting.pop() {
        let tree = if only && next == first {
            vec![next]
        } else {
            sink.tree(&next)
        };
        for one in tree {
            if !seen.insert(one.clone()) {
                continue;
            }
            sink.add(&one, mode, Work::None, None);
            if let Some(view) = sink
                .state
                .known(&one)
                .filter(|table| table.kind == RelationKind::View)
            {
                waiting.extend(view.reads.iter().cloned());
            }
        }
    }
}

/// A domain's constraint is checked on every table that has a column of it.
pub(super) fn users_of_domain(sink: &mut Sink<'_>, domain: &Name) {
    let Some(domain) = sink.state.domain(domain) else {
        return;
    };
    let users: Vec<Qualified> = sink
        .state
        .tables()
        .into_iter()
        .filter(|table| {
            table.columns.iter().any(|column| {
                column.type_name.as_ref().is_some_and(|type_name| {
                    !type_name.array && is_over(sink, &type_name.base, &domain.name)
                })
            })
        })
        .filter(|table| {
            matches!(
                table.kind,
                RelationKind::Table
                    | RelationKind::MaterializedView
                    | RelationKind::PartitionedTable
            )
        })
        .map(|table| table.name.clone())
        .collect();
    for user in users {
        let work = if sink.stores(&user) {
            Work::Scan
        } else {
            Work::None
        };
        sink.add(
            &user,
            LockMode::Share,
            work,
            Some(format!("columns of the domain {} are checked", domain.name)),
        );
    }
}

/// Tables `OF` a composite type follow its attributes.
pub(super) fn typed_tables(sink: &mut Sink<'_>, name: &Name, retyped: bool) {
    let name = match sink.state.resolve_type(name) {
        Some(known) => Name::qualified(known.schema, known.name),
        None => name.clone(),
    };
    let typed: Vec<Qualified> = sink
        .state
        .tables()
        .into_iter()
        .filter(|table| {
            table.of_type.as_ref().is_some_and(|of| {
                of.name == name.name
                    && name
                        .schema
                        .as_ref()
                        .is_none_or(|schema| of.schema.as_ref().is_none_or(|own| own == schema))
            })
        })
        .map(|table| table.name.clone())
        .collect();
    let work = if retyped { Work::Rewrite } else { Work::None };
    for table in typed {
        sink.over(
            &table,
            LockMode::AccessExclusive,
            work,
            Some("the type of a column changes"),
        );
    }
}

/// A type is that domain, or a domain over it.
fn is_over(sink: &Sink<'_>, name: &Name, domain: &Qualified) -> bool {
    let mut at = name.clone();
    for _ in 0..32 {
        let Some(found) = sink.state.domain(&at) else {
            return false;
        };
        if found.name == *domain {
            return true;
        }
        let Some(next) = found.type_name.as_ref().filter(|next| !next.array) else {
            return false;
        };
        at = next.base.clone();
    }
    false
}
