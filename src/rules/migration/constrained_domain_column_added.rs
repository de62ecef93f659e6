//! ADD COLUMN of a domain with constraints.

use super::support::add_column::{Filling, Rewrites};
use super::support::added::Added;
use crate::declare_migration_rule;
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
        Added {
            message: |column, table| {
                format!(
                    "the type of {column} is a domain with constraints: {table} is written anew"
                )
            },
            filling: |column| match column.default {
                Some(_) => Filling::Default,
                None => Filling::Backfill,
            },
            title: "add the column with the type that the domain is over, and a CHECK NOT VALID",
            note: |_| {
                Some(
                    "Add the domain's conditions as CHECK … NOT VALID of the table, and VALIDATE \
                     them in a migration of their own.",
                )
            },
        }
        .rewritten(step, Rewrites::Domain, sink);
    }
}
