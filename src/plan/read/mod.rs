//! Any text with plans in it, as people paste it, into [`PlanGraph`]s.
//!
//! Each format becomes a document in the shape of `EXPLAIN (FORMAT JSON)`,
//! which [`super::build`] lifts: a format decides how a text is taken apart,
//! and never what a key means.

use super::{PlanGraph, json};

/// In which of EXPLAIN's formats a plan was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `FORMAT TEXT`.
    Text,
    /// `FORMAT JSON`.
    Json,
    /// `FORMAT YAML`.
    Yaml,
    /// `FORMAT XML`.
    Xml,
}

impl Format {
    /// Its name as EXPLAIN takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "TEXT",
            Self::Json => "JSON",
            Self::Yaml => "YAML",
            Self::Xml => "XML",
        }
    }
}

/// Something about the text that its reader should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadProblem {
    /// What is wrong: no capital at the start, no full stop.
    pub message: String,
    /// The line of the text, from 1.
    pub line: Option<usize>,
    /// What to do.
    pub hint: Option<String>,
}

/// One plan of a text.
#[derive(Debug, Clone)]
pub struct ReadPlan {
    /// The plan.
    pub plan: PlanGraph,
    /// The format in which it was written.
    pub format: Format,
    /// Its first line in the text, from 1.
    pub line: usize,
    /// The statement that stood before the plan (`EXPLAIN SELECT …`, after a
    /// prompt or alone), without EXPLAIN and its options.
    pub sql: Option<String>,
    /// What is missing, where the text was cut off or damaged; the plan then
    /// holds what there is.
    pub incomplete: Option<ReadProblem>,
}

/// What was read of a text.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// The plans, in the order in which they stand.
    pub plans: Vec<ReadPlan>,
    /// What could not be read. With plans beside it, a part of the text.
    pub problems: Vec<ReadProblem>,
}

/// Whether a text is meant as a plan rather than as SQL.
pub fn looks_like_plan(text: &str) -> bool {
    json::looks_like_plan(text)
}

/// Reads all plans of a text. A text without any gives a problem that says
/// what it is instead.
pub fn read(text: &str) -> Reading {
    match json::parse(text) {
        Ok(plans) => Reading {
            plans: plans
                .into_iter()
                .map(|plan| ReadPlan {
                    plan,
                    format: Format::Json,
                    line: 1,
                    sql: None,
                    incomplete: None,
                })
                .collect(),
            problems: Vec::new(),
        },
        Err(error) => Reading {
            plans: Vec::new(),
            problems: vec![ReadProblem {
                message: error.to_string(),
                line: None,
                hint: None,
            }],
        },
    }
}
