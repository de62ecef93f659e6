//! How far the planner's row counts were off, and where that began.
//!
//! Estimates and actual rows are compared per execution, with one row as the
//! floor. Three things make the printed numbers incomparable:
//!
//! - **Parallel plans.** The estimate of a node that sees only its process's
//!   share of the rows was divided by `get_parallel_divisor` (workers, and the
//!   part of the leader that is not busy gathering); the actual rows are an
//!   average over the processes that ran. Both are multiplied back.
//! - **Reading that ends early**: under a Limit that was reached, on the inner
//!   side of a semi or anti join, on either side of a merge join, in EXISTS.
//!   Fewer rows than estimated then say nothing; more still do.
//! - **Rows that are not the node's result**: BitmapAnd and BitmapOr report
//!   none, ModifyTable only what it returns, the inner side of a merge join
//!   counts rows again that it is rewound to, and how many groups a Partial
//!   Aggregate finds depends on which process came to see which rows.

use super::shape::{Shape, at, set};
use crate::plan::{NodeKind, PlanEdge, PlanGraph, PlanNode};

/// From this factor on an error is followed to its origin.
pub(super) const BLAME_FROM: f64 = 2.0;

/// Row errors by node index.
pub(super) struct RowErrors {
    /// Actual over estimated rows, floored; `None` when they say nothing.
    pub(super) ratio: Vec<Option<f64>>,
    pub(super) stopped_early: Vec<bool>,
    /// The origin of the error.
    pub(super) blame: Vec<Option<usize>>,
}

pub(super) fn row_errors(plan: &PlanGraph, shape: &Shape<'_>) -> RowErrors {
    let stopped_early = stopped_early(shape);
    let partial = partial(shape);
    let partly_grouped = partly_grouped(shape);
    let leader_helps = leader_helps(plan);
    let ratio: Vec<Option<f64>> = (0..shape.len())
        .map(|index| {
            if at(&partly_grouped, index) || is_guessed_limit(shape, index) {
                return None;
            }
            let (estimated, actual) = counts(shape, index, at(&partial, index), leader_helps)?;
            let ratio = actual.max(1.0) / estimated.max(1.0);
            let fewer_is_no_news = at(&stopped_early, index) || has_pruned_inputs(shape, index);
            let more_is_no_news = is_rewound(shape, index);
            if (ratio < 1.0 && fewer_is_no_news) || (ratio > 1.0 && more_is_no_news) {
                None
            } else {
                Some(ratio)
            }
        })
        .collect();
    let blame = blame(shape, &ratio);
    RowErrors {
        ratio,
        stopped_early,
        blame,
    }
}

/// Estimated and actual rows of one execution, over all its processes.
fn counts(
    shape: &Shape<'_>,
    index: usize,
    partial: bool,
    leader_helps: bool,
) -> Option<(f64, f64)> {
    let node = shape.node(index)?;
    let (estimate, actual) = (node.estimate?, node.actual?);
    if actual.loops <= 0.0
        || matches!(
            node.kind,
            NodeKind::BitmapAnd | NodeKind::BitmapOr | NodeKind::ModifyTable
        )
    {
        return None;
    }
    let (estimates, actuals) = processes(shape, index, partial, leader_helps);
    Some((estimate.rows * estimates, actual.rows_per_loop * actuals))
}

/// The estimated and the actual rows of one execution of a node, over all its
/// processes.
pub(super) fn whole(plan: &PlanGraph, index: usize) -> (Option<f64>, Option<f64>) {
    let shape = Shape::of(plan);
    let partial = at(&partial(&shape), index);
    let (estimates, actuals) = processes(&shape, index, partial, leader_helps(plan));
    let node = shape.node(index);
    (
        node.and_then(|node| node.estimate)
            .map(|estimate| estimate.rows * estimates),
        node.and_then(|node| node.actual)
            .map(|actual| actual.rows_per_loop * actuals),
    )
}

fn leader_helps(plan: &PlanGraph) -> bool {
    plan.run
        .settings
        .get("parallel_leader_participation")
        .is_none_or(|value| value != "off")
}

/// By what the rows of one process are multiplied, estimated and actual ones.
fn processes(shape: &Shape<'_>, index: usize, partial: bool, leader_helps: bool) -> (f64, f64) {
    let gather = shape
        .gather(index)
        .filter(|_| partial)
        .and_then(|gather| shape.node(gather));
    let Some(gather) = gather else {
        return (1.0, 1.0);
    };
    let workers = gather.workers_planned.unwrap_or_default();
    let leader = if leader_helps {
        (1.0 - 0.3 * workers).max(0.0)
    } else {
        0.0
    };
    let executions = gather.actual.map_or(1.0, |actual| actual.loops).max(1.0);
    (
        (workers + leader).max(1.0),
        (shape.loops(index) / executions).max(1.0),
    )
}

/// The nodes below a Gather whose rows are a share of the whole: what is
/// parallel-aware, and what takes its outer rows from such a node. Grouping
/// ends it: each process may find every group.
fn partial(shape: &Shape<'_>) -> Vec<bool> {
    let mut partial = vec![false; shape.len()];
    for index in (0..shape.len()).rev() {
        let Some(node) = shape.node(index) else {
            continue;
        };
        if shape.gather(index).is_none() {
            continue;
        }
        let ends_here = matches!(
            node.kind,
            NodeKind::Aggregate | NodeKind::Group | NodeKind::Unique | NodeKind::Limit
        );
        let passed_on = shape
            .row_inputs(index)
            .any(|input| at(&partial, input) && shape.edge(input) != Some(PlanEdge::Inner));
        set(
            &mut partial,
            index,
            !ends_here && (node.parallel_aware || passed_on),
        );
    }
    partial
}

/// The Partial Aggregates, and what is above them up to the Finalize
/// Aggregate.
fn partly_grouped(shape: &Shape<'_>) -> Vec<bool> {
    let mut partly = vec![false; shape.len()];
    for index in (0..shape.len()).rev() {
        let mode = shape.node(index).and_then(|node| node.text("Partial Mode"));
        let is_partly = match mode {
            Some("Partial") => true,
            Some("Finalize") => false,
            _ => shape.row_inputs(index).any(|input| at(&partly, input)),
        };
        set(&mut partly, index, is_partly);
    }
    partly
}

/// Which nodes may not have been read to their end.
fn stopped_early(shape: &Shape<'_>) -> Vec<bool> {
    let mut stopped = vec![false; shape.len()];
    // By CTE: whether some reader of it read to the end.
    let mut read_out = vec![false; shape.len()];
    // What reads a CTE is visited before the CTE: InitPlans come last, and the
    // last of them first.
    let mut open = vec![0];
    while let Some(index) = open.pop() {
        // A stack: the first pushed is visited last.
        open.extend(
            shape
                .children(index)
                .filter(|child| shape.edge(*child) == Some(PlanEdge::InitPlan)),
        );
        if let Some(parent) = shape.parent(index) {
            let may_stop = match shape.edge(index) {
                Some(PlanEdge::InitPlan) if is_cte(shape, index) => !at(&read_out, index),
                Some(PlanEdge::InitPlan | PlanEdge::SubPlan) => reads_one_row(shape, index),
                _ => edge_may_stop(shape, parent, index, at(&stopped, parent)),
            };
            set(&mut stopped, index, may_stop);
        }
        if !at(&stopped, index)
            && shape.loops(index) > 0.0
            && shape.kind(index) == Some(&NodeKind::CteScan)
            && let Some(cte) = shape.reads(index)
        {
            set(&mut read_out, cte, true);
        }
        let inputs_from = open.len();
        open.extend(shape.inputs(index));
        if let Some(inputs) = open.get_mut(inputs_from..) {
            inputs.reverse();
        }
    }
    stopped
}

fn is_cte(shape: &Shape<'_>, index: usize) -> bool {
    shape.node(index).is_some_and(|node| {
        node.kind != NodeKind::ModifyTable
            && node
                .subplan_name
                .as_deref()
                .is_some_and(|name| name.starts_with("CTE "))
    })
}

/// EXISTS and IN stop at the first match, and the plan does not say which a
/// SubPlan is: one that gave at most a row may have been either. An aggregate
/// without groups has only the one.
fn reads_one_row(shape: &Shape<'_>, index: usize) -> bool {
    shape.node(index).is_some_and(|node| {
        node.actual
            .is_some_and(|actual| actual.rows_per_loop <= 1.0)
            && !(node.kind == NodeKind::Aggregate && node.text("Strategy") == Some("Plain"))
    })
}

/// Whether a parent may leave rows of a child unread.
fn edge_may_stop(shape: &Shape<'_>, parent: usize, child: usize, parent_stopped: bool) -> bool {
    let Some(node) = shape.node(parent) else {
        return false;
    };
    let is_inner = shape.edge(child) == Some(PlanEdge::Inner);
    match node.kind {
        // These read all of their input before they give the first row.
        NodeKind::Sort
        | NodeKind::Hash
        | NodeKind::BitmapHeapScan
        | NodeKind::BitmapAnd
        | NodeKind::BitmapOr
        | NodeKind::ModifyTable => false,
        NodeKind::Aggregate | NodeKind::SetOp => {
            node.text("Strategy") == Some("Sorted") && parent_stopped
        }
        NodeKind::Limit => limit_was_reached(shape, node, child) || parent_stopped,
        // The build side is read whole; the probe side is not when there is
        // nothing to find.
        NodeKind::HashJoin if is_inner => false,
        NodeKind::HashJoin => parent_stopped || build_side_is_empty(shape, parent),
        NodeKind::NestedLoop if is_inner => parent_stopped || stops_at_first_match(node),
        NodeKind::MergeJoin => true,
        _ => parent_stopped,
    }
}

/// A Limit that gave fewer rows than it was planned for has run dry, and its
/// input was read to the end. That holds where the count was known to the
/// planner; a tenth of the input is its guess where it was not.
fn limit_was_reached(shape: &Shape<'_>, limit: &PlanNode, child: usize) -> bool {
    let (Some(estimate), Some(actual)) = (limit.estimate, limit.actual) else {
        return true;
    };
    is_tenth(shape, limit, child) || actual.rows_per_loop >= estimate.rows - 0.5
}

fn is_tenth(shape: &Shape<'_>, limit: &PlanNode, child: usize) -> bool {
    let (Some(estimate), Some(input)) = (
        limit.estimate,
        shape.node(child).and_then(|node| node.estimate),
    ) else {
        return false;
    };
    input.rows >= 10.0 && (input.rows / 10.0 - estimate.rows).abs() <= 1.0
}

/// A Limit whose count the planner did not know.
fn is_guessed_limit(shape: &Shape<'_>, index: usize) -> bool {
    shape.node(index).is_some_and(|node| {
        node.kind == NodeKind::Limit
            && shape
                .row_inputs(index)
                .any(|input| is_tenth(shape, node, input))
    })
}

fn build_side_is_empty(shape: &Shape<'_>, join: usize) -> bool {
    shape
        .input(join, PlanEdge::Inner)
        .and_then(|inner| shape.node(inner))
        .and_then(|inner| inner.actual)
        .is_some_and(|actual| actual.rows_per_loop <= 0.0)
}

fn stops_at_first_match(join: &PlanNode) -> bool {
    let inner_unique = join
        .extra
        .get("Inner Unique")
        .and_then(serde_json::Value::as_bool)
        .unwrap_or_default();
    inner_unique || matches!(join.join_type.as_deref(), Some("Semi" | "Anti"))
}

/// An Append that skipped inputs when it was executed: its estimate is for all
/// of them.
fn has_pruned_inputs(shape: &Shape<'_>, index: usize) -> bool {
    let Some(node) = shape.node(index) else {
        return false;
    };
    matches!(node.kind, NodeKind::Append | NodeKind::MergeAppend)
        && (node
            .number("Subplans Removed")
            .is_some_and(|removed| removed > 0.0)
            || shape
                .row_inputs(index)
                .any(|input| shape.loops(input) <= 0.0))
}

/// The inner side of a merge join goes back over equal keys, and counts those
/// rows each time.
fn is_rewound(shape: &Shape<'_>, index: usize) -> bool {
    shape.edge(index) == Some(PlanEdge::Inner)
        && shape
            .parent(index)
            .is_some_and(|parent| shape.kind(parent) == Some(&NodeKind::MergeJoin))
}

/// Follows each error to the node where it began.
///
/// The ratios of a join's inputs multiply, those of an Append's add up by rows,
/// every other node passes its input's on. A node whose own ratio goes beyond
/// that by the factor [`BLAME_FROM`], in the same direction, is an origin;
/// otherwise the input that is most off in that direction explains it.
fn blame(shape: &Shape<'_>, ratio: &[Option<f64>]) -> Vec<Option<usize>> {
    let count = shape.len();
    let threshold = BLAME_FROM.ln();
    // Logarithms: errors multiply. BitmapAnd and BitmapOr have none of their
    // own and stand for their inputs.
    let mut off: Vec<Option<f64>> = ratio.iter().map(|ratio| ratio.map(f64::ln)).collect();
    for index in (0..count).rev() {
        if matches!(
            shape.kind(index),
            Some(NodeKind::BitmapAnd | NodeKind::BitmapOr)
        ) {
            let through = explained_by_inputs(shape, &off, index);
            set(&mut off, index, Some(through));
        }
    }
    let cause: Vec<Option<usize>> = (0..count)
        .map(|index| {
            let own = at(&off, index)?;
            if own.abs() < threshold {
                return None;
            }
            let beyond = own - explained_by_inputs(shape, &off, index);
            if beyond.abs() >= threshold && beyond.signum() == own.signum() {
                return Some(index);
            }
            let most = error_inputs(shape, index)
                .filter_map(|input| at(&off, input).map(|error| (input, error * own.signum())))
                .filter(|(_, error)| *error >= threshold)
                .max_by(|a, b| a.1.total_cmp(&b.1));
            Some(most.map_or(index, |(input, _)| input))
        })
        .collect();
    follow(&cause)
}

/// The inputs whose errors a node inherits: those that give it rows, and the
/// CTE that it reads.
fn error_inputs<'s>(shape: &'s Shape<'_>, index: usize) -> impl Iterator<Item = usize> + 's {
    let cte = shape
        .reads(index)
        .filter(|_| shape.kind(index) == Some(&NodeKind::CteScan));
    shape.row_inputs(index).chain(cte)
}

fn explained_by_inputs(shape: &Shape<'_>, off: &[Option<f64>], index: usize) -> f64 {
    let adds_up = matches!(
        shape.kind(index),
        Some(NodeKind::Append | NodeKind::MergeAppend | NodeKind::BitmapOr)
    );
    if !adds_up {
        return error_inputs(shape, index)
            .filter_map(|input| at(off, input))
            .sum();
    }
    let (mut estimated, mut actual) = (0.0, 0.0);
    for input in shape.row_inputs(index) {
        let rows = shape
            .node(input)
            .and_then(|node| node.estimate)
            .map_or(1.0, |estimate| estimate.rows.max(1.0));
        if let Some(error) = at(off, input) {
            estimated += rows;
            actual += rows * error.exp();
        }
    }
    if estimated > 0.0 {
        (actual / estimated).ln()
    } else {
        0.0
    }
}

/// From each node along its causes to the one that is its own.
fn follow(cause: &[Option<usize>]) -> Vec<Option<usize>> {
    let mut origin: Vec<Option<usize>> = vec![None; cause.len()];
    let mut seen = vec![false; cause.len()];
    for start in 0..cause.len() {
        let mut path = Vec::new();
        let mut index = start;
        let found = loop {
            if let Some(known) = at(&origin, index) {
                break Some(known);
            }
            match at(cause, index) {
                None => break path.last().copied(),
                // A plan put together by hand may go round in circles.
                Some(next) if next == index || at(&seen, index) => break Some(index),
                Some(next) => {
                    set(&mut seen, index, true);
                    path.push(index);
                    index = next;
                }
            }
        };
        set(&mut origin, start, found);
        for index in path {
            set(&mut origin, index, found);
        }
    }
    origin
}
