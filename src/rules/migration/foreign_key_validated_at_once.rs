//! ADD FOREIGN KEY without NOT VALID on a table that was there before the change.

use super::support::altered::Altered;
use super::support::{lock, safe};
use crate::catalog::ident::quote;
use crate::declare_migration_rule;
use crate::finding::Level;
use crate::finding::migration::Remedy;
use crate::migration::locks::Work;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::{Constraint, ConstraintKind};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `ADD FOREIGN KEY` without `NOT VALID` on a table that was there
    /// before the change.
    ///
    /// ## Why it matters
    ///
    /// Every row is looked up in the referenced table while both tables are
    /// locked in SHARE ROW EXCLUSIVE mode: they can be read, but writes to either
    /// wait. Added `NOT VALID` it holds for new rows at once; `VALIDATE
    /// CONSTRAINT`, in a transaction of its own, then looks up the old rows and
    /// lets reads and writes through.
    ///
    /// Foreign keys of partitioned tables can be `NOT VALID` from PostgreSQL 18;
    /// before, they are added to each partition first.
    ///
    /// ## When it is wrong
    ///
    /// When nobody uses the table while the migration runs, or it is small. With
    /// sizes (`--snapshot`) small tables give a note only.
    ///
    /// ## References
    ///
    /// - [ALTER TABLE](https://www.postgresql.org/docs/current/sql-altertable.html)
    pub struct ForeignKeyValidatedAtOnce = {
        id: "foreign-key-validated-at-once",
        summary: "a foreign key is added and validated under one lock on both tables",
        level: Critical,
        category: Locks,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for ForeignKeyValidatedAtOnce {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let Some(altered) = Altered::of(step) else {
            return;
        };
        for (number, command, constraint) in altered.constraints() {
            if !matches!(constraint.kind, ConstraintKind::ForeignKey { .. }) || constraint.not_valid
            {
                continue;
            }
            let Some(effect) = altered.working_alone(number, Work::Scan) else {
                continue;
            };
            let name = safe::constraint_name(&altered.table.name, constraint);

            let remedy = if altered.is_partitioned() && step.major() < 18 {
                by_partition(step, &altered, constraint, &name)
            } else {
                safe::with_not_valid_fix(
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
                )
            };
            lock::report(
                step,
                sink,
                effect,
                Level::Critical,
                format!(
                    "adding the foreign key {name} reads all of {} while writes to both tables \
                     wait",
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

/// On each partition NOT VALID and validated; then on the table, which finds
/// them and reads nothing.
fn by_partition(
    step: &Step<'_>,
    altered: &Altered<'_, '_>,
    constraint: &Constraint,
    name: &str,
) -> Remedy {
    let text = safe::constraint_text(step, constraint);
    let quoted = quote(name);
    let mut remedy =
        Remedy::new("add it to each partition NOT VALID, validate these, then add it to the table");
    let children = altered
        .state
        .map(|table| table.children.as_slice())
        .unwrap_or_default();
    for child in children.iter().take(20) {
        let table = child.sql();
        remedy = remedy
            .then_apart(format!(
                "ALTER TABLE {table} ADD CONSTRAINT {quoted} {text} NOT VALID"
            ))
            .then_apart(format!("ALTER TABLE {table} VALIDATE CONSTRAINT {quoted}"));
    }
    if children.is_empty() || children.len() > 20 {
        remedy = remedy.note("The same for every other partition comes first.");
    }
    remedy
        .then_apart(format!(
            "ALTER TABLE {} ADD CONSTRAINT {quoted} {text}",
            altered.sql
        ))
        .note("A foreign key of a partitioned table cannot be NOT VALID before PostgreSQL 18.")
}
