//! An index scan that fetches rows only to throw them away.

use super::support::{node, show, weight::Weight};
use crate::declare_rule;
use crate::finding::{Evidence, Origin, Value};
use crate::plan::{ConditionRole, NodeId, NodeKind, PlanGraph, PlanNode};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

/// Fewer rows thrown away take no time.
const LEAST_REMOVED: f64 = 1_000.0;
/// Where more of what is fetched is wanted, the index does its work.
const MOST_KEPT: f64 = 0.1;

declare_rule! {
    /// ## What it does
    ///
    /// Finds an index scan or bitmap scan whose filter throws away at least
    /// 1,000 rows and nine tenths of what the index led to. Without an
    /// executed plan it speaks where the plan tells how many rows the index
    /// gives: of a bitmap scan, and of an index that is walked from end to end
    /// for its order.
    ///
    /// ## Why it matters
    ///
    /// Each row thrown away was fetched from the table, often from a page of
    /// its own. With the filter's columns in the index (equality columns first,
    /// then a range) the index leads only to what is wanted. An index that is
    /// walked in the order of ORDER BY until enough rows pass is the dangerous
    /// case: its time depends on where the wanted rows happen to lie.
    ///
    /// ## When it is wrong
    ///
    /// When another, more frequent query needs the index as it is and a wider
    /// one would be too dear to keep; or when this run's value is rare and
    /// others are not.
    ///
    /// ## References
    ///
    /// - [Multicolumn indexes](https://www.postgresql.org/docs/current/indexes-multicolumn.html)
    /// - [Partial indexes](https://www.postgresql.org/docs/current/indexes-partial.html)
    pub struct IndexScanFiltersMostRows = {
        id: "index-scan-filters-most-rows",
        summary: "an index scan throws away most of the rows that it fetches",
        level: Warning,
        needs: [Plan],
        concerns: [IndexScan, IndexOnlyScan, BitmapHeapScan],
        since: "0.1.0",
    }
}

impl Rule for IndexScanFiltersMostRows {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(plan) = subject.plan else { return };
        for (id, scan) in plan.nodes() {
            if matches!(
                scan.kind,
                NodeKind::IndexScan | NodeKind::IndexOnlyScan | NodeKind::BitmapHeapScan
            ) && let Some(filter) = node::own_condition(scan, ConditionRole::Filter)
            {
                look(subject, plan, id, scan, filter, sink);
            }
        }
    }
}

fn look(
    subject: &Subject<'_>,
    plan: &PlanGraph,
    id: NodeId,
    scan: &PlanNode,
    filter: &str,
    sink: &mut Sink,
) {
    let executed = plan.has_actuals();
    let Some((kept, removed)) = (if executed {
        counted(scan)
    } else {
        expected(subject, plan, id, scan)
    }) else {
        return;
    };
    let kept_share = kept / (kept + removed).max(1.0);
    if sink.passes(removed < LEAST_REMOVED, id, || {
        format!(
            "the filter removes {}, under {}",
            show::rows(removed),
            show::count(LEAST_REMOVED)
        )
    }) || sink.passes(kept_share > MOST_KEPT, id, || {
        format!(
            "the filter keeps {} of the rows, over {}",
            show::percent(kept_share),
            show::percent(MOST_KEPT)
        )
    }) {
        return;
    }
    let Some(metrics) = subject.metrics else {
        return;
    };
    let share = metrics.node(id).self_share * (1.0 - kept_share);
    let Some(weight) = Weight::worth_telling(subject, share) else {
        return;
    };

    let table = node::table_name(scan);
    let index = index_names(plan, id).join(", ");
    let walked =
        scan.kind != NodeKind::BitmapHeapScan && scan.condition(ConditionRole::IndexCond).is_none();
    let verb = if executed { "throws" } else { "would throw" };
    let message = format!(
        "index scan of {table} with {index} {verb} away {} of {}",
        show::count(removed),
        show::rows(kept + removed)
    );
    let why = if walked {
        format!(
            "the index is walked for its order and the filter is tested row by row: {} of the rows \
             pass, and the time depends on where they lie",
            show::percent(kept_share)
        )
    } else {
        format!(
            "the index leads to rows of which {} pass the filter; with the filter's columns in the \
             index only those would be fetched",
            show::percent(kept_share)
        )
    };
    let draft = sink
        .report(
            message,
            why,
            Evidence::new(
                if executed {
                    "rows removed by the filter"
                } else {
                    "rows that the filter is expected to remove"
                },
                Value::Rows(removed),
                Origin::Plan(id),
            ),
        )
        .node(id)
        .span(node::span(subject, id, Some(filter)))
        .level(weight.level())
        .share(weight.share())
        .evidence(Evidence::new(
            "rows kept",
            Value::Rows(kept),
            Origin::Plan(id),
        ))
        .evidence(Evidence::new(
            "filter",
            Value::Text(filter.to_owned()),
            Origin::Plan(id),
        ))
        .evidence(Evidence::new("index", Value::Text(index), Origin::Plan(id)))
        .evidence(weight.evidence());
    if let Some((schema, name)) = node::relation(subject, scan) {
        draft.relation(schema, name);
    }
}

/// Rows kept and removed in all executions.
fn counted(scan: &PlanNode) -> Option<(f64, f64)> {
    let actual = scan.actual.filter(|actual| actual.loops > 0.0)?;
    let removed = scan.rows_removed_by_filter_per_loop? * actual.loops;
    Some((actual.rows_per_loop * actual.loops, removed))
}

/// The same as the planner expects it, where the plan tells how many rows the
/// index gives.
fn expected(
    subject: &Subject<'_>,
    plan: &PlanGraph,
    id: NodeId,
    scan: &PlanNode,
) -> Option<(f64, f64)> {
    let kept = node::estimated_rows(plan, id)?;
    let fetched = if scan.kind == NodeKind::BitmapHeapScan {
        let children = plan.children(id);
        let (_, child) = children.first()?;
        let below = plan.node(*child);
        if below.kind != NodeKind::BitmapIndexScan {
            return None;
        }
        below.estimate?.rows
    } else if scan.condition(ConditionRole::IndexCond).is_none() {
        let relation = subject.relation_of_node(scan)?;
        let name = scan.relation.index.as_deref()?;
        let index = relation.indexes.iter().find(|index| index.name == name)?;
        if index.predicate.is_some() {
            index.tuples?
        } else {
            relation.rows()
        }
    } else {
        return None;
    };
    Some((kept, (fetched - kept).max(0.0)))
}

/// The scan's index, or those of the bitmaps below it.
fn index_names(plan: &PlanGraph, id: NodeId) -> Vec<String> {
    let mut names: Vec<String> = plan
        .subtree(id)
        .into_iter()
        .filter_map(|node| plan.node(node).relation.index.clone())
        .collect();
    names.dedup();
    names
}
