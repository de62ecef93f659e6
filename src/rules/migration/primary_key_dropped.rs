//! A primary key that goes or changes.

use super::support::around::{self, altered, columns_sql, listed};
use super::support::evidence;
use crate::catalog::ident::quote;
use crate::declare_migration_rule;
use crate::finding::Level;
use crate::finding::migration::Remedy;
use crate::migration::state::Qualified;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::{AlterKind, Command, Constraint, ConstraintKind};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds statements that drop the primary key of a table that was there
    /// before the change: by `DROP CONSTRAINT`, or by `DROP COLUMN` of one of
    /// its columns. When the change adds another primary key on other columns
    /// it is a note.
    ///
    /// ## Why it matters
    ///
    /// Without a primary key nothing keeps rows apart: duplicates get in,
    /// `INSERT … ON CONFLICT` on its columns fails, a foreign key cannot
    /// refer to the table, and logical replication cannot replicate UPDATE
    /// and DELETE of a published table: they fail at the publisher.
    ///
    /// ## When it is wrong
    ///
    /// When the table is about to be dropped, or another unique key serves
    /// all these purposes.
    ///
    /// ## References
    ///
    /// - [Primary keys](https://www.postgresql.org/docs/current/ddl-constraints.html#DDL-CONSTRAINTS-PRIMARY-KEYS)
    /// - [Replica identity](https://www.postgresql.org/docs/current/logical-replication-publication.html)
    pub struct PrimaryKeyDropped = {
        id: "primary-key-dropped",
        summary: "a table loses its primary key, or gets another one",
        level: Warning,
        category: Compatibility,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for PrimaryKeyDropped {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let Some((alter, table)) = altered(step) else {
            return;
        };
        let Some(key) = step
            .before
            .known(&table)
            .and_then(|table| table.primary_key())
        else {
            return;
        };
        let Some(command) = alter.commands.iter().find(|command| match &command.kind {
            AlterKind::DropConstraint { name, .. } => *name == key.name,
            AlterKind::DropColumn { column, .. } => key.columns.contains(column),
            _ => false,
        }) else {
            return;
        };
        if around::behind(step).any(|statement| around::drops(step, statement, &table)) {
            return;
        }
        let added = added(&alter.commands).or_else(|| {
            around::behind(step)
                .find_map(|statement| added(around::commands_on(step, statement, &table)))
        });
        if added.is_some_and(|added| added.columns == key.columns) {
            return;
        }
        let old = listed(&key.columns);
        let conflict = columns_sql(&key.columns);
        let message = match added {
            Some(added) if !added.columns.is_empty() => format!(
                "the primary key of {table} changes from {old} to {}",
                listed(&added.columns)
            ),
            Some(_) => format!("the primary key of {table} on {old} is replaced"),
            None => format!("the primary key of {table} on {old} is dropped"),
        };
        let why = if added.is_some() {
            format!("nothing keeps {old} unique any more, and ON CONFLICT ({conflict}) fails")
        } else {
            format!(
                "rows may be written twice, ON CONFLICT ({conflict}) fails, and UPDATE and DELETE fail where the table is published for logical replication"
            )
        };
        let level = if added.is_some() {
            Level::Note
        } else {
            Level::Warning
        };
        sink.report(message, why, evidence::statement(step))
            .span(command.span)
            .relation(&table)
            .object(key.name.as_str())
            .level(level)
            .remedy(keep_unique(&table, &key.name, &key.columns));
    }
}

/// The primary key that commands add.
fn added(commands: &[Command]) -> Option<&Constraint> {
    commands.iter().find_map(|command| match &command.kind {
        AlterKind::AddConstraint(constraint)
            if matches!(constraint.kind, ConstraintKind::PrimaryKey) =>
        {
            Some(&**constraint)
        }
        AlterKind::AddColumn { column, .. } => column
            .constraints
            .iter()
            .find(|constraint| matches!(constraint.kind, ConstraintKind::PrimaryKey)),
        _ => None,
    })
}

fn keep_unique(table: &Qualified, key: &str, columns: &[String]) -> Remedy {
    let index = format!("{}_{}_key", table.name, columns.join("_"));
    Remedy::new("keep the columns unique by an index of their own as long as programs rely on it")
        .then_outside(format!(
            "CREATE UNIQUE INDEX CONCURRENTLY {} ON {} ({})",
            quote(&index),
            table.sql(),
            columns_sql(columns)
        ))
        .then_apart(format!(
            "ALTER TABLE {} DROP CONSTRAINT {}",
            table.sql(),
            quote(key)
        ))
        .note(
            "If the table is published for logical replication: ALTER TABLE … REPLICA IDENTITY USING INDEX with that index.",
        )
}
