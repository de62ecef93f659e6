//! DROP INDEX without CONCURRENTLY on a table in use.

use super::support::{lock, safe};
use crate::declare_migration_rule;
use crate::finding::migration::{Fix, Remedy};
use crate::finding::{Edit, Level};
use crate::migration::state::{Owner, Table};
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::source::Span;
use crate::sql::ddl::{Action, ObjectKind};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `DROP INDEX` without `CONCURRENTLY`.
    ///
    /// ## Why it matters
    ///
    /// It takes ACCESS EXCLUSIVE on the index's table. The lock is held only
    /// briefly, but it first waits for every query and transaction that uses
    /// the table, and while it waits all later ones queue behind it.
    ///
    /// ## When it is wrong
    ///
    /// When no long transactions use the table, or a short `lock_timeout` is
    /// set and the migration is tried again.
    ///
    /// ## References
    ///
    /// - [DROP INDEX](https://www.postgresql.org/docs/current/sql-dropindex.html)
    pub struct IndexDroppedUnderLock = {
        id: "index-dropped-under-lock",
        summary: "an index is dropped under ACCESS EXCLUSIVE on its table",
        level: Warning,
        category: Locks,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for IndexDroppedUnderLock {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let Action::Drop(drop) = &step.statement.action else {
            return;
        };
        if drop.object != ObjectKind::Index || drop.concurrently || !lock::is_judged(step) {
            return;
        }
        for place in &drop.names {
            let known = step.before.index(&place.name);
            if let Some((table, index)) = known {
                // Indexes of constraints are not dropped by DROP INDEX.
                if !step.is_in_use(&table.name) || index.owner != Owner::Index {
                    continue;
                }
                if index.created.is_some_and(|at| step.is_same_change(at)) {
                    continue;
                }
            }
            // Partitions' indexes go with that of the partitioned table.
            let Some(effect) = step
                .effects_in_use()
                .filter(|effect| effect.mode.blocks_reads())
                .find(|effect| known.is_none_or(|(table, _)| effect.relation == table.name))
            else {
                continue;
            };
            let partitioned = known.is_some_and(|(table, _)| Table::is_partitioned(table));
            let why = match known {
                Some(_) => lock::why_brief(effect),
                None => "the ACCESS EXCLUSIVE lock on its table is held only briefly, but it \
                         first waits for whoever uses the table now, and while it waits every \
                         query on it queues behind it"
                    .to_owned(),
            };
            let where_from = known.map_or_else(
                || "its table".to_owned(),
                |(table, _)| table.name.to_string(),
            );
            let draft = lock::report(
                step,
                sink,
                effect,
                Level::Warning,
                format!(
                    "index {} is dropped while reads and writes of {where_from} wait",
                    place.name
                ),
                why,
            )
            .span(place.span)
            .object(place.name.name.clone());
            if partitioned {
                draft.remedy(
                    Remedy::new(
                        "drop it with a short lock_timeout, and try again when that is over",
                    )
                    .then(format!(
                        "SET lock_timeout = '5s';\nDROP INDEX {}",
                        place.name.sql()
                    ))
                    .note("An index of a partitioned table cannot be dropped CONCURRENTLY."),
                );
                continue;
            }
            let mut remedy = Remedy::new("drop the index CONCURRENTLY").then_outside(format!(
                "DROP INDEX CONCURRENTLY {}{}",
                if drop.if_exists { "IF EXISTS " } else { "" },
                place.name.sql()
            ));
            if drop.names.len() > 1 {
                remedy = remedy.note("CONCURRENTLY takes one index a statement.");
            }
            if step.within.is_some() {
                remedy = remedy
                    .note("CONCURRENTLY cannot run in a DO block: take the statement out of it.");
            }
            if drop.names.len() == 1 && !drop.cascade && safe::can_leave_transaction(step) {
                remedy = remedy.fix(Fix {
                    edits: vec![Edit {
                        span: Span {
                            start: drop.after_object,
                            end: drop.after_object,
                            ..step.statement.span
                        },
                        text: " CONCURRENTLY".to_owned(),
                    }],
                    follow_up: Vec::new(),
                    outside_transaction: true,
                });
            }
            draft.remedy(safe::outside(step, remedy));
        }
    }
}
