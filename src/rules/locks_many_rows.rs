//! Row locks on a great many rows.

use super::support::{flow, show, suggest, weight::Weight};
use crate::declare_rule;
use crate::finding::{Evidence, Level, Origin, Value};
use crate::plan::{NodeId, NodeKind, PlanGraph};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

/// Fewer locks are nothing out of the ordinary.
const LEAST_ROWS: f64 = 10_000.0;

declare_rule! {
    /// ## What it does
    ///
    /// Finds `FOR UPDATE`, `FOR SHARE` and their kind that locked at least
    /// 10,000 rows. What it could save is the time of the node `LockRows`.
    ///
    /// ## Why it matters
    ///
    /// A row lock is written into the row: locking dirties every page that
    /// the rows are on and writes WAL for each, as an update would, and each
    /// lock is held until the transaction ends. Others that want one of the
    /// rows wait as long.
    ///
    /// ## When it is wrong
    ///
    /// When the transaction goes on to change all of these rows.
    ///
    /// ## References
    ///
    /// - [The locking clause](https://www.postgresql.org/docs/current/sql-select.html#SQL-FOR-UPDATE-SHARE)
    /// - [Row-level locks](https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-ROWS)
    pub struct LocksManyRows = {
        id: "locks-many-rows",
        summary: "a great many rows are locked, each by a write",
        level: Note,
        needs: [Actuals],
        concerns: [LockRows],
        since: "0.1.0",
    }
}

impl Rule for LocksManyRows {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(plan) = subject.plan else { return };
        for (id, node) in plan.nodes() {
            if node.kind == NodeKind::LockRows {
                look(subject, plan, id, sink);
            }
        }
    }
}

fn look(subject: &Subject<'_>, plan: &PlanGraph, id: NodeId, sink: &mut Sink) {
    let (Some(metrics), Some(rows)) = (subject.metrics, flow::rows(plan, id)) else {
        return;
    };
    if rows < LEAST_ROWS {
        return;
    }
    let Some(weight) = Weight::worth_telling(subject, metrics.node(id).self_share) else {
        return;
    };
    let dirtied = metrics
        .node(id)
        .self_buffers
        .map(|buffers| buffers.shared_dirtied_blocks)
        .filter(|blocks| *blocks > 0.0);
    let mut draft = sink
        .report(
            format!("{} are locked until the transaction ends", show::rows(rows)),
            "each lock is written into its row and to WAL, and whoever wants one of the rows waits",
            Evidence::new("rows locked", Value::Rows(rows), Origin::Plan(id)),
        )
        .node(id)
        .level(flow::at_most(weight.level(), Level::Warning))
        .share(weight.share())
        .evidence(weight.evidence());
    if let Some(blocks) = dirtied {
        draft = draft.evidence(Evidence::new(
            "blocks dirtied by the locks",
            Value::Blocks(blocks),
            Origin::Plan(id),
        ));
    }
    draft.suggest(suggest::judgement(
        "lock fewer rows, or none",
        "UPDATE or DELETE the rows in one statement instead of locking them first; take them in \
         portions by LIMIT with SKIP LOCKED; name the one table that is to be locked in FOR UPDATE \
         OF; for a consistent view alone, a transaction that is REPEATABLE READ needs no locks",
    ));
}
