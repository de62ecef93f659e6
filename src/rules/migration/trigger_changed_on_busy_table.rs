//! Triggers changed on a table in use.

use super::support::brief::Brief;
use crate::declare_migration_rule;
use crate::rule::migration::{End, FileEnd, MigrationRule, MigrationSink};
use crate::sql::ddl::{Action, AlterKind, Name, ObjectKind, Statement};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `CREATE TRIGGER`, `DROP TRIGGER`, `ENABLE TRIGGER` and `DISABLE
    /// TRIGGER` on a table that was there before the change, where no
    /// `lock_timeout` is in force. One finding a change names all
    /// its tables.
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
        Brief::file(end, sink, changed);
    }

    fn end(&self, end: &End<'_>, sink: &mut MigrationSink) {
        Brief::end(end, sink, changed);
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
