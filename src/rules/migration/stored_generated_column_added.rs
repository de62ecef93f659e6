//! ADD COLUMN of a stored generated column.

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
        let Some(altered) = Altered::of(step) else {
            return;
        };
        for (number, command, column) in altered.added() {
            let Some(effect) = altered.working(number, Work::Rewrite) else {
                continue;
            };
            if add_column::cause(step, column) != Some(Rewrites::Stored) {
                continue;
            }
            let remedy = add_column::remedy(
                step,
                &altered,
                column,
                Filling::Computed,
                "add a plain column that a trigger keeps, and fill old rows in batches",
            );
            let remedy = if step.major() >= 18 {
                remedy.note("A VIRTUAL column needs no rewrite, but no index can be built on it.")
            } else {
                remedy
            };
            lock::report(
                step,
                sink,
                effect,
                Level::Critical,
                format!(
                    "{} is generated and stored: {} is written anew",
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
