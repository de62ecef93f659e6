//! Where another planner supposes than the one that plans, suppositions are
//! compared with that other planner's own plan, and the verdict says so.

use super::compare::plan_change;
use super::{PlanError, Planned, Planner};
use crate::plan::PlanGraph;

/// Costs whose ratio is nearer to 1 than this are those of rounding.
const SAME: f64 = 0.001;

/// A statement as the planner that supposes plans it, without suppositions.
#[derive(Debug, Clone)]
pub struct Elsewhere {
    /// Its plan there.
    pub plan: PlanGraph,
    /// The planner's name.
    pub engine: String,
    /// How that plan differs from the one that was given; empty where it does
    /// not.
    pub said: Vec<String>,
}

impl Elsewhere {
    /// The statement on the planner that supposes; `None` where that is the
    /// one that gave `plan`.
    pub fn of(
        planner: &mut dyn Planner,
        statement: Planned<'_>,
        plan: &PlanGraph,
    ) -> Result<Option<Self>, PlanError> {
        let Some(there) = planner.what_if_baseline(statement)? else {
            return Ok(None);
        };
        let engine = planner
            .what_if_engine()
            .map_or_else(String::new, |engine| engine.description);
        let mut said = Vec::new();
        if let (Some(here), Some(cost)) = (plan.total_cost(), there.total_cost())
            && !is_same(here, cost)
        {
            said.push(format!(
                "both costs are those of the twin; as it is, the statement costs {here:.2} on the \
                 server and {cost:.2} on the twin"
            ));
        }
        if let Some(change) = plan_change(plan, &there) {
            said.push(format!(
                "as it is, the twin plans the statement otherwise than the server: {change}"
            ));
        }
        Ok(Some(Self {
            plan: there,
            engine,
            said,
        }))
    }
}

/// Whether two costs differ by no more than rounding.
pub fn is_same(one: f64, other: f64) -> bool {
    (one - other).abs() <= SAME * one.abs().max(other.abs())
}
