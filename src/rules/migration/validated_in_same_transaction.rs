//! VALIDATE CONSTRAINT in the transaction that added it.

use super::support::altered::Altered;
use super::support::{evidence, lock};
use crate::catalog::ident::quote;
use crate::declare_migration_rule;
use crate::finding::Level;
use crate::finding::migration::Remedy;
use crate::migration::locks::Work;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::AlterKind;

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `VALIDATE CONSTRAINT` of a constraint that the same transaction
    /// added `NOT VALID`.
    ///
    /// ## Why it matters
    ///
    /// The lock that adding took (ACCESS EXCLUSIVE for a CHECK, SHARE ROW
    /// EXCLUSIVE on both tables for a foreign key) is held until the transaction
    /// ends, so the table is read under it all the same. Only validated in a
    /// transaction of its own the constraint lets reads and writes through.
    ///
    /// ## When it is wrong
    ///
    /// When nobody uses the table while the migration runs, or it is small. With
    /// sizes (`--snapshot`) small tables give a note only.
    ///
    /// ## References
    ///
    /// - [ALTER TABLE](https://www.postgresql.org/docs/current/sql-altertable.html)
    pub struct ValidatedInSameTransaction = {
        id: "validated-in-same-transaction",
        summary: "a NOT VALID constraint is validated in the transaction that adds it",
        level: Critical,
        category: Locks,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for ValidatedInSameTransaction {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let Some(altered) = Altered::of(step) else {
            return;
        };
        for (number, command) in altered.commands() {
            let AlterKind::ValidateConstraint { name } = &command.kind else {
                continue;
            };
            let added = altered
                .state
                .and_then(|table| table.constraint(name))
                .and_then(|constraint| constraint.added);
            let held = added
                .filter(|_| step.transaction.open)
                .and_then(|added| {
                    step.transaction
                        .earlier
                        .iter()
                        .rev()
                        .find(|(at, _, _)| *at == added)
                })
                .and_then(|(_, span, effects)| {
                    effects
                        .iter()
                        .filter(|effect| effect.relation == *altered.table)
                        .max_by_key(|effect| effect.mode)
                        .map(|effect| (effect, *span))
                });
            let Some((held, span)) = held else {
                continue;
            };
            let Some(effect) = altered.working(number, Work::Scan) else {
                continue;
            };
            let draft = lock::report(
                step,
                sink,
                effect,
                Level::Critical,
                format!(
                    "{name} is validated in the transaction that added it NOT VALID: {} is read \
                     under {}",
                    altered.table,
                    held.mode.name()
                ),
                format!(
                    "adding it took {} on {}, which is held until the transaction ends: {} while \
                     the whole table is read",
                    held.mode.name(),
                    altered.table,
                    lock::waits(held.mode, altered.table)
                ),
            )
            .span(command.span)
            .object(name.clone())
            .evidence(evidence::lock_at(span, held))
            .assumed(lock::assumed_transaction(step));
            draft.remedy(
                Remedy::new("validate it in a migration of its own").then_apart(format!(
                    "ALTER TABLE {} VALIDATE CONSTRAINT {}",
                    altered.sql,
                    quote(name)
                )),
            );
        }
    }
}
