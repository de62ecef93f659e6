//! DROP CONSTRAINT of a constraint that was there before the change.

use super::support::around::{self, altered, columns_sql, listed};
use super::support::evidence;
use crate::catalog::ident::quote;
use crate::declare_migration_rule;
use crate::finding::Level;
use crate::finding::migration::Remedy;
use crate::migration::state::{Constrains, ConstraintState, Qualified};
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::{AlterKind, Command, ConstraintKind, Referential};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `DROP CONSTRAINT` of a foreign key, UNIQUE, CHECK or exclusion
    /// constraint that was there before the change. Silent when the change
    /// puts another one of the same kind on the same columns, or drops the
    /// table or the columns, too.
    ///
    /// It is a warning where foreign keys of other tables rely on it.
    ///
    /// ## Why it matters
    ///
    /// What the constraint guaranteed no longer holds for new rows, and it
    /// can only be put back when no row breaks it by then. `INSERT … ON
    /// CONFLICT` on the columns of a dropped UNIQUE constraint fails. A
    /// UNIQUE constraint takes its index along, which queries may need.
    ///
    /// ## When it is wrong
    ///
    /// When nothing relies on the guarantee any more.
    ///
    /// ## References
    ///
    /// - [ALTER TABLE](https://www.postgresql.org/docs/current/sql-altertable.html)
    /// - [INSERT … ON CONFLICT](https://www.postgresql.org/docs/current/sql-insert.html#SQL-ON-CONFLICT)
    pub struct ConstraintDropped = {
        id: "constraint-dropped",
        summary: "a constraint is dropped, and what it guaranteed no longer holds",
        level: Note,
        category: Compatibility,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for ConstraintDropped {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let Some((alter, table)) = altered(step) else {
            return;
        };
        let Some(known) = step.before.known(&table) else {
            return;
        };
        for command in &alter.commands {
            let AlterKind::DropConstraint { name, .. } = &command.kind else {
                continue;
            };
            let Some(constraint) = known.constraint(name) else {
                continue;
            };
            if matches!(
                constraint.kind,
                Constrains::PrimaryKey | Constrains::NotNull
            ) || constraint
                .added
                .is_some_and(|added| step.is_same_change(added))
                || is_moot(step, &alter.commands, &table, constraint)
            {
                continue;
            }
            let relying: Vec<String> = step
                .before
                .referencing(&table)
                .into_iter()
                .filter(|(_, key)| {
                    matches!(constraint.kind, Constrains::Unique)
                        && matches!(&key.kind, Constrains::ForeignKey { columns, .. }
                            if same_set(columns, &constraint.columns))
                })
                .map(|(from, key)| format!("{} of {}", key.name, from.name))
                .collect();
            let columns = listed(&constraint.columns);
            let (kind, lost) = match &constraint.kind {
                Constrains::ForeignKey { table: to, .. } => (
                    format!("the foreign key on {columns} to {to}"),
                    format!("rows of {table} may refer to rows of {to} that do not exist"),
                ),
                Constrains::Unique => (
                    format!("the UNIQUE constraint on {columns}"),
                    "duplicates may be written, ON CONFLICT on these columns fails, and its index is gone"
                        .to_owned(),
                ),
                Constrains::Exclusion => (
                    format!("the exclusion constraint on {columns}"),
                    "rows that exclude each other may be written, and its index is gone".to_owned(),
                ),
                _ => (
                    "the CHECK constraint".to_owned(),
                    "rows that break it may be written".to_owned(),
                ),
            };
            let why = if relying.is_empty() {
                format!("{lost}; it can only be put back when no row breaks it")
            } else {
                format!(
                    "the foreign keys {} rely on it: the statement fails, or drops them with CASCADE",
                    listed(&relying)
                )
            };
            let draft = sink
                .report(
                    format!("{kind}, {name}, is dropped from {table}"),
                    why,
                    evidence::statement(step),
                )
                .span(command.span)
                .relation(&table)
                .object(name.as_str())
                .remedy(put_back(&table, constraint));
            if !relying.is_empty() {
                draft.level(Level::Warning);
            }
        }
    }
}

fn same_set(a: &[String], b: &[String]) -> bool {
    a.len() == b.len() && a.iter().all(|column| b.contains(column))
}

/// Whether the same change replaces the constraint, or drops what it is on.
fn is_moot(
    step: &Step<'_>,
    own: &[Command],
    table: &Qualified,
    constraint: &ConstraintState,
) -> bool {
    let replaced = |command: &Command| match &command.kind {
        AlterKind::AddConstraint(added) => {
            let same_kind = matches!(
                (&added.kind, &constraint.kind),
                (
                    ConstraintKind::Unique { .. } | ConstraintKind::PrimaryKey,
                    Constrains::Unique
                ) | (ConstraintKind::Check { .. }, Constrains::Check { .. })
                    | (
                        ConstraintKind::ForeignKey { .. },
                        Constrains::ForeignKey { .. }
                    )
                    | (ConstraintKind::Exclusion { .. }, Constrains::Exclusion)
            );
            same_kind
                && (added.name.as_deref() == Some(&constraint.name)
                    || added.using_index.is_some()
                    || same_set(&added.columns, &constraint.columns))
        }
        AlterKind::DropColumn { column, .. } => constraint.columns.contains(column),
        _ => false,
    };
    if own.iter().any(replaced) {
        return true;
    }
    let refers_to = match &constraint.kind {
        Constrains::ForeignKey { table, .. } => Some(table),
        _ => None,
    };
    around::behind(step).any(|statement| {
        around::commands_on(step, statement, table)
            .iter()
            .any(replaced)
            || around::drops(step, statement, table)
            || refers_to.is_some_and(|to| around::drops(step, statement, to))
            || (matches!(constraint.kind, Constrains::Unique)
                && matches!(&statement.action, crate::sql::ddl::Action::CreateIndex(index)
                if index.unique
                    && around::is(step, &index.table.name, table)
                    && same_set(
                        &index.keys.iter().filter_map(|key| key.column.clone()).collect::<Vec<_>>(),
                        &constraint.columns,
                    )))
    })
}

/// How to put it back, if that is wanted later.
fn put_back(table: &Qualified, constraint: &ConstraintState) -> Remedy {
    let remedy = Remedy::new("drop it only after nothing relies on what it guarantees");
    let (table, name) = (table.sql(), quote(&constraint.name));
    let columns = columns_sql(&constraint.columns);
    match &constraint.kind {
        Constrains::ForeignKey {
            table: to,
            columns: referenced,
            on_delete,
            on_update,
        } => {
            let referenced = if referenced.is_empty() {
                String::new()
            } else {
                format!(" ({})", columns_sql(referenced))
            };
            let mut actions = String::new();
            for (event, action) in [("UPDATE", on_update), ("DELETE", on_delete)] {
                if let Some(action) = action.filter(|action| *action != Referential::NoAction) {
                    actions.push_str(&format!(" ON {event} {}", action.sql()));
                }
            }
            remedy
                .note("To put it back later: the SQL of the next steps.")
                .then_apart(format!(
                    "ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY ({columns}) REFERENCES {}{referenced}{actions} NOT VALID",
                    to.sql()
                ))
                .then_apart(format!("ALTER TABLE {table} VALIDATE CONSTRAINT {name}"))
        }
        _ => remedy,
    }
}
