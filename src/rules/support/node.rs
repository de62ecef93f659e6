//! What a plan node reads, and where in the SQL it comes from.

use crate::catalog::Relation;
use crate::finding::Origin;
use crate::plan::{ConditionRole, NodeId, NodeKind, PlanEdge, PlanGraph, PlanNode};
use crate::source::Span;
use crate::sql::{Query, RelationRef, RelationRefKind};
use crate::subject::Subject;

use super::condition;

/// Schema and name of the table that a node reads. Without a catalogue the
/// schema is known only when the plan prints it.
pub(crate) fn relation(subject: &Subject<'_>, node: &PlanNode) -> Option<(String, String)> {
    if let Some(relation) = subject.relation_of_node(node) {
        return Some((relation.schema.clone(), relation.name.clone()));
    }
    if !reads_table(node) {
        return None;
    }
    Some((node.relation.schema.clone()?, node.relation.name.clone()?))
}

/// The node's name for a table: `orders`, or what the node is.
pub(crate) fn table_name(node: &PlanNode) -> &str {
    node.relation
        .name
        .as_deref()
        .or(node.relation.alias.as_deref())
        .unwrap_or(&node.type_name)
}

/// Whether the node reads a table (and not a function, CTE or subquery).
pub(crate) fn reads_table(node: &PlanNode) -> bool {
    matches!(
        node.kind,
        NodeKind::SeqScan
            | NodeKind::SampleScan
            | NodeKind::IndexScan
            | NodeKind::IndexOnlyScan
            | NodeKind::BitmapHeapScan
            | NodeKind::TidScan
            | NodeKind::TidRangeScan
            | NodeKind::ForeignScan
    )
}

/// Among how many processes the planner divides the rows of a node below a
/// Gather: its workers, and what it reckons the leader has time for.
pub(crate) fn processes(plan: &PlanGraph, id: NodeId) -> f64 {
    let mut below = id;
    while let Some((edge, up)) = plan.parent(below) {
        // An InitPlan or SubPlan is planned for itself.
        if matches!(edge, PlanEdge::InitPlan | PlanEdge::SubPlan) {
            return 1.0;
        }
        let node = plan.node(up);
        if matches!(node.kind, NodeKind::Gather | NodeKind::GatherMerge) {
            let workers = node.workers_planned.unwrap_or(0.0);
            return workers + (1.0 - 0.3 * workers).max(0.0);
        }
        below = up;
    }
    1.0
}

/// Rows that the planner expects from all processes together.
pub(crate) fn estimated_rows(plan: &PlanGraph, id: NodeId) -> Option<f64> {
    let node = plan.node(id);
    let rows = node.estimate?.rows;
    if node.parallel_aware {
        Some(rows * processes(plan, id))
    } else {
        Some(rows)
    }
}

/// Rows given and rows thrown away by the filter, over all loops.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filtered {
    pub(crate) kept: f64,
    pub(crate) removed: f64,
    pub(crate) loops: f64,
}

impl Filtered {
    /// What the executed node's filter did; `None` when the node did not run.
    pub(crate) fn of(node: &PlanNode) -> Option<Self> {
        let actual = node.actual?;
        if actual.loops <= 0.0 {
            return None;
        }
        let removed = node.rows_removed_by_filter_per_loop.unwrap_or(0.0)
            + node.rows_removed_by_recheck_per_loop.unwrap_or(0.0);
        Some(Self {
            kept: actual.rows_per_loop * actual.loops,
            removed: removed * actual.loops,
            loops: actual.loops,
        })
    }

    /// Rows looked at.
    pub(crate) fn read(self) -> f64 {
        self.kept + self.removed
    }
}

/// Where the rows of a node were read: counted, or estimated by the planner.
pub(crate) fn rows_origin(plan: &PlanGraph, id: NodeId) -> Origin {
    if plan.has_actuals() {
        Origin::Plan(id)
    } else {
        Origin::Formula("the planner's estimate")
    }
}

/// The condition of that role, unless it only tests a subquery's result.
pub(crate) fn own_condition(node: &PlanNode, role: ConditionRole) -> Option<&str> {
    node.condition(role)
        .filter(|text| !condition::only_subplans(text))
}

/// Catalogue columns of the node's table that its conditions mention.
pub(crate) fn condition_columns<'a>(relation: &'a Relation, text: &str) -> Vec<&'a str> {
    condition::names(text)
        .iter()
        .filter_map(|name| relation.column(name))
        .map(|column| column.name.as_str())
        .collect()
}

/// Where in the SQL a scan comes from: the predicate that its condition is
/// made of, else the table in FROM.
pub(crate) fn span(subject: &Subject<'_>, id: NodeId, text: Option<&str>) -> Option<Span> {
    let query = subject.query()?;
    let node = subject.plan?.node(id);
    let (select, relation, found) = relation_ref(subject, query, node)?;
    let names = text.map(condition::names).unwrap_or_default();
    let mut predicates = query.predicates().filter_map(|(_, predicate)| {
        let column = predicate
            .left
            .column()
            .filter(|column| column.relation == Some((select, relation)))
            .or_else(|| {
                predicate
                    .right
                    .column()
                    .filter(|column| column.relation == Some((select, relation)))
            })?;
        names.contains(&column.name).then_some(predicate)
    });
    let first = predicates.next();
    let constant = first
        .into_iter()
        .chain(predicates)
        .find(|predicate| predicate.right.is_constant());
    Some(constant.or(first).map_or(found.span, |p| p.span))
}

/// The item of a FROM clause that a plan node reads. Names that stand twice in
/// a query get a number in plans: `o`, `o_1`; those in the query's order.
fn relation_ref<'a>(
    subject: &Subject<'_>,
    query: &'a Query,
    node: &PlanNode,
) -> Option<(usize, usize, &'a RelationRef)> {
    let name = node.relation.name.as_deref()?;
    let alias = node.relation.alias.as_deref().unwrap_or(name);
    let catalog_relation = subject.relation_of_node(node);
    // A partition is read under its parent's place in the query.
    let parent = catalog_relation.and_then(|relation| relation.parent.as_ref());
    let is_this = |reference: &RelationRef| match &reference.kind {
        RelationRefKind::Table { name: table, .. } => {
            table == name || parent.is_some_and(|(_, parent)| parent == table)
        }
        _ => false,
    };
    let all = || {
        query.selects.iter().enumerate().flat_map(|(at, select)| {
            select
                .relations
                .iter()
                .enumerate()
                .map(move |(number, reference)| (at, number, reference))
        })
    };
    let unique = |wanted: &str| {
        let mut found =
            all().filter(|(_, _, reference)| reference.alias == wanted && is_this(reference));
        let first = found.next();
        first.filter(|_| found.next().is_none())
    };
    if let Some(found) = unique(alias) {
        return Some(found);
    }
    let base = alias
        .rsplit_once('_')
        .filter(|(_, number)| !number.is_empty() && number.chars().all(|c| c.is_ascii_digit()))
        .map(|(base, _)| base)?;
    unique(base)
}

/// Rows in the table of a sequential scan that was not executed, and how that
/// is known: from the catalogue, or from the scan's cost.
pub(crate) fn table_rows(
    subject: &Subject<'_>,
    plan: &PlanGraph,
    id: NodeId,
) -> Option<(f64, Origin)> {
    let node = plan.node(id);
    if let Some(relation) = subject.relation_of_node(node)
        && relation.rows() > 0.0
    {
        return Some((relation.rows(), Origin::Catalog(relation.qualified())));
    }
    // A row costs 0.01, each operator of the filter 0.0025, and with rows of
    // 200 bytes its share of a page 0.025. Wider rows make it fewer rows.
    // Before version 18 a method that is switched off has 10,000,000,000 on
    // top of its cost.
    let cost = node.estimate?.total_cost % 1e10;
    Some((
        cost / 0.0375,
        Origin::Formula("rows from the scan's cost, at 200 bytes a row"),
    ))
}

/// Pages that a scan which read so many rows went through.
pub(crate) fn pages_read(subject: &Subject<'_>, plan: &PlanGraph, id: NodeId, read: f64) -> f64 {
    let node = plan.node(id);
    if let Some(relation) = subject.relation_of_node(node)
        && relation.pages > 0.0
    {
        let whole = if relation.rows() > 0.0 {
            (read / relation.rows()).min(1.0)
        } else {
            1.0
        };
        return relation.pages * whole;
    }
    let stopped = subject
        .metrics
        .is_some_and(|metrics| metrics.node(id).stopped_early);
    let from_cost = node
        .estimate
        .map(|estimate| estimate.total_cost - read * 0.0125 / processes(plan, id));
    match from_cost {
        Some(pages) if pages >= 1.0 && !stopped => pages,
        _ => read / 60.0,
    }
}

/// The query level whose FROM has the table that a node reads.
pub(crate) fn select_of(subject: &Subject<'_>, node: &PlanNode) -> Option<usize> {
    relation_ref(subject, subject.query()?, node).map(|(select, _, _)| select)
}

/// The nodes that read an item of a FROM clause: one, or one for each
/// partition.
pub(crate) fn scans_of(
    subject: &Subject<'_>,
    plan: &PlanGraph,
    select: usize,
    relation: usize,
) -> Vec<NodeId> {
    let Some(query) = subject.query() else {
        return Vec::new();
    };
    plan.nodes()
        .filter(|(_, node)| reads_table(node))
        .filter(|(_, node)| {
            relation_ref(subject, query, node)
                .is_some_and(|(level, number, _)| (level, number) == (select, relation))
        })
        .map(|(id, _)| id)
        .collect()
}

/// What scans read and keep: rows over all loops, measured where they ran,
/// else estimated.
pub(crate) fn kept_share(
    subject: &Subject<'_>,
    plan: &PlanGraph,
    scans: &[NodeId],
) -> Option<(f64, f64)> {
    let mut read = 0.0;
    let mut kept = 0.0;
    for id in scans {
        let node = plan.node(*id);
        if let Some(filtered) = Filtered::of(node) {
            read += filtered.read();
            kept += filtered.kept;
        } else if node.actual.is_none() {
            kept += estimated_rows(plan, *id)?;
            let whole = subject
                .relation_of_node(node)
                .map(Relation::rows)
                .filter(|_| {
                    matches!(node.kind, NodeKind::IndexScan | NodeKind::IndexOnlyScan)
                        && node.condition(ConditionRole::IndexCond).is_none()
                });
            read += if node.kind == NodeKind::SeqScan {
                table_rows(subject, plan, *id)?.0
            } else if let Some(rows) = whole {
                rows
            } else {
                // What an index scan reads before its filter is not printed.
                estimated_rows(plan, *id)?
            };
        }
    }
    (read > 0.0).then_some((kept.min(read), read))
}
