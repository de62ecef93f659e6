//! Foreign keys of several tables in one transaction.

use super::support::{evidence, walk};
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::migration::state::Qualified;
use crate::rule::migration::{FileEnd, MigrationRule, MigrationSink};
use crate::sql::ddl::{Action, AlterKind, ConstraintKind};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds the second foreign key that one transaction adds to a table that was
    /// there before the change, when three or more tables are locked by both
    /// together. One finding a transaction.
    ///
    /// ## Why it matters
    ///
    /// Each foreign key locks two tables in SHARE ROW EXCLUSIVE mode, and all of
    /// these stay locked until the transaction ends: writes to the first wait for
    /// the last. Taking locks on many busy tables one by one also invites
    /// deadlocks with transactions that use them in another order.
    ///
    /// ## When it is wrong
    ///
    /// When nobody writes to these tables while the migration runs.
    ///
    /// ## References
    ///
    /// - [Explicit locking](https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES)
    pub struct SeveralForeignKeysInOneTransaction = {
        id: "several-foreign-keys-in-one-transaction",
        summary: "foreign keys of several tables are added in one transaction",
        level: Warning,
        category: Locks,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for SeveralForeignKeysInOneTransaction {
    fn file(&self, end: &FileEnd<'_>, sink: &mut MigrationSink) {
        if end.locked.is_empty() {
            return;
        }
        let places = walk::statements(end.number, end.file);
        let mut open: Option<usize> = None;
        let mut tables: Vec<&Qualified> = Vec::new();
        let mut keys = 0;
        for (at, span, effects) in end.locked {
            let Some(place) = walk::find(&places, *at) else {
                continue;
            };
            let Some(Action::Alter(alter)) =
                walk::statement(&places, *at).map(|statement| &statement.action)
            else {
                continue;
            };
            let added = alter
                .commands
                .iter()
                .filter(|command| {
                    matches!(&command.kind, AlterKind::AddConstraint(constraint)
                        if matches!(constraint.kind, ConstraintKind::ForeignKey { .. }))
                })
                .count();
            let child = end.after.qualify(&alter.relation.name);
            // One statement is a transaction, too.
            let transaction = place.transaction.filter(|_| added > 0);
            if added == 0 || !effects.iter().any(|effect| effect.relation == child) {
                continue;
            }
            if transaction.is_none() || transaction != open {
                open = transaction;
                tables.clear();
                keys = 0;
            }
            let before = keys;
            keys += added;
            for effect in effects {
                if effect.mode.blocks_writes() && !tables.contains(&&effect.relation) {
                    tables.push(&effect.relation);
                }
            }
            if before > 1 || keys < 2 || tables.len() < 3 {
                // Told already, or not yet worth telling.
                if tables.len() < 3 {
                    keys = keys.min(1);
                }
                continue;
            }
            let Some(effect) = effects.iter().find(|effect| effect.mode.blocks_writes()) else {
                continue;
            };
            let names: Vec<String> = tables.iter().map(ToString::to_string).collect();
            sink.report(
                format!(
                    "foreign keys added in one transaction keep {} locked together",
                    names.join(", ")
                ),
                "writes to all of these tables wait until the transaction ends, and locks taken \
                 one by one can deadlock with transactions that use the tables in another order",
                evidence::lock_at(*span, effect),
            )
            .at(*at, *span)
            .effect(effect)
            .remedy(Remedy::new(
                "add each foreign key in a migration of its own",
            ));
            keys = keys.max(2);
        }
    }
}
