//! The comparison for a terminal.

use std::io::{self, Write};

use super::rows::{self, Row};
use crate::report::model::diff::{DiffOutcome, DiffReport, DiffStatus, PlanComparison, SqlChange};
use crate::report::prose::{self, Palette, paint};
use crate::report::render::Options;
use crate::report::{format, table};

/// Columns that a paragraph fills at most.
const PROSE: usize = 100;
/// Columns that the nodes get at least.
const NARROWEST: usize = 30;

pub(super) fn render(
    report: &DiffReport,
    out: &mut dyn Write,
    options: &Options,
) -> io::Result<()> {
    let page = Page {
        options,
        palette: Palette::new(options.color),
    };
    let several = report.comparisons.len() + report.unpaired.len() > 1;
    for (at, comparison) in report.comparisons.iter().enumerate() {
        if at > 0 {
            writeln!(out)?;
        }
        page.comparison(comparison, several, out)?;
    }
    if !report.unpaired.is_empty() {
        writeln!(out)?;
        writeln!(
            out,
            "{}",
            paint(page.palette.heading, "Plans without a counterpart")
        )?;
        for plan in &report.unpaired {
            let sql = plan
                .sql
                .as_deref()
                .map_or_else(String::new, |sql| format!(": {}", prose::one_line(sql, 80)));
            let line = format!("{}, plan {}{sql}", plan.plan.file, plan.plan.number);
            page.paragraph("  ", &line, out)?;
        }
    }
    if several {
        writeln!(out)?;
        page.paragraph("", &totals(report), out)?;
    }
    Ok(())
}

/// The numbers of the run in a sentence.
pub(super) fn totals(report: &DiffReport) -> String {
    let totals = &report.totals;
    let mut parts = Vec::new();
    for (number, word) in [
        (totals.worse, "worse"),
        (totals.better, "better"),
        (totals.same, "about the same"),
        (totals.not_comparable, "not comparable"),
        (totals.unpaired, "without a counterpart"),
    ] {
        if number > 0 {
            parts.push(format!("{number} {word}"));
        }
    }
    format!(
        "{}: {}",
        format::plural(totals.compared, "pair of plans", "pairs of plans"),
        parts.join(", ")
    )
}

struct Page<'a> {
    options: &'a Options,
    palette: Palette,
}

impl Page<'_> {
    fn paragraph(&self, indent: &str, text: &str, out: &mut dyn Write) -> io::Result<()> {
        let width = self.options.width.clamp(40, PROSE);
        for line in prose::wrap(text, width.saturating_sub(indent.len())) {
            writeln!(out, "{indent}{line}")?;
        }
        Ok(())
    }

    fn heading(&self, text: &str, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out)?;
        writeln!(out, "  {}", paint(self.palette.heading, text))
    }

    fn comparison(
        &self,
        found: &PlanComparison,
        several: bool,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let title = prose::visible(&rows::title(found, several));
        writeln!(out, "{}", paint(self.palette.heading, &title))?;
        if several && let Some(sql) = &found.sql {
            let after: Vec<&str> = sql
                .lines
                .iter()
                .filter(|line| line.change != SqlChange::Gone)
                .map(|line| line.text.as_str())
                .collect();
            let shown = prose::one_line(&after.join(" "), self.options.width.saturating_sub(4));
            writeln!(out, "  {}", paint(self.palette.code, &shown))?;
        }
        let style = match found.verdict.outcome {
            DiffOutcome::Better => self.palette.good,
            DiffOutcome::Worse => self.palette.critical,
            DiffOutcome::NotComparable => self.palette.warning,
            DiffOutcome::Same => self.palette.heading,
        };
        let width = self.options.width.clamp(40, PROSE) - 2;
        for line in prose::wrap(&found.verdict.summary, width) {
            writeln!(out, "  {}", paint(style, &line))?;
        }
        for plan in [&found.before, &found.after] {
            if let Some(missing) = &plan.incomplete {
                self.paragraph("  ! ", &format!("incomplete: {missing}"), out)?;
            }
        }
        for warning in &found.verdict.warnings {
            self.paragraph("  ! ", warning, out)?;
        }
        self.causes(found, out)?;
        if self.options.brief {
            return Ok(());
        }
        self.time(found, out)?;
        self.totals(found, out)?;
        self.settings(found, out)?;
        self.sql(found, out)?;
        self.plan(found, out)
    }

    fn causes(&self, found: &PlanComparison, out: &mut dyn Write) -> io::Result<()> {
        if found.causes.is_empty() {
            return Ok(());
        }
        self.heading("Why", out)?;
        for (at, cause) in found.causes.iter().enumerate() {
            let head = format!("  {}. ", at + 1);
            let width = self.options.width.clamp(40, PROSE);
            for (line, text) in prose::wrap(&cause.message, width.saturating_sub(head.len()))
                .iter()
                .enumerate()
            {
                let indent = if line == 0 {
                    head.clone()
                } else {
                    " ".repeat(head.len())
                };
                writeln!(out, "{indent}{text}")?;
            }
            let indent = " ".repeat(head.len());
            for fact in rows::facts(cause)
                .into_iter()
                .chain(rows::weight(cause, found))
            {
                for line in prose::wrap(&fact, width.saturating_sub(indent.len())) {
                    writeln!(out, "{indent}{}", paint(self.palette.dim, &line))?;
                }
            }
        }
        Ok(())
    }

    fn time(&self, found: &PlanComparison, out: &mut dyn Write) -> io::Result<()> {
        let Some(account) = rows::account(found) else {
            return Ok(());
        };
        self.heading("Where the time differs", out)?;
        self.paragraph("  ", &account, out)?;
        let carriers = rows::carriers(found);
        let wide = carriers
            .iter()
            .map(|(ms, _)| prose::width(ms))
            .max()
            .unwrap_or(0);
        for (ms, label) in carriers {
            let room = self.options.width.saturating_sub(wide + 6).max(NARROWEST);
            writeln!(
                out,
                "    {}  {}",
                prose::right(&ms, wide),
                prose::cut(&prose::visible(&label), room)
            )?;
        }
        Ok(())
    }

    fn totals(&self, found: &PlanComparison, out: &mut dyn Write) -> io::Result<()> {
        self.heading("Totals", out)?;
        let cells: Vec<Vec<String>> = rows::totals(found).into_iter().map(Vec::from).collect();
        for line in table::plain(
            &["", "before", "after", ""],
            &cells,
            &[1, 2],
            self.options.width.saturating_sub(2),
        ) {
            writeln!(out, "  {line}")?;
        }
        Ok(())
    }

    fn settings(&self, found: &PlanComparison, out: &mut dyn Write) -> io::Result<()> {
        if found.settings.is_empty() {
            return Ok(());
        }
        self.heading("Settings", out)?;
        for setting in &found.settings {
            for (mark, style, value) in [
                ('-', self.palette.critical, &setting.before),
                ('+', self.palette.good, &setting.after),
            ] {
                if let Some(value) = value {
                    let line = prose::visible(&format!("{mark} {} = {value}", setting.name));
                    writeln!(out, "  {}", paint(style, &line))?;
                }
            }
        }
        Ok(())
    }

    fn sql(&self, found: &PlanComparison, out: &mut dyn Write) -> io::Result<()> {
        let Some(sql) = found.sql.as_ref().filter(|sql| sql.changed) else {
            return Ok(());
        };
        self.heading("SQL", out)?;
        for line in &sql.lines {
            let style = match line.change {
                SqlChange::Kept => anstyle::Style::new(),
                SqlChange::Gone => self.palette.critical,
                SqlChange::New => self.palette.good,
            };
            let text = format!(
                "{} {}",
                rows::sql_mark(line.change),
                prose::visible(&line.text)
            );
            writeln!(out, "  {}", paint(style, text.trim_end()))?;
        }
        Ok(())
    }

    fn plan(&self, found: &PlanComparison, out: &mut dyn Write) -> io::Result<()> {
        self.heading("Plan", out)?;
        let shown = rows::rows(found, self.options.detailed);
        let columns = rows::columns(found, self.options.detailed);
        let mut titles: Vec<String> = Vec::new();
        for column in &columns {
            titles.push(column.title.to_owned());
            titles.push("after".to_owned());
        }
        let cells: Vec<Vec<String>> = shown
            .iter()
            .map(|row| match row {
                Row::Node(node) => columns
                    .iter()
                    .flat_map(|column| column.cells(node))
                    .collect(),
                Row::Gap(_) => vec![String::new(); titles.len()],
            })
            .collect();
        let widths: Vec<usize> = titles
            .iter()
            .enumerate()
            .map(|(at, title)| {
                cells
                    .iter()
                    .filter_map(|row| row.get(at))
                    .chain([title])
                    .map(|cell| prose::width(cell))
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let numbers = |cells: &[String]| -> String {
            cells
                .iter()
                .zip(&widths)
                .map(|(cell, width)| prose::right(cell, *width) + "  ")
                .collect()
        };
        let room = self
            .options
            .width
            .saturating_sub(widths.iter().map(|width| width + 2).sum::<usize>() + 4)
            .max(NARROWEST);
        let head = format!("    {}node", numbers(&titles));
        writeln!(out, "{}", paint(self.palette.dim, &head))?;
        let blank = " ".repeat(widths.iter().map(|width| width + 2).sum());
        for (row, cells) in shown.iter().zip(&cells) {
            let node = match row {
                Row::Node(node) => node,
                Row::Gap(hidden) => {
                    let text = format!(
                        "    {blank}… {} that differ less; -v shows them",
                        format::plural(*hidden, "node", "nodes")
                    );
                    writeln!(out, "{}", paint(self.palette.dim, &text))?;
                    continue;
                }
            };
            let style = match node.status {
                DiffStatus::Same => anstyle::Style::new(),
                DiffStatus::Changed => self.palette.warning,
                DiffStatus::Gone => self.palette.critical,
                DiffStatus::New => self.palette.good,
            };
            let indent = "  ".repeat(node.depth.min(room / 4));
            let width = room.saturating_sub(indent.len()).max(12);
            for (line, text) in prose::wrap(&rows::label(node), width).iter().enumerate() {
                let left = if line == 0 {
                    format!("  {} {}", rows::mark(node.status), numbers(cells))
                } else {
                    format!("    {blank}  ")
                };
                writeln!(out, "{left}{indent}{}", paint(style, text))?;
            }
            for detail in rows::details(node) {
                let lines = prose::wrap(&detail, width.saturating_sub(2));
                let most = if self.options.detailed { usize::MAX } else { 4 };
                for text in lines.iter().take(most) {
                    let text = paint(self.palette.dim, text);
                    writeln!(out, "    {blank}{indent}  {text}")?;
                }
            }
        }
        Ok(())
    }
}
