//! One finding for each root cause: what one rule sees as the cause and
//! another as its effect is told once, with the evidence of both.
//!
//! Rules do not know each other; which of them explains which is written here
//! and nowhere else.

use crate::finding::{Change, Finding};
use crate::plan::{NodeId, PlanGraph};

/// How the two findings must lie to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Where {
    /// At the same plan node.
    SameNode,
    /// About the same table, the effect at or below the cause's node.
    Below,
    /// About the same table.
    SameTable,
    /// At the same plan node, and the effect has no cure of its own.
    SameNodeNoCure,
    /// About the same table, both curing it by ANALYZE or statistics of it.
    SameAnalyze,
}

/// (cause, effect, how they lie): the effect is folded into the cause.
const EXPLAINS: &[(&str, &str, Where)] = &[
    (
        "nested-loop-inner-seq-scan",
        "seq-scan-behind-selective-filter",
        Where::SameNode,
    ),
    (
        "correlated-subplan-executed-many-times",
        "nested-loop-inner-seq-scan",
        Where::Below,
    ),
    (
        "correlated-subplan-executed-many-times",
        "seq-scan-behind-selective-filter",
        Where::Below,
    ),
    (
        "correlated-subplan-executed-many-times",
        "index-scan-filters-most-rows",
        Where::Below,
    ),
    (
        "sort-without-index-for-limit",
        "sort-spilled-to-disk",
        Where::SameNode,
    ),
    (
        "sort-without-index-for-limit",
        "seq-scan-behind-selective-filter",
        Where::Below,
    ),
    (
        "function-on-indexed-column",
        "seq-scan-behind-selective-filter",
        Where::SameTable,
    ),
    (
        "leading-wildcard",
        "seq-scan-behind-selective-filter",
        Where::SameTable,
    ),
    (
        "function-on-indexed-column",
        "row-estimate-far-off",
        Where::SameNodeNoCure,
    ),
    (
        "row-estimate-far-off",
        "stale-or-missing-statistics",
        Where::SameAnalyze,
    ),
];

/// Folds every finding that another explains into that other.
pub fn one_per_cause(findings: Vec<Finding>, plan: Option<&PlanGraph>) -> Vec<Finding> {
    // Only the effects are compared, each with the causes: the number of
    // findings is small, but a plan of 100,000 nodes may have many.
    let target = |effect: usize| -> Option<usize> {
        let found = findings.get(effect)?;
        EXPLAINS
            .iter()
            .filter(|(_, rule, _)| *rule == found.rule)
            .find_map(|(cause, _, lie)| {
                findings
                    .iter()
                    .position(|other| other.rule == *cause && lies(other, found, *lie, plan))
            })
    };
    let targets: Vec<Option<usize>> = (0..findings.len()).map(target).collect();
    let mut slots: Vec<Option<Finding>> = findings.into_iter().map(Some).collect();
    for (effect, target) in targets.iter().enumerate() {
        // A cause may itself be another's effect: follow to the end.
        let Some(mut cause) = *target else { continue };
        for _ in 0..EXPLAINS.len() {
            match targets.get(cause).copied().flatten() {
                Some(next) => cause = next,
                None => break,
            }
        }
        if cause == effect {
            continue;
        }
        let Some(folded) = slots.get_mut(effect).and_then(Option::take) else {
            continue;
        };
        match slots.get_mut(cause).and_then(Option::as_mut) {
            Some(into) => fold(into, folded),
            None => {
                if let Some(slot) = slots.get_mut(effect) {
                    *slot = Some(folded);
                }
            }
        }
    }
    slots.into_iter().flatten().collect()
}

fn lies(cause: &Finding, effect: &Finding, lie: Where, plan: Option<&PlanGraph>) -> bool {
    let same_table = cause.relation.is_some() && cause.relation == effect.relation;
    let same_node = cause.node.is_some() && cause.node == effect.node;
    match lie {
        Where::SameNode => same_node,
        Where::SameNodeNoCure => same_node && effect.suggestions.is_empty(),
        Where::Below => {
            same_table
                && match (plan, cause.node, effect.node) {
                    (Some(plan), Some(top), Some(node)) => at_or_below(plan, node, top),
                    _ => false,
                }
        }
        Where::SameTable => same_table,
        Where::SameAnalyze => same_table && analyzes(cause) && analyzes(effect),
    }
}

fn at_or_below(plan: &PlanGraph, node: NodeId, top: NodeId) -> bool {
    node == top || plan.ancestors(node).any(|ancestor| ancestor == top)
}

fn analyzes(finding: &Finding) -> bool {
    finding
        .suggestions
        .iter()
        .any(|suggestion| matches!(suggestion.change, Change::Analyze { .. }))
}

/// Adds what the effect knew to its cause.
fn fold(cause: &mut Finding, effect: Finding) {
    cause.share = cause.share.max(effect.share);
    cause.level = cause.level.max(effect.level);
    cause.node = cause.node.or(effect.node);
    cause.span = cause.span.or(effect.span);
    if cause.relation.is_none() {
        cause.relation = effect.relation;
    }
    for evidence in effect.evidence {
        if !cause
            .evidence
            .iter()
            .any(|known| known.label == evidence.label && known.from == evidence.from)
        {
            cause.evidence.push(evidence);
        }
    }
    for suggestion in effect.suggestions {
        if !cause
            .suggestions
            .iter()
            .any(|known| known.change == suggestion.change)
        {
            cause.suggestions.push(suggestion);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{Evidence, Level, Origin, Value};

    fn finding(rule: &'static str, node: usize, label: &str, share: f64) -> Finding {
        Finding {
            rule,
            level: Level::Note,
            span: None,
            node: Some(NodeId::new(node)),
            relation: Some(("public".to_owned(), "orders".to_owned())),
            message: rule.to_owned(),
            why: String::new(),
            evidence: vec![Evidence::new(
                label,
                Value::Rows(1.0),
                Origin::Plan(NodeId::new(node)),
            )],
            suggestions: Vec::new(),
            share,
        }
    }

    #[test]
    fn the_effect_is_folded_into_its_cause_with_its_evidence() {
        let findings = vec![
            finding("seq-scan-behind-selective-filter", 3, "removed", 0.9),
            finding("nested-loop-inner-seq-scan", 3, "loops", 0.8),
        ];
        let merged = one_per_cause(findings, None);
        assert_eq!(merged.len(), 1);
        let only = &merged[0];
        assert_eq!(only.rule, "nested-loop-inner-seq-scan");
        assert_eq!(only.evidence.len(), 2);
        assert!((only.share - 0.9).abs() < f64::EPSILON);
    }

    #[test]
    fn findings_at_different_nodes_stay_apart() {
        let findings = vec![
            finding("seq-scan-behind-selective-filter", 3, "removed", 0.9),
            finding("nested-loop-inner-seq-scan", 7, "loops", 0.8),
        ];
        assert_eq!(one_per_cause(findings, None).len(), 2);
    }
}
