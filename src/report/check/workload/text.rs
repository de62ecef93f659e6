//! The section about queries for a terminal: what one statement of the change
//! does to several queries stands together.

use std::io::{self, Write};

use super::{ORDER, at, heading, message, named, numbers, of_kind, read_besides, sql, summary};
use crate::report::model::check_workload::{
    CheckWorkload, CheckWorkloadCause, CheckWorkloadOutcome, CheckWorkloadQuery,
    CheckWorkloadStatement,
};
use crate::report::prose::wrap;

/// Columns that prose fills at most.
const PROSE: usize = 96;
/// Queries of one cause whose plans are shown.
const MOST_PLANS: usize = 3;

/// Writes the section. `clean` makes a text from elsewhere fit to be printed.
pub fn text(
    workload: &CheckWorkload,
    out: &mut dyn Write,
    detailed: bool,
    clean: &dyn Fn(&str) -> String,
) -> io::Result<()> {
    let mut page = Page {
        out,
        detailed,
        clean,
    };
    page.put(0, &summary(workload))?;
    if let Some(besides) = read_besides(workload) {
        page.put(2, &besides)?;
    }
    page.put(2, &format!("planned by {}", workload.engine.description))?;
    for assumption in &workload.assumptions {
        page.put(2, &format!("assumed: {assumption}"))?;
    }
    for note in workload.engine.notes.iter().filter(|_| detailed) {
        page.put(2, &format!("note: {note}"))?;
    }
    for outcome in ORDER {
        let (queries, more) = of_kind(workload, outcome, detailed);
        if queries.is_empty() {
            continue;
        }
        writeln!(page.out, "\n{}", heading(outcome))?;
        for (cause, queries) in by_cause(&queries) {
            page.cause(outcome, cause)?;
            for (number, query) in queries.into_iter().enumerate() {
                page.query(query, detailed || number < MOST_PLANS)?;
            }
        }
        if more > 0 {
            writeln!(page.out, "  and {more} more (--verbose lists them)")?;
        }
    }
    for (title, indexes) in [
        ("Dropped indexes", &workload.dropped_indexes),
        ("New indexes", &workload.new_indexes),
    ] {
        if indexes.is_empty() {
            continue;
        }
        writeln!(page.out, "\n{title}")?;
        for index in indexes {
            page.put(
                2,
                &format!(
                    "{}: {} on {}: {}",
                    at(index.place.as_ref()),
                    index.name,
                    index.table,
                    index.says
                ),
            )?;
        }
    }
    let shown: Vec<_> = workload
        .not_applied
        .iter()
        .filter(|statement| detailed || statement.status == "refused")
        .collect();
    if !shown.is_empty() {
        writeln!(page.out, "\nStatements that were not applied")?;
    }
    for statement in shown {
        page.not_applied(statement)?;
    }
    Ok(())
}

/// Queries by the statement that is the cause, in the order of the first of
/// each.
fn by_cause<'a>(
    queries: &[&'a CheckWorkloadQuery],
) -> Vec<(Option<&'a CheckWorkloadCause>, Vec<&'a CheckWorkloadQuery>)> {
    let key = |cause: Option<&'a CheckWorkloadCause>| {
        cause.map(|cause| (cause.place.as_ref(), &cause.index))
    };
    let mut groups: Vec<(Option<&CheckWorkloadCause>, Vec<&CheckWorkloadQuery>)> = Vec::new();
    for query in queries {
        let cause = query.cause.as_ref();
        match groups
            .iter_mut()
            .find(|(other, _)| key(*other) == key(cause))
        {
            Some((_, group)) => group.push(query),
            None => groups.push((cause, vec![query])),
        }
    }
    groups
}

struct Page<'a> {
    out: &'a mut dyn Write,
    detailed: bool,
    clean: &'a dyn Fn(&str) -> String,
}

impl Page<'_> {
    /// A paragraph, indented; lines behind the first by two more.
    fn put(&mut self, indent: usize, text: &str) -> io::Result<()> {
        let text = (self.clean)(text);
        let lines = wrap(&text, PROSE.saturating_sub(indent + 2));
        for (at, line) in lines.iter().enumerate() {
            let more = if at == 0 { 0 } else { 2 };
            writeln!(self.out, "{}{line}", " ".repeat(indent + more))?;
        }
        Ok(())
    }

    fn cause(
        &mut self,
        outcome: CheckWorkloadOutcome,
        cause: Option<&CheckWorkloadCause>,
    ) -> io::Result<()> {
        let Some(cause) = cause else {
            return match outcome {
                CheckWorkloadOutcome::Mended
                | CheckWorkloadOutcome::NotPlanned
                | CheckWorkloadOutcome::OtherPlan => Ok(()),
                _ => self.put(
                    2,
                    "no single statement of the change was found to be the cause:",
                ),
            };
        };
        let statement = format!("{} at {}", cause.statement, at(cause.place.as_ref()));
        match &cause.index {
            Some(index) if outcome == CheckWorkloadOutcome::Faster => self.put(
                2,
                &format!("because {statement} makes {index}, which the plans use:"),
            ),
            Some(index) => self.put(
                2,
                &format!("because {statement} drops {index}, which the plans used:"),
            ),
            None => self.put(2, &format!("because of {statement}:")),
        }
    }

    fn query(&mut self, query: &CheckWorkloadQuery, with_plan: bool) -> io::Result<()> {
        self.put(4, &format!("{}: {}", named(query), sql(query)))?;
        let mut said: Vec<String> = message(query).into_iter().collect();
        said.extend(query.hint.iter().map(|hint| format!("hint: {hint}")));
        said.extend(query.result.iter().cloned());
        for text in said {
            self.put(6, &text)?;
        }
        let numbers = numbers(query);
        if !numbers.is_empty() {
            self.put(6, &numbers.join(", "))?;
        }
        let lines = query.plan.iter().filter(|_| with_plan);
        for line in lines {
            let text = format!("{} {}", line.mark, (self.clean)(&line.text));
            let text = if self.detailed {
                text
            } else {
                clipped(&text, PROSE - 6)
            };
            writeln!(self.out, "      {}", text.trim_end())?;
        }
        Ok(())
    }

    fn not_applied(&mut self, statement: &CheckWorkloadStatement) -> io::Result<()> {
        self.put(
            2,
            &format!(
                "{}: {}: {}",
                at(statement.place.as_ref()),
                statement.statement,
                statement.message
            ),
        )
    }
}

/// The beginning of a line.
fn clipped(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let cut: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{cut}…")
}
