//! Rows whose conversion to the client's format takes much of the time.

use serde_json::Value as Json;

use super::support::{show, suggest, weight::Weight};
use crate::declare_rule;
use crate::finding::{Evidence, Level, Origin, Value};
use crate::plan::PlanGraph;
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

/// A smaller share is what output costs.
const LEAST_SHARE: f64 = 0.1;

declare_rule! {
    /// ## What it does
    ///
    /// Finds statements whose result took at least a tenth of the time to be brought into
    /// the form in which it is sent: since version 17 EXPLAIN measures that
    /// with the option SERIALIZE, outside of the tree. All of it is taken as
    /// what could be saved, which is so for columns that nobody reads.
    ///
    /// ## Why it matters
    ///
    /// EXPLAIN without SERIALIZE leaves it out, and the statement is slower
    /// than its plan. Large values are fetched from their TOAST table and
    /// decompressed only then.
    ///
    /// ## When it is wrong
    ///
    /// When the client needs every column of every row.
    ///
    /// ## References
    ///
    /// - [EXPLAIN, SERIALIZE](https://www.postgresql.org/docs/current/sql-explain.html)
    /// - [TOAST](https://www.postgresql.org/docs/current/storage-toast.html)
    pub struct OutputTakesLong = {
        id: "output-takes-long",
        summary: "bringing the rows into the client's format takes much of the time",
        level: Note,
        needs: [Actuals],
        since: "0.1.0",
    }
}

impl Rule for OutputTakesLong {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(plan) = subject.plan else { return };
        let (Some(output), Some(whole)) = (
            plan.run.extra.get("Serialization"),
            suggest::execution_ms(subject, plan),
        ) else {
            return;
        };
        let Some(ms) = output.get("Time").and_then(Json::as_f64) else {
            return;
        };
        if ms < whole * LEAST_SHARE {
            return;
        }
        if let Some(weight) = Weight::of_ms(subject, ms, whole) {
            tell(plan, output, ms, weight, sink);
        }
    }
}

fn tell(plan: &PlanGraph, output: &Json, ms: f64, weight: Weight, sink: &mut Sink) {
    let number = |key: &str| output.get(key).and_then(Json::as_f64);
    let bytes = number("Output Volume").map(|kilobytes| kilobytes * 1024.0);
    let blocks =
        number("Shared Hit Blocks").unwrap_or(0.0) + number("Shared Read Blocks").unwrap_or(0.0);
    let toasted = blocks > 0.0;
    let rows = plan
        .node(plan.root)
        .actual
        .map(|actual| actual.rows_per_loop * actual.loops);
    let mut message = format!(
        "bringing the result into {} took {} of the time",
        match output.get("Format").and_then(Json::as_str) {
            Some("binary") => "binary form",
            _ => "text",
        },
        show::percent(weight.share())
    );
    if let Some(bytes) = bytes {
        message.push_str(&format!(", for {}", show::bytes(bytes)));
    }
    let mut draft = sink
        .report(
            message,
            if toasted {
                "large values were fetched from their TOAST table and decompressed for it"
            } else {
                "each value of each row is converted before it is sent"
            },
            Evidence::new("time of the output", Value::Ms(ms), Origin::Plan(plan.root)),
        )
        .node(plan.root)
        .level(weight.level().min(Level::Warning))
        .share(weight.share());
    if let Some(bytes) = bytes {
        draft = draft.evidence(Evidence::new(
            "bytes sent",
            Value::Bytes(bytes),
            Origin::Plan(plan.root),
        ));
    }
    if let Some(rows) = rows {
        draft = draft.evidence(Evidence::new(
            "rows sent",
            Value::Rows(rows),
            Origin::Plan(plan.root),
        ));
    }
    if toasted {
        draft = draft.evidence(Evidence::new(
            "blocks touched for it",
            Value::Blocks(blocks),
            Origin::Plan(plan.root),
        ));
    }
    draft
        .evidence(weight.evidence())
        .suggest(suggest::judgement(
            "select only the columns and rows that are read",
            if toasted {
                "leave out of the select list the large columns that the client does not read, or \
                 fetch them for single rows when needed"
            } else {
                "name the columns that the client reads in place of *, page through the result, or \
                 let the driver use the binary format for numbers and timestamps"
            },
        ));
}
