//! ALTER TABLE and its like. Source of the modes: `AlterTableGetLockLevel` in
//! tablecmds.c, and what servers do.

use super::column;
use super::sink::Sink;
use crate::catalog::RelationKind;
use crate::migration::locks::LockMode::{
    self, AccessExclusive, RowShare, Share, ShareRowExclusive, ShareUpdateExclusive,
};
use crate::migration::locks::Work;
use crate::migration::state::{Constrains, ConstraintState, IndexState, Qualified};
use crate::sql::ddl::{
    Alter, AlterKind, Command, Constraint, ConstraintKind, Name, ObjectKind, Persistence,
};

/// Storage parameters that are changed without keeping anybody from reading or
/// writing. Source: reloptions.c (`ShareUpdateExclusiveLock`).
fn is_light(option: &str) -> bool {
    let option = option.strip_prefix("toast.").unwrap_or(option);
    option.starts_with("autovacuum_")
        || option.starts_with("vacuum_")
        || matches!(
            option,
            "fillfactor"
                | "toast_tuple_target"
                | "parallel_workers"
                | "log_autovacuum_min_duration"
                | "log_autoanalyze_min_duration"
                | "deduplicate_items"
                | "n_distinct"
                | "n_distinct_inherited"
        )
}

/// The commands of an ALTER of any relation.
pub(super) fn alter(sink: &mut Sink<'_>, alter: &Alter) {
    let name = &alter.relation.name;
    let known = sink.state.table(name).map(|table| table.kind);
    let is_index =
        known.is_none() && (alter.object == ObjectKind::Index || sink.state.index(name).is_some());
    if alter.object == ObjectKind::Sequence {
        return;
    }
    let there = known.is_some() || sink.state.index(name).is_some();
    if alter.if_exists && !sink.state.is_partial() && !there {
        return;
    }
    for (number, command) in alter.commands.iter().enumerate() {
        sink.command = Some(number);
        if is_index {
            index(sink, name, alter.object, &command.kind);
        } else if matches!(known, Some(RelationKind::View))
            || matches!(alter.object, ObjectKind::View)
        {
            sink.lock(name, AccessExclusive);
        } else {
            table(sink, alter, command);
        }
    }
    sink.command = None;
}

fn index(sink: &mut Sink<'_>, name: &Name, object: ObjectKind, kind: &AlterKind) {
    let index = sink.index_name(name);
    let mode = match kind {
        // Only ALTER INDEX knows before it locks that it is an index.
        AlterKind::RenameTo { .. } if object != ObjectKind::Index => AccessExclusive,
        // What has no kind of its own is ALTER COLUMN number SET STATISTICS.
        AlterKind::RenameTo { .. } | AlterKind::SetStatistics { .. } | AlterKind::Other => {
            ShareUpdateExclusive
        }
        AlterKind::SetOptions(options) | AlterKind::ResetOptions(options)
            if options.iter().all(|option| is_light(option)) =>
        {
            ShareUpdateExclusive
        }
        AlterKind::AttachPartition { partition, .. } => {
            let partition = sink.index_name(&partition.name);
            sink.add(&partition, AccessExclusive, Work::None, None);
            ShareUpdateExclusive
        }
        _ => AccessExclusive,
    };
    let work = match kind {
        AlterKind::SetTablespace { .. } => Work::Rewrite,
        _ => Work::None,
    };
    sink.add(&index, mode, work, None);
}

#[expect(
    clippy::too_many_lines,
    reason = "one arm a command, each of a line or two"
)]
fn table(sink: &mut Sink<'_>, alter: &Alter, command: &Command) {
    let relation = sink.qualify(&alter.relation.name);
    let all = if alter.only {
        vec![relation.clone()]
    } else {
        sink.tree(&relation)
    };
    let partitioned = sink
        .state
        .known(&relation)
        .is_some_and(crate::migration::state::Table::is_partitioned);
    // On a relation and, unless ONLY is written, on what is below it.
    let lock_all = |sink: &mut Sink<'_>, mode: LockMode| {
        for one in &all {
            sink.add(one, mode, Work::None, None);
        }
    };
    match &command.kind {
        AlterKind::AddColumn {
            column,
            if_not_exists,
        } => {
            let exists = *if_not_exists
                && sink
                    .state
                    .known(&relation)
                    .is_some_and(|table| table.column(&column.name).is_some());
            if exists {
                sink.add(&relation, AccessExclusive, Work::None, None);
            } else {
                column::add(sink, &all, column);
            }
        }
        AlterKind::DropColumn {
            column, cascade, ..
        } => {
            lock_all(sink, AccessExclusive);
            column::dropped_with(sink, &all, column, *cascade);
        }
        AlterKind::AddConstraint(constraint) => add_constraint(sink, &relation, &all, constraint),
        AlterKind::DropConstraint { name, cascade, .. } => {
            lock_all(sink, AccessExclusive);
            drop_constraint(sink, &relation, name, *cascade);
        }
        AlterKind::ValidateConstraint { name } => validate(sink, &all, name),
        AlterKind::SetType {
            column,
            type_name,
            using,
            collation,
        } => column::set_type(
            sink,
            &all,
            column,
            type_name,
            using.as_deref(),
            collation.as_deref(),
        ),
        AlterKind::SetNotNull { column } => {
            for one in &all {
                let (work, why) = column::not_null_work(sink, one, column);
                sink.add(one, AccessExclusive, work, why);
            }
        }
        AlterKind::SetExpression { column } => {
            for one in &all {
                let stored = sink
                    .state
                    .known(one)
                    .and_then(|table| table.column(column))
                    .is_none_or(|column| !column.generated_virtual);
                let work = if stored && sink.stores(one) {
                    Work::Rewrite
                } else {
                    Work::None
                };
                sink.add(one, AccessExclusive, work, None);
            }
        }
        AlterKind::DropNotNull { .. }
        | AlterKind::SetDefault { .. }
        | AlterKind::DropDefault { .. }
        | AlterKind::DropExpression { .. }
        | AlterKind::SetStorage { .. }
        | AlterKind::RenameColumn { .. } => lock_all(sink, AccessExclusive),
        AlterKind::SetStatistics { .. } => lock_all(sink, ShareUpdateExclusive),
        AlterKind::SetColumnOptions { .. }
        | AlterKind::ClusterOn { .. }
        | AlterKind::SetWithoutCluster => {
            sink.add(&relation, ShareUpdateExclusive, Work::None, None);
        }
        AlterKind::AddIdentity { .. }
        | AlterKind::DropIdentity { .. }
        | AlterKind::SetIdentity { .. }
            if partitioned && sink.server.major >= 17 =>
        {
            lock_all(sink, AccessExclusive);
        }
        AlterKind::RenameConstraint { from, .. } => {
            let inherited = sink
                .state
                .known(&relation)
                .and_then(|table| table.constraint(from))
                .is_some_and(|one| matches!(one.kind, Constrains::Check { .. }));
            if inherited {
                lock_all(sink, AccessExclusive);
            } else {
                sink.add(&relation, AccessExclusive, Work::None, None);
            }
        }
        AlterKind::AttachPartition {
            partition,
            bound,
            default,
        } => attach(sink, &relation, &partition.name, bound, *default),
        AlterKind::DetachPartition {
            partition,
            concurrently,
            finalize,
        } => {
            let child = sink.qualify(&partition.name);
            let online = *concurrently || *finalize;
            let parent_mode = if online {
                ShareUpdateExclusive
            } else {
                AccessExclusive
            };
            let child_mode = if sink.server.major < 14 {
                ShareUpdateExclusive
            } else {
                AccessExclusive
            };
            sink.add(&relation, parent_mode, Work::None, None);
            let referenced = !sink.state.referencing(&relation).is_empty();
            let child_mode = if referenced {
                AccessExclusive
            } else {
                child_mode
            };
            // Its rows are looked up for those that reference them; before 18
            // by reading all of them.
            let (work, why) = if referenced && sink.server.major < 18 && sink.stores(&child) {
                (
                    Work::Scan,
                    Some("rows that reference it are looked for".to_owned()),
                )
            } else {
                (Work::None, None)
            };
            sink.add(&child, child_mode, work, why);
            partition_keys(sink, &relation, &child, true);
            if let Some(default) = sink
                .default_partition(&relation)
                .filter(|one| *one != child && !online)
            {
                sink.add(&default, AccessExclusive, Work::None, None);
            }
        }
        AlterKind::AlterConstraint { name, enforced } => {
            for one in sink.partitions(&relation) {
                let work = if *enforced == Some(true) && sink.stores(&one) {
                    Work::Scan
                } else {
                    Work::None
                };
                sink.add(&one, AccessExclusive, work, None);
            }
            let other = constraint_of(sink, &relation, name).and_then(|one| match &one.kind {
                Constrains::ForeignKey { table, .. } => Some(table.clone()),
                _ => None,
            });
            if let (Some(other), Some(enforced)) = (other, enforced) {
                // Its triggers there are made, or dropped.
                let mode = if *enforced {
                    ShareRowExclusive
                } else {
                    AccessExclusive
                };
                for one in sink.partitions(&other) {
                    sink.add(&one, mode, Work::None, None);
                }
            }
        }
        AlterKind::EnableTrigger(_) | AlterKind::DisableTrigger(_) => {
            for one in sink.partitions(&relation) {
                if one == relation || !alter.only {
                    sink.add(&one, ShareRowExclusive, Work::None, None);
                }
            }
        }
        AlterKind::Inherit { parent } => {
            sink.add(&relation, AccessExclusive, Work::None, None);
            sink.lock(parent, ShareUpdateExclusive);
        }
        AlterKind::SetLogged | AlterKind::SetUnlogged => {
            let wanted = if matches!(command.kind, AlterKind::SetLogged) {
                Persistence::Permanent
            } else {
                Persistence::Unlogged
            };
            let already = sink
                .state
                .known(&relation)
                .is_some_and(|table| table.persistence == wanted);
            let work = if already || partitioned {
                Work::None
            } else {
                Work::Rewrite
            };
            sink.add(&relation, AccessExclusive, work, None);
        }
        AlterKind::SetAccessMethod { .. } | AlterKind::SetTablespace { .. } => {
            let mut work = if sink.stores(&relation) {
                Work::Rewrite
            } else {
                Work::None
            };
            let mut why = None;
            if let AlterKind::SetTablespace { tablespace } = &command.kind {
                let known = sink.state.known(&relation);
                if known.and_then(|table| table.tablespace.as_ref()) == Some(tablespace) {
                    work = Work::None;
                } else {
                    why = Some("its files are copied".to_owned());
                }
            }
            sink.add(&relation, AccessExclusive, work, why);
        }
        AlterKind::SetOptions(options) | AlterKind::ResetOptions(options) => {
            let mode = if options.iter().all(|option| is_light(option)) {
                ShareUpdateExclusive
            } else {
                AccessExclusive
            };
            sink.add(&relation, mode, Work::None, None);
        }
        _ => sink.add(&relation, AccessExclusive, Work::None, None),
    }
}

fn add_constraint(
    sink: &mut Sink<'_>,
    relation: &Qualified,
    all: &[Qualified],
    constraint: &Constraint,
) {
    let checked = !constraint.not_valid && !constraint.not_enforced;
    match &constraint.kind {
        ConstraintKind::Check { .. } => {
            let all = if constraint.no_inherit && sink.server.major < 18 {
                std::slice::from_ref(relation)
            } else {
                all
            };
            for one in all {
                let own = !constraint.no_inherit || one == relation;
                let work = if checked && own && sink.stores(one) {
                    Work::Scan
                } else {
                    Work::None
                };
                sink.add(one, AccessExclusive, work, None);
            }
        }
        ConstraintKind::NotNull => {
            for one in all {
                let (work, why) = match constraint.columns.first() {
                    Some(column) if checked => column::not_null_work(sink, one, column),
                    _ => (Work::None, None),
                };
                sink.add(one, AccessExclusive, work, why);
            }
        }
        ConstraintKind::ForeignKey { table, .. } => {
            let referenced = sink.qualify(&table.name);
            for one in sink.partitions(&referenced) {
                sink.add(&one, ShareRowExclusive, Work::None, None);
            }
            for one in sink.partitions(relation) {
                let work = if checked && sink.stores(&one) {
                    Work::Scan
                } else {
                    Work::None
                };
                sink.add(&one, ShareRowExclusive, work, None);
            }
        }
        ConstraintKind::PrimaryKey
        | ConstraintKind::Unique { .. }
        | ConstraintKind::Exclusion { .. } => key(sink, relation, constraint),
    }
}

/// PRIMARY KEY, UNIQUE and EXCLUDE: an index is built, unless there is one.
fn key(sink: &mut Sink<'_>, relation: &Qualified, constraint: &Constraint) {
    let primary = matches!(constraint.kind, ConstraintKind::PrimaryKey);
    if let Some(index) = &constraint.using_index {
        let columns: Vec<String> = sink
            .state
            .known(relation)
            .and_then(|table| table.indexes.iter().find(|one| one.name == *index))
            .map(|index| {
                index
                    .key_columns()
                    .iter()
                    .map(|&column| column.to_owned())
                    .collect()
            })
            .unwrap_or_default();
        let scan = primary
            .then(|| {
                columns
                    .iter()
                    .map(|column| column::not_null_work(sink, relation, column))
                    .find(|(work, _)| *work == Work::Scan)
            })
            .flatten();
        let (work, why) = scan.unwrap_or((Work::None, None));
        sink.add(relation, AccessExclusive, work, why);
        return;
    }
    for one in sink.partitions(relation) {
        // Making a column NOT NULL takes more than building an index.
        let nullable = primary
            && constraint.columns.iter().any(|column| {
                sink.state
                    .known(&one)
                    .and_then(|table| table.column(column))
                    .is_none_or(|column| !column.not_null)
            });
        let mode = if one == *relation || sink.server.major >= 18 || nullable {
            AccessExclusive
        } else {
            Share
        };
        let work = if sink.stores(&one) {
            Work::IndexBuild
        } else {
            Work::None
        };
        sink.add(&one, mode, work, None);
    }
}

fn constraint_of<'a>(
    sink: &Sink<'a>,
    relation: &Qualified,
    name: &str,
) -> Option<&'a ConstraintState> {
    sink.state.known(relation)?.constraint(name)
}

fn drop_constraint(sink: &mut Sink<'_>, relation: &Qualified, name: &str, cascade: bool) {
    let Some(constraint) = constraint_of(sink, relation, name) else {
        return;
    };
    match &constraint.kind {
        Constrains::ForeignKey { table, .. } => {
            for one in sink.partitions(table) {
                let why = Some(format!("the foreign key {name} references it"));
                sink.add(&one, AccessExclusive, Work::None, why);
            }
        }
        Constrains::PrimaryKey | Constrains::Unique if cascade => {
            column::drop_referencing(sink, relation, |columns| {
                columns.is_empty() || columns == constraint.columns.as_slice()
            });
        }
        _ => {}
    }
}

fn validate(sink: &mut Sink<'_>, all: &[Qualified], name: &str) {
    for one in all {
        let found = constraint_of(sink, one, name);
        let done = found.is_some_and(|constraint| constraint.validated);
        let foreign = found.and_then(|constraint| match &constraint.kind {
            Constrains::ForeignKey { table, .. } if !done => Some(table.clone()),
            _ => None,
        });
        let work = if done || !sink.stores(one) {
            Work::None
        } else {
            Work::Scan
        };
        sink.add(one, ShareUpdateExclusive, work, None);
        if let Some(referenced) = foreign.filter(|table| table != one) {
            sink.add(&referenced, RowShare, Work::None, None);
        }
    }
}

/// A partition gets, or loses, its part of the foreign keys of and to the
/// partitioned table: their triggers are made or dropped at the other end, too.
pub(super) fn partition_keys(
    sink: &mut Sink<'_>,
    parent: &Qualified,
    partition: &Qualified,
    detached: bool,
) {
    let keys: Vec<&ConstraintState> = sink
        .state
        .known(parent)
        .into_iter()
        .flat_map(|table| &table.constraints)
        .collect();
    for key in keys {
        let Constrains::ForeignKey { table, .. } = &key.kind else {
            continue;
        };
        // One that the table has already becomes part of it, and its triggers
        // are dropped.
        let mode = if !detached && has_key(sink, partition, key) {
            AccessExclusive
        } else {
            ShareRowExclusive
        };
        for one in sink.partitions(table) {
            let why = Some(format!("the foreign key {} references it", key.name));
            sink.add(&one, mode, Work::None, why);
        }
    }
    let mode = if detached {
        AccessExclusive
    } else if sink.server.major >= 15 {
        ShareRowExclusive
    } else {
        return;
    };
    for (from, key) in sink.state.referencing(parent) {
        if from.name != *parent && key.inherited == 0 {
            let work = if detached && sink.stores(&from.name) {
                Work::Scan
            } else {
                Work::None
            };
            let why = Some(format!("its foreign key {} references {parent}", key.name));
            sink.add(&from.name, mode, work, why);
        }
    }
}

fn has_key(sink: &Sink<'_>, table: &Qualified, key: &ConstraintState) -> bool {
    sink.state.known(table).is_some_and(|table| {
        table
            .constraints
            .iter()
            .any(|own| own.is_same_key(key) && own.validated == key.validated)
    })
}

fn attach(sink: &mut Sink<'_>, parent: &Qualified, child: &Name, bound: &str, default: bool) {
    let child = sink.qualify(child);
    sink.add(parent, ShareUpdateExclusive, Work::None, None);
    partition_keys(sink, parent, &child, false);
    let keys: Vec<&ConstraintState> = sink
        .state
        .known(parent)
        .into_iter()
        .flat_map(|table| &table.constraints)
        .filter(|one| matches!(one.kind, Constrains::ForeignKey { .. }))
        .collect();
    let wanted: Vec<IndexState> = sink
        .state
        .known(parent)
        .map(|table| table.indexes.clone())
        .unwrap_or_default();
    for one in sink.partitions(&child) {
        let missing = sink.state.known(&one).is_some_and(|table| {
            wanted.iter().any(|index| {
                table.indexes.iter().all(|other| {
                    other.keys != index.keys
                        || other.method != index.method
                        || (index.unique && !other.unique)
                })
            })
        });
        let proven = super::super::proof::bound_is_proven(sink.state, parent, &one, bound)
            || (default
                && sink
                    .state
                    .known(parent)
                    .is_some_and(|table| table.children.is_empty()));
        let (work, why) = if !sink.stores(&one) {
            (Work::None, None)
        } else if missing {
            (
                Work::IndexBuild,
                Some(format!("it lacks an index of {parent}")),
            )
        } else if let Some(key) = keys.iter().find(|key| !has_key(sink, &one, key)) {
            (
                Work::Scan,
                Some(format!("the foreign key {} is checked", key.name)),
            )
        } else if proven {
            (Work::None, None)
        } else {
            (
                Work::Scan,
                Some("no valid CHECK proves that its rows fit".to_owned()),
            )
        };
        sink.add(&one, AccessExclusive, work, why);
    }
    if let Some(other) = sink
        .default_partition(parent)
        .filter(|one| *one != child && !default)
    {
        sink.over(
            &other,
            AccessExclusive,
            Work::Scan,
            Some("the DEFAULT partition must hold no row of the new one"),
        );
    }
}
