//! Numbers derived from a plan: self time, self blocks, estimate error and
//! whose fault it is. Functions, never stored fields.
//!
//! Each number's formula and its source in the server stand at the head of the
//! file that computes it.

mod beside;
mod cost;
mod counts;
mod fit;
mod places;
mod rows;
mod shape;
mod time;

use super::{Buffers, IoTimes, NodeId, PlanGraph, Wal};
pub use counts::Counts;
use shape::{Shape, at};

/// All derived numbers of one plan, computed in one pass, by node index.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// By node index.
    pub nodes: Vec<NodeMetrics>,
    /// The wall-clock time in milliseconds, if timed: the root's, and that of
    /// data-modifying CTEs which were finished after it. Without triggers.
    pub total_ms: Option<f64>,
    /// The root's total cost, if printed.
    pub total_cost: Option<f64>,
    /// What is left over: that time minus the sum of self times. Rounding
    /// leaves half a microsecond at most; more only where times contradict
    /// each other so that nothing can settle them.
    pub remainder_ms: f64,
    /// How the times were made to agree.
    pub account: Account,
    /// What stood beside the tree in the execution time.
    pub beside: Beside,
    /// Blocks, I/O times and WAL of the whole execution: the root's, and those
    /// of data-modifying CTEs which were finished after it.
    pub counts: Counts,
}

/// By how much printed times contradicted each other, so that one can tell how
/// exact the self times are. All in milliseconds of the whole.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Account {
    /// Inputs that were printed as longer than their node, where rounding
    /// explains it: sum of by how much. They were taken as shorter, each
    /// within its rounding.
    pub rounded_ms: f64,
    /// Time that a node above had of what inputs did while their own node was
    /// not running: it was given to that node.
    pub raised_ms: f64,
    /// The same where neither explains it. The inputs were scaled
    /// down to their node.
    pub scaled_ms: f64,
    /// The nodes whose inputs were scaled down.
    pub scaled_at: Vec<NodeId>,
    /// Time of InitPlans and CTEs for which more than one node had room, so
    /// that another than the charged one may have run them.
    pub ambiguous_ms: f64,
    /// The largest share of a count of blocks, I/O times or WAL that no node
    /// had room for; 0 to 1.
    pub unplaced_counts: f64,
}

/// Parts of the execution time that are of no node. Those that the server does
/// not print are what is left.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Beside {
    /// Data-modifying CTEs that were finished after the root; nodes of the
    /// plan have this time.
    pub afterwards_ms: f64,
    /// All triggers. Those that fire AFTER run when the plan has ended, and
    /// BEFORE ones inside of a ModifyTable: which is which is not printed.
    pub triggers_ms: f64,
    /// Of these, what must have run inside of nodes: there is no room beside
    /// them.
    pub triggers_inside_ms: f64,
    /// Converting rows for the client (`SERIALIZE`).
    pub serialization_ms: Option<f64>,
    /// Compiling expressions. What is not in the nodes that first evaluate
    /// them is in the rest.
    pub jit_ms: Option<f64>,
    /// Execution time less all of the above but JIT, and less the root:
    /// starting and stopping the executor.
    pub rest_ms: Option<f64>,
}

/// Derived numbers of one node.
#[derive(Debug, Clone, Default)]
pub struct NodeMetrics {
    /// Wall-clock milliseconds of the node with everything below it.
    pub total_ms: Option<f64>,
    /// Wall-clock milliseconds of the node alone; never negative.
    pub self_ms: Option<f64>,
    /// Total cost over all its executions as the planner reckons them (an
    /// inner side's cost times the outer's estimated rows).
    pub total_cost: Option<f64>,
    /// Its own share of that.
    pub self_cost: Option<f64>,
    /// Share of the root's time (when timed) or cost (when not) spent in the
    /// node alone, 0 to 1.
    pub self_share: f64,
    /// The same for the node with everything below it.
    pub total_share: f64,
    /// By how much rounding may have put [`Self::total_ms`] off, to either
    /// side: half a microsecond for each loop.
    pub total_error_ms: f64,
    /// The same for [`Self::self_ms`]: the node's and its inputs' together.
    pub self_error_ms: f64,
    /// By how much [`Self::total_ms`] is off the printed time so that all times
    /// agree.
    pub adjusted_ms: f64,
    /// Blocks of the node alone.
    pub self_buffers: Option<Buffers>,
    /// I/O times of the node alone.
    pub self_io: Option<IoTimes>,
    /// WAL of the node alone.
    pub self_wal: Option<Wal>,
    /// Rows it gave over all loops.
    pub total_rows: Option<f64>,
    /// max(estimate, actual) / min(estimate, actual) per loop, one row as the
    /// floor; `None` when not executed, or when it was stopped early before it
    /// gave as many rows as estimated.
    pub q_error: Option<f64>,
    /// The actual rows are more than the estimate.
    pub underestimated: bool,
    /// The node whose own error explains this one's; itself when it is the
    /// origin; `None` when the error is small.
    pub blame: Option<NodeId>,
    /// A node above it may have stopped reading early (LIMIT, semi join, merge
    /// join's end), so that fewer rows than estimated say nothing.
    pub stopped_early: bool,
    /// `loops = 0`.
    pub never_executed: bool,
}

impl Metrics {
    /// The numbers of a node.
    pub fn node(&self, id: NodeId) -> &NodeMetrics {
        static EMPTY: std::sync::LazyLock<NodeMetrics> =
            std::sync::LazyLock::new(NodeMetrics::default);
        self.nodes.get(id.index()).unwrap_or(&EMPTY)
    }
}

/// The estimated and the actual rows of one execution of a node, over all its
/// processes: below a Gather, a plan has those of one.
pub fn rows_of_all(plan: &PlanGraph, id: NodeId) -> (Option<f64>, Option<f64>) {
    rows::whole(plan, id.index())
}

/// Computes all derived numbers; linear in the number of nodes.
pub fn metrics(plan: &PlanGraph) -> Metrics {
    let shape = Shape::of(plan);
    let (times, charges) = time::times(&shape);
    let costs = cost::costs(&shape);
    let counted = counts::own_counts(&shape, &charges);
    let errors = rows::row_errors(plan, &shape);
    let whole_ms = times.as_ref().map(|times| times.whole);
    let whole_cost = costs.as_ref().map(|costs| at(&costs.total, 0));
    let nodes: Vec<NodeMetrics> = plan
        .graph
        .node_weights()
        .zip(&counted.own)
        .enumerate()
        .map(|(index, (node, counts))| {
            let total_ms = times.as_ref().map(|times| at(&times.fitted.total, index));
            let self_ms = times.as_ref().map(|times| at(&times.fitted.own, index));
            let total_cost = costs.as_ref().map(|costs| at(&costs.total, index));
            let self_cost = costs.as_ref().map(|costs| at(&costs.own, index));
            let (own, total, whole) = match whole_ms {
                Some(whole) => (self_ms, total_ms, whole),
                None => (self_cost, total_cost, whole_cost.unwrap_or_default()),
            };
            let share = |part: Option<f64>| match part {
                Some(part) if whole > 0.0 => (part / whole).clamp(0.0, 1.0),
                _ => 0.0,
            };
            let ratio = at(&errors.ratio, index);
            NodeMetrics {
                total_ms,
                self_ms,
                total_cost,
                self_cost,
                self_share: share(own),
                total_share: share(total),
                total_error_ms: times
                    .as_ref()
                    .map_or(0.0, |times| at(&times.total_error, index)),
                self_error_ms: times
                    .as_ref()
                    .map_or(0.0, |times| at(&times.own_error, index)),
                adjusted_ms: times.as_ref().map_or(0.0, |times| {
                    at(&times.fitted.total, index) - at(&times.printed, index)
                }),
                self_buffers: counts.buffers,
                self_io: counts.io,
                self_wal: counts.wal,
                total_rows: node
                    .actual
                    .map(|actual| actual.rows_per_loop * actual.loops),
                q_error: ratio.map(|ratio| ratio.max(ratio.recip())),
                underestimated: ratio.is_some_and(|ratio| ratio > 1.0),
                blame: at(&errors.blame, index).map(NodeId::new),
                stopped_early: at(&errors.stopped_early, index),
                never_executed: node.actual.is_some_and(|actual| actual.loops <= 0.0),
            }
        })
        .collect();
    let remainder_ms = times.as_ref().map_or(0.0, |times| {
        times.whole - times.fitted.own.iter().sum::<f64>()
    });
    let mut account = Account {
        unplaced_counts: counted.unplaced,
        ..Account::default()
    };
    if let Some(times) = &times {
        account.rounded_ms = times.fitted.rounded;
        account.raised_ms = times.raised;
        account.scaled_ms = times.fitted.scaled;
        account.scaled_at = times
            .fitted
            .scaled_at
            .iter()
            .map(|index| NodeId::new(*index))
            .collect();
        account.ambiguous_ms = charges
            .iter()
            .filter(|charge| charge.ambiguous)
            .map(|charge| at(&times.printed, charge.init_plan))
            .fold(0.0, |sum, ms| sum + ms);
    }
    let beside = beside::beside(plan, times.as_ref());
    Metrics {
        nodes,
        total_ms: whole_ms,
        total_cost: whole_cost,
        remainder_ms,
        account,
        beside,
        counts: counted.whole,
    }
}

#[cfg(test)]
mod tests;
