//! The report: the only types that are serialised, and what every format is
//! rendered from.
//!
//! They are a public contract with a version, apart from the types inside, so
//! that a change inside cannot break anyone's scripts. Nothing here renders.

pub mod check;
pub mod check_workload;
pub mod diff;
pub mod gitlab;
mod log;
mod node;
mod parameters;
mod resources;
pub mod rooted;
pub mod sarif;
mod times;
mod what_if;
mod why_not;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

pub use log::{Log, LogFile, LogGroup, LogPart, LogShape, LogTotals};
pub use node::{
    Blocks, IoMs, NodeDetails, NodeRelation, Property, RunDetails, RunPart, TriggerTime, Worker,
};
pub use parameters::{ComparedParameter, Parameters, PlanShape, TriedValue};
pub use resources::{Bound, Figure, FigureUnit, MemoryUse, Resources};
pub use times::{Accuracy, Beside};
pub use what_if::{
    ChangeStatus, ComparedNode, NodeChange, NodeNumbers, PlanSameness, StatementWhatIf, WhatIf,
    WhatIfChange, WhatIfIndex, WhatIfWrites,
};
pub use why_not::{AskedIndex, ForcedPlan, WhyNot, WhyNotCause, WhyNotChange, WhyNotReport};

/// The version of the format. It grows when a field changes its meaning or
/// goes away; new fields may appear without.
pub const SCHEMA_VERSION: u32 = 1;

/// Everything that one run found.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(title = "pgadvise report")]
pub struct Report {
    /// The version of this format.
    pub schema_version: u32,
    /// The program that wrote it.
    pub tool: Tool,
    /// The change that was supposed (`--what-if`), with what became of it.
    pub what_if: Option<WhatIf>,
    /// The logs among the inputs, where there are any.
    pub log: Option<Log>,
    /// The statements, in the order of the inputs.
    pub statements: Vec<Statement>,
    /// Trouble that belongs to no statement: files that could not be read, a
    /// database that did not answer.
    pub problems: Vec<Problem>,
    /// The numbers of the run.
    pub totals: Totals,
}

/// The program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Tool {
    /// `pgadvise`.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// One statement, or one plan without a statement.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Statement {
    /// Where it stands.
    pub place: Option<Place>,
    /// Its text as it was written.
    pub sql: Option<String>,
    /// The output of `EXPLAIN (FORMAT JSON)` as PostgreSQL printed it: an
    /// array with one object.
    pub explain: Option<Value>,
    /// Where the plan comes from.
    pub plan_from: Option<PlanFrom>,
    /// The planner that tried the suggestions.
    pub engine: Option<Engine>,
    /// The plan with the numbers derived from it.
    pub plan: Option<Plan>,
    /// What its parameters do to the plan, where it has any that are compared
    /// with columns.
    pub parameters: Option<Parameters>,
    /// What it takes from a server, where there is a plan.
    pub resources: Option<Resources>,
    /// Its plan with the supposed change (`--what-if`) against that without.
    pub what_if: Option<StatementWhatIf>,
    /// What was found, the costliest first.
    pub findings: Vec<Finding>,
    /// What was found and silenced.
    pub suppressed: Vec<Suppressed>,
    /// What became of each rule.
    pub rules: Rules,
    /// Trouble with this statement.
    pub problems: Vec<Problem>,
    /// The statement could not be done in full: not planned, or not executed though that was asked for.
    pub failed: bool,
}

/// A range of characters in a file. All numbers start at 1; the end is the
/// position after the last character.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Place {
    /// The file as it was named, or `<stdin>`.
    pub file: String,
    /// Line of the first character.
    pub line: usize,
    /// Column of the first character, counted in characters.
    pub column: usize,
    /// Line of the end.
    pub end_line: usize,
    /// Column of the end.
    pub end_column: usize,
}

/// Where a plan comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PlanFrom {
    /// A planner made it.
    Planner {
        /// Which one.
        engine: Engine,
    },
    /// It was given.
    File {
        /// The file as it was named.
        file: String,
    },
}

/// A PostgreSQL planner.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct Engine {
    /// `PostgreSQL 17.5 (embedded)`.
    pub description: String,
    /// What to know about its answers.
    pub notes: Vec<String>,
}

/// A plan with the numbers derived from it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Plan {
    /// It was executed, so that times and rows are measured.
    pub executed: bool,
    /// `Planning Time` in milliseconds.
    pub planning_ms: Option<f64>,
    /// `Execution Time` in milliseconds.
    pub execution_ms: Option<f64>,
    /// The planner's cost of the whole statement.
    pub total_cost: Option<f64>,
    /// What rounding left over: the root's time less the sum of self times.
    pub remainder_ms: f64,
    /// How exact the times of the nodes are; absent where none were measured.
    pub accuracy: Option<Accuracy>,
    /// What stood beside the nodes in the execution time; absent where none
    /// was measured.
    pub beside: Option<Beside>,
    /// The nodes in the order in which PostgreSQL printed them, parents first.
    pub nodes: Vec<PlanNode>,
    /// What EXPLAIN prints around the tree.
    pub run: RunDetails,
}

/// One node of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PlanNode {
    /// Its number, from 1, in the order of printing.
    pub id: usize,
    /// The number of the node above it.
    pub parent: Option<usize>,
    /// How it hangs below its parent, where that is not plain: `InitPlan 1`,
    /// `SubPlan 2`, `CTE x`.
    pub role: Option<String>,
    /// `Seq Scan on orders o`.
    pub label: String,
    /// Its conditions as PostgreSQL deparsed them.
    pub conditions: Vec<Condition>,
    /// The planner's cost of one execution, with everything below.
    pub cost: Option<f64>,
    /// The planner's cost of the node alone, over all executions.
    pub self_cost: Option<f64>,
    /// Milliseconds of the node with everything below, over all executions.
    pub total_ms: Option<f64>,
    /// Milliseconds of the node alone, over all executions.
    pub self_ms: Option<f64>,
    /// The node's own share of the whole time, or of the whole cost when the
    /// plan was not executed; 0 to 1.
    pub share: f64,
    /// The same with everything below.
    pub total_share: f64,
    /// Rows that the planner expected from one execution.
    pub rows_estimated: Option<f64>,
    /// Rows that one execution gave, on average.
    pub rows_actual: Option<f64>,
    /// Rows that a filter threw away, on average for one execution.
    pub rows_removed: Option<f64>,
    /// Executions.
    pub loops: Option<f64>,
    /// By what factor the estimate of rows is off; absent where that cannot be
    /// said.
    pub estimate_error: Option<f64>,
    /// There were more rows than estimated.
    pub underestimated: bool,
    /// It was never executed.
    pub never_executed: bool,
    /// Everything else.
    pub details: NodeDetails,
    /// Why rules reported nothing about it; empty unless that was asked
    /// (`--why-not-flagged`).
    pub why_not_flagged: Vec<Passed>,
}

/// Why a rule reported nothing about a plan node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Passed {
    /// The rule's name.
    pub rule: String,
    /// The reason, with the numbers that decided.
    pub reason: String,
}

/// A condition of a plan node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Condition {
    /// EXPLAIN's name for it: `Filter`, `Index Cond`.
    pub role: String,
    /// Its text.
    pub text: String,
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Worth knowing; costs little now.
    Note,
    /// Slow, or will be.
    Warning,
    /// Most of the statement's time or cost, or a wrong result is likely.
    Critical,
}

/// What a rule found.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Finding {
    /// The rule's name.
    pub rule: String,
    /// How much it matters.
    pub level: Level,
    /// What is wrong.
    pub message: String,
    /// Why it matters here.
    pub why: String,
    /// Where in the SQL.
    pub place: Option<Place>,
    /// Which node of the plan.
    pub node: Option<NodeRef>,
    /// The table concerned.
    pub relation: Option<Relation>,
    /// The share of the statement's time or cost that is at stake, 0 to 1.
    pub share: f64,
    /// The milliseconds that this share comes to, and so the most that could
    /// be saved; absent where the plan was not timed.
    pub saves_ms: Option<f64>,
    /// What supports the finding.
    pub evidence: Vec<Evidence>,
    /// What to do.
    pub suggestions: Vec<Suggestion>,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Relation {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
}

/// A node of the statement's plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NodeRef {
    /// Its number in `plan.nodes`.
    pub id: usize,
    /// Its label.
    pub label: String,
}

/// A number or text that supports a finding.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Evidence {
    /// What it is.
    pub label: String,
    /// The number; absent for a text.
    pub value: Option<f64>,
    /// The number's unit.
    pub unit: Unit,
    /// The value with its unit, as it is shown.
    pub text: String,
    /// Where it was read.
    pub from: Origin,
}

/// Units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Rows.
    Rows,
    /// Anything else that is counted.
    Count,
    /// Milliseconds.
    Ms,
    /// Bytes.
    Bytes,
    /// Blocks of 8 KiB.
    Blocks,
    /// A share, 0 to 1.
    Share,
    /// A factor.
    Factor,
    /// Planner cost units.
    Cost,
    /// Not a number.
    Text,
}

/// Where a number was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Origin {
    /// A node of the plan.
    Plan {
        /// Which.
        node: NodeRef,
    },
    /// The SQL.
    Sql {
        /// Where.
        place: Option<Place>,
    },
    /// The catalogue.
    Catalog {
        /// The object.
        object: String,
    },
    /// Statistics.
    Statistics {
        /// The table or column.
        object: String,
    },
    /// A formula.
    Formula {
        /// Its name.
        name: String,
    },
}

/// What kind of change a suggestion is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SuggestionKind {
    /// Build an index.
    CreateIndex,
    /// Create an extended statistics object.
    CreateStatistics,
    /// Gather statistics.
    Analyze,
    /// Write the statement differently.
    Rewrite,
    /// Change a setting.
    Setting,
    /// Tell the planner what no statistics say: the rows of a function, a
    /// foreign key.
    Alter,
    /// Something to do by hand.
    Advice,
}

/// The author's claim about a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Applicability {
    /// Needs a person's hand or judgement.
    Manual,
    /// The query may answer differently.
    MayChangeResults,
    /// The query answers the same.
    SameResults,
}

/// A change with its price and its proof.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Suggestion {
    /// What to do.
    pub title: String,
    /// What kind of change.
    pub kind: SuggestionKind,
    /// Whether the query still answers the same.
    pub applicability: Applicability,
    /// SQL that is ready to run.
    pub sql: Option<String>,
    /// The whole statement, rewritten.
    pub rewritten_sql: Option<String>,
    /// The rewrite as a unified diff of the file.
    pub diff: Option<String>,
    /// The advice in words, where it is not SQL.
    pub advice: Option<String>,
    /// What the change costs besides.
    pub side_effects: Vec<SideEffect>,
    /// What must hold for the results to stay the same, and what proves it.
    pub preconditions: Vec<Precondition>,
    /// What a planner said.
    pub verdict: Verdict,
}

/// What a change costs.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SideEffect {
    /// Of what sort.
    pub kind: SideEffectKind,
    /// In words.
    pub text: String,
    /// Bytes on disk, for `disk`.
    pub bytes: Option<f64>,
}

/// Sorts of cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SideEffectKind {
    /// Space on disk.
    Disk,
    /// Work added to writes.
    Writes,
    /// Locks taken or waited for.
    Lock,
    /// What callers must change or know.
    Caller,
}

/// A condition under which a rewrite gives the same results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Precondition {
    /// What must hold.
    pub claim: String,
    /// What proves it.
    pub proof: String,
}

/// What a planner said about a change.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Verdict {
    /// How it ended.
    pub status: VerdictStatus,
    /// The planner's cost without the change.
    pub before_cost: Option<f64>,
    /// The planner's cost with it.
    pub after_cost: Option<f64>,
    /// Which planner.
    pub engine: Option<String>,
    /// What changed in the plan.
    pub plan_change: Option<String>,
    /// What was and was not checked besides the cost.
    pub checked: Vec<String>,
    /// Measured milliseconds without the change, where it was executed.
    pub before_ms: Option<f64>,
    /// Measured milliseconds with it.
    pub after_ms: Option<f64>,
    /// Why it was not tested.
    pub why: Option<String>,
}

/// How a test of a change ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VerdictStatus {
    /// The planner's cost falls.
    Better,
    /// The planner's row estimate comes nearer to the truth; the cost may
    /// rise with it.
    BetterEstimate,
    /// The planner does not use it, or the cost stays.
    NoChange,
    /// The cost rises.
    Worse,
    /// No planner tried it.
    Untested,
}

/// A finding that was silenced.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Suppressed {
    /// The reason that was given.
    pub reason: Option<String>,
    /// The finding.
    pub finding: Finding,
}

/// What became of each rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Rules {
    /// Rules that looked.
    pub ran: Vec<String>,
    /// Rules that could not look.
    pub skipped: Vec<SkippedRule>,
    /// Rules that failed: bugs of the program.
    pub crashed: Vec<CrashedRule>,
    /// Rules that were switched off.
    pub off: Vec<String>,
}

/// A rule that could not look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SkippedRule {
    /// Its name.
    pub rule: String,
    /// What was missing.
    pub missing: Vec<Missing>,
}

/// Something that a rule needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct Missing {
    /// Its name: `actuals`.
    pub need: String,
    /// What to give: `a plan that was executed (--analyze)`.
    pub remedy: String,
}

/// A rule that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CrashedRule {
    /// Its name.
    pub rule: String,
    /// Its last words.
    pub message: String,
}

/// What sort of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// The options do not fit together.
    Usage,
    /// What was given cannot be read or understood.
    Input,
    /// A server refused or did not answer.
    Database,
    /// A bug of the program.
    Internal,
}

/// Whether trouble stopped the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The input, or the statement, could not be done in full.
    Error,
    /// The work went on, with less than it could have had.
    Warning,
}

/// Trouble, with what to do next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Problem {
    /// What sort.
    pub kind: ProblemKind,
    /// Whether it stopped the work.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What it is wrong because of, the nearest first.
    pub causes: Vec<String>,
    /// Where.
    pub place: Option<Place>,
    /// What to do next.
    pub hints: Vec<String>,
}

/// What `pgadvise rules` says in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RuleList {
    /// The version of this format.
    pub schema_version: u32,
    /// The rules, by what they are about, and by name.
    pub rules: Vec<RulePage>,
}

/// What a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuleAbout {
    /// Queries and their plans.
    Queries,
    /// Migrations.
    Migrations,
}

/// What there is to know about a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RulePage {
    /// Its name.
    pub name: String,
    /// One line.
    pub summary: String,
    /// What it is about.
    pub about: RuleAbout,
    /// What sort of trouble, where it is about migrations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Whether it runs unless it is switched off.
    pub on: bool,
    /// Its usual level; a finding may be of another.
    pub level: Level,
    /// What it needs.
    pub needs: Vec<Missing>,
    /// The version that brought it.
    pub since: String,
    /// Its page, in Markdown.
    pub page: String,
}

/// The numbers of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Totals {
    /// Statements and plans looked at.
    pub statements: usize,
    /// Of these, how many could not be done in full.
    pub failed: usize,
    /// Findings, without those silenced.
    pub findings: usize,
    /// Findings that are critical.
    pub critical: usize,
    /// Findings that are warnings.
    pub warning: usize,
    /// Findings that are notes.
    pub note: usize,
    /// Findings silenced.
    pub suppressed: usize,
    /// Suggestions.
    pub suggestions: usize,
    /// Suggestions that a planner found better.
    pub better: usize,
    /// Troubles, of the run and of its statements.
    pub problems: usize,
}

impl Level {
    /// Its name in options and output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl Place {
    /// `file:line:column`.
    pub fn text(&self) -> String {
        format!("{}:{}:{}", self.file, self.line, self.column)
    }
}

impl Report {
    /// The highest level among the findings that were not silenced.
    pub fn worst(&self) -> Option<Level> {
        self.statements
            .iter()
            .flat_map(|statement| &statement.findings)
            .map(|finding| finding.level)
            .max()
    }

    /// Some of the work could not be done: an input that cannot be read, a
    /// statement that cannot be advised on, a rule that crashed.
    pub fn incomplete(&self) -> bool {
        self.problems
            .iter()
            .any(|problem| problem.severity == Severity::Error)
            || self
                .statements
                .iter()
                .any(|statement| statement.failed || !statement.rules.crashed.is_empty())
    }

    /// Counts anew after something was added.
    pub fn count(&mut self) {
        let mut totals = Totals {
            statements: self.statements.len(),
            problems: self.problems.len(),
            ..Totals::default()
        };
        for statement in &self.statements {
            totals.failed += usize::from(statement.failed);
            totals.problems += statement.problems.len();
            totals.suppressed += statement.suppressed.len();
            totals.findings += statement.findings.len();
            for finding in &statement.findings {
                match finding.level {
                    Level::Note => totals.note += 1,
                    Level::Warning => totals.warning += 1,
                    Level::Critical => totals.critical += 1,
                }
                totals.suggestions += finding.suggestions.len();
                totals.better += finding
                    .suggestions
                    .iter()
                    .filter(|suggestion| suggestion.verdict.status == VerdictStatus::Better)
                    .count();
            }
        }
        self.totals = totals;
    }
}
