//! Locks taken in an order in which a deadlock can come about.

use crate::declare_migration_rule;
use crate::rule::migration::{End, MigrationRule, MigrationSink, Step};
use std::collections::BTreeMap;

use super::support::around;
use super::support::evidence;
use crate::finding::migration::Remedy;
use crate::finding::{Evidence, Level, Origin, Value};
use crate::migration::locks::{LockMode, Work};
use crate::migration::state::Qualified;
use crate::migration::{At, Direction, History, Wrapping};
use crate::source::Span;
use crate::sql::ddl::{Action, Transaction};

/// Tables that a transaction locks against writes, in order, each where.
type Order = Vec<(Qualified, At, Span)>;

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds two orders of locks, on tables that were there before the
    /// change:
    ///
    /// - A transaction changes rows of a table and takes a stronger lock on the same table afterwards: one that waits for every program that writes to it.
    /// - Two transactions of one change lock the same two tables against writes, in opposite order.
    ///
    /// ## Why it matters
    ///
    /// In the first case, a program that waits for one of the changed rows
    /// holds a lock on the table that the migration then waits for: each
    /// waits for the other, and PostgreSQL cancels one of them after
    /// `deadlock_timeout`. In the second case, whatever order programs use
    /// that touch both tables, one of the two transactions takes them the
    /// other way round.
    ///
    /// ## When it is wrong
    ///
    /// When nobody writes to the tables while the migration runs.
    ///
    /// ## References
    ///
    /// - [Deadlocks](https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-DEADLOCKS)
    pub struct LockOrderCanDeadlock = {
        id: "lock-order-can-deadlock",
        summary: "a transaction takes locks in an order in which it can deadlock with others",
        level: Warning,
        category: Failure,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for LockOrderCanDeadlock {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        if step.part.direction == Direction::Down || !step.transaction.open {
            return;
        }
        for effect in step.effects_in_use() {
            if !effect.mode.conflicts(LockMode::RowExclusive)
                || effect.mode == LockMode::RowExclusive
            {
                continue;
            }
            // Nothing can come between once the table is locked against
            // writes.
            // The statement that first locks it is the one to move.
            if step
                .transaction
                .holds(&effect.relation)
                .is_some_and(|(held, _)| {
                    held.mode != LockMode::RowExclusive
                        && held.mode.conflicts(LockMode::RowExclusive)
                })
            {
                continue;
            }
            let mut earlier = step
                .transaction
                .earlier
                .iter()
                .flat_map(|(_, span, effects)| {
                    effects
                        .iter()
                        .filter(|held| {
                            held.relation == effect.relation && held.mode > LockMode::RowShare
                        })
                        .map(move |held| (held, *span))
                });
            let Some((_, span)) = earlier
                .next()
                .filter(|(held, _)| held.work == Work::Rows && held.mode == LockMode::RowExclusive)
                .filter(|(_, span)| changes_rows(step, *span))
            else {
                continue;
            };
            sink.report(
                format!(
                    "rows of {table} are changed, and then {table} is locked with {}, in one transaction",
                    effect.mode.name(),
                    table = effect.relation
                ),
                "a program that waits for one of the rows holds a lock that the migration waits for: a deadlock",
                Evidence::new(
                    "the rows are changed by",
                    Value::Text(step.text(span).chars().take(200).collect()),
                    Origin::Sql(span),
                ),
            )
            .effect(effect)
            .assumed(
                (step.transaction.assumed).then(|| "the file runs in one transaction".to_owned()),
            )
            .remedy(
                Remedy::new("commit the rows before, in a migration of their own").note(format!(
                    "Or take the lock first: LOCK TABLE {} IN {} MODE; then the change of the rows runs under it.",
                    effect.relation.sql(),
                    effect.mode.name()
                )),
            );
            return;
        }
    }

    fn end(&self, end: &End<'_>, sink: &mut MigrationSink) {
        let history = end.context.history;
        let mut orders: BTreeMap<(usize, usize, usize), Order> = BTreeMap::new();
        let mut boundaries: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
        for (file, at, span, effects) in end.locked {
            let starts = boundaries
                .entry((*file, at.part))
                .or_insert_with(|| starts(history, *at));
            let Some(transaction) = number(history, *at, starts) else {
                continue;
            };
            let order = orders.entry((*file, at.part, transaction)).or_default();
            for effect in effects {
                if effect.mode >= LockMode::ShareRowExclusive
                    && !order.iter().any(|(known, _, _)| *known == effect.relation)
                    && end.after.known(&effect.relation).is_some()
                {
                    order.push((effect.relation.clone(), *at, *span));
                }
            }
        }
        // Pairs in order, with the transaction that locked them so first. Of a
        // transaction on very many tables only the first are compared.
        let mut first: BTreeMap<(Qualified, Qualified), (usize, Span)> = BTreeMap::new();
        for ((file, _, _), order) in &orders {
            let mut reported = false;
            for (number, (later, at, span)) in order.iter().enumerate().take(40) {
                for (earlier, earlier_at, _) in order.iter().take(number) {
                    // One statement locks its tables at once.
                    if earlier_at == at {
                        continue;
                    }
                    if let Some((other, place)) = first.get(&(later.clone(), earlier.clone()))
                        && (end.context.one_change || other == file)
                        && !reported
                    {
                        reported = true;
                        let Some(statement) = around::statement_at(history, *at) else {
                            continue;
                        };
                        sink.report(
                            format!(
                                "{earlier} is locked before {later}, and another transaction of the change locks them the other way round"
                            ),
                            "whatever order programs use that touch both, one of the two transactions can deadlock with them",
                            evidence::of(statement),
                        )
                        .level(Level::Note)
                        .at(*at, *span)
                        .relation(later)
                        .evidence(Evidence::new(
                            "the other way round",
                            Value::Text(end.context.sources.place(*place)),
                            Origin::Sql(*place),
                        ))
                        .remedy(Remedy::new(
                            "lock tables in the same order everywhere, or one to a transaction",
                        ));
                    }
                    first
                        .entry((earlier.clone(), later.clone()))
                        .or_insert((*file, *span));
                }
            }
        }
    }
}

/// Whether the statement there changes rows that were there before: what an
/// INSERT adds, nobody else waits for.
fn changes_rows(step: &Step<'_>, span: Span) -> bool {
    let verb: String = step.text(span).chars().take(6).collect();
    matches!(verb.to_lowercase().as_str(), "update" | "delete" | "merge ")
}

/// Numbers of the statements of a part that begin or end a transaction.
fn starts(history: &History, at: At) -> Vec<usize> {
    part(history, at).map_or_else(Vec::new, |part| {
        part.statements
            .iter()
            .enumerate()
            .filter(|(_, statement)| {
                matches!(
                    statement.action,
                    Action::Transaction(
                        Transaction::Begin | Transaction::Commit | Transaction::Rollback
                    )
                )
            })
            .map(|(number, _)| number)
            .collect()
    })
}

/// Which transaction of its part a statement runs in; `None` when it is its
/// own.
fn number(history: &History, at: At, starts: &[usize]) -> Option<usize> {
    let part = part(history, at)?;
    let behind = starts.partition_point(|start| *start < at.statement);
    let explicit = behind
        .checked_sub(1)
        .and_then(|last| starts.get(last))
        .and_then(|last| part.statements.get(*last))
        .is_some_and(|statement| {
            matches!(statement.action, Action::Transaction(Transaction::Begin))
        });
    let wrapped = match part.wrapping {
        Wrapping::None => false,
        Wrapping::PerFile | Wrapping::PerRun | Wrapping::OneMessage => true,
    };
    (explicit || (wrapped && behind == 0)).then_some(behind)
}

fn part(history: &History, at: At) -> Option<&crate::migration::Part> {
    history.files.get(at.file)?.parts.get(at.part)
}
