//! A large scan by one process, with the reason why it is not parallel.

use super::support::{flow, memory, node, show, suggest, weight::Weight};
use crate::declare_rule;
use crate::finding::{
    Applicability, Change, Evidence, Level, Origin, SideEffect, Suggestion, Value,
};
use crate::plan::{NodeId, NodeKind, PlanGraph};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

/// A smaller table is read by one process as quickly.
const LEAST_ROWS: f64 = 100_000.0;
/// In blocks: the default of `min_parallel_table_scan_size`, 8 MB.
const LEAST_PAGES: f64 = 1_024.0;
/// Where fewer rows pass, an index is the better cure.
const LEAST_KEPT: f64 = 0.05;
/// What two workers beside the leader take off it.
const TAKEN: f64 = 2.0 / 3.0;
/// A smaller part of the statement is not worth its workers.
const LEAST_SHARE: f64 = 0.1;
/// Starting workers takes some milliseconds of its own.
const LEAST_SAVED_MS: f64 = 50.0;
/// And costs that much by the planner's reckoning.
const LEAST_SAVED_COST: f64 = 2_000.0;

declare_rule! {
    /// ## What it does
    ///
    /// Finds a sequential scan of at least 100,000 rows and 8 MB by one
    /// process, in a plan without any Gather, where the plan or the catalogue
    /// shows why: parallel queries are switched off, the statement writes or
    /// locks rows, the table is temporary, or it is smaller than
    /// `min_parallel_table_scan_size`. Without a known reason it is silent.
    /// What it could save is two thirds of the scan's time, as two workers
    /// beside the leader would; less than 50 ms or a tenth of the statement is not told.
    ///
    /// ## Why it matters
    ///
    /// A scan, its filter and the aggregate or join above it can be shared
    /// among processes where nothing forbids it. What forbids it is often not
    /// meant to: a setting of the role, or a statement that writes a little
    /// and reads much.
    ///
    /// ## When it is wrong
    ///
    /// On a server whose processors are busy: workers take them from other
    /// queries, and from connections that wait.
    ///
    /// ## References
    ///
    /// - [When can parallel query be used?](https://www.postgresql.org/docs/current/when-can-parallel-query-be-used.html)
    /// - [Parallel safety](https://www.postgresql.org/docs/current/parallel-safety.html)
    pub struct LargeScanNotParallel = {
        id: "large-scan-not-parallel",
        summary: "a large table is read by one process, and the plan shows why",
        level: Note,
        needs: [Plan],
        concerns: [SeqScan],
        since: "0.1.0",
    }
}

/// Why a scan is not parallel.
enum Reason {
    Setting(&'static str),
    Writes,
    Locks,
    Temporary,
    MinimumSize(String),
}

impl Rule for LargeScanNotParallel {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(plan) = subject.plan else { return };
        let gathers = plan
            .nodes()
            .any(|(_, node)| matches!(node.kind, NodeKind::Gather | NodeKind::GatherMerge));
        if gathers {
            return;
        }
        // One reason holds for all scans: the one with the most to save stands
        // for them.
        let mut best: Option<(NodeId, f64, f64)> = None;
        for (id, scan) in plan.nodes() {
            if scan.kind == NodeKind::SeqScan
                && let Some((rows, share)) = weigh(subject, plan, id)
                && best.is_none_or(|(_, _, most)| share > most)
            {
                best = Some((id, rows, share));
            }
        }
        if let Some((id, rows, share)) = best
            && let Some(reason) = reason(subject, plan, id, rows)
        {
            tell(subject, plan, id, rows, share, &reason, sink);
        }
    }
}

/// The rows that a scan reads, and the share that workers would save.
fn weigh(subject: &Subject<'_>, plan: &PlanGraph, id: NodeId) -> Option<(f64, f64)> {
    let scan = plan.node(id);
    let metrics = subject.metrics?.node(id);
    if metrics.stopped_early {
        return None;
    }
    let (read, kept) = if plan.has_actuals() {
        let counted = node::Filtered::of(scan).filter(|counted| counted.loops < 1.5)?;
        (counted.read(), counted.kept)
    } else {
        (node::table_rows(subject, plan, id)?.0, scan.estimate?.rows)
    };
    if read < LEAST_ROWS || kept < read * LEAST_KEPT {
        return None;
    }
    Some((read, metrics.self_share * TAKEN))
}

/// Why the scan is not parallel, where something shows it.
fn reason(subject: &Subject<'_>, plan: &PlanGraph, id: NodeId, rows: f64) -> Option<Reason> {
    for name in ["max_parallel_workers_per_gather", "max_parallel_workers"] {
        if memory::setting(subject, name) == Some("0") {
            return Some(Reason::Setting(name));
        }
    }
    let has = |wanted: &NodeKind| plan.nodes().any(|(_, node)| node.kind == *wanted);
    if has(&NodeKind::ModifyTable) {
        return Some(Reason::Writes);
    }
    if has(&NodeKind::LockRows) {
        return Some(Reason::Locks);
    }
    let scan = plan.node(id);
    if scan
        .relation
        .schema
        .as_deref()
        .is_some_and(|schema| schema.starts_with("pg_temp"))
    {
        return Some(Reason::Temporary);
    }
    let least = memory::setting(subject, "min_parallel_table_scan_size")?;
    let size = memory::bytes(least)?;
    let pages = node::pages_read(subject, plan, id, rows);
    (size > pages * 8192.0).then(|| Reason::MinimumSize(least.to_owned()))
}

fn tell(
    subject: &Subject<'_>,
    plan: &PlanGraph,
    id: NodeId,
    rows: f64,
    share: f64,
    reason: &Reason,
    sink: &mut Sink,
) {
    let pages = node::pages_read(subject, plan, id, rows);
    let Some(weight) = Weight::worth_telling(subject, share)
        .filter(|weight| weight.reaches(LEAST_SAVED_MS, LEAST_SAVED_COST))
        .filter(|weight| weight.share() >= LEAST_SHARE && pages >= LEAST_PAGES)
    else {
        return;
    };
    let scan = plan.node(id);
    let table = node::table_name(scan);
    let why = match reason {
        Reason::Setting(name) => {
            format!("{name} is 0: no query of this session is planned parallel")
        }
        Reason::Writes => {
            "a statement that writes, also in WITH, is not planned parallel in any of \
                           its parts"
                .to_owned()
        }
        Reason::Locks => "a statement that locks rows is not planned parallel".to_owned(),
        Reason::Temporary => {
            "a temporary table is in its session's own memory, where no worker sees it".to_owned()
        }
        Reason::MinimumSize(least) => format!(
            "the table is smaller than min_parallel_table_scan_size, which is {least} here and 8 MB \
             by default"
        ),
    };
    let mut draft = sink
        .report(
            format!("{} of {table} are read by one process", show::rows(rows)),
            why,
            Evidence::new("rows read", Value::Rows(rows), node::rows_origin(plan, id)),
        )
        .node(id)
        .span(node::span(subject, id, None))
        .level(flow::at_most(weight.level(), Level::Note))
        .share(weight.share())
        .evidence(Evidence::new(
            "size of what is read",
            Value::Blocks(pages),
            Origin::Formula("blocks from the catalogue, or from the scan's cost"),
        ))
        .evidence(weight.evidence());
    draft = draft.suggest(cure(reason));
    if let Some((schema, name)) = node::relation(subject, scan) {
        draft.relation(schema, name);
    }
}

fn cure(reason: &Reason) -> Suggestion {
    let setting = |name: &str, value: &str| {
        let mut suggestion = Suggestion::untested(
            "let workers help where processors are idle",
            Change::Setting {
                sql: format!("SET {name} = {value}"),
            },
            Applicability::SameResults,
        );
        suggestion.side_effects.push(SideEffect::Caller(
            "each worker takes a processor and work_mem of its own".to_owned(),
        ));
        suggestion
    };
    match reason {
        Reason::Setting("max_parallel_workers") => setting("max_parallel_workers", "8"),
        Reason::Setting(name) => setting(name, "2"),
        Reason::MinimumSize(_) => setting("min_parallel_table_scan_size", "'8MB'"),
        Reason::Writes => suggest::judgement(
            "read first, then write",
            "where the reading takes long and the writing does not, CREATE TEMPORARY TABLE … AS \
             SELECT is planned parallel; write from that table afterwards, in one transaction and \
             with the rows' locks in mind",
        ),
        Reason::Locks => suggest::judgement(
            "read without locks, then lock what is needed",
            "select the keys first, which is planned parallel, and lock those few rows by their \
             keys",
        ),
        Reason::Temporary => suggest::judgement(
            "use an unlogged table",
            "an unlogged table is read by workers too; it is seen by other sessions, and stays \
             until it is dropped",
        ),
    }
}
