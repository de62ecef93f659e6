//! Cost of each node over the whole statement, and of the node alone.
//!
//! EXPLAIN prints the cost of one execution of a node, read to the end. What
//! the statement really pays for a node is reckoned from the top down:
//!
//! - The root pays what it prints.
//! - A child's claim is its printed cost times the executions per execution of
//!   its parent: the outer side's rows for the inner side of a nested loop
//!   (`final_cost_nestloop` in `src/backend/optimizer/path/costsize.c`), the
//!   parent's rows for a SubPlan, otherwise once. Reading a Materialize or
//!   Sort again costs only the operator cost of its rows (`cost_rescan`), and
//!   nothing below it runs again.
//! - All claims together are at most what the parent prints: a Limit pays only
//!   for the rows it reads, a semi join stops at the first match, Memoize
//!   answers from its cache. A nested loop's outer side is paid first; other
//!   claims are cut in proportion.
//!
//! InitPlans are paid where they hang (`SS_charge_for_initplans`), unlike their
//! time.

use super::shape::{Shape, at, set};
use crate::plan::{NodeKind, PlanEdge};

/// The default `cpu_operator_cost`.
const CPU_OPERATOR_COST: f64 = 0.0025;

/// How many rows a filter with a SubPlan looks at for each that it passes: the
/// planner's default for a condition that it knows nothing about.
const ROWS_PER_FILTERED_ROW: f64 = 2.0;

/// Cost by node index.
pub(super) struct Costs {
    /// With everything below, over the whole statement.
    pub(super) total: Vec<f64>,
    /// Alone, over the whole statement.
    pub(super) own: Vec<f64>,
}

/// The costs, if printed.
pub(super) fn costs(shape: &Shape<'_>) -> Option<Costs> {
    shape.node(0)?.estimate?;
    let count = shape.len();
    let printed = |index: usize| {
        shape
            .node(index)
            .and_then(|node| node.estimate)
            .map_or(0.0, |estimate| estimate.total_cost.max(0.0))
    };
    let mut total = vec![0.0; count];
    let mut own = vec![0.0; count];
    // Executions whose inputs are run again; fractional where not all is read.
    let mut runs = vec![1.0; count];
    set(&mut total, 0, printed(0));
    for index in 0..count {
        let own_runs = at(&runs, index);
        let mut purse = at(&total, index);
        let claims: f64 = shape
            .children(index)
            .map(|child| own_runs * printed(child) * executions(shape, index, child).paid)
            .sum();
        let outer_first = shape.kind(index) == Some(&NodeKind::NestedLoop);
        let outer = shape.input(index, PlanEdge::Outer);
        let outer_claim = match outer {
            Some(outer) if outer_first => own_runs * printed(outer),
            _ => 0.0,
        };
        let outer_fit = fit(purse, outer_claim);
        let others_fit = fit(purse - outer_claim * outer_fit, claims - outer_claim);
        for child in shape.children(index) {
            let fit = if outer_first && Some(child) == outer {
                outer_fit
            } else {
                others_fit
            };
            let executions = executions(shape, index, child);
            let paid = own_runs * printed(child) * executions.paid * fit;
            set(&mut total, child, paid);
            set(&mut runs, child, own_runs * executions.of_inputs * fit);
            purse -= paid;
        }
        set(&mut own, index, purse.max(0.0));
    }
    Some(Costs { total, own })
}

/// By what to multiply claims so that they fit.
fn fit(purse: f64, claims: f64) -> f64 {
    if claims > purse && claims > 0.0 {
        (purse / claims).max(0.0)
    } else {
        1.0
    }
}

/// Executions of a child per execution of its parent.
#[derive(Clone, Copy)]
struct Executions {
    /// In units of the child's printed cost.
    paid: f64,
    /// For what is below the child.
    of_inputs: f64,
}

fn executions(shape: &Shape<'_>, parent: usize, child: usize) -> Executions {
    let each = |times: f64| Executions {
        paid: times,
        of_inputs: times,
    };
    let rows = |index: usize| {
        shape
            .node(index)
            .and_then(|node| node.estimate)
            .map_or(1.0, |estimate| estimate.rows.max(1.0))
    };
    let Some(node) = shape.node(parent) else {
        return each(1.0);
    };
    match shape.edge(child) {
        Some(PlanEdge::Inner) if node.kind == NodeKind::NestedLoop => {
            let outer_rows = shape.input(parent, PlanEdge::Outer).map_or(1.0, rows);
            let cost = shape
                .node(child)
                .and_then(|node| node.estimate)
                .map_or(0.0, |estimate| estimate.total_cost);
            match shape.kind(child) {
                Some(NodeKind::Materialize | NodeKind::Sort) if cost > 0.0 => {
                    let again = (CPU_OPERATOR_COST * rows(child) / cost).min(1.0);
                    Executions {
                        paid: 1.0 + (outer_rows - 1.0) * again,
                        of_inputs: 1.0,
                    }
                }
                _ => each(outer_rows),
            }
        }
        Some(PlanEdge::SubPlan) => {
            let name = shape
                .node(child)
                .and_then(|node| node.subplan_name.as_deref())
                .map_or("", |name| {
                    name.split_once(" (returns ").map_or(name, |(name, _)| name)
                });
            let hashed = format!("hashed {name}");
            let mentioned = |what: &str| {
                node.conditions
                    .iter()
                    .any(|condition| condition.text.contains(what))
            };
            if name.is_empty() {
                each(rows(parent))
            } else if mentioned(&hashed) {
                each(1.0)
            } else if mentioned(name) {
                each(rows(parent) * ROWS_PER_FILTERED_ROW)
            } else {
                each(rows(parent))
            }
        }
        _ => each(1.0),
    }
}
