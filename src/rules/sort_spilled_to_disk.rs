//! A sort that did not fit into memory.

use super::support::{memory, node, show, weight::Weight};
use crate::declare_rule;
use crate::finding::{Applicability, Change, Evidence, Origin, Suggestion, Value};
use crate::plan::{NodeId, NodeKind, PlanEdge, PlanGraph, PlanNode};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

/// About half of a spilled sort's own time goes into writing and reading
/// again; the comparisons stay.
const SPILL_SHARE: f64 = 0.5;
/// Less on disk is gone in a moment.
const LEAST_BYTES: f64 = 1024.0 * 1024.0;

declare_rule! {
    /// ## What it does
    ///
    /// Finds a sort that wrote at least 1 MB to temporary files, reckons how
    /// much memory it would have needed, and proposes a `work_mem` for this
    /// statement's session or role. Sorted rows take more room in memory than
    /// on disk, by about 56 bytes a row, so the figure is larger than the one
    /// that EXPLAIN prints; and it is each process's, when workers sort.
    ///
    /// Half of the sort's own time is taken as what could be saved.
    ///
    /// ## Why it matters
    ///
    /// Rows are written to temporary files and read again, which on a busy
    /// disk is slower than the sort itself.
    ///
    /// ## When it is wrong
    ///
    /// When memory is short: `work_mem` is granted to every sort and hash of
    /// every process, so a large value for the whole server can exhaust it.
    /// For a report that runs at night the spill may not matter. An index in
    /// the sort's order, or fewer rows and columns, avoid the sort instead.
    ///
    /// ## References
    ///
    /// - [work_mem](https://www.postgresql.org/docs/current/runtime-config-resource.html#GUC-WORK-MEM)
    pub struct SortSpilledToDisk = {
        id: "sort-spilled-to-disk",
        summary: "a sort did not fit into memory and went through temporary files",
        level: Warning,
        needs: [Actuals],
        concerns: [Sort, IncrementalSort],
        since: "0.1.0",
    }
}

impl Rule for SortSpilledToDisk {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(plan) = subject.plan else { return };
        for (id, sort) in plan.nodes() {
            if !matches!(sort.kind, NodeKind::Sort | NodeKind::IncrementalSort) {
                continue;
            }
            match disk_bytes(sort) {
                Some(disk) => look(subject, plan, id, sort, disk, sink),
                None => sink.pass(id, || "nothing went to disk".to_owned()),
            }
        }
    }
}

/// What one process wrote at most, in bytes.
fn disk_bytes(sort: &PlanNode) -> Option<f64> {
    let used = |value: &serde_json::Value| -> Option<f64> {
        if value.get("Sort Space Type")?.as_str()? == "Disk" {
            value.get("Sort Space Used")?.as_f64()
        } else {
            None
        }
    };
    let own = (sort.text("Sort Space Type") == Some("Disk"))
        .then(|| sort.number("Sort Space Used"))
        .flatten();
    let workers = sort
        .extra
        .get("Workers")
        .and_then(serde_json::Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(used);
    // An incremental sort tells of the largest of its groups.
    let groups = ["Full-sort Groups", "Pre-sorted Groups"]
        .into_iter()
        .filter_map(|key| {
            sort.extra
                .get(key)?
                .get("Sort Space Disk")?
                .get("Peak Sort Space Used")?
                .as_f64()
        });
    own.into_iter()
        .chain(workers)
        .chain(groups)
        .reduce(f64::max)
        .map(|kilobytes| kilobytes * 1024.0)
}

fn look(
    subject: &Subject<'_>,
    plan: &PlanGraph,
    id: NodeId,
    sort: &PlanNode,
    disk: f64,
    sink: &mut Sink,
) {
    if sink.passes(disk < LEAST_BYTES, id, || {
        format!(
            "{} went to disk, under {}",
            show::bytes(disk),
            show::bytes(LEAST_BYTES)
        )
    }) {
        return;
    }
    let Some(metrics) = subject.metrics else {
        return;
    };
    let share = metrics.node(id).self_share * SPILL_SHARE;
    let Some(weight) = Weight::worth_telling(subject, share) else {
        return;
    };
    let Some(rows) = plan
        .child(id, PlanEdge::Outer)
        .and_then(|child| plan.node(child).actual)
        .or(sort.actual)
        .map(|actual| actual.rows_per_loop)
    else {
        return;
    };
    let incremental = sort.kind == NodeKind::IncrementalSort;
    let need = memory::sort_need(rows, disk, memory::major(subject));
    let keys = sort.texts("Sort Key").join(", ");
    let message = format!("sort by {keys} wrote {} to disk", show::bytes(disk));
    let why = if incremental {
        "one group of the incremental sort was larger than work_mem, so its rows went through \
         temporary files"
            .to_owned()
    } else {
        format!(
            "{} were larger than work_mem, so they went through temporary files; to sort them in \
             memory takes about {} a process",
            show::rows(rows),
            show::bytes(need)
        )
    };
    let mut draft = sink
        .report(
            message,
            why,
            Evidence::new(
                "written to disk by one process",
                Value::Bytes(disk),
                Origin::Plan(id),
            ),
        )
        .node(id)
        .level(weight.level())
        .share(weight.share())
        .evidence(Evidence::new(
            "rows sorted by one process",
            Value::Rows(rows),
            Origin::Plan(id),
        ))
        .evidence(weight.evidence());
    if let Some(now) = memory::work_mem(subject) {
        draft = draft.evidence(Evidence::new(
            "work_mem",
            Value::Bytes(now),
            Origin::Catalog("work_mem".to_owned()),
        ));
    }
    if !incremental {
        draft = draft.evidence(Evidence::new(
            "memory needed",
            Value::Bytes(need),
            Origin::Formula("bytes on disk and 56 bytes a row, and 15 % more"),
        ));
        draft = match memory::raise_work_mem(subject, need) {
            Some(suggestion) => draft.suggest(suggestion),
            None => draft.suggest(less_to_sort()),
        };
    }
    let scan = plan
        .subtree(id)
        .into_iter()
        .filter(|below| node::reads_table(plan.node(*below)))
        .collect::<Vec<_>>();
    if let [only] = scan.as_slice()
        && let Some((schema, name)) = node::relation(subject, plan.node(*only))
    {
        draft.relation(schema, name);
    }
}

fn less_to_sort() -> Suggestion {
    Suggestion::untested(
        "sort fewer or narrower rows, or give them an index in this order",
        Change::Advice {
            text: "the sort needs more memory than one statement should be granted: filter or \
                   aggregate before it, select fewer columns, or let an index give the order"
                .to_owned(),
        },
        Applicability::Manual,
    )
}
