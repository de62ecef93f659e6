//! The page of a whole report.

use std::io::{self, Write};

use askama::Template;

use super::page::{Html, page};
use super::{sql, statement};
use crate::report::model::{Level, Report, WhatIf};
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
        index: if many {
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
