//! Rewrites: edits of a statement's own text that keep its results.
//!
//! Each rewrite is one file: a pattern, what must hold for the results to stay
//! the same with the fact that proves each point, and the edits. What cannot
//! be proved is refused with the reason. Nothing here asks a planner whether
//! the new statement is faster.

mod arithmetic;
mod calendar;
mod count;
mod cte;
mod decimal;
mod interval;
mod keyset;
mod not_in;
mod numeric;
mod site;
mod truncation;
mod words;

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::{Parser, ParserOptions};

use crate::finding::{Applicability, Change, Edit, Precondition, SideEffect, Suggestion};
use crate::source::Span;
use crate::subject::Subject;

/// A rewrite.
pub trait Rewrite: Sync {
    /// Its name: what becomes what.
    fn id(&self) -> &'static str;

    /// What it does, when it keeps the results, and when it is refused.
    fn docs(&self) -> &'static str;

    /// Every place in the statement where it could be made, with the edits or
    /// with the reason why not.
    fn propose(&self, subject: &Subject<'_>) -> Vec<Proposal>;
}

/// Every rewrite, in the order in which they are tried.
pub const ALL: &[&dyn Rewrite] = &[
    &truncation::TruncationToRange,
    &not_in::NotInToNotExists,
    &keyset::OffsetToKeyset,
    &count::CountToExists,
    &numeric::NumericLiteralToInteger,
    &arithmetic::ArithmeticOffTheColumn,
    &cte::MaterializedCteToInline,
];

/// One place where a rewrite could be made.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// The rewrite's name.
    pub rewrite: &'static str,
    /// What is wrong, in the user's text.
    pub span: Span,
    /// What to do, imperative.
    pub title: String,
    /// Edits on the statement's own text, ascending, not overlapping. Empty
    /// for advice and for what is refused.
    pub edits: Vec<Edit>,
    /// The author's claim.
    pub applicability: Applicability,
    /// What must hold for the same results, each with its proof.
    pub preconditions: Vec<Precondition>,
    /// Why it is not offered.
    pub refused: Option<String>,
    /// What the user should know besides, as sentences.
    pub notes: Vec<String>,
    /// What to do by hand, with the SQL to start from: the change needs the
    /// caller's help.
    pub advice: Option<String>,
}

impl Proposal {
    /// The edits with their proofs.
    fn offered(
        rewrite: &'static str,
        span: Span,
        title: impl Into<String>,
        edits: Vec<Edit>,
        preconditions: Vec<Precondition>,
    ) -> Self {
        Self {
            rewrite,
            span,
            title: title.into(),
            edits,
            applicability: Applicability::SameResults,
            preconditions,
            refused: None,
            notes: Vec::new(),
            advice: None,
        }
    }

    /// The pattern is there, and the reason why nothing is offered.
    fn refused(
        rewrite: &'static str,
        span: Span,
        title: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        Self {
            rewrite,
            span,
            title: title.into(),
            edits: Vec::new(),
            applicability: Applicability::Manual,
            preconditions: Vec::new(),
            refused: Some(reason.into()),
            notes: Vec::new(),
            advice: None,
        }
    }

    /// The proposal as a suggestion that no planner has tried; `None` when it
    /// is refused.
    pub fn suggestion(&self) -> Option<Suggestion> {
        if self.refused.is_some() {
            return None;
        }
        let change = match &self.advice {
            Some(text) => Change::Advice { text: text.clone() },
            None => Change::Rewrite {
                edits: self.edits.clone(),
            },
        };
        let mut suggestion = Suggestion::untested(&self.title, change, self.applicability);
        suggestion.preconditions.clone_from(&self.preconditions);
        suggestion.side_effects = self
            .notes
            .iter()
            .map(|note| SideEffect::Caller(note.clone()))
            .collect();
        Some(suggestion)
    }
}

/// What all rewrites propose for the statement, by place. A proposal whose
/// edits do not give a statement that can be read is left out.
pub fn propose(subject: &Subject<'_>) -> Vec<Proposal> {
    let mut proposals: Vec<Proposal> = ALL
        .iter()
        .flat_map(|rewrite| rewrite.propose(subject))
        .filter(|proposal| proposal.edits.is_empty() || reads_well(subject, proposal))
        .collect();
    proposals.sort_by_key(|proposal| (proposal.span.start, proposal.rewrite));
    proposals
}

/// The rewritten statement is read again: one statement without problems, and
/// its meaning is known. A second parser that takes the original must take the
/// result too: the edits were made by what the first one read.
fn reads_well(subject: &Subject<'_>, proposal: &Proposal) -> bool {
    let Some(text) = rewritten(subject, proposal) else {
        return false;
    };
    let (statements, problems) = crate::sql::read(crate::source::SourceId::default(), &text);
    match statements.as_slice() {
        [statement] => {
            problems.is_empty()
                && statement.problems.is_empty()
                && statement.query.is_some()
                && subject.statement.is_none_or(|original| {
                    second_parser_takes(&statement.server_text)
                        || !second_parser_takes(&original.server_text)
                })
        }
        _ => false,
    }
}

/// Whether sqlparser reads the text as one statement.
fn second_parser_takes(sql: &str) -> bool {
    // More levels than people nest, fewer than the stack holds.
    const DEPTH: usize = 200;
    Parser::new(&PostgreSqlDialect {})
        .with_recursion_limit(DEPTH)
        .with_options(ParserOptions::new().with_unescape(false))
        .try_with_sql(sql)
        .and_then(|mut parser| parser.parse_statements())
        .is_ok_and(|statements| statements.len() == 1)
}

/// The statement with the proposal's edits made; `None` when it has none.
pub fn rewritten(subject: &Subject<'_>, proposal: &Proposal) -> Option<String> {
    let statement = subject.statement?;
    if proposal.edits.is_empty() {
        return None;
    }
    apply(&statement.text, statement.span.start, &proposal.edits)
}

/// Makes edits on a text whose first byte stands at `base_offset` of the
/// source. `None` when an edit lies outside the text, cuts a character, or
/// overlaps another.
pub fn apply(text: &str, base_offset: usize, edits: &[Edit]) -> Option<String> {
    let mut ordered: Vec<&Edit> = edits.iter().collect();
    ordered.sort_by_key(|edit| (edit.span.start, edit.span.end));
    let mut result = String::with_capacity(text.len());
    let mut done = 0;
    for edit in ordered {
        let start = edit.span.start.checked_sub(base_offset)?;
        let end = edit.span.end.checked_sub(base_offset)?;
        result.push_str(text.get(done..start)?);
        result.push_str(&edit.text);
        text.get(start..end)?;
        done = end;
    }
    result.push_str(text.get(done..)?);
    Some(result)
}

/// What changed between two texts, as a unified diff with three lines of
/// context; empty when they are equal.
pub fn unified_diff(before: &str, after: &str, name: &str) -> String {
    if before == after {
        return String::new();
    }
    let close = |text: &str| {
        if text.ends_with('\n') {
            text.to_owned()
        } else {
            format!("{text}\n")
        }
    };
    let (before, after) = (close(before), close(after));
    similar::TextDiff::from_lines(&before, &after)
        .unified_diff()
        .context_radius(3)
        .header(name, &format!("{name} (rewritten)"))
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::second_parser_takes;

    #[test]
    fn the_second_parser_takes_one_whole_statement() {
        assert!(second_parser_takes(
            "SELECT a FROM t WHERE b = 'it''s' AND c = $1"
        ));
        assert!(!second_parser_takes("SELECT a FROM t WHERE b ="));
        assert!(!second_parser_takes("SELECT 1; SELECT 2"));
    }
}
