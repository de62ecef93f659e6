//! How rows flow through a plan: how many a node gives in all, and what
//! stands on the way.

use crate::finding::Level;
use crate::plan::{NodeId, NodeKind, PlanEdge, PlanGraph};

use super::node;

/// Rows that a node gives over all executions and processes: counted, or as
/// the planner expects them of one execution. `None` for one that never ran.
pub(crate) fn rows(plan: &PlanGraph, id: NodeId) -> Option<f64> {
    if plan.has_actuals() {
        let actual = plan.node(id).actual.filter(|actual| actual.loops > 0.0)?;
        Some(actual.rows_per_loop * actual.loops)
    } else {
        expected(plan, id)
    }
}

/// Rows that the planner expects of one execution, of all processes.
pub(crate) fn expected(plan: &PlanGraph, id: NodeId) -> Option<f64> {
    Some(plan.node(id).estimate?.rows * node::processes(plan, id))
}

/// How often a node ran; once where nothing was executed.
pub(crate) fn loops(plan: &PlanGraph, id: NodeId) -> f64 {
    plan.node(id).actual.map_or(1.0, |actual| actual.loops)
}

/// The only input of a node that passes rows on.
pub(crate) fn input(plan: &PlanGraph, id: NodeId) -> Option<NodeId> {
    plan.child(id, PlanEdge::Outer)
        .or_else(|| plan.child(id, PlanEdge::Subquery))
}

/// The node below those that only gather or store the rows.
pub(crate) fn through(plan: &PlanGraph, id: NodeId, passing: &[NodeKind]) -> NodeId {
    let mut at = id;
    while passing.contains(&plan.node(at).kind)
        && let Some(below) = input(plan, at)
    {
        at = below;
    }
    at
}

/// The level, if it is not above another.
pub(crate) fn at_most(level: Level, most: Level) -> Level {
    level.min(most)
}
