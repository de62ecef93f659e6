//! The report as Markdown for a pull request: a summary table, then each
//! finding, the plan folded away. Everything that comes from outside is
//! escaped; GitHub reads HTML in Markdown.

use std::io::{self, Write};

use super::fit::{Part, fit};
use super::format;
use super::html::text::shorten;
use super::log;
use super::model::{
    Applicability, Evidence, Finding, Level, Log, Parameters, Place, Plan, Problem, Report,
    Severity, Statement, StatementWhatIf, Suggestion, VerdictStatus, WhatIf,
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

/// Bytes of a statement's text from which it is shortened when room is short.
const LONG_SQL: usize = 2_000;
/// Room for the account of what was left out.
const ACCOUNT: usize = 600;

/// Writes the report as Markdown, in at most [`Options::max_bytes`].
pub fn render(report: &Report, out: &mut dyn Write, options: &Options) -> io::Result<()> {
    let parts = parts(report, options)?;
    let whole: usize = parts.iter().map(|part| part.text.len()).sum();
    let Some(most) = options.max_bytes.filter(|most| whole > *most) else {
        for part in &parts {
            out.write_all(part.text.as_bytes())?;
        }
        return Ok(());
    };
    let (kept, lost) = fit(&parts, most.saturating_sub(ACCOUNT));
    for text in kept.into_iter().flatten() {
        out.write_all(text.as_bytes())?;
    }
    let lost: Vec<String> = lost
        .into_iter()
        .map(|(one, many, number)| format::plural(number, one, many))
        .collect();
    let account = format!(
        "\n---\n\n**Left out**, because {} are allowed here: {}. `--format html` has room for everything.\n",
        format::plural(most, "byte", "bytes"),
        if lost.is_empty() {
            "the ends of long statements".to_owned()
        } else {
            lost.join(", ")
        }
    );
    if account.len() <= ACCOUNT {
        out.write_all(account.as_bytes())?;
    }
    Ok(())
}

/// What is written by that function, as text.
fn text_of(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<String> {
    let mut bytes = Vec::new();
    write(&mut bytes)?;
    String::from_utf8(bytes).map_err(io::Error::other)
}

/// The report in parts, each with what it is worth where room is short: first
/// how it ended, then trouble, then the findings, the worst first, then the
/// statements' texts and their plans.
fn parts(report: &Report, options: &Options) -> io::Result<Vec<Part>> {
    let mut parts = vec![Part {
        text: format!("## pgadvise\n\n{}\n\n", escape(&summary::totals(report))),
        ..Part::default()
    }];
    if let Some(found) = &report.log {
        parts.push(Part {
            rank: 1,
            what: Some(("table of the logs' queries", "tables of the logs' queries")),
            text: text_of(|out| logs(found, out))?,
            ..Part::default()
        });
    }
    let ranks = ranks(report);
    let rank_of = |statement: usize, finding: usize| {
        ranks
            .get(statement)
            .and_then(|list| list.get(finding))
            .copied()
            .unwrap_or(0)
    };
    if !ranks.iter().all(Vec::is_empty) {
        let table = parts.len();
        parts.push(Part {
            rank: 2,
            text: "| Level | Finding | Where | Do | Tested |\n|---|---|---|---|---|\n".to_owned(),
            ..Part::default()
        });
        for (at, statement) in report.statements.iter().enumerate() {
            for (number, found) in statement.findings.iter().enumerate() {
                parts.push(Part {
                    // A row for a finding comes right before the finding.
                    rank: 10 + 2 * rank_of(at, number),
                    below: Some(table),
                    text: text_of(|out| row(found, out))?,
                    ..Part::default()
                });
            }
        }
        parts.push(Part {
            rank: 2,
            text: "\n".to_owned(),
            ..Part::default()
        });
    }
    for item in &report.problems {
        parts.push(Part {
            rank: 3,
            what: Some(("problem", "problems")),
            text: text_of(|out| problem(item, out))?,
            ..Part::default()
        });
    }
    if let Some(found) = &report.what_if {
        parts.push(Part {
            rank: 4,
            what: Some(("account of the change", "accounts of the change")),
            text: text_of(|out| change(found, out))?,
            ..Part::default()
        });
    }
    for (at, statement) in report.statements.iter().enumerate() {
        section(statement, options, |number| rank_of(at, number), &mut parts)?;
    }
    Ok(parts)
}

/// The findings' places among all findings of the report, the worst first.
fn ranks(report: &Report) -> Vec<Vec<usize>> {
    let mut order: Vec<(usize, usize, &Finding)> = report
        .statements
        .iter()
        .enumerate()
        .flat_map(|(at, statement)| {
            let findings = statement.findings.iter().enumerate();
            findings.map(move |(number, finding)| (at, number, finding))
        })
        .collect();
    order.sort_by(|(_, _, a), (_, _, b)| (b.level.cmp(&a.level)).then(b.share.total_cmp(&a.share)));
    let mut ranks: Vec<Vec<usize>> = report
        .statements
        .iter()
        .map(|statement| vec![0; statement.findings.len()])
        .collect();
    for (rank, (at, number, _)) in order.into_iter().enumerate() {
        if let Some(place) = ranks.get_mut(at).and_then(|list| list.get_mut(number)) {
            *place = rank;
        }
    }
    ranks
}

/// Characters of a query in the table of a log.
const QUERY_WIDTH: usize = 160;

/// What logs hold: a table of the queries that took most time.
fn logs(found: &Log, out: &mut dyn Write) -> io::Result<()> {
    for said in log::sentences(found) {
        writeln!(out, "- {}", escape(&said))?;
    }
    writeln!(out)?;
    if found.groups.is_empty() {
        return Ok(());
    }
    writeln!(out, "| {} |", log::HEADER.join(" | "))?;
    writeln!(out, "|{}---|", "--:|".repeat(log::NUMBERS.len()))?;
    for (at, group) in found.groups.iter().enumerate() {
        let mut cells = log::cells(at, group);
        cells.push(prose::one_line(&group.query, QUERY_WIDTH));
        let cells: Vec<String> = cells.iter().map(|cell| escape(cell)).collect();
        writeln!(out, "| {} |", cells.join(" | "))?;
    }
    writeln!(out)?;
    let notes: Vec<String> = log::notes(found)
        .into_iter()
        .chain(
            found
                .groups
                .iter()
                .enumerate()
                .filter_map(|(at, group)| log::shown(at, group)),
        )
        .collect();
    if !notes.is_empty() {
        writeln!(out, "<details><summary>More of these queries</summary>\n")?;
        for note in notes {
            writeln!(out, "- {}", escape(&note))?;
        }
        writeln!(out, "\n</details>\n")?;
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

fn section(
    statement: &Statement,
    options: &Options,
    rank_of: impl Fn(usize) -> usize,
    parts: &mut Vec<Part>,
) -> io::Result<()> {
    /// Above the ranks of any number of findings.
    const AFTER: usize = usize::MAX / 2;
    let title = statement
        .place
        .as_ref()
        .map_or_else(|| "Plan".to_owned(), Place::text);
    let heading = parts.len();
    parts.push(Part {
        rank: AFTER + 8,
        what: Some(("statement", "statements")),
        text: format!("### {}\n\n", escape(&title)),
        ..Part::default()
    });
    let mut add = |rank, what, short, text: String| {
        if !text.is_empty() {
            parts.push(Part {
                rank,
                what,
                below: Some(heading),
                text,
                short,
            });
        }
    };
    if let Some(sql) = &statement.sql {
        let (start, lost) = shorten(sql, LONG_SQL);
        let short = if lost > 0 {
            let start = format!("{start}\n… {lost} more characters");
            Some(text_of(|out| fence("sql", &start, out))?)
        } else {
            None
        };
        let what = Some(("statement's text", "statements' texts"));
        add(AFTER, what, short, text_of(|out| fence("sql", sql, out))?);
    }
    if let Some(found) = &statement.what_if {
        let what = Some(("comparison with the change", "comparisons with the change"));
        let text = text_of(|out| with_change(found, options, out))?;
        add(AFTER + 1, what, None, text);
    }
    for item in &statement.problems {
        let what = Some(("problem", "problems"));
        add(3, what, None, text_of(|out| problem(item, out))?);
    }
    if statement.findings.is_empty() && !statement.failed && summary::was_checked(statement) {
        let text = format!("{}\n\n", escape(&summary::nothing_found(statement)));
        add(AFTER + 5, None, None, text);
    }
    for (number, found) in statement.findings.iter().enumerate() {
        let rank = 11 + 2 * rank_of(number);
        let what = Some(("finding", "findings"));
        add(rank, what, None, text_of(|out| finding(found, out))?);
    }
    if let Some(found) = &statement.parameters
        && !options.brief
    {
        let what = Some(("table of parameters", "tables of parameters"));
        let text = text_of(|out| parameters(found, options, out))?;
        add(AFTER + 3, what, None, text);
    }
    if let Some(found) = &statement.resources
        && !options.brief
    {
        let what = Some(("account of resources", "accounts of resources"));
        let text = text_of(|out| resources::markdown(found, options, out))?;
        add(AFTER + 4, what, None, text);
    }
    if let Some(plan) = &statement.plan
        && !options.brief
    {
        let what = Some(("plan", "plans"));
        let text = text_of(|out| plan_tree(statement, plan, options, out))?;
        add(AFTER + 2, what, None, text);
    }
    for silenced in &statement.suppressed {
        let reason = silenced.reason.as_deref().unwrap_or("no reason is given");
        let text = format!(
            "Silenced: {} ({}): {}\n\n",
            escape(&silenced.finding.message),
            escape(&silenced.finding.rule),
            escape(reason)
        );
        let what = Some(("silenced finding", "silenced findings"));
        add(AFTER + 6, what, None, text);
    }
    let passed = text_of(|out| {
        for (node, reasons) in passed::by_node(statement) {
            writeln!(out, "Not flagged: {}\n", escape(&node))?;
            for (rule, reason) in reasons {
                writeln!(out, "- {}: {}", escape(rule), escape(reason))?;
            }
            writeln!(out)?;
        }
        Ok(())
    })?;
    let what = Some((
        "account of nodes not flagged",
        "accounts of nodes not flagged",
    ));
    add(AFTER + 6, what, None, passed);
    if !options.brief {
        let text = text_of(|out| {
            for line in summary::checked(statement, options.detailed) {
                writeln!(out, "<sub>{}</sub><br>", escape(&line))?;
            }
            writeln!(out)
        })?;
        let what = Some((
            "account of what was checked",
            "accounts of what was checked",
        ));
        add(AFTER + 7, what, None, text);
    }
    Ok(())
}

/// The plan, folded away.
fn plan_tree(
    statement: &Statement,
    plan: &Plan,
    options: &Options,
    out: &mut dyn Write,
) -> io::Result<()> {
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
    writeln!(out, "</details>\n")
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
            // GitHub and GitLab look through the text that Markdown leaves: a
            // name behind `@` is notified, a number behind `#` gets a link back
            // from the issue of that number, an address becomes a link. An
            // invisible blank of no width parts them, which an entity or a
            // backslash alone does not.
            '@' => escaped.push_str("@&#8203;"),
            '#' => escaped.push_str("\\#&#8203;"),
            '/' if escaped.ends_with(':') => escaped.push_str("&#8203;/"),
            '.' if ends_with_word(&escaped, "www") => escaped.push_str("&#8203;."),
            '-' if ends_with_word(&escaped, "gh") => escaped.push_str("-&#8203;"),
            // Two of them would hold a formula, and no backslash prevents it.
            '$' => escaped.push_str("<span>$</span>"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '|' | '~' | '!' => {
                escaped.push('\\');
                escaped.push(c);
            }
            '\n' | '\t' => escaped.push(' '),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// Whether the text ends with that word, whatever its case.
fn ends_with_word(text: &str, word: &str) -> bool {
    text.len()
        .checked_sub(word.len())
        .and_then(|at| text.get(at..))
        .is_some_and(|end| end.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_name_is_a_link_or_a_formula() {
        assert_eq!(
            escape("see #1, a/b#2, GH-3, https://x.example and www.x.example for $a$"),
            "see \\#&#8203;1, a/b\\#&#8203;2, GH-&#8203;3, https:&#8203;//x.example and \
             www&#8203;.x.example for <span>$</span>a<span>$</span>"
        );
    }

    #[test]
    fn nothing_in_a_name_is_read_as_markup() {
        assert_eq!(
            escape("a|b `c` <img src=x> _d_ @team\nnext"),
            "a\\|b \\`c\\` &lt;img src=x&gt; \\_d\\_ @&#8203;team next"
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
