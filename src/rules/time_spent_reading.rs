//! Time that goes into reading blocks that were not in the buffer cache.

use super::support::{show, suggest, weight::Weight};
use crate::declare_rule;
use crate::finding::{Evidence, Level, Origin, Value};
use crate::plan::{NodeId, PlanEdge, PlanGraph};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

/// A smaller share of the time is what reading costs.
const LEAST_SHARE: f64 = 0.3;
/// Fewer blocks are read in no time, whatever they take.
const LEAST_BLOCKS: f64 = 100.0;
/// Less is over at once, whatever its share.
const LEAST_MS: f64 = 5.0;
/// A block in less time came out of memory: the system's cache, or read ahead.
const WARM_MS: f64 = 0.02;
/// A block in more time came from a spinning or a throttled disk.
const SLOW_MS: f64 = 2.0;

declare_rule! {
    /// ## What it does
    ///
    /// Finds executions that spent at least three tenths of their time reading
    /// blocks, where BUFFERS and `track_io_timing` tell, and says by the time
    /// of a block whether they came from the operating system's cache or from
    /// a disk. It names the nodes that read most, in one finding.
    ///
    /// What could be saved is the time of the reads on the clock: each node's
    /// own read time in the proportion in which its time counts (processes
    /// read at the same time).
    ///
    /// ## Why it matters
    ///
    /// The same statement is quicker when its blocks are in memory. Two plans
    /// are compared fairly only when both ran cold, or both warm.
    ///
    /// ## When it is wrong
    ///
    /// At the first run after a start, or on a table that is read once a day:
    /// then reading is what there is to do. Run it twice.
    ///
    /// ## References
    ///
    /// - [track_io_timing](https://www.postgresql.org/docs/current/runtime-config-statistics.html#GUC-TRACK-IO-TIMING)
    /// - [shared_buffers](https://www.postgresql.org/docs/current/runtime-config-resource.html#GUC-SHARED-BUFFERS)
    pub struct TimeSpentReading = {
        id: "time-spent-reading",
        summary: "much of the time goes into reading blocks into the buffer cache",
        level: Note,
        needs: [Buffers],
        concerns: [SeqScan, IndexScan, IndexOnlyScan, BitmapHeapScan],
        since: "0.1.0",
    }
}

/// What a node read by itself.
struct Read {
    id: NodeId,
    blocks: f64,
    /// As measured, summed over processes.
    ms: f64,
    /// On the clock.
    wall_ms: f64,
}

impl Rule for TimeSpentReading {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let (Some(plan), Some(metrics)) = (subject.plan, subject.metrics) else {
            return;
        };
        let Some(whole) = metrics.total_ms else {
            return;
        };
        let mut reads: Vec<Read> = plan
            .nodes()
            .filter_map(|(id, _)| read_by(subject, plan, id))
            .collect();
        reads.sort_by(|a, b| b.wall_ms.total_cmp(&a.wall_ms));
        let ms: f64 = reads.iter().map(|read| read.ms).sum();
        let wall: f64 = reads.iter().map(|read| read.wall_ms).sum();
        let blocks: f64 = reads.iter().map(|read| read.blocks).sum();
        if blocks < LEAST_BLOCKS || wall < LEAST_MS || wall < whole * LEAST_SHARE {
            return;
        }
        if let (Some(most), Some(weight)) = (
            reads.first(),
            Weight::worth_telling(subject, (wall / whole).min(1.0)),
        ) {
            tell(plan, most, &reads, (blocks, ms), weight, sink);
        }
    }
}

/// Blocks and time of the node without those below it.
fn read_by(subject: &Subject<'_>, plan: &PlanGraph, id: NodeId) -> Option<Read> {
    let metrics = subject.metrics?.node(id);
    let node = plan.node(id);
    let blocks = metrics.self_buffers?.shared_read_blocks;
    let below: f64 = plan
        .children(id)
        .into_iter()
        .filter(|(edge, _)| *edge != PlanEdge::InitPlan)
        .filter_map(|(_, child)| plan.node(child).io)
        .map(|io| io.shared_read_ms)
        .sum();
    let ms = (node.io?.shared_read_ms - below).max(0.0);
    if blocks <= 0.0 || ms <= 0.0 {
        return None;
    }
    let actual = node.actual?;
    let summed = actual.total_ms_per_loop? * actual.loops;
    let on_the_clock = metrics.total_ms?;
    let wall_ms = if summed > 0.0 {
        (ms * on_the_clock / summed).min(on_the_clock)
    } else {
        0.0
    };
    Some(Read {
        id,
        blocks,
        ms,
        wall_ms,
    })
}

fn tell(
    plan: &PlanGraph,
    most: &Read,
    reads: &[Read],
    (blocks, ms): (f64, f64),
    weight: Weight,
    sink: &mut Sink,
) {
    let each = ms / blocks;
    let (from, explained) = if each < WARM_MS {
        (
            "the operating system's cache, or by reading ahead",
            "they were not in shared_buffers, but the operating system had them at hand",
        )
    } else if each < SLOW_MS {
        (
            "a disk",
            "the execution was cold: a second one, with the blocks in memory, is quicker",
        )
    } else {
        (
            "a slow disk",
            "the execution was cold, and the disk is slow or has more to do than it can",
        )
    };
    let mut draft = sink
        .report(
            format!(
                "{} of the time went into reading {} from {from}",
                show::percent(weight.share()),
                show::plural(blocks, "block", "blocks")
            ),
            explained,
            Evidence::new(
                "blocks read",
                Value::Blocks(blocks),
                Origin::Plan(plan.root),
            ),
        )
        .node(most.id)
        .level(weight.level().min(Level::Warning))
        .share(weight.share())
        .evidence(Evidence::new(
            "time of the reads, over all processes",
            Value::Ms(ms),
            Origin::Plan(plan.root),
        ))
        .evidence(Evidence::new(
            "time of a block",
            Value::Ms(each),
            Origin::Formula("time of the reads ÷ blocks read"),
        ));
    for read in reads.iter().take(3) {
        draft = draft.evidence(Evidence::new(
            format!("blocks read by {}", plan.node(read.id).label()),
            Value::Blocks(read.blocks),
            Origin::Plan(read.id),
        ));
    }
    draft
        .evidence(weight.evidence())
        .suggest(suggest::judgement(
            "run it again and compare",
            "run EXPLAIN (ANALYZE, BUFFERS) a second time: if it reads again, its blocks do not \
             stay in memory, and fewer blocks help most (an index that covers the query, fewer \
             columns and rows), then more shared_buffers; if not, the first run's time is that of \
             a cold cache, which pg_prewarm fills after a start",
        ));
}
