//! What a supposed change does (`--what-if`).

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{Condition, Engine, Place, Plan};

/// The change that was supposed, and what it does to all statements together.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct WhatIf {
    /// The planner that supposed it.
    pub engine: Engine,
    /// Its statements, in order.
    pub changes: Vec<WhatIfChange>,
    /// Tables that get more indexes, or fewer.
    pub writes: Vec<WhatIfWrites>,
    /// Statements that have a plan both without the change and with it.
    pub compared: usize,
    /// Of these, those whose cost falls by 2 % or more.
    pub better: usize,
    /// Those whose cost rises by 2 % or more.
    pub worse: usize,
    /// Statements that have a plan without the change, and none with it.
    pub broken: usize,
    /// The planner's cost of the compared statements without the change, each
    /// counted once.
    pub before_cost: Option<f64>,
    /// The same with it.
    pub after_cost: Option<f64>,
    /// The share by which the cost rises: -0.75 when a quarter is left.
    pub cost_change: Option<f64>,
}

/// One statement of the change.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct WhatIfChange {
    /// Where it stands.
    pub place: Option<Place>,
    /// The statement.
    pub sql: String,
    /// How it ended.
    pub status: ChangeStatus,
    /// Why it was left out, or the server's words.
    pub message: Option<String>,
    /// The server's DETAIL and HINT.
    pub hints: Vec<String>,
    /// Where the server stumbled.
    pub error_place: Option<Place>,
    /// The indexes that it made.
    pub indexes: Vec<WhatIfIndex>,
    /// The indexes that it dropped.
    pub dropped_indexes: Vec<String>,
    /// What to know about it.
    pub notes: Vec<String>,
}

/// How a statement of the change ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeStatus {
    /// The plans are those with it.
    Applied,
    /// It changes no plan, or cannot be supposed.
    LeftOut,
    /// The server refused it; the others went on without it.
    Refused,
}

/// An index that the change made.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct WhatIfIndex {
    /// Its name.
    pub name: String,
    /// Its table, where that is known.
    pub table: Option<String>,
    /// Its size on disk.
    pub bytes: Option<f64>,
    /// Where the size comes from.
    pub size_from: String,
    /// How many of the statements' plans read it.
    pub used_by: usize,
}

/// What the change means to those who write to a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct WhatIfWrites {
    /// The table's schema.
    pub schema: String,
    /// Its name.
    pub table: String,
    /// Its indexes without the change.
    pub indexes_before: usize,
    /// Its indexes with it.
    pub indexes_after: usize,
    /// Columns that no index reads without the change and one reads with it:
    /// an UPDATE that sets one can no longer be a HOT update.
    pub no_longer_hot: Vec<String>,
}

/// One statement's plan with the change against that without.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct StatementWhatIf {
    /// The planner's cost without the change.
    pub before_cost: Option<f64>,
    /// The planner's cost with it.
    pub after_cost: Option<f64>,
    /// The share by which the cost rises: -0.75 when a quarter is left.
    pub cost_change: Option<f64>,
    /// How alike the plans are; absent when there is none with the change.
    pub plan: Option<PlanSameness>,
    /// What changed in the plan, in words.
    pub plan_change: Option<String>,
    /// Indexes that the plan reads only with the change.
    pub indexes_newly_used: Vec<String>,
    /// Indexes that the plan reads only without it.
    pub indexes_no_longer_used: Vec<String>,
    /// Both plans node by node, parents before children.
    pub nodes: Vec<ComparedNode>,
    /// The plan with the change.
    pub after: Option<Plan>,
    /// The output of `EXPLAIN (FORMAT JSON)` without the change, where another
    /// planner made it than the statement's plan.
    pub explain_before: Option<Value>,
    /// The output of `EXPLAIN (FORMAT JSON)` with the change.
    pub explain_after: Option<Value>,
    /// Why there is no plan with the change.
    pub error: Option<String>,
}

/// How alike two plans are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlanSameness {
    /// To the last digit.
    Same,
    /// The same nodes with other estimates.
    OtherEstimates,
    /// Other nodes.
    Other,
}

/// A node of the plan without the change, of that with it, or of both.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ComparedNode {
    /// In which of the plans it is.
    pub change: NodeChange,
    /// How deep it stands.
    pub depth: usize,
    /// Its label.
    pub label: String,
    /// Its conditions.
    pub conditions: Vec<Condition>,
    /// Its estimates without the change.
    pub before: Option<NodeNumbers>,
    /// Its estimates with it.
    pub after: Option<NodeNumbers>,
}

/// In which of two plans a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NodeChange {
    /// In both.
    Kept,
    /// Only in that without the change.
    Gone,
    /// Only in that with it.
    New,
}

/// The planner's estimates of a node.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct NodeNumbers {
    /// Cost with everything below.
    pub cost: Option<f64>,
    /// Rows.
    pub rows: Option<f64>,
}
