//! A number of groups that is misjudged.

use crate::catalog::{Relation, RelationKind, ident};
use crate::finding::{Evidence, Origin, Value};
use crate::plan::{ConditionRole, NodeId, NodeKind, PlanGraph};
use crate::rules::support::{condition, node};
use crate::subject::Subject;

use super::column::distinct_evidence;
use super::stale::{partitioned_due, stale};
use super::table::Table;
use super::{Cause, Kind, Rows, expression};

/// The cause where groups, or rows that differ, are counted.
pub(super) fn of_groups(subject: &Subject<'_>, plan: &PlanGraph, id: NodeId) -> Cause {
    let keys = keys(plan, id);
    let fallback = || {
        Cause::new(
            Kind::DistinctValues,
            "the planner misjudged how many different groups there are",
        )
    };
    let scans: Vec<NodeId> = plan
        .subtree(id)
        .into_iter()
        .filter(|below| node::reads_table(plan.node(*below)))
        .collect();
    let mut qualifiers: Vec<String> = keys
        .iter()
        .flat_map(|key| condition::qualifiers(key))
        .collect();
    qualifiers.sort_unstable();
    qualifiers.dedup();
    let scan = match (qualifiers.as_slice(), scans.as_slice()) {
        ([], [only]) => Some(*only),
        ([alias], _) => scans.iter().copied().find(|scan| {
            let own = plan.node(*scan).relation.alias.as_deref();
            // Partitions are called after their parent: `m_1`, `m_2`.
            own == Some(alias)
                || own
                    .and_then(|own| own.rsplit_once('_'))
                    .is_some_and(|(base, number)| base == alias && number.parse::<u32>().is_ok())
        }),
        _ => None,
    };
    if scan.is_none() && qualifiers.len() > 1 {
        return Cause::new(
            Kind::AcrossTables,
            "the groups are of columns of several tables, and PostgreSQL keeps no statistics \
             across tables: it multiplies their numbers of different values",
        );
    }
    let Some(scan) = scan else { return fallback() };
    let Some(table) = Table::of_node(subject, plan.node(scan)) else {
        return fallback();
    };
    let grouped = Grouped {
        plan,
        id,
        scan,
        is_alone: scans.len() == 1,
        keys,
    };
    let mut cause = match parent(subject, &table) {
        Some(parent) => {
            of_parent(subject, parent).unwrap_or_else(|| cause(subject, &table, &grouped))
        }
        None => cause(subject, &table, &grouped),
    };
    if cause.relation.is_none() {
        cause.relation = node::relation(subject, plan.node(scan));
    }
    cause
}

/// What is grouped.
struct Grouped<'a> {
    plan: &'a PlanGraph,
    id: NodeId,
    /// The scan of the table whose columns the keys are.
    scan: NodeId,
    /// No other table is read below.
    is_alone: bool,
    keys: Vec<&'a str>,
}

/// The keys of a group, or of the sort below a Unique.
fn keys(plan: &PlanGraph, id: NodeId) -> Vec<&str> {
    let node = plan.node(id);
    if node.kind != NodeKind::Unique {
        return node.texts("Group Key");
    }
    plan.subtree(id)
        .into_iter()
        .map(|below| plan.node(below))
        .find(|below| matches!(below.kind, NodeKind::Sort | NodeKind::IncrementalSort))
        .map(|sort| sort.texts("Sort Key"))
        .unwrap_or_default()
        .into_iter()
        .map(|key| key.split(" DESC").next().unwrap_or(key))
        .collect()
}

/// The partitioned table that one is a partition of.
fn parent<'a>(subject: &Subject<'a>, table: &Table<'_>) -> Option<&'a Relation> {
    let (schema, name) = table.relation?.parent.as_ref()?;
    subject
        .catalog?
        .relation(Some(schema), name)
        .filter(|parent| parent.kind == RelationKind::PartitionedTable)
}

/// Groups over partitions are reckoned from the parent's statistics.
fn of_parent(subject: &Subject<'_>, parent: &Relation) -> Option<Cause> {
    let catalog = subject.catalog?;
    let due = partitioned_due(parent, catalog)?;
    let table = Table::of(parent, catalog);
    let mut cause = Cause::new(
        Kind::ParentWithout,
        format!(
            "{}, and how many different values it has over all partitions is reckoned from those; \
             autovacuum never collects them",
            due.text
        ),
    )
    .suggest(table.analyze());
    cause.evidence.extend(due.evidence);
    cause.relation = Some(table.key);
    Some(cause)
}

fn cause(subject: &Subject<'_>, table: &Table<'_>, grouped: &Grouped<'_>) -> Cause {
    if let Some(cause) = stale(subject, table) {
        return cause;
    }
    let keys = &grouped.keys;
    if let Some(found) = keys.iter().find(|key| condition::column(key).is_none()) {
        let text = condition::strip(found);
        let without = Cause::new(
            Kind::Expression,
            format!(
                "no statistics exist for the expression {text}, so that the planner guesses how \
                 many groups there are"
            ),
        );
        let node = grouped.plan.node(grouped.scan);
        return expression::expression_cause(subject, table, node, text, without);
    }
    let mut columns: Vec<String> = keys
        .iter()
        .filter_map(|key| condition::column(key))
        .map(|(_, column)| column)
        .collect();
    columns.sort_unstable();
    columns.dedup();
    match columns.as_slice() {
        [] => Cause::new(
            Kind::DistinctValues,
            "the planner misjudged how many different groups there are",
        ),
        [column] => one(table, column, grouped),
        _ => {
            columns.truncate(8);
            let list = columns.join(", ");
            let quoted: Vec<String> = columns.iter().map(|column| ident::quote(column)).collect();
            Cause::new(
                Kind::CorrelatedColumns,
                format!("the planner does not know how many combinations of {list} there are"),
            )
            .suggest(table.create_statistics(
                &columns.join("_"),
                "ndistinct",
                &quoted,
                false,
                &format!("create ndistinct statistics on {list}"),
            ))
        }
    }
}

/// Groups of one column: where all rows were grouped, their number is what the
/// statistics should have said.
fn one(table: &Table<'_>, column: &str, grouped: &Grouped<'_>) -> Cause {
    let mut cause = Cause::new(
        Kind::DistinctValues,
        format!("the number of different values of {column} is misjudged from the sample"),
    );
    if let Some(relation) = table.relation
        && let Some(stats) = relation
            .column(column)
            .and_then(|column| column.stats.as_ref())
    {
        cause = cause.evidence(distinct_evidence(relation, column, stats));
    }
    let scan = grouped.plan.node(grouped.scan);
    let is_whole = grouped.is_alone
        && scan.kind == NodeKind::SeqScan
        && scan.condition(ConditionRole::Filter).is_none();
    let read = Rows::of(grouped.plan, grouped.scan)
        .filter(|rows| is_whole && rows.loops >= 1.0)
        .map(|rows| rows.counted);
    let groups = Rows::of(grouped.plan, grouped.id).map(|rows| rows.counted);
    match (read, groups) {
        (Some(read), Some(groups)) if groups > 0.0 && read > 0.0 => cause
            .evidence(Evidence::new(
                format!("different values of {column}, counted"),
                Value::Count(groups),
                Origin::Plan(grouped.id),
            ))
            .suggest(table.set_distinct(column, groups, read))
            .suggest(table.raise_target(column)),
        _ => cause.suggest(table.raise_target(column)),
    }
}
