//! What a supposed change does, as the report's types and in words. The
//! formats only lay it out.

use super::build;
use super::format::{self, plural};
use super::model::{
    self, ChangeStatus, ComparedNode, NodeChange, NodeNumbers, PlanSameness, Report,
    StatementWhatIf, WhatIf, WhatIfChange, WhatIfIndex, WhatIfWrites,
};
use super::prose;
use crate::advise::what_if::{Compared, Tried};
use crate::plan::compare::{Comparison, Sameness};
use crate::plan::{NodeId, PlanGraph};
use crate::source::{Sources, Span};
use crate::verify::compare::NOTICEABLE;
use crate::verify::{ChangeOutcome, SupposedChange};

/// Nodes shown unless every detail is asked for.
const MOST: usize = 60;
/// Unchanged nodes shown around those that change.
const AROUND: usize = 2;

/// Puts what was tried into the report. `spans` say where each statement of
/// the change stands.
pub fn attach(report: &mut Report, tried: &Tried, spans: &[Span], sources: &Sources) {
    let changes: Vec<WhatIfChange> = tried
        .changes
        .iter()
        .enumerate()
        .map(|(at, supposed)| change(supposed, spans.get(at).copied(), tried, sources))
        .collect();
    for refused in changes
        .iter()
        .filter(|change| change.status == ChangeStatus::Refused)
    {
        report.problems.push(model::Problem {
            kind: model::ProblemKind::Input,
            severity: model::Severity::Error,
            message: format!(
                "the server refused a statement of the change: {}",
                refused.message.as_deref().unwrap_or_default()
            ),
            causes: Vec::new(),
            place: refused.error_place.clone().or(refused.place.clone()),
            hints: refused.hints.clone(),
        });
    }
    let mut what_if = WhatIf {
        engine: build::engine(&tried.engine),
        changes,
        writes: tried
            .writes
            .iter()
            .map(|writes| WhatIfWrites {
                schema: writes.table.0.clone(),
                table: writes.table.1.clone(),
                indexes_before: writes.before,
                indexes_after: writes.after,
                no_longer_hot: writes.no_longer_hot.clone(),
            })
            .collect(),
        compared: 0,
        better: 0,
        worse: 0,
        broken: 0,
        before_cost: None,
        after_cost: None,
        cost_change: None,
    };
    for (statement, compared) in report.statements.iter_mut().zip(&tried.statements) {
        let Some(compared) = compared else { continue };
        let found = statement_of(compared, statement.explain.as_ref());
        match (found.before_cost, found.after_cost) {
            (Some(before), Some(after)) if after < before * NOTICEABLE => what_if.better += 1,
            (Some(before), Some(after)) if after > before / NOTICEABLE => what_if.worse += 1,
            _ => {}
        }
        if let Some(error) = &found.error {
            what_if.broken += 1;
            report.problems.push(model::Problem {
                kind: model::ProblemKind::Input,
                severity: model::Severity::Error,
                message: format!("with the change the server cannot plan this: {error}"),
                causes: Vec::new(),
                place: statement.place.clone(),
                hints: Vec::new(),
            });
        }
        statement.what_if = Some(found);
    }
    for (at, why) in &tried.unplanned {
        if let Some(statement) = report.statements.get_mut(*at) {
            statement.failed = true;
            statement.problems.push(model::Problem {
                kind: model::ProblemKind::Database,
                severity: model::Severity::Error,
                message: format!(
                    "the change was not tried on this statement: {} cannot plan it: {why}",
                    tried.engine.description
                ),
                causes: Vec::new(),
                place: statement.place.clone(),
                hints: Vec::new(),
            });
        }
    }
    let total = tried.total();
    if total.statements > 0 {
        what_if.compared = total.statements;
        what_if.before_cost = format::finite(total.before);
        what_if.after_cost = format::finite(total.after);
        what_if.cost_change = rise(total.before, total.after);
    }
    report.what_if = Some(what_if);
    report.count();
}

fn change(
    supposed: &SupposedChange,
    span: Option<Span>,
    tried: &Tried,
    sources: &Sources,
) -> WhatIfChange {
    let (status, message, hints, position) = match &supposed.outcome {
        ChangeOutcome::Applied => (ChangeStatus::Applied, None, Vec::new(), None),
        ChangeOutcome::LeftOut { why } => {
            (ChangeStatus::LeftOut, Some(why.clone()), Vec::new(), None)
        }
        ChangeOutcome::Refused {
            message,
            detail,
            hint,
            position,
        } => (
            ChangeStatus::Refused,
            Some(message.clone()),
            detail.iter().chain(hint).cloned().collect(),
            *position,
        ),
    };
    let error_place = span.zip(position).and_then(|(span, position)| {
        let at = (span.start + position).min(span.end);
        let end = sources
            .get(span.source)
            .and_then(|text| text.text().get(at..span.end))
            .and_then(|rest| rest.chars().next())
            .map_or(at, |first| at + first.len_utf8());
        build::place(Span::new(span.source, at..end), sources)
    });
    WhatIfChange {
        place: span.and_then(|span| build::place(span, sources)),
        sql: supposed.sql.clone(),
        status,
        message,
        hints,
        error_place,
        indexes: supposed
            .indexes
            .iter()
            .map(|index| WhatIfIndex {
                name: index.name.clone(),
                table: supposed
                    .tables
                    .iter()
                    .find(|table| table.made.contains(&index.name))
                    .map(|table| named(&table.schema, &table.name)),
                bytes: index.bytes.and_then(format::finite),
                size_from: index.how.to_owned(),
                used_by: tried.used_by(index),
            })
            .collect(),
        dropped_indexes: supposed
            .tables
            .iter()
            .flat_map(|table| table.dropped.iter().cloned())
            .collect(),
        notes: supposed.notes.clone(),
    }
}

/// A table, with its schema where that is not the usual one.
fn named(schema: &str, table: &str) -> String {
    if schema == "public" {
        table.to_owned()
    } else {
        format!("{schema}.{table}")
    }
}

/// The share by which a cost rises.
fn rise(before: f64, after: f64) -> Option<f64> {
    if before > 0.0 {
        format::finite((after - before) / before)
    } else {
        None
    }
}

fn statement_of(compared: &Compared, explain: Option<&serde_json::Value>) -> StatementWhatIf {
    let before = &compared.before;
    let document = |plan: &PlanGraph| serde_json::Value::Array(vec![plan.document.clone()]);
    let explain_before = Some(document(before)).filter(|found| Some(found) != explain);
    let before_cost = before.total_cost().and_then(format::finite);
    let after = match &compared.after {
        Ok(after) => after,
        Err(error) => {
            return StatementWhatIf {
                before_cost,
                after_cost: None,
                cost_change: None,
                plan: None,
                plan_change: None,
                indexes_newly_used: Vec::new(),
                indexes_no_longer_used: Vec::new(),
                nodes: Vec::new(),
                after: None,
                explain_before,
                explain_after: None,
                error: Some(error.to_string()),
            };
        }
    };
    let after_cost = after.plan.total_cost().and_then(format::finite);
    StatementWhatIf {
        before_cost,
        after_cost,
        cost_change: before_cost
            .zip(after_cost)
            .and_then(|(before, after)| rise(before, after)),
        plan: Some(match after.comparison.sameness {
            Sameness::Same => PlanSameness::Same,
            Sameness::OtherEstimates => PlanSameness::OtherEstimates,
            Sameness::Other => PlanSameness::Other,
        }),
        plan_change: after.change.clone(),
        indexes_newly_used: after.newly_used.clone(),
        indexes_no_longer_used: after.no_longer_used.clone(),
        nodes: nodes(&after.comparison, before, &after.plan),
        after: Some(build::plan_table(&after.plan)),
        explain_before,
        explain_after: Some(document(&after.plan)),
        error: None,
    }
}

fn nodes(comparison: &Comparison, before: &PlanGraph, after: &PlanGraph) -> Vec<ComparedNode> {
    let numbers = |plan: &PlanGraph, id: NodeId| {
        plan.node(id).estimate.map(|estimate| NodeNumbers {
            cost: format::finite(estimate.total_cost),
            rows: format::finite(estimate.rows),
        })
    };
    comparison
        .lines
        .iter()
        .filter_map(|line| {
            let (change, node) = match (line.before, line.after) {
                (Some(_), Some(id)) => (NodeChange::Kept, after.node(id)),
                (Some(id), None) => (NodeChange::Gone, before.node(id)),
                (None, Some(id)) => (NodeChange::New, after.node(id)),
                (None, None) => return None,
            };
            Some(ComparedNode {
                change,
                depth: line.depth,
                label: node.label(),
                conditions: node
                    .conditions
                    .iter()
                    .map(|condition| model::Condition {
                        role: build::role_name(condition.role).to_owned(),
                        text: condition.text.clone(),
                    })
                    .collect(),
                before: line.before.and_then(|id| numbers(before, id)),
                after: line.after.and_then(|id| numbers(after, id)),
            })
        })
        .collect()
}

/// `cost 2,337 → 14.58, 99.4 % less`; whether that is good, where it is either.
pub(super) fn costs(before: Option<f64>, after: Option<f64>) -> (Option<bool>, String) {
    let (Some(before), Some(after)) = (before, after) else {
        return (None, "the plans have no costs".to_owned());
    };
    let costs = format!("cost {} → {}", format::cost(before), format::cost(after));
    let good = if after < before * NOTICEABLE {
        Some(true)
    } else if after > before / NOTICEABLE {
        Some(false)
    } else {
        None
    };
    #[expect(
        clippy::float_cmp,
        reason = "the same plan has the same cost to the digit"
    )]
    let same = before == after;
    if same {
        return (good, format!("cost {}, as before", format::cost(after)));
    }
    if before <= 0.0 {
        return (good, costs);
    }
    let share = (after - before) / before;
    let words = match (share < 0.0, share.abs()) {
        (true, by) => format!("{} less", format::share(by)),
        (false, by) if by >= 1.0 => format!("{} as much", format::factor(after / before)),
        (false, by) => format!("{} more", format::share(by)),
    };
    (good, format!("{costs}, {words}"))
}

/// What became of a statement's plan, the most important first; whether that
/// is good.
pub(super) fn sentences(found: &StatementWhatIf) -> (Option<bool>, Vec<String>) {
    if let Some(error) = &found.error {
        return (
            Some(false),
            vec![format!(
                "with the change the server cannot plan this statement: {error}"
            )],
        );
    }
    let (good, cost) = costs(found.before_cost, found.after_cost);
    let mut said = vec![cost];
    match found.plan {
        Some(PlanSameness::Same) => said.push("the plan does not change".to_owned()),
        Some(PlanSameness::OtherEstimates) => {
            said.push("the plan does not change, only its estimates do".to_owned());
        }
        Some(PlanSameness::Other) => said.push(match &found.plan_change {
            Some(change) => change.clone(),
            None => "the same nodes with other conditions or in another order".to_owned(),
        }),
        None => {}
    }
    if !found.indexes_newly_used.is_empty() {
        said.push(format!("now uses {}", found.indexes_newly_used.join(", ")));
    }
    if !found.indexes_no_longer_used.is_empty() {
        said.push(format!(
            "no longer uses {}",
            found.indexes_no_longer_used.join(", ")
        ));
    }
    (good, said)
}

/// What became of a statement of the change, the most important first.
pub(super) fn outcome(change: &WhatIfChange, statements: usize) -> Vec<String> {
    let message = change.message.as_deref().unwrap_or_default();
    let mut said = vec![match change.status {
        ChangeStatus::Applied => "applied".to_owned(),
        ChangeStatus::LeftOut => format!("left out: {message}"),
        ChangeStatus::Refused => match &change.error_place {
            Some(place) => format!("refused: {message} (at {})", place.text()),
            None => format!("refused: {message}"),
        },
    }];
    said.extend(change.hints.iter().map(|hint| format!("hint: {hint}")));
    for index in &change.indexes {
        let size = index.bytes.map_or_else(
            || "its size is not known".to_owned(),
            |bytes| format!("{}, {}", format::bytes(bytes), index.size_from),
        );
        let used = match (index.used_by, statements) {
            (0, 1) => "not used".to_owned(),
            (1, 1) => "used".to_owned(),
            (0, _) => "used by none of the statements".to_owned(),
            (used, all) => format!(
                "used by {used} of {}",
                plural(all, "statement", "statements")
            ),
        };
        let on = index
            .table
            .as_ref()
            .map_or_else(String::new, |table| format!(" on {table}"));
        said.push(format!("index {}{on}: {size}; {used}", index.name));
    }
    if !change.dropped_indexes.is_empty() {
        said.push(format!("drops {}", change.dropped_indexes.join(", ")));
    }
    said.extend(change.notes.iter().cloned());
    said
}

/// What the change means to those who write to a table.
pub(super) fn writes(writes: &WhatIfWrites) -> String {
    let (before, after) = (writes.indexes_before, writes.indexes_after);
    let mut parts = Vec::new();
    if before != after {
        parts.push(format!(
            "each INSERT into {} writes {} instead of {before}",
            named(&writes.schema, &writes.table),
            plural(after, "index entry", "index entries")
        ));
    }
    if !writes.no_longer_hot.is_empty() {
        parts.push(format!(
            "an UPDATE of {} that sets {} can no longer be a HOT update",
            named(&writes.schema, &writes.table),
            writes.no_longer_hot.join(" or ")
        ));
    }
    parts.join("; ")
}

/// All statements together; `None` for fewer than two.
pub(super) fn total(found: &WhatIf) -> Option<(Option<bool>, String)> {
    if found.compared + found.broken < 2 {
        return None;
    }
    let (good, cost) = costs(found.before_cost, found.after_cost);
    let mut parts = Vec::new();
    for (number, words) in [
        (found.better, "cheaper"),
        (found.worse, "dearer"),
        (
            found.compared.saturating_sub(found.better + found.worse),
            "about as before",
        ),
        (found.broken, "without a plan"),
    ] {
        if number > 0 {
            parts.push(format!("{number} {words}"));
        }
    }
    let good = if found.broken > 0 { Some(false) } else { good };
    Some((
        good,
        format!(
            "{cost}; {}, each counted once: {}",
            plural(found.compared + found.broken, "statement", "statements"),
            parts.join(", ")
        ),
    ))
}

/// A line of the two plans: its mark, cost and rows before and after, and the
/// node.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) mark: char,
    pub(super) text: String,
}

/// Both plans as lines of a table, `-` before what is gone and `+` before what
/// is new. Empty where the plan is the same.
pub(super) fn rows(found: &StatementWhatIf, width: usize, detailed: bool) -> Vec<Row> {
    if matches!(found.plan, None | Some(PlanSameness::Same)) {
        return Vec::new();
    }
    let shown = shown(found, detailed);
    let number = |value: Option<f64>, show: fn(f64) -> String| value.map_or_else(String::new, show);
    let cells: Vec<[String; 4]> = shown
        .iter()
        .map(|at| {
            let node = at.and_then(|at| found.nodes.get(at));
            let before = node.and_then(|node| node.before);
            let after = node.and_then(|node| node.after);
            [
                number(before.and_then(|n| n.cost), format::cost),
                number(after.and_then(|n| n.cost), format::cost),
                number(before.and_then(|n| n.rows), format::count),
                number(after.and_then(|n| n.rows), format::count),
            ]
        })
        .collect();
    let titles = ["cost before", "after", "rows before", "after"];
    let widths: Vec<usize> = titles
        .iter()
        .enumerate()
        .map(|(column, title)| {
            cells
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| prose::width(cell))
                .chain(std::iter::once(prose::width(title)))
                .max()
                .unwrap_or(0)
        })
        .collect();
    let line = |mark: char, row: &[String], rest: &str| {
        let numbers: String = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| prose::right(cell, *width) + "  ")
            .collect();
        format!("{mark} {numbers}{rest}").trim_end().to_owned()
    };
    let numbers: usize = widths.iter().map(|width| width + 2).sum::<usize>() + 2;
    let room = width.saturating_sub(numbers).max(28);
    let titles: Vec<String> = titles.iter().map(|title| (*title).to_owned()).collect();
    let mut rows = vec![Row {
        mark: ' ',
        text: line(' ', &titles, "node"),
    }];
    let blank = [const { String::new() }; 4];
    for (at, cells) in shown.iter().zip(&cells) {
        let Some(node) = at.and_then(|at| found.nodes.get(at)) else {
            rows.push(Row {
                mark: ' ',
                text: line(' ', &blank, "…"),
            });
            continue;
        };
        let mark = match node.change {
            NodeChange::Kept => ' ',
            NodeChange::Gone => '-',
            NodeChange::New => '+',
        };
        let indent = "  ".repeat(node.depth.min(room / 4));
        rows.push(Row {
            mark,
            text: line(
                mark,
                cells,
                &prose::cut(&format!("{indent}{}", node.label), room),
            ),
        });
        if node.change != NodeChange::Kept {
            for condition in &node.conditions {
                let text = format!("{indent}  {}: {}", condition.role, condition.text);
                rows.push(Row {
                    mark,
                    text: line(
                        mark,
                        &blank,
                        &prose::cut(&prose::one_line(&text, room + indent.len()), room),
                    ),
                });
            }
        }
    }
    rows
}

/// Which nodes to show: all, or where there are too many those that change
/// with their neighbours; `None` stands for a gap.
fn shown(found: &StatementWhatIf, detailed: bool) -> Vec<Option<usize>> {
    let count = found.nodes.len();
    if detailed || count <= MOST {
        return (0..count).map(Some).collect();
    }
    let changes = |at: usize| {
        found
            .nodes
            .get(at)
            .is_some_and(|node| node.change != NodeChange::Kept)
    };
    let mut shown: Vec<Option<usize>> = Vec::new();
    for at in 0..count {
        let near = at == 0 || (at.saturating_sub(AROUND)..=at + AROUND).any(changes);
        if near && shown.len() < MOST {
            shown.push(Some(at));
        } else if shown.last().is_some_and(Option::is_some) {
            shown.push(None);
        }
    }
    shown
}
