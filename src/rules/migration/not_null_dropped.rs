//! DROP NOT NULL.

use super::support::around::altered;
use super::support::evidence;
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::AlterKind;

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `ALTER COLUMN … DROP NOT NULL` of a column that was there before
    /// the change.
    ///
    /// ## Why it matters
    ///
    /// Running programs that read the column may not expect a null, and a
    /// query with `NOT IN` over it answers differently. NOT NULL can be put
    /// back only after every null is gone.
    ///
    /// ## When it is wrong
    ///
    /// When programs are ready for nulls: it is a usual step of replacing a
    /// column. The rule is off unless it is asked for.
    ///
    /// ## References
    ///
    /// - [ALTER TABLE](https://www.postgresql.org/docs/current/sql-altertable.html)
    pub struct NotNullDropped = {
        id: "not-null-dropped",
        summary: "a column may be null from now on",
        level: Note,
        category: Compatibility,
        on: false,
        since: "0.1.0",
    }
}

impl MigrationRule for NotNullDropped {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let Some((alter, table)) = altered(step) else {
            return;
        };
        for command in &alter.commands {
            let AlterKind::DropNotNull { column } = &command.kind else {
                continue;
            };
            sink.report(
                format!("{column} of {table} may be null from now on"),
                "programs that read it may not expect a null",
                evidence::statement(step),
            )
            .span(command.span)
            .relation(&table)
            .object(column.as_str())
            .remedy(
                Remedy::new("release programs that read nulls first")
                    .note("NOT NULL can be put back only when no null is left."),
            );
        }
    }
}
