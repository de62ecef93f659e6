//! Questions that rules ask of a plan, answered from the printed facts alone.

use petgraph::Direction;
use petgraph::visit::EdgeRef as _;

use super::{NodeId, NodeKind, PlanEdge, PlanGraph, PlanNode};

impl NodeKind {
    /// Whether the node reads rows of a stored table (not of an index alone, a
    /// function, a CTE or a subquery).
    pub fn reads_table(&self) -> bool {
        matches!(
            self,
            Self::SeqScan
                | Self::SampleScan
                | Self::IndexScan
                | Self::IndexOnlyScan
                | Self::BitmapHeapScan
                | Self::TidScan
                | Self::TidRangeScan
                | Self::ForeignScan
        )
    }

    /// Whether the node joins two inputs.
    pub fn is_join(&self) -> bool {
        matches!(self, Self::NestedLoop | Self::MergeJoin | Self::HashJoin)
    }

    /// Whether the node starts workers.
    pub fn is_gather(&self) -> bool {
        matches!(self, Self::Gather | Self::GatherMerge)
    }
}

impl PlanNode {
    /// Rows that it looked at over all loops and processes: those it gave and
    /// those that its conditions removed. `None` when not executed. Before
    /// version 18 each printed average is rounded to whole rows.
    pub fn rows_scanned_total(&self) -> Option<f64> {
        let actual = self.actual?;
        Some((actual.rows_per_loop + self.rows_removed_per_loop()) * actual.loops)
    }

    /// Rows that its conditions removed, over all loops and processes.
    pub fn rows_removed_total(&self) -> Option<f64> {
        Some(self.rows_removed_per_loop() * self.actual?.loops)
    }

    fn rows_removed_per_loop(&self) -> f64 {
        [
            self.rows_removed_by_filter_per_loop,
            self.rows_removed_by_join_filter_per_loop,
            self.rows_removed_by_recheck_per_loop,
        ]
        .into_iter()
        .flatten()
        .sum()
    }

    /// The name of the CTE that the node computes (`Subplan Name: CTE x`).
    pub fn cte_name(&self) -> Option<&str> {
        self.subplan_name.as_deref()?.strip_prefix("CTE ")
    }
}

impl PlanGraph {
    /// The nodes that read rows of a stored table, in the order of printing. A
    /// bitmap's index scans are not among them, the heap scan above them is.
    pub fn table_scans(&self) -> impl Iterator<Item = (NodeId, &PlanNode)> {
        self.nodes()
            .filter(|(_, node)| node.kind.reads_table() && node.relation.name.is_some())
    }

    /// The Gather or Gather Merge whose workers run the node. InitPlans and
    /// SubPlans that hang on the Gather itself are run by the leader.
    pub fn gather_above(&self, id: NodeId) -> Option<NodeId> {
        std::iter::successors(self.parent(id), |(_, up)| self.parent(*up))
            .find(|(edge, up)| {
                self.node(*up).kind.is_gather()
                    && !matches!(edge, PlanEdge::InitPlan | PlanEdge::SubPlan)
            })
            .map(|(_, up)| up)
    }

    /// Whether workers run the node.
    pub fn under_gather(&self, id: NodeId) -> bool {
        self.gather_above(id).is_some()
    }

    /// The CTE Scans (and WorkTable Scans) that read a CTE, in the order of
    /// printing.
    pub fn cte_readers(&self, cte: NodeId) -> Vec<NodeId> {
        let mut readers: Vec<NodeId> = self
            .graph
            .edges_directed(cte, Direction::Incoming)
            .filter(|edge| *edge.weight() == PlanEdge::ReadsCte)
            .map(|edge| edge.source())
            .collect();
        readers.sort_by_key(|reader| reader.index());
        readers
    }

    /// The CTE that a CTE Scan or WorkTable Scan reads.
    pub fn cte_read_by(&self, reader: NodeId) -> Option<NodeId> {
        self.graph
            .edges(reader)
            .find(|edge| *edge.weight() == PlanEdge::ReadsCte)
            .map(|edge| edge.target())
    }

    /// The bitmap index scans below a Bitmap Heap Scan, through BitmapAnd and
    /// BitmapOr.
    pub fn bitmap_index_scans(&self, heap_scan: NodeId) -> Vec<NodeId> {
        let mut found = Vec::new();
        let mut open: Vec<NodeId> = self.child(heap_scan, PlanEdge::Outer).into_iter().collect();
        while let Some(next) = open.pop() {
            match self.node(next).kind {
                NodeKind::BitmapIndexScan => found.push(next),
                NodeKind::BitmapAnd | NodeKind::BitmapOr => {
                    open.extend(
                        self.children(next)
                            .into_iter()
                            .rev()
                            .map(|(_, child)| child),
                    );
                }
                _ => {}
            }
        }
        found
    }
}
