//! Numbers derived from a plan: self time, self blocks, estimate error and
//! whose fault it is. Functions, never stored fields.

use super::{NodeId, PlanGraph};

/// All derived numbers of one plan, computed in one pass, by node index.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// By node index.
    pub nodes: Vec<NodeMetrics>,
    /// The root's wall-clock time in milliseconds (the whole execution without
    /// triggers), if timed.
    pub total_ms: Option<f64>,
    /// The root's total cost, if printed.
    pub total_cost: Option<f64>,
    /// What rounding left over: root time minus the sum of self times.
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
    /// floor; `None` when not executed, never reached or stopped early.
    pub q_error: Option<f64>,
    /// The actual rows are more than the estimate.
    pub underestimated: bool,
    /// The node whose own error explains this one's; itself when it is the
    /// origin; `None` when the error is small.
    pub blame: Option<NodeId>,
    /// A node above it stopped reading early (LIMIT, semi join, merge join's
    /// end), so that its rows say nothing of the estimate.
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

/// Computes all derived numbers; linear in the number of nodes.
pub fn metrics(_plan: &PlanGraph) -> Metrics {
    Metrics {
        nodes: Vec::new(),
        total_ms: None,
        total_cost: None,
        remainder_ms: 0.0,
    }
}
