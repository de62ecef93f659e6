//! DROP COLUMN of a column that was there before the change.

use super::support::around::{altered, listed};
use super::support::evidence;
use crate::catalog::ident::quote;
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::finding::{Evidence, Origin, Value};
use crate::migration::state::{Constrains, Owner, Table};
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::AlterKind;

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `DROP COLUMN` of a column that was there before the change, and
    /// names what goes with it without a word: indexes that contain it, and
    /// constraints on it.
    ///
    /// Indexes and constraints on several columns go, too, when one of the
    /// columns is dropped.
    ///
    /// ## Why it matters
    ///
    /// The values are gone, and running programs that name the column fail:
    /// during a deployment old and new programs run side by side, and many
    /// object mappers name every column. A UNIQUE constraint over several
    /// columns that goes silently lets duplicates in.
    ///
    /// ## When it is wrong
    ///
    /// When the last release already stopped using the column.
    ///
    /// ## References
    ///
    /// - [ALTER TABLE](https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-DROP-COLUMN)
    pub struct ColumnDropped = {
        id: "column-dropped",
        summary: "a column is dropped, with its values and all that is built on it",
        level: Warning,
        category: Compatibility,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for ColumnDropped {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let Some((alter, table)) = altered(step) else {
            return;
        };
        let known = step.before.known(&table);
        for command in &alter.commands {
            let AlterKind::DropColumn {
                column, if_exists, ..
            } = &command.kind
            else {
                continue;
            };
            if let Some(known) = known {
                match known.column(column) {
                    Some(there) if there.added.is_some_and(|added| step.is_same_change(added)) => {
                        continue;
                    }
                    None if *if_exists && known.created.is_some() => continue,
                    _ => {}
                }
            }
            let goes = known.map_or_else(Vec::new, |known| goes_with(step, known, column));
            let mut why = String::from(
                "its values are lost, and programs that still name it fail from then on",
            );
            if !goes.is_empty() {
                why.push_str(&format!("; with it go {}", listed(&goes)));
            }
            let views = known.map_or_else(Vec::new, |known| known.read_by.clone());
            if !views.is_empty() {
                why.push_str(&format!(
                    ". {} read the table: where they use the column, the statement fails, or drops them with CASCADE",
                    listed(&views)
                ));
            }
            let mut remedy =
                Remedy::new("drop it one release after the last program stopped using it");
            if known
                .and_then(|known| known.column(column))
                .is_some_and(|there| there.not_null && there.default.is_none() && !there.identity)
                && known
                    .and_then(Table::primary_key)
                    .is_none_or(|key| !key.columns.contains(column))
            {
                remedy = remedy
                    .then(format!(
                        "ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL",
                        table.sql(),
                        quote(column)
                    ))
                    .note("Without NOT NULL, new programs can insert rows that leave it out.")
                    .then_apart(format!(
                        "ALTER TABLE {} DROP COLUMN {}",
                        table.sql(),
                        quote(column)
                    ));
            }
            let mut draft = sink
                .report(
                    format!("{column} of {table} is dropped"),
                    why,
                    evidence::statement(step),
                )
                .span(command.span)
                .relation(&table)
                .object(column.as_str());
            for thing in goes {
                draft = draft.evidence(Evidence::new(
                    "dropped with it",
                    Value::Text(thing),
                    Origin::Catalog(table.to_string()),
                ));
            }
            draft.remedy(remedy);
        }
    }
}

/// Indexes and constraints that contain the column.
fn goes_with(step: &Step<'_>, table: &Table, column: &str) -> Vec<String> {
    let mut goes = Vec::new();
    for constraint in &table.constraints {
        let others: Vec<&str> = constraint
            .columns
            .iter()
            .map(String::as_str)
            .filter(|other| *other != column)
            .collect();
        if others.len() == constraint.columns.len() {
            continue;
        }
        let kind = match &constraint.kind {
            Constrains::NotNull => continue,
            Constrains::PrimaryKey => "the primary key".to_owned(),
            Constrains::Unique => "the UNIQUE constraint".to_owned(),
            Constrains::Check { .. } => "the CHECK constraint".to_owned(),
            Constrains::ForeignKey { table, .. } => format!("the foreign key to {table}"),
            Constrains::Exclusion => "the exclusion constraint".to_owned(),
        };
        let also = if others.is_empty() {
            String::new()
        } else {
            format!(" (on {}, too)", listed(&others))
        };
        goes.push(format!("{kind} {}{also}", constraint.name));
    }
    for index in &table.indexes {
        let named = index
            .keys
            .iter()
            .any(|key| key.columns.iter().any(|name| name == column))
            || index.include.iter().any(|name| name == column)
            || index
                .predicate
                .as_ref()
                .is_some_and(|predicate| predicate.columns.iter().any(|name| name == column));
        if index.owner == Owner::Index && named {
            goes.push(format!("the index {}", index.name));
        }
    }
    for (from, constraint) in step.before.referencing(&table.name) {
        let referenced = match &constraint.kind {
            Constrains::ForeignKey { columns, .. } if !columns.is_empty() => columns.as_slice(),
            _ => table
                .primary_key()
                .map_or(&[][..], |key| key.columns.as_slice()),
        };
        if from.name != table.name && referenced.iter().any(|name| name == column) {
            goes.push(format!(
                "(only with CASCADE) the foreign key {} of {}",
                constraint.name, from.name
            ));
        }
    }
    goes
}
