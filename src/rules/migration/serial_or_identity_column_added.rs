//! ADD COLUMN of a serial or identity column.

use super::support::add_column::{Filling, Rewrites};
use super::support::added::Added;
use crate::declare_migration_rule;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `ADD COLUMN` of a `serial` type or of an identity column.
    ///
    /// ## Why it matters
    ///
    /// Each row gets its own number of the sequence at once: the whole table and
    /// all its indexes are written anew under ACCESS EXCLUSIVE, and nobody can
    /// even read it until that is done.
    ///
    /// ## When it is wrong
    ///
    /// When nobody uses the table while the migration runs, or it is small.
    ///
    /// ## References
    ///
    /// - [Serial types](https://www.postgresql.org/docs/current/datatype-numeric.html#DATATYPE-SERIAL)
    /// - [ALTER TABLE: notes on adding columns](https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES)
    pub struct SerialOrIdentityColumnAdded = {
        id: "serial-or-identity-column-added",
        summary: "a serial or identity column is added, which rewrites the table",
        level: Critical,
        category: Locks,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for SerialOrIdentityColumnAdded {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        Added {
            message: |column, table| {
                format!("{column} is numbered by a sequence: {table} is written anew")
            },
            filling: |_| Filling::Sequence,
            title: "add a plain integer column, give it a sequence, and fill old rows in batches",
            note: |_| None,
        }
        .rewritten(step, Rewrites::Sequence, sink);
    }
}
