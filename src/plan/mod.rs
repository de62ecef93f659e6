//! Plans: what `EXPLAIN` prints, as a graph.
//!
//! A plan is kept losslessly: what is not lifted into a typed field stays in
//! [`PlanNode::extra`], and the document as the server printed it in
//! [`PlanGraph::document`]. Nothing here knows SQL or the catalogue, and no
//! derived number is stored: see [`metrics`].
//!
//! Each input format is one file beside [`json`]; all of them build a
//! [`PlanGraph`].

pub mod build;
pub mod compare;
pub mod diff;
pub mod json;
pub mod log;
pub mod metrics;
mod query;
pub mod read;
pub mod resources;

use std::collections::BTreeMap;

use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef as _;
use serde_json::{Map, Value};

/// A node's handle.
pub type NodeId = NodeIndex<u32>;

/// How a node hangs below its parent (`Parent Relationship`), or reads from a
/// part of the plan elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PlanEdge {
    /// The outer (left) input of a join, or the only input.
    Outer,
    /// The inner (right) input of a join.
    Inner,
    /// One of the inputs of Append, MergeAppend, BitmapAnd and their kind.
    Member,
    /// The plan below a Subquery Scan.
    Subquery,
    /// Computed once, before or when first needed. A CTE is one too.
    InitPlan,
    /// Computed for each row of the parent (or hashed once).
    SubPlan,
    /// From a CTE Scan or WorkTable Scan to the InitPlan that computes the CTE.
    /// It crosses branches; every other edge is part of the tree.
    ReadsCte,
}

impl PlanEdge {
    /// Whether the edge belongs to the tree, as every kind but
    /// [`PlanEdge::ReadsCte`] does.
    pub fn is_tree(self) -> bool {
        self != Self::ReadsCte
    }
}

/// What a node does, by its `Node Type`. Unknown types are kept by name, so
/// that a newer server, Citus or TimescaleDB never fails to parse.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are PostgreSQL's own node types")]
pub enum NodeKind {
    SeqScan,
    SampleScan,
    IndexScan,
    IndexOnlyScan,
    BitmapIndexScan,
    BitmapHeapScan,
    TidScan,
    TidRangeScan,
    SubqueryScan,
    FunctionScan,
    TableFunctionScan,
    ValuesScan,
    CteScan,
    NamedTuplestoreScan,
    WorkTableScan,
    ForeignScan,
    CustomScan,
    NestedLoop,
    MergeJoin,
    HashJoin,
    Hash,
    Sort,
    IncrementalSort,
    Materialize,
    Memoize,
    Group,
    Aggregate,
    WindowAgg,
    Unique,
    SetOp,
    Limit,
    LockRows,
    Result,
    ProjectSet,
    Append,
    MergeAppend,
    RecursiveUnion,
    BitmapAnd,
    BitmapOr,
    Gather,
    GatherMerge,
    ModifyTable,
    Other(String),
}

/// The planner's estimates, as printed. Absent under `COSTS OFF`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Cost before the first row, in the planner's cost units.
    pub startup_cost: f64,
    /// Cost of all rows of one execution, in the planner's cost units.
    pub total_cost: f64,
    /// Rows of one execution (of one process, below a Gather).
    pub rows: f64,
    /// Average width of a row in bytes.
    pub width: f64,
}

/// What was measured. Present when the plan was executed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Actual {
    /// Rows of one execution, averaged over the loops. Fractional since
    /// version 18, rounded to an integer before.
    pub rows_per_loop: f64,
    /// Executions, summed over all processes; 0 when never executed.
    pub loops: f64,
    /// Milliseconds until the first row of one execution; absent under
    /// `TIMING OFF`.
    pub startup_ms_per_loop: Option<f64>,
    /// Milliseconds of one execution, with everything below it; absent under
    /// `TIMING OFF`.
    pub total_ms_per_loop: Option<f64>,
}

/// Blocks of 8 KiB (by default) touched, summed over all loops and processes,
/// with everything below the node.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[expect(missing_docs, reason = "the names are EXPLAIN's own, in blocks")]
pub struct Buffers {
    pub shared_hit_blocks: f64,
    pub shared_read_blocks: f64,
    pub shared_dirtied_blocks: f64,
    pub shared_written_blocks: f64,
    pub local_hit_blocks: f64,
    pub local_read_blocks: f64,
    pub local_dirtied_blocks: f64,
    pub local_written_blocks: f64,
    pub temp_read_blocks: f64,
    pub temp_written_blocks: f64,
}

/// I/O times in milliseconds, summed over all loops and processes, with
/// everything below the node. The three generations of names (before 15, 15
/// and 16, since 17) are read into the same fields.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[expect(missing_docs, reason = "the names are EXPLAIN's own, in milliseconds")]
pub struct IoTimes {
    pub shared_read_ms: f64,
    pub shared_write_ms: f64,
    pub local_read_ms: f64,
    pub local_write_ms: f64,
    pub temp_read_ms: f64,
    pub temp_write_ms: f64,
}

/// Write-ahead log that was made, summed over all loops and processes, with
/// everything below the node.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Wal {
    /// `WAL Records`.
    pub records: f64,
    /// `WAL FPI`: images of full pages.
    pub full_page_images: f64,
    /// `WAL Bytes`.
    pub bytes: f64,
    /// `WAL Buffers Full`, since 18: how often a record waited for room.
    pub buffers_full: f64,
}

/// The table, index, function or CTE that a node works on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlanRelation {
    /// `Schema`, printed under `VERBOSE`.
    pub schema: Option<String>,
    /// `Relation Name`, `Function Name` or `CTE Name`.
    pub name: Option<String>,
    /// `Alias`, which equals the name when the query gives none.
    pub alias: Option<String>,
    /// `Index Name`.
    pub index: Option<String>,
}

/// What a condition is for: the key under which EXPLAIN prints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are EXPLAIN's own")]
pub enum ConditionRole {
    Filter,
    IndexCond,
    RecheckCond,
    JoinFilter,
    HashCond,
    MergeCond,
    OrderBy,
    TidCond,
    OneTimeFilter,
    ConflictFilter,
    RunCondition,
}

/// A condition as the server deparsed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// What it is for.
    pub role: ConditionRole,
    /// Its text, parentheses and all.
    pub text: String,
}

/// One node of a plan.
#[derive(Debug, Clone)]
pub struct PlanNode {
    /// What it does.
    pub kind: NodeKind,
    /// `Node Type` as printed.
    pub type_name: String,
    /// What it works on.
    pub relation: PlanRelation,
    /// `Join Type`: `Inner`, `Left`, `Semi`, `Anti`, …
    pub join_type: Option<String>,
    /// `Subplan Name`: `CTE x`, `InitPlan 1`, `SubPlan 2`.
    pub subplan_name: Option<String>,
    /// The planner's estimates.
    pub estimate: Option<Estimate>,
    /// What was measured.
    pub actual: Option<Actual>,
    /// Blocks, under `BUFFERS`.
    pub buffers: Option<Buffers>,
    /// I/O times, under `BUFFERS` with `track_io_timing`.
    pub io: Option<IoTimes>,
    /// Write-ahead log, under `WAL`. Its keys stay in [`PlanNode::extra`] too.
    pub wal: Option<Wal>,
    /// `Parallel Aware`.
    pub parallel_aware: bool,
    /// `Workers Planned`, on a Gather.
    pub workers_planned: Option<f64>,
    /// `Workers Launched`, on a Gather that was executed.
    pub workers_launched: Option<f64>,
    /// Conditions, in the order printed.
    pub conditions: Vec<Condition>,
    /// `Rows Removed by Filter`, an average per loop.
    pub rows_removed_by_filter_per_loop: Option<f64>,
    /// `Rows Removed by Join Filter`, an average per loop.
    pub rows_removed_by_join_filter_per_loop: Option<f64>,
    /// `Rows Removed by Index Recheck`, an average per loop.
    pub rows_removed_by_recheck_per_loop: Option<f64>,
    /// Everything else, with EXPLAIN's own keys and values.
    pub extra: Map<String, Value>,
}

impl PlanNode {
    /// The text of the first condition with that role.
    pub fn condition(&self, role: ConditionRole) -> Option<&str> {
        self.conditions
            .iter()
            .find(|condition| condition.role == role)
            .map(|condition| condition.text.as_str())
    }

    /// A number among what was not lifted.
    pub fn number(&self, key: &str) -> Option<f64> {
        self.extra.get(key).and_then(Value::as_f64)
    }

    /// A text among what was not lifted.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.extra.get(key).and_then(Value::as_str)
    }

    /// The texts of a list among what was not lifted (`Sort Key`, `Group Key`,
    /// `Output`).
    pub fn texts(&self, key: &str) -> Vec<&str> {
        self.extra
            .get(key)
            .and_then(Value::as_array)
            .map(|items| items.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default()
    }

    /// `Seq Scan on orders o`, as EXPLAIN's text format names a node.
    pub fn label(&self) -> String {
        let mut label = self.type_name.clone();
        if self.parallel_aware && !label.starts_with("Parallel ") {
            label.insert_str(0, "Parallel ");
        }
        if matches!(
            self.kind,
            NodeKind::NestedLoop | NodeKind::HashJoin | NodeKind::MergeJoin
        ) && let Some(join) = self.join_type.as_deref()
            && join != "Inner"
        {
            label = match self.kind {
                NodeKind::NestedLoop => format!("{label} {join} Join"),
                _ => label.replace("Join", &format!("{join} Join")),
            };
        }
        if let Some(index) = &self.relation.index {
            if self.kind == NodeKind::BitmapIndexScan {
                label.push_str(" on ");
            } else {
                label.push_str(" using ");
            }
            label.push_str(index);
        }
        if let Some(name) = &self.relation.name {
            label.push_str(" on ");
            label.push_str(name);
            if let Some(alias) = &self.relation.alias
                && alias != name
            {
                label.push(' ');
                label.push_str(alias);
            }
        } else if let Some(alias) = &self.relation.alias
            && self.relation.index.is_none()
        {
            label.push_str(" on ");
            label.push_str(alias);
        }
        label
    }
}

/// A trigger's share of an execution.
#[derive(Debug, Clone, PartialEq)]
pub struct Trigger {
    /// Its name, or its constraint's.
    pub name: String,
    /// The table it is on.
    pub relation: Option<String>,
    /// Milliseconds, summed over the calls.
    pub ms: Option<f64>,
    /// How often it was called.
    pub calls: f64,
}

/// What EXPLAIN prints around the tree.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Run {
    /// `Planning Time`, milliseconds.
    pub planning_ms: Option<f64>,
    /// `Execution Time`, milliseconds.
    pub execution_ms: Option<f64>,
    /// Triggers that were called.
    pub triggers: Vec<Trigger>,
    /// `Settings` that differ from the built-in defaults.
    pub settings: BTreeMap<String, String>,
    /// `Query Text`, in `auto_explain`'s records.
    pub query_text: Option<String>,
    /// `Query Identifier`.
    pub query_id: Option<String>,
    /// `JIT`, `Planning` and whatever else stood beside the tree.
    pub extra: Map<String, Value>,
}

/// One plan.
#[derive(Debug, Clone)]
pub struct PlanGraph {
    /// The nodes; indices follow the order of printing, parents first.
    pub graph: DiGraph<PlanNode, PlanEdge>,
    /// The top node.
    pub root: NodeId,
    /// What stood around the tree.
    pub run: Run,
    /// The statement's element as the server printed it (`{"Plan": …}`).
    pub document: Value,
}

impl PlanGraph {
    /// The node of that handle. A handle of another plan gives the root.
    pub fn node(&self, id: NodeId) -> &PlanNode {
        let id = if id.index() < self.graph.node_count() {
            id
        } else {
            self.root
        };
        &self.graph[id]
    }

    /// All nodes, parents before children, in the order of printing.
    pub fn nodes(&self) -> impl DoubleEndedIterator<Item = (NodeId, &PlanNode)> {
        self.graph
            .node_indices()
            .filter_map(|id| self.graph.node_weight(id).map(|node| (id, node)))
    }

    /// The children in the tree, in the order of printing.
    pub fn children(&self, id: NodeId) -> Vec<(PlanEdge, NodeId)> {
        let mut children: Vec<_> = self
            .graph
            .edges(id)
            .filter(|edge| edge.weight().is_tree())
            .map(|edge| (*edge.weight(), edge.target()))
            .collect();
        children.sort_by_key(|(_, child)| child.index());
        children
    }

    /// The child over that kind of edge.
    pub fn child(&self, id: NodeId, kind: PlanEdge) -> Option<NodeId> {
        self.children(id)
            .into_iter()
            .find(|(edge, _)| *edge == kind)
            .map(|(_, child)| child)
    }

    /// The parent in the tree.
    pub fn parent(&self, id: NodeId) -> Option<(PlanEdge, NodeId)> {
        self.graph
            .edges_directed(id, petgraph::Direction::Incoming)
            .find(|edge| edge.weight().is_tree())
            .map(|edge| (*edge.weight(), edge.source()))
    }

    /// The parents in the tree, nearest first.
    pub fn ancestors(&self, id: NodeId) -> impl Iterator<Item = NodeId> {
        std::iter::successors(self.parent(id), |(_, up)| self.parent(*up)).map(|(_, up)| up)
    }

    /// The node and everything below it in the tree, parents first.
    pub fn subtree(&self, id: NodeId) -> Vec<NodeId> {
        let mut found = Vec::new();
        let mut open = vec![id];
        while let Some(next) = open.pop() {
            found.push(next);
            open.extend(
                self.children(next)
                    .into_iter()
                    .rev()
                    .map(|(_, child)| child),
            );
        }
        found
    }

    /// Whether the plan was executed.
    pub fn has_actuals(&self) -> bool {
        self.node(self.root).actual.is_some()
    }

    /// Whether blocks were counted.
    pub fn has_buffers(&self) -> bool {
        self.nodes().any(|(_, node)| node.buffers.is_some())
    }

    /// The planner's cost of the whole statement.
    pub fn total_cost(&self) -> Option<f64> {
        self.node(self.root)
            .estimate
            .map(|estimate| estimate.total_cost)
    }
}
