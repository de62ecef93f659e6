//! A CTE that is read from end to end many times.

use super::support::{node, show, suggest, weight::Weight};
use crate::declare_rule;
use crate::finding::{Evidence, Level, Origin, Value};
use crate::plan::{ConditionRole, NodeId, NodeKind, PlanEdge, PlanGraph};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

/// Fewer readings are no pattern.
const LEAST_LOOPS: f64 = 20.0;
/// Fewer rows are read in no time.
const LEAST_READ: f64 = 100_000.0;

declare_rule! {
    /// ## What it does
    ///
    /// Finds CTEs that are read at least 20 times by one node and 100,000 rows
    /// in all, such as on the inner side of a nested loop. What could be saved
    /// is the scan's own time and the time in which its join compares rows in
    /// vain, but for one reading: × (1 − 1 ÷ readings).
    ///
    /// ## Why it matters
    ///
    /// The result of a CTE has no index and no statistics. Each reading goes
    /// through all of its rows, from temporary files when it did not fit into
    /// `work_mem`.
    ///
    /// ## When it is wrong
    ///
    /// When the CTE is dear to compute and has few rows: then reading it often
    /// is what it is for. In the recursive term of another CTE it is read once
    /// for each round, which only another way to write the query avoids.
    ///
    /// ## References
    ///
    /// - [Common table expression materialization](https://www.postgresql.org/docs/current/queries-with.html#QUERIES-WITH-CTE-MATERIALIZATION)
    pub struct CteScannedManyTimes = {
        id: "cte-scanned-many-times",
        summary: "the result of a CTE is gone through many times, without an index",
        level: Warning,
        needs: [Actuals],
        concerns: [CteScan],
        since: "0.1.0",
    }
}

impl Rule for CteScannedManyTimes {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(plan) = subject.plan else { return };
        for (id, node) in plan.nodes() {
            if node.kind == NodeKind::CteScan
                && let Some(filtered) = node::Filtered::of(node)
                && filtered.loops >= LEAST_LOOPS
                && filtered.read() >= LEAST_READ
            {
                look(subject, plan, id, filtered, sink);
            }
        }
    }
}

/// The join for whose rows the scan runs again and again.
fn join_of(plan: &PlanGraph, id: NodeId) -> Option<NodeId> {
    let (edge, up) = plan.parent(id)?;
    (edge == PlanEdge::Inner && plan.node(up).kind == NodeKind::NestedLoop).then_some(up)
}

fn look(
    subject: &Subject<'_>,
    plan: &PlanGraph,
    id: NodeId,
    filtered: node::Filtered,
    sink: &mut Sink,
) {
    let Some(metrics) = subject.metrics else {
        return;
    };
    let scan = plan.node(id);
    let again = 1.0 - 1.0 / filtered.loops;
    let join = join_of(plan, id);
    // The join's own time is what its comparisons take, if they keep few.
    let compared = join.map_or(0.0, |join| {
        let node = plan.node(join);
        let kept = node
            .actual
            .map_or(0.0, |actual| actual.rows_per_loop * actual.loops);
        let in_vain = (1.0 - kept / filtered.kept.max(1.0)).max(0.0);
        if node.condition(ConditionRole::JoinFilter).is_some() {
            metrics.node(join).self_share * in_vain
        } else {
            0.0
        }
    });
    let share = (metrics.node(id).self_share + compared) * again;
    let Some(weight) = Weight::worth_telling(subject, share) else {
        return;
    };
    let name = node::table_name(scan);
    let rows = filtered.read() / filtered.loops;
    let outer = join
        .and_then(|join| plan.child(join, PlanEdge::Outer))
        .filter(|outer| {
            metrics.node(*outer).underestimated
                && metrics
                    .node(*outer)
                    .q_error
                    .is_some_and(|error| error >= 10.0)
        });
    let mut why =
        "a CTE's result has no index: all of its rows are gone through each time".to_owned();
    if outer.is_some() {
        why.push_str("; the planner expected far fewer readings");
    }
    let mut draft = sink
        .report(
            format!(
                "CTE {name} of {} is gone through {} times",
                show::rows(rows),
                show::count(filtered.loops)
            ),
            why,
            Evidence::new("times read", Value::Count(filtered.loops), Origin::Plan(id)),
        )
        .node(id)
        .level(weight.level().max(Level::Note))
        .share(weight.share())
        .evidence(Evidence::new(
            "rows read in all",
            Value::Rows(filtered.read()),
            Origin::Plan(id),
        ));
    if let Some(outer) = outer
        && let Some(expected) = plan.node(outer).estimate
    {
        draft = draft.evidence(Evidence::new(
            "readings expected",
            Value::Count(expected.rows),
            Origin::Plan(outer),
        ));
    }
    draft
        .evidence(weight.evidence())
        .suggest(suggest::judgement(
            format!("join {name} once, or give it an index"),
            format!(
                "join {name} by equality, so that it can be hashed; write AS NOT MATERIALIZED, so \
                 that conditions reach its tables and their indexes; or store it in a temporary \
                 table with an index, and ANALYZE that"
            ),
        ));
}
