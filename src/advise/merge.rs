//! One finding for each root cause: what one rule sees as the cause and
//! another as its effect is told once, with the evidence of both.
//!
//! Rules do not know each other; which of them explains which is written here
//! and nowhere else.

use std::collections::BTreeMap;

use crate::catalog::{Catalog, Relation, RelationKind};
use crate::finding::{Change, Evidence, Finding, Origin, Value};
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
    /// The effect's node feeds the cause's.
    Child,
    /// The cause's node feeds the effect's.
    Parent,
    /// The effect's node is the cause's or below it, whatever it reads.
    Within,
    /// The effect has a number that was read at the cause's node.
    Names,
    /// The cause has a number that was read at the effect's node.
    Named,
}

/// (cause, effect, how they lie): the effect is folded into the cause.
const EXPLAINS: &[(&str, &str, Where)] = &[
    (
        "sort-without-index-for-limit",
        "large-scan-not-parallel",
        Where::Within,
    ),
    (
        "subquery-filter-not-pushed-down",
        "distinct-removes-nothing",
        Where::Within,
    ),
    (
        "recursion-rescans-table",
        "row-estimate-far-off",
        Where::Named,
    ),
    (
        "row-estimate-far-off",
        "join-filter-removes-most-rows",
        Where::Names,
    ),
    (
        "seq-scan-joined-to-few-rows",
        "large-scan-not-parallel",
        Where::SameNode,
    ),
    (
        "count-of-whole-table",
        "large-scan-not-parallel",
        Where::SameNode,
    ),
    (
        "seq-scan-behind-selective-filter",
        "large-scan-not-parallel",
        Where::SameNode,
    ),
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
    ("generic-plan", "row-estimate-far-off", Where::SameNode),
    (
        "filter-on-expression",
        "seq-scan-behind-selective-filter",
        Where::SameNode,
    ),
    (
        "filter-on-expression",
        "row-estimate-far-off",
        Where::SameNode,
    ),
    ("leading-wildcard", "filter-on-expression", Where::SameTable),
    (
        "row-estimate-far-off",
        "hash-built-on-larger-side",
        Where::Names,
    ),
    (
        "hash-built-on-larger-side",
        "hash-join-many-batches",
        Where::SameNode,
    ),
    (
        "hash-join-many-batches",
        "wide-rows-carried",
        Where::SameNode,
    ),
    ("sort-spilled-to-disk", "wide-rows-carried", Where::SameNode),
    (
        "sort-without-index-for-limit",
        "wide-rows-carried",
        Where::SameNode,
    ),
    ("expensive-sort", "wide-rows-carried", Where::SameNode),
    (
        "sort-spilled-to-disk",
        "merge-join-sorts-its-input",
        Where::SameNode,
    ),
    ("distinct-removes-nothing", "expensive-sort", Where::Child),
    (
        "distinct-removes-nothing",
        "sort-spilled-to-disk",
        Where::Child,
    ),
    (
        "subquery-filter-not-pushed-down",
        "expensive-sort",
        Where::Within,
    ),
    (
        "subquery-filter-not-pushed-down",
        "sort-spilled-to-disk",
        Where::Within,
    ),
    (
        "join-filter-removes-most-rows",
        "nested-loop-inner-seq-scan",
        Where::SameNode,
    ),
    (
        "foreign-scan-filters-locally",
        "row-estimate-far-off",
        Where::SameNode,
    ),
    (
        "index-only-scan-heap-fetches",
        "count-of-whole-table",
        Where::SameNode,
    ),
    // A scan that is used in spite of the setting has no index to use.
    (
        "seq-scan-behind-selective-filter",
        "planner-method-switched-off",
        Where::SameNode,
    ),
    (
        "planner-method-switched-off",
        "sort-spilled-to-disk",
        Where::SameNode,
    ),
    (
        "planner-method-switched-off",
        "expensive-sort",
        Where::SameNode,
    ),
    (
        "planner-method-switched-off",
        "merge-join-sorts-its-input",
        Where::SameNode,
    ),
    (
        "planner-method-switched-off",
        "merge-join-sorts-its-input",
        Where::Parent,
    ),
    ("cte-scanned-many-times", "cte-fence", Where::SameNode),
    (
        "cte-scanned-many-times",
        "result-in-temporary-files",
        Where::SameNode,
    ),
    ("cte-fence", "result-in-temporary-files", Where::SameNode),
    (
        "materialize-rescanned-many-times",
        "result-in-temporary-files",
        Where::SameNode,
    ),
    (
        "correlated-subplan-executed-many-times",
        "cte-scanned-many-times",
        Where::Within,
    ),
    (
        "nested-loop-inner-seq-scan",
        "materialize-rescanned-many-times",
        Where::Parent,
    ),
    (
        "join-filter-removes-most-rows",
        "materialize-rescanned-many-times",
        Where::Child,
    ),
    (
        "join-filter-removes-most-rows",
        "cte-scanned-many-times",
        Where::Child,
    ),
    (
        "row-estimate-far-off",
        "materialize-rescanned-many-times",
        Where::Names,
    ),
    (
        "row-estimate-far-off",
        "cte-scanned-many-times",
        Where::Names,
    ),
    (
        "row-estimate-far-off",
        "hash-aggregate-spilled",
        Where::SameNode,
    ),
    (
        "seq-scan-behind-selective-filter",
        "time-spent-reading",
        Where::SameNode,
    ),
    (
        "index-scan-filters-most-rows",
        "time-spent-reading",
        Where::SameNode,
    ),
    (
        "rows-scattered-over-pages",
        "time-spent-reading",
        Where::SameNode,
    ),
    (
        "planning-longer-than-execution",
        "planning-takes-much-memory",
        Where::SameNode,
    ),
    (
        "partitions-not-pruned",
        "seq-scan-behind-selective-filter",
        Where::Within,
    ),
    (
        "partitions-not-pruned",
        "index-scan-filters-most-rows",
        Where::Within,
    ),
    (
        "partitions-not-pruned",
        "filter-on-expression",
        Where::Within,
    ),
];

/// Rules that see the same once for each partition.
const FOR_EACH_PARTITION: &[&str] = &[
    "stale-or-missing-statistics",
    "row-estimate-far-off",
    "index-scan-filters-most-rows",
    "seq-scan-behind-selective-filter",
];
/// So many partitions are named.
const MOST_NAMED: usize = 5;

/// Folds every finding that another explains into that other, and what a rule
/// finds in several partitions of one table into one finding of that table.
pub fn one_per_cause(
    findings: Vec<Finding>,
    plan: Option<&PlanGraph>,
    catalog: Option<&Catalog>,
) -> Vec<Finding> {
    let findings = explained(findings, plan);
    match catalog {
        // What was folded is about the parent, and may have a cause there.
        Some(catalog) => explained(one_per_parent(findings, catalog), plan),
        None => findings,
    }
}

/// One finding for all partitions of a table: the weightiest, with the share
/// of all.
fn one_per_parent(findings: Vec<Finding>, catalog: &Catalog) -> Vec<Finding> {
    let mut groups: BTreeMap<(&'static str, &str, &str), Vec<usize>> = BTreeMap::new();
    for (at, finding) in findings.iter().enumerate() {
        if FOR_EACH_PARTITION.contains(&finding.rule)
            && let Some(parent) = finding
                .relation
                .as_ref()
                .and_then(|(schema, name)| parent_of(catalog, schema, name))
        {
            let key = (finding.rule, parent.schema.as_str(), parent.name.as_str());
            groups.entry(key).or_default().push(at);
        }
    }
    let mut slots: Vec<Option<Finding>> = findings.into_iter().map(Some).collect();
    for ((_, schema, name), group) in groups {
        let Some(parent) = catalog.relation(Some(schema), name) else {
            continue;
        };
        let members: Vec<(usize, &Finding)> = group
            .iter()
            .filter_map(|at| Some((*at, slots.get(*at)?.as_ref()?)))
            .collect();
        // The first of several of the same weight, as they stand in the plan.
        let Some((best, _)) = members
            .iter()
            .copied()
            .rev()
            .max_by(|(_, a), (_, b)| a.share.total_cmp(&b.share))
        else {
            continue;
        };
        let own = members
            .iter()
            .find(|(at, _)| *at == best)
            .and_then(|(_, finding)| finding.relation.as_ref())
            .map(|(_, name)| name.clone());
        let mut others: Vec<String> = members
            .iter()
            .filter_map(|(_, finding)| finding.relation.as_ref())
            .map(|(_, name)| name.clone())
            .filter(|name| Some(name) != own.as_ref())
            .collect();
        others.sort_unstable();
        others.dedup();
        if others.is_empty() {
            continue;
        }
        let share = members
            .iter()
            .map(|(_, finding)| finding.share)
            .sum::<f64>();
        let level = members.iter().map(|(_, finding)| finding.level).max();
        for at in group.iter().filter(|at| **at != best) {
            if let Some(slot) = slots.get_mut(*at) {
                *slot = None;
            }
        }
        if let Some(into) = slots.get_mut(best).and_then(Option::as_mut) {
            into.share = share.min(1.0);
            into.level = level.map_or(into.level, |level| level.max(into.level));
            of_parent(into, parent, &others, catalog);
        }
    }
    slots.into_iter().flatten().collect()
}

/// Makes a partition's finding one of the whole table.
fn of_parent(finding: &mut Finding, parent: &Relation, others: &[String], catalog: &Catalog) {
    let noun = if others.len() == 1 {
        "partition"
    } else {
        "partitions"
    };
    let count = format!("the same in {} other {noun}", others.len());
    finding
        .message
        .push_str(&format!("; {count} of {}", parent.name));
    let mut named = others
        .iter()
        .take(MOST_NAMED)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    if others.len() > MOST_NAMED {
        named.push_str(", …");
    }
    finding.evidence.push(Evidence::new(
        count,
        Value::Text(named),
        Origin::Catalog(parent.qualified()),
    ));
    let display = parent.display_name(catalog);
    for suggestion in &mut finding.suggestions {
        match &mut suggestion.change {
            // ANALYZE of a partitioned table analyses its partitions too.
            Change::Analyze { sql, relation } if sql.starts_with("ANALYZE ") => {
                *sql = format!("ANALYZE {display};");
                *relation = (parent.schema.clone(), parent.name.clone());
                suggestion.title = format!("analyse {display} and its partitions");
            }
            Change::Analyze { .. } | Change::CreateStatistics { .. } => {
                suggestion
                    .title
                    .push_str(", and the same for the other partitions");
            }
            _ => {}
        }
    }
    finding.relation = Some((parent.schema.clone(), parent.name.clone()));
}

/// The table at the top of which that one is a partition.
fn parent_of<'a>(catalog: &'a Catalog, schema: &str, name: &str) -> Option<&'a Relation> {
    let mut found = None;
    let mut at = catalog.relation(Some(schema), name)?;
    // A catalogue that was written by hand may go in circles.
    for _ in 0..catalog.relations.len() {
        let next = at
            .parent
            .as_ref()
            .and_then(|(schema, name)| catalog.relation(Some(schema), name))
            .filter(|parent| parent.kind == RelationKind::PartitionedTable);
        match next {
            Some(parent) => {
                found = Some(parent);
                at = parent;
            }
            None => break,
        }
    }
    found
}

/// Which of those findings explains that one, which is not shown for it.
pub fn cause_of<'a>(
    effect: &Finding,
    findings: &'a [Finding],
    plan: Option<&PlanGraph>,
) -> Option<&'a Finding> {
    EXPLAINS
        .iter()
        .filter(|(_, rule, _)| *rule == effect.rule)
        .find_map(|(cause, _, lie)| {
            findings
                .iter()
                .find(|other| other.rule == *cause && lies(other, effect, *lie, plan))
        })
}

/// Folds every finding that another explains into that other.
fn explained(findings: Vec<Finding>, plan: Option<&PlanGraph>) -> Vec<Finding> {
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
        Where::Child => match (plan, cause.node, effect.node) {
            (Some(plan), Some(above), Some(node)) => {
                plan.parent(node).is_some_and(|(_, up)| up == above)
            }
            _ => false,
        },
        Where::Parent => match (plan, cause.node, effect.node) {
            (Some(plan), Some(below), Some(node)) => {
                plan.parent(below).is_some_and(|(_, up)| up == node)
            }
            _ => false,
        },
        Where::Within => match (plan, cause.node, effect.node) {
            (Some(plan), Some(top), Some(node)) => at_or_below(plan, node, top),
            _ => false,
        },
        Where::Names => has_number_of(effect, cause.node),
        Where::Named => has_number_of(cause, effect.node),
        Where::SameAnalyze => same_table && analyzes(cause) && analyzes(effect),
    }
}

/// Whether a number of the finding was read at that node.
fn has_number_of(finding: &Finding, node: Option<NodeId>) -> bool {
    node.is_some_and(|node| {
        finding
            .evidence
            .iter()
            .any(|evidence| evidence.from == Origin::Plan(node))
    })
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
        let merged = one_per_cause(findings, None, None);
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
        assert_eq!(one_per_cause(findings, None, None).len(), 2);
    }
    #[test]
    fn a_single_partition_and_unrelated_tables_keep_their_findings() {
        let relation = |name: &str, kind, parent: Option<&str>| Relation {
            oid: 1,
            schema: "public".to_owned(),
            name: name.to_owned(),
            kind,
            columns: Vec::new(),
            indexes: Vec::new(),
            constraints: Vec::new(),
            statistics: Vec::new(),
            partition_key: None,
            parent: parent.map(|parent| ("public".to_owned(), parent.to_owned())),
            partition_bound: None,
            pages: 100.0,
            tuples: Some(10_000.0),
            all_visible_pages: 0.0,
            row_security: false,
            activity: None,
        };
        let catalog = Catalog {
            relations: vec![
                relation("m", RelationKind::PartitionedTable, None),
                relation("m_1", RelationKind::Table, Some("m")),
                relation("orders", RelationKind::Table, None),
            ],
            ..Catalog::default()
        };
        let mut first = finding("stale-or-missing-statistics", 1, "changed", 0.4);
        first.relation = Some(("public".to_owned(), "m_1".to_owned()));
        let second = finding("stale-or-missing-statistics", 2, "changed", 0.4);
        let merged = one_per_cause(vec![first.clone(), second.clone()], None, Some(&catalog));
        assert_eq!(merged, vec![first, second]);
    }
}
