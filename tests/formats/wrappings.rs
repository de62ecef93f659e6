//! What stands around a plan.
