//! Two plans of one statement, compared: the verdict and what changed.

use std::collections::BTreeMap;

use crate::finding::{Comparison, Verdict};
use crate::plan::{NodeKind, PlanGraph};

/// Below this ratio of costs a change counts as better, above its inverse as
/// worse; between them the planner sees no difference that would survive
/// noise in the statistics.
pub const NOTICEABLE: f64 = 0.98;

/// The verdict on a change, from the plans before and after it.
pub fn verdict(
    before: &PlanGraph,
    after: &PlanGraph,
    engine: &str,
    checked: Vec<String>,
) -> Verdict {
    let (Some(before_cost), Some(after_cost)) = (before.total_cost(), after.total_cost()) else {
        return Verdict::Untested {
            why: "the plans have no costs".to_owned(),
        };
    };
    let comparison = Comparison {
        before_cost,
        after_cost,
        engine: engine.to_owned(),
        plan_change: plan_change(before, after),
        checked,
        measured_ms: None,
    };
    if after_cost < before_cost * NOTICEABLE {
        Verdict::Better(comparison)
    } else if after_cost > before_cost / NOTICEABLE {
        Verdict::Worse(comparison)
    } else {
        Verdict::NoChange(comparison)
    }
}

/// What changed between two plans, in words: the nodes that only one of them
/// has. `None` when the nodes are the same.
pub fn plan_change(before: &PlanGraph, after: &PlanGraph) -> Option<String> {
    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
    let mut order = Vec::new();
    for (plan, step) in [(before, -1), (after, 1)] {
        for (_, node) in plan.nodes() {
            // A Hash only feeds its join: naming the join says enough.
            if matches!(node.kind, NodeKind::Hash) {
                continue;
            }
            let label = node.label();
            if !counts.contains_key(&label) {
                order.push(label.clone());
            }
            *counts.entry(label).or_default() += step;
        }
    }
    let pick = |negative: bool| -> Vec<String> {
        order
            .iter()
            .filter_map(|label| {
                let count = counts.get(label).copied().unwrap_or(0);
                let times = if negative { -count } else { count };
                match times {
                    ..=0 => None,
                    1 => Some(label.clone()),
                    _ => Some(format!("{times} × {label}")),
                }
            })
            .collect()
    };
    let (gone, come) = (pick(true), pick(false));
    match (gone.is_empty(), come.is_empty()) {
        (true, true) => None,
        (false, true) => Some(format!("no more {}", gone.join(", "))),
        (true, false) => Some(format!("adds {}", come.join(", "))),
        (false, false) => Some(format!(
            "{} instead of {}",
            come.join(", "),
            gone.join(", ")
        )),
    }
}

/// Names of all indexes that a plan reads.
pub fn indexes_used(plan: &PlanGraph) -> Vec<String> {
    let mut names: Vec<String> = plan
        .nodes()
        .filter_map(|(_, node)| node.relation.index.clone())
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}
