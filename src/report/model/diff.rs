//! What `pgadvise diff` says.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Condition, Problem, Tool, Unit};

/// What `pgadvise diff` says in JSON.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(title = "pgadvise diff")]
pub struct DiffReport {
    /// The version of this format.
    pub schema_version: u32,
    /// The program that wrote it.
    pub tool: Tool,
    /// Up to which percentage a difference counts as none.
    pub tolerance_percent: f64,
    /// The plans that were compared, in the order of those before.
    pub comparisons: Vec<PlanComparison>,
    /// Plans without a counterpart.
    pub unpaired: Vec<UnpairedPlan>,
    /// The numbers of the run.
    pub totals: DiffTotals,
    /// What could not be read or compared.
    pub problems: Vec<Problem>,
}

/// The numbers of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DiffTotals {
    /// Pairs of plans.
    pub compared: usize,
    /// Pairs whose plan after is better.
    pub better: usize,
    /// Pairs whose plan after is worse, beyond the tolerance.
    pub worse: usize,
    /// Pairs that are alike within the tolerance.
    pub same: usize,
    /// Pairs of which neither can be said.
    pub not_comparable: usize,
    /// Plans without a counterpart.
    pub unpaired: usize,
}

/// A plan without a counterpart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UnpairedPlan {
    /// `before` or `after`.
    pub side: DiffSide,
    /// Which plan.
    pub plan: ComparedPlan,
    /// Its statement, where it is known.
    pub sql: Option<String>,
}

/// One of the two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DiffSide {
    /// What is compared with.
    Before,
    /// What is judged.
    After,
}

/// A plan that was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ComparedPlan {
    /// The file as it was named, or `<stdin>`.
    pub file: String,
    /// Which of the file's plans, from 1.
    pub number: usize,
    /// The format in which it was written: `TEXT`, `JSON`, `YAML`, `XML`.
    pub format: String,
    /// What of it is missing, where it was cut off or damaged.
    pub incomplete: Option<String>,
}

/// Two plans compared.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PlanComparison {
    /// The plan before.
    pub before: ComparedPlan,
    /// The plan after.
    pub after: ComparedPlan,
    /// How the two came to be compared: `query identifier`, `query text`,
    /// `query text without constants`, `position`, `only plans`.
    pub paired_by: String,
    /// Whether it is better.
    pub verdict: DiffVerdict,
    /// What caused the difference, the weightiest first.
    pub causes: Vec<DiffCause>,
    /// Numbers of the whole, side by side; those that neither plan has are
    /// left out.
    pub totals: Vec<DiffTotal>,
    /// Where the difference in time lies, when both plans were timed.
    pub time: Option<TimeDifference>,
    /// Settings that differ, where plans were made with SETTINGS.
    pub settings: Vec<SettingDifference>,
    /// The statements, where both are known.
    pub sql: Option<SqlDifference>,
    /// Nodes that came, went, or do something else.
    pub changed_nodes: usize,
    /// The nodes of both plans: in the order of the plan after, those that are
    /// gone where they stood.
    pub nodes: Vec<DiffNode>,
}

/// Whether a plan is better.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct DiffVerdict {
    /// The verdict.
    pub outcome: DiffOutcome,
    /// What it is judged by.
    pub measure: Option<DiffMeasure>,
    /// That number before.
    pub before: Option<f64>,
    /// That number after.
    pub after: Option<f64>,
    /// By which share it rises; negative where it falls.
    pub change: Option<f64>,
    /// The verdict in a sentence.
    pub summary: String,
    /// What to bear in mind.
    pub warnings: Vec<String>,
}

/// Verdicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DiffOutcome {
    /// The plan after is better.
    Better,
    /// The plan after is worse.
    Worse,
    /// Neither by more than the tolerance.
    Same,
    /// It cannot be said.
    NotComparable,
}

/// What plans are judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DiffMeasure {
    /// The time of execution, in milliseconds.
    Time,
    /// Blocks touched, found in buffers or read.
    Buffers,
    /// The planner's cost.
    Cost,
}

/// A cause of the difference.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct DiffCause {
    /// Which: `statement`, `setting`, `index`, `constants`, `rows`,
    /// `estimates`, `version`, `workers`, `spill`, `cache`, `jit`, `triggers`,
    /// `circumstances`, `tables`, `blocks`.
    pub kind: String,
    /// What happened.
    pub message: String,
    /// The difference in time, in milliseconds, of the nodes that it concerns.
    /// Causes may concern the same nodes: these numbers are no parts of a sum.
    pub difference_ms: Option<f64>,
    /// The nodes that it concerns, those with the largest difference first.
    pub nodes: Vec<DiffNodeRef>,
    /// What shows it.
    pub facts: Vec<DiffFact>,
}

/// A node of one plan, of the other, or of both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DiffNodeRef {
    /// Its number in the plan before, from 1.
    pub before: Option<usize>,
    /// Its number in the plan after, from 1.
    pub after: Option<usize>,
    /// What it is called, in the plan after where it is there.
    pub label: String,
}

/// Two values side by side.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct DiffFact {
    /// What is compared.
    pub what: String,
    /// Before; absent where there is none.
    pub before: Option<DiffValue>,
    /// After; absent where there is none.
    pub after: Option<DiffValue>,
}

/// A value as a number and as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct DiffValue {
    /// The number; absent for texts.
    pub number: Option<f64>,
    /// Its unit.
    pub unit: Unit,
    /// As it is shown.
    pub shown: String,
}

/// A number of the whole.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct DiffTotal {
    /// Which: `execution time`, `cost`, `blocks read`.
    pub name: String,
    /// The unit of both.
    pub unit: Unit,
    /// Before.
    pub before: Option<f64>,
    /// After.
    pub after: Option<f64>,
}

/// Where a difference in time lies. The parts sum up to the whole.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct TimeDifference {
    /// Time after minus time before, in milliseconds.
    pub whole_ms: f64,
    /// Sum of the nodes' differences in self time.
    pub nodes_ms: f64,
    /// Triggers.
    pub triggers_ms: f64,
    /// Outside of the nodes: starting and ending the executor, sending rows.
    pub outside_ms: f64,
    /// What the rounding of printed times leaves over.
    pub rounding_ms: f64,
}

/// A setting that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SettingDifference {
    /// Its name.
    pub name: String,
    /// Before; absent where it was not printed.
    pub before: Option<String>,
    /// After; absent where it was not printed.
    pub after: Option<String>,
}

/// Two statements compared, line by line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SqlDifference {
    /// They differ in more than white space.
    pub changed: bool,
    /// The lines of both; only one side's where they are the same.
    pub lines: Vec<SqlLine>,
}

/// A line of SQL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SqlLine {
    /// Whether it is in both, gone, or new.
    pub change: SqlChange,
    /// The line.
    pub text: String,
}

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SqlChange {
    /// It is in both.
    Kept,
    /// It is gone.
    Gone,
    /// It is new.
    New,
}

/// What became of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DiffStatus {
    /// It does the same as before.
    Same,
    /// It does the work otherwise.
    Changed,
    /// It is gone.
    Gone,
    /// It is new.
    New,
}

/// A node of one plan, of the other, or of both.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct DiffNode {
    /// What became of it.
    pub status: DiffStatus,
    /// How deep it is shown.
    pub depth: usize,
    /// What it is called in the plan before.
    pub label_before: Option<String>,
    /// What it is called in the plan after.
    pub label_after: Option<String>,
    /// Its numbers before.
    pub before: Option<DiffNodeNumbers>,
    /// Its numbers after.
    pub after: Option<DiffNodeNumbers>,
    /// The difference in time of the node alone, in milliseconds.
    pub self_ms_difference: Option<f64>,
    /// What it does otherwise.
    pub changes: Vec<DiffChange>,
    /// Its conditions, for a node that came or went.
    pub conditions: Vec<Condition>,
}

/// The numbers of a node.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct DiffNodeNumbers {
    /// Its number in its plan, from 1.
    pub id: usize,
    /// Milliseconds of the node alone.
    pub self_ms: Option<f64>,
    /// Rows over all executions.
    pub rows: Option<f64>,
    /// Executions.
    pub loops: Option<f64>,
    /// The planner's rows of one execution.
    pub estimated_rows: Option<f64>,
    /// The planner's cost of one execution.
    pub cost: Option<f64>,
    /// Blocks that it found in buffers.
    pub hit_blocks: Option<f64>,
    /// Blocks that it read.
    pub read_blocks: Option<f64>,
    /// Temporary blocks that it read and wrote.
    pub temp_blocks: Option<f64>,
}

/// Something that a node does otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DiffChange {
    /// What: `method`, `index`, `join order`, `Filter`, …
    pub what: String,
    /// Before.
    pub before: Option<String>,
    /// After.
    pub after: Option<String>,
}
