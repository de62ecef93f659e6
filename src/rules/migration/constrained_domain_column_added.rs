//! ADD COLUMN of a domain with constraints.

use super::support::add_column::{self, Filling, Rewrites};
use super::support::altered::Altered;
use super::support::lock;
use crate::declare_migration_rule;
use crate::finding::Level;
use crate::migration::locks::Work;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `ADD COLUMN` whose type is a domain with `CHECK` or `NOT NULL`.
    ///
    /// ## Why it matters
    ///
    /// PostgreSQL must check the domain's constraints for every row, even where
    /// the column is NULL, and does so by writing the whole table and all its
    /// indexes anew under ACCESS EXCLUSIVE. A plain type would need neither.
    ///
    /// ## When it is wrong
    ///
    /// When nobody uses the table while the migration runs, or it is small.
    ///
    /// ## References
    ///
    /// - [CREATE DOMAIN](https://www.postgresql.org/docs/current/sql-createdomain.html)
    /// - [ALTER TABLE: notes on adding columns](https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES)
    pub struct ConstrainedDomainColumnAdded = {
        id: "constrained-domain-column-added",
        summary: "a column of a domain with constraints is added, which rewrites the table",
        level: Critical,
        category: Locks,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for ConstrainedDomainColumnAdded {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let Some(altered) = Altered::of(step) else {
            return;
        };
        for (number, command, column) in altered.added() {
            let Some(effect) = altered.working(number, Work::Rewrite) else {
                continue;
            };
            if add_column::cause(step, column) != Some(Rewrites::Domain) {
                continue;
            }
            let remedy = add_column::remedy(
                step,
                &altered,
                column,
                if column.default.is_some() {
                    Filling::Default
                } else {
                    Filling::Backfill
                },
                "add the column with the type that the domain is over, and a CHECK NOT VALID",
            );
            let remedy = remedy.note(
                "Add the domain's conditions as CHECK … NOT VALID of the table, and VALIDATE them \
                 in a migration of their own.",
            );
            lock::report(
                step,
                sink,
                effect,
                Level::Critical,
                format!(
                    "the type of {} is a domain with constraints: {} is written anew",
                    column.name, altered.table
                ),
                lock::why_long(effect),
            )
            .span(command.span)
            .relation(altered.table)
            .object(column.name.clone())
            .remedy(add_column::and_others(step, &altered, number, remedy));
            // The columns of one statement are written in one pass.
            break;
        }
    }
}
