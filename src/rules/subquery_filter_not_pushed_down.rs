//! A condition on a subquery that is tested after the subquery did its work.

use super::support::{flow, show, suggest, weight::Weight};
use crate::declare_rule;
use crate::finding::{Evidence, Level, Origin, Value};
use crate::plan::{ConditionRole, NodeId, NodeKind, PlanEdge, PlanGraph, PlanNode};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

/// Fewer rows thrown away take no time.
const LEAST_REMOVED: f64 = 10_000.0;
/// Where more of the rows are wanted, little would be saved.
const MOST_KEPT: f64 = 0.1;

declare_rule! {
    /// ## What it does
    ///
    /// Finds a condition on a subquery with a window function or DISTINCT that
    /// throws away at least 10,000 rows and nine tenths of what the subquery
    /// gave. What it could save is the time of the subquery times the share of
    /// the rows thrown away.
    ///
    /// ## Why it matters
    ///
    /// PostgreSQL moves a condition into a subquery only where it cannot
    /// change what the subquery computes: below a window function only on
    /// columns of PARTITION BY, below DISTINCT ON only on its columns. Any
    /// other waits until all rows were sorted and numbered. To take the first
    /// few rows of each group this way, all rows of all groups are read.
    ///
    /// ## When it is wrong
    ///
    /// When the window has to see all of these rows, as for a rank among all.
    ///
    /// ## References
    ///
    /// - [Window functions](https://www.postgresql.org/docs/current/tutorial-window.html)
    /// - [LATERAL](https://www.postgresql.org/docs/current/queries-table-expressions.html#QUERIES-LATERAL)
    pub struct SubqueryFilterNotPushedDown = {
        id: "subquery-filter-not-pushed-down",
        summary: "a condition is tested only after a window function or DISTINCT saw all rows",
        level: Warning,
        needs: [Actuals],
        concerns: [SubqueryScan],
        since: "0.1.0",
    }
}

impl Rule for SubqueryFilterNotPushedDown {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(plan) = subject.plan else { return };
        for (id, scan) in plan.nodes() {
            if scan.kind == NodeKind::SubqueryScan
                && let Some(filter) = scan.condition(ConditionRole::Filter)
                && let Some(below) = plan.child(id, PlanEdge::Subquery)
                && let Some(barrier) = barrier(plan, below)
            {
                look(subject, plan, (id, scan, filter), barrier, sink);
            }
        }
    }
}

/// What keeps the condition out: a window function or DISTINCT.
fn barrier(plan: &PlanGraph, below: NodeId) -> Option<NodeId> {
    let at = flow::through(
        plan,
        below,
        &[
            NodeKind::Sort,
            NodeKind::IncrementalSort,
            NodeKind::Materialize,
            NodeKind::Gather,
            NodeKind::GatherMerge,
            NodeKind::Result,
        ],
    );
    matches!(plan.node(at).kind, NodeKind::WindowAgg | NodeKind::Unique).then_some(at)
}

fn look(
    subject: &Subject<'_>,
    plan: &PlanGraph,
    (id, scan, filter): (NodeId, &PlanNode, &str),
    barrier: NodeId,
    sink: &mut Sink,
) {
    let (Some(metrics), Some(actual)) = (
        subject.metrics,
        scan.actual.filter(|actual| actual.loops > 0.0),
    ) else {
        return;
    };
    let removed = scan.rows_removed_by_filter_per_loop.unwrap_or(0.0) * actual.loops;
    let kept = actual.rows_per_loop * actual.loops;
    let all = removed + kept;
    if removed < LEAST_REMOVED || kept > all * MOST_KEPT {
        return;
    }
    let share = metrics.node(id).total_share * removed / all;
    let Some(weight) = Weight::worth_telling(subject, share) else {
        return;
    };
    let window = plan.node(barrier).kind == NodeKind::WindowAgg;
    let name = scan.relation.alias.as_deref().unwrap_or("subquery");
    sink.report(
        format!(
            "{} throws away {} of {} only after {}",
            filter,
            show::count(removed),
            show::rows(all),
            if window {
                "a window function went through them"
            } else {
                "DISTINCT went through them"
            }
        ),
        format!(
            "the condition on {name} could change what the {} computes, so that PostgreSQL tests it \
             last: {} of the rows pass",
            if window { "window function" } else { "DISTINCT" },
            show::percent(kept / all)
        ),
        Evidence::new(
            "rows removed by the filter",
            Value::Rows(removed),
            Origin::Plan(id),
        ),
    )
    .node(id)
    .level(flow::at_most(weight.level(), Level::Warning))
    .share(weight.share())
    .evidence(Evidence::new("rows kept", Value::Rows(kept), Origin::Plan(id)))
    .evidence(Evidence::new(
        "filter",
        Value::Text(filter.to_owned()),
        Origin::Plan(id),
    ))
    .evidence(weight.evidence())
    .suggest(if window {
        suggest::judgement(
            "take only the rows that are needed before the window function",
            "a condition on a column that decides alone which rows count belongs inside the \
             subquery. For the first few rows of each group, select the groups and join LATERAL \
             (SELECT … WHERE the group ORDER BY … LIMIT n), with an index on the group's columns and \
             the order",
        )
    } else {
        suggest::judgement(
            "test the condition inside, where that means the same",
            "if the condition may choose among the duplicates, write it inside the subquery; if it \
             may not, an index on the columns of DISTINCT ON and ORDER BY at least saves the sort",
        )
    });
}
