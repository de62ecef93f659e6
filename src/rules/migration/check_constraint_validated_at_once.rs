//! ADD CONSTRAINT … CHECK without NOT VALID.

use super::support::altered::Altered;
use super::support::{lock, safe};
use crate::declare_migration_rule;
use crate::finding::Level;
use crate::finding::migration::Remedy;
use crate::migration::locks::Work;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::ConstraintKind;

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `ADD CONSTRAINT … CHECK` without `NOT VALID`.
    ///
    /// ## Why it matters
    ///
    /// Every row is checked while ACCESS EXCLUSIVE is held: nobody can even read
    /// the table meanwhile. Added `NOT VALID` it holds for new rows at once and
    /// costs nothing; `VALIDATE CONSTRAINT`, in a transaction of its own, then
    /// reads the table under a lock that lets reads and writes through.
    ///
    /// ## When it is wrong
    ///
    /// When nobody uses the table while the migration runs, or it is small. With
    /// sizes (`--snapshot`) small tables give a note only.
    ///
    /// ## References
    ///
    /// - [ALTER TABLE](https://www.postgresql.org/docs/current/sql-altertable.html)
    pub struct CheckConstraintValidatedAtOnce = {
        id: "check-constraint-validated-at-once",
        summary: "a CHECK is added and validated under one lock",
        level: Critical,
        category: Locks,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for CheckConstraintValidatedAtOnce {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let Some(altered) = Altered::of(step) else {
            return;
        };
        for (number, command, constraint) in altered.constraints() {
            if !matches!(constraint.kind, ConstraintKind::Check { .. }) || constraint.not_valid {
                continue;
            }
            let Some(effect) = altered.working_alone(number, Work::Scan) else {
                continue;
            };
            let name = safe::constraint_name(&altered.table.name, constraint);

            let remedy = safe::with_not_valid_fix(
                safe::not_valid(
                    Remedy::new("add it NOT VALID, and validate it in a migration of its own"),
                    step,
                    altered.sql,
                    &altered.table.name,
                    constraint,
                ),
                step,
                altered.sql,
                &name,
                constraint,
            );
            lock::report(
                step,
                sink,
                effect,
                Level::Critical,
                format!(
                    "adding the check {name} reads all of {} at once",
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
