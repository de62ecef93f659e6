//! What `why-not` answers, as data and in every format.

use std::io::{self, Write};

use super::build::{self, Builder};
use super::format;
use super::markdown::{
    escape, evidence_table, fence, problem as markdown_problem, suggestion as markdown_suggestion,
};
use super::model::{self, Place, WhyNot, WhyNotCause, WhyNotReport};
use super::prose::{self, paint};
use super::render::Options;
use super::text::{INDENT, Page};
use crate::advise::Analysis;
use crate::advise::why_not::Answer;
use crate::source::{Problem, Sources};
use crate::sql::Statement;
use crate::verify::Engine;

/// The report on one index.
pub fn report(index: &str, answers: Vec<WhyNot>, problems: Vec<model::Problem>) -> WhyNotReport {
    WhyNotReport {
        schema_version: model::SCHEMA_VERSION,
        tool: model::Tool {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        index: index.to_owned(),
        answers,
        problems,
    }
}

/// The JSON Schema of the report.
pub fn schema() -> String {
    let schema = schemars::schema_for!(WhyNotReport);
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

/// A statement without an answer.
pub fn failed(statement: &Statement, problems: &[Problem], sources: &Sources) -> WhyNot {
    WhyNot {
        place: build::place(statement.span, sources),
        sql: statement.text.clone(),
        index: None,
        used: false,
        used_by: Vec::new(),
        cost: None,
        forced: None,
        causes: Vec::new(),
        engine: None,
        problems: problems
            .iter()
            .map(|problem| build::problem(problem, model::Severity::Error, sources))
            .collect(),
        failed: true,
    }
}

/// The answer for one statement.
pub fn answered(
    statement: &Statement,
    answer: &Answer,
    engine: &Engine,
    sources: &Sources,
) -> WhyNot {
    let builder = Builder { sources };
    let plan = Some(&answer.plan);
    let analysis = Analysis {
        statement: Some(statement.clone()),
        ..Analysis::default()
    };
    WhyNot {
        index: Some(model::AskedIndex {
            schema: answer.schema.clone(),
            name: answer.index.clone(),
            table: answer.table.clone(),
            definition: answer.definition.clone(),
        }),
        used: !answer.used_by.is_empty(),
        used_by: answer
            .used_by
            .iter()
            .filter_map(|id| build::node_ref(*id, plan))
            .collect(),
        cost: answer.plan.total_cost().and_then(format::finite),
        forced: answer.forced.as_ref().map(|forced| model::ForcedPlan {
            cost: forced.cost.and_then(format::finite),
            node: forced.nodes.first().map(|id| forced.plan.node(*id).label()),
            by_first_key: forced.by_first_key,
            how: forced.how.clone(),
        }),
        causes: answer
            .causes
            .iter()
            .map(|cause| WhyNotCause {
                kind: cause.kind.name().to_owned(),
                message: cause.message.clone(),
                why: cause.why.clone(),
                place: cause.span.and_then(|span| build::place(span, sources)),
                node: cause.node.and_then(|id| build::node_ref(id, plan)),
                evidence: cause
                    .evidence
                    .iter()
                    .map(|evidence| builder.evidence(evidence, plan))
                    .collect(),
                changes: cause
                    .changes
                    .iter()
                    .map(|change| model::WhyNotChange {
                        used: change.used,
                        suggestion: builder.suggestion(&change.suggestion, &analysis),
                    })
                    .collect(),
            })
            .collect(),
        engine: Some(build::engine(engine)),
        problems: Vec::new(),
        failed: false,
        ..failed(statement, &[], sources)
    }
}

/// Writes the report in the format of that name.
pub fn render(
    report: &WhyNotReport,
    format: &str,
    out: &mut dyn Write,
    options: &Options,
) -> io::Result<()> {
    match format {
        "json" => {
            serde_json::to_writer_pretty(&mut *out, report)?;
            writeln!(out)
        }
        "markdown" => markdown(report, out),
        _ => text(report, out, options),
    }
}

/// The answer in a sentence.
fn verdict(answer: &WhyNot) -> String {
    let name = answer
        .index
        .as_ref()
        .map_or("the index", |index| index.name.as_str());
    if answer.used {
        let nodes: Vec<String> = answer
            .used_by
            .iter()
            .map(|node| format!("plan node {}: {}", node.id, node.label))
            .collect();
        return format!("{name} is used, by {}", nodes.join("; "));
    }
    let chosen = answer.cost.map_or_else(String::new, |cost| {
        format!("; the plan costs {}", format::cost(cost))
    });
    match &answer.forced {
        Some(forced) if forced.by_first_key => format!(
            "{name} is not used: it matches the statement, and costs more{chosen}{}",
            forced.cost.map_or_else(String::new, |cost| format!(
                ", and {} with it",
                format::cost(cost)
            ))
        ),
        Some(_) => format!(
            "{name} is not used: it cannot find the rows, only be read from end to end{chosen}"
        ),
        None => format!("{name} is not used: no plan with it could be had{chosen}"),
    }
}

/// Whether the planner takes the index with a change.
fn taken(used: Option<bool>) -> Option<&'static str> {
    match used {
        Some(true) => Some("with it the planner uses the index"),
        Some(false) => Some("the planner does not use the index with it"),
        None => None,
    }
}

fn location(cause: &WhyNotCause) -> Option<String> {
    let place = cause.place.as_ref().map(Place::text);
    let node = cause
        .node
        .as_ref()
        .map(|node| format!("plan node {}: {}", node.id, node.label));
    match (place, node) {
        (Some(place), Some(node)) => Some(format!("{place}, {node}")),
        (place, node) => place.or(node),
    }
}

fn text(report: &WhyNotReport, out: &mut dyn Write, options: &Options) -> io::Result<()> {
    let page = Page::new(options);
    for (at, answer) in report.answers.iter().enumerate() {
        if at > 0 {
            writeln!(out)?;
        }
        let place = answer
            .place
            .as_ref()
            .map_or_else(|| "statement".to_owned(), Place::text);
        page.title(&place, Some(&answer.sql), out)?;
        for problem in &answer.problems {
            writeln!(out)?;
            page.problem(problem, out)?;
        }
        if let Some(index) = &answer.index {
            writeln!(out)?;
            page.labelled(
                &prose::left("  index", INDENT - 2),
                page.palette.dim,
                &index.definition,
                out,
            )?;
            let style = if answer.used {
                page.palette.good
            } else {
                page.palette.heading
            };
            page.labelled(
                &prose::left("  answer", INDENT - 2),
                style,
                &verdict(answer),
                out,
            )?;
        }
        for cause in &answer.causes {
            writeln!(out)?;
            text_cause(&page, cause, out)?;
        }
        if let Some(engine) = &answer.engine
            && !options.brief
        {
            writeln!(out)?;
            page.styled_paragraph(
                "  ",
                &format!("planner: {}", engine.description),
                page.palette.dim,
                out,
            )?;
            for note in &engine.notes {
                page.styled_paragraph("  ", note, page.palette.dim, out)?;
            }
        }
    }
    for problem in report.problems.iter().filter(|_| options.problems) {
        writeln!(out)?;
        page.problem(problem, out)?;
    }
    Ok(())
}

fn text_cause(page: &Page<'_>, cause: &WhyNotCause, out: &mut dyn Write) -> io::Result<()> {
    page.labelled(
        &prose::left("because", INDENT - 2),
        page.palette.warning,
        &format!("{}: {}", cause.kind, cause.message),
        out,
    )?;
    if let Some(place) = location(cause) {
        page.labelled(
            &prose::left("  where", INDENT - 2),
            page.palette.dim,
            &place,
            out,
        )?;
    }
    page.evidence(&cause.evidence, out)?;
    page.labelled(
        &prose::left("  why", INDENT - 2),
        page.palette.dim,
        &cause.why,
        out,
    )?;
    for (at, change) in cause.changes.iter().enumerate() {
        let label = match (cause.changes.len(), at) {
            (1, _) => "  do".to_owned(),
            (_, 0) => "  do 1".to_owned(),
            (_, at) => format!("  or {}", at + 1),
        };
        writeln!(out)?;
        page.suggestion(&label, &change.suggestion, out)?;
        if let Some(said) = taken(change.used) {
            let style = if change.used == Some(true) {
                page.palette.good
            } else {
                page.palette.warning
            };
            writeln!(out, "{}{}", " ".repeat(INDENT), paint(style, said))?;
        }
    }
    Ok(())
}

fn markdown(report: &WhyNotReport, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "## pgadvise why-not {}\n", escape(&report.index))?;
    for problem in &report.problems {
        markdown_problem(problem, out)?;
    }
    for answer in &report.answers {
        let place = answer
            .place
            .as_ref()
            .map_or_else(|| "Statement".to_owned(), Place::text);
        writeln!(out, "### {}\n", escape(&place))?;
        fence("sql", &answer.sql, out)?;
        for problem in &answer.problems {
            markdown_problem(problem, out)?;
        }
        if let Some(index) = &answer.index {
            writeln!(out, "{}\n", escape(&verdict(answer)))?;
            fence("sql", &index.definition, out)?;
        }
        for cause in &answer.causes {
            writeln!(
                out,
                "#### {}: {}\n",
                escape(&cause.kind),
                escape(&cause.message)
            )?;
            if let Some(place) = location(cause) {
                writeln!(out, "{}\n", escape(&place))?;
            }
            writeln!(out, "{}\n", escape(&cause.why))?;
            evidence_table(&cause.evidence, out)?;
            for change in &cause.changes {
                markdown_suggestion(&change.suggestion, out)?;
                if let Some(said) = taken(change.used) {
                    writeln!(out, "{}\n", escape(said))?;
                }
            }
        }
        if let Some(engine) = &answer.engine {
            writeln!(out, "<sub>planner: {}</sub>\n", escape(&engine.description))?;
        }
    }
    Ok(())
}
