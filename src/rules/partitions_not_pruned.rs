//! Partitions that are searched and have nothing.

use std::collections::BTreeSet;

use super::support::{condition, node, show, suggest, weight::Weight};
use crate::catalog::Relation;
use crate::declare_rule;
use crate::finding::{Evidence, Origin, Value};
use crate::plan::{NodeId, NodeKind, PlanEdge, PlanGraph};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

/// Fewer partitions are searched in no time.
const LEAST_PARTITIONS: usize = 8;
/// At least that share of them gave no row.
const LEAST_EMPTY: f64 = 0.75;

declare_rule! {
    /// ## What it does
    ///
    /// Finds a partitioned table of which at least eight partitions were
    /// searched, and three in four of them gave no row; it tells of all of
    /// them in one finding. What could be saved is the time in those without a
    /// row.
    ///
    /// ## Why it matters
    ///
    /// A condition on the partition key lets the planner, or the execution for
    /// parameters, leave out the partitions that cannot match. Each partition
    /// that is searched costs time, locks, and planning.
    ///
    /// ## When it is wrong
    ///
    /// When the rows wanted cannot be told by the partition key. A unique
    /// value without the key must be searched for in every partition.
    ///
    /// ## References
    ///
    /// - [Partition pruning](https://www.postgresql.org/docs/current/ddl-partitioning.html#DDL-PARTITION-PRUNING)
    pub struct PartitionsNotPruned = {
        id: "partitions-not-pruned",
        summary: "many partitions are searched that have no row for the query",
        level: Warning,
        needs: [Actuals],
        concerns: [Append, MergeAppend],
        since: "0.1.0",
    }
}

/// The partitions below an Append.
struct Searched {
    /// Those that ran.
    ran: usize,
    /// Those that ran and gave nothing.
    empty: usize,
    /// The time share of those.
    share: f64,
    /// A scan of one of them, for its conditions.
    example: NodeId,
    /// The alias that all of them have, without its number.
    alias: String,
}

impl Rule for PartitionsNotPruned {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(plan) = subject.plan else { return };
        for (id, node) in plan.nodes() {
            if matches!(node.kind, NodeKind::Append | NodeKind::MergeAppend)
                && let Some(searched) = searched(subject, plan, id)
            {
                look(subject, plan, id, &searched, sink);
            }
        }
    }
}

/// The one table scan at or below a member.
fn scan_of(plan: &PlanGraph, member: NodeId) -> Option<NodeId> {
    let mut scans = plan
        .subtree(member)
        .into_iter()
        .filter(|id| node::reads_table(plan.node(*id)));
    let first = scans.next()?;
    scans.next().is_none().then_some(first)
}

/// `m_12` without its number: partitions are called by the alias of their
/// parent and a number.
fn stem(alias: &str) -> &str {
    match alias.rsplit_once('_') {
        Some((stem, number))
            if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            stem
        }
        _ => alias,
    }
}

/// What the Append searched, if its members are the partitions of one table.
fn searched(subject: &Subject<'_>, plan: &PlanGraph, id: NodeId) -> Option<Searched> {
    let metrics = subject.metrics?;
    let mut tables = BTreeSet::new();
    let mut found: Option<Searched> = None;
    for (edge, member) in plan.children(id) {
        if edge != PlanEdge::Member {
            continue;
        }
        let scan = scan_of(plan, member)?;
        let relation = &plan.node(scan).relation;
        let alias = stem(relation.alias.as_deref()?);
        let searched = found.get_or_insert_with(|| Searched {
            ran: 0,
            empty: 0,
            share: 0.0,
            example: scan,
            alias: alias.to_owned(),
        });
        // Members of a UNION ALL are different tables, or the same one twice.
        if searched.alias != alias
            || !tables.insert((relation.schema.as_deref(), relation.name.as_deref()?))
        {
            return None;
        }
        let Some(actual) = plan.node(member).actual.filter(|actual| actual.loops > 0.0) else {
            continue;
        };
        searched.ran += 1;
        // Before version 18 fewer than half a row per loop are printed as 0.
        if actual.rows_per_loop * actual.loops <= 0.0 {
            searched.empty += 1;
            searched.share += metrics.node(member).total_share;
        }
    }
    found
}

fn look(subject: &Subject<'_>, plan: &PlanGraph, id: NodeId, searched: &Searched, sink: &mut Sink) {
    let (Ok(ran), Ok(empty)) = (u32::try_from(searched.ran), u32::try_from(searched.empty)) else {
        return;
    };
    let (ran, empty) = (f64::from(ran), f64::from(empty));
    // A member that ran often and is printed with 0 rows may have given some.
    let certain = plan
        .node(searched.example)
        .actual
        .is_some_and(|actual| actual.loops <= 2.0 || actual.rows_per_loop.fract() > 0.0);
    if searched.ran < LEAST_PARTITIONS || empty < ran * LEAST_EMPTY || !certain {
        return;
    }
    let Some(weight) = Weight::worth_telling(subject, searched.share) else {
        return;
    };
    let scan = plan.node(searched.example);
    let parent = parent(subject, searched.example);
    let name = parent.map_or(searched.alias.as_str(), |parent| parent.name.as_str());
    let conditions: Vec<&str> = scan
        .conditions
        .iter()
        .map(|condition| condition.text.as_str())
        .collect();
    let key = parent.and_then(|parent| parent.partition_key.as_deref());
    let mentions_key = key.map(|key| {
        let names: Vec<String> = conditions
            .iter()
            .flat_map(|text| condition::names(text))
            .collect();
        condition::names(key).iter().any(|name| {
            parent.is_some_and(|parent| parent.column(name).is_some()) && names.contains(name)
        })
    });
    let why = match (key, mentions_key) {
        (Some(key), Some(false)) => format!(
            "the query has no condition on the partition key, {key}, by which they could be left \
             out"
        ),
        (Some(key), _) => format!(
            "the condition on the partition key, {key}, is none by which partitions can be left \
             out: it must compare the bare key with a constant or a parameter of its type"
        ),
        (None, _) => "nothing told the planner that the others have no row: a condition on the \
                      partition key would leave them out"
            .to_owned(),
    };
    let mut draft = sink
        .report(
            format!(
                "{} partitions of {name} are searched, and {} have no row",
                show::count(ran),
                show::count(empty)
            ),
            why,
            Evidence::new("partitions searched", Value::Count(ran), Origin::Plan(id)),
        )
        .node(id)
        .level(weight.level())
        .share(weight.share())
        .evidence(Evidence::new(
            "partitions without a row",
            Value::Count(empty),
            Origin::Plan(id),
        ));
    if let Some(removed) = plan
        .node(id)
        .number("Subplans Removed")
        .filter(|removed| *removed > 0.0)
    {
        draft = draft.evidence(Evidence::new(
            "partitions left out",
            Value::Count(removed),
            Origin::Plan(id),
        ));
    }
    if let (Some(key), Some(parent)) = (key, parent) {
        draft = draft.evidence(Evidence::new(
            "partition key",
            Value::Text(key.to_owned()),
            Origin::Catalog(parent.qualified()),
        ));
    }
    if !conditions.is_empty() {
        draft = draft.evidence(Evidence::new(
            "conditions",
            Value::Text(conditions.join(" and ")),
            Origin::Plan(searched.example),
        ));
    }
    draft = draft
        .evidence(weight.evidence())
        .suggest(suggest::judgement(
            "give the query a condition on the partition key",
            "add the condition on the partition key that the wanted rows satisfy anyway, and \
             compare the bare column: a function or a cast around it keeps partitions from being \
             left out. When no such condition exists, fewer and larger partitions, or another \
             key, suit the query better",
        ));
    if let Some(parent) = parent {
        draft.relation(parent.schema.clone(), parent.name.clone());
    }
}

/// The partitioned table that a scan reads a partition of.
fn parent<'a>(subject: &Subject<'a>, scan: NodeId) -> Option<&'a Relation> {
    let (schema, name) = subject.relation_at(scan)?.parent.as_ref()?;
    subject.catalog?.relation(Some(schema), name)
}
