//! What stands behind the findings: the baseline, what was skipped, what was
//! taken for granted, and the sum.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Write};

use super::{Detail, Writer};
use crate::report::format::plural;
use crate::report::model::Level;
use crate::report::model::check::{CheckReport, CheckSuppressedBy, CheckTrace};
use crate::report::prose::{self, paint};

/// From so many findings on their rules are listed with their numbers.
const MANY: usize = 10;
/// How many differences between the text and the server are shown.
const DISAGREEMENTS: usize = 10;

impl Writer<'_> {
    pub(super) fn ending(&self, report: &CheckReport<'_>, out: &mut dyn Write) -> io::Result<()> {
        self.rules(report, out)?;
        self.baseline(report, out)?;
        self.skipped(report, out)?;
        let version = format!(
            "judged for PostgreSQL {} ({})",
            report.server.major, report.server.known_by
        );
        self.lines("", &version, out)?;
        for note in &report.notes {
            self.lines("", note, out)?;
        }
        if let Some(trace) = &report.trace {
            self.trace(trace, out)?;
        }
        if !report.findings.is_empty() {
            let more = if self.shortened {
                "; --verbose explains each finding in full"
            } else {
                ""
            };
            self.lines(
                "",
                &format!("pgadvise rules NAME prints the page of a rule{more}"),
                out,
            )?;
        }
        Ok(())
    }

    /// How often each rule found something, where the eye cannot count.
    fn rules(&self, report: &CheckReport<'_>, out: &mut dyn Write) -> io::Result<()> {
        if report.findings.len() < MANY {
            return Ok(());
        }
        let mut counts: BTreeMap<(Level, &str), (usize, HashSet<&str>)> = BTreeMap::new();
        for finding in report.findings.iter() {
            let (number, files) = counts.entry((finding.level, finding.rule)).or_default();
            *number += 1;
            files.insert(finding.place.file);
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by(
            |((level, rule), (number, _)), ((level2, rule2), (number2, _))| {
                level2
                    .cmp(level)
                    .then(number2.cmp(number))
                    .then(rule.cmp(rule2))
            },
        );
        writeln!(out, "{}", paint(self.palette.heading, "Rules"))?;
        for ((level, rule), (number, files)) in counts {
            writeln!(
                out,
                "  {number:>5} {} {rule}, in {}",
                paint(self.level(level), &format!("{:<8}", level.name())),
                plural(files.len(), "file", "files")
            )?;
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
            self.item(
                &format!("{}: {} [{}]", entry.file, entry.message, entry.rule),
                out,
            )?;
        }
        writeln!(out)
    }

    fn skipped(&self, report: &CheckReport<'_>, out: &mut dyn Write) -> io::Result<()> {
        if report.skipped.is_empty() {
            return Ok(());
        }
        writeln!(
            out,
            "{}",
            paint(self.palette.heading, "Skipped: what could not be checked")
        )?;
        for skipped in &report.skipped {
            let mut text = format!("{}: {}", skipped.what, skipped.why);
            if let Some(remedy) = &skipped.remedy {
                text.push_str(&format!("; {remedy}"));
            }
            self.item(&text, out)?;
        }
        writeln!(out)
    }

    fn trace(&self, trace: &CheckTrace, out: &mut dyn Write) -> io::Result<()> {
        let text = format!(
            "{} run on {}, {} refused",
            plural(trace.statements, "statement", "statements"),
            trace.engine,
            trace.refused
        );
        self.lines("", &text, out)?;
        for note in &trace.notes {
            self.lines("  ", note, out)?;
        }
        for one in trace.disagreements.iter().take(DISAGREEMENTS) {
            self.lines("  ", one, out)?;
        }
        let more = trace.disagreements.len().saturating_sub(DISAGREEMENTS);
        if more > 0 {
            self.lines(
                "  ",
                &format!("{more} more of the kind are in the JSON"),
                out,
            )?;
        }
        Ok(())
    }

    /// The last line: what was found, by level, and whether that fails.
    pub(super) fn summary(&self, report: &CheckReport<'_>, out: &mut dyn Write) -> io::Result<()> {
        let totals = &report.totals;
        let mut text = if totals.findings == 0 {
            "nothing found".to_owned()
        } else {
            let levels: Vec<String> = [
                (totals.critical, "critical", "critical"),
                (totals.warning, "warning", "warnings"),
                (totals.note, "note", "notes"),
            ]
            .into_iter()
            .filter(|(number, _, _)| *number > 0)
            .map(|(number, one, many)| plural(number, one, many))
            .collect();
            format!(
                "{} ({})",
                plural(totals.findings, "finding", "findings"),
                levels.join(", ")
            )
        };
        text.push_str(&format!(
            " in {} with {}",
            plural(totals.files, "file", "files"),
            plural(totals.statements, "statement", "statements")
        ));
        let silenced = report
            .suppressed
            .iter()
            .filter(|suppressed| suppressed.by != CheckSuppressedBy::Baseline)
            .count();
        for (number, what) in [
            (silenced, "suppressed"),
            (totals.baseline, "in the baseline"),
            (totals.skipped, "skipped"),
        ] {
            if number > 0 {
                text.push_str(&format!(", {number} {what}"));
            }
        }
        let fails = report.worst().is_some_and(|worst| report.fails(worst));
        if report.incomplete() {
            text.push_str("; the run is incomplete");
        } else if let Some(least) = report.fail_on.filter(|_| totals.findings > 0) {
            text.push_str(&format!(
                "; {} (--fail-on {})",
                if fails { "fails" } else { "passes" },
                least.name()
            ));
        }
        let style = if totals.critical > 0 || report.incomplete() {
            self.palette.critical
        } else if totals.warning > 0 {
            self.palette.warning
        } else {
            self.palette.good
        };
        let lines = if self.detail == Detail::Brief {
            vec![text]
        } else {
            prose::wrap(&text, self.width)
        };
        for line in lines {
            writeln!(out, "{}", paint(style, &line))?;
        }
        Ok(())
    }

    fn item(&self, text: &str, out: &mut dyn Write) -> io::Result<()> {
        let lines = prose::wrap(text, self.prose.saturating_sub(4));
        for (at, line) in lines.iter().enumerate() {
            writeln!(out, "{}{line}", if at == 0 { "  - " } else { "    " })?;
        }
        Ok(())
    }

    /// A paragraph, later lines indented.
    fn lines(&self, indent: &str, text: &str, out: &mut dyn Write) -> io::Result<()> {
        let lines = prose::wrap(text, self.prose.saturating_sub(indent.len() + 2));
        for (at, line) in lines.iter().enumerate() {
            writeln!(out, "{indent}{}{line}", if at == 0 { "" } else { "  " })?;
        }
        Ok(())
    }
}
