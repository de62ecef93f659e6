//! What a statement takes from a server, and how often one can carry it.

use schemars::JsonSchema;
use serde::Serialize;

use super::NodeRef;

/// What one execution takes, and what follows for a server.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Resources {
    /// What one execution takes.
    pub needs: Vec<Figure>,
    /// The nodes that hold memory, in the order of the plan.
    pub memory: Vec<MemoryUse>,
    /// How often a server can execute it.
    pub capacity: Vec<Figure>,
    /// What a given rate (`--rate`) asks of the server; empty without.
    pub at_rate: Vec<Figure>,
    /// What holds for all of these numbers.
    pub assumptions: Vec<String>,
}

/// A number with how it was computed, or why it cannot be said.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Figure {
    /// Its name for programs: `processor_time`.
    pub id: String,
    /// Its name for people: `processor time`.
    pub label: String,
    /// The number; absent where it cannot be said.
    pub value: Option<f64>,
    /// The number's unit.
    pub unit: FigureUnit,
    /// The value with its unit, as it is shown; or why it cannot be said.
    pub text: String,
    /// How the value is to be taken.
    pub bound: Bound,
    /// How it is computed.
    pub formula: String,
    /// What it takes for granted.
    pub assumption: Option<String>,
}

/// Units of resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FigureUnit {
    /// Milliseconds.
    Ms,
    /// Bytes.
    Bytes,
    /// Bytes per second.
    BytesPerSecond,
    /// Something that is counted.
    Count,
    /// Executions per second.
    PerSecond,
    /// A share of what there is; above 1 there is not enough.
    Share,
}

/// How a number is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// As it is.
    Exact,
    /// It may be less.
    AtMost,
    /// It may be more.
    AtLeast,
}

/// Memory of one node.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct MemoryUse {
    /// The node.
    pub node: NodeRef,
    /// For what: `sort`, `hash table`.
    pub what: String,
    /// How many of them are held at once: one for each process, or one that
    /// all processes share.
    pub copies: f64,
    /// Bytes that all copies together held at most, where the server printed
    /// it.
    pub measured_bytes: Option<f64>,
    /// Bytes that all copies together may hold before they go to disk; absent
    /// where nothing limits them.
    pub allowed_bytes: Option<f64>,
    /// Bytes that went to disk, where the server printed it.
    pub disk_bytes: Option<f64>,
    /// How the limit is computed: `work_mem × hash_mem_multiplier × 3 processes`.
    pub formula: String,
    /// The measured bytes as they are shown.
    pub measured_text: Option<String>,
    /// The allowed bytes as they are shown.
    pub allowed_text: Option<String>,
}
