//! The report of `check` for a terminal: findings by file, each with its line,
//! and the safe way as SQL.

use std::io::{self, Write};

use super::prose::step_place;
use crate::report::format::plural;
use crate::report::model::Level;
use crate::report::model::check::{CheckFinding, CheckReport, CheckSuppressedBy};
use crate::report::prose::{self, Palette, paint};
use crate::report::render::Options;

/// Columns that prose fills at most.
const PROSE: usize = 100;
/// How many differences between the text and the server are shown.
const DISAGREEMENTS: usize = 10;

/// Writes the report for a terminal.
pub(super) fn render(
    report: &CheckReport<'_>,
    out: &mut dyn Write,
    options: &Options,
) -> io::Result<()> {
    let writer = Writer {
        palette: Palette::new(options.color),
        width: options.width,
        prose: options.width.min(PROSE),
        brief: options.brief,
        detailed: options.detailed,
    };
    let mut last = "";
    for finding in &report.findings {
        if finding.place.file != last {
            last = finding.place.file;
            writeln!(
                out,
                "{}",
                paint(writer.palette.heading, &prose::visible(last))
            )?;
        }
        writer.finding(finding, out)?;
    }
    if !options.brief {
        if let Some(workload) = &report.workload {
            super::workload::text(workload, out, options.detailed, &prose::visible)?;
            writeln!(out)?;
        }
        writer.skipped(report, out)?;
        writer.baseline(report, out)?;
    }
    writer.summary(report, out)
}

struct Writer {
    palette: Palette,
    width: usize,
    prose: usize,
    brief: bool,
    detailed: bool,
}

impl Writer {
    fn finding(&self, finding: &CheckFinding<'_>, out: &mut dyn Write) -> io::Result<()> {
        let style = match finding.level {
            Level::Critical => self.palette.critical,
            Level::Warning => self.palette.warning,
            Level::Note => self.palette.note,
        };
        writeln!(
            out,
            "{}:{}: {}: {} {}",
            finding.place.line,
            finding.place.column,
            paint(style, finding.level.name()),
            prose::visible(finding.message),
            paint(self.palette.dim, &format!("[{}]", finding.rule)),
        )?;
        if self.brief {
            return Ok(());
        }
        self.source(finding, out)?;
        self.paragraph("  ", finding.why, out)?;
        if let Some(lock) = &finding.lock {
            let mut text = format!(
                "lock: {}{}",
                lock.mode,
                finding
                    .relation
                    .as_ref()
                    .map_or_else(String::new, |relation| format!(" on {relation}")),
            );
            if lock.work != "none" {
                text.push_str(&format!(", held for: {}", lock.work.replace('_', " ")));
            }
            if finding.traced {
                text.push_str(" (seen under --trace)");
            }
            self.paragraph("  ", &text, out)?;
        } else if finding.traced {
            self.paragraph("  ", "seen under --trace", out)?;
        }
        if let Some(assumed) = finding.assumed {
            self.paragraph("  ", &format!("assumed: {assumed}"), out)?;
        }
        if self.detailed {
            for evidence in &finding.evidence {
                self.paragraph(
                    "  ",
                    &format!("{}: {} ({})", evidence.label, evidence.text, evidence.from),
                    out,
                )?;
            }
        }
        self.remedy(finding, out)?;
        writeln!(out)
    }

    /// The first line of the place, with carets under it.
    fn source(&self, finding: &CheckFinding<'_>, out: &mut dyn Write) -> io::Result<()> {
        if finding.source.trim().is_empty() {
            return Ok(());
        }
        let number = finding.place.line.to_string();
        let room = self.width.saturating_sub(number.len() + 6).max(20);
        let line: Vec<char> = prose::visible(finding.source)
            .replace('\t', " ")
            .chars()
            .collect();
        let from = finding.place.column.saturating_sub(1).min(line.len());
        let to = if finding.place.end_line == finding.place.line {
            finding
                .place
                .end_column
                .saturating_sub(1)
                .clamp(from, line.len())
        } else {
            line.len()
        };
        // A long line is shown around the place.
        let skip = if to.min(from + room / 2) > room {
            from.saturating_sub(room / 4)
        } else {
            0
        };
        let shown: String = line.iter().skip(skip).take(room).collect();
        let before: usize =
            prose::width(&line.iter().skip(skip).take(from - skip).collect::<String>());
        let marked: String = line
            .iter()
            .skip(from)
            .take(to.min(skip + room).saturating_sub(from))
            .collect();
        let carets = prose::width(&marked).max(1);
        writeln!(
            out,
            "  {} {}",
            paint(self.palette.dim, &format!("{number} |")),
            shown.trim_end()
        )?;
        writeln!(
            out,
            "  {} {}{}",
            paint(self.palette.dim, &format!("{} |", " ".repeat(number.len()))),
            " ".repeat(before),
            paint(self.palette.warning, &"^".repeat(carets)),
        )
    }

    fn remedy(&self, finding: &CheckFinding<'_>, out: &mut dyn Write) -> io::Result<()> {
        let Some(remedy) = &finding.remedy else {
            return Ok(());
        };
        let title = format!("instead: {}", remedy.title);
        for line in prose::wrap(&title, self.prose.saturating_sub(2)) {
            writeln!(out, "  {}", paint(self.palette.good, &line))?;
        }
        for (at, step) in remedy.steps.iter().enumerate() {
            if let Some(place) = step_place(at, step) {
                writeln!(
                    out,
                    "    {}",
                    paint(self.palette.dim, &format!("-- {place}"))
                )?;
            }
            for line in format!("{};", step.sql).lines() {
                writeln!(
                    out,
                    "    {}",
                    paint(self.palette.code, &prose::visible(line))
                )?;
            }
        }
        for note in &remedy.notes {
            self.paragraph("  ", note, out)?;
        }
        Ok(())
    }

    fn skipped(&self, report: &CheckReport<'_>, out: &mut dyn Write) -> io::Result<()> {
        if report.skipped.is_empty() {
            return Ok(());
        }
        writeln!(out, "{}", paint(self.palette.heading, "Not checked"))?;
        for skipped in &report.skipped {
            let mut text = format!("{}: {}", skipped.what, skipped.why);
            if let Some(remedy) = &skipped.remedy {
                text.push_str(&format!("; {remedy}"));
            }
            let lines = prose::wrap(&text, self.prose.saturating_sub(4));
            for (at, line) in lines.iter().enumerate() {
                writeln!(out, "{}{line}", if at == 0 { "  - " } else { "    " })?;
            }
        }
        writeln!(out)
    }

    fn baseline(&self, report: &CheckReport<'_>, out: &mut dyn Write) -> io::Result<()> {
        let Some(baseline) = report
            .baseline
            .as_ref()
            .filter(|known| !known.stale.is_empty())
        else {
            return Ok(());
        };
        writeln!(
            out,
            "{}",
            paint(
                self.palette.heading,
                &format!("No longer found, and to be removed from {}", baseline.file)
            )
        )?;
        for entry in &baseline.stale {
            self.paragraph(
                "  ",
                &format!("{}: {} [{}]", entry.file, entry.message, entry.rule),
                out,
            )?;
        }
        writeln!(out)
    }

    fn summary(&self, report: &CheckReport<'_>, out: &mut dyn Write) -> io::Result<()> {
        let totals = &report.totals;
        let mut parts = vec![format!(
            "{}, {}: {}",
            plural(totals.files, "file", "files"),
            plural(totals.statements, "statement", "statements"),
            plural(totals.findings, "finding", "findings"),
        )];
        let levels: Vec<String> = [
            (totals.critical, "critical", "critical"),
            (totals.warning, "warning", "warnings"),
            (totals.note, "note", "notes"),
        ]
        .into_iter()
        .filter(|(number, _, _)| *number > 0)
        .map(|(number, one, many)| plural(number, one, many))
        .collect();
        if !levels.is_empty() {
            parts.push(format!("({})", levels.join(", ")));
        }
        let mut text = parts.join(" ");
        let silenced = |by| {
            report
                .suppressed
                .iter()
                .filter(|suppressed| suppressed.by == by)
                .count()
        };
        for (number, what) in [
            (
                silenced(CheckSuppressedBy::Comment) + silenced(CheckSuppressedBy::Configuration),
                "suppressed",
            ),
            (totals.baseline, "in the baseline"),
            (totals.skipped, "not checked"),
        ] {
            if number > 0 {
                text.push_str(&format!(", {number} {what}"));
            }
        }
        let style = if totals.critical > 0 {
            self.palette.critical
        } else if totals.warning > 0 {
            self.palette.warning
        } else {
            self.palette.heading
        };
        writeln!(out, "{}", paint(style, &text))?;
        if !self.brief {
            let version = format!(
                "judged for PostgreSQL {} ({})",
                report.server.major, report.server.known_by
            );
            self.paragraph("", &version, out)?;
            for note in &report.notes {
                self.paragraph("", note, out)?;
            }
            if let Some(trace) = &report.trace {
                let text = format!(
                    "{} run on {}, {} refused",
                    plural(trace.statements, "statement", "statements"),
                    trace.engine,
                    trace.refused
                );
                self.paragraph("", &text, out)?;
                for note in &trace.notes {
                    self.paragraph("  ", note, out)?;
                }
                for one in trace.disagreements.iter().take(DISAGREEMENTS) {
                    self.paragraph("  ", one, out)?;
                }
                let more = trace.disagreements.len().saturating_sub(DISAGREEMENTS);
                if more > 0 {
                    self.paragraph(
                        "  ",
                        &format!("{more} more of the kind are in the JSON"),
                        out,
                    )?;
                }
            }
        }
        Ok(())
    }

    fn paragraph(&self, indent: &str, text: &str, out: &mut dyn Write) -> io::Result<()> {
        for line in prose::wrap(text, self.prose.saturating_sub(indent.len())) {
            writeln!(out, "{indent}{line}")?;
        }
        Ok(())
    }
}
