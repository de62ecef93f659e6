//! SET NOT NULL without proof.

use super::support::altered::Altered;
use super::support::{lock, safe};
use crate::declare_migration_rule;
use crate::finding::Level;
use crate::finding::migration::Remedy;
use crate::migration::locks::Work;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::{AlterKind, ConstraintKind};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `ALTER COLUMN … SET NOT NULL`, and from PostgreSQL 18 `ADD
    /// CONSTRAINT … NOT NULL`, where nothing proves yet that the column holds no
    /// NULL.
    ///
    /// ## Why it matters
    ///
    /// The whole table is read under ACCESS EXCLUSIVE: nobody can even read it
    /// meanwhile.
    ///
    /// A validated `CHECK (column IS NOT NULL)` is proof since PostgreSQL 12:
    /// then nothing is read. It is added `NOT VALID` and validated in a migration
    /// of its own, under a lock that lets reads and writes through. From 18 the
    /// NOT NULL itself can be `NOT VALID`.
    ///
    /// ## When it is wrong
    ///
    /// When nobody uses the table while the migration runs, or it is small. With
    /// sizes (`--snapshot`) small tables give a note only.
    ///
    /// ## References
    ///
    /// - [ALTER TABLE: notes](https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES)
    pub struct NotNullSetWithScan = {
        id: "not-null-set-with-scan",
        summary: "NOT NULL is set by reading the whole table under lock",
        level: Critical,
        category: Locks,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for NotNullSetWithScan {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let Some(altered) = Altered::of(step) else {
            return;
        };
        for (number, command) in altered.commands() {
            let column = match &command.kind {
                AlterKind::SetNotNull { column } => column,
                AlterKind::AddConstraint(constraint)
                    if matches!(constraint.kind, ConstraintKind::NotNull)
                        && !constraint.not_valid =>
                {
                    match constraint.columns.first() {
                        Some(column) => column,
                        None => continue,
                    }
                }
                _ => continue,
            };
            // A rewrite looks at every row anyway, and is found by itself.
            let Some(effect) = altered.working_alone(number, Work::Scan) else {
                continue;
            };
            let remedy = safe::not_null(
                Remedy::new("prove it by a constraint that is validated apart"),
                step.major(),
                altered.sql,
                &altered.table.name,
                column,
            );
            lock::report(
                step,
                sink,
                effect,
                Level::Critical,
                format!("setting {column} NOT NULL reads all of {}", altered.table),
                lock::why_long(effect),
            )
            .span(command.span)
            .relation(altered.table)
            .object(column.clone())
            .remedy(remedy);
        }
    }
}
