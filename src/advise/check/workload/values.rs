//! Constants of queries and values of calls: what the planner may see, and
//! nobody else.

use super::{IndexChange, Outcome, PlannedFor, QueryChange, Workload, WorkloadQuery};
use crate::catalog::ident::literal;
use crate::sql::Statement;
use crate::sql::scan::{Scanner, TokenKind};

/// Queries with values in them that are planned at most.
const MOST_WITH_VALUES: usize = 1_000;

/// What stands in place of a constant.
const HIDDEN: &str = "?";

/// A text of SQL without its constants.
pub(crate) fn masked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for token in Scanner::new(text, 0) {
        let hidden = matches!(
            token.kind,
            TokenKind::Text | TokenKind::Number | TokenKind::Unterminated
        );
        // What a comment says may be the value of a variable of a request.
        if hidden || token.kind == TokenKind::Comment {
            out.push_str(text.get(done..token.start).unwrap_or(""));
            out.push_str(if hidden { HIDDEN } else { "/* */" });
            done = token.end;
        }
    }
    out.push_str(text.get(done..).unwrap_or(""));
    out
}

/// The server's words about a value, without the value.
pub(super) fn masked_message(message: &str, sqlstate: &str) -> String {
    // Data exceptions and syntax errors quote what they are about.
    if !(sqlstate.starts_with("22") || sqlstate == "42601") {
        return message.to_owned();
    }
    match (message.find('"'), message.rfind('"')) {
        (Some(first), Some(last)) if first < last => format!(
            "{}\"…\"{}",
            message.get(..first).unwrap_or(""),
            message.get(last + 1..).unwrap_or("")
        ),
        _ => message.to_owned(),
    }
}

/// A workload, and behind its queries the same with the values of calls.
pub(super) struct WithValues {
    pub(super) workload: Workload,
    /// The queries of the workload itself.
    pub(super) originals: usize,
    /// Which query each of the others is.
    of: Vec<usize>,
}

/// The queries of a workload with the values of calls in them, for custom
/// plans; each query's first call before any second one.
pub(super) fn with_values(workload: &Workload) -> WithValues {
    let originals = workload.queries.len();
    let mut all = WithValues {
        workload: Workload {
            queries: workload.queries.clone(),
            ..Workload::default()
        },
        originals,
        of: Vec::new(),
    };
    let most = workload
        .queries
        .iter()
        .map(|query| query.samples.len())
        .max();
    for round in 0..most.unwrap_or(0) {
        for (at, query) in workload.queries.iter().enumerate() {
            let Some(sample) = query.samples.get(round) else {
                continue;
            };
            if all.of.len() == MOST_WITH_VALUES {
                return all;
            }
            if let Some(statement) = filled(&query.statement, sample) {
                all.of.push(at);
                all.workload.queries.push(WorkloadQuery {
                    statement,
                    fingerprint: query.fingerprint,
                    calls: None,
                    total_ms: None,
                    name: None,
                    logged: true,
                    samples: Vec::new(),
                });
            }
        }
    }
    all
}

/// The statement with values in place of its placeholders.
fn filled(statement: &Statement, values: &[Option<String>]) -> Option<Statement> {
    let text = &statement.server_text;
    let mut out = String::with_capacity(text.len() + 64);
    let mut done = 0;
    for token in Scanner::new(text, 0).filter(|token| token.kind == TokenKind::Numbered) {
        let number: usize = text.get(token.start + 1..token.end)?.parse().ok()?;
        let value = values.get(number.checked_sub(1)?)?;
        out.push_str(text.get(done..token.start)?);
        match value {
            Some(value) => out.push_str(&literal(value)),
            None => out.push_str("NULL"),
        }
        done = token.end;
    }
    out.push_str(text.get(done..)?);
    Some(Statement {
        server_text: out,
        placeholders: Vec::new(),
        ..statement.clone()
    })
}

impl WithValues {
    /// One answer for each query of the workload: of its plans for any values
    /// and for those of calls, the one that becomes worse.
    pub(super) fn merge(
        &self,
        queries: &mut Vec<QueryChange>,
        indexes: [&mut Vec<IndexChange>; 2],
    ) {
        let with = queries.split_off(self.originals.min(queries.len()));
        let mut sampled = vec![0_usize; self.originals];
        let mut slower = vec![false; self.originals];
        for (one, of) in with.into_iter().zip(&self.of) {
            let Some(query) = queries.get_mut(*of) else {
                continue;
            };
            let planned = !matches!(
                one.outcome,
                Outcome::NotPlanned { .. } | Outcome::Mended { .. }
            );
            if let (Some(count), true) = (sampled.get_mut(*of), planned) {
                *count += 1;
            }
            if let (Some(slower), Outcome::Slower(_)) = (slower.get_mut(*of), &one.outcome) {
                *slower = true;
            }
            if let Some(outcome) = worse(&query.outcome, one.outcome) {
                if matches!(outcome, Outcome::Broken { .. }) {
                    query.result = None;
                    query.result_cause = None;
                }
                query.outcome = outcome;
                query.cause = one.cause;
                query.planned_for = PlannedFor::Values;
            }
        }
        for ((query, count), slower) in queries.iter_mut().zip(sampled).zip(slower) {
            if count > 0 && !slower && matches!(query.outcome, Outcome::Slower(_)) {
                query.planned_for = PlannedFor::AnyAlone;
            }
            query.sampled = count;
        }
        for index in indexes.into_iter().flatten() {
            for users in [&mut index.used_by, &mut index.moved] {
                for at in users.iter_mut() {
                    if let Some(behind) = at.checked_sub(self.originals) {
                        *at = self.of.get(behind).copied().unwrap_or(*at);
                    }
                }
                users.sort_unstable();
                users.dedup();
            }
        }
    }
}

/// How bad an outcome of planning is; none where there is no plan to compare.
fn rank(outcome: &Outcome) -> Option<u8> {
    match outcome {
        Outcome::Same { .. } => Some(0),
        Outcome::OtherPlan(_) => Some(1),
        Outcome::Faster(_) => Some(2),
        Outcome::Slower(_) => Some(3),
        _ => None,
    }
}

/// The outcome with values, where it is worse than that for any.
fn worse(any: &Outcome, with: Outcome) -> Option<Outcome> {
    let any_rank = rank(any)?;
    match with {
        // The value is none of the column's type any more.
        Outcome::Broken {
            message,
            sqlstate,
            hint,
            executing: false,
            ..
        } if sqlstate.starts_with("22") => Some(Outcome::Broken {
            message: format!("a value that the log has for a parameter is refused: {message}"),
            sqlstate,
            hint,
            position: None,
            executing: false,
        }),
        with => {
            let rank = rank(&with)?;
            let more = match (any, &with) {
                (Outcome::Slower(any), Outcome::Slower(with))
                | (Outcome::Faster(any), Outcome::Faster(with)) => {
                    (with.cost_after - with.cost_before).abs()
                        > (any.cost_after - any.cost_before).abs()
                }
                _ => rank > any_rank,
            };
            more.then_some(with)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_hidden_and_names_are_not() {
        assert_eq!(
            masked("SELECT \"a 1\", t2.b FROM t2 WHERE c = 'x''y' AND d = 42 AND e = $1 -- bob"),
            "SELECT \"a 1\", t2.b FROM t2 WHERE c = ? AND d = ? AND e = $1 /* */"
        );
        assert_eq!(masked("(a = '42'::bigint)"), "(a = ?::bigint)");
        assert_eq!(masked("a = $$bob$$ AND b = E'\\'x'"), "a = ? AND b = ?");
        assert_eq!(masked("a = 'open"), "a = ?");
    }

    #[test]
    fn messages_about_values_are_told_without_them() {
        assert_eq!(
            masked_message("invalid input value for enum mood: \"bob\"", "22P02"),
            "invalid input value for enum mood: \"…\""
        );
        assert_eq!(
            masked_message("column \"a\" does not exist", "42703"),
            "column \"a\" does not exist"
        );
    }
}
