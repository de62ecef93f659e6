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
//!   answers from its cache. A nested loop's outer side is paid first, then
//!   what comes before anybody's first row; the rest is cut in proportion.
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
            .map_or(Claim::default(), |estimate| {
                let total = estimate.total_cost.max(0.0);
                let before = estimate.startup_cost.clamp(0.0, total);
                Claim {
                    before,
                    after: total - before,
                }
            })
    };
    let mut total = vec![0.0; count];
    let mut own = vec![0.0; count];
    // Executions whose inputs are run again; fractional where not all is read.
    let mut runs = vec![1.0; count];
    set(&mut total, 0, printed(0).sum());
    for index in 0..count {
        let own_runs = at(&runs, index);
        let mut purse = at(&total, index);
        let claim_of = |child: usize| {
            let claim = printed(child).times(own_runs * executions(shape, index, child).paid);
            if shape.edge(child) == Some(PlanEdge::InitPlan) {
                // All of it counts as what comes before the first row.
                Claim {
                    before: claim.sum(),
                    after: 0.0,
                }
            } else {
                claim
            }
        };
        let first = shape
            .input(index, PlanEdge::Outer)
            .filter(|_| shape.kind(index) == Some(&NodeKind::NestedLoop));
        if let Some(outer) = first {
            let claim = claim_of(outer).sum();
            let paid = claim.min(purse);
            set(&mut total, outer, paid);
            set(&mut runs, outer, own_runs * part(paid, claim));
            purse -= paid;
        }
        let others = || shape.children(index).filter(|child| Some(*child) != first);
        let claims = others().map(claim_of).fold(Claim::default(), Claim::plus);
        let fit_before = part(purse.min(claims.before), claims.before);
        let left = (purse - claims.before).max(0.0);
        let fit_after = part(left.min(claims.after), claims.after);
        for child in others() {
            let claim = claim_of(child);
            let paid = claim.before * fit_before + claim.after * fit_after;
            let inputs = executions(shape, index, child).of_inputs;
            set(&mut total, child, paid);
            set(
                &mut runs,
                child,
                own_runs * inputs * part(paid, claim.sum()),
            );
            purse -= paid;
        }
        set(&mut own, index, purse.max(0.0));
    }
    Some(Costs { total, own })
}

/// A cost before the first row and after it.
#[derive(Clone, Copy, Default)]
struct Claim {
    before: f64,
    after: f64,
}

impl Claim {
    fn sum(self) -> f64 {
        self.before + self.after
    }

    fn times(self, times: f64) -> Self {
        Self {
            before: self.before * times,
            after: self.after * times,
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            before: self.before + other.before,
            after: self.after + other.after,
        }
    }
}

/// What part of a claim is paid.
fn part(paid: f64, claim: f64) -> f64 {
    if claim > 0.0 { paid / claim } else { 1.0 }
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
