//! How exact the times of a plan are, and what stood beside its nodes.

use schemars::JsonSchema;
use serde::Serialize;

/// How exact the times alone of the nodes are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, JsonSchema)]
pub struct Accuracy {
    /// Milliseconds by which printed inputs were longer than their nodes, where
    /// the rounding of printed times explains it; they were taken as shorter,
    /// each within its rounding.
    pub rounded_ms: f64,
    /// Milliseconds of what inputs did while their own node was not running but
    /// one above it was (a node started over, workers waited for): given to
    /// the node from the one above.
    pub raised_ms: f64,
    /// Milliseconds by which inputs were longer where neither explains it:
    /// processes that went on when their Gather had ended. The inputs were
    /// scaled down.
    pub scaled_ms: f64,
    /// Milliseconds of InitPlans and CTEs that more than one node could have
    /// run.
    pub ambiguous_ms: f64,
}

/// Parts of the execution time that are of no node, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, JsonSchema)]
pub struct Beside {
    /// Data-modifying CTEs that were finished after the root; these have
    /// nodes.
    pub afterwards_ms: f64,
    /// All triggers.
    pub triggers_ms: f64,
    /// Of these, what must have run inside of nodes (BEFORE triggers).
    pub triggers_inside_ms: f64,
    /// Converting rows for the client (`SERIALIZE`).
    pub serialization_ms: Option<f64>,
    /// Compiling expressions; mostly inside of nodes.
    pub jit_ms: Option<f64>,
    /// What is left of the execution time: starting and stopping the executor.
    pub rest_ms: Option<f64>,
}
