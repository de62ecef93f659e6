//! Brief changes under ACCESS EXCLUSIVE.

use super::support::brief::Brief;
use crate::declare_migration_rule;
use crate::rule::migration::{End, FileEnd, MigrationRule, MigrationSink};
use crate::sql::ddl::{Action, AlterKind, Name, ObjectKind, Statement};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds changes that read nothing, and yet lock a table that was there
    /// before the change in ACCESS EXCLUSIVE mode: policies, row security, rules,
    /// owner, replica identity, storage of a column. Silent where a
    /// `lock_timeout` is in force. One finding a change names all
    /// its tables.
    ///
    /// ## Why it matters
    ///
    /// The lock is held only briefly, but waits for every query that uses the
    /// table, and while it waits all later ones queue behind it.
    ///
    /// ## When it is wrong
    ///
    /// When no long transactions use the table.
    ///
    /// ## References
    ///
    /// - [Explicit locking](https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES)
    /// - [lock_timeout](https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-LOCK-TIMEOUT)
    pub struct BriefExclusiveLock = {
        id: "brief-exclusive-lock",
        summary: "a change that looks harmless takes ACCESS EXCLUSIVE",
        level: Note,
        category: Locks,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for BriefExclusiveLock {
    fn file(&self, end: &FileEnd<'_>, sink: &mut MigrationSink) {
        Brief::file(end, sink, changed);
    }

    fn end(&self, end: &End<'_>, sink: &mut MigrationSink) {
        Brief::end(end, sink, changed);
    }
}

/// The table that the statement changes, when it is one of those.
fn changed(statement: &Statement) -> Option<&Name> {
    match &statement.action {
        Action::CreatePolicy { table, .. }
        | Action::AlterPolicy { table, .. }
        | Action::CreateRule { table, .. } => Some(&table.name),
        Action::Drop(drop) if matches!(drop.object, ObjectKind::Policy | ObjectKind::Rule) => {
            drop.on.as_ref().map(|place| &place.name)
        }
        Action::Alter(alter)
            if !alter.commands.is_empty()
                && alter.commands.iter().all(|command| {
                    matches!(
                        command.kind,
                        AlterKind::EnableRowSecurity
                            | AlterKind::DisableRowSecurity
                            | AlterKind::ForceRowSecurity
                            | AlterKind::NoForceRowSecurity
                            | AlterKind::EnableRule
                            | AlterKind::DisableRule
                            | AlterKind::OwnerTo
                            | AlterKind::ReplicaIdentity { .. }
                            | AlterKind::SetStorage { .. }
                            | AlterKind::SetCompression { .. }
                    )
                }) =>
        {
            Some(&alter.relation.name)
        }
        _ => None,
    }
}
