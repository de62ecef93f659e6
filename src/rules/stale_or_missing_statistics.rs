//! Tables of the statement whose statistics are missing or out of date.

use std::collections::BTreeMap;

use super::support::{
    cause::{self, Table},
    node,
    weight::Weight,
};
use crate::catalog::{Catalog, Relation, RelationKind};
use crate::declare_rule;
use crate::finding::Level;
use crate::plan::NodeId;
use crate::rule::{Rule, Sink};
use crate::source::Span;
use crate::sql::RelationRefKind;
use crate::subject::Subject;

/// Smaller tables plan well without statistics.
const LEAST_PAGES: f64 = 10.0;
/// The same in rows, where they are counted.
const LEAST_ROWS: f64 = 1_000.0;

declare_rule! {
    /// ## What it does
    ///
    /// Looks at the tables that the statement reads and finds those that were
    /// never analysed, those of whose rows more than a fifth changed since the
    /// last ANALYZE, and partitioned tables without statistics of their own,
    /// which autovacuum never collects. Small tables (under 10 pages or 1,000
    /// rows) and empty ones stay silent: there is nothing to analyse.
    ///
    /// ## Why it matters
    ///
    /// Without statistics the planner assumes defaults, such as that a
    /// comparison keeps a third or a two-hundredth of the rows, whatever the
    /// data. With old ones it does not know the newest values: the most
    /// frequent question, about today, is planned as if today had no rows.
    ///
    /// ## When it is wrong
    ///
    /// When what changed does not matter to this statement, as when rows were
    /// updated in columns that it does not look at.
    ///
    /// ## References
    ///
    /// - [Updating planner statistics](https://www.postgresql.org/docs/current/routine-vacuuming.html#VACUUM-FOR-STATISTICS)
    /// - [ANALYZE](https://www.postgresql.org/docs/current/sql-analyze.html)
    pub struct StaleOrMissingStatistics = {
        id: "stale-or-missing-statistics",
        summary: "a table of the statement has no statistics, or old ones",
        level: Warning,
        needs: [Catalog],
        concerns: [SeqScan, SampleScan, IndexScan, IndexOnlyScan, BitmapHeapScan],
        since: "0.1.0",
    }
}

/// A table of the statement, and where it was seen.
struct Seen<'a> {
    relation: &'a Relation,
    span: Option<Span>,
    node: Option<NodeId>,
    share: f64,
}

impl Rule for StaleOrMissingStatistics {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(catalog) = subject.catalog else {
            return;
        };
        for seen in tables(subject, catalog) {
            look(subject, catalog, &seen, sink);
        }
    }
}

/// The tables of the statement's SQL and plan, each once.
fn tables<'a>(subject: &Subject<'a>, catalog: &'a Catalog) -> Vec<Seen<'a>> {
    let mut found: Vec<Seen<'a>> = Vec::new();
    // Where in `found` each table is: a plan may scan a table many times.
    let mut known: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    if let Some(query) = subject.query() {
        let references = query.selects.iter().flat_map(|select| &select.relations);
        for reference in references {
            if let RelationRefKind::Table {
                schema,
                name,
                found: true,
            } = &reference.kind
                && let Some(relation) = catalog.relation(schema.as_deref(), name)
                && !known.contains_key(&(relation.schema.as_str(), relation.name.as_str()))
            {
                known.insert((&relation.schema, &relation.name), found.len());
                found.push(Seen {
                    relation,
                    span: Some(reference.span),
                    node: None,
                    share: 0.0,
                });
            }
        }
    }
    let Some(plan) = subject.plan else {
        return found;
    };
    for (id, scan) in plan.nodes() {
        if !node::reads_table(scan) {
            continue;
        }
        let Some(relation) = subject.relation_of_node(scan) else {
            continue;
        };
        let share = subject
            .metrics
            .map_or(0.0, |metrics| metrics.node(id).total_share);
        let key = (relation.schema.as_str(), relation.name.as_str());
        if let Some(seen) = known.get(&key).and_then(|at| found.get_mut(*at)) {
            seen.node = seen.node.or(Some(id));
            seen.share = seen.share.max(share);
        } else {
            known.insert(key, found.len());
            found.push(Seen {
                relation,
                span: node::span(subject, id, None),
                node: Some(id),
                share,
            });
        }
    }
    found
}

fn look(subject: &Subject<'_>, catalog: &Catalog, seen: &Seen<'_>, sink: &mut Sink) {
    let relation = seen.relation;
    let parent = relation.kind == RelationKind::PartitionedTable;
    if !matches!(
        relation.kind,
        RelationKind::Table | RelationKind::MaterializedView | RelationKind::PartitionedTable
    ) || small(relation)
    {
        return;
    }
    let due = if parent {
        cause::partitioned_due(relation, catalog)
    } else {
        cause::analyze_due(relation, Some(catalog))
    };
    let Some(due) = due else { return };
    // Where the plan shows that the table takes next to no part of the
    // statement, its statistics can hardly mend anything.
    let weight = Weight::new(subject, seen.share);
    let level = match weight {
        Some(weight) => weight.level().min(Level::Warning),
        None => Level::Warning,
    };
    let mut level = level;
    if subject.plan.is_some()
        && !parent
        && weight.is_some()
        && Weight::worth_telling(subject, seen.share).is_none()
    {
        // A cost reckoned from old statistics is no proof that they do not
        // matter, unless a unique key finds the rows whatever they say.
        if !outgrown(relation) || by_unique_key(subject, seen) {
            return;
        }
        level = Level::Warning;
    }
    let Some((first, rest)) = due.evidence.split_first() else {
        return;
    };
    let why = if parent {
        "autovacuum analyses the partitions, never the partitioned table itself; joins and groups \
         over all partitions are planned with its own statistics"
    } else if due.missing {
        "the planner uses defaults for every condition on the table"
    } else {
        "values that came since are unknown to the planner"
    };
    let mut draft = sink
        .report(due.text, why, first.clone())
        .span(seen.span)
        .level(level)
        .share(seen.share)
        .relation(relation.schema.clone(), relation.name.clone())
        .suggest(Table::of(relation, catalog).analyze());
    if let Some(node) = seen.node {
        draft = draft.node(node);
    }
    for evidence in rest {
        draft = draft.evidence(evidence.clone());
    }
}

/// The table has at least twice the rows that its statistics know of.
fn outgrown(relation: &Relation) -> bool {
    let live = relation
        .activity
        .as_ref()
        .map_or(0.0, |activity| activity.live_rows);
    relation
        .tuples
        .is_some_and(|analyzed| live >= 2.0 * analyzed.max(LEAST_ROWS))
}

/// The plan was not executed, or reads the table by a unique index.
fn by_unique_key(subject: &Subject<'_>, seen: &Seen<'_>) -> bool {
    let Some(plan) = subject.plan else {
        return false;
    };
    if plan.has_actuals() {
        return true;
    }
    seen.node
        .and_then(|id| plan.node(id).relation.index.as_deref())
        .and_then(|name| {
            let indexes = &seen.relation.indexes;
            indexes.iter().find(|index| index.name == name)
        })
        .is_some_and(|index| index.unique)
}

/// Too small for statistics to matter, or empty.
fn small(relation: &Relation) -> bool {
    let live = relation
        .activity
        .as_ref()
        .map(|activity| activity.live_rows)
        .filter(|rows| *rows > 0.0);
    let rows = live.or(relation.tuples);
    relation.pages < LEAST_PAGES || rows.is_some_and(|rows| rows < LEAST_ROWS)
}
