//! The report for a terminal. Layout and words only: order, numbers and levels
//! are the report's.

use std::io::{self, Write};

use super::log;
use super::model::{
    Applicability, ChangeStatus, Evidence, Finding, Level, Log, Parameters, PlanFrom, Problem,
    Report, Severity, Statement, StatementWhatIf, Suggestion, Suppressed, WhatIf,
};
use super::parameters;
use super::passed;
use super::prose::{self, Palette, paint};
use super::render::Options;
use super::snippet::snippet;
use super::summary;
use super::table;
use super::tree;
use super::verdict;
use super::what_if;

/// Columns that a paragraph fills at most, however wide the terminal: longer
/// lines are hard to read.
const PROSE: usize = 100;
/// Where the words of a finding begin.
pub(super) const INDENT: usize = 12;

/// Writes the report as text.
pub fn render(report: &Report, out: &mut dyn Write, options: &Options) -> io::Result<()> {
    let page = Page::new(options);
    // What is the same for all statements is said once, at the end.
    let shared = report.statements.len() > 1 && summary::same_for_all(&report.statements);
    if let Some(what_if) = &report.what_if {
        let elsewhere = !report
            .statements
            .iter()
            .filter_map(|statement| statement.engine.as_ref())
            .any(|engine| engine.description == what_if.engine.description);
        page.what_if(what_if, elsewhere, out)?;
    }
    if let Some(found) = &report.log {
        page.log(found, out)?;
    }
    for (at, statement) in report.statements.iter().enumerate() {
        if at > 0 || report.what_if.is_some() || report.log.is_some() {
            writeln!(out)?;
        }
        page.statement(statement, shared, out)?;
    }
    if shared
        && !options.brief
        && let Some(statement) = report.statements.first()
    {
        writeln!(out)?;
        write!(out, "{}", paint(page.palette.heading, "All statements"))?;
        page.checked(statement, out)?;
    }
    for problem in report.problems.iter().filter(|_| options.problems) {
        writeln!(out)?;
        page.problem(problem, out)?;
    }
    if report.totals.findings > 0 && !options.brief {
        writeln!(out)?;
        let hint = "pgadvise rules NAME says what a rule looks for, and when it is wrong";
        page.styled_paragraph("  ", hint, page.palette.dim, out)?;
    }
    if let Some((good, said)) = report.what_if.as_ref().and_then(what_if::total) {
        writeln!(out)?;
        page.labelled("What if:", page.outcome(good), &said, out)?;
    }
    if report.statements.len() > 1 {
        writeln!(out)?;
        page.paragraph("", &summary::totals(report), out)?;
    }
    Ok(())
}

/// Writes one trouble as text, as it is shown on standard error.
pub fn problem(problem: &Problem, out: &mut dyn Write, options: &Options) -> io::Result<()> {
    Page::new(options).problem(problem, out)
}

/// The lines of a snippet, indented as the rest of a finding.
fn write_snippet(text: &str, out: &mut dyn Write) -> io::Result<()> {
    for line in text.lines() {
        writeln!(out, "  {}", line.trim_end())?;
    }
    Ok(())
}

/// The layout of one run.
pub(super) struct Page<'a> {
    pub(super) options: &'a Options,
    pub(super) palette: Palette,
    prose: usize,
}

impl<'a> Page<'a> {
    pub(super) fn new(options: &'a Options) -> Self {
        Self {
            options,
            palette: Palette::new(options.color),
            prose: options.width.clamp(40, PROSE),
        }
    }

    fn statement(
        &self,
        statement: &Statement,
        shared: bool,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        self.heading(statement, out)?;
        if !self.options.brief {
            self.plan(statement, out)?;
        }
        if let Some(found) = &statement.what_if {
            self.with_change(found, out)?;
        }
        for problem in &statement.problems {
            writeln!(out)?;
            self.problem(problem, out)?;
            if let (Some(sql), Some(start), Some(place)) =
                (&statement.sql, &statement.place, &problem.place)
            {
                write_snippet(
                    &snippet(
                        sql,
                        start,
                        place,
                        self.options.color,
                        self.options.width.saturating_sub(2),
                    ),
                    out,
                )?;
            }
        }
        for finding in &statement.findings {
            writeln!(out)?;
            self.finding(finding, statement, out)?;
        }
        if let Some(parameters) = &statement.parameters
            && !self.options.brief
        {
            self.parameters(parameters, out)?;
        }
        if let Some(found) = &statement.resources
            && !self.options.brief
        {
            self.resources(found, out)?;
        }
        if statement.findings.is_empty() && !statement.failed && summary::was_checked(statement) {
            writeln!(out)?;
            let said = summary::nothing_found(statement);
            let style = if statement.plan.is_some() {
                self.palette.good
            } else {
                self.palette.heading
            };
            self.styled_paragraph("  ", &said, style, out)?;
        }
        for (node, reasons) in passed::by_node(statement) {
            writeln!(out)?;
            self.labelled("  Not flagged:", self.palette.heading, &node, out)?;
            for (rule, reason) in reasons {
                self.labelled(&format!("    {rule}:"), self.palette.dim, reason, out)?;
            }
        }
        if !statement.suppressed.is_empty() {
            writeln!(out)?;
            self.suppressed(&statement.suppressed, out)?;
        }
        if !shared && !self.options.brief {
            self.checked(statement, out)?;
        }
        Ok(())
    }

    fn heading(&self, statement: &Statement, out: &mut dyn Write) -> io::Result<()> {
        let place = match (&statement.place, &statement.plan_from) {
            (Some(place), _) => place.text(),
            (None, Some(PlanFrom::File { file })) => file.clone(),
            (None, _) => "statement".to_owned(),
        };
        self.title(&place, statement.sql.as_deref(), out)
    }

    /// A line with the place, and the statement on one line.
    pub(super) fn title(
        &self,
        place: &str,
        sql: Option<&str>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let place = prose::cut(
            &prose::visible(place).replace(['\n', '\t'], " "),
            self.options.width.saturating_sub(6),
        );
        let bar = "─".repeat(
            self.prose
                .min(self.options.width)
                .saturating_sub(prose::width(&place) + 4),
        );
        writeln!(
            out,
            "{} {} {}",
            paint(self.palette.dim, "──"),
            paint(self.palette.heading, &place),
            paint(self.palette.dim, &bar)
        )?;
        if let Some(sql) = sql {
            let line = prose::one_line(sql, self.options.width.saturating_sub(2));
            writeln!(out, "  {}", paint(self.palette.code, &line))?;
        }
        Ok(())
    }

    fn plan(&self, statement: &Statement, out: &mut dyn Write) -> io::Result<()> {
        let Some(plan) = &statement.plan else {
            return Ok(());
        };
        writeln!(out)?;
        self.labelled(
            "  Plan  ",
            self.palette.heading,
            &summary::plan(statement, plan),
            out,
        )?;
        writeln!(out)?;
        let narrower = Options {
            width: self.options.width.saturating_sub(2),
            ..*self.options
        };
        for line in tree::lines(plan, &narrower) {
            writeln!(out, "  {line}")?;
        }
        Ok(())
    }

    fn level(&self, level: Level) -> anstyle::Style {
        match level {
            Level::Critical => self.palette.critical,
            Level::Warning => self.palette.warning,
            Level::Note => self.palette.note,
        }
    }

    fn finding(
        &self,
        finding: &Finding,
        statement: &Statement,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let style = self.level(finding.level);
        let level = prose::left(finding.level.name(), INDENT - 2);
        self.labelled(&level, style, &finding.message, out)?;
        self.labelled(
            &prose::left("  where", INDENT - 2),
            self.palette.dim,
            &summary::place(finding),
            out,
        )?;
        if let (Some(sql), Some(start), Some(place)) =
            (&statement.sql, &statement.place, &finding.place)
        {
            let room = self.options.width.saturating_sub(2);
            write_snippet(&snippet(sql, start, place, self.options.color, room), out)?;
        }
        if let Some(saves) = summary::saves(finding) {
            self.labelled(
                &prose::left("  saves", INDENT - 2),
                self.palette.dim,
                &saves,
                out,
            )?;
        }
        self.evidence(&finding.evidence, out)?;
        if !finding.why.is_empty() {
            self.labelled(
                &prose::left("  why", INDENT - 2),
                self.palette.dim,
                &finding.why,
                out,
            )?;
        }
        for (at, suggestion) in finding.suggestions.iter().enumerate() {
            let label = match (finding.suggestions.len(), at) {
                (1, _) => "  do".to_owned(),
                (_, 0) => "  do 1".to_owned(),
                (_, at) => format!("  or {}", at + 1),
            };
            writeln!(out)?;
            self.suggestion(&label, suggestion, out)?;
        }
        self.labelled(
            &prose::left("  rule", INDENT - 2),
            self.palette.dim,
            &finding.rule,
            out,
        )
    }

    pub(super) fn evidence(&self, evidence: &[Evidence], out: &mut dyn Write) -> io::Result<()> {
        let rows: Vec<Vec<String>> = evidence
            .iter()
            .map(|evidence| {
                vec![
                    evidence.label.clone(),
                    evidence.text.clone(),
                    summary::origin(&evidence.from),
                ]
            })
            .collect();
        let lines = table::plain(&[], &rows, &[], self.prose.saturating_sub(INDENT));
        for (at, line) in lines.iter().enumerate() {
            let label = if at == 0 { "  evidence" } else { "" };
            writeln!(
                out,
                "{}  {line}",
                paint(self.palette.dim, &prose::left(label, INDENT - 2))
            )?;
        }
        Ok(())
    }

    pub(super) fn suggestion(
        &self,
        label: &str,
        suggestion: &Suggestion,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        self.labelled(
            &prose::left(label, INDENT - 2),
            self.palette.heading,
            &suggestion.title,
            out,
        )?;
        let indent = " ".repeat(INDENT);
        if let Some(advice) = &suggestion.advice
            && *advice != suggestion.title
        {
            self.paragraph(&indent, advice, out)?;
        }
        if let Some(sql) = &suggestion.sql {
            writeln!(out)?;
            // SQL is to be copied, so its lines are never broken.
            for line in prose::visible(sql).lines() {
                writeln!(out, "{indent}{}", paint(self.palette.code, line))?;
            }
            writeln!(out)?;
        }
        match (&suggestion.diff, &suggestion.rewritten_sql) {
            (Some(diff), _) => {
                writeln!(out)?;
                for line in prose::visible(diff).lines() {
                    let style = match line.chars().next() {
                        Some('+') => self.palette.good,
                        Some('-') => self.palette.critical,
                        Some('@') => self.palette.code,
                        _ => anstyle::Style::new(),
                    };
                    writeln!(out, "{indent}{}", paint(style, line))?;
                }
                writeln!(out)?;
            }
            (None, Some(sql)) => {
                writeln!(out)?;
                for line in prose::visible(sql).lines() {
                    writeln!(out, "{indent}{}", paint(self.palette.code, line))?;
                }
                writeln!(out)?;
            }
            (None, None) => {}
        }
        for effect in &suggestion.side_effects {
            self.paragraph(&indent, &summary::side_effect(effect), out)?;
        }
        if suggestion.applicability == Applicability::MayChangeResults {
            self.paragraph(&indent, "the query may answer differently", out)?;
        }
        if !suggestion.preconditions.is_empty() {
            self.paragraph(&indent, "the results stay the same because:", out)?;
            for condition in &suggestion.preconditions {
                self.paragraph(
                    &format!("{indent}  "),
                    &format!("{}: {}", condition.claim, condition.proof),
                    out,
                )?;
            }
        }
        let (good, said) = verdict::sentences(&suggestion.verdict);
        for (at, sentence) in said.iter().enumerate() {
            let style = match (at, good) {
                (0, Some(true)) => self.palette.good,
                (0, Some(false)) => self.palette.warning,
                _ => anstyle::Style::new(),
            };
            self.styled_paragraph(&indent, sentence, style, out)?;
        }
        Ok(())
    }

    /// The style of what is good, or bad, or neither.
    fn outcome(&self, good: Option<bool>) -> anstyle::Style {
        match good {
            Some(true) => self.palette.good,
            Some(false) => self.palette.warning,
            None => self.palette.heading,
        }
    }

    /// What logs hold: a table of the queries that took most time.
    fn log(&self, found: &Log, out: &mut dyn Write) -> io::Result<()> {
        self.title("logs", None, out)?;
        for said in log::sentences(found) {
            self.paragraph("  ", &said, out)?;
        }
        if found.groups.is_empty() {
            return Ok(());
        }
        writeln!(out)?;
        let rows: Vec<Vec<String>> = found
            .groups
            .iter()
            .enumerate()
            .map(|(at, group)| log::cells(at, group))
            .collect();
        // The query has what the numbers leave; nobody reads a table by lines.
        let numbers: usize = (0..log::NUMBERS.len())
            .map(|column| {
                let cells = rows.iter().filter_map(|row| row.get(column));
                let widest = cells.map(|cell| prose::width(cell)).max().unwrap_or(0);
                let header = log::HEADER.get(column).map_or(0, |text| text.len());
                widest.max(header) + 2
            })
            .sum();
        let room = self.options.width.saturating_sub(numbers + 5).max(24);
        let rows: Vec<Vec<String>> = rows
            .into_iter()
            .zip(&found.groups)
            .map(|(mut row, group)| {
                row.push(prose::one_line(&group.query, room));
                row
            })
            .collect();
        let width = self.options.width.saturating_sub(2).max(numbers + room);
        for line in table::plain(&log::HEADER, &rows, &log::NUMBERS, width) {
            writeln!(out, "  {line}")?;
        }
        let notes = log::notes(found);
        if !notes.is_empty() && !self.options.brief {
            writeln!(out)?;
            for note in notes {
                self.paragraph("  ", &note, out)?;
            }
        }
        Ok(())
    }

    /// The change that was supposed, and what became of each of its statements.
    fn what_if(&self, found: &WhatIf, elsewhere: bool, out: &mut dyn Write) -> io::Result<()> {
        self.title("what if", None, out)?;
        let statements = found.compared + found.broken;
        for change in &found.changes {
            let line = prose::one_line(&change.sql, self.options.width.saturating_sub(2));
            writeln!(out, "  {}", paint(self.palette.code, &line))?;
            let style = match change.status {
                ChangeStatus::Applied => self.palette.good,
                ChangeStatus::LeftOut => self.palette.dim,
                ChangeStatus::Refused => self.palette.critical,
            };
            for (at, said) in what_if::outcome(change, statements).iter().enumerate() {
                let style = if at == 0 {
                    style
                } else {
                    anstyle::Style::new()
                };
                self.styled_paragraph("    ", said, style, out)?;
            }
        }
        for writes in &found.writes {
            self.labelled("  writes:", self.palette.dim, &what_if::writes(writes), out)?;
        }
        if elsewhere && !self.options.brief {
            // Another planner than the one that is named with the statements.
            self.labelled(
                "  tried on:",
                self.palette.dim,
                &found.engine.description,
                out,
            )?;
            for note in &found.engine.notes {
                self.styled_paragraph("  ", note, self.palette.dim, out)?;
            }
        }
        Ok(())
    }

    /// A statement's plan with the change against that without.
    fn with_change(&self, found: &StatementWhatIf, out: &mut dyn Write) -> io::Result<()> {
        let (good, said) = what_if::sentences(found);
        for (at, sentence) in said.iter().enumerate() {
            if at == 0 {
                writeln!(out)?;
                self.labelled("  What if", self.outcome(good), sentence, out)?;
            } else {
                self.paragraph("           ", sentence, out)?;
            }
        }
        if self.options.brief {
            return Ok(());
        }
        let width = self.options.width.saturating_sub(2);
        for (at, row) in what_if::rows(found, width, self.options.detailed)
            .iter()
            .enumerate()
        {
            if at == 0 {
                writeln!(out)?;
            }
            let style = match row.mark {
                '+' => self.palette.good,
                '-' => self.palette.critical,
                _ if at == 0 => self.palette.dim,
                _ => anstyle::Style::new(),
            };
            writeln!(out, "  {}", paint(style, &prose::visible(&row.text)))?;
        }
        Ok(())
    }

    fn parameters(&self, found: &Parameters, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out)?;
        self.labelled(
            "  Values",
            self.palette.heading,
            &parameters::summary(found),
            out,
        )?;
        let Some(rows) = parameters::table(found, self.options.detailed) else {
            return Ok(());
        };
        writeln!(out)?;
        let numbers = parameters::NUMBERS;
        let header: Vec<&str> = rows.header.iter().map(String::as_str).collect();
        let width = self.options.width.saturating_sub(4);
        for line in table::plain(&header, &rows.rows, numbers, width) {
            writeln!(out, "    {line}")?;
        }
        writeln!(out)?;
        for line in &rows.legend {
            self.paragraph("    ", line, out)?;
        }
        Ok(())
    }

    fn suppressed(&self, suppressed: &[Suppressed], out: &mut dyn Write) -> io::Result<()> {
        for silenced in suppressed {
            let reason = match &silenced.reason {
                Some(reason) => format!("because: {reason}"),
                None => "no reason is given".to_owned(),
            };
            self.paragraph(
                "  ",
                &format!(
                    "silenced: {} [{}], {reason}",
                    silenced.finding.message, silenced.finding.rule
                ),
                out,
            )?;
        }
        Ok(())
    }

    /// What was checked, what could not be, and by which planner.
    fn checked(&self, statement: &Statement, out: &mut dyn Write) -> io::Result<()> {
        for (at, line) in summary::checked(statement, self.options.detailed)
            .into_iter()
            .enumerate()
        {
            if at == 0 {
                writeln!(out)?;
            }
            self.styled_paragraph("  ", &line, self.palette.dim, out)?;
        }
        Ok(())
    }

    /// Trouble that stopped the work is an error; what did not is a warning.
    pub(super) fn problem(&self, problem: &Problem, out: &mut dyn Write) -> io::Result<()> {
        let message = match &problem.place {
            Some(place) => format!("{}: {}", place.text(), problem.message),
            None => problem.message.clone(),
        };
        let (label, style) = match problem.severity {
            Severity::Error => ("error:", self.palette.critical),
            Severity::Warning => ("warning:", self.palette.warning),
        };
        self.labelled(label, style, &message, out)?;
        for cause in &problem.causes {
            self.labelled("  caused by:", self.palette.dim, cause, out)?;
        }
        for hint in &problem.hints {
            self.labelled("  hint:", self.palette.note, hint, out)?;
        }
        Ok(())
    }

    /// A label and a paragraph beside it.
    pub(super) fn labelled(
        &self,
        label: &str,
        style: anstyle::Style,
        text: &str,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        // A label of its own length is followed by one blank, a padded one by
        // the two that its column ends with.
        let gap = if label.ends_with(':') { 1 } else { 2 };
        let indent = prose::width(label) + gap;
        let lines = prose::wrap(text, self.prose.saturating_sub(indent));
        for (at, line) in lines.iter().enumerate() {
            if at == 0 {
                writeln!(out, "{}{}{line}", paint(style, label), " ".repeat(gap))?;
            } else {
                writeln!(out, "{}{line}", " ".repeat(indent))?;
            }
        }
        Ok(())
    }

    pub(super) fn paragraph(
        &self,
        indent: &str,
        text: &str,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        self.styled_paragraph(indent, text, anstyle::Style::new(), out)
    }

    pub(super) fn styled_paragraph(
        &self,
        indent: &str,
        text: &str,
        style: anstyle::Style,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        for line in prose::wrap(text, self.prose.saturating_sub(indent.len())) {
            writeln!(out, "{indent}{}", paint(style, &line))?;
        }
        Ok(())
    }
}
