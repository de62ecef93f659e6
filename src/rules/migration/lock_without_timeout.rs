//! Locks that are waited for without a `lock_timeout`.

use super::support::walk::{self, Place};
use super::support::{evidence, lock};
use crate::catalog::RelationKind;
use crate::declare_migration_rule;
use crate::finding::Edit;
use crate::finding::migration::{Fix, Remedy};
use crate::migration::locks::Effect;
use crate::migration::{Sureness, Wrapping};
use crate::rule::migration::{FileEnd, MigrationRule, MigrationSink};
use crate::source::Span;

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds the first statement of a file that takes a lock which blocks writes
    /// or reads of a table that was there before the change, where no
    /// `lock_timeout` is set. One finding a file; none for files that only create
    /// tables.
    ///
    /// ## Why it matters
    ///
    /// A statement that waits for its lock makes every later query of the table
    /// queue behind it, though it does nothing yet. One long report or one
    /// session idle in a transaction is enough to stop everything that uses the
    /// table, for as long as it lasts. With a short `lock_timeout` the migration
    /// fails instead, and can be tried again.
    ///
    /// ## When it is wrong
    ///
    /// When the tool, the role or the database sets `lock_timeout` for
    /// migrations: switch the rule off then.
    ///
    /// ## References
    ///
    /// - [lock_timeout](https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-LOCK-TIMEOUT)
    /// - [Explicit locking](https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES)
    pub struct LockWithoutTimeout = {
        id: "lock-without-timeout",
        summary: "a lock that blocks a table is waited for without a timeout",
        level: Warning,
        category: Locks,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for LockWithoutTimeout {
    fn file(&self, end: &FileEnd<'_>, sink: &mut MigrationSink) {
        if end.locked.is_empty() {
            return;
        }
        let places = walk::statements(end.number, end.file);
        for (at, span, effects) in end.locked {
            let (Some(place), Some(statement)) =
                (walk::find(&places, *at), walk::statement(&places, *at))
            else {
                continue;
            };
            if place.lock_timeout || walk::references_from_new_table(end, statement, effects) {
                continue;
            }
            let strongest = effects
                .iter()
                .filter(|effect| effect.mode.blocks_writes() && is_table(end, effect))
                .max_by_key(|effect| effect.mode);
            let Some(effect) = strongest else {
                continue;
            };
            sink.report(
                format!(
                    "{} waits for {} on {} without a lock_timeout",
                    statement.verb,
                    effect.mode.name(),
                    effect.relation
                ),
                format!(
                    "while it waits for whoever uses {} now, {} until it gets its lock",
                    effect.relation,
                    lock::queues(effect.mode)
                ),
                evidence::lock_at(*span, effect),
            )
            .at(*at, *span)
            .effect(effect)
            .remedy(remedy(&places, place));
            return;
        }
    }
}

/// Tables and materialised views; a view or sequence that waits stops little.
fn is_table(end: &FileEnd<'_>, effect: &Effect) -> bool {
    end.after
        .known(&effect.relation)
        .is_none_or(|table| table.kind != RelationKind::View)
}

fn remedy(places: &[Place<'_>], place: &Place<'_>) -> Remedy {
    // With the SET before it a statement is no longer the only one of its
    // message, which is then one transaction.
    let wrapped = place.part.wrapping != Wrapping::None && place.part.sureness == Sureness::Known;
    let explicit = place.transaction.is_some() && !walk::is_wrapped(place.part);
    let sql = if wrapped || explicit {
        "SET LOCAL lock_timeout = '5s'"
    } else {
        lock::SET_TIMEOUT
    };
    let remedy = Remedy::new("give up early, and try again")
        .then(sql)
        .note("Let the tool that runs the migrations try again when the timeout strikes.");
    // Behind BEGIN, where the file has one.
    let first = if explicit {
        places
            .iter()
            .find(|other| other.transaction == place.transaction)
            .map(|other| other.statement)
    } else {
        place.part.statements.first()
    };
    let first = first.filter(|statement| !statement.templated && !place.statement.templated);
    match first {
        Some(first) => remedy.fix(Fix {
            edits: vec![Edit {
                span: Span {
                    end: first.span.start,
                    ..first.span
                },
                text: format!("{sql};\n"),
            }],
            follow_up: Vec::new(),
            outside_transaction: false,
        }),
        None => remedy,
    }
}
