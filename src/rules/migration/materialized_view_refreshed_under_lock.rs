//! REFRESH MATERIALIZED VIEW without CONCURRENTLY.

use super::support::{lock, safe};
use crate::declare_migration_rule;
use crate::finding::Level;
use crate::finding::migration::Remedy;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::Action;

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `REFRESH MATERIALIZED VIEW` without `CONCURRENTLY` of a view that
    /// was there before the change.
    ///
    /// ## Why it matters
    ///
    /// The view is locked in ACCESS EXCLUSIVE mode for as long as its query runs,
    /// so that nobody can read it. `CONCURRENTLY` lets reads through; it needs a
    /// unique index on plain columns, without WHERE.
    ///
    /// ## When it is wrong
    ///
    /// When nobody reads the view while the migration runs.
    ///
    /// ## References
    ///
    /// - [REFRESH MATERIALIZED VIEW](https://www.postgresql.org/docs/current/sql-refreshmaterializedview.html)
    pub struct MaterializedViewRefreshedUnderLock = {
        id: "materialized-view-refreshed-under-lock",
        summary: "a materialised view cannot be read while it is refreshed",
        level: Warning,
        category: Locks,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for MaterializedViewRefreshedUnderLock {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let Action::Refresh {
            name,
            concurrently: false,
            no_data: false,
        } = &step.statement.action
        else {
            return;
        };
        let view = step.before.qualify(name);
        let Some(effect) = step
            .effect_of(0, &view)
            .filter(|effect| effect.mode.blocks_reads() && lock::is_judged(step))
        else {
            return;
        };
        let refresh = format!("REFRESH MATERIALIZED VIEW CONCURRENTLY {}", name.sql());
        let unique = step.before.known(&view).map(|view| {
            view.indexes.iter().find(|index| {
                index.unique
                    && index.valid
                    && index.predicate.is_none()
                    && index.keys.iter().all(|key| key.column.is_some())
            })
        });
        let mut remedy = Remedy::new("refresh it CONCURRENTLY");
        if matches!(unique, Some(None)) {
            remedy = remedy
                .then_outside(format!(
                    "CREATE UNIQUE INDEX CONCURRENTLY ON {} (…)",
                    name.sql()
                ))
                .note("It has no unique index yet, which CONCURRENTLY needs.");
            remedy = safe::outside(step, remedy.then_apart(refresh));
        } else {
            remedy = remedy.then(refresh);
            remedy = match unique.flatten() {
                Some(index) => remedy.note(format!("It has the unique index {}.", index.name)),
                None => remedy.note("CONCURRENTLY needs a unique index on the view."),
            };
        }
        lock::report(
            step,
            sink,
            effect,
            Level::Warning,
            format!("{view} cannot be read while it is refreshed"),
            "every query of it waits, SELECT included, for as long as its own query runs",
        )
        .remedy(remedy);
    }
}
