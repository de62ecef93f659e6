//! ADD COLUMN of a serial or identity column.

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
        let Some(altered) = Altered::of(step) else {
            return;
        };
        for (number, command, column) in altered.added() {
            let Some(effect) = altered.working(number, Work::Rewrite) else {
                continue;
            };
            if add_column::cause(step, column) != Some(Rewrites::Sequence) {
                continue;
            }
            let remedy = add_column::remedy(
                step,
                &altered,
                column,
                Filling::Sequence,
                "add a plain integer column, give it a sequence, and fill old rows in batches",
            );
            lock::report(
                step,
                sink,
                effect,
                Level::Critical,
                format!(
                    "{} is numbered by a sequence: {} is written anew",
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
