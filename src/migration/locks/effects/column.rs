//! Columns: what adding, dropping and changing one does.

use super::sink::Sink;
use crate::migration::locks::LockMode::{AccessExclusive, ShareRowExclusive};
use crate::migration::locks::Work;
use crate::migration::locks::proof;
use crate::migration::locks::types::{TypeChange, is_constrained_domain, same_base, type_change};
use crate::migration::locks::volatile::volatile_function;
use crate::migration::state::{Constrains, Qualified, Table};
use crate::sql::ddl::{ColumnDefinition, ConstraintKind, Expression, TypeName};

/// ADD COLUMN on a table and what is below it.
pub(super) fn add(sink: &mut Sink<'_>, all: &[Qualified], column: &ColumnDefinition) {
    let (work, why) = added(sink, column);
    for one in all {
        let work = if sink.stores(one) { work } else { Work::None };
        let why = why.clone().filter(|_| work != Work::None);
        sink.add(one, AccessExclusive, work, why);
    }
    for constraint in &column.constraints {
        if let ConstraintKind::ForeignKey { table, .. } = &constraint.kind {
            let referenced = sink.qualify(&table.name);
            for one in sink.partitions(&referenced) {
                sink.add(&one, ShareRowExclusive, Work::None, None);
            }
        }
    }
}

/// Why a table is rewritten for a default that is computed for each row.
pub const VOLATILE: &str = "the default is volatile";

/// The costliest work that a new column is, and why.
fn added(sink: &Sink<'_>, column: &ColumnDefinition) -> (Work, Option<String>) {
    let rewrite = |why: &str| (Work::Rewrite, Some(why.to_owned()));
    if let Some(generated) = &column.generated {
        // Without a word it is virtual from 18 on; before that it must be
        // stored.
        let stored = generated.stored.unwrap_or(sink.server.major < 18);
        if stored {
            return rewrite("the stored value is computed for every row");
        }
    }
    if column.identity {
        return rewrite("every row gets a value of the identity's sequence");
    }
    if let Some(type_name) = &column.type_name {
        if type_name.serial {
            return rewrite("every row gets a value of the sequence");
        }
        if is_constrained_domain(type_name, sink.state) {
            return rewrite("the type is a domain with constraints");
        }
    }
    if let Some(function) = column
        .default
        .as_ref()
        .and_then(|default| volatile_function(default, sink.state))
    {
        return (Work::Rewrite, Some(format!("{VOLATILE}: {function}()")));
    }
    let mut work = (Work::None, None);
    let mut more = |next: Work, why: &str| {
        if next > work.0 {
            work = (next, Some(why.to_owned()));
        }
    };
    let has_value = column.default.as_ref().is_some_and(|one| !one.null);
    // DEFAULT NULL, too: only that there is a default is looked at.
    let has_default = column.default.is_some();
    for constraint in &column.constraints {
        match &constraint.kind {
            ConstraintKind::Check { .. } if !constraint.not_enforced => {
                more(Work::Scan, "the CHECK is checked for every row");
            }
            ConstraintKind::ForeignKey { .. } if has_default && !constraint.not_enforced => {
                more(Work::Scan, "the default is looked up for every row");
            }
            ConstraintKind::PrimaryKey => more(Work::IndexBuild, "PRIMARY KEY builds an index"),
            ConstraintKind::Unique { .. } => more(Work::IndexBuild, "UNIQUE builds an index"),
            ConstraintKind::Exclusion { .. } => more(Work::IndexBuild, "EXCLUDE builds an index"),
            _ => {}
        }
    }
    if column.not_null && !has_value {
        let why = if column.generated.is_some() {
            "its values are computed for every row, to find NULL"
        } else {
            "NOT NULL without a default fails when there are rows"
        };
        more(Work::Scan, why);
    }
    work
}

/// Foreign keys that go with a column lock the tables at their other ends.
pub(super) fn dropped_with(sink: &mut Sink<'_>, all: &[Qualified], column: &str, cascade: bool) {
    for one in all {
        let Some(table) = sink.state.known(one) else {
            continue;
        };
        for constraint in &table.constraints {
            if let Constrains::ForeignKey { table: to, .. } = &constraint.kind
                && to != one
                && constraint.columns.iter().any(|name| name == column)
            {
                sink.add(
                    to,
                    AccessExclusive,
                    Work::None,
                    Some(format!("the foreign key {} references it", constraint.name)),
                );
            }
        }
        if cascade {
            drop_referencing(sink, one, |columns| {
                columns.iter().any(|name| name == column)
                    || (columns.is_empty()
                        && table
                            .primary_key()
                            .is_some_and(|key| key.columns.iter().any(|name| name == column)))
            });
        }
    }
}

/// Locks the tables whose foreign keys to certain columns are dropped.
pub(super) fn drop_referencing(
    sink: &mut Sink<'_>,
    relation: &Qualified,
    to: impl Fn(&[String]) -> bool,
) {
    for (from, constraint) in sink.state.referencing(relation) {
        if let Constrains::ForeignKey { columns, .. } = &constraint.kind
            && to(columns)
            && from.name != *relation
        {
            sink.add(
                &from.name,
                AccessExclusive,
                Work::None,
                Some(format!("its foreign key {} is dropped", constraint.name)),
            );
        }
    }
}

/// What SET NOT NULL is on one table.
pub(super) fn not_null_work(
    sink: &Sink<'_>,
    relation: &Qualified,
    column: &str,
) -> (Work, Option<String>) {
    if !sink.stores(relation) {
        return (Work::None, None);
    }
    let proven = sink.state.known(relation).is_some_and(|table| {
        let pending = table.constraints.iter().any(|constraint| {
            matches!(constraint.kind, Constrains::NotNull)
                && !constraint.validated
                && constraint.columns.iter().any(|name| name == column)
        });
        let already = table.column(column).is_some_and(|column| column.not_null) && !pending;
        already || proof::not_null_is_proven(table, column)
    });
    if proven {
        (Work::None, None)
    } else {
        (
            Work::Scan,
            Some(format!("no valid CHECK proves that {column} is not null")),
        )
    }
}

/// SET DATA TYPE on a table and what is below it.
pub(super) fn set_type(
    sink: &mut Sink<'_>,
    all: &[Qualified],
    column: &str,
    to: &TypeName,
    using: Option<&Expression>,
    collation: Option<&str>,
) {
    for one in all {
        let table = sink.state.known(one);
        let found = table.and_then(|table| table.column(column));
        let from = found.and_then(|column| column.type_name.as_ref());
        let change = match from {
            Some(from) => type_change(column, from, to, using, sink.state, sink.server),
            None => TypeChange::Rewrite("the type before is not known".to_owned()),
        };
        let plain = |name: Option<&str>| {
            name.map(|name| name.trim_matches('"').to_owned())
                .filter(|name| name != "default")
        };
        let collated =
            found.is_some_and(|found| plain(found.collation.as_deref()) != plain(collation));
        let stores = sink.stores(one);
        let (work, why) = match &change {
            _ if !stores => (Work::None, None),
            TypeChange::Rewrite(why) => (Work::Rewrite, Some(why.clone())),
            kept => {
                let other = *kept == TypeChange::OtherOperators;
                table.map_or((Work::None, None), |table| {
                    kept_rows(table, column, other, collated)
                })
            }
        };
        sink.add(one, AccessExclusive, work, why);
        let (Some(table), Some(from)) = (table, from) else {
            continue;
        };
        foreign_keys(
            sink,
            table,
            column,
            !same_base(from, to, sink.state),
            &change,
        );
    }
}

/// What is left to do when the rows stay.
fn kept_rows(
    table: &Table,
    column: &str,
    other_operators: bool,
    collated: bool,
) -> (Work, Option<String>) {
    for index in &table.indexes {
        let keyed = index
            .keys
            .iter()
            .any(|key| key.column.as_deref() == Some(column));
        let computed = index.keys.iter().any(|key| key.column.is_none());
        let named = keyed
            || index
                .keys
                .iter()
                .any(|key| key.columns.iter().any(|name| name == column))
            || index
                .predicate
                .as_ref()
                .is_some_and(|one| one.columns.iter().any(|name| name == column));
        let why = if keyed && collated {
            "it sorts by another collation"
        } else if keyed && other_operators {
            "it compares by other operators"
        } else if named && (computed || index.predicate.is_some()) {
            "it has an expression or a predicate"
        } else {
            continue;
        };
        return (
            Work::IndexRebuild,
            Some(format!("the index {} is built anew: {why}", index.name)),
        );
    }
    for constraint in &table.constraints {
        if let Constrains::Check { expression } = &constraint.kind
            && constraint.validated
            && expression.columns.iter().any(|name| name == column)
        {
            return (
                Work::Scan,
                Some(format!("the CHECK {} is checked again", constraint.name)),
            );
        }
    }
    (Work::None, None)
}

/// Foreign keys at either end are made anew; where the comparison changes, the
/// referencing rows are checked again.
fn foreign_keys(
    sink: &mut Sink<'_>,
    table: &Table,
    column: &str,
    other_type: bool,
    change: &TypeChange,
) {
    for constraint in &table.constraints {
        if let Constrains::ForeignKey { table: to, .. } = &constraint.kind
            && constraint.columns.iter().any(|name| name == column)
            && *to != table.name
        {
            sink.add(
                to,
                AccessExclusive,
                Work::None,
                Some(format!("the foreign key {} is made anew", constraint.name)),
            );
        }
    }
    let checked = other_type && matches!(change, TypeChange::Rewrite(_));
    for (from, constraint) in sink.state.referencing(&table.name) {
        let Constrains::ForeignKey { columns, .. } = &constraint.kind else {
            continue;
        };
        let concerned = columns.iter().any(|name| name == column)
            || (columns.is_empty()
                && table
                    .primary_key()
                    .is_some_and(|key| key.columns.iter().any(|name| name == column)));
        if !concerned || from.name == table.name {
            continue;
        }
        let work = if checked && constraint.validated && sink.stores(&from.name) {
            Work::Scan
        } else {
            Work::None
        };
        sink.add(
            &from.name,
            AccessExclusive,
            work,
            Some(format!("its foreign key {} is made anew", constraint.name)),
        );
    }
}
