//! Locks that are waited for without a `lock_timeout`.

use super::support::walk::{self, Place};
use super::support::{evidence, lock};
use crate::catalog::RelationKind;
use crate::declare_migration_rule;
use crate::finding::migration::{Fix, Remedy};
use crate::finding::{Edit, Level};
use crate::migration::At;
use crate::migration::locks::{Effect, Work};
use crate::rule::migration::{End, FileEnd, MigrationRule, MigrationSink};
use crate::source::Span;

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds the first statement of a change that takes a lock which blocks
    /// writes or reads of a table that was there before the change, where no
    /// `lock_timeout` is set. One finding a change, however many files and
    /// statements it has; none for changes that only create tables. It is a note
    /// where all its locks are brief, as for a new column, and a warning where
    /// rows are read or written under one of them.
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
    /// migrations, which the files do not show: switch the rule off then.
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
        if !end.context.one_change {
            report(&waits(end, &walk::locked(end)), sink);
        }
    }

    fn end(&self, end: &End<'_>, sink: &mut MigrationSink) {
        if end.context.one_change {
            let mut found = Vec::new();
            walk::each_file(end, |file, locked| found.extend(waits(file, locked)));
            report(&found, sink);
        }
    }
}

/// A statement that waits for a lock without a timeout.
struct Wait<'a> {
    at: At,
    span: Span,
    verb: &'a str,
    effect: &'a Effect,
    remedy: Remedy,
    /// It also reads, writes or indexes rows under the lock.
    works: bool,
}

/// The statements of a file that wait so, in order.
fn waits<'a>(end: &FileEnd<'a>, locked: &[(At, Span, &'a Vec<Effect>)]) -> Vec<Wait<'a>> {
    let places = walk::statements(end.number, end.file);
    locked
        .iter()
        .filter_map(|(at, span, effects)| {
            let place = walk::find(&places, *at)?;
            let statement = walk::statement(&places, *at)?;
            if place.lock_timeout || walk::references_from_new_table(end, statement, effects) {
                return None;
            }
            let effect = effects
                .iter()
                .filter(|effect| effect.mode.blocks_writes() && is_table(end, effect))
                .max_by_key(|effect| effect.mode)?;
            Some(Wait {
                at: *at,
                span: *span,
                verb: &statement.verb,
                effect,
                remedy: remedy(&places, place),
                works: effects
                    .iter()
                    .any(|effect| effect.mode.blocks_writes() && effect.work != Work::None),
            })
        })
        .collect()
}

/// One finding, at the first; a warning where any of them keeps its lock for
/// as long as it works.
fn report(waits: &[Wait<'_>], sink: &mut MigrationSink) {
    let Some(first) = waits.first() else {
        return;
    };
    let effect = first.effect;
    let more = match waits.len() - 1 {
        0 => String::new(),
        1 => "; so does one more statement of the change".to_owned(),
        more => format!("; so do {more} more statements of the change"),
    };
    let level = if waits.iter().any(|wait| wait.works) {
        Level::Warning
    } else {
        Level::Note
    };
    sink.report(
        format!(
            "{} waits for {} on {} without a lock_timeout",
            first.verb,
            effect.mode.name(),
            effect.relation
        ),
        format!(
            "while it waits for whoever uses {} now, {} until it gets its lock{more}",
            effect.relation,
            lock::queues(effect.mode)
        ),
        evidence::lock_at(first.span, effect),
    )
    .level(level)
    .at(first.at, first.span)
    .effect(effect)
    .remedy(first.remedy.clone());
}

/// Tables and materialised views; a view or sequence that waits stops little.
fn is_table(end: &FileEnd<'_>, effect: &Effect) -> bool {
    end.after
        .known(&effect.relation)
        .is_none_or(|table| table.kind != RelationKind::View)
}

fn remedy(places: &[Place<'_>], place: &Place<'_>) -> Remedy {
    let sql = walk::set_timeout(place);
    let remedy = Remedy::new("give up early, and try again")
        .then(sql)
        .note("Let the tool that runs the migrations try again when the timeout strikes.")
        .note("Where the tool, the role or the database sets lock_timeout, switch this rule off.");
    // Behind BEGIN, where the file has one.
    let first = if walk::is_explicit(place) {
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
