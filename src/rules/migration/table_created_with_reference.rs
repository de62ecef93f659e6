//! Foreign keys of new tables to tables in use.

use std::collections::BTreeSet;

use super::support::around::listed;
use super::support::together::{self, Found};
use super::support::{evidence, lock, walk};
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::migration::At;
use crate::migration::locks::{Effect, LockMode};
use crate::migration::state::Qualified;
use crate::rule::migration::{End, FileEnd, MigrationRule, MigrationSink};
use crate::source::Span;

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds foreign keys of new tables to tables that were there before the
    /// change. One finding a change names them all.
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
        together::file(end, sink, collect, report);
    }

    fn end(&self, end: &End<'_>, sink: &mut MigrationSink) {
        together::end(end, sink, collect, report);
    }
}

fn collect<'a>(
    end: &FileEnd<'a>,
    locked: &[(At, Span, &'a Vec<Effect>)],
    found: &mut Vec<Found<'a>>,
    seen: &mut BTreeSet<&'a Qualified>,
) {
    if locked.is_empty() {
        return;
    }
    let places = walk::statements(end.number, end.file);
    for (at, span, effects) in locked {
        let (Some(place), Some(statement)) =
            (walk::find(&places, *at), walk::statement(&places, *at))
        else {
            continue;
        };
        if place.lock_timeout || !walk::references_from_new_table(end, statement, effects) {
            continue;
        }
        for effect in *effects {
            if effect.mode == LockMode::ShareRowExclusive && seen.insert(&effect.relation) {
                found.push(Found {
                    at: *at,
                    span: *span,
                    effect,
                    sql: walk::set_timeout(place),
                });
            }
        }
    }
}

fn report(found: &[Found<'_>], sink: &mut MigrationSink) {
    let Some(first) = found.first() else {
        return;
    };
    let tables: Vec<_> = found.iter().map(|one| &one.effect.relation).collect();
    let message = match tables.as_slice() {
        [table] => format!("a foreign key of a new table locks {table}"),
        _ => format!("foreign keys of new tables lock {}", listed(&tables)),
    };
    sink.report(
        message,
        lock::why_brief(first.effect),
        evidence::lock_at(first.span, first.effect),
    )
    .at(first.at, first.span)
    .effect(first.effect)
    .remedy(Remedy::new("bound the wait").then(first.sql));
}
