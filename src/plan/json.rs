//! `EXPLAIN (FORMAT JSON)` of servers 9.6 to 18 into a [`PlanGraph`].

use super::PlanGraph;

/// Why a text is not a JSON plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanJsonError {
    /// Not JSON, or cut off.
    #[error("not valid JSON at line {line}, column {column}{}", if *.truncated { ": the text ends too early" } else { "" })]
    Syntax {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// It ends in the middle.
        truncated: bool,
        /// The reader's word.
        #[source]
        source: serde_json::Error,
    },
    /// JSON, but no plan in it.
    #[error("JSON, but not a plan: {what}")]
    NotAPlan {
        /// What is missing.
        what: &'static str,
    },
}

/// Reads a text with one or more plans: an array of statements, one statement
/// object, or a bare node.
pub fn parse(_text: &str) -> Result<Vec<PlanGraph>, PlanJsonError> {
    Err(PlanJsonError::NotAPlan { what: "no plan" })
}
