//! An estimate that is far from what was measured, told once, where it began.

use super::support::misled::misled;
use super::support::{cause, node, show, weight::Weight};
use crate::declare_rule;
use crate::finding::{Evidence, Level, Origin, Value};
use crate::plan::metrics::{Metrics, rows_of_all};
use crate::plan::{ConditionRole, NodeId, NodeKind, PlanGraph};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

/// Smaller errors rarely change a plan.
const LEAST_ERROR: f64 = 10.0;
/// Fewer rows make no difference.
const LEAST_ROWS: f64 = 100.0;
/// Nor does it matter where less than that was chosen by it.
const LEAST_MISLED: f64 = 0.1;
/// So many spoilt decisions are named.
const MOST_NAMED: usize = 3;

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
    ///   statistics target; a misjudged number of different values:
    ///   `SET (n_distinct = …)`;
    /// - a range beyond the end of the histogram, a partitioned or foreign
    ///   table without statistics of its own: `ANALYZE`;
    /// - a join by several columns: the foreign key that it follows; a
    ///   function: `ALTER FUNCTION … ROWS`;
    /// - a join by a frequent value, a parameter, a CTE: what can be done by
    ///   hand;
    /// - a subquery in the condition, of which the planner knows nothing.
    ///
    /// What else it could be is said where only the plan is at hand. What was
    /// chosen by the wrong number is named with its share of the statement.
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
            } else {
                sink.pass(id, || unblamed(plan, metrics, id));
            }
        }
    }
}

/// Why a node is no origin of an error.
fn unblamed(plan: &PlanGraph, metrics: &Metrics, id: NodeId) -> String {
    let own = metrics.node(id);
    match (own.blame, own.q_error) {
        (Some(origin), Some(error)) => format!(
            "its estimate is off by {}, for which plan node {} ({}) is the reason",
            show::factor(error),
            origin.index() + 1,
            plan.node(origin).label()
        ),
        (_, Some(error)) => format!(
            "its estimate is off by {}, under {}",
            show::factor(error),
            show::factor(2.0)
        ),
        _ if own.never_executed => "it was never executed, so that no rows were counted".to_owned(),
        _ if own.stopped_early => "it was stopped before it gave all its rows, so that fewer than \
             estimated say nothing"
            .to_owned(),
        _ => "its counted rows cannot be compared with the estimate".to_owned(),
    }
}

fn look(subject: &Subject<'_>, plan: &PlanGraph, metrics: &Metrics, id: NodeId, sink: &mut Sink) {
    let origin = plan.node(id);
    let (Some(error), Some(estimate), Some(actual)) =
        (metrics.node(id).q_error, origin.estimate, origin.actual)
    else {
        return;
    };
    // Below a Gather a plan has the rows of one process: all are told.
    let (expected, counted) = match rows_of_all(plan, id) {
        (Some(expected), Some(counted)) => (expected, counted),
        _ => (estimate.rows, actual.rows_per_loop),
    };
    let executions = actual.loops * actual.rows_per_loop / counted.max(actual.rows_per_loop);
    let difference = (counted - expected).abs() * executions;
    if sink.passes(error < LEAST_ERROR, id, || {
        format!(
            "its estimate is off by {}, under {}",
            show::factor(error),
            show::factor(LEAST_ERROR)
        )
    }) || sink.passes(difference < LEAST_ROWS, id, || {
        format!(
            "its estimate is off by {} only, under {}",
            show::rows(difference),
            show::rows(LEAST_ROWS)
        )
    }) {
        return;
    }
    let misled = misled(plan, metrics, id);
    let Some(weight) = Weight::worth_telling(subject, misled.share) else {
        return;
    };
    if sink.passes(
        misled.share < LEAST_MISLED && misled.nested_loop.is_none(),
        id,
        || {
            format!(
                "its estimate is off by {}, but what was chosen by it takes {} of the time, under \
                 {}",
                show::factor(error),
                show::percent(misled.share),
                show::percent(LEAST_MISLED)
            )
        },
    ) {
        return;
    }

    let cause = cause::of(subject, plan, id);
    let each = if executions > 1.0 { " each time" } else { "" };
    let message = format!(
        "{} gives {}{each} where {} were expected ({} {})",
        origin.label(),
        show::rows(counted),
        show::count(expected),
        show::factor(error),
        if metrics.node(id).underestimated {
            "more"
        } else {
            "fewer"
        },
    );
    let effect = misled
        .spoilt
        .first()
        .map_or_else(String::new, |worst| format!("; for it, {}", worst.text));
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
            Evidence::new("rows expected", Value::Rows(expected), Origin::Plan(id)),
        )
        .node(id)
        .span(span(subject, plan, id))
        .level(level)
        .share(weight.share())
        .evidence(Evidence::new(
            "rows measured",
            Value::Rows(counted),
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
    for spoilt in misled.spoilt.into_iter().take(MOST_NAMED) {
        draft = draft.evidence(Evidence::new(
            spoilt.text,
            Value::Share(spoilt.share),
            Origin::Plan(spoilt.node),
        ));
    }
    for evidence in cause.told(subject).into_iter().chain(cause.evidence) {
        draft = draft.evidence(evidence);
    }
    for suggestion in cause.suggestions {
        draft = draft.suggest(suggestion);
    }
    if let Some((schema, name)) = cause.relation {
        draft.relation(schema, name);
    }
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
