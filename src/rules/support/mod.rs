//! What rules share: how much a finding weighs, what a plan's conditions say,
//! and where in the SQL a plan node comes from. No rule is in here.

pub(super) mod cause;
mod compared;
pub(super) mod condition;
pub(super) mod expression;
pub(super) mod flow;
pub(super) mod memory;
pub(super) mod node;
pub(super) mod show;
pub(super) mod weight;
