//! Any text with plans in it, as people paste it, into [`PlanGraph`]s.
//!
//! Each format becomes a document in the shape of `EXPLAIN (FORMAT JSON)`,
//! which [`super::build`] lifts: a format decides how a text is taken apart,
//! and never what a key means.

mod find;
mod foreign;
mod frame;
mod lenient;
mod lines;
mod paste;
mod quoted;
mod statement;
mod text;
mod typed;
mod xml;
mod yaml;

use super::PlanGraph;

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

/// Whether a text is meant as a plan rather than as SQL: `explain` reads both.
/// It may still be a broken plan, or another system's, which [`read`] then says.
///
/// A text that begins as SQL does is a plan only if one stands in it outside of
/// comments and quotes.
pub fn looks_like_plan(text: &str) -> bool {
    let body = statement::without_comments(text);
    if body.starts_with(['[', '{']) {
        return true;
    }
    // `Update on t`, `Merge Join` and `Values Scan on v` are no SQL.
    let is_sql = statement::begins(body) && !text::begins(&lines::of(first_lines(body)), 0);
    let lines = lines::of(text);
    let mut lexer = statement::Lexer::default();
    for (at, line) in lines.iter().enumerate() {
        let plain = lexer.is_plain();
        if is_sql {
            lexer.feed(&line.text);
        }
        if !plain {
            continue;
        }
        let trimmed = line.text.trim();
        if trimmed.is_empty() || trimmed.starts_with("--") {
            continue;
        }
        let bare = trimmed.trim_matches(['|', '│', '║', '"', '\'', '>', '+', '↵', ' ']);
        let one = lines::Line::new(1, bare.into());
        let found = bare == "QUERY PLAN"
            || bare.starts_with("QUERY PLAN|")
            || bare.starts_with("QUERY PLAN  ")
            || bare.contains("<explain xmlns")
            || bare == "- Plan:"
            || bare.contains("\"Plan\": {")
            || text::begins_with_numbers(bare)
            || text::begins_below_the_top(&one)
            || text::is_known_child(bare)
            || !is_sql && text::begins(&lines, at);
        if found {
            return true;
        }
    }
    !is_sql && foreign::detect(text).is_some()
}

/// Reads all plans of a text. A text without any gives a problem that says
/// what it is instead.
pub fn read(text: &str) -> Reading {
    let mut reading = find::plans(text);
    if !reading.plans.is_empty() {
        return reading;
    }
    if let Some(plain) = paste::commented(text) {
        let within = find::plans(&plain);
        if !within.plans.is_empty() {
            return within;
        }
    }
    if let Some(foreign) = foreign::detect(text) {
        reading.problems = vec![ReadProblem {
            message: format!("this is a plan of {}, not of PostgreSQL", foreign.system),
            line: Some(foreign.line),
            hint: Some(
                "only plans of PostgreSQL and of what is built on it are read: give what its EXPLAIN (ANALYZE, BUFFERS) prints"
                    .to_owned(),
            ),
        }];
    }
    if reading.problems.is_empty() {
        reading.problems.push(nothing(text));
    }
    reading
}

/// The first lines of a text, enough to tell how it begins.
fn first_lines(text: &str) -> &str {
    text.match_indices('\n')
        .nth(20)
        .and_then(|(end, _)| text.get(..end))
        .unwrap_or(text)
}

/// What a text without a plan is instead.
fn nothing(text: &str) -> ReadProblem {
    let body = statement::without_comments(text);
    let line = 1 + text
        .get(..text.len() - body.len())
        .unwrap_or_default()
        .matches('\n')
        .count();
    if body.trim().is_empty() {
        return ReadProblem {
            message: "the text is empty".to_owned(),
            line: None,
            hint: Some(find::HINT.to_owned()),
        };
    }
    if statement::begins(body) {
        return ReadProblem {
            message: "this is SQL, and there is no plan with it".to_owned(),
            line: Some(line),
            hint: Some(
                "give the output of EXPLAIN (ANALYZE, BUFFERS) for it, or use pgadvise explain, which reads SQL"
                    .to_owned(),
            ),
        };
    }
    ReadProblem {
        message: "there is no plan in the text".to_owned(),
        line: Some(line),
        hint: Some(find::HINT.to_owned()),
    }
}
