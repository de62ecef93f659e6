//! Duplicates looked for where there are none.

use super::support::{flow, show, suggest, weight::Weight};
use crate::declare_rule;
use crate::finding::{Evidence, Level, Origin, Value};
use crate::plan::{NodeId, NodeKind, PlanEdge, PlanGraph};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

/// Fewer rows are compared in no time.
const LEAST_ROWS: f64 = 10_000.0;

declare_rule! {
    /// ## What it does
    ///
    /// Finds a DISTINCT or UNION that went through at least 10,000 rows and
    /// found no duplicate: a Unique node, or a hash aggregate that computes
    /// nothing, with as many rows out as in. What it could save is the time of
    /// the node, and of the sort right below it.
    ///
    /// ## Why it matters
    ///
    /// To find duplicates all rows are sorted or hashed, and the first is
    /// given after the last was read. UNION does so too, where UNION ALL only
    /// puts one result behind the other.
    ///
    /// ## When it is wrong
    ///
    /// When duplicates can come, and this run's data merely had none: nothing
    /// here proves that they cannot. A unique key among the columns does.
    ///
    /// ## References
    ///
    /// - [DISTINCT](https://www.postgresql.org/docs/current/queries-select-lists.html#QUERIES-DISTINCT)
    /// - [UNION](https://www.postgresql.org/docs/current/queries-union.html)
    pub struct DistinctRemovesNothing = {
        id: "distinct-removes-nothing",
        summary: "DISTINCT or UNION looks for duplicates and finds none",
        level: Note,
        needs: [Actuals],
        concerns: [Unique, Aggregate],
        since: "0.1.0",
    }
}

impl Rule for DistinctRemovesNothing {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(plan) = subject.plan else { return };
        for (id, _) in plan.nodes() {
            if only_removes(plan, id) && !is_for_a_join(plan, id) {
                look(subject, plan, id, sink);
            }
        }
    }
}

fn look(subject: &Subject<'_>, plan: &PlanGraph, id: NodeId, sink: &mut Sink) {
    let (Some(metrics), Some(input)) = (subject.metrics, plan.child(id, PlanEdge::Outer)) else {
        return;
    };
    if metrics.node(id).stopped_early {
        return;
    }
    let (Some(into), Some(out)) = (flow::rows(plan, input), flow::rows(plan, id)) else {
        return;
    };
    // Before version 18 an average over loops is rounded.
    let rounding = if flow::loops(plan, id) > 1.0 {
        flow::loops(plan, id)
    } else {
        0.5
    };
    if into < LEAST_ROWS || (into - out).abs() > rounding {
        return;
    }
    let mut share = metrics.node(id).self_share;
    if plan.node(input).kind == NodeKind::Sort {
        share += metrics.node(input).self_share;
    }
    let Some(weight) = Weight::worth_telling(subject, share) else {
        return;
    };
    let source = flow::through(plan, input, &[NodeKind::Sort, NodeKind::GatherMerge]);
    let union = matches!(
        plan.node(source).kind,
        NodeKind::Append | NodeKind::MergeAppend
    );
    let what = if union { "UNION" } else { "DISTINCT" };
    sink.report(
        format!(
            "{what} compares {} and finds no duplicate",
            show::rows(into)
        ),
        if union {
            "all rows of the arms are sorted or hashed to remove duplicates; UNION ALL gives them as \
             they come"
        } else {
            "all rows are sorted or hashed to remove duplicates, and in this run there were none"
        },
        Evidence::new("rows in", Value::Rows(into), Origin::Plan(input)),
    )
    .node(id)
    .level(flow::at_most(weight.level(), Level::Warning))
    .share(weight.share())
    .evidence(Evidence::new(
        "rows out",
        Value::Rows(out),
        Origin::Plan(id),
    ))
    .evidence(weight.evidence())
    .suggest(if union {
        suggest::judgement(
            "UNION ALL, if the arms cannot give equal rows",
            "where a column tells the arms apart, or their conditions exclude each other, and no \
             arm gives a row twice, write UNION ALL",
        )
    } else {
        suggest::judgement(
            "leave DISTINCT out, if the rows cannot be equal",
            "where the columns have a unique key of every table in FROM, or each join finds at \
             most one row, duplicates cannot come; where a join makes them, EXISTS in its place \
             does not",
        )
    });
}

/// Whether the node does nothing but remove duplicates.
fn only_removes(plan: &PlanGraph, id: NodeId) -> bool {
    let node = plan.node(id);
    match node.kind {
        NodeKind::Unique => true,
        // Only VERBOSE tells that nothing is computed.
        NodeKind::Aggregate => {
            let (output, keys) = (node.texts("Output"), node.texts("Group Key"));
            node.text("Partial Mode")
                .is_none_or(|mode| mode == "Simple")
                && !output.is_empty()
                && output.len() == keys.len()
                && output.iter().all(|column| keys.contains(column))
        }
        _ => false,
    }
}

/// Whether the planner may have put the node there for a join: `IN (SELECT …)`
/// as a join with what is made unique first.
fn is_for_a_join(plan: &PlanGraph, id: NodeId) -> bool {
    let mut at = id;
    while let Some((edge, up)) = plan.parent(at) {
        let kind = &plan.node(up).kind;
        if matches!(
            kind,
            NodeKind::NestedLoop | NodeKind::HashJoin | NodeKind::MergeJoin
        ) {
            return true;
        }
        if matches!(
            edge,
            PlanEdge::InitPlan | PlanEdge::SubPlan | PlanEdge::Subquery
        ) {
            return false;
        }
        at = up;
    }
    false
}
