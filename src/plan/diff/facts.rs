//! Numbers of a node and of a whole plan that are put side by side.

use serde_json::Value;

use crate::plan::metrics::Metrics;
use crate::plan::{NodeId, PlanGraph, PlanNode};

/// Numbers of a node.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NodeFacts {
    /// The planner's rows of one execution.
    pub estimated_rows: Option<f64>,
    /// The planner's cost, as printed.
    pub cost: Option<f64>,
    /// Rows over all loops.
    pub rows: Option<f64>,
    /// Executions.
    pub loops: Option<f64>,
    /// Milliseconds of the node alone.
    pub self_ms: Option<f64>,
    /// Blocks found in shared and local buffers, by the node alone.
    pub hit_blocks: Option<f64>,
    /// Blocks read into them.
    pub read_blocks: Option<f64>,
    /// Temporary blocks read and written.
    pub temp_blocks: Option<f64>,
    /// It worked on disk for want of memory: a sort's kilobytes, a hash's or
    /// an aggregate's batches.
    pub spill: Option<Spill>,
}

/// Work that did not fit into memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spill {
    /// Kilobytes on disk, where printed.
    pub kilobytes: Option<f64>,
    /// Batches, where printed.
    pub batches: Option<f64>,
}

/// Numbers of a whole plan.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Totals {
    /// `Execution Time`, milliseconds.
    pub execution_ms: Option<f64>,
    /// The root's time, for plans without an execution time.
    pub root_ms: Option<f64>,
    /// `Planning Time`, milliseconds.
    pub planning_ms: Option<f64>,
    /// Milliseconds in triggers.
    pub trigger_ms: Option<f64>,
    /// Milliseconds of JIT compilation.
    pub jit_ms: Option<f64>,
    /// Milliseconds of reading blocks, summed over processes.
    pub read_ms: Option<f64>,
    /// The planner's cost.
    pub cost: Option<f64>,
    /// Rows that came.
    pub rows: Option<f64>,
    /// Rows that the planner expected.
    pub estimated_rows: Option<f64>,
    /// Blocks found in shared and local buffers.
    pub hit_blocks: Option<f64>,
    /// Blocks read into them.
    pub read_blocks: Option<f64>,
    /// Temporary blocks read and written.
    pub temp_blocks: Option<f64>,
    /// Workers planned over all Gathers.
    pub workers_planned: f64,
    /// Workers launched, summed over all Gathers.
    pub workers_launched: Option<f64>,
    /// Nodes.
    pub nodes: usize,
}

impl Totals {
    /// The time to judge by.
    pub fn ms(&self) -> Option<f64> {
        self.execution_ms.or(self.root_ms)
    }

    /// All blocks touched, found or read.
    pub fn blocks(&self) -> Option<f64> {
        Some(self.hit_blocks? + self.read_blocks.unwrap_or_default())
    }
}

/// The numbers of a node.
pub(super) fn node(plan: &PlanGraph, metrics: &Metrics, at: usize) -> NodeFacts {
    let id = NodeId::new(at);
    let (node, derived) = (plan.node(id), metrics.node(id));
    let own = derived.self_buffers;
    NodeFacts {
        estimated_rows: node.estimate.map(|estimate| estimate.rows),
        cost: node.estimate.map(|estimate| estimate.total_cost),
        rows: derived.total_rows,
        loops: node.actual.map(|actual| actual.loops),
        self_ms: derived.self_ms,
        hit_blocks: own.map(|own| own.shared_hit_blocks + own.local_hit_blocks),
        read_blocks: own.map(|own| own.shared_read_blocks + own.local_read_blocks),
        temp_blocks: own.map(|own| own.temp_read_blocks + own.temp_written_blocks),
        spill: spill(node),
    }
}

/// Whether a sort, hash or aggregate went to disk, in any of its processes.
pub(super) fn spill(node: &PlanNode) -> Option<Spill> {
    let workers = node
        .extra
        .get("Workers")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_object);
    let mut found: Option<Spill> = None;
    let mut add = |kilobytes: Option<f64>, batches: Option<f64>| {
        let found = found.get_or_insert(Spill {
            kilobytes: None,
            batches: None,
        });
        if let Some(kilobytes) = kilobytes {
            *found.kilobytes.get_or_insert(0.0) += kilobytes;
        }
        if let Some(batches) = batches {
            let most = found.batches.get_or_insert(0.0);
            *most = most.max(batches);
        }
    };
    for printed in std::iter::once(&node.extra).chain(workers) {
        let number = |key: &str| printed.get(key).and_then(Value::as_f64);
        if printed.get("Sort Space Type").and_then(Value::as_str) == Some("Disk") {
            add(number("Sort Space Used"), None);
        }
        for key in ["Hash Batches", "HashAgg Batches"] {
            if let Some(batches) = number(key).filter(|batches| *batches > 1.0) {
                add(number("Disk Usage"), Some(batches));
            }
        }
    }
    found
}

/// The numbers of a whole plan.
pub fn totals(plan: &PlanGraph, metrics: &Metrics) -> Totals {
    let root = plan.node(plan.root);
    let buffers = root.buffers;
    let run = &plan.run;
    let gathers = || plan.nodes().filter(|(_, node)| node.kind.is_gather());
    Totals {
        execution_ms: run.execution_ms,
        root_ms: metrics.total_ms,
        planning_ms: run.planning_ms,
        trigger_ms: run
            .triggers
            .iter()
            .map(|trigger| trigger.ms)
            .fold(None, |sum: Option<f64>, ms| {
                Some(sum.unwrap_or_default() + ms.unwrap_or_default())
            }),
        jit_ms: run
            .extra
            .get("JIT")
            .and_then(|jit| jit.get("Timing"))
            .and_then(|timing| timing.get("Total"))
            .and_then(Value::as_f64),
        read_ms: root.io.map(|io| io.shared_read_ms + io.local_read_ms),
        cost: plan.total_cost(),
        rows: root
            .actual
            .map(|actual| actual.rows_per_loop * actual.loops),
        estimated_rows: root.estimate.map(|estimate| estimate.rows),
        hit_blocks: buffers.map(|found| found.shared_hit_blocks + found.local_hit_blocks),
        read_blocks: buffers.map(|found| found.shared_read_blocks + found.local_read_blocks),
        temp_blocks: buffers.map(|found| found.temp_read_blocks + found.temp_written_blocks),
        workers_planned: gathers().filter_map(|(_, node)| node.workers_planned).sum(),
        workers_launched: gathers()
            .filter_map(|(_, node)| node.workers_launched)
            .fold(None, |sum: Option<f64>, launched| {
                Some(sum.unwrap_or_default() + launched)
            }),
        nodes: plan.graph.node_count(),
    }
}
