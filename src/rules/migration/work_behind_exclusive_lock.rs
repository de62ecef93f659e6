//! Slow work while a lock is held.

use super::support::walk::{self, Place};
use super::support::{evidence, lock, size};
use crate::declare_migration_rule;
use crate::finding::Level;
use crate::finding::migration::Remedy;
use crate::migration::locks::{Effect, Work};
use crate::migration::{At, Sureness};
use crate::rule::migration::{FileEnd, MigrationRule, MigrationSink};
use crate::source::Span;
use crate::sql::ddl::{Action, AlterKind, DmlKind, Statement};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds the first slow statement of a transaction (an UPDATE, DELETE or
    /// INSERT … SELECT, an index build, a scan) that comes behind a statement
    /// whose lock blocks reads or writes of a table that was there before the
    /// change.
    ///
    /// ## Why it matters
    ///
    /// Locks are held until the transaction ends. A change that takes a
    /// millisecond by itself, such as `ADD COLUMN`, so blocks the table for as
    /// long as the slow statement behind it runs, whichever table that works on.
    ///
    /// ## When it is wrong
    ///
    /// When the slow statement has little to do. With sizes (`--snapshot`) work
    /// on small tables gives a note only.
    ///
    /// ## References
    ///
    /// - [Explicit locking](https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES)
    pub struct WorkBehindExclusiveLock = {
        id: "work-behind-exclusive-lock",
        summary: "slow work runs while the transaction holds a lock that blocks a table",
        level: Critical,
        category: Locks,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for WorkBehindExclusiveLock {
    fn file(&self, end: &FileEnd<'_>, sink: &mut MigrationSink) {
        if end.locked.len() < 2 {
            return;
        }
        let places = walk::statements(end.number, end.file);
        let mut open = None;
        let mut held: Vec<(&Effect, Span)> = Vec::new();
        let mut told = false;
        for (at, span, effects) in end.locked {
            let (Some(place), Some(statement)) =
                (walk::find(&places, *at), walk::statement(&places, *at))
            else {
                continue;
            };
            // A DO block is a transaction, too.
            let transaction = match place.transaction {
                Some(number) => Some((number, None)),
                None if at.inner > 0 => Some((0, Some((at.part, at.statement)))),
                None => None,
            };
            if transaction != open || transaction.is_none() {
                open = transaction;
                held.clear();
                told = false;
            }
            if transaction.is_none() {
                continue;
            }
            if !told
                && let Some(slow) = slow(end, statement, effects)
                && let Some((lock, taken)) = blocking(&held, &slow)
            {
                told = true;
                report(end, sink, (*at, *span), &slow, lock, taken, place);
            }
            for effect in effects {
                if effect.mode.blocks_writes() && held.len() < 64 {
                    held.push((effect, *span));
                }
            }
        }
    }
}

/// Tables in which a tool keeps what it ran, and that have a row or a few:
/// Alembic prints what it writes into its own.
const BOOKS: &[&str] = &["alembic_version"];

/// Work that takes as long as a table is large.
struct Slow<'a> {
    effect: &'a Effect,
    level: Level,
    what: String,
}

fn slow<'a>(end: &FileEnd<'_>, statement: &Statement, effects: &'a [Effect]) -> Option<Slow<'a>> {
    if let Action::Dml(dml) = &statement.action {
        if dml.values || dml.limited {
            return None;
        }
        let effect = effects
            .iter()
            .find(|effect| effect.work == Work::Rows)
            .or_else(|| effects.first())?;
        if BOOKS.contains(&effect.relation.name.as_str()) && dml.filtered {
            return None;
        }
        let (level, what) = match dml.kind {
            DmlKind::Update | DmlKind::Delete | DmlKind::Merge => (
                if dml.filtered {
                    Level::Warning
                } else {
                    Level::Critical
                },
                format!("{} of {}", statement.verb, effect.relation),
            ),
            DmlKind::Insert
                if dml
                    .reads
                    .iter()
                    .any(|name| walk::is_in_use(end, &end.after.qualify(name))) =>
            {
                (
                    Level::Warning,
                    format!("INSERT into {} of what a query reads", effect.relation),
                )
            }
            _ => return None,
        };
        return Some(Slow {
            effect,
            level,
            what,
        });
    }
    if is_validation_of_new(end, statement) {
        return None;
    }
    let effect = effects
        .iter()
        .filter(|effect| effect.work >= Work::Scan)
        .max_by_key(|effect| (effect.work, effect.mode))?;
    Some(Slow {
        effect,
        level: Level::Critical,
        what: format!("{} of {}", statement.verb, effect.relation),
    })
}

/// VALIDATE of a constraint that the file itself adds is found by a rule of
/// its own.
fn is_validation_of_new(end: &FileEnd<'_>, statement: &Statement) -> bool {
    let Action::Alter(alter) = &statement.action else {
        return false;
    };
    let table = end.after.table(&alter.relation.name);
    !alter.commands.is_empty()
        && alter.commands.iter().all(|command| {
            let AlterKind::ValidateConstraint { name } = &command.kind else {
                return false;
            };
            table
                .and_then(|table| table.constraint(name))
                .and_then(|constraint| constraint.added)
                .is_some_and(|added| added.file == end.number)
        })
}

/// The lock that the work prolongs: not one that the slow statement would need
/// all the same.
fn blocking<'h, 'a>(held: &'h [(&'a Effect, Span)], slow: &Slow<'_>) -> Option<(&'a Effect, Span)> {
    let own = slow.effect.mode.blocks_writes();
    let best: Option<&'h (&'a Effect, Span)> = held
        .iter()
        .filter(|(effect, _)| {
            if own {
                // Its own rule tells what it blocks; only what it does to
                // others is new.
                effect.relation != slow.effect.relation && effect.mode.blocks_reads()
            } else {
                true
            }
        })
        .max_by(|(a, _), (b, _)| a.mode.cmp(&b.mode).then(std::cmp::Ordering::Greater));
    best.copied()
}

fn report(
    end: &FileEnd<'_>,
    sink: &mut MigrationSink,
    (at, span): (At, Span),
    slow: &Slow<'_>,
    lock: &Effect,
    taken: Span,
    place: &Place<'_>,
) {
    let line = end
        .context
        .sources
        .get(taken.source)
        .map_or(1, |text| text.line_column(taken.start).line);
    let level = size::level_in(end.after, &slow.effect.relation, slow.level);
    let assumed =
        (place.part.sureness == Sureness::Assumed && walk::is_wrapped(place.part)).then(|| {
            "the statements of the file run in one transaction (nothing says which tool runs them)"
                .to_owned()
        });
    sink.report(
        format!(
            "{} runs while {} is locked in {} mode since line {line}",
            slow.what,
            lock.relation,
            lock.mode.name()
        ),
        format!(
            "{} until the transaction ends, and so for as long as this statement runs",
            lock::waits(lock.mode, &lock.relation)
        ),
        evidence::lock_at(taken, lock),
    )
    .at(at, span)
    .level(level)
    .effect(slow.effect)
    .object(lock.relation.to_string())
    .evidence(evidence::lock_at(span, slow.effect))
    .assumed(assumed)
    .remedy(if slow.effect.work == Work::Rows {
        Remedy::new("put the slow statement into a migration of its own")
            .note("Backfills are best done in batches, each in a transaction of its own.")
    } else {
        Remedy::new("put the slow statement into a migration of its own")
    });
}
