//! What a statement takes from a server, for the report and in the words of
//! the formats for people.

use std::io::{self, Write};

use super::markdown::escape;
use super::model::{Bound, Figure, FigureUnit, MemoryUse, NodeRef, Report, Resources};
use super::render::Options;
use super::text::Page;
use super::{format, table};
use crate::advise::Analysis;
use crate::plan::PlanGraph;
use crate::plan::metrics::metrics;
use crate::plan::resources::{self as derived, Server};

/// How many nodes that hold memory are listed in the formats for people.
const NODES: usize = 8;

/// What a plan's statement takes, and what follows for the server.
pub fn of(plan: &PlanGraph, server: &Server) -> Resources {
    let found = derived::resources(plan, &metrics(plan), server);
    Resources {
        needs: found.needs.iter().map(figure).collect(),
        memory: found.memory.iter().map(|used| memory(used, plan)).collect(),
        capacity: found.capacity.iter().map(figure).collect(),
        at_rate: found.at_rate.iter().map(figure).collect(),
        assumptions: found.assumptions,
    }
}

/// Puts what follows for that server into a report of these analyses.
pub fn attach(report: &mut Report, analyses: &[Analysis], server: &Server) {
    if *server == Server::default() {
        return;
    }
    for (statement, analysis) in report.statements.iter_mut().zip(analyses) {
        statement.resources = analysis.plan.as_ref().map(|plan| of(plan, server));
    }
}

fn figure(found: &derived::Figure) -> Figure {
    let value = found.value.ok().and_then(format::finite);
    let unit = match found.unit {
        derived::FigureUnit::Ms => FigureUnit::Ms,
        derived::FigureUnit::Bytes => FigureUnit::Bytes,
        derived::FigureUnit::BytesPerSecond => FigureUnit::BytesPerSecond,
        derived::FigureUnit::Count => FigureUnit::Count,
        derived::FigureUnit::PerSecond => FigureUnit::PerSecond,
        derived::FigureUnit::Share => FigureUnit::Share,
    };
    let bound = match found.bound {
        derived::Bound::Exact => Bound::Exact,
        derived::Bound::AtMost => Bound::AtMost,
        derived::Bound::AtLeast => Bound::AtLeast,
    };
    let text = match (value, found.value) {
        (Some(value), _) => amount(value, unit, bound),
        (None, Err(why)) => format!("not known: {why}"),
        (None, Ok(_)) => "not known".to_owned(),
    };
    Figure {
        id: found.id.to_owned(),
        label: found.label.to_owned(),
        value,
        unit,
        text,
        bound,
        formula: found.formula.clone(),
        assumption: found.assumption.map(str::to_owned),
    }
}

fn amount(value: f64, unit: FigureUnit, bound: Bound) -> String {
    let number = match unit {
        FigureUnit::Ms => format::ms(value),
        FigureUnit::Bytes => format::bytes(value),
        FigureUnit::BytesPerSecond => format!("{}/s", format::bytes(value)),
        FigureUnit::Count => format::count(value),
        FigureUnit::PerSecond => format!("{}/s", format::count(value)),
        FigureUnit::Share => format::share(value),
    };
    match bound {
        Bound::AtMost if value > 0.0 => format!("≤ {number}"),
        Bound::AtLeast => format!("≥ {number}"),
        Bound::AtMost | Bound::Exact => number,
    }
}

fn memory(used: &derived::MemoryUse, plan: &PlanGraph) -> MemoryUse {
    MemoryUse {
        node: super::build::node_ref(used.node, Some(plan)).unwrap_or_else(|| NodeRef {
            id: used.node.index() + 1,
            label: String::new(),
        }),
        what: used.what.to_owned(),
        copies: used.copies,
        measured_bytes: used.measured_bytes.and_then(format::finite),
        allowed_bytes: used.allowed_bytes.and_then(format::finite),
        disk_bytes: used.disk_bytes.and_then(format::finite),
        formula: used.formula.clone(),
        measured_text: used.measured_bytes.map(format::bytes),
        allowed_text: used.allowed_bytes.map(format::bytes),
    }
}

/// The figures of that name, wherever they are.
fn known<'a>(figures: &'a [Figure], id: &str) -> Option<&'a Figure> {
    figures
        .iter()
        .find(|figure| figure.id == id && figure.value.is_some())
}

/// Whether the caller said something about the server.
pub(super) fn asked(found: &Resources) -> bool {
    !found.at_rate.is_empty() || known(&found.capacity, "highest_rate").is_some()
}

/// One execution in a sentence; nothing for a plan that was not executed.
pub(super) fn sentence(found: &Resources) -> Option<String> {
    let mut parts = Vec::new();
    let mut part = |id: &str, words: &str| {
        if let Some(figure) = known(&found.needs, id)
            && figure.value != Some(0.0)
        {
            parts.push(format!("{} {words}", figure.text));
        }
    };
    part("processor_time", "processor time");
    part("memory_measured", "memory");
    part("memory_allowed", "memory allowed");
    part("temporary_disk", "temporary files");
    part("touched", "of blocks touched");
    part("read", "read from outside of the cache");
    part("wal", "WAL");
    part("parallel_workers", "parallel workers");
    known(&found.needs, "wall_time")?;
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// The table of figures: what, how much, how it is computed.
fn rows(figures: &[Figure], detailed: bool) -> Vec<Vec<String>> {
    figures
        .iter()
        .filter(|figure| detailed || figure.value.is_some())
        .map(|figure| {
            let how = match &figure.assumption {
                Some(assumption) => format!("{}; {assumption}", figure.formula),
                None => figure.formula.clone(),
            };
            vec![figure.label.clone(), figure.text.clone(), how]
        })
        .collect()
}

/// The nodes that hold most memory.
fn memory_rows(found: &Resources, detailed: bool) -> Vec<Vec<String>> {
    let mut nodes: Vec<&MemoryUse> = found.memory.iter().collect();
    let size = |used: &MemoryUse| {
        used.measured_bytes
            .unwrap_or_default()
            .max(used.disk_bytes.unwrap_or_default())
    };
    nodes.sort_by(|a, b| size(b).total_cmp(&size(a)));
    let shown = if detailed { nodes.len() } else { NODES };
    nodes
        .into_iter()
        .take(shown)
        .map(|used| {
            let mut measured = used
                .measured_text
                .clone()
                .unwrap_or_else(|| "not printed".to_owned());
            if let Some(bytes) = used.disk_bytes {
                measured.push_str(&format!(", {} on disk", format::bytes(bytes)));
            }
            vec![
                format!("{} {}", used.node.id, used.node.label),
                used.what.clone(),
                measured,
                used.allowed_text.clone().unwrap_or_default(),
                used.formula.clone(),
            ]
        })
        .collect()
}

const MEMORY_HEADER: [&str; 5] = ["Node", "For", "Memory", "Allowed", "How"];

impl Page<'_> {
    /// A sentence; all figures when something was said about the server, or
    /// when all is to be shown.
    pub(super) fn resources(&self, found: &Resources, out: &mut dyn Write) -> io::Result<()> {
        let detailed = self.options.detailed;
        let sentence = sentence(found);
        if sentence.is_none() && !asked(found) && !detailed {
            return Ok(());
        }
        writeln!(out)?;
        let said = sentence.unwrap_or_else(|| {
            "what it takes is not known: the plan was not executed and timed".to_owned()
        });
        self.labelled("  Takes ", self.palette.heading, &said, out)?;
        if !asked(found) && !detailed {
            return Ok(());
        }
        let width = self.options.width.saturating_sub(4);
        let mut list = |lines: Vec<String>| -> io::Result<()> {
            if !lines.is_empty() {
                writeln!(out)?;
            }
            for line in lines {
                writeln!(out, "    {line}")?;
            }
            Ok(())
        };
        for figures in [&found.needs, &found.capacity, &found.at_rate] {
            let rows = rows(figures, detailed);
            if !rows.is_empty() {
                list(table::plain(&[], &rows, &[1], width))?;
            }
        }
        let memory = memory_rows(found, detailed);
        if !memory.is_empty() {
            list(table::plain(&MEMORY_HEADER, &memory, &[2, 3], width))?;
        }
        writeln!(out)?;
        for assumption in &found.assumptions {
            self.paragraph("    ", &format!("assumed: {assumption}"), out)?;
        }
        Ok(())
    }
}

/// The same for a pull request: the sentence, the rest folded away.
pub(super) fn markdown(
    found: &Resources,
    options: &Options,
    out: &mut dyn Write,
) -> io::Result<()> {
    let sentence = sentence(found);
    if sentence.is_none() && !asked(found) {
        return Ok(());
    }
    let said = sentence.unwrap_or_else(|| "not known".to_owned());
    writeln!(
        out,
        "<details><summary>Takes: {}</summary>\n",
        escape(&said)
    )?;
    let mut lines = |header: &[&str], rows: Vec<Vec<String>>| -> io::Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        writeln!(out, "| {} |", header.join(" | "))?;
        writeln!(out, "|{}", "---|".repeat(header.len()))?;
        for row in rows {
            let cells: Vec<String> = row.iter().map(|cell| escape(cell)).collect();
            writeln!(out, "| {} |", cells.join(" | "))?;
        }
        writeln!(out)
    };
    for (title, figures) in [
        ("One execution", &found.needs),
        ("Capacity", &found.capacity),
        ("At the given rate", &found.at_rate),
    ] {
        lines(&[title, "", "How"], rows(figures, options.detailed))?;
    }
    lines(&MEMORY_HEADER, memory_rows(found, options.detailed))?;
    for assumption in &found.assumptions {
        writeln!(out, "- assumed: {}", escape(assumption))?;
    }
    writeln!(out, "\n</details>\n")
}
