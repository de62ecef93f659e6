//! Numbers derived from a plan: self time, self blocks, estimate error and
//! whose fault it is. Functions, never stored fields.
//!
//! Each number's formula and its source in the server stand at the head of the
//! file that computes it.

mod blocks;
mod cost;
mod rows;
mod shape;
mod time;

use super::{NodeId, PlanGraph};
use shape::{Shape, at};

/// All derived numbers of one plan, computed in one pass, by node index.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// By node index.
    pub nodes: Vec<NodeMetrics>,
    /// The wall-clock time in milliseconds, if timed: the root's, and that of
    /// data-modifying CTEs which were finished after it. Without triggers.
    pub total_ms: Option<f64>,
    /// The root's total cost, if printed.
    pub total_cost: Option<f64>,
    /// What rounding left over: that time minus the sum of self times.
    pub remainder_ms: f64,
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
    /// Blocks of the node alone.
    pub self_buffers: Option<super::Buffers>,
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
    let own_buffers = blocks::own_buffers(&shape, &charges);
    let errors = rows::row_errors(plan, &shape);
    let whole_ms = times.as_ref().map(|times| times.whole);
    let whole_cost = costs.as_ref().map(|costs| at(&costs.total, 0));
    let nodes: Vec<NodeMetrics> = plan
        .graph
        .node_weights()
        .zip(own_buffers)
        .enumerate()
        .map(|(index, (node, self_buffers))| {
            let total_ms = times.as_ref().map(|times| at(&times.total, index));
            let self_ms = times.as_ref().map(|times| at(&times.own, index));
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
                self_buffers,
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
    let remainder_ms = times
        .as_ref()
        .map_or(0.0, |times| times.whole - times.own.iter().sum::<f64>());
    Metrics {
        nodes,
        total_ms: whole_ms,
        total_cost: whole_cost,
        remainder_ms,
    }
}
