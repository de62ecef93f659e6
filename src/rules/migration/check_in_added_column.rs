//! ADD COLUMN with a CHECK.

use super::support::add_column::Filling;
use super::support::added::Added;
use crate::declare_migration_rule;
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
        Added {
            message: |column, table| {
                format!("the CHECK of the added column {column} reads all of {table}")
            },
            filling: |_| Filling::Default,
            title: "add the column alone, then the CHECK NOT VALID, and validate it apart",
            note: |_| None,
        }
        .constrained(
            step,
            Work::Scan,
            |constraint| {
                matches!(constraint.kind, ConstraintKind::Check { .. }) && !constraint.not_enforced
            },
            sink,
        );
    }
}
