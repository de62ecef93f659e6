//! What a change does to the queries of an application (`check --workload`).

use schemars::JsonSchema;
use serde::Serialize;

use super::{Engine, Place};

/// The queries of an application, planned before and after the new migrations.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct CheckWorkload {
    /// The planner of both.
    pub engine: Engine,
    /// What the verdicts stand on, as sentences.
    pub assumptions: Vec<String>,
    /// How many queries ended how.
    pub totals: CheckWorkloadTotals,
    /// Statements of the new migrations that were not applied, and why.
    pub not_applied: Vec<CheckWorkloadStatement>,
    /// The queries, but for those whose plan is the same: what breaks first,
    /// then what becomes slower, by how much that adds to the workload.
    pub queries: Vec<CheckWorkloadQuery>,
    /// Indexes that the migrations drop.
    pub dropped_indexes: Vec<CheckWorkloadIndex>,
    /// Indexes that they make.
    pub new_indexes: Vec<CheckWorkloadIndex>,
}

/// How many queries ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CheckWorkloadTotals {
    /// Files that were read.
    pub files: usize,
    /// Different queries.
    pub queries: usize,
    /// Queries that were met again with other values.
    pub repeated: usize,
    /// Statements that have no plan.
    pub utility: usize,
    /// Statements of pgadvise, and such as ask the system's catalogues.
    pub own: usize,
    /// Queries that were planned with values of calls, too.
    pub with_values: usize,
    /// Queries that fail after the change.
    pub broken: usize,
    /// Queries that it refuses before, and plans after.
    pub mended: usize,
    /// Queries whose plan costs more.
    pub slower: usize,
    /// Queries whose plan costs less.
    pub faster: usize,
    /// Queries of about the same cost that give or write something else.
    pub other_result: usize,
    /// Queries with another plan of about the same cost.
    pub other_plan: usize,
    /// Queries with the same plan.
    pub same: usize,
    /// Queries without a plan.
    pub not_planned: usize,
}

/// A statement of a migration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CheckWorkloadStatement {
    /// Where it stands.
    pub place: Option<Place>,
    /// Its first words: `DROP INDEX`.
    pub statement: String,
    /// `left_out`, `already` or `refused`.
    pub status: String,
    /// Why.
    pub message: String,
}

/// What becomes of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckWorkloadOutcome {
    /// It fails after the change.
    Broken,
    /// Its plan costs more.
    Slower,
    /// Its plan costs less.
    Faster,
    /// The server refuses it before the change, and plans it after.
    Mended,
    /// It costs about the same, and gives or writes something else.
    OtherResult,
    /// Another plan of about the same cost.
    OtherPlan,
    /// There is no plan before nor after.
    NotPlanned,
}

/// One query.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct CheckWorkloadQuery {
    /// What becomes of it.
    pub outcome: CheckWorkloadOutcome,
    /// Where it stands.
    pub place: Option<Place>,
    /// The name that its file gives it: `GetUser`.
    pub name: Option<String>,
    /// Its text; of a log without constants.
    pub sql: String,
    /// The same for queries that differ in their values alone.
    pub fingerprint: String,
    /// How often it ran, where that is known.
    pub calls: Option<f64>,
    /// Its share of the cost of all queries before the change, 0 to 1.
    pub share: f64,
    /// The server's words, what goes wrong, or why there is no plan.
    pub message: Option<String>,
    /// SQLSTATE of these.
    pub sqlstate: Option<String>,
    /// The server's HINT.
    pub hint: Option<String>,
    /// Where the server stumbled.
    pub error_place: Option<Place>,
    /// For which values it was planned: `any`, or `values` of a call in a log.
    pub planned_for: String,
    /// Calls whose values it was planned with besides.
    pub sampled: usize,
    /// The planner's cost before.
    pub cost_before: Option<f64>,
    /// The same after.
    pub cost_after: Option<f64>,
    /// What changed in the plan, in words.
    pub change: Option<String>,
    /// What it gives or writes that it did not before, in words.
    pub result: Option<String>,
    /// The statement that did it.
    pub cause: Option<CheckWorkloadCause>,
    /// The nodes of both plans.
    pub plan: Vec<CheckWorkloadLine>,
}

/// The statement that made the difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CheckWorkloadCause {
    /// Where it stands.
    pub place: Option<Place>,
    /// Its first words.
    pub statement: String,
    /// What it did to this query, as a clause.
    pub what: String,
    /// The index that it dropped or made.
    pub index: Option<String>,
}

/// A node of a plan, or a condition of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CheckWorkloadLine {
    /// `-` for the plan before, `+` for the plan after, a blank for both.
    pub mark: char,
    /// The line, indented as its plan is.
    pub text: String,
}

/// An index that is dropped or made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CheckWorkloadIndex {
    /// Its name.
    pub name: String,
    /// Its table, with the schema.
    pub table: String,
    /// The statement.
    pub place: Option<Place>,
    /// Queries whose plan uses it.
    pub used_by: usize,
    /// Of those, the ones that become slower without it, or faster with it.
    pub moved: usize,
    /// The same as a sentence.
    pub says: String,
}
