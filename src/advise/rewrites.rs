//! Rewrites of one statement: proposed from proved preconditions, planned,
//! and attached to the findings that they mend.

use super::attach::Context;
use crate::finding::Finding;
use crate::plan::PlanGraph;
use crate::verify::{PlanError, Planner};

/// Tries every rewrite that is offered for the statement.
pub fn advise(
    _context: &Context<'_>,
    _before: &PlanGraph,
    _findings: &mut Vec<Finding>,
    _planner: &mut dyn Planner,
) -> Result<(), PlanError> {
    Ok(())
}
