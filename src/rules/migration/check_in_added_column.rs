//! ADD COLUMN with a CHECK.

use super::support::add_column::{self, Filling};
use super::support::altered::Altered;
use super::support::lock;
use crate::declare_migration_rule;
use crate::finding::Level;
use crate::migration::locks::Work;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::ConstraintKind;

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `ADD COLUMN … CHECK (…)`.
    ///
    /// ## Why it matters
    ///
    /// The condition is checked for every row, though all have the same value in
    /// the new column, while ACCESS EXCLUSIVE is held: nobody can even read the
    /// table until the last row was looked at.
    ///
    /// ## When it is wrong
    ///
    /// When nobody uses the table while the migration runs, or it is small.
    ///
    /// ## References
    ///
    /// - [ALTER TABLE: notes on adding columns](https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES)
    pub struct CheckInAddedColumn = {
        id: "check-in-added-column",
        summary: "a column is added with a CHECK, which reads the whole table",
        level: Critical,
        category: Locks,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for CheckInAddedColumn {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let Some(altered) = Altered::of(step) else {
            return;
        };
        for (number, _, column) in altered.added() {
            // A rewrite does this work on its way, and is found by itself.
            let Some(effect) = altered
                .working(number, Work::Scan)
                .filter(|effect| effect.work != Work::Rewrite)
            else {
                continue;
            };
            let found = column.constraints.iter().find(|constraint| {
                matches!(constraint.kind, ConstraintKind::Check { .. }) && !constraint.not_enforced
            });
            let Some(constraint) = found else {
                continue;
            };
            let remedy = add_column::remedy(
                step,
                &altered,
                column,
                Filling::Default,
                "add the column alone, then the CHECK NOT VALID, and validate it apart",
            );
            lock::report(
                step,
                sink,
                effect,
                Level::Critical,
                format!(
                    "the CHECK of the added column {} reads all of {}",
                    column.name, altered.table
                ),
                lock::why_long(effect),
            )
            .span(constraint.span)
            .relation(altered.table)
            .object(column.name.clone())
            .remedy(remedy);
        }
    }
}
