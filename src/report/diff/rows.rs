//! What of two plans is shown: which nodes, and their cells. The formats lay
//! it out.

use super::words;
use crate::report::format;
use crate::report::model::diff::{
    DiffNode, DiffNodeNumbers, DiffStatus, PlanComparison, SqlChange,
};

/// Nodes shown unless every detail is asked for.
const MOST: usize = 60;
/// Nodes that do the same shown around those that do not.
const AROUND: usize = 2;
/// Of the nodes that do the same, so many with the largest differences in time
/// are shown.
const CARRIERS: usize = 8;

/// A line of the two plans.
#[derive(Debug)]
pub(super) enum Row<'a> {
    /// A node.
    Node(&'a DiffNode),
    /// So many nodes that are not shown.
    Gap(usize),
}

/// `~` for what changed, `-` for what is gone, `+` for what is new.
pub(super) fn mark(status: DiffStatus) -> char {
    match status {
        DiffStatus::Same => ' ',
        DiffStatus::Changed => '~',
        DiffStatus::Gone => '-',
        DiffStatus::New => '+',
    }
}

/// The same for a line of SQL.
pub(super) fn sql_mark(change: SqlChange) -> char {
    match change {
        SqlChange::Kept => ' ',
        SqlChange::Gone => '-',
        SqlChange::New => '+',
    }
}

/// The nodes to show.
pub(super) fn rows(found: &PlanComparison, detailed: bool) -> Vec<Row<'_>> {
    let nodes = &found.nodes;
    if detailed || nodes.len() <= MOST {
        return nodes.iter().map(Row::Node).collect();
    }
    let mut weight: Vec<(usize, f64)> = nodes
        .iter()
        .enumerate()
        .map(|(at, node)| (at, node.self_ms_difference.unwrap_or_default().abs()))
        .collect();
    weight.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let mut chosen = vec![false; nodes.len()];
    let mut choose = |at: usize| {
        if let Some(mark) = chosen.get_mut(at) {
            *mark = true;
        }
    };
    choose(0);
    for (at, ms) in weight.iter().take(CARRIERS) {
        if *ms > 0.0 {
            choose(*at);
        }
    }
    let changed: Vec<usize> = weight
        .iter()
        .map(|(at, _)| *at)
        .filter(|at| {
            nodes
                .get(*at)
                .is_some_and(|node| node.status != DiffStatus::Same)
        })
        .take(MOST - CARRIERS)
        .collect();
    let few = changed.len() * (2 * AROUND + 1) <= MOST;
    for at in changed {
        let around = if few { AROUND } else { 0 };
        (at.saturating_sub(around)..=at + around).for_each(&mut choose);
    }
    let mut rows = Vec::new();
    let mut gap = 0;
    for (node, chosen) in nodes.iter().zip(chosen) {
        if !chosen {
            gap += 1;
            continue;
        }
        if gap > 0 {
            rows.push(Row::Gap(std::mem::take(&mut gap)));
        }
        rows.push(Row::Node(node));
    }
    if gap > 0 {
        rows.push(Row::Gap(gap));
    }
    rows
}

/// What a node is called, with what it was called where that differs.
pub(super) fn label(node: &DiffNode) -> String {
    match (&node.label_before, &node.label_after) {
        (Some(before), Some(after)) if before != after => format!("{before} → {after}"),
        (_, Some(label)) | (Some(label), None) => label.clone(),
        (None, None) => String::new(),
    }
}

/// What a node does otherwise, one line each; what its name shows already is
/// not repeated.
pub(super) fn details(node: &DiffNode) -> Vec<String> {
    let mut lines: Vec<String> = node
        .changes
        .iter()
        .filter(|change| {
            !matches!(
                change.what.as_str(),
                "method" | "relation" | "join type" | "alias"
            )
        })
        .filter(|change| {
            change.what != "index"
                || [&change.before, &change.after]
                    .into_iter()
                    .flatten()
                    .any(|name| {
                        let shown = label(node);
                        !shown.contains(name.as_str())
                    })
        })
        .map(|change| match (&change.before, &change.after) {
            (Some(before), Some(after)) => format!("{}: {before} → {after}", change.what),
            (Some(before), None) => format!("{}: {before} → none", change.what),
            (None, Some(after)) => format!("{}: none → {after}", change.what),
            (None, None) => change.what.clone(),
        })
        .collect();
    lines.extend(
        node.conditions
            .iter()
            .map(|condition| format!("{}: {}", condition.role, condition.text)),
    );
    lines
}

/// Columns of numbers: titles of a pair, and how a cell is made.
pub(super) struct Column {
    /// What it shows.
    pub(super) title: &'static str,
    of: fn(&DiffNodeNumbers) -> Option<f64>,
    show: fn(f64) -> String,
}

const COLUMNS: &[Column] = &[
    Column {
        title: "self time",
        of: |node| node.self_ms,
        show: format::ms,
    },
    Column {
        title: "cost",
        of: |node| node.cost,
        show: format::cost,
    },
    Column {
        title: "rows",
        of: |node| node.rows,
        show: format::count,
    },
    Column {
        title: "estimate",
        of: |node| node.estimated_rows,
        show: format::count,
    },
    Column {
        title: "loops",
        of: |node| node.loops,
        show: format::count,
    },
    Column {
        title: "blocks",
        of: |node| match (node.hit_blocks, node.read_blocks) {
            (None, None) => None,
            (hit, read) => Some(hit.unwrap_or_default() + read.unwrap_or_default()),
        },
        show: format::count,
    },
];

impl Column {
    /// The cells before and after.
    pub(super) fn cells(&self, node: &DiffNode) -> [String; 2] {
        let cell = |numbers: Option<&DiffNodeNumbers>| {
            numbers
                .and_then(self.of)
                .map_or_else(String::new, self.show)
        };
        [cell(node.before.as_ref()), cell(node.after.as_ref())]
    }
}

/// The columns that tell something: costs only where there are no times,
/// executions only where one differs from 1.
pub(super) fn columns(found: &PlanComparison, all: bool) -> Vec<&'static Column> {
    let sides = || {
        found
            .nodes
            .iter()
            .flat_map(|node| node.before.iter().chain(&node.after))
    };
    let timed = sides().any(|node| node.self_ms.is_some());
    COLUMNS
        .iter()
        .filter(|column| {
            let told = sides().any(|node| (column.of)(node).is_some());
            told && match column.title {
                "cost" => !timed || all,
                "estimate" => {
                    all || sides().all(|node| node.rows.is_none())
                        || found.causes.iter().any(|cause| cause.kind == "estimates")
                }
                "loops" => all || sides().any(|node| node.loops.is_some_and(|loops| loops > 1.5)),
                _ => true,
            }
        })
        .collect()
}

/// `before.json → after.json`, with the numbers of the plans where a file has
/// several.
pub(super) fn title(found: &PlanComparison, several: bool) -> String {
    let name = |plan: &crate::report::model::diff::ComparedPlan| {
        if several {
            format!("{}, plan {}", plan.file, plan.number)
        } else {
            plan.file.clone()
        }
    };
    format!("{} → {}", name(&found.before), name(&found.after))
}

/// Where the difference in time lies, in a sentence.
pub(super) fn account(found: &PlanComparison) -> Option<String> {
    let time = found.time?;
    let mut parts = vec![format!("nodes {}", words::signed_ms(time.nodes_ms))];
    for (what, ms) in [
        ("triggers", time.triggers_ms),
        ("outside of the nodes", time.outside_ms),
        ("rounding", time.rounding_ms),
    ] {
        if ms.abs() >= 0.0005 {
            parts.push(format!("{what} {}", words::signed_ms(ms)));
        }
    }
    Some(format!(
        "{} in all: {}",
        words::signed_ms(time.whole_ms),
        parts.join(", ")
    ))
}

/// The nodes that carry the difference in time, the largest first, until nine
/// tenths are told.
pub(super) fn carriers(found: &PlanComparison) -> Vec<(String, String)> {
    let mut nodes: Vec<(&DiffNode, f64)> = found
        .nodes
        .iter()
        .filter_map(|node| node.self_ms_difference.map(|ms| (node, ms)))
        .filter(|(_, ms)| ms.abs() >= 0.0005)
        .collect();
    nodes.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
    let all: f64 = nodes.iter().map(|(_, ms)| ms.abs()).sum();
    let mut told = 0.0;
    let mut shown = Vec::new();
    for (node, ms) in nodes.into_iter().take(5) {
        if told >= all * 0.9 {
            break;
        }
        told += ms.abs();
        let which = match node.status {
            DiffStatus::Gone => " (gone)",
            DiffStatus::New => " (new)",
            _ => "",
        };
        shown.push((words::signed_ms(ms), format!("{}{which}", label(node))));
    }
    shown
}

/// Values of the whole as cells: name, before, after, and the difference.
pub(super) fn totals(found: &PlanComparison) -> Vec<[String; 4]> {
    found
        .totals
        .iter()
        .map(|total| {
            let cell = |number: Option<f64>| {
                number.map_or_else(|| "–".to_owned(), |number| words::shown(number, total.unit))
            };
            let change = match (total.before, total.after) {
                (Some(before), Some(after)) => words::rise(before, after),
                _ => String::new(),
            };
            [
                total.name.clone(),
                cell(total.before),
                cell(total.after),
                change,
            ]
        })
        .collect()
}

/// What shows a cause, in a line each.
pub(super) fn facts(cause: &crate::report::model::diff::DiffCause) -> Vec<String> {
    // One fact that the message tells already is not repeated.
    if cause.facts.len() == 1
        && cause.facts.iter().all(|fact| {
            [&fact.before, &fact.after]
                .into_iter()
                .flatten()
                .all(|value| cause.message.contains(&value.shown))
        })
    {
        return Vec::new();
    }
    cause
        .facts
        .iter()
        .map(|fact| {
            let side = |value: &Option<crate::report::model::diff::DiffValue>| {
                value
                    .as_ref()
                    .map_or_else(|| "none".to_owned(), |value| value.shown.clone())
            };
            format!(
                "{}: {} → {}",
                fact.what,
                side(&fact.before),
                side(&fact.after)
            )
        })
        .collect()
}

/// What a cause has to do with the time, in a few words.
pub(super) fn weight(
    cause: &crate::report::model::diff::DiffCause,
    found: &PlanComparison,
) -> Option<String> {
    let ms = cause.difference_ms?;
    found.time?;
    (ms.abs() >= 0.0005).then(|| format!("nodes that it concerns: {}", words::signed_ms(ms)))
}
