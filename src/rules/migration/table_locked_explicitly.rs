//! LOCK TABLE.

use super::support::lock;
use crate::declare_migration_rule;
use crate::finding::Level;
use crate::finding::migration::Remedy;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::Action;

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `LOCK TABLE` in a mode that blocks writes or reads of a table that
    /// was there before the change.
    ///
    /// ## Why it matters
    ///
    /// The lock is held until the transaction ends, over everything that comes
    /// behind it.
    ///
    /// ## When it is wrong
    ///
    /// When the lock is the point, as before a swap of names, and little comes
    /// behind it.
    ///
    /// ## References
    ///
    /// - [LOCK](https://www.postgresql.org/docs/current/sql-lock.html)
    /// - [Explicit locking](https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES)
    pub struct TableLockedExplicitly = {
        id: "table-locked-explicitly",
        summary: "LOCK TABLE blocks writes, or reads, until the transaction ends",
        level: Warning,
        category: Locks,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for TableLockedExplicitly {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let Action::Lock { tables, .. } = &step.statement.action else {
            return;
        };
        if !lock::is_judged(step) {
            return;
        }
        for place in tables {
            let table = step.before.qualify(&place.name);
            let Some(effect) = step
                .effect_of(0, &table)
                .filter(|effect| effect.mode.blocks_writes())
            else {
                continue;
            };
            lock::report(
                step,
                sink,
                effect,
                Level::Warning,
                format!(
                    "{table} is locked in {} mode until the transaction ends",
                    effect.mode.name()
                ),
                format!("{} until then", lock::waits(effect.mode, &table)),
            )
            .span(place.span)
            .remedy(
                Remedy::new("take the weakest lock that does, last of all, and bound the wait")
                    .then(lock::SET_TIMEOUT),
            );
        }
    }
}
