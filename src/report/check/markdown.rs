//! The report of `check` as Markdown, for a comment on a pull request or a job
//! summary: the worst is kept where there is no room for all.

use std::io::{self, Write};

use super::prose;
use crate::report::fit::{Part, fit};
use crate::report::format::plural;
use crate::report::markdown::{escape, problem};
use crate::report::model::Level;
use crate::report::model::check::{CheckFinding, CheckReport};
use crate::report::prose::visible;
use crate::report::render::Options;

/// What a comment is found again by, to be written anew instead of beside it.
pub const MARKER: &str = "<!-- pgadvise check -->";
/// Room for the account of what was left out.
const ACCOUNT: usize = 400;

/// Writes the report as Markdown, in at most [`Options::max_bytes`].
pub(super) fn render(
    report: &CheckReport<'_>,
    out: &mut dyn Write,
    options: &Options,
) -> io::Result<()> {
    let parts = parts(report)?;
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
        .map(|(one, many, number)| plural(number, one, many))
        .collect();
    writeln!(
        out,
        "\n**Left out**, because {} are allowed here: {}. The other formats have all of it.",
        plural(most, "byte", "bytes"),
        if lost.is_empty() {
            "details of findings".to_owned()
        } else {
            lost.join(", ")
        }
    )
}

fn parts(report: &CheckReport<'_>) -> io::Result<Vec<Part>> {
    let mut parts = vec![Part {
        text: head(report),
        ..Part::default()
    }];
    let mut heading: Option<(usize, &str)> = None;
    for finding in report.findings.iter() {
        let at = match heading {
            Some((at, file)) if file == finding.place.file => at,
            _ => {
                parts.push(Part {
                    rank: 9,
                    text: format!("### {}\n\n", code(finding.place.file)),
                    ..Part::default()
                });
                heading = Some((parts.len() - 1, finding.place.file));
                parts.len() - 1
            }
        };
        parts.push(Part {
            rank: match finding.level {
                Level::Critical => 1,
                Level::Warning => 2,
                Level::Note => 3,
            },
            what: Some(match finding.level {
                Level::Critical => ("critical finding", "critical findings"),
                Level::Warning => ("warning", "warnings"),
                Level::Note => ("note", "notes"),
            }),
            below: Some(at),
            text: long(&finding),
            short: Some(short(&finding)),
        });
    }
    if let Some(workload) = &report.workload {
        let mut text = Vec::new();
        super::workload::markdown(workload, &mut text, true, &escape)?;
        let mut short = Vec::new();
        super::workload::markdown(workload, &mut short, false, &escape)?;
        parts.push(Part {
            rank: 2,
            what: Some(("comparison of queries", "comparisons of queries")),
            text: String::from_utf8_lossy(&text).into_owned() + "\n",
            short: Some(String::from_utf8_lossy(&short).into_owned() + "\n"),
            ..Part::default()
        });
    }
    // A heading without anything below it says nothing: `fit` keeps those that
    // something stands below; the others come last, and are dropped first.
    for found in &report.problems {
        let mut text = Vec::new();
        problem(found, &mut text)?;
        parts.push(Part {
            rank: 0,
            what: Some(("problem", "problems")),
            text: String::from_utf8_lossy(&text).into_owned(),
            ..Part::default()
        });
    }
    if !report.skipped.is_empty() {
        let mut text = format!(
            "<details><summary>Skipped: what could not be checked ({})</summary>\n\n",
            report.skipped.len()
        );
        for skipped in &report.skipped {
            text.push_str(&format!(
                "- {}: {}{}\n",
                escape(&skipped.what),
                escape(&skipped.why),
                skipped
                    .remedy
                    .as_ref()
                    .map_or_else(String::new, |remedy| format!(" ({})", escape(remedy)))
            ));
        }
        text.push_str("\n</details>\n\n");
        parts.push(Part {
            rank: 4,
            what: Some(("account of what was skipped", "accounts")),
            text,
            short: Some(format!(
                "Skipped, as it could not be checked: {}.\n\n",
                report.skipped.len()
            )),
            ..Part::default()
        });
    }
    if let Some(baseline) = report
        .baseline
        .as_ref()
        .filter(|known| !known.stale.is_empty())
    {
        parts.push(Part {
            rank: 4,
            what: Some(("account of the baseline", "accounts")),
            text: format!(
                "{} of {} no longer found: write it anew.\n\n",
                plural(baseline.stale.len(), "entry is", "entries are"),
                code(baseline.file)
            ),
            ..Part::default()
        });
    }
    Ok(parts)
}

fn head(report: &CheckReport<'_>) -> String {
    let totals = &report.totals;
    let verdict = match (totals.critical, totals.warning, totals.note) {
        (0, 0, 0) => "nothing found".to_owned(),
        (critical, warnings, notes) => [
            (critical, "critical", "critical"),
            (warnings, "warning", "warnings"),
            (notes, "note", "notes"),
        ]
        .into_iter()
        .filter(|(number, _, _)| *number > 0)
        .map(|(number, one, many)| plural(number, one, many))
        .collect::<Vec<_>>()
        .join(", "),
    };
    let mut text = format!(
        "{MARKER}\n## pgadvise check: {verdict}\n\n{} with {}, judged for PostgreSQL {} ({})",
        plural(totals.files, "file", "files"),
        plural(totals.statements, "statement", "statements"),
        report.server.major,
        escape(report.server.known_by),
    );
    if totals.suppressed > 0 {
        text.push_str(&format!("; {} suppressed", totals.suppressed));
    }
    if totals.baseline > 0 {
        text.push_str(&format!("; {} in the baseline", totals.baseline));
    }
    text.push_str(".\n\n");
    if let Some(trace) = &report.trace {
        text.push_str(&format!(
            "{} run on {}, {} refused.\n\n",
            plural(trace.statements, "statement", "statements"),
            escape(&trace.engine),
            trace.refused
        ));
    }
    text
}

fn title(finding: &CheckFinding<'_>) -> String {
    format!(
        "**{}** line {}: {} ({})",
        finding.level.name(),
        finding.place.line,
        escape(finding.message),
        prose::link(finding),
    )
}

fn short(finding: &CheckFinding<'_>) -> String {
    format!("- {}\n\n", title(finding))
}

fn long(finding: &CheckFinding<'_>) -> String {
    let mut text = format!("- {}\n\n", title(finding));
    let mut body = String::new();
    if !finding.why.is_empty() {
        body.push_str(&format!(
            "Why: {}.\n\n",
            escape(finding.why.trim_end_matches('.'))
        ));
    }
    if let Some(lock) = &finding.lock {
        let traced = if finding.traced {
            " (seen under \\-\\-trace)"
        } else {
            ""
        };
        body.push_str(&format!(
            "Lock: {}{traced}.\n\n",
            escape(&prose::held(finding, lock))
        ));
    } else if finding.traced {
        body.push_str("Seen under \\-\\-trace.\n\n");
    }
    if let Some(assumed) = finding.assumed {
        body.push_str(&format!("Assumed: {}.\n\n", escape(assumed)));
    }
    if let Some(remedy) = &finding.remedy {
        let steps = prose::remedy(remedy);
        if remedy.steps.is_empty() {
            body.push_str(&steps);
        } else {
            body.push_str(&format!(
                "<details><summary>The safe way</summary>\n\n{steps}</details>\n\n"
            ));
        }
    }
    // Everything of a finding stands in its item of the list.
    for line in body.lines() {
        if line.is_empty() {
            text.push('\n');
        } else {
            text.push_str(&format!("  {line}\n"));
        }
    }
    text
}

/// A name as code: no markup within, whatever it holds.
fn code(text: &str) -> String {
    let text = visible(text).replace(['\n', '\t'], " ");
    if text.contains('`') {
        escape(&text)
    } else {
        format!("`{text}`")
    }
}
