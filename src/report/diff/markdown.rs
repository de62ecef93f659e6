//! The comparison for a pull request.

use std::io::{self, Write};

use super::rows::{self, Row};
use super::text;
use crate::report::format;
use crate::report::markdown::{escape, fence, problem};
use crate::report::model::diff::{DiffOutcome, DiffReport, PlanComparison};
use crate::report::prose;
use crate::report::render::Options;

/// Columns of the plan, which stands in a block of code.
const WIDTH: usize = 140;

pub(super) fn render(
    report: &DiffReport,
    out: &mut dyn Write,
    options: &Options,
) -> io::Result<()> {
    let several = report.comparisons.len() + report.unpaired.len() > 1;
    writeln!(out, "## Plans compared\n")?;
    if several {
        writeln!(out, "{}\n", escape(&text::totals(report)))?;
    }
    for comparison in &report.comparisons {
        section(comparison, several, out, options)?;
    }
    if !report.unpaired.is_empty() {
        writeln!(out, "### Plans without a counterpart\n")?;
        for plan in &report.unpaired {
            let sql = plan.sql.as_deref().map_or_else(String::new, |sql| {
                format!(": {}", prose::one_line(sql, 120))
            });
            let line = format!("{}, plan {}{sql}", plan.plan.file, plan.plan.number);
            writeln!(out, "- {}", escape(&line))?;
        }
        writeln!(out)?;
    }
    for trouble in &report.problems {
        problem(trouble, out)?;
    }
    Ok(())
}

fn section(
    found: &PlanComparison,
    several: bool,
    out: &mut dyn Write,
    options: &Options,
) -> io::Result<()> {
    writeln!(out, "### {}\n", escape(&rows::title(found, several)))?;
    let sign = match found.verdict.outcome {
        DiffOutcome::Better => "🟢",
        DiffOutcome::Worse => "🔴",
        DiffOutcome::Same => "⚪",
        DiffOutcome::NotComparable => "🟡",
    };
    writeln!(out, "{sign} **{}**\n", escape(&found.verdict.summary))?;
    for plan in [&found.before, &found.after] {
        if let Some(missing) = &plan.incomplete {
            writeln!(
                out,
                "> {} is incomplete: {}\n",
                escape(&plan.file),
                escape(missing)
            )?;
        }
    }
    for warning in &found.verdict.warnings {
        writeln!(out, "> {}\n", escape(warning))?;
    }
    if !found.causes.is_empty() {
        writeln!(out, "**Why**\n")?;
        for (at, cause) in found.causes.iter().enumerate() {
            writeln!(out, "{}. {}", at + 1, escape(&cause.message))?;
            for fact in rows::facts(cause)
                .into_iter()
                .chain(rows::weight(cause, found))
            {
                writeln!(out, "   - {}", escape(&fact))?;
            }
        }
        writeln!(out)?;
    }
    if options.brief {
        return Ok(());
    }
    if let Some(account) = rows::account(found) {
        writeln!(out, "**Where the time differs:** {}\n", escape(&account))?;
        for (ms, label) in rows::carriers(found) {
            writeln!(out, "- {}: {}", escape(&ms), escape(&label))?;
        }
        writeln!(out)?;
    }
    writeln!(out, "| | before | after | |\n|---|---:|---:|---|")?;
    for cells in rows::totals(found) {
        let cells: Vec<String> = cells.iter().map(|cell| escape(cell)).collect();
        writeln!(out, "| {} |", cells.join(" | "))?;
    }
    writeln!(out)?;
    if !found.settings.is_empty() {
        let mut lines = String::new();
        for setting in &found.settings {
            for (mark, value) in [('-', &setting.before), ('+', &setting.after)] {
                if let Some(value) = value {
                    lines.push_str(&format!("{mark} {} = {value}\n", setting.name));
                }
            }
        }
        writeln!(out, "**Settings**\n")?;
        fence("diff", &lines, out)?;
    }
    if let Some(sql) = found.sql.as_ref().filter(|sql| sql.changed) {
        let lines: Vec<String> = sql
            .lines
            .iter()
            .map(|line| format!("{} {}", rows::sql_mark(line.change), line.text))
            .collect();
        writeln!(out, "**SQL**\n")?;
        fence("diff", &lines.join("\n"), out)?;
    }
    writeln!(out, "<details><summary>Plan</summary>\n")?;
    fence("diff", &plan(found, options), out)?;
    writeln!(out, "</details>\n")
}

/// The plan as lines that a viewer of diffs colours.
fn plan(found: &PlanComparison, options: &Options) -> String {
    let columns = rows::columns(found, options.detailed);
    let mut lines = Vec::new();
    for row in rows::rows(found, options.detailed) {
        let node = match row {
            Row::Node(node) => node,
            Row::Gap(hidden) => {
                lines.push(format!(
                    "  … {} that differ less",
                    format::plural(hidden, "node", "nodes")
                ));
                continue;
            }
        };
        let indent = "  ".repeat(node.depth.min(30));
        // A viewer of diffs knows `!`, and not `~`.
        let mark = match rows::mark(node.status) {
            '~' => '!',
            mark => mark,
        };
        let numbers: Vec<String> = columns
            .iter()
            .filter_map(|column| {
                let [before, after] = column.cells(node);
                match (before.is_empty(), after.is_empty()) {
                    (true, true) => None,
                    (false, false) if before == after => Some(format!("{} {after}", column.title)),
                    (false, false) => Some(format!("{} {before} → {after}", column.title)),
                    (true, false) => Some(format!("{} {after}", column.title)),
                    (false, true) => Some(format!("{} {before}", column.title)),
                }
            })
            .collect();
        lines.push(format!("{mark} {indent}{}", rows::label(node)));
        if !numbers.is_empty() {
            lines.push(format!("{mark} {indent}    ({})", numbers.join(", ")));
        }
        for detail in rows::details(node) {
            let detail = prose::cut(&prose::one_line(&detail, WIDTH * 2), WIDTH);
            lines.push(format!("{mark} {indent}    {detail}"));
        }
    }
    lines.join("\n")
}
