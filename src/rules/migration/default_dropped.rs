//! DROP DEFAULT.

use super::support::around::altered;
use super::support::evidence;
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::AlterKind;

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `ALTER COLUMN … DROP DEFAULT` of a column that was there before
    /// the change.
    ///
    /// ## Why it matters
    ///
    /// Running programs that leave the column out of their INSERTs write
    /// nulls from then on, or fail where it is NOT NULL.
    ///
    /// ## When it is wrong
    ///
    /// When every program gives a value. The rule is off unless it is asked
    /// for.
    ///
    /// ## References
    ///
    /// - [ALTER TABLE](https://www.postgresql.org/docs/current/sql-altertable.html)
    pub struct DefaultDropped = {
        id: "default-dropped",
        summary: "a column loses its default",
        level: Note,
        category: Compatibility,
        on: false,
        since: "0.1.0",
    }
}

impl MigrationRule for DefaultDropped {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let Some((alter, table)) = altered(step) else {
            return;
        };
        for command in &alter.commands {
            let AlterKind::DropDefault { column } = &command.kind else {
                continue;
            };
            let known = step
                .before
                .known(&table)
                .and_then(|table| table.column(column));
            if known.is_some_and(|known| {
                known.default.is_none()
                    || known.added.is_some_and(|added| step.is_same_change(added))
            }) {
                continue;
            }
            let why = if known.is_some_and(|known| known.not_null) {
                "INSERTs that leave it out fail, as it is NOT NULL"
            } else {
                "INSERTs that leave it out write nulls"
            };
            sink.report(
                format!("{column} of {table} loses its default"),
                why,
                evidence::statement(step),
            )
            .span(command.span)
            .relation(&table)
            .object(column.as_str())
            .remedy(Remedy::new(
                "drop it after the release of programs that give a value",
            ));
        }
    }
}
