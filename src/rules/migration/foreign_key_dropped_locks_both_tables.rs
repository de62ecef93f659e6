//! Foreign keys dropped.

use super::support::lock;
use crate::declare_migration_rule;
use crate::finding::Level;
use crate::finding::migration::Remedy;
use crate::migration::state::Qualified;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::{Action, AlterKind, ObjectKind};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds statements that drop a foreign key (`DROP CONSTRAINT`, `DROP
    /// COLUMN`, `DROP TABLE`) and lock the table that it references in ACCESS
    /// EXCLUSIVE mode along with its own. Silent where a `lock_timeout` is in
    /// force.
    ///
    /// ## Why it matters
    ///
    /// The referenced table is often the busier one. The lock is held only
    /// briefly, but waits for every query that uses the table, and while it waits
    /// all later ones queue behind it. Two tables locked one after the other can
    /// also deadlock with transactions that use them the other way round.
    ///
    /// ## When it is wrong
    ///
    /// When no long transactions use the referenced table.
    ///
    /// ## References
    ///
    /// - [Explicit locking](https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES)
    /// - [lock_timeout](https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-LOCK-TIMEOUT)
    pub struct ForeignKeyDroppedLocksBothTables = {
        id: "foreign-key-dropped-locks-both-tables",
        summary: "dropping a foreign key locks the referenced table, too",
        level: Warning,
        category: Locks,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for ForeignKeyDroppedLocksBothTables {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        if !lock::is_judged(step) || step.transaction.lock_timeout.is_some() {
            return;
        }
        let dropped: Vec<Qualified> = match &step.statement.action {
            Action::Drop(drop) if drop.object == ObjectKind::Table => drop
                .names
                .iter()
                .map(|place| step.before.qualify(&place.name))
                .collect(),
            Action::Alter(alter)
                if alter.commands.iter().any(|command| {
                    matches!(
                        command.kind,
                        AlterKind::DropConstraint { .. } | AlterKind::DropColumn { .. }
                    )
                }) =>
            {
                vec![step.before.qualify(&alter.relation.name)]
            }
            _ => return,
        };
        let mut reported: Vec<&Qualified> = Vec::new();
        for effect in step.effects_in_use() {
            // The other end of a foreign key, either way round.
            let is_other = !dropped.contains(&effect.relation)
                && dropped.iter().any(|table| {
                    references(step, table, &effect.relation)
                        || references(step, &effect.relation, table)
                });
            if !is_other || !effect.mode.blocks_reads() || reported.contains(&&effect.relation) {
                continue;
            }
            reported.push(&effect.relation);
            lock::report(
                step,
                sink,
                effect,
                Level::Warning,
                format!("dropping the foreign key locks {} as well", effect.relation),
                lock::why_brief(effect),
            )
            .remedy(
                Remedy::new("drop the foreign key alone, with a short lock_timeout")
                    .then(lock::SET_TIMEOUT)
                    .note("Try again when the timeout strikes."),
            );
        }
    }
}

fn references(step: &Step<'_>, from: &Qualified, to: &Qualified) -> bool {
    step.before.known(from).is_some_and(|table| {
        table
            .constraints
            .iter()
            .any(|constraint| constraint.references(to))
    })
}
