//! What became of a statement with values in place of its parameters.

use schemars::JsonSchema;
use serde::Serialize;

/// A statement with parameters, planned with values in their place.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Parameters {
    /// The comparisons whose parameters were given values.
    pub compared: Vec<ComparedParameter>,
    /// Parameters that stayed open in all plans.
    pub open: Vec<String>,
    /// The plan is another for some values.
    pub flips: bool,
    /// The plans that were seen, the generic plan's first.
    pub shapes: Vec<PlanShape>,
    /// The values, the largest share of executions first.
    pub values: Vec<TriedValue>,
    /// The generic plan's cost by its own estimate.
    pub generic_cost: Option<f64>,
    /// The average cost with a plan for each value, planning left out.
    pub custom_average: Option<f64>,
    /// The average cost with the generic plan; absent where it is not known
    /// for every value.
    pub generic_average: Option<f64>,
    /// How likely a prepared statement takes the generic plan after its first
    /// five executions, 0 to 1.
    pub generic_after_five: Option<f64>,
    /// The generic plan costs less than the average custom plan with its
    /// planning, so that a prepared statement takes it sooner or later.
    pub generic_at_last: Option<bool>,
    /// Why nothing was tried.
    pub skipped: Option<String>,
}

/// A comparison with parameters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ComparedParameter {
    /// The parameters as written.
    pub parameters: String,
    /// The column, with its table.
    pub column: String,
    /// The operator.
    pub operator: String,
}

/// A plan that some values have.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PlanShape {
    /// A letter; `A` is the generic plan's.
    pub name: String,
    /// What it does that not all of the others do.
    pub text: String,
    /// The share of executions with values whose own plan it is, 0 to 1.
    pub share: f64,
}

/// Values in place of the parameters.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TriedValue {
    /// The values, one text for each comparison.
    pub values: Vec<String>,
    /// Where each comes from.
    pub sources: Vec<String>,
    /// The share of executions that they stand for, 0 to 1.
    pub share: f64,
    /// The name of their own plan's shape.
    pub shape: String,
    /// What their own plan costs.
    pub own_cost: Option<f64>,
    /// What the generic plan costs for them; absent where the planner could
    /// not be brought to it.
    pub generic_cost: Option<f64>,
    /// By which factor the generic plan is dearer, where that matters.
    pub hurt: Option<f64>,
    /// What their own plan costs with the suggested indexes.
    pub with_indexes: Option<f64>,
}
