//! Triggers changed on a table in use.

use std::collections::BTreeSet;

use super::support::{evidence, lock, walk};
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::migration::state::Qualified;
use crate::rule::migration::{FileEnd, MigrationRule, MigrationSink};
use crate::sql::ddl::{Action, AlterKind, Name, ObjectKind, Statement};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `CREATE TRIGGER`, `DROP TRIGGER`, `ENABLE TRIGGER` and `DISABLE
    /// TRIGGER` on a table that was there before the change, where no
    /// `lock_timeout` is in force. One finding a file and table.
    ///
    /// ## Why it matters
    ///
    /// Creating, enabling and disabling take SHARE ROW EXCLUSIVE, dropping takes
    /// ACCESS EXCLUSIVE. The lock is held only briefly, but waits for
    /// transactions that use the table, and while it waits later ones queue
    /// behind it.
    ///
    /// ## When it is wrong
    ///
    /// When no long transactions use the table.
    ///
    /// ## References
    ///
    /// - [Explicit locking](https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES)
    /// - [lock_timeout](https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-LOCK-TIMEOUT)
    pub struct TriggerChangedOnBusyTable = {
        id: "trigger-changed-on-busy-table",
        summary: "creating or dropping a trigger locks its table",
        level: Note,
        category: Locks,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for TriggerChangedOnBusyTable {
    fn file(&self, end: &FileEnd<'_>, sink: &mut MigrationSink) {
        if end.locked.is_empty() {
            return;
        }
        let places = walk::statements(end.number, end.file);
        let mut seen: BTreeSet<&Qualified> = BTreeSet::new();
        for (at, span, effects) in end.locked {
            let (Some(place), Some(statement)) =
                (walk::find(&places, *at), walk::statement(&places, *at))
            else {
                continue;
            };
            let Some(table) = changed(statement).filter(|_| !place.lock_timeout) else {
                continue;
            };
            let table = end.after.qualify(table);
            let Some(effect) = effects
                .iter()
                .filter(|effect| effect.relation == table && effect.mode.blocks_writes())
                .max_by_key(|effect| effect.mode)
            else {
                continue;
            };
            // One finding a file and table says it.
            if !seen.insert(&effect.relation) {
                continue;
            }
            sink.report(
                format!(
                    "{} takes {} on {}, and no lock_timeout is set",
                    statement.verb,
                    effect.mode.name(),
                    effect.relation
                ),
                lock::why_brief(effect),
                evidence::lock_at(*span, effect),
            )
            .at(*at, *span)
            .effect(effect)
            .remedy(
                Remedy::new("bound the wait, and try again when the timeout strikes")
                    .then(lock::SET_TIMEOUT),
            );
        }
    }
}

/// The table whose triggers the statement changes.
fn changed(statement: &Statement) -> Option<&Name> {
    match &statement.action {
        Action::CreateTrigger(trigger) => Some(&trigger.table.name),
        Action::Drop(drop) if drop.object == ObjectKind::Trigger => {
            drop.on.as_ref().map(|place| &place.name)
        }
        Action::Alter(alter)
            if alter.commands.iter().all(|command| {
                matches!(
                    command.kind,
                    AlterKind::EnableTrigger(_) | AlterKind::DisableTrigger(_)
                )
            }) =>
        {
            Some(&alter.relation.name)
        }
        _ => None,
    }
}
