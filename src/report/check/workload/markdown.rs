//! The section about queries as Markdown.

use std::io::{self, Write};

use super::{
    ORDER, at, heading, message, named, numbers, of_kind, read_besides, refused, sql, summary,
};
use crate::report::model::check_workload::CheckWorkload;

/// Writes the section as Markdown. `clean` makes a text from elsewhere plain
/// text of Markdown.
pub fn markdown(
    workload: &CheckWorkload,
    out: &mut dyn Write,
    detailed: bool,
    clean: &dyn Fn(&str) -> String,
) -> io::Result<()> {
    writeln!(out, "### Queries\n\n{}\n", clean(&summary(workload)))?;
    for assumption in &workload.assumptions {
        writeln!(out, "- assumed: {}", clean(assumption))?;
    }
    if let Some(besides) = read_besides(workload) {
        writeln!(out, "- {}", clean(&besides))?;
    }
    writeln!(
        out,
        "- planned by {}\n",
        clean(&workload.engine.description)
    )?;
    for outcome in ORDER {
        let (queries, more) = of_kind(workload, outcome, detailed);
        if queries.is_empty() {
            continue;
        }
        writeln!(out, "#### {}\n", heading(outcome))?;
        for query in queries {
            writeln!(out, "- `{}`", named(query).replace('`', "'"))?;
            let mut said = Vec::new();
            if let Some(message) = message(query) {
                said.push(clean(&message));
            }
            said.extend(
                query
                    .hint
                    .iter()
                    .map(|hint| format!("hint: {}", clean(hint))),
            );
            said.extend(query.result.iter().map(|result| clean(result)));
            said.extend(numbers(query).iter().map(|text| clean(text)));
            if !said.is_empty() {
                writeln!(out, "  {}  ", said.join(", "))?;
            }
            if let Some(cause) = &query.cause {
                writeln!(
                    out,
                    "  because of {} at `{}`: {}",
                    clean(&cause.statement),
                    at(cause.place.as_ref()).replace('`', "'"),
                    clean(&cause.what)
                )?;
            }
            let fence = fence(&query.sql);
            writeln!(out, "\n  {fence}sql\n  {}\n  {fence}", sql(query))?;
            if !query.plan.is_empty() {
                writeln!(out, "  {fence}diff")?;
                for line in &query.plan {
                    writeln!(out, "  {}{}", line.mark, line.text.replace('\n', " "))?;
                }
                writeln!(out, "  {fence}")?;
            }
        }
        if more > 0 {
            writeln!(out, "- and {more} more")?;
        }
        writeln!(out)?;
    }
    for (title, indexes) in [
        ("Dropped indexes", &workload.dropped_indexes),
        ("New indexes", &workload.new_indexes),
    ] {
        if indexes.is_empty() {
            continue;
        }
        writeln!(out, "#### {title}\n")?;
        for index in indexes {
            writeln!(
                out,
                "- {} on {}: {}",
                clean(&index.name),
                clean(&index.table),
                index.says
            )?;
        }
        writeln!(out)?;
    }
    let refused: Vec<_> = refused(workload).collect();
    if !refused.is_empty() {
        writeln!(out, "#### Statements that were not applied\n")?;
        for statement in refused {
            writeln!(
                out,
                "- `{}` {}: {}",
                at(statement.place.as_ref()).replace('`', "'"),
                clean(&statement.statement),
                clean(&statement.message)
            )?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// A fence that no run of backquotes in the text ends.
fn fence(text: &str) -> String {
    let mut longest = 0;
    let mut run = 0;
    for character in text.chars() {
        run = if character == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    "`".repeat(longest.max(2) + 1)
}
