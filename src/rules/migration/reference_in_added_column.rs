//! ADD COLUMN with a foreign key.

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
    /// Finds `ADD COLUMN … REFERENCES …`.
    ///
    /// ## Why it matters
    ///
    /// Both tables are locked at once: the one that gets the column in ACCESS
    /// EXCLUSIVE mode, the referenced one in SHARE ROW EXCLUSIVE mode, which
    /// blocks writes. With a default, every row is also looked up in the
    /// referenced table meanwhile; without one all rows are NULL, nothing is
    /// read, and the finding is a note.
    ///
    /// ## When it is wrong
    ///
    /// When nobody uses the tables while the migration runs, or they are small.
    ///
    /// ## References
    ///
    /// - [ALTER TABLE: notes on adding columns](https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES)
    pub struct ReferenceInAddedColumn = {
        id: "reference-in-added-column",
        summary: "a column is added with a foreign key",
        level: Critical,
        category: Locks,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for ReferenceInAddedColumn {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let Some(altered) = Altered::of(step) else {
            return;
        };
        for (number, _, column) in altered.added() {
            let Some(effect) = altered.working_alone(number, Work::None) else {
                continue;
            };
            let found = column
                .constraints
                .iter()
                .find(|constraint| matches!(constraint.kind, ConstraintKind::ForeignKey { .. }));
            let Some(constraint) = found else {
                continue;
            };
            // Without a default nothing is read, and a timeout bounds the wait.
            let brief = effect.work == Work::None || column.default.is_none();
            if brief && step.transaction.lock_timeout.is_some() {
                continue;
            }
            let remedy = add_column::remedy(
                step,
                &altered,
                column,
                Filling::Default,
                "add the column alone, then the foreign key NOT VALID, and validate it apart",
            );
            lock::report(
                step,
                sink,
                effect,
                if brief { Level::Note } else { Level::Critical },
                if brief {
                    format!(
                        "the foreign key of the added column {} locks both tables",
                        column.name
                    )
                } else {
                    format!(
                        "the foreign key of the added column {} reads all of {}",
                        column.name, altered.table
                    )
                },
                if brief {
                    format!(
                        "{}; the referenced table is locked in SHARE ROW EXCLUSIVE mode along with it",
                        lock::why_brief(effect)
                    )
                } else {
                    lock::why_long(effect)
                },
            )
            .span(constraint.span)
            .relation(altered.table)
            .object(column.name.clone())
            .remedy(remedy);
        }
    }
}
