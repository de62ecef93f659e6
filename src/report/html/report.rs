//! The page of a whole report.

use std::io::{self, Write};

use askama::Template;

use super::page::{Html, page};
use super::{sql, statement};
use crate::report::format::{self, plural};
use crate::report::model::{Level, Log, LogGroup, LogPart, Report, WhatIf};
use crate::report::render::Options;
use crate::report::{prose, summary, what_if};

/// Columns of a statement's text in the list of statements.
const ONE_LINE: usize = 140;
/// Statements that are open when the page is.
const OPEN: usize = 1;

#[derive(Template)]
#[template(path = "report.html")]
struct ReportPage<'a> {
    title: &'a str,
    said: String,
    problems: Vec<statement::ProblemPage<'a>>,
    what_if: Option<WhatIfPage>,
    log: Option<LogPage>,
    index: Vec<Entry>,
    statements: Vec<Html>,
    version: &'a str,
}

/// A line of the list of statements.
struct Entry {
    number: usize,
    prefix: String,
    text: String,
    title: String,
    price: String,
    counts: Vec<(Level, usize)>,
    failed: bool,
}

struct WhatIfPage {
    total: Option<String>,
    changes: Vec<(Html, Vec<String>)>,
    writes: Vec<String>,
    engine: String,
}

/// Writes the report as a page.
pub fn render(report: &Report, out: &mut dyn Write, _options: &Options) -> io::Result<()> {
    out.write_all(html(report).as_bytes())
}

/// The report as a page.
pub fn html(report: &Report) -> String {
    let many = report.statements.len() > 1;
    let title = match report.statements.as_slice() {
        [only] => format!("{}: pgadvise", prose::one_line(&statement::title(only), 80)),
        all => format!("{} statements: pgadvise", all.len()),
    };
    let prefixes: Vec<String> = (1..=report.statements.len())
        .map(|number| format!("s{number}"))
        .collect();
    let numbered = || {
        report
            .statements
            .iter()
            .zip(&prefixes)
            .zip(1..)
            .map(|((statement, prefix), number)| (statement, prefix, number))
    };
    let body = ReportPage {
        title: &title,
        said: summary::totals(report),
        problems: statement::problems(&report.problems),
        what_if: report.what_if.as_ref().map(change),
        log: report.log.as_ref().map(log),
        index: if many && report.log.is_none() {
            numbered()
                .map(|(one, prefix, number)| {
                    let title = statement::title(one);
                    let text = statement::text_of(one)
                        .map(|text| prose::one_line(text, ONE_LINE))
                        .filter(|text| !text.is_empty());
                    Entry {
                        number,
                        prefix: prefix.clone(),
                        title: if text.is_some() {
                            prose::cut(&title, ONE_LINE)
                        } else {
                            String::new()
                        },
                        text: text.unwrap_or_else(|| prose::cut(&title, ONE_LINE)),
                        price: statement::price(one),
                        counts: statement::counts(one),
                        failed: one.failed,
                    }
                })
                .collect()
        } else {
            Vec::new()
        },
        statements: numbered()
            .map(|(one, prefix, number)| statement::draw(one, number, prefix, many, number <= OPEN))
            .collect(),
        version: &report.tool.version,
    };
    // Writing to a string cannot fail.
    let body = Html::trusted(body.render().unwrap_or_default());
    page(&title, &body)
}

/// The logs that were read.
struct LogPage {
    lines: Vec<String>,
    groups: Vec<GroupEntry>,
}

/// A query of the logs.
struct GroupEntry {
    number: usize,
    link: Option<String>,
    query: String,
    about: String,
    calls: String,
    total: String,
    share: String,
    bar: String,
    mean: String,
    p95: String,
    max: String,
}

fn log(found: &Log) -> LogPage {
    let totals = &found.totals;
    let mut lines = vec![format!(
        "{} of {}, {} in all, in {}",
        plural(as_count(totals.records), "record", "records"),
        plural(as_count(totals.groups), "query", "queries"),
        format::ms(totals.total_ms),
        plural(found.files.len(), "file", "files"),
    )];
    if let (Some(first), Some(last)) = (&totals.first_seen, &totals.last_seen) {
        lines.push(format!("from {first} to {last}"));
    }
    for (number, what) in [
        (totals.cut_off, "records end before their plan does"),
        (totals.damaged, "pieces of records could not be read"),
        (totals.oversized, "records were too large to be kept"),
        (
            totals.durations_without_plan,
            "messages have a duration and no plan",
        ),
    ] {
        if number > 0 {
            lines.push(format!("{} {what}", format::count(number as f64)));
        }
    }
    if totals.evicted_groups > 0 {
        lines.push(format!(
            "{} that took little were not kept ({} in all)",
            plural(as_count(totals.evicted_groups), "query", "queries"),
            format::ms(totals.evicted_ms)
        ));
    }
    LogPage {
        lines,
        groups: found
            .groups
            .iter()
            .zip(1..)
            .map(|(group, number)| entry(group, number))
            .collect(),
    }
}

fn entry(group: &LogGroup, number: usize) -> GroupEntry {
    let mut about = Vec::new();
    for (what, parts) in [
        ("database", &group.databases),
        ("user", &group.users),
        ("application", &group.applications),
    ] {
        if let Some(names) = names(parts) {
            about.push(format!("{what} {names}"));
        }
    }
    if group.shapes.len() > 1 || group.more_shapes {
        let more = if group.more_shapes { " or more" } else { "" };
        about.push(format!("{}{more} plans", group.shapes.len()));
    }
    GroupEntry {
        number,
        link: group.statement.map(|at| format!("s{}", at + 1)),
        query: prose::one_line(&group.query, 2 * ONE_LINE),
        about: about.join(" · "),
        calls: format::count(group.calls as f64),
        total: format::ms(group.total_ms),
        share: format::share(group.share),
        bar: format!("{:.1}%", group.share.clamp(0.0, 1.0) * 100.0),
        mean: format::ms(group.mean_ms),
        p95: format::ms(group.p95_ms),
        max: format::ms(group.max_ms),
    }
}

/// The first names, and how many more there are.
fn names(parts: &[LogPart]) -> Option<String> {
    let first = parts.first()?;
    let name = prose::cut(&first.name, 60);
    Some(match parts.len() {
        1 => name,
        more => format!("{name} and {} more", more - 1),
    })
}

fn as_count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn change(found: &WhatIf) -> WhatIfPage {
    let statements = found.compared + found.broken;
    WhatIfPage {
        total: what_if::total(found).map(|(_, said)| said),
        changes: found
            .changes
            .iter()
            .map(|change| {
                (
                    sql::plain(&change.sql),
                    what_if::outcome(change, statements),
                )
            })
            .collect(),
        writes: found.writes.iter().map(what_if::writes).collect(),
        engine: found.engine.description.clone(),
    }
}
