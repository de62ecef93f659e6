//! What the formats for people show of logs: words and the cells of a table, no
//! layout.

use super::format::{self, plural};
use super::model::{Log, LogGroup, LogPart};

/// What was read, and what could not be.
pub(super) fn sentences(log: &Log) -> Vec<String> {
    let totals = &log.totals;
    let files = match log.files.as_slice() {
        [one] => one.name.clone(),
        many => plural(many.len(), "log", "logs"),
    };
    let mut first = format!(
        "{files}, {}: {}",
        format::bytes(totals.bytes as f64),
        number(
            totals.records,
            "auto_explain record",
            "auto_explain records"
        ),
    );
    if totals.records > 0 {
        first.push_str(&format!(
            " of {}, {} in all",
            number(totals.groups, "query", "queries"),
            format::ms(totals.total_ms)
        ));
    }
    if let (Some(from), Some(to)) = (&totals.first_seen, &totals.last_seen) {
        first.push_str(&format!(", from {from} to {to}"));
    }
    let mut said = vec![first];
    let mut shares = 0.0;
    for group in &log.groups {
        shares += group.share;
    }
    if (log.groups.len() as u64) < totals.groups {
        said.push(format!(
            "shown are the {} that took most time, {} of all (--top shows more)",
            plural(log.groups.len(), "query", "queries"),
            format::share(shares)
        ));
    }
    let mut left: Vec<String> = Vec::new();
    if totals.durations_without_plan > 0 {
        left.push(format!(
            "{} with a duration and no plan",
            number(totals.durations_without_plan, "message", "messages")
        ));
    }
    if totals.cut_off > 0 {
        left.push(format!(
            "{} without the end of the plan, counted with the duration",
            number(totals.cut_off, "record", "records")
        ));
    }
    if totals.damaged > 0 {
        left.push(format!(
            "{} without a beginning or damaged, left out",
            number(totals.damaged, "piece", "pieces")
        ));
    }
    if totals.oversized > 0 {
        left.push(format!(
            "{} too large to be held, left out",
            number(totals.oversized, "message", "messages")
        ));
    }
    if !left.is_empty() {
        said.push(format!("besides: {}", left.join("; ")));
    }
    if totals.evicted_groups > 0 {
        said.push(format!(
            "there were too many different queries to tell all apart: {} with {}, {} together, {} forgotten, each of which had taken less time than those kept",
            number(totals.evicted_groups, "query", "queries"),
            number(totals.evicted_records, "record", "records"),
            format::ms(totals.evicted_ms),
            if totals.evicted_groups == 1 { "is" } else { "are" },
        ));
    }
    said
}

fn number(count: u64, one: &str, many: &str) -> String {
    plural(usize::try_from(count).unwrap_or(usize::MAX), one, many)
}

/// The heading of the table.
pub(super) const HEADER: [&str; 9] = [
    "#", "time", "share", "calls", "mean", "p95", "max", "plans", "query",
];
/// Its columns with numbers.
pub(super) const NUMBERS: [usize; 8] = [0, 1, 2, 3, 4, 5, 6, 7];

/// The row of a query, without the query.
pub(super) fn cells(position: usize, group: &LogGroup) -> Vec<String> {
    vec![
        (position + 1).to_string(),
        format::ms(group.total_ms),
        format::share(group.share),
        format::count(group.calls as f64),
        format::ms(group.mean_ms),
        format::ms(group.p95_ms),
        format::ms(group.max_ms),
        plans(group),
    ]
}

/// How many different plans.
fn plans(group: &LogGroup) -> String {
    let more = if group.more_shapes { "+" } else { "" };
    format!("{}{more}", group.shapes.len())
}

/// What else is known of the queries with several plans, or of several users:
/// a line each, with the query's position.
pub(super) fn notes(log: &Log) -> Vec<String> {
    let mut notes = Vec::new();
    for (at, group) in log.groups.iter().enumerate() {
        if group.shapes.len() > 1 {
            let shapes: Vec<String> = group
                .shapes
                .iter()
                .take(4)
                .map(|shape| {
                    format!(
                        "{} with {} on average, at most {}{}",
                        number(shape.calls, "call", "calls"),
                        format::ms(shape.total_ms / (shape.calls.max(1) as f64)),
                        format::ms(shape.max_ms),
                        if shape.shown { " (shown)" } else { "" }
                    )
                })
                .collect();
            let more = if group.shapes.len() > 4 { "; …" } else { "" };
            notes.push(format!(
                "{}: {} plan shapes: {}{more}",
                at + 1,
                plans(group),
                shapes.join("; ")
            ));
        }
        for (what, parts) in [
            ("databases", &group.databases),
            ("users", &group.users),
            ("applications", &group.applications),
        ] {
            if parts.len() > 1 {
                notes.push(format!(
                    "{}: {what}: {}",
                    at + 1,
                    names(parts, group.total_ms)
                ));
            }
        }
    }
    notes
}

fn names(parts: &[LogPart], total: f64) -> String {
    let mut named: Vec<String> = parts
        .iter()
        .take(4)
        .map(|part| {
            format!(
                "{} {}",
                part.name,
                format::share(if total > 0.0 {
                    part.total_ms / total
                } else {
                    0.0
                })
            )
        })
        .collect();
    if parts.len() > 4 {
        named.push(format!("{} more", parts.len() - 4));
    }
    named.join(", ")
}

/// Where the plan of a query stands in the log.
pub(super) fn shown(position: usize, group: &LogGroup) -> Option<String> {
    let at = group.shown_at.as_ref()?;
    let ms = group.shown_ms?;
    Some(format!("{}: {at}, {}", position + 1, format::ms(ms)))
}
