//! The report as Markdown for a pull request: a summary table, then each
//! finding, the plan folded away. Everything that comes from outside is
//! escaped; GitHub reads HTML in Markdown.

use std::io::{self, Write};

use super::format;
use super::model::{
    Applicability, Evidence, Finding, Level, Parameters, Place, Problem, Report, Severity,
    Statement, StatementWhatIf, Suggestion, VerdictStatus, WhatIf,
};
use super::parameters;
use super::passed;
use super::prose;
use super::render::Options;
use super::resources;
use super::summary;
use super::tree;
use super::verdict;
use super::what_if;

/// Columns of the folded plan.
const PLAN_WIDTH: usize = 120;

/// Writes the report as Markdown.
pub fn render(report: &Report, out: &mut dyn Write, options: &Options) -> io::Result<()> {
    writeln!(out, "## pgadvise\n")?;
    writeln!(out, "{}\n", escape(&summary::totals(report)))?;
    if report
        .statements
        .iter()
        .any(|statement| !statement.findings.is_empty())
    {
        writeln!(out, "| Level | Finding | Where | Do | Tested |")?;
        writeln!(out, "|---|---|---|---|---|")?;
        for statement in &report.statements {
            for finding in &statement.findings {
                row(finding, out)?;
            }
        }
        writeln!(out)?;
    }
    for item in &report.problems {
        problem(item, out)?;
    }
    if let Some(found) = &report.what_if {
        change(found, out)?;
    }
    for statement in &report.statements {
        section(statement, options, out)?;
    }
    Ok(())
}

/// The change that was supposed, and what became of each of its statements.
fn change(found: &WhatIf, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "### What if\n")?;
    if let Some((_, said)) = what_if::total(found) {
        writeln!(out, "{}\n", escape(&said))?;
    }
    let statements = found.compared + found.broken;
    for change in &found.changes {
        fence("sql", &change.sql, out)?;
        for said in what_if::outcome(change, statements) {
            writeln!(out, "- {}", escape(&said))?;
        }
        writeln!(out)?;
    }
    for writes in &found.writes {
        writeln!(out, "- writes: {}", escape(&what_if::writes(writes)))?;
    }
    writeln!(
        out,
        "\n<sub>tried on: {}</sub>\n",
        escape(&found.engine.description)
    )
}

/// A statement's plan with the change against that without.
fn with_change(found: &StatementWhatIf, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    for (at, said) in what_if::sentences(found).1.iter().enumerate() {
        if at == 0 {
            writeln!(out, "**What if:** {}\n", escape(said))?;
        } else {
            writeln!(out, "- {}", escape(said))?;
        }
    }
    writeln!(out)?;
    let rows = what_if::rows(found, PLAN_WIDTH, options.detailed);
    if !rows.is_empty() && !options.brief {
        writeln!(out, "<details><summary>Plan before and after</summary>\n")?;
        let lines: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
        fence("diff", &lines.join("\n"), out)?;
        writeln!(out, "</details>\n")?;
    }
    Ok(())
}

fn parameters(found: &Parameters, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}\n", escape(&parameters::summary(found)))?;
    let Some(table) = parameters::table(found, options.detailed) else {
        return Ok(());
    };
    let line = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| escape(cell)).collect();
        format!("| {} |", cells.join(" | "))
    };
    writeln!(out, "{}", line(&table.header))?;
    writeln!(out, "|{}", "---|".repeat(table.header.len()))?;
    for row in &table.rows {
        writeln!(out, "{}", line(row))?;
    }
    writeln!(out)?;
    for text in &table.legend {
        writeln!(out, "- {}", escape(text))?;
    }
    writeln!(out)
}

fn row(finding: &Finding, out: &mut dyn Write) -> io::Result<()> {
    let first = finding.suggestions.first();
    let tested = first.map_or_else(String::new, |suggestion| {
        let verdict = &suggestion.verdict;
        match (verdict.status, verdict.before_cost, verdict.after_cost) {
            (VerdictStatus::Untested, _, _) => "not tested".to_owned(),
            (VerdictStatus::BetterEstimate, _, _) => "the estimate comes right".to_owned(),
            (_, Some(before), Some(after)) => {
                format!("cost {} → {}", format::cost(before), format::cost(after))
            }
            _ => String::new(),
        }
    });
    writeln!(
        out,
        "| {} | {} | {} | {} | {} |",
        level(finding.level),
        escape(&finding.message),
        escape(&at(finding.place.as_ref(), finding)),
        escape(first.map_or("", |suggestion| suggestion.title.as_str())),
        escape(&tested)
    )
}

fn at(place: Option<&Place>, finding: &Finding) -> String {
    match place {
        Some(place) => format!("{}:{}", place.file, place.line),
        None => summary::place(finding),
    }
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Critical => "🔴 critical",
        Level::Warning => "🟠 warning",
        Level::Note => "🔵 note",
    }
}

fn section(statement: &Statement, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let title = statement
        .place
        .as_ref()
        .map_or_else(|| "Plan".to_owned(), Place::text);
    writeln!(out, "### {}\n", escape(&title))?;
    if let Some(sql) = &statement.sql {
        fence("sql", sql, out)?;
    }
    if let Some(found) = &statement.what_if {
        with_change(found, options, out)?;
    }
    for item in &statement.problems {
        problem(item, out)?;
    }
    if statement.findings.is_empty() && !statement.failed && summary::was_checked(statement) {
        writeln!(out, "{}\n", escape(&summary::nothing_found(statement)))?;
    }
    for found in &statement.findings {
        finding(found, out)?;
    }
    if let Some(found) = &statement.parameters
        && !options.brief
    {
        parameters(found, options, out)?;
    }
    if let Some(found) = &statement.resources
        && !options.brief
    {
        resources::markdown(found, options, out)?;
    }
    if let Some(plan) = &statement.plan
        && !options.brief
    {
        writeln!(
            out,
            "<details><summary>Plan: {}</summary>\n",
            escape(&summary::plan(statement, plan))
        )?;
        let lines = tree::lines(
            plan,
            &Options {
                color: false,
                width: PLAN_WIDTH,
                ..*options
            },
        );
        fence("text", &lines.join("\n"), out)?;
        writeln!(out, "</details>\n")?;
    }
    for silenced in &statement.suppressed {
        let reason = silenced.reason.as_deref().unwrap_or("no reason is given");
        writeln!(
            out,
            "Silenced: {} ({}): {}\n",
            escape(&silenced.finding.message),
            escape(&silenced.finding.rule),
            escape(reason)
        )?;
    }
    for (node, reasons) in passed::by_node(statement) {
        writeln!(out, "Not flagged: {}\n", escape(&node))?;
        for (rule, reason) in reasons {
            writeln!(out, "- {}: {}", escape(rule), escape(reason))?;
        }
        writeln!(out)?;
    }
    if !options.brief {
        for line in summary::checked(statement, options.detailed) {
            writeln!(out, "<sub>{}</sub><br>", escape(&line))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn finding(finding: &Finding, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "#### {}: {}\n",
        level(finding.level),
        escape(&finding.message)
    )?;
    let saves = summary::saves(finding)
        .map(|saves| format!(" · saves {saves}"))
        .unwrap_or_default();
    writeln!(
        out,
        "{} · rule {}{}\n",
        escape(&summary::place(finding)),
        escape(&finding.rule),
        escape(&saves)
    )?;
    if !finding.why.is_empty() {
        writeln!(out, "{}\n", escape(&finding.why))?;
    }
    evidence_table(&finding.evidence, out)?;
    for item in &finding.suggestions {
        suggestion(item, out)?;
    }
    Ok(())
}

/// What supports a finding or a cause, as a table.
pub(super) fn evidence_table(evidence: &[Evidence], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "| Evidence | | From |")?;
    writeln!(out, "|---|---|---|")?;
    for evidence in evidence {
        writeln!(
            out,
            "| {} | {} | {} |",
            escape(&evidence.label),
            escape(&evidence.text),
            escape(&summary::origin(&evidence.from))
        )?;
    }
    writeln!(out)
}

pub(super) fn suggestion(suggestion: &Suggestion, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "**Do:** {}\n", escape(&suggestion.title))?;
    if let Some(advice) = &suggestion.advice
        && *advice != suggestion.title
    {
        writeln!(out, "{}\n", escape(advice))?;
    }
    if let Some(sql) = &suggestion.sql {
        fence("sql", sql, out)?;
    }
    if let Some(diff) = &suggestion.diff {
        fence("diff", diff, out)?;
    } else if let Some(sql) = &suggestion.rewritten_sql {
        fence("sql", sql, out)?;
    }
    for effect in &suggestion.side_effects {
        writeln!(out, "- {}", escape(&summary::side_effect(effect)))?;
    }
    if suggestion.applicability == Applicability::MayChangeResults {
        writeln!(out, "- the query may answer differently")?;
    }
    for condition in &suggestion.preconditions {
        writeln!(
            out,
            "- same results because {}: {}",
            escape(&condition.claim),
            escape(&condition.proof)
        )?;
    }
    for sentence in verdict::sentences(&suggestion.verdict).1 {
        writeln!(out, "- {}", escape(&sentence))?;
    }
    writeln!(out)
}

pub(super) fn problem(problem: &Problem, out: &mut dyn Write) -> io::Result<()> {
    let place = problem
        .place
        .as_ref()
        .map_or_else(String::new, |place| format!("{}: ", place.text()));
    writeln!(
        out,
        "> **{}:** {}{}",
        match problem.severity {
            Severity::Error => "Error",
            Severity::Warning => "Warning",
        },
        escape(&place),
        escape(&problem.message)
    )?;
    for cause in &problem.causes {
        writeln!(out, "> caused by: {}", escape(cause))?;
    }
    for hint in &problem.hints {
        writeln!(out, "> hint: {}", escape(hint))?;
    }
    writeln!(out)
}

/// A block whose fence is longer than any in the text, so that the text cannot
/// end it.
pub(super) fn fence(language: &str, text: &str, out: &mut dyn Write) -> io::Result<()> {
    let mut longest = 0;
    let mut run = 0;
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat((longest + 1).max(3));
    let text = prose::visible(text);
    writeln!(out, "{fence}{language}\n{}\n{fence}\n", text.trim_end())
}

/// The text on one line, with everything that Markdown or HTML would read as
/// markup taken literally.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in prose::visible(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '@' => escaped.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '|' | '~' | '#' | '!' => {
                escaped.push('\\');
                escaped.push(c);
            }
            '\n' | '\t' => escaped.push(' '),
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_name_is_read_as_markup() {
        assert_eq!(
            escape("a|b `c` <img src=x> _d_ @team\nnext"),
            "a\\|b \\`c\\` &lt;img src=x&gt; \\_d\\_ &#64;team next"
        );
    }

    #[test]
    fn a_fence_outlasts_the_text_in_it() {
        let mut out = Vec::new();
        fence("sql", "select '````'", &mut out).expect("a vector takes everything");
        let text = String::from_utf8(out).expect("UTF-8");
        assert!(text.starts_with("`````sql\n"), "{text}");
        assert!(text.ends_with("\n`````\n\n"), "{text}");
    }
}
