//! Foreign keys of new tables to tables in use.

use super::support::{evidence, lock, walk};
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::migration::At;
use crate::migration::locks::{Effect, LockMode};
use crate::rule::migration::{FileEnd, MigrationRule, MigrationSink};
use crate::source::Span;

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds foreign keys of new tables to tables that were there before the
    /// change. One finding a file names them all.
    ///
    /// ## Why it matters
    ///
    /// The referenced table is locked in SHARE ROW EXCLUSIVE mode. Nothing is
    /// read, so the lock is held only briefly, but it waits for every transaction
    /// that has written to that table, and while it waits later writes queue
    /// behind it. A short `lock_timeout` bounds that; with one the rule is
    /// silent.
    ///
    /// ## When it is wrong
    ///
    /// When no long transactions write to the referenced tables.
    ///
    /// ## References
    ///
    /// - [Explicit locking](https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES)
    /// - [lock_timeout](https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-LOCK-TIMEOUT)
    pub struct TableCreatedWithReference = {
        id: "table-created-with-reference",
        summary: "a new table with a foreign key locks the table that it references",
        level: Note,
        category: Locks,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for TableCreatedWithReference {
    fn file(&self, end: &FileEnd<'_>, sink: &mut MigrationSink) {
        if end.locked.is_empty() {
            return;
        }
        let places = walk::statements(end.number, end.file);
        let mut first: Option<(At, Span, &Effect)> = None;
        let mut tables: Vec<String> = Vec::new();
        for (at, span, effects) in end.locked {
            let (Some(place), Some(statement)) =
                (walk::find(&places, *at), walk::statement(&places, *at))
            else {
                continue;
            };
            if place.lock_timeout || !walk::references_from_new_table(end, statement, effects) {
                continue;
            }
            for effect in effects {
                if effect.mode != LockMode::ShareRowExclusive {
                    continue;
                }
                first.get_or_insert((*at, *span, effect));
                let name = effect.relation.to_string();
                if !tables.contains(&name) {
                    tables.push(name);
                }
            }
        }
        let Some((at, span, effect)) = first else {
            return;
        };
        let message = match tables.as_slice() {
            [table] => format!("a foreign key of a new table locks {table}"),
            _ => format!("foreign keys of new tables lock {}", tables.join(", ")),
        };
        sink.report(
            message,
            lock::why_brief(effect),
            evidence::lock_at(span, effect),
        )
        .at(at, span)
        .effect(effect)
        .remedy(Remedy::new("bound the wait").then(lock::SET_TIMEOUT));
    }
}
