//! What a lock means for those who use the table, in words; and findings about
//! locks.

use crate::finding::Level;
use crate::migration::Direction;
use crate::migration::locks::{Effect, LockMode, Work};
use crate::migration::state::Qualified;
use crate::rule::migration::{MigrationDraft, MigrationSink, Step};

use super::{evidence, size};

/// Whether rules about locks look at the statement: not in a part that takes
/// an up part back, which runs when something is wrong already.
pub(crate) fn is_judged(step: &Step<'_>) -> bool {
    step.part.direction == Direction::Up
}

/// Who has to wait for that lock: `every query on orders, SELECT included,
/// waits`.
pub(crate) fn waits(mode: LockMode, relation: &Qualified) -> String {
    if mode.blocks_reads() {
        format!("every query on {relation}, SELECT included, waits")
    } else if mode.blocks_writes() {
        format!("INSERT, UPDATE and DELETE on {relation} wait")
    } else {
        format!("schema changes of {relation} and VACUUM wait")
    }
}

/// What is done, behind `while`.
pub(crate) fn work(work: Work) -> &'static str {
    match work {
        Work::None => "the statement runs",
        Work::Scan => "the whole table is read",
        Work::IndexBuild => "the whole table is read and the index is built",
        Work::IndexRebuild => "indexes are rebuilt from the whole table",
        Work::Rows => "its rows are written",
        Work::Rewrite => "the table and all its indexes are written anew",
    }
}

/// Why an effect that takes as long as the table is large hurts.
pub(crate) fn why_long(effect: &Effect) -> String {
    let mut text = format!(
        "{} while {}",
        waits(effect.mode, &effect.relation),
        work(effect.work)
    );
    if let Some(why) = &effect.why {
        text.push_str(": ");
        text.push_str(why);
    }
    text
}

/// Why a lock that is held only briefly can hurt all the same.
pub(crate) fn why_brief(effect: &Effect) -> String {
    format!(
        "the {} lock is held only briefly, but it first waits for whoever uses {} now, and while \
         it waits {}",
        effect.mode.name(),
        effect.relation,
        waits(effect.mode, &effect.relation)
            .replace("waits", "queues behind it")
            .replace(" wait", " queue behind it")
    )
}

/// Reports a finding about an effect: its lock and the table's size are its
/// evidence, and a small table makes it a note.
pub(crate) fn report<'s>(
    step: &Step<'_>,
    sink: &'s mut MigrationSink,
    effect: &Effect,
    level: Level,
    message: impl Into<String>,
    why: impl Into<String>,
) -> MigrationDraft<'s> {
    let level = if effect.work == Work::None {
        level
    } else {
        size::level(step, &effect.relation, level)
    };
    let draft = sink
        .report(message, why, evidence::lock(step, effect))
        .level(level)
        .effect(effect);
    match evidence::pages(step, &effect.relation) {
        Some(pages) => draft.evidence(pages),
        None => draft,
    }
}

/// That the transaction holds a stronger lock already, so that more than the
/// statement's own lock says is blocked while it works; empty when not.
pub(crate) fn and_held(step: &Step<'_>, effect: &Effect) -> String {
    if !step.transaction.open {
        return String::new();
    }
    match step.transaction.holds(&effect.relation) {
        Some((held, _)) if held.mode > effect.mode && held.mode.blocks_writes() => format!(
            "; the transaction holds {} on it already, so that {}",
            held.mode.name(),
            waits(held.mode, &effect.relation)
        ),
        _ => String::new(),
    }
}

/// Bounds the wait for a lock.
pub(crate) const SET_TIMEOUT: &str = "SET lock_timeout = '5s'";

/// That the statements are only taken to run in one transaction, where a
/// finding stands on that.
pub(crate) fn assumed_transaction(step: &Step<'_>) -> Option<String> {
    (step.transaction.open && !step.transaction.explicit && step.transaction.assumed).then(|| {
        "the statements of the file run in one transaction (nothing says which tool runs them)"
            .to_owned()
    })
}

/// What queues behind a statement that waits for that lock.
pub(crate) fn queues(mode: LockMode) -> &'static str {
    if mode.blocks_reads() {
        "every later query of it queues behind"
    } else {
        "every later write to it queues behind"
    }
}
