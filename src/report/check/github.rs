//! The report of `check` as annotations of a workflow of GitHub.

use std::io::{self, Write};

use super::prose;
use crate::report::format::plural;
use crate::report::model::check::{CheckFinding, CheckReport};
use crate::report::model::{Level, Problem, Severity};
use crate::report::prose::visible;
use crate::report::render::Options;

/// GitHub shows so many annotations of each level of a step, and drops others
/// without a word.
const SHOWN: usize = 10;
/// Troubles of a sort that are annotated, so that findings have room.
const PROBLEMS: usize = 3;

/// Writes the annotations, the worst first; those beyond what GitHub shows are
/// plain lines of the log.
pub(super) fn render(
    report: &CheckReport<'_>,
    out: &mut dyn Write,
    _options: &Options,
) -> io::Result<()> {
    for severity in [Severity::Error, Severity::Warning] {
        for found in of(report, severity).take(PROBLEMS) {
            problem(report, found, out)?;
        }
    }
    let mut rest = Vec::new();
    for level in [Level::Critical, Level::Warning, Level::Note] {
        let mut findings = report.findings.of(level);
        for finding in findings.by_ref().take(room(report, level)) {
            annotation(report, &finding, out)?;
        }
        rest.extend(findings);
    }
    if !rest.is_empty() {
        writeln!(
            out,
            "{} more, as GitHub shows no more than {SHOWN} annotations of each level:",
            plural(rest.len(), "finding", "findings")
        )?;
    }
    for finding in rest {
        let place = &finding.place;
        writeln!(
            out,
            "- {}:{}:{}: {}: {} [{}]",
            one_line(&report.rooted.path(place.file)),
            place.line,
            place.column,
            finding.level.name(),
            one_line(finding.message),
            finding.rule
        )?;
    }
    for skipped in &report.skipped {
        writeln!(
            out,
            "skipped: {}: {}",
            one_line(&skipped.what),
            one_line(&skipped.why)
        )?;
    }
    writeln!(
        out,
        "pgadvise check: {}, {}, {} suppressed, {} in the baseline",
        plural(report.totals.files, "file", "files"),
        plural(report.totals.findings, "finding", "findings"),
        report.totals.suppressed,
        report.totals.baseline
    )
}

/// Troubles of that sort: what could not be done is annotated, too.
fn of<'a>(report: &'a CheckReport<'_>, severity: Severity) -> impl Iterator<Item = &'a Problem> {
    report
        .problems
        .iter()
        .filter(move |problem| problem.severity == severity)
}

/// How many findings of a level are annotated: troubles take from the same.
fn room(report: &CheckReport<'_>, level: Level) -> usize {
    let taken = match level {
        Level::Critical => of(report, Severity::Error).count(),
        Level::Warning => of(report, Severity::Warning).count(),
        Level::Note => 0,
    };
    SHOWN - taken.min(PROBLEMS)
}

fn problem(report: &CheckReport<'_>, problem: &Problem, out: &mut dyn Write) -> io::Result<()> {
    let command = match problem.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    write!(out, "::{command} ")?;
    if let Some(place) = &problem.place {
        let file = report.rooted.path(&place.file);
        write!(out, "file={},line={},", property(&file), place.line)?;
    }
    let mut text = problem.message.clone();
    for cause in &problem.causes {
        text.push_str(&format!(": {cause}"));
    }
    for hint in &problem.hints {
        text.push_str(&format!("\n{hint}"));
    }
    writeln!(out, "title=pgadvise check::{}", data(&text))
}

/// What the job's summary says where there are more findings than annotations.
pub fn beyond(report: &CheckReport<'_>) -> Option<String> {
    let totals = &report.totals;
    let rest: usize = [
        (totals.critical, Level::Critical),
        (totals.warning, Level::Warning),
        (totals.note, Level::Note),
    ]
    .into_iter()
    .map(|(number, level)| number.saturating_sub(room(report, level)))
    .sum();
    (rest > 0).then(|| {
        format!(
            "GitHub shows no more than {SHOWN} annotations of each level for a step: {} here and \
             in the log only.\n",
            plural(rest, "finding stands", "findings stand")
        )
    })
}

fn annotation(
    report: &CheckReport<'_>,
    finding: &CheckFinding<'_>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let command = match finding.level {
        Level::Critical => "error",
        Level::Warning => "warning",
        Level::Note => "notice",
    };
    let place = &finding.place;
    let file = report.rooted.path(place.file);
    write!(
        out,
        "::{command} file={},line={},endLine={}",
        property(&file),
        place.line,
        place.end_line
    )?;
    // GitHub has columns only within one line, the last one included.
    if place.line == place.end_line {
        write!(
            out,
            ",col={},endColumn={}",
            place.column,
            place.end_column.saturating_sub(1).max(place.column)
        )?;
    }
    writeln!(
        out,
        ",title={}::{}",
        property(&format!("{} ({})", finding.message, finding.rule)),
        data(&prose::plain(finding))
    )
}

/// On one line, as a line that begins with `::` would be a command.
fn one_line(text: &str) -> String {
    visible(text).replace(['\n', '\t'], " ")
}

/// A command's text.
fn data(text: &str) -> String {
    visible(&text.replace('\r', ""))
        .replace('%', "%25")
        .replace('\n', "%0A")
}

/// The value of a command's property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_ends_a_command() {
        assert_eq!(property("a,b:c%\n::error"), "a%2Cb%3Ac%25%0A%3A%3Aerror");
        assert_eq!(data("50%\r\nof a:b"), "50%25%0Aof a:b");
    }
}
