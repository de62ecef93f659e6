//! One statement: its numbers, its findings, its plan in three views, its SQL,
//! and everything else that is known of it.

use askama::Template;

use super::page::Html;
use super::picture::Picture;
use super::{finding, flame, node, outline, sql, text, tree};
use crate::report::format;
use crate::report::model::{
    ComparedNode, Figure, Level, NodeChange, Plan, PlanFrom, Problem, Property, Resources, RunPart,
    Severity, Statement,
};
use crate::report::{parameters, prose, summary, what_if};

/// Findings that are open when the page is.
const OPEN: usize = 2;
/// Trees of more boxes are shown as rows first.
const TREE_FIRST: usize = 45;
/// Trees of more boxes are not drawn: nobody finds anything in them.
const TREE_MOST: usize = 4_000;
/// Larger plans are too large for a page; the formats for programs have them.
const NODES_MOST: usize = 30_000;

#[derive(Template)]
#[template(path = "statement.html")]
struct StatementPage<'a> {
    prefix: &'a str,
    number: usize,
    among_others: bool,
    is_open: bool,
    title: String,
    counts: Vec<(Level, usize)>,
    facts: Vec<(&'static str, String)>,
    sql: Option<Html>,
    findings: Vec<Html>,
    nothing_found: Option<String>,
    plan: Option<PlanPage<'a>>,
    problems: Vec<ProblemPage<'a>>,
    resources: Option<&'a Resources>,
    figures: Vec<(&'static str, &'a [Figure])>,
    parameters: Option<(String, Option<parameters::Table>)>,
    what_if: Option<WhatIfPage>,
    silenced: Vec<String>,
    checked: Vec<String>,
}

struct PlanPage<'a> {
    timed: bool,
    /// `tree`, `flame` or `rows`.
    first: &'static str,
    tree: Option<Html>,
    flame: Option<Html>,
    rows: Html,
    nodes: Html,
    settings: &'a [Property],
    triggers: Vec<[String; 4]>,
    parts: &'a [RunPart],
    query_id: Option<&'a str>,
    remainder: Option<String>,
}

struct WhatIfPage {
    sentences: Vec<String>,
    rows: Vec<[String; 5]>,
}

/// A problem with its place.
pub(super) struct ProblemPage<'a> {
    pub(super) problem: &'a Problem,
    pub(super) is_error: bool,
    pub(super) place: String,
}

/// The problems of a statement or of a run.
pub(super) fn problems(problems: &[Problem]) -> Vec<ProblemPage<'_>> {
    problems
        .iter()
        .map(|problem| ProblemPage {
            problem,
            is_error: problem.severity == Severity::Error,
            place: problem
                .place
                .as_ref()
                .map_or_else(String::new, |place| format!("{}: ", place.text())),
        })
        .collect()
}

/// What a statement is called in headings and lists.
pub(super) fn title(statement: &Statement) -> String {
    if let Some(place) = &statement.place {
        return place.text();
    }
    match &statement.plan_from {
        Some(PlanFrom::File { file }) => file.clone(),
        _ => "Plan".to_owned(),
    }
}

/// The statement's text, or that of the plan's record in a log.
pub(super) fn text_of(statement: &Statement) -> Option<&str> {
    statement.sql.as_deref().or_else(|| {
        statement
            .plan
            .as_ref()
            .and_then(|plan| plan.run.query_text.as_deref())
    })
}

/// How many findings there are of each level, the worst first.
pub(super) fn counts(statement: &Statement) -> Vec<(Level, usize)> {
    [Level::Critical, Level::Warning, Level::Note]
        .into_iter()
        .map(|level| {
            let count = statement
                .findings
                .iter()
                .filter(|finding| finding.level == level)
                .count();
            (level, count)
        })
        .filter(|(_, count)| *count > 0)
        .collect()
}

/// The statement's time or cost, as it is shown in lists.
pub(super) fn price(statement: &Statement) -> String {
    let Some(plan) = &statement.plan else {
        return String::new();
    };
    match measured(plan) {
        Some(ms) => format::ms(ms),
        None => plan
            .total_cost
            .map_or_else(String::new, |cost| format!("cost {}", format::cost(cost))),
    }
}

fn measured(plan: &Plan) -> Option<f64> {
    plan.execution_ms
        .or_else(|| plan.nodes.first().and_then(|node| node.total_ms))
        .filter(|_| plan.executed)
}

/// The statement's section.
pub(super) fn draw(
    statement: &Statement,
    number: usize,
    prefix: &str,
    among_others: bool,
    is_open: bool,
) -> Html {
    let text_of = text_of(statement);
    let marked = match (&statement.sql, text_of) {
        (Some(_), Some(text)) => sql::marked(statement, text),
        _ => Vec::new(),
    };
    let timed = statement
        .plan
        .as_ref()
        .is_some_and(|plan| plan.nodes.iter().any(|node| node.self_ms.is_some()));
    let page = StatementPage {
        prefix,
        number,
        among_others,
        is_open,
        title: text::shorten(&title(statement), 300).0.to_owned(),
        counts: counts(statement),
        facts: facts(statement),
        sql: text_of.map(|text| sql::draw(statement, text, prefix)),
        findings: statement
            .findings
            .iter()
            .enumerate()
            .map(|(at, found)| {
                let is_marked = marked.contains(&(at + 1));
                let is_open = at == 0 || statement.findings.len() <= OPEN;
                finding::draw(found, at + 1, prefix, is_open, is_marked, timed)
            })
            .collect(),
        nothing_found: (statement.findings.is_empty()
            && !statement.failed
            && summary::was_checked(statement))
        .then(|| summary::nothing_found(statement)),
        plan: statement
            .plan
            .as_ref()
            .filter(|plan| !plan.nodes.is_empty())
            .map(|plan| plan_page(statement, plan, prefix)),
        problems: problems(&statement.problems),
        resources: statement.resources.as_ref(),
        figures: statement
            .resources
            .as_ref()
            .map(figures)
            .unwrap_or_default(),
        parameters: statement
            .parameters
            .as_ref()
            .map(|found| (parameters::summary(found), parameters::table(found, true))),
        what_if: statement.what_if.as_ref().map(|found| WhatIfPage {
            sentences: what_if::sentences(found).1,
            rows: found
                .nodes
                .iter()
                .filter(|_| {
                    found
                        .nodes
                        .iter()
                        .any(|node| node.change != NodeChange::Kept)
                })
                .take(500)
                .map(compared)
                .collect(),
        }),
        silenced: statement
            .suppressed
            .iter()
            .map(|silenced| {
                format!(
                    "{} ({}): {}",
                    silenced.finding.message,
                    silenced.finding.rule,
                    silenced.reason.as_deref().unwrap_or("no reason is given")
                )
            })
            .collect(),
        checked: summary::checked(statement, true),
    };
    // Writing to a string cannot fail.
    Html::trusted(page.render().unwrap_or_default())
}

fn plan_page<'a>(statement: &'a Statement, plan: &'a Plan, prefix: &'a str) -> PlanPage<'a> {
    let picture = Picture::new(statement, plan, prefix);
    let is_huge = plan.nodes.len() > NODES_MOST;
    let boxes = plan.nodes.len() - picture.folded.iter().filter(|folded| **folded).count();
    let tree = (boxes <= TREE_MOST && !is_huge).then(|| tree::draw(&picture));
    let first = match &tree {
        Some(tree) if tree.boxes <= TREE_FIRST => "tree",
        _ => "rows",
    };
    let messages: Vec<String> = statement
        .findings
        .iter()
        .map(|finding| text::shorten(&finding.message, 500).0.to_owned())
        .collect();
    PlanPage {
        timed: picture.timed,
        first,
        tree: tree.map(|tree| Html::trusted(tree.svg)),
        flame: flame::draw(&picture).map(Html::trusted),
        rows: if is_huge {
            Html::text(&format!(
                "The plan has {}, too many for a page. `--format json` has them all.",
                format::plural(plan.nodes.len(), "node", "nodes")
            ))
        } else {
            Html::trusted(outline::draw(&picture))
        },
        nodes: if is_huge {
            Html::default()
        } else {
            node::draw(&picture, &messages)
        },
        settings: &plan.run.settings,
        triggers: plan
            .run
            .triggers
            .iter()
            .map(|trigger| {
                [
                    trigger.name.clone(),
                    trigger.relation.clone().unwrap_or_default(),
                    format::count(trigger.calls),
                    trigger.ms.map_or_else(String::new, format::ms),
                ]
            })
            .collect(),
        parts: &plan.run.parts,
        query_id: plan.run.query_id.as_deref(),
        remainder: (plan.remainder_ms.abs() >= 0.0005).then(|| format::ms(plan.remainder_ms)),
    }
}

/// What a statement takes, under headings.
fn figures(found: &Resources) -> Vec<(&'static str, &[Figure])> {
    [
        ("One execution takes", found.needs.as_slice()),
        ("What a server can carry", found.capacity.as_slice()),
        ("At the given rate", found.at_rate.as_slice()),
    ]
    .into_iter()
    .filter(|(_, figures)| !figures.is_empty())
    .collect()
}

/// The numbers at the head of a statement.
fn facts(statement: &Statement) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if let Some(plan) = &statement.plan {
        if let Some(ms) = measured(plan) {
            facts.push(("Execution", format::ms(ms)));
        } else if plan.executed {
            facts.push(("Execution", "not timed".to_owned()));
        } else {
            facts.push(("Execution", "not executed".to_owned()));
        }
        if let Some(ms) = plan.planning_ms {
            facts.push(("Planning", format::ms(ms)));
        }
        if let Some(cost) = plan.total_cost {
            facts.push(("Estimated cost", format::cost(cost)));
        }
        if let Some(root) = plan.nodes.first() {
            if let Some(rows) = root.rows_actual.filter(|_| plan.executed) {
                facts.push(("Rows", format::count(rows)));
            } else if let Some(rows) = root.rows_estimated {
                facts.push(("Rows expected", format::count(rows)));
            }
            if let Some(all) = root.details.buffers {
                let touched = all.shared_hit + all.shared_read + all.local_hit + all.local_read;
                if touched > 0.0 {
                    facts.push(("Blocks touched", format::bytes(touched * 8192.0)));
                }
                if all.shared_read > 0.0 {
                    facts.push(("Read", format::bytes(all.shared_read * 8192.0)));
                }
                if all.temp_written > 0.0 {
                    facts.push(("Temporary", format::bytes(all.temp_written * 8192.0)));
                }
            }
        }
        facts.push(("Nodes", format::count(plan.nodes.len() as f64)));
    }
    let engine = match (&statement.engine, &statement.plan_from) {
        (Some(engine), _) | (None, Some(PlanFrom::Planner { engine })) => Some(engine),
        _ => None,
    };
    if let Some(engine) = engine {
        facts.push(("Planner", engine.description.clone()));
    }
    if let (Some(_), Some(PlanFrom::File { file })) = (&statement.place, &statement.plan_from) {
        facts.push(("Plan from", text::shorten(file, 200).0.to_owned()));
    }
    facts
}

/// A line of two plans: its mark, its node, and what changes.
fn compared(node: &ComparedNode) -> [String; 5] {
    let cost = |numbers: Option<super::super::model::NodeNumbers>| {
        numbers
            .and_then(|numbers| numbers.cost)
            .map_or_else(String::new, format::cost)
    };
    [
        match node.change {
            NodeChange::Kept => "kept",
            NodeChange::Gone => "gone",
            NodeChange::New => "new",
        }
        .to_owned(),
        format!("d{}", node.depth.min(40)),
        prose::cut(&node.label, 300),
        cost(node.before),
        cost(node.after),
    ]
}
