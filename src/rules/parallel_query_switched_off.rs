//! A large scan by one process, because parallel query is switched off.

use super::support::{memory, node, show, suggest, weight::Weight};
use crate::declare_rule;
use crate::finding::{Evidence, Level, Origin, Value};
use crate::plan::{NodeId, NodeKind, PlanGraph};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

/// `min_parallel_table_scan_size` by default, in blocks: from here the planner
/// thinks of workers.
const LEAST_BLOCKS: f64 = 1024.0;
/// A quicker scan does not pay the start of workers.
const LEAST_MS: f64 = 100.0;
/// What is left of a scan's time with the default of two workers: the leader
/// reads too, but has the rest of the plan to do.
const LEFT: f64 = 0.4;

declare_rule! {
    /// ## What it does
    ///
    /// Finds statements without a Gather that spent at least 100 ms in
    /// sequential scans of tables of 8 MB and more, while
    /// `max_parallel_workers_per_gather` or `max_parallel_workers` is 0, which
    /// EXPLAIN prints under SETTINGS. What could be saved is six tenths of the
    /// scans' own time, which is what two workers take from the leader.
    ///
    /// ## Why it matters
    ///
    /// One process reads and filters what several could share.
    ///
    /// ## When it is wrong
    ///
    /// When the processors are busy with other sessions: workers make one
    /// statement quicker, not the server. Statements that write, and those
    /// with functions that are not PARALLEL SAFE, run in one process anyway.
    /// An index that finds the rows is worth more than workers.
    ///
    /// ## References
    ///
    /// - [When can parallel query be used?](https://www.postgresql.org/docs/current/when-can-parallel-query-be-used.html)
    pub struct ParallelQuerySwitchedOff = {
        id: "parallel-query-switched-off",
        summary: "a setting keeps large scans from being shared among workers",
        level: Note,
        needs: [Actuals],
        since: "0.1.0",
    }
}

impl Rule for ParallelQuerySwitchedOff {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let (Some(plan), Some(metrics)) = (subject.plan, subject.metrics) else {
            return;
        };
        let Some(setting) = ["max_parallel_workers_per_gather", "max_parallel_workers"]
            .into_iter()
            .find(|name| memory::setting(subject, name) == Some("0"))
        else {
            return;
        };
        let forbidden = plan.nodes().any(|(_, node)| {
            matches!(
                node.kind,
                NodeKind::Gather
                    | NodeKind::GatherMerge
                    | NodeKind::ModifyTable
                    | NodeKind::LockRows
            )
        });
        if forbidden {
            return;
        }
        let mut scans: Vec<(NodeId, f64)> = plan
            .nodes()
            .filter(|(id, node)| {
                node.kind == NodeKind::SeqScan
                    && node.actual.is_some_and(|actual| actual.loops > 0.0)
                    && blocks(subject, plan, *id) >= LEAST_BLOCKS
            })
            .map(|(id, _)| (id, metrics.node(id).self_share))
            .collect();
        scans.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        let ms: f64 = scans
            .iter()
            .filter_map(|(id, _)| metrics.node(*id).self_ms)
            .sum();
        let share: f64 = scans.iter().map(|(_, share)| share).sum();
        if ms < LEAST_MS {
            return;
        }
        if let (Some((first, _)), Some(weight)) = (
            scans.first(),
            Weight::worth_telling(subject, share * (1.0 - LEFT)),
        ) {
            tell(
                subject,
                plan,
                *first,
                setting,
                (ms, scans.len()),
                weight,
                sink,
            );
        }
    }
}

/// Blocks of one run of the scan: counted, else by the catalogue.
fn blocks(subject: &Subject<'_>, plan: &PlanGraph, id: NodeId) -> f64 {
    let loops = plan
        .node(id)
        .actual
        .map_or(1.0, |actual| actual.loops.max(1.0));
    let touched = subject
        .metrics
        .and_then(|metrics| metrics.node(id).self_buffers)
        .map(|buffers| (buffers.shared_hit_blocks + buffers.shared_read_blocks) / loops);
    let known = subject.relation_at(id).map(|relation| relation.pages);
    touched.into_iter().chain(known).fold(0.0, f64::max)
}

fn tell(
    subject: &Subject<'_>,
    plan: &PlanGraph,
    id: NodeId,
    setting: &str,
    (ms, scans): (f64, usize),
    weight: Weight,
    sink: &mut Sink,
) {
    let table = node::table_name(plan.node(id));
    let others = if scans > 1 {
        format!(" and {} more", scans - 1)
    } else {
        String::new()
    };
    let draft = sink
        .report(
            format!("{table}{others} is scanned by one process, because {setting} is 0"),
            format!(
                "the scans took {} that workers could have shared",
                show::ms(ms)
            ),
            Evidence::new("time of the scans", Value::Ms(ms), Origin::Plan(id)),
        )
        .node(id)
        .level(weight.level().min(Level::Note))
        .share(weight.share())
        .evidence(Evidence::new(
            setting,
            Value::Count(0.0),
            if plan.run.settings.contains_key(setting) {
                Origin::Plan(plan.root)
            } else {
                Origin::Catalog(setting.to_owned())
            },
        ))
        .evidence(weight.evidence())
        .suggest(suggest::setting(
            "allow two workers for this statement's session or role",
            if setting == "max_parallel_workers" {
                "SET max_parallel_workers = 8;".to_owned()
            } else {
                format!("SET {setting} = 2;")
            },
            "each worker is a process with its own work_mem, and takes a processor from others",
        ));
    if let Some((schema, name)) = node::relation(subject, plan.node(id)) {
        draft.relation(schema, name);
    }
}
