//! ADD PRIMARY KEY without an index that is there already.

use super::support::altered::Altered;
use super::support::{lock, partitions, safe};
use crate::declare_migration_rule;
use crate::finding::Level;
use crate::finding::migration::Remedy;
use crate::migration::locks::Work;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::{Constraint, ConstraintKind};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `ADD PRIMARY KEY` without `USING INDEX`, and with it where a column
    /// is not NOT NULL yet.
    ///
    /// ## Why it matters
    ///
    /// The unique index is built from the whole table while ACCESS EXCLUSIVE is
    /// held: nobody can even read the table until it is done. A unique index that
    /// was built `CONCURRENTLY` becomes the primary key without any work,
    /// provided that its columns are NOT NULL already: otherwise the whole table
    /// is read for NULLs.
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
    pub struct PrimaryKeyBuildsIndex = {
        id: "primary-key-builds-index",
        summary: "a PRIMARY KEY builds its index, or reads the table, under lock",
        level: Critical,
        category: Locks,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for PrimaryKeyBuildsIndex {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let Some(altered) = Altered::of(step) else {
            return;
        };
        for (number, command, constraint) in altered.constraints() {
            if !matches!(constraint.kind, ConstraintKind::PrimaryKey) {
                continue;
            }
            let Some(effect) = altered.working_alone(number, Work::Scan) else {
                continue;
            };
            let name = safe::constraint_name(&altered.table.name, constraint);
            if constraint.using_index.is_some() {
                let mut remedy = Remedy::new("make its columns NOT NULL first, without a scan");
                for column in nullable(&altered, constraint) {
                    remedy = safe::not_null(
                        remedy,
                        step.major(),
                        altered.sql,
                        &altered.table.name,
                        column,
                    );
                }
                lock::report(
                    step,
                    sink,
                    effect,
                    Level::Critical,
                    format!("the primary key reads all of {} for NULLs", altered.table),
                    lock::why_long(effect),
                )
                .span(command.span)
                .relation(altered.table)
                .object(name)
                .remedy(remedy);
                continue;
            }
            let remedy = if altered.is_partitioned() {
                partitions::unique(step, &altered, constraint, name.clone())
            } else {
                safe::outside(
                    step,
                    safe::using_index(
                        Remedy::new(
                            "build the unique index CONCURRENTLY, then make it the primary key",
                        ),
                        altered.sql,
                        &altered.table.name,
                        constraint,
                    ),
                )
            };
            let remedy = if nullable(&altered, constraint).is_empty() {
                remedy
            } else {
                remedy.note(
                    "Make the columns NOT NULL first, by a constraint that is validated apart: \
                     otherwise USING INDEX reads the whole table for NULLs.",
                )
            };
            lock::report(
                step,
                sink,
                effect,
                Level::Critical,
                format!(
                    "the index of the primary key is built while {} is locked",
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

/// Its columns that are known not to be NOT NULL.
fn nullable<'c>(altered: &Altered<'_, '_>, constraint: &'c Constraint) -> Vec<&'c String> {
    constraint
        .columns
        .iter()
        .filter(|column| {
            altered
                .state
                .and_then(|table| table.column(column))
                .is_some_and(|column| !column.not_null)
        })
        .collect()
}
