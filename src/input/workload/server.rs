//! Statements in the logs of PostgreSQL: `log_statement`,
//! `log_min_duration_statement` and `auto_explain`, on stderr, as CSV and as
//! JSON.

use super::log::{Form, Head};
use super::places;
use super::values::{self, Values};
use crate::plan::log::is_time;
use crate::source::Anchor;

/// The severity before a statement.
const SEVERITY: &str = "LOG:  ";
/// Column of the message in a csvlog.
const CSV_MESSAGE: usize = 13;
/// Column of its detail.
const CSV_DETAIL: usize = 14;
/// Columns of a csvlog in its oldest supported version.
const CSV_COLUMNS: usize = 23;

/// The statement of a line.
pub(super) fn head(line: &str) -> Option<Head> {
    let at = line.find(SEVERITY)?;
    let message = line.get(at + SEVERITY.len()..)?;
    // With `log_error_verbosity = verbose` the SQLSTATE stands first.
    let skipped = match message.get(..7) {
        Some("00000: ") => 7,
        _ => 0,
    };
    let message = message.get(skipped..)?;
    let (start, form, ms) = statement(message)?;
    Some(Head {
        start: at + SEVERITY.len() + skipped + start,
        form,
        ms,
    })
}

/// Where the statement of a message begins: `statement: …`, `execute name: …`,
/// each also behind `duration: 1.2 ms  `, or a plan with its query.
pub(super) fn statement(message: &str) -> Option<(usize, Form, Option<f64>)> {
    let mut start = 0;
    let mut ms = None;
    let mut rest = message;
    if let Some(after) = rest.strip_prefix("duration: ") {
        let (number, behind) = after.split_once(" ms  ")?;
        ms = Some(number.parse::<f64>().ok()?);
        start = message.len() - behind.len();
        rest = behind;
    }
    if let Some(after) = rest.strip_prefix("statement: ") {
        return Some((message.len() - after.len(), Form::Server, ms));
    }
    if rest.starts_with("plan:") && ms.is_some() {
        return Some((start + "plan:".len(), Form::Plan, ms));
    }
    // `parse` and `bind` of the same statement are the same call.
    if let Some(after) = rest.strip_prefix("execute ") {
        let (_, sql) = after.split_once(": ")?;
        return Some((message.len() - sql.len(), Form::Server, ms));
    }
    None
}

/// The values of a call in the detail of a message.
pub(super) fn parameters(detail: &str) -> Option<Values> {
    let detail = detail.trim();
    let rest = ["parameters: ", "Parameters: "]
        .iter()
        .find_map(|mark| detail.strip_prefix(mark))?;
    values::of_server(rest)
}

/// The values of a call on a line of their own, or within an `auto_explain`
/// record.
pub(super) fn parameters_of_line(line: &str) -> Option<Values> {
    if let Some((_, detail)) = line.split_once("DETAIL:  ") {
        return parameters(detail);
    }
    let (_, rest) = line.split_once("Query Parameters: ")?;
    values::of_server(rest.trim())
}

/// The query of an `auto_explain` record, behind its first line.
pub(super) fn query_text(body: &str) -> String {
    let mut query = String::new();
    let mut within = false;
    for line in body.lines() {
        if let Some(text) = line.trim_start().strip_prefix("Query Text: ") {
            within = true;
            query.push_str(text);
        } else if let Some(text) = line.trim_start().strip_prefix("\"Query Text\": ") {
            let text = text.trim_end().trim_end_matches(',');
            return serde_json::from_str(text).unwrap_or_default();
        } else if within {
            // The plan begins with its first node.
            if line.contains("(cost=") || line.starts_with("Query Parameters: ") {
                break;
            }
            query.push('\n');
            query.push_str(line);
        }
    }
    query
}

/// Whether a text is a csvlog.
pub(super) fn is_csvlog(text: &str) -> bool {
    let Some(line) = text.lines().find(|line| !line.trim().is_empty()) else {
        return false;
    };
    is_time(line.as_bytes())
        && line.matches(',').count() + 1 >= CSV_MESSAGE
        && csvlog_messages(text).next().is_some()
}

/// A message of a log that has them whole.
pub(super) struct Message {
    pub(super) text: String,
    pub(super) detail: Option<String>,
    pub(super) anchors: Vec<Anchor>,
}

/// The messages of a csvlog.
pub(super) fn csvlog_messages(text: &str) -> impl Iterator<Item = Message> + '_ {
    csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes())
        .into_records()
        .filter_map(move |record| {
            let record = record.ok()?;
            if record.len() < CSV_COLUMNS {
                return None;
            }
            let message = record.get(CSV_MESSAGE)?;
            let at = record.position()?;
            let anchors = if statement(message).is_some() {
                let from = usize::try_from(at.byte()).ok()?;
                let line = usize::try_from(at.line()).ok()?;
                places::of_csv(text, from, line, b',', CSV_MESSAGE)
            } else {
                Vec::new()
            };
            Some(Message {
                text: message.to_owned(),
                detail: record
                    .get(CSV_DETAIL)
                    .filter(|detail| !detail.is_empty())
                    .map(str::to_owned),
                anchors,
            })
        })
}
