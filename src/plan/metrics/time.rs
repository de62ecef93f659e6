//! Wall-clock time of each node alone.
//!
//! EXPLAIN prints a node's time per loop, with everything below it, and sums
//! loops and times over all processes (`InstrAggNode` in
//! `src/backend/executor/instrument.c`). From that:
//!
//! - **Total.** time per loop × loops × share. The share is 1 outside of a
//!   Gather. Below one it is that of the slowest process, where `VERBOSE`
//!   printed the times of workers; else 1 / processes, the average, where the
//!   processes are those that really ran its input: that input's loops over
//!   the Gather's loops. It counts the leader if it took part, and no worker
//!   that never got to run. The bitmap of a parallel Bitmap Heap Scan is built
//!   by one process while the others wait: its time is not shared, unless they
//!   came too late to wait.
//! - **Alone.** the total, less the totals of all children but InitPlans, less
//!   the InitPlans that ran inside of it (see [`super::places`]).
//! - **Data-modifying CTEs** that nobody reads to the end are finished after
//!   the root (`ExecPostprocessPlan`): their time is outside of the root's and
//!   added to the whole.
//!
//! What a node's inputs do while the node itself is not running is given back
//! to it by the node above that was; see [`raise`].
//!
//! Printed times are rounded, so that they may contradict each other; see
//! [`super::fit`] for how that is settled, and for times that rounding does
//! not explain.

use serde_json::Value;

use super::fit::{Fitted, fit};
use super::places::{Charge, Known, charges};
use super::shape::{Shape, at, set};
use crate::plan::{NodeKind, PlanEdge, PlanNode};

/// Times are printed to the microsecond: each may be off by half of one.
pub(super) const HALF_STEP_MS: f64 = 0.0005;

/// Wall-clock milliseconds by node index.
pub(super) struct Times {
    pub(super) fitted: Fitted,
    /// What nodes were given of the time of a node above.
    pub(super) raised: f64,
    /// With everything below, as printed.
    pub(super) printed: Vec<f64>,
    /// Of the whole execution, as printed.
    pub(super) whole: f64,
    /// Of that, after the root had ended.
    pub(super) afterwards: f64,
    /// How far off rounding may have put each total.
    pub(super) total_error: Vec<f64>,
    /// The same for the time of the node alone.
    pub(super) own_error: Vec<f64>,
}

/// The times, if the plan was timed, and where its InitPlans ran.
pub(super) fn times(shape: &Shape<'_>) -> (Option<Times>, Vec<Charge>) {
    let timed = shape
        .node(0)
        .and_then(|node| node.actual)
        .is_some_and(|actual| actual.total_ms_per_loop.is_some());
    let (mut total, slack) = walls(shape);
    let printed = total.clone();
    let raised = raise(shape, &mut total, &slack);
    let charges = charges(
        shape,
        &Known {
            total: &total,
            slack: &slack,
            timed,
        },
    );
    let times = timed.then(|| {
        let fitted = fit(shape, &total, &slack, &charges);
        let mut own_error = slack.clone();
        for (index, error) in own_error.iter_mut().enumerate() {
            *error += shape
                .inputs(index)
                .map(|input| at(&slack, input))
                .sum::<f64>();
        }
        let mut afterwards = 0.0;
        for charge in &charges {
            afterwards += charge.afterwards;
            for (user, _) in &charge.parts {
                let error = at(&own_error, *user) + at(&slack, charge.init_plan);
                set(&mut own_error, *user, error);
            }
        }
        Times {
            whole: at(&printed, 0) + afterwards,
            afterwards,
            fitted,
            printed,
            raised,
            total_error: slack,
            own_error,
        }
    });
    (times, charges)
}

/// How far up a node is looked for that has the time.
const LEVELS: usize = 64;

/// Some of what a node's inputs do is done while the node itself is not
/// running, but one above it is: a node that is started over computes the
/// `SubPlan`s in its index condition for the join above (`ExecReScan`), and
/// on older servers a Gather that a LIMIT stops waits for its workers inside
/// of the Limit alone (`ExecShutdownNode`). The node is taken to have that time
/// too, and the one above no longer. Gives the sum.
fn raise(shape: &Shape<'_>, total: &mut [f64], slack: &[f64]) -> f64 {
    let mut own: Vec<f64> = total.to_vec();
    let mut own_slack: Vec<f64> = slack.to_vec();
    for index in 0..shape.len() {
        for input in shape.inputs(index) {
            let left = at(&own, index) - at(total, input);
            set(&mut own, index, left);
            let more = at(&own_slack, index) + at(slack, input);
            set(&mut own_slack, index, more);
        }
    }
    let mut sum = 0.0;
    for index in (0..shape.len()).rev() {
        let missing = -at(&own, index);
        // What processes do beside each other is no time of a node above.
        if missing <= at(&own_slack, index) || shape.is_gather(index) {
            continue;
        }
        let above: Vec<usize> = std::iter::successors(Some(index), |index| {
            shape
                .parent(*index)
                .filter(|_| shape.edge(*index) != Some(PlanEdge::InitPlan))
                .filter(|parent| !shape.is_gather(*parent))
        })
        .take(LEVELS)
        .collect();
        let lender = above
            .iter()
            .skip(1)
            .position(|above| at(&own, *above) + at(&own_slack, *above) >= missing);
        let Some(lender) = lender else { continue };
        for (level, node) in above.iter().enumerate().take(lender + 2) {
            if level <= lender {
                let more = at(total, *node) + missing;
                set(total, *node, more);
            } else {
                let left = at(&own, *node) - missing;
                set(&mut own, *node, left);
            }
        }
        set(&mut own, index, 0.0);
        sum += missing;
    }
    sum
}

/// All processes' time in a node, over all its loops.
fn printed(node: &PlanNode) -> f64 {
    node.actual.map_or(0.0, |actual| {
        actual.total_ms_per_loop.unwrap_or_default() * actual.loops
    })
}

/// Total times, and how far off rounding may have put each.
fn walls(shape: &Shape<'_>) -> (Vec<f64>, Vec<f64>) {
    let count = shape.len();
    let all = |index: usize| shape.node(index).map_or(0.0, printed);
    let mut share = vec![1.0; count];
    for index in 0..count {
        let own_share = at(&share, index);
        let total = all(index) * own_share;
        for child in shape.children(index) {
            let child_share = own_share
                * share_below(shape, index, child, total)
                * bitmap_share(shape, index, child, total, own_share * all(child));
            set(&mut share, child, child_share);
        }
    }
    (0..count)
        .map(|index| {
            let share = at(&share, index);
            (
                all(index) * share,
                HALF_STEP_MS * shape.loops(index) * share,
            )
        })
        .unzip()
}

/// What a child's share is of its parent's: below a Gather, that of one of the
/// processes that ran it. A process that went on when the Gather had ended is
/// no longer waited for.
fn share_below(shape: &Shape<'_>, parent: usize, child: usize, parent_ms: f64) -> f64 {
    let (loops, below) = (shape.loops(parent), shape.loops(child));
    if shape.gather(child) != Some(parent) || shape.gather(parent).is_some() || below <= 0.0 {
        return 1.0;
    }
    let average = (loops / below).min(1.0);
    // How its executions went together is printed for one only.
    if loops > 1.0 {
        return average;
    }
    shape
        .node(child)
        .and_then(|node| slowest_share(node, parent_ms))
        .map_or(average, |slowest| slowest.max(average).min(1.0))
}

/// The part of all processes' time that the slowest of them took, where the
/// times of workers are printed.
fn slowest_share(node: &PlanNode, parent_ms: f64) -> Option<f64> {
    let workers = worker_times(node)?;
    let all = printed(node);
    if all <= 0.0 {
        return None;
    }
    let leader = all - workers.iter().sum::<f64>();
    let slowest = workers.into_iter().fold(leader, f64::max);
    Some(slowest.min(parent_ms) / all)
}

/// The milliseconds that each worker took for a node, in the order printed.
pub(super) fn worker_times(node: &PlanNode) -> Option<Vec<f64>> {
    let Some(Value::Array(workers)) = node.extra.get("Workers") else {
        return None;
    };
    let times: Vec<f64> = workers
        .iter()
        .filter_map(|worker| {
            let number = |key: &str| worker.get(key).and_then(Value::as_f64);
            Some(number("Actual Total Time")? * number("Actual Loops")?)
        })
        .collect();
    (!times.is_empty()).then_some(times)
}

/// By how much more a parallel bitmap's time counts than an equal share of it.
/// All processes waited for the one that built it if each had that time; a
/// parent with less has processes that came later.
fn bitmap_share(
    shape: &Shape<'_>,
    parent: usize,
    child: usize,
    parent_ms: f64,
    shared_ms: f64,
) -> f64 {
    let is_parallel_bitmap = shape.gather(parent).is_some()
        && shape
            .node(parent)
            .is_some_and(|node| node.kind == NodeKind::BitmapHeapScan && node.parallel_aware)
        && shape.edge(child) == Some(PlanEdge::Outer);
    let (loops, below) = (shape.loops(parent), shape.loops(child));
    if !is_parallel_bitmap || below <= 0.0 {
        return 1.0;
    }
    let processes = (loops / below).max(1.0);
    if shared_ms * processes <= parent_ms {
        processes
    } else {
        1.0
    }
}
