//! A pattern that begins with a wildcard, or ignores case: no B-tree can find
//! it.

use super::support::{node, suggest, weight::Weight};
use crate::catalog::Relation;
use crate::declare_rule;
use crate::finding::{Evidence, Level, Origin, Value};
use crate::rule::{Rule, Sink};
use crate::sql::{Clause, LiteralKind, Operand, Predicate};
use crate::subject::Subject;

/// Rows from which a table without a plan is worth a word.
const LARGE_ROWS: f64 = 10_000.0;
/// A pattern that keeps more than this share reads the table anyway.
const MOST_KEPT: f64 = 0.2;
/// A trigram index is dear to keep, so that little time is not worth one.
const LEAST_MS: f64 = 1.0;
/// The same where the plan was not timed.
const LEAST_COST: f64 = 150.0;
/// From here on the finding is more than a note.
const WARNING_MS: f64 = 10.0;
/// The same where the plan was not timed.
const WARNING_COST: f64 = 1_000.0;

declare_rule! {
    /// ## What it does
    ///
    /// Finds `LIKE '%word'` and `ILIKE` conditions on a table that is read as a
    /// whole for them. A trigram index on the column is recognised, and a
    /// table that is small, or most of whose rows match, is left alone. Where
    /// less than 10 milliseconds, or a cost of 1,000, could be saved, it is a
    /// note.
    ///
    /// ## Why it matters
    ///
    /// A B-tree is sorted by the beginning of the text. Without a fixed
    /// beginning every row must be compared, and `ILIKE` has none even where
    /// the pattern begins with letters.
    ///
    /// ## When it is wrong
    ///
    /// When the pattern has fewer than three characters in a row: a trigram
    /// index cannot help either. Where only the end is searched, an index on
    /// `reverse(column)` can be smaller; where words are searched, full-text
    /// search answers a better question.
    ///
    /// ## References
    ///
    /// - [pg_trgm](https://www.postgresql.org/docs/current/pgtrgm.html)
    /// - [Pattern matching](https://www.postgresql.org/docs/current/functions-matching.html)
    pub struct LeadingWildcard = {
        id: "leading-wildcard",
        summary: "a pattern without a fixed beginning is compared with every row",
        level: Warning,
        needs: [Sql],
        concerns: [SeqScan, IndexScan, BitmapHeapScan],
        since: "0.1.0",
    }
}

impl Rule for LeadingWildcard {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(query) = subject.query() else { return };
        for (_, predicate) in query.predicates() {
            if predicate.clause != Clause::Having {
                look(subject, predicate, sink);
            }
        }
    }
}

/// Why no B-tree can serve the pattern.
fn pattern(subject: &Subject<'_>, predicate: &Predicate) -> Option<&'static str> {
    let ignores_case = match predicate.operator.as_str() {
        "ilike" | "~~*" => true,
        "like" | "~~" => false,
        _ => return None,
    };
    let wildcard = match &predicate.right {
        Operand::Literal {
            value,
            kind: LiteralKind::String,
            ..
        } => value.starts_with(['%', '_']),
        Operand::Constant { span, .. } => {
            let text = subject.text(*span).trim_start_matches(['(', ' ']);
            text.starts_with("'%") || text.starts_with("'_")
        }
        _ => false,
    };
    if wildcard {
        Some("the pattern begins with a wildcard")
    } else if ignores_case && predicate.right.is_constant() {
        Some("ILIKE ignores case")
    } else {
        None
    }
}

fn look(subject: &Subject<'_>, predicate: &Predicate, sink: &mut Sink) {
    let Some(reason) = pattern(subject, predicate) else {
        return;
    };
    let Some(reference) = predicate.left.column() else {
        return;
    };
    let found = subject.column(reference);
    if found.is_some_and(|(relation, column)| has_trigrams(relation, &column.name)) {
        return;
    }
    let name = subject.text(reference.span);
    let message = format!("{reason}, so that no B-tree index on {name} can find the rows");
    let why = "the text of every row is compared with the pattern; the time grows with the table";
    let suggestion = suggest::trigrams(name);
    let pattern_text = predicate
        .right
        .span()
        .map_or("", |span| subject.text(span))
        .to_owned();
    if let Some(plan) = subject.plan {
        let Some((select, number)) = reference.relation else {
            return;
        };
        let scans = node::scans_of(subject, plan, select, number);
        let (Some((kept, read)), Some(metrics)) =
            (node::kept_share(subject, plan, &scans), subject.metrics)
        else {
            return;
        };
        let cost: f64 = scans.iter().map(|id| metrics.node(*id).self_share).sum();
        if kept > read * MOST_KEPT {
            return;
        }
        let Some(weight) = Weight::worth_telling(subject, cost * (1.0 - kept / read))
            .filter(|weight| weight.reaches(LEAST_MS, LEAST_COST))
        else {
            return;
        };
        let level = if weight.reaches(WARNING_MS, WARNING_COST) {
            weight.level()
        } else {
            Level::Note
        };
        let Some(scan) = scans.first() else { return };
        let from = node::rows_origin(plan, *scan);
        let draft = sink
            .report(
                message,
                why,
                Evidence::new("rows compared", Value::Rows(read), from.clone()),
            )
            .evidence(Evidence::new("rows kept", Value::Rows(kept), from))
            .evidence(weight.evidence())
            .node(*scan)
            .span(Some(predicate.span))
            .level(level)
            .share(weight.share())
            .suggest(suggestion);
        // Known from the plan where there is no catalogue.
        if let Some((schema, name)) = node::relation(subject, plan.node(*scan)) {
            draft.relation(schema, name);
        }
    } else if found
        .is_none_or(|(relation, _)| relation.tuples.is_none_or(|rows| rows >= LARGE_ROWS))
    {
        let draft = sink
            .report(
                message,
                why,
                Evidence::new(
                    "pattern",
                    Value::Text(pattern_text),
                    Origin::Sql(predicate.span),
                ),
            )
            .span(Some(predicate.span))
            .suggest(suggestion);
        match found {
            Some((relation, _)) => draft.relation(&relation.schema, &relation.name),
            None => draft.level(Level::Note),
        };
    }
}

/// An index of trigrams on the column, or on an expression of it.
fn has_trigrams(relation: &Relation, column: &str) -> bool {
    relation.indexes.iter().any(|index| {
        index.keys.iter().any(|key| {
            key.opclass.ends_with("trgm_ops")
                && (key.column.as_deref() == Some(column)
                    || (key.column.is_none() && key.text.contains(column)))
        })
    })
}
