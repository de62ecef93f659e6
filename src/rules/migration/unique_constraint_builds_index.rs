//! ADD CONSTRAINT … UNIQUE without an index that is there already.

use super::support::altered::Altered;
use super::support::{lock, partitions, safe};
use crate::declare_migration_rule;
use crate::finding::Level;
use crate::finding::migration::Remedy;
use crate::migration::locks::Work;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::ConstraintKind;

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `ADD CONSTRAINT … UNIQUE` without `USING INDEX`.
    ///
    /// ## Why it matters
    ///
    /// The unique index is built from the whole table while ACCESS EXCLUSIVE is
    /// held: nobody can even read the table until it is done. A unique index that
    /// was built `CONCURRENTLY` becomes the constraint without any work.
    ///
    /// ## When it is wrong
    ///
    /// When nobody uses the table while the migration runs, or it is small. With
    /// sizes (`--snapshot`) small tables give a note only.
    ///
    /// ## References
    ///
    /// - [ALTER TABLE](https://www.postgresql.org/docs/current/sql-altertable.html)
    /// - [Building indexes concurrently](https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY)
    pub struct UniqueConstraintBuildsIndex = {
        id: "unique-constraint-builds-index",
        summary: "a UNIQUE constraint builds its index under lock",
        level: Critical,
        category: Locks,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for UniqueConstraintBuildsIndex {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let Some(altered) = Altered::of(step) else {
            return;
        };
        for (number, command, constraint) in altered.constraints() {
            if !matches!(constraint.kind, ConstraintKind::Unique { .. }) {
                continue;
            }
            let Some(effect) = altered.working_alone(number, Work::Scan) else {
                continue;
            };
            let name = safe::constraint_name(&altered.table.name, constraint);
            if constraint.using_index.is_some() {
                continue;
            }
            let remedy = if altered.is_partitioned() {
                partitions::unique(step, &altered, constraint, name.clone())
            } else {
                safe::outside(
                    step,
                    safe::using_index(
                        Remedy::new(
                            "build the unique index CONCURRENTLY, then make it the constraint",
                        ),
                        altered.sql,
                        &altered.table.name,
                        constraint,
                    ),
                )
            };
            lock::report(
                step,
                sink,
                effect,
                Level::Critical,
                format!(
                    "the index of the constraint {name} is built while {} is locked",
                    altered.table
                ),
                lock::why_long(effect),
            )
            .span(command.span)
            .relation(altered.table)
            .object(name)
            .remedy(remedy);
        }
    }
}
