//! A sort of many rows of which a LIMIT takes a few.

use super::support::{condition, node, show, weight::Weight};
use crate::declare_rule;
use crate::finding::{Evidence, Origin, Value};
use crate::plan::{NodeId, NodeKind, PlanEdge, PlanGraph};
use crate::rule::{Rule, Sink};
use crate::source::Span;
use crate::subject::Subject;

/// Fewer rows are sorted at once.
const LEAST_SORTED: f64 = 1_000.0;
/// The limit must take less than that share of what is sorted.
const MOST_TAKEN: f64 = 0.1;

declare_rule! {
    /// ## What it does
    ///
    /// Finds a LIMIT over a sort of at least 1,000 rows of which it takes at
    /// most a tenth, where all sort keys belong to one table, so that an index
    /// could give the rows in order. A sort of aggregates, of window functions
    /// or of columns of several tables is not meant: no index has that order.
    ///
    /// ## Why it matters
    ///
    /// All rows are read and compared to give a page of them. An index on the
    /// equality columns of the filter followed by the sort keys, in their
    /// directions, gives the first rows at once and lets the scan stop.
    ///
    /// ## When it is wrong
    ///
    /// When the filter is so selective that few rows are left to sort: an
    /// index on the filter is better then. When a join or filter after the
    /// ordered scan throws away most rows, walking the order can take longer
    /// than the sort.
    ///
    /// ## References
    ///
    /// - [Indexes and ORDER BY](https://www.postgresql.org/docs/current/indexes-ordering.html)
    /// - [LIMIT and OFFSET](https://www.postgresql.org/docs/current/queries-limit.html)
    pub struct SortWithoutIndexForLimit = {
        id: "sort-without-index-for-limit",
        summary: "all rows are sorted to give the first few of them",
        level: Warning,
        needs: [Plan],
        concerns: [Sort, IncrementalSort, Limit],
        since: "0.1.0",
    }
}

impl Rule for SortWithoutIndexForLimit {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(plan) = subject.plan else { return };
        for (id, limit) in plan.nodes() {
            if limit.kind == NodeKind::Limit
                && let Some(sort) = sort_below(plan, id)
            {
                look(subject, plan, id, sort, sink);
            }
        }
    }
}

fn look(subject: &Subject<'_>, plan: &PlanGraph, limit: NodeId, sort: NodeId, sink: &mut Sink) {
    let Some(input) = plan.child(sort, PlanEdge::Outer) else {
        return;
    };
    let Some(scan) = ordered_table(plan, sort, input) else {
        return;
    };
    let executed = plan.has_actuals();
    let Some(sorted) = rows_of(plan, input) else {
        return;
    };
    let Some(taken) = rows_of(plan, limit) else {
        return;
    };
    if sorted < LEAST_SORTED || taken > sorted * MOST_TAKEN {
        return;
    }
    let Some(metrics) = subject.metrics else {
        return;
    };
    let share = metrics.node(sort).total_share * (1.0 - taken / sorted);
    let Some(weight) = Weight::worth_telling(subject, share) else {
        return;
    };
    let keys = plan.node(sort).texts("Sort Key").join(", ");
    let table = node::table_name(plan.node(scan));
    let message = format!(
        "{} of {table} {} sorted by {keys} to give the first {}",
        show::rows(sorted),
        if executed { "are" } else { "would be" },
        show::count(taken)
    );
    let draft = sink
        .report(
            message,
            "no index gives the rows in this order, so all of them are read and compared before \
             the first can be returned; with one the scan stops after a page",
            Evidence::new("rows sorted", Value::Rows(sorted), Origin::Plan(input)),
        )
        .node(sort)
        .span(order_span(subject, plan, scan))
        .level(weight.level())
        .share(weight.share())
        .evidence(Evidence::new(
            "rows that the limit takes",
            Value::Rows(taken),
            Origin::Plan(limit),
        ))
        .evidence(Evidence::new(
            "sort key",
            Value::Text(keys),
            Origin::Plan(sort),
        ))
        .evidence(weight.evidence());
    if let Some((schema, name)) = node::relation(subject, plan.node(scan)) {
        draft.relation(schema, name);
    }
}

/// The Sort below a Limit, through what keeps the order.
fn sort_below(plan: &PlanGraph, limit: NodeId) -> Option<NodeId> {
    let mut at = plan.child(limit, PlanEdge::Outer)?;
    loop {
        match plan.node(at).kind {
            NodeKind::Sort => return Some(at),
            NodeKind::GatherMerge | NodeKind::LockRows | NodeKind::Result => {
                at = plan.child(at, PlanEdge::Outer)?;
            }
            NodeKind::SubqueryScan => at = plan.child(at, PlanEdge::Subquery)?,
            _ => return None,
        }
    }
}

/// The one table whose columns the sort keys are, reached only through scans
/// and joins.
fn ordered_table(plan: &PlanGraph, sort: NodeId, input: NodeId) -> Option<NodeId> {
    let mut scans = Vec::new();
    let mut open = vec![input];
    while let Some(id) = open.pop() {
        let node = plan.node(id);
        match node.kind {
            _ if node::reads_table(node) => scans.push(id),
            NodeKind::NestedLoop
            | NodeKind::HashJoin
            | NodeKind::MergeJoin
            | NodeKind::Hash
            | NodeKind::Materialize
            | NodeKind::Memoize
            | NodeKind::Sort
            | NodeKind::IncrementalSort
            | NodeKind::Gather
            | NodeKind::GatherMerge
            | NodeKind::Append => open.extend(
                plan.children(id)
                    .into_iter()
                    .filter(|(edge, _)| {
                        matches!(edge, PlanEdge::Outer | PlanEdge::Inner | PlanEdge::Member)
                    })
                    .map(|(_, child)| child),
            ),
            // Beside a join, anything may stand that the order does not come
            // from; alone, it makes the rows anew.
            _ if id != input => {}
            _ => return None,
        }
    }
    let keys = plan.node(sort).texts("Sort Key");
    let mut qualifiers: Vec<String> = Vec::new();
    let mut bare = false;
    for key in &keys {
        // An aggregate or subquery in a key is no table's column.
        if key.contains("SubPlan") || key.contains("InitPlan") {
            return None;
        }
        if condition::names(key).is_empty() {
            return None;
        }
        let found = condition::qualifiers(key);
        bare |= found.is_empty();
        qualifiers.extend(found);
    }
    qualifiers.sort_unstable();
    qualifiers.dedup();
    match (qualifiers.as_slice(), bare) {
        ([], true) => {
            scans.sort_unstable();
            let (first, rest) = scans.split_first()?;
            rest.is_empty().then_some(*first)
        }
        ([only], false) => scans
            .into_iter()
            .find(|scan| plan.node(*scan).relation.alias.as_deref() == Some(only)),
        _ => None,
    }
}

/// Rows over all processes: measured, or expected.
fn rows_of(plan: &PlanGraph, id: NodeId) -> Option<f64> {
    let node = plan.node(id);
    if plan.has_actuals() {
        let actual = node.actual.filter(|actual| actual.loops > 0.0)?;
        Some(actual.rows_per_loop * actual.loops)
    } else {
        Some(node.estimate?.rows * node::processes(plan, id))
    }
}

/// The ORDER BY of the level that reads the table.
fn order_span(subject: &Subject<'_>, plan: &PlanGraph, scan: NodeId) -> Option<Span> {
    let query = subject.query()?;
    let mut select = node::select_of(subject, plan.node(scan))?;
    // The order may be given a level above, over a subquery or CTE.
    loop {
        let level = query.selects.get(select)?;
        if let (Some(first), Some(last)) = (level.order_by.first(), level.order_by.last()) {
            let (first, last) = (first.expression.span, last.expression.span);
            return Some(Span::new(first.source, first.start..last.end));
        }
        select = level.parent?;
    }
}
