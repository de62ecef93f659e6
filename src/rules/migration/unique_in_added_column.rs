//! ADD COLUMN with UNIQUE or PRIMARY KEY.

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
        let Some(altered) = Altered::of(step) else {
            return;
        };
        for (number, _, column) in altered.added() {
            // A rewrite does this work on its way, and is found by itself.
            let Some(effect) = altered
                .working(number, Work::IndexBuild)
                .filter(|effect| effect.work != Work::Rewrite)
            else {
                continue;
            };
            let found = column.constraints.iter().find(|constraint| {
                matches!(
                    constraint.kind,
                    ConstraintKind::Unique { .. } | ConstraintKind::PrimaryKey
                )
            });
            let Some(constraint) = found else {
                continue;
            };
            let remedy = add_column::remedy(
                step,
                &altered,
                column,
                Filling::Default,
                "add the column alone, build the unique index CONCURRENTLY, and make it the constraint",
            );
            lock::report(
                step,
                sink,
                effect,
                Level::Critical,
                format!(
                    "the index of the added column {} is built while {} is locked",
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
