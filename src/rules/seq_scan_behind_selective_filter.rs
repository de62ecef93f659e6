//! A sequential scan that throws nearly everything away.

use std::collections::BTreeMap;

use super::support::{condition, memory, node, show, suggest, weight::Weight};
use crate::declare_rule;
use crate::finding::{Evidence, Origin, Value};
use crate::plan::{ConditionRole, NodeId, NodeKind, PlanGraph, PlanNode};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

/// A table of fewer rows is read at once, index or not.
const LEAST_ROWS: f64 = 1_000.0;
/// Where more of the table passes, reading all of it is right.
const MOST_KEPT: f64 = 0.1;
/// The same where the rows lie together on disk.
const MOST_KEPT_CORRELATED: f64 = 0.2;
/// From here the column's order counts as the table's order.
const CORRELATED: f64 = 0.9;

declare_rule! {
    /// ## What it does
    ///
    /// Finds a sequential scan whose filter keeps at most a tenth of the rows
    /// that it reads (a fifth, where the column's values lie in the table's
    /// own order), in a table of 1,000 rows or more. On a plan that was
    /// executed it counts the rows that the filter removed; otherwise it takes
    /// the rows of the table from the catalogue, or reckons them from the cost
    /// of the scan.
    ///
    /// Partitions of one table that are read like this are told of once, with
    /// what they take together.
    ///
    /// What an index could save is reckoned with the planner's own cost model
    /// of a bitmap scan, and weighed by the share of the statement that the
    /// scan takes: small tables and quick statements stay silent.
    ///
    /// ## Why it matters
    ///
    /// The scan reads the whole table each time, however few rows are wanted,
    /// and grows with the table. An index that leads with the filter's columns
    /// reads only what is wanted.
    ///
    /// ## When it is wrong
    ///
    /// When the statement runs rarely and the table is written often: an index
    /// costs every write. When the value in this run is rare but most runs ask
    /// for a frequent one. When the condition is one that no index serves.
    ///
    /// ## References
    ///
    /// - [Indexes](https://www.postgresql.org/docs/current/indexes.html)
    /// - [Using EXPLAIN](https://www.postgresql.org/docs/current/using-explain.html)
    pub struct SeqScanBehindSelectiveFilter = {
        id: "seq-scan-behind-selective-filter",
        summary: "a sequential scan reads a table to keep few of its rows",
        level: Warning,
        needs: [Plan],
        concerns: [SeqScan],
        since: "0.1.0",
    }
}

/// What one scan read and kept.
struct Reading {
    read: f64,
    kept: f64,
    scans: f64,
    executed: bool,
    from: Origin,
}

impl Rule for SeqScanBehindSelectiveFilter {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(plan) = subject.plan else { return };
        let partitions = partitions(subject, plan);
        for (id, scan) in plan.nodes() {
            if scan.kind == NodeKind::SeqScan
                && let Some(filter) = node::own_condition(scan, ConditionRole::Filter)
            {
                let own = [id];
                let group = partitions.get(&id).map_or(own.as_slice(), Vec::as_slice);
                let told = group.first().is_some_and(|first| *first != id);
                if !sink.passes(told, id, || "it is told once for all partitions".to_owned()) {
                    look(subject, plan, (id, scan), filter, group, sink);
                }
            }
        }
    }
}

fn look(
    subject: &Subject<'_>,
    plan: &PlanGraph,
    (id, scan): (NodeId, &PlanNode),
    filter: &str,
    group: &[NodeId],
    sink: &mut Sink,
) {
    let Some(mut reading) = reading(subject, plan, id, scan) else {
        return;
    };
    let kept_share = reading.kept / reading.read.max(1.0);
    let correlated = correlated(subject, scan, filter);
    let most = if correlated {
        MOST_KEPT_CORRELATED
    } else {
        MOST_KEPT
    };
    let read = reading.read / reading.scans;
    if sink.passes(read < LEAST_ROWS, id, || {
        format!(
            "it reads {}, and under {} an index helps little",
            show::rows(read),
            show::count(LEAST_ROWS)
        )
    }) || sink.passes(kept_share > most, id, || {
        format!(
            "the filter keeps {} of {}, and from {} on reading them in order is no worse",
            show::percent(kept_share),
            show::rows(read),
            show::percent(most)
        )
    }) {
        return;
    }
    // Which index would lead to the rows shows when the planner may use one.
    if sink.passes(
        subject.relation_of_node(scan).is_none() && memory::no_index_allowed(subject),
        id,
        || "index and bitmap scans are switched off".to_owned(),
    ) {
        return;
    }
    let saved = saved(subject, plan, id, &reading, correlated);
    let Some(metrics) = subject.metrics else {
        return;
    };
    let mut share = metrics.node(id).self_share * saved;
    for other in group.iter().filter(|other| **other != id) {
        share += metrics.node(*other).self_share * saved;
        if let Some(more) = self::reading(subject, plan, *other, plan.node(*other)) {
            reading.read += more.read;
            reading.kept += more.kept;
        }
    }
    let kept_share = reading.kept / reading.read.max(1.0);
    let Some(weight) =
        Weight::worth_telling(subject, share).filter(|_| group.len() == 1 || kept_share <= most)
    else {
        return;
    };

    let table = match group.len() {
        0 | 1 => node::table_name(scan).to_owned(),
        others => format!(
            "{} and {} partitions beside it",
            node::table_name(scan),
            others - 1
        ),
    };
    let read = show::rows(reading.read / reading.scans);
    let kept = show::count(reading.kept / reading.scans);
    let times = if reading.scans > 1.5 {
        format!(", {} times", show::count(reading.scans))
    } else {
        String::new()
    };
    let message = if reading.executed {
        format!("sequential scan of {table} reads {read} to keep {kept}{times}")
    } else {
        format!("sequential scan of {table} would read about {read} to keep {kept}{times}")
    };
    let indexes = indexes(subject, scan, filter);
    let searched = condition::searched_inside(filter);
    let why = match &indexes {
        _ if searched.is_some() => format!(
            "the filter keeps {} of the rows read; the pattern has no fixed beginning, so that no \
             B-tree index can find them, and the text of every row is compared with it",
            show::percent(kept_share)
        ),
        Some(names) if !names.is_empty() => format!(
            "the filter keeps {} of the rows read; {} begins with one of its columns, and the \
             planner did not use it",
            show::percent(kept_share),
            names.join(", ")
        ),
        _ => format!(
            "the filter keeps {} of the rows read; without an index that leads to them the whole \
             table is read each time, and more of it as it grows",
            show::percent(kept_share)
        ),
    };
    let mut draft = sink
        .report(
            message,
            why,
            Evidence::new(
                if reading.executed {
                    "rows read"
                } else {
                    "rows in the table"
                },
                Value::Rows(reading.read),
                reading.from.clone(),
            ),
        )
        .node(id)
        .span(node::span(subject, id, Some(filter)))
        .level(weight.level())
        .share(weight.share())
        .evidence(Evidence::new(
            if reading.executed {
                "rows kept"
            } else {
                "rows expected to pass"
            },
            Value::Rows(reading.kept),
            Origin::Plan(id),
        ))
        .evidence(Evidence::new(
            "filter",
            Value::Text(filter.to_owned()),
            Origin::Plan(id),
        ))
        .evidence(weight.evidence());
    if let (Some(names), Some(relation)) = (indexes, subject.relation_of_node(scan)) {
        let text = if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        };
        draft = draft.evidence(Evidence::new(
            "indexes that begin with a column of the filter",
            Value::Text(text),
            Origin::Catalog(relation.qualified()),
        ));
    }
    if group.len() > 1 {
        draft = draft
            .evidence(Evidence::new(
                "partitions read like this",
                Value::Count(f64::from(u32::try_from(group.len()).unwrap_or(u32::MAX))),
                Origin::Plan(id),
            ))
            .suggest(suggest::judgement(
                "create the index on the partitioned table",
                "CREATE INDEX on the partitioned table creates one on each partition; to let \
                 writes go on meanwhile, create it ON ONLY the partitioned table, then \
                 CONCURRENTLY on each partition, and attach these with ALTER INDEX … ATTACH \
                 PARTITION",
            ));
    }
    // With the statement's text leading-wildcard says it.
    if let Some(column) = searched.filter(|_| subject.query().is_none()) {
        draft = draft.suggest(suggest::trigrams(&column));
    }
    if let Some((schema, name)) = node::relation(subject, scan) {
        draft.relation(schema, name);
    }
}

/// The scans of each table's partitions, where no catalogue tells of them, by
/// each of them: members of one Append with the alias of their parent and a
/// number.
fn partitions(subject: &Subject<'_>, plan: &PlanGraph) -> BTreeMap<NodeId, Vec<NodeId>> {
    let mut groups: BTreeMap<(NodeId, &str), Vec<NodeId>> = BTreeMap::new();
    for (id, scan) in plan.nodes() {
        let Some((_, up)) = plan.parent(id) else {
            continue;
        };
        if scan.kind == NodeKind::SeqScan
            && matches!(plan.node(up).kind, NodeKind::Append | NodeKind::MergeAppend)
            && subject.relation_of_node(scan).is_none()
            && node::own_condition(scan, ConditionRole::Filter).is_some()
            && let Some((of, number)) = scan
                .relation
                .alias
                .as_deref()
                .and_then(|alias| alias.rsplit_once('_'))
            && number.parse::<u32>().is_ok()
            && reading(subject, plan, id, scan)
                .is_some_and(|reading| reading.read / reading.scans >= LEAST_ROWS)
        {
            groups.entry((up, of)).or_default().push(id);
        }
    }
    let mut found = BTreeMap::new();
    for ids in groups.into_values() {
        let mut names: Vec<&str> = ids
            .iter()
            .map(|id| node::table_name(plan.node(*id)))
            .collect();
        // Tables of UNION ALL have aliases of their own, which may end like
        // that too, or are one table.
        let numbered = ids
            .iter()
            .zip(&names)
            .any(|(id, name)| plan.node(*id).relation.alias.as_deref() != Some(*name));
        names.sort_unstable();
        names.dedup();
        if numbered && names.len() == ids.len() && ids.len() > 1 {
            // Each has the first; only that one needs them all.
            let first = ids.first().copied();
            for id in ids.iter().skip(1) {
                found.insert(*id, first.into_iter().collect());
            }
            if let Some(first) = first {
                found.insert(first, ids);
            }
        }
    }
    found
}

fn reading(
    subject: &Subject<'_>,
    plan: &PlanGraph,
    id: NodeId,
    scan: &PlanNode,
) -> Option<Reading> {
    if plan.has_actuals() {
        let filtered = node::Filtered::of(scan)?;
        return Some(Reading {
            read: filtered.read(),
            kept: filtered.kept,
            scans: if scan.parallel_aware {
                1.0
            } else {
                filtered.loops
            },
            executed: true,
            from: Origin::Plan(id),
        });
    }
    let kept = node::estimated_rows(plan, id)?;
    let (read, from) = node::table_rows(subject, plan, id)?;
    Some(Reading {
        read,
        kept,
        scans: 1.0,
        executed: false,
        from,
    })
}

/// The share of the scan's own work that an index would save, as the planner
/// reckons a bitmap scan: the fewer pages of all it fetches, the dearer each.
fn saved(
    subject: &Subject<'_>,
    plan: &PlanGraph,
    id: NodeId,
    reading: &Reading,
    correlated: bool,
) -> f64 {
    let read = reading.read / reading.scans;
    let kept = reading.kept / reading.scans;
    let pages = node::pages_read(subject, plan, id, read).max(1.0);
    let random = memory::number(subject, "random_page_cost", 4.0);
    let fetched = if correlated {
        pages * kept / read.max(1.0)
    } else {
        pages * (1.0 - (-kept / pages).exp())
    };
    let page_cost = if correlated {
        1.0
    } else {
        random - (random - 1.0) * (fetched / pages).sqrt()
    };
    let with_index = fetched * page_cost + kept * 0.015;
    let without = pages + read * 0.0125;
    (1.0 - with_index / without).clamp(0.0, 1.0)
}

/// The filter has a column in whose order the table lies.
fn correlated(subject: &Subject<'_>, scan: &PlanNode, filter: &str) -> bool {
    let Some(relation) = subject.relation_of_node(scan) else {
        return false;
    };
    node::condition_columns(relation, filter)
        .into_iter()
        .filter_map(|name| relation.column(name)?.stats.as_ref()?.correlation)
        .any(|correlation| correlation.abs() >= CORRELATED)
}

/// Names of valid indexes that begin with a column of the filter; `None`
/// without a catalogue.
fn indexes(subject: &Subject<'_>, scan: &PlanNode, filter: &str) -> Option<Vec<String>> {
    let relation = subject.relation_of_node(scan)?;
    let columns = node::condition_columns(relation, filter);
    Some(
        relation
            .indexes
            .iter()
            .filter(|index| {
                index.valid
                    && index
                        .leading_column()
                        .is_some_and(|leading| columns.contains(&leading))
            })
            .map(|index| index.name.clone())
            .collect(),
    )
}
