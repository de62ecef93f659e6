//! What `pgadvise why-not` says.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Engine, Evidence, NodeRef, Place, Problem, Suggestion, Tool};

/// What `pgadvise why-not` says in JSON.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(title = "pgadvise why-not")]
pub struct WhyNotReport {
    /// The version of this format.
    pub schema_version: u32,
    /// The program that wrote it.
    pub tool: Tool,
    /// The index as it was asked about.
    pub index: String,
    /// One answer a statement, in their order.
    pub answers: Vec<WhyNot>,
    /// Trouble that belongs to no statement.
    pub problems: Vec<Problem>,
}

/// Why one statement's plan does not use the index.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct WhyNot {
    /// Where the statement stands.
    pub place: Option<Place>,
    /// Its text as it was written.
    pub sql: String,
    /// The index that was found; absent when the statement was not planned.
    pub index: Option<AskedIndex>,
    /// The plan uses the index after all.
    pub used: bool,
    /// The nodes of the plan that use it.
    pub used_by: Vec<NodeRef>,
    /// The planner's cost of the plan that it chose.
    pub cost: Option<f64>,
    /// The cheapest plan with the index that could be had.
    pub forced: Option<ForcedPlan>,
    /// Why the index is not used, the weightiest first.
    pub causes: Vec<WhyNotCause>,
    /// The planner that answered.
    pub engine: Option<Engine>,
    /// Trouble with this statement.
    pub problems: Vec<Problem>,
    /// There is no answer.
    pub failed: bool,
}

/// The index that was asked about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AskedIndex {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its table.
    pub table: String,
    /// `pg_get_indexdef`.
    pub definition: String,
}

/// A plan with the index, had by switching off what the planner prefers.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ForcedPlan {
    /// Its cost, without penalties for what was switched off.
    pub cost: Option<f64>,
    /// The node that uses the index.
    pub node: Option<String>,
    /// The index finds rows by its first key there.
    pub by_first_key: bool,
    /// What was switched off.
    pub how: String,
}

/// A reason why an index is not used.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct WhyNotCause {
    /// Which: `implicit cast`, `not selective`.
    pub kind: String,
    /// What keeps the index from being used.
    pub message: String,
    /// How PostgreSQL comes to it.
    pub why: String,
    /// Where in the SQL.
    pub place: Option<Place>,
    /// Which node of the plan.
    pub node: Option<NodeRef>,
    /// What shows it.
    pub evidence: Vec<Evidence>,
    /// What would change it.
    pub changes: Vec<WhyNotChange>,
}

/// A change, with what the planner said.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct WhyNotChange {
    /// Whether the planner uses the index, or the changed one, with it; absent
    /// when it was not tried.
    pub used: Option<bool>,
    /// The change.
    pub suggestion: Suggestion,
}
