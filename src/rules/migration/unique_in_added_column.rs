//! ADD COLUMN with UNIQUE or PRIMARY KEY.

use super::support::add_column::Filling;
use super::support::added::Added;
use crate::declare_migration_rule;
use crate::migration::locks::Work;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::ConstraintKind;

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `ADD COLUMN … UNIQUE` and `ADD COLUMN … PRIMARY KEY`.
    ///
    /// ## Why it matters
    ///
    /// The unique index is built at once, from the whole table, while ACCESS
    /// EXCLUSIVE is held: nobody can even read the table until it is done.
    ///
    /// ## When it is wrong
    ///
    /// When nobody uses the table while the migration runs, or it is small.
    ///
    /// ## References
    ///
    /// - [ALTER TABLE: notes on adding columns](https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES)
    /// - [Building indexes concurrently](https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY)
    pub struct UniqueInAddedColumn = {
        id: "unique-in-added-column",
        summary: "a column is added with UNIQUE or PRIMARY KEY, which builds an index under lock",
        level: Critical,
        category: Locks,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for UniqueInAddedColumn {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        Added {
            message: |column, table| {
                format!("the index of the added column {column} is built while {table} is locked")
            },
            filling: |_| Filling::Default,
            title: "add the column alone, build the unique index CONCURRENTLY, and make it the \
                    constraint",
            note: |_| None,
        }
        .constrained(
            step,
            Work::IndexBuild,
            |constraint| {
                matches!(
                    constraint.kind,
                    ConstraintKind::Unique { .. } | ConstraintKind::PrimaryKey
                )
            },
            sink,
        );
    }
}
