//! The tree of a plan in arrays, for passes that must be linear.

use petgraph::visit::EdgeRef as _;

use crate::plan::{NodeKind, PlanEdge, PlanGraph, PlanNode};

/// The value at an index; the default where there is none.
pub(super) fn at<T: Copy + Default>(values: &[T], index: usize) -> T {
    values.get(index).copied().unwrap_or_default()
}

/// Sets the value at an index, if there is one.
pub(super) fn set<T>(values: &mut [T], index: usize, value: T) {
    if let Some(slot) = values.get_mut(index) {
        *slot = value;
    }
}

/// Parents, children and extents by node index.
pub(super) struct Shape<'a> {
    pub(super) nodes: Vec<&'a PlanNode>,
    parent: Vec<Option<usize>>,
    edge: Vec<Option<PlanEdge>>,
    first_child: Vec<Option<usize>>,
    next_sibling: Vec<Option<usize>>,
    /// One past the last node below: indices follow the order of printing, so
    /// what is below a node is a range.
    end: Vec<usize>,
    /// The nearest Gather above, counting from its input down.
    gather: Vec<Option<usize>>,
    /// The CTE that a node reads.
    reads: Vec<Option<usize>>,
}

impl<'a> Shape<'a> {
    pub(super) fn of(plan: &'a PlanGraph) -> Self {
        let nodes: Vec<&PlanNode> = plan.graph.node_weights().collect();
        let count = nodes.len();
        let mut shape = Self {
            nodes,
            parent: vec![None; count],
            edge: vec![None; count],
            first_child: vec![None; count],
            next_sibling: vec![None; count],
            end: (1..=count).collect(),
            gather: vec![None; count],
            reads: vec![None; count],
        };
        for edge in plan.graph.edge_references() {
            let (from, to) = (edge.source().index(), edge.target().index());
            if edge.weight().is_tree() {
                set(&mut shape.parent, to, Some(from));
                set(&mut shape.edge, to, Some(*edge.weight()));
            } else {
                set(&mut shape.reads, from, Some(to));
            }
        }
        for index in (0..count).rev() {
            if let Some(parent) = shape.parent(index) {
                let next = at(&shape.first_child, parent);
                set(&mut shape.next_sibling, index, next);
                set(&mut shape.first_child, parent, Some(index));
                let end = at(&shape.end, index).max(at(&shape.end, parent));
                set(&mut shape.end, parent, end);
            }
        }
        for index in 0..count {
            let gather = shape.parent(index).and_then(|parent| {
                let starts_here = shape.is_gather(parent)
                    && !matches!(
                        shape.edge(index),
                        Some(PlanEdge::InitPlan | PlanEdge::SubPlan)
                    );
                if starts_here {
                    Some(parent)
                } else {
                    shape.gather(parent)
                }
            });
            set(&mut shape.gather, index, gather);
        }
        shape
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn node(&self, index: usize) -> Option<&'a PlanNode> {
        self.nodes.get(index).copied()
    }

    pub(super) fn kind(&self, index: usize) -> Option<&'a NodeKind> {
        self.node(index).map(|node| &node.kind)
    }

    pub(super) fn parent(&self, index: usize) -> Option<usize> {
        at(&self.parent, index)
    }

    pub(super) fn edge(&self, index: usize) -> Option<PlanEdge> {
        at(&self.edge, index)
    }

    pub(super) fn gather(&self, index: usize) -> Option<usize> {
        at(&self.gather, index)
    }

    pub(super) fn reads(&self, index: usize) -> Option<usize> {
        at(&self.reads, index)
    }

    pub(super) fn is_gather(&self, index: usize) -> bool {
        matches!(
            self.kind(index),
            Some(NodeKind::Gather | NodeKind::GatherMerge)
        )
    }

    /// Whether a node is below another, or that one itself.
    pub(super) fn is_within(&self, index: usize, above: usize) -> bool {
        (above..at(&self.end, above)).contains(&index)
    }

    /// The children in the tree, in the order of printing.
    pub(super) fn children(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        std::iter::successors(at(&self.first_child, index), |child| {
            at(&self.next_sibling, *child)
        })
    }

    /// The children but the InitPlans: those that run inside of the node's own
    /// time, by its own calls.
    pub(super) fn inputs(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        self.children(index)
            .filter(|child| self.edge(*child) != Some(PlanEdge::InitPlan))
    }

    /// The children that give the node its rows: neither InitPlans nor
    /// SubPlans.
    pub(super) fn row_inputs(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        self.children(index).filter(|child| {
            !matches!(
                self.edge(*child),
                Some(PlanEdge::InitPlan | PlanEdge::SubPlan)
            )
        })
    }

    /// The input over that kind of edge.
    pub(super) fn input(&self, index: usize, edge: PlanEdge) -> Option<usize> {
        self.children(index)
            .find(|child| self.edge(*child) == Some(edge))
    }

    /// How often a node ran, over all processes; 0 when it never did or was
    /// not measured.
    pub(super) fn loops(&self, index: usize) -> f64 {
        self.node(index)
            .and_then(|node| node.actual)
            .map_or(0.0, |actual| actual.loops)
    }
}
