//! The advice for one statement: rules run, index candidates and rewrites
//! tried, findings merged and put in order.

pub mod attach;
pub mod belongs;
pub mod candidates;
pub mod check;
pub mod engine;
pub mod explain;
pub mod indexes;
pub mod merge;
pub mod rewrites;
pub mod sensitivity;
pub mod statistics;
pub mod suppress;
pub mod untested;
pub mod usage;
pub mod what_if;
pub mod why_not;
pub mod why_not_flagged;

use crate::finding::Finding;
use crate::plan::PlanGraph;
use crate::rule::{Need, Passed};
use crate::source::Problem;
use crate::sql::Statement;
use crate::verify::Engine;

/// How a rule ended on one statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It looked, and reported that many findings.
    Ran {
        /// Findings before suppression.
        findings: usize,
    },
    /// It could not look.
    Skipped {
        /// What was missing.
        missing: Vec<Need>,
    },
    /// It failed; the others went on. A bug worth reporting.
    Crashed {
        /// The panic's message.
        message: String,
    },
    /// Switched off in the configuration.
    Off,
}

/// All that is known and said about one statement.
#[derive(Debug, Clone, Default)]
pub struct Analysis {
    /// The statement; absent for a bare plan without query text.
    pub statement: Option<Statement>,
    /// Its plan.
    pub plan: Option<PlanGraph>,
    /// Where the plan comes from: a planner, or a file.
    pub plan_from: Option<PlanFrom>,
    /// The planner that tried the suggestions.
    pub engine: Option<Engine>,
    /// What became of its parameters, where values were tried in their place.
    pub parameters: Option<sensitivity::Sensitivity>,
    /// What was found, the costliest first.
    pub findings: Vec<Finding>,
    /// Findings silenced in SQL or configuration, with the reason.
    pub suppressed: Vec<(Finding, Option<String>)>,
    /// Why nodes were not flagged, where that was asked: by node, then rule.
    pub passed: Vec<Passed>,
    /// Every rule's outcome, by name.
    pub outcomes: Vec<(&'static str, Outcome)>,
    /// Trouble with this statement.
    pub problems: Vec<Problem>,
    /// The statement could not be done in full: not planned, or not executed though that was asked for.
    pub failed: bool,
}

/// Where a plan comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanFrom {
    /// A planner made it.
    Planner(Engine),
    /// The user gave it: the name of the text.
    Given(String),
}
