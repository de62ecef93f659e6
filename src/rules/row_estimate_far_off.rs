//! An estimate that is far from what was measured, told once, where it began.

use super::support::{cause, node, show, weight::Weight};
use crate::declare_rule;
use crate::finding::{Evidence, Level, Origin, Value};
use crate::plan::metrics::Metrics;
use crate::plan::{ConditionRole, NodeId, NodeKind, PlanEdge, PlanGraph};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

/// Smaller errors rarely change a plan.
const LEAST_ERROR: f64 = 10.0;
/// Fewer rows make no difference.
const LEAST_ROWS: f64 = 100.0;
/// Of nodes that would do much of their work with a right estimate, too.
const PART: f64 = 0.5;

declare_rule! {
    /// ## What it does
    ///
    /// Finds the plan node at which a row estimate first went wrong by a factor
    /// of 10 or more and by at least 100 rows, and names the likely cause and
    /// the statistics that mend it:
    ///
    /// - the table was never analysed, or more than a tenth of it changed since:
    ///   `ANALYZE`;
    /// - conditions on several columns that depend on each other:
    ///   `CREATE STATISTICS (dependencies, mcv)`;
    /// - groups of several columns: `CREATE STATISTICS (ndistinct)`;
    /// - a condition on an expression, for which there are no statistics:
    ///   `CREATE STATISTICS ON (expression)` (version 14 and later), or an index
    ///   on the expression; where an index has the bare column, or a cast or
    ///   arithmetic can be done on the other side, rather that;
    /// - values skewed beyond the most common ones that are kept: a larger
    ///   statistics target;
    /// - a join, a function or a parameter: what can be done by hand;
    /// - a subquery in the condition, of which the planner knows nothing.
    ///
    /// Where nothing can be done about the cause, the finding is a note.
    ///
    /// Nodes above the origin inherit its error and are not reported again;
    /// nodes that stopped early, as under a LIMIT, or never ran do not count.
    /// It speaks only where the error misled something: joins above the node,
    /// the inner side of a nested loop that ran more often than expected, a
    /// hash aggregate that spilled, or the choice of the scan itself.
    ///
    /// ## Why it matters
    ///
    /// The planner chooses join methods and orders by these numbers. Taking
    /// 10,000 rows for one, it picks a nested loop that runs 10,000 times.
    ///
    /// ## When it is wrong
    ///
    /// When the plan is the best one all the same: a right estimate need not
    /// change it. The cause is a guess from the conditions; try the statistics
    /// and look at the plan again.
    ///
    /// ## References
    ///
    /// - [Extended statistics](https://www.postgresql.org/docs/current/planner-stats.html#PLANNER-STATS-EXTENDED)
    /// - [CREATE STATISTICS](https://www.postgresql.org/docs/current/sql-createstatistics.html)
    /// - [Row estimation examples](https://www.postgresql.org/docs/current/row-estimation-examples.html)
    pub struct RowEstimateFarOff = {
        id: "row-estimate-far-off",
        summary: "the planner expected far more or fewer rows than there were",
        level: Warning,
        needs: [Actuals],
        concerns: [SeqScan, SampleScan, IndexScan, IndexOnlyScan, BitmapHeapScan, BitmapIndexScan, TidRangeScan, ForeignScan, FunctionScan, TableFunctionScan, ProjectSet, CteScan, WorkTableScan, RecursiveUnion, NestedLoop, HashJoin, MergeJoin, Aggregate, Group, Unique, SetOp, Append, MergeAppend, SubqueryScan],
        since: "0.1.0",
    }
}

impl Rule for RowEstimateFarOff {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let (Some(plan), Some(metrics)) = (subject.plan, subject.metrics) else {
            return;
        };
        for (id, _) in plan.nodes() {
            if metrics.node(id).blame == Some(id) {
                look(subject, plan, metrics, id, sink);
            }
        }
    }
}

fn look(subject: &Subject<'_>, plan: &PlanGraph, metrics: &Metrics, id: NodeId, sink: &mut Sink) {
    let origin = plan.node(id);
    let (Some(error), Some(estimate), Some(actual)) =
        (metrics.node(id).q_error, origin.estimate, origin.actual)
    else {
        return;
    };
    let difference = (actual.rows_per_loop - estimate.rows).abs() * actual.loops;
    if error < LEAST_ERROR || difference < LEAST_ROWS {
        return;
    }
    let misled = misled(plan, metrics, id);
    let Some(weight) = Weight::worth_telling(subject, misled.share) else {
        return;
    };
    if misled.share < 0.1 && misled.nested_loop.is_none() {
        return;
    }

    let cause = cause::of(subject, plan, id);
    let each = if actual.loops > 1.0 { " each time" } else { "" };
    let message = format!(
        "{} gives {}{each} where {} were expected ({} {})",
        origin.label(),
        show::rows(actual.rows_per_loop),
        show::count(estimate.rows),
        show::factor(error),
        if metrics.node(id).underestimated {
            "more"
        } else {
            "fewer"
        },
    );
    let effect = match misled.nested_loop {
        Some(join) => format!(
            "; the nested loop above ran its inner side {} times for it",
            show::count(inner_loops(plan, join))
        ),
        None => String::new(),
    };
    let why = format!("{}{effect}", cause.text);
    // A cause that nothing can be done about is only good to know.
    let level = if cause.suggestions.is_empty() {
        Level::Note
    } else {
        weight.level()
    };
    let mut draft = sink
        .report(
            message,
            why,
            Evidence::new(
                "rows expected",
                Value::Rows(estimate.rows),
                Origin::Plan(id),
            ),
        )
        .node(id)
        .span(span(subject, plan, id))
        .level(level)
        .share(weight.share())
        .evidence(Evidence::new(
            "rows measured",
            Value::Rows(actual.rows_per_loop),
            Origin::Plan(id),
        ))
        .evidence(Evidence::new(
            "estimate error",
            Value::Factor(error),
            Origin::Formula("max(expected, measured) / min(expected, measured), at least one row"),
        ))
        .evidence(Evidence::new(
            "share of the statement that it misled",
            Value::Share(weight.share()),
            Origin::Formula("time of the nodes above that chose by it"),
        ));
    for evidence in cause.evidence {
        draft = draft.evidence(evidence);
    }
    for suggestion in cause.suggestions {
        draft = draft.suggest(suggestion);
    }
    if let Some((schema, name)) = cause.relation {
        draft.relation(schema, name);
    }
}

/// What the wrong estimate misled.
struct Misled {
    share: f64,
    nested_loop: Option<NodeId>,
}

fn misled(plan: &PlanGraph, metrics: &Metrics, id: NodeId) -> Misled {
    let under = metrics.node(id).underestimated;
    let own = plan.node(id);
    // The scan itself was chosen by the estimate.
    let mut share = match own.kind {
        NodeKind::IndexScan | NodeKind::BitmapHeapScan if under => {
            metrics.node(id).self_share * PART
        }
        NodeKind::SeqScan if !under => metrics.node(id).self_share * PART,
        NodeKind::Aggregate if spilled(own) => metrics.node(id).self_share * PART,
        _ => 0.0,
    };
    let mut nested_loop = None;
    let mut at = id;
    while let Some((edge, up)) = plan.parent(at) {
        if matches!(edge, PlanEdge::InitPlan | PlanEdge::SubPlan) {
            break;
        }
        let node = plan.node(up);
        let own_share = metrics.node(up).self_share;
        match node.kind {
            NodeKind::NestedLoop => {
                share += own_share;
                if edge == PlanEdge::Outer
                    && under
                    && let Some(inner) = plan.child(up, PlanEdge::Inner)
                {
                    share += metrics.node(inner).total_share;
                    nested_loop = nested_loop.or(Some(up));
                }
            }
            NodeKind::HashJoin | NodeKind::MergeJoin | NodeKind::Hash | NodeKind::Memoize => {
                share += own_share * PART;
            }
            // What is counted or grouped has a number of rows of its own.
            NodeKind::Aggregate | NodeKind::Group => {
                if spilled(node) {
                    share += own_share * PART;
                }
                break;
            }
            _ => {}
        }
        at = up;
    }
    Misled {
        share: share.min(1.0),
        nested_loop,
    }
}

/// A hash aggregate that went through temporary files.
fn spilled(node: &crate::plan::PlanNode) -> bool {
    node.number("HashAgg Batches")
        .is_some_and(|batches| batches > 1.0)
        || node.number("Disk Usage").is_some_and(|disk| disk > 0.0)
}

fn inner_loops(plan: &PlanGraph, join: NodeId) -> f64 {
    plan.child(join, PlanEdge::Inner)
        .and_then(|inner| plan.node(inner).actual)
        .map_or(0.0, |actual| actual.loops)
}

/// The predicate of the node, or of the bitmap scan that it feeds.
fn span(subject: &Subject<'_>, plan: &PlanGraph, id: NodeId) -> Option<crate::source::Span> {
    let own = plan.node(id);
    let scan = if own.kind == NodeKind::BitmapIndexScan {
        plan.ancestors(id)
            .find(|up| plan.node(*up).kind == NodeKind::BitmapHeapScan)?
    } else {
        id
    };
    let text = own
        .condition(ConditionRole::IndexCond)
        .or_else(|| own.condition(ConditionRole::Filter));
    node::span(subject, scan, text)
}
