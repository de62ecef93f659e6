//! What rules share: how much a finding weighs, what a plan's conditions say,
//! and where in the SQL a plan node comes from. No rule is in here.

pub(crate) mod cause;
mod compared;
pub(crate) mod condition;
pub(crate) mod expression;
pub(crate) mod flow;
pub(crate) mod memory;
pub(crate) mod misled;
pub(crate) mod node;
pub(crate) mod show;
pub(crate) mod suggest;
pub(crate) mod weight;
