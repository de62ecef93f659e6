//! Brief changes under ACCESS EXCLUSIVE.

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
    /// Finds changes that read nothing, and yet lock a table that was there
    /// before the change in ACCESS EXCLUSIVE mode: policies, row security, rules,
    /// owner, replica identity, storage of a column. Silent where a
    /// `lock_timeout` is in force. One finding a file and table.
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
