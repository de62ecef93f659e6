//! REINDEX without CONCURRENTLY.

use super::support::{evidence, lock, safe, size};
use crate::declare_migration_rule;
use crate::finding::Level;
use crate::finding::migration::Remedy;
use crate::migration::locks::Work;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::{Action, Name, ObjectKind};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `REINDEX` without `CONCURRENTLY`.
    ///
    /// ## Why it matters
    ///
    /// The table is locked in SHARE mode, so that writes wait, and the index
    /// that is being rebuilt in ACCESS EXCLUSIVE mode, so that most queries of
    /// the table wait as well: planning one needs every index. Both last as
    /// long as the build.
    ///
    /// ## When it is wrong
    ///
    /// When nobody uses the table while the migration runs.
    ///
    /// ## References
    ///
    /// - [Rebuilding indexes concurrently](https://www.postgresql.org/docs/current/sql-reindex.html#SQL-REINDEX-CONCURRENTLY)
    pub struct ReindexUnderLock = {
        id: "reindex-under-lock",
        summary: "indexes are rebuilt while queries of the table wait",
        level: Critical,
        category: Locks,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for ReindexUnderLock {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let Action::Reindex {
            kind,
            name,
            concurrently: false,
        } = &step.statement.action
        else {
            return;
        };
        if !lock::is_judged(step) {
            return;
        }
        let word = match kind {
            ObjectKind::Index => "INDEX",
            ObjectKind::Table => "TABLE",
            ObjectKind::Schema => "SCHEMA",
            _ => "DATABASE",
        };
        let target = name.as_ref().map(Name::sql).unwrap_or_default();
        let whole = !matches!(kind, ObjectKind::Index | ObjectKind::Table);
        let effect = step
            .effects_in_use()
            .filter(|effect| effect.work >= Work::IndexBuild)
            .max_by_key(|effect| (step.before.known(&effect.relation).is_some(), effect.mode));
        // An index that the history does not know is one of a table in use.
        let unknown = *kind == ObjectKind::Index
            && name
                .as_ref()
                .is_some_and(|name| step.before.index(name).is_none());
        if effect.is_none() && !whole && !unknown {
            return;
        }
        let remedy = safe::outside(
            step,
            Remedy::new("rebuild CONCURRENTLY")
                .then_outside(format!("REINDEX {word} CONCURRENTLY {target}").trim_end()),
        );
        let message = if whole {
            format!(
                "every index of the {} is rebuilt under locks",
                word.to_lowercase()
            )
        } else {
            format!("REINDEX {word} of {target} rebuilds while queries of the table wait")
        };
        let why = "writes to the table wait in SHARE mode, and queries that are planned wait for \
                   ACCESS EXCLUSIVE on the index, until it is built anew";
        match effect {
            Some(effect) => lock::report(step, sink, effect, Level::Critical, message, why)
                .level(size::level(step, &effect.relation, Level::Critical)),
            None => sink.report(message, why, evidence::statement(step)),
        }
        .remedy(remedy);
    }
}
