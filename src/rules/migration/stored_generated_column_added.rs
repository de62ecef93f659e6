//! ADD COLUMN of a stored generated column.

use super::support::add_column::{Filling, Rewrites};
use super::support::added::Added;
use crate::declare_migration_rule;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `ADD COLUMN … GENERATED ALWAYS AS (…) STORED` (before PostgreSQL 18
    /// the only kind).
    ///
    /// ## Why it matters
    ///
    /// Its value is computed and stored for every row at once: the whole table
    /// and all its indexes are written anew under ACCESS EXCLUSIVE, and nobody
    /// can even read it until that is done.
    ///
    /// ## When it is wrong
    ///
    /// When nobody uses the table while the migration runs, or it is small.
    ///
    /// ## References
    ///
    /// - [Generated columns](https://www.postgresql.org/docs/current/ddl-generated-columns.html)
    /// - [ALTER TABLE: notes on adding columns](https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES)
    pub struct StoredGeneratedColumnAdded = {
        id: "stored-generated-column-added",
        summary: "a stored generated column is added, which rewrites the table",
        level: Critical,
        category: Locks,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for StoredGeneratedColumnAdded {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        Added {
            message: |column, table| {
                format!("{column} is generated and stored: {table} is written anew")
            },
            filling: |_| Filling::Computed,
            title: "add a plain column that a trigger keeps, and fill old rows in batches",
            note: |major| {
                (major >= 18).then_some(
                    "A VIRTUAL column needs no rewrite, but no index can be built on it.",
                )
            },
        }
        .rewritten(step, Rewrites::Stored, sink);
    }
}
