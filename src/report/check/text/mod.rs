//! The report of `check` for a terminal: each finding with its place, its line
//! and the safe way as SQL; then what was skipped, and at the end, where the
//! eye is when the program ends, how it went.

mod ending;
mod snippet;

use std::collections::HashSet;
use std::io::{self, Write};

use super::prose::{held, step_place};
use crate::report::model::Level;
use crate::report::model::check::{CheckFinding, CheckRemedy, CheckReport};
use crate::report::prose::{self, Palette, paint};
use crate::report::render::Options;
use anstyle::Style;

/// Columns that prose fills at most.
const PROSE: usize = 100;

/// Writes the report for a terminal.
pub(super) fn render(
    report: &CheckReport<'_>,
    out: &mut dyn Write,
    options: &Options,
) -> io::Result<()> {
    let mut writer = Writer {
        palette: Palette::new(options.color),
        width: options.width,
        prose: options.width.min(PROSE),
        detail: match (options.brief, options.detailed) {
            (true, _) => Detail::Brief,
            (false, true) => Detail::Full,
            (false, false) => Detail::Usual,
        },
        traced: report.trace.is_some(),
        told: HashSet::new(),
        shortened: false,
    };
    for finding in report.findings.iter() {
        if options.brief {
            writer.line(&finding, out)?;
        } else {
            writer.finding(&finding, out)?;
        }
    }
    if !options.brief {
        if let Some(workload) = &report.workload {
            super::workload::text(workload, out, options.detailed, &prose::visible)?;
            writeln!(out)?;
        }
        writer.ending(report, out)?;
    }
    writer.summary(report, out)
}

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Detail {
    /// A line for each finding.
    Brief,
    /// What is the same for many findings is said once.
    Usual,
    /// Everything, of each.
    Full,
}

struct Writer<'a> {
    palette: Palette,
    width: usize,
    prose: usize,
    detail: Detail,
    /// Some findings are known from a server, so that each says how it is.
    traced: bool,
    /// What was said of a rule's findings, but for names: it is said once.
    told: HashSet<(&'a str, String)>,
    /// Something was not said again.
    shortened: bool,
}

impl<'a> Writer<'a> {
    fn level(&self, level: Level) -> Style {
        match level {
            Level::Critical => self.palette.critical,
            Level::Warning => self.palette.warning,
            Level::Note => self.palette.note,
        }
    }

    /// The finding on one line, as editors and other programs take it.
    fn line(&self, finding: &CheckFinding<'_>, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "{}: {}: {} {}",
            place(finding),
            paint(self.level(finding.level), finding.level.name()),
            prose::visible(finding.message).replace(['\n', '\t'], " "),
            paint(self.palette.dim, &format!("[{}]", finding.rule)),
        )
    }

    fn finding(&mut self, finding: &CheckFinding<'a>, out: &mut dyn Write) -> io::Result<()> {
        let level = finding.level.name();
        let head = prose::wrap(
            &format!("{level}: {}", finding.message),
            self.width.min(2 * PROSE).saturating_sub(2),
        );
        for (at, line) in head.iter().enumerate() {
            match line.strip_prefix(level).filter(|_| at == 0) {
                Some(rest) => writeln!(
                    out,
                    "{}{}",
                    paint(self.level(finding.level), level),
                    paint(self.palette.heading, rest)
                )?,
                None => writeln!(out, "  {}", paint(self.palette.heading, line))?,
            }
        }
        let place = place(finding);
        let fits = prose::width(&place) + finding.rule.len() + 9 <= self.width;
        writeln!(
            out,
            "  {} {place}{}{}",
            paint(self.palette.dim, "-->"),
            if fits { " " } else { "\n      " },
            paint(self.palette.dim, &format!("[{}]", finding.rule)),
        )?;
        self.source(finding, out)?;
        if !finding.why.is_empty() && self.is_new(finding, finding.why) {
            self.paragraph("why: ", finding.why, out)?;
        }
        let known = match (self.traced, finding.traced) {
            (_, true) => " (seen under --trace)",
            (true, false) => " (told from the text)",
            (false, false) => "",
        };
        if let Some(lock) = &finding.lock {
            self.paragraph("lock: ", &format!("{}{known}", held(finding, lock)), out)?;
        } else if !known.is_empty() {
            self.paragraph("known: ", known.trim_matches([' ', '(', ')']), out)?;
        }
        if let Some(assumed) = finding.assumed
            && self.is_new(finding, assumed)
        {
            self.paragraph("assumed: ", assumed, out)?;
        }
        if self.detail == Detail::Full {
            for evidence in &finding.evidence {
                self.paragraph(
                    "",
                    &format!("{}: {} ({})", evidence.label, evidence.text, evidence.from),
                    out,
                )?;
            }
        }
        if let Some(remedy) = &finding.remedy {
            self.remedy(finding, remedy, out)?;
        }
        writeln!(out)
    }

    /// The first line of the place, with carets under what matters.
    fn source(&self, finding: &CheckFinding<'_>, out: &mut dyn Write) -> io::Result<()> {
        let number = finding.place.line.to_string();
        let room = self.width.saturating_sub(number.len() + 5);
        let Some(shown) = snippet::snippet(finding, room) else {
            return Ok(());
        };
        writeln!(
            out,
            "  {} {}",
            paint(self.palette.dim, &format!("{number} |")),
            shown.line
        )?;
        writeln!(
            out,
            "  {} {}{}",
            paint(self.palette.dim, &format!("{} |", " ".repeat(number.len()))),
            " ".repeat(shown.before),
            paint(self.level(finding.level), &"^".repeat(shown.carets)),
        )
    }

    /// The safe way. What was said of the rule before is not said again; SQL
    /// is, unless it is the very same.
    fn remedy(
        &mut self,
        finding: &CheckFinding<'a>,
        remedy: &CheckRemedy<'a>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let sql = super::prose::sql(remedy);
        let same = self.detail != Detail::Full
            && !sql.is_empty()
            && !self
                .told
                .insert((finding.rule, format!("{}\n{sql}", remedy.title)));
        self.shortened |= same;
        let title = if same {
            format!("instead: {}, as above", remedy.title)
        } else {
            format!("instead: {}", remedy.title)
        };
        for (at, line) in prose::wrap(&title, self.prose.saturating_sub(4))
            .iter()
            .enumerate()
        {
            let indent = if at == 0 { "  " } else { "    " };
            writeln!(out, "{indent}{}", paint(self.palette.good, line))?;
        }
        for (at, step) in remedy.steps.iter().enumerate().filter(|_| !same) {
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
            if self.is_new(finding, note) {
                self.paragraph("note: ", note, out)?;
            }
        }
        Ok(())
    }

    /// Whether the text has not been said of a finding of that rule, names left
    /// aside: "why" is the same for a hundred indexes. `--verbose` says
    /// everything.
    fn is_new(&mut self, finding: &CheckFinding<'a>, text: &str) -> bool {
        if self.detail == Detail::Full {
            return true;
        }
        let mut shape = text.to_owned();
        for name in [finding.object, finding.relation.as_deref()]
            .into_iter()
            .flatten()
            .filter(|name| !name.is_empty())
        {
            shape = shape.replace(name, "\0");
        }
        let new = self.told.insert((finding.rule, shape));
        self.shortened |= !new;
        new
    }

    /// A text with its label, later lines indented under it.
    fn paragraph(&self, label: &str, text: &str, out: &mut dyn Write) -> io::Result<()> {
        let lines = prose::wrap(&format!("{label}{text}"), self.prose.saturating_sub(4));
        for (at, line) in lines.iter().enumerate() {
            match line.strip_prefix(label).filter(|_| at == 0) {
                Some(rest) => writeln!(out, "  {}{rest}", paint(self.palette.dim, label))?,
                None => writeln!(out, "    {line}")?,
            }
        }
        Ok(())
    }
}

/// `file:line:column`, which terminals and editors make a link of.
fn place(finding: &CheckFinding<'_>) -> String {
    let place = &finding.place;
    format!(
        "{}:{}:{}",
        prose::visible(place.file).replace(['\n', '\t'], " "),
        place.line,
        place.column
    )
}
