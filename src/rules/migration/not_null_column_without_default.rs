//! ADD COLUMN NOT NULL without a default.

use super::support::add_column::{self, Filling};
use super::support::altered::Altered;
use super::support::evidence;
use crate::declare_migration_rule;
use crate::finding::{Evidence, Level, Origin, Value};
use crate::rule::migration::{MigrationRule, MigrationSink, Step};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `ADD COLUMN … NOT NULL` (or `PRIMARY KEY`) without a default on a
    /// table that was there before the change.
    ///
    /// ## Why it matters
    ///
    /// The old rows would have NULL in the new column, so that the statement
    /// fails as soon as the table has one row; it works on the empty databases of
    /// tests. Programs of the last release that insert without the column fail as
    /// well.
    ///
    /// ## When it is wrong
    ///
    /// When the table is empty. With sizes (`--snapshot`) tables known to be
    /// empty are left alone.
    ///
    /// ## References
    ///
    /// - [Adding a column](https://www.postgresql.org/docs/current/ddl-alter.html#DDL-ALTER-ADDING-A-COLUMN)
    pub struct NotNullColumnWithoutDefault = {
        id: "not-null-column-without-default",
        summary: "a NOT NULL column without a default is added: fails when the table has rows",
        level: Warning,
        category: Failure,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for NotNullColumnWithoutDefault {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let Some(altered) = Altered::of(step) else {
            return;
        };
        for (_, command, column) in altered.added() {
            let is_filled = column.default.as_ref().is_some_and(|default| !default.null)
                || column.identity
                || column.generated.is_some()
                || column.type_name.as_ref().is_some_and(|type_name| {
                    type_name.serial
                        || step
                            .before
                            .domain(&type_name.base)
                            .is_some_and(|domain| domain.default)
                });
            if !column.not_null || is_filled {
                continue;
            }
            let rows = altered
                .state
                .and_then(|table| table.rows)
                .filter(|rows| *rows > 0.0);
            let level = if rows.is_some() {
                Level::Critical
            } else {
                Level::Warning
            };
            let remedy = add_column::remedy(
                step,
                &altered,
                column,
                Filling::Backfill,
                "add it without NOT NULL, fill it, then make it NOT NULL",
            )
            .note("Or give it a DEFAULT: a constant one costs nothing.");
            let draft = sink
                .report(
                    format!(
                        "{} is NOT NULL and has no default: it cannot be added to {} when that \
                         has rows",
                        column.name, altered.table
                    ),
                    "the rows that are there would have NULL in it, so that the statement fails",
                    evidence::statement(step),
                )
                .level(level)
                .span(command.span)
                .relation(altered.table)
                .object(column.name.clone())
                .remedy(remedy);
            if let Some(rows) = rows {
                draft.evidence(Evidence::new(
                    "rows",
                    Value::Rows(rows),
                    Origin::Catalog(altered.table.to_string()),
                ));
            }
        }
    }
}
