//! One parallel process that worked while the others had nothing to do.

use serde_json::Value as Json;

use super::support::{show, suggest, weight::Weight};
use crate::declare_rule;
use crate::finding::{Evidence, Level, Origin, Value};
use crate::plan::{NodeId, NodeKind, PlanEdge, PlanGraph, PlanNode};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

/// The busiest process took at least that many times the mean.
const LEAST_SKEW: f64 = 1.5;
/// In less time the work is done before the workers have started.
const LEAST_MS: f64 = 50.0;

declare_rule! {
    /// ## What it does
    ///
    /// Compares the times of the processes below a Gather, which EXPLAIN
    /// prints under VERBOSE, and finds those Gathers where the busiest process
    /// took at least one and a half times the mean, and 50 ms. What could be saved is the
    /// busiest one's time less the mean, which is what an even division would
    /// take.
    ///
    /// ## Why it matters
    ///
    /// A Gather waits for its slowest process. Work that one process does
    /// alone is not made quicker by the others.
    ///
    /// ## When it is wrong
    ///
    /// When a worker came late because the server was busy. Below a Parallel
    /// Append some members cannot be divided; that one of them is the largest
    /// may lie in the data.
    ///
    /// ## References
    ///
    /// - [Parallel plans](https://www.postgresql.org/docs/current/parallel-plans.html)
    pub struct UnevenWorkers = {
        id: "uneven-workers",
        summary: "one process of a parallel plan did most of the work",
        level: Note,
        needs: [Actuals],
        concerns: [Gather, GatherMerge],
        since: "0.1.0",
    }
}

/// How the processes of one node compare.
struct Division {
    /// Milliseconds of each process, the leader last if it took part.
    ms: Vec<f64>,
    /// Rows of each.
    rows: Vec<f64>,
}

impl Rule for UnevenWorkers {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(plan) = subject.plan else { return };
        for (id, node) in plan.nodes() {
            if matches!(node.kind, NodeKind::Gather | NodeKind::GatherMerge)
                && let Some(top) = plan.child(id, PlanEdge::Outer)
                && let Some(division) = divided(plan.node(top))
            {
                look(subject, plan, id, top, &division, sink);
            }
        }
    }
}

/// The processes of a node below a Gather: workers as printed, and the leader
/// as what is left of the node's sums.
fn divided(node: &PlanNode) -> Option<Division> {
    let actual = node.actual?;
    let total_ms = actual.total_ms_per_loop? * actual.loops;
    let total_rows = actual.rows_per_loop * actual.loops;
    let number = |worker: &Json, key: &str| worker.get(key).and_then(Json::as_f64);
    let mut division = Division {
        ms: Vec::new(),
        rows: Vec::new(),
    };
    let mut loops = 0.0;
    for worker in node.extra.get("Workers")?.as_array()? {
        let own = number(worker, "Actual Loops")?;
        loops += own;
        division.ms.push(number(worker, "Actual Total Time")? * own);
        division.rows.push(number(worker, "Actual Rows")? * own);
    }
    if division.ms.is_empty() {
        return None;
    }
    if actual.loops - loops >= 0.5 {
        let rest = |total: f64, of: &[f64]| (total - of.iter().sum::<f64>()).max(0.0);
        let (ms, rows) = (
            rest(total_ms, &division.ms),
            rest(total_rows, &division.rows),
        );
        division.ms.push(ms);
        division.rows.push(rows);
    }
    Some(division)
}

fn look(
    subject: &Subject<'_>,
    plan: &PlanGraph,
    gather: NodeId,
    top: NodeId,
    division: &Division,
    sink: &mut Sink,
) {
    let processes = division.ms.iter().fold(0.0, |count, _| count + 1.0);
    let sum: f64 = division.ms.iter().sum();
    let busiest = division.ms.iter().copied().fold(0.0, f64::max);
    if processes < 2.0 || busiest < LEAST_MS || busiest < LEAST_SKEW * sum / processes {
        return;
    }
    // The Gather may have run in several rounds; its processes' times are sums
    // over them, as is the statement's.
    let Some(whole) = suggest::execution_ms(subject, plan) else {
        return;
    };
    let Some(weight) = Weight::of_ms(subject, busiest - sum / processes, whole) else {
        return;
    };
    let of_busiest = busiest / sum;
    let members = undivided_member(plan, top);
    let message = format!(
        "one of {} processes took {} of the time below the Gather",
        show::count(processes),
        show::percent(of_busiest)
    );
    let why = if members {
        "members of the Parallel Append that are not parallel themselves are each run by one \
         process, and the Gather waits for the longest"
    } else {
        "the Gather waits for its slowest process, while the others had nothing left to do"
    };
    let list = |values: &[f64]| {
        values
            .iter()
            .map(|value| show::count(*value))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let draft = sink
        .report(
            message,
            why,
            Evidence::new(
                "the busiest process took",
                Value::Ms(busiest),
                Origin::Plan(top),
            ),
        )
        .node(gather)
        .level(weight.level().min(Level::Warning))
        .share(weight.share())
        .evidence(Evidence::new(
            "an even division would take",
            Value::Ms(sum / processes),
            Origin::Formula("the processes' times ÷ their number"),
        ))
        .evidence(Evidence::new(
            "rows of each process",
            Value::Text(list(&division.rows)),
            Origin::Plan(top),
        ))
        .evidence(weight.evidence());
    draft.suggest(if members {
        suggest::judgement(
            "let the largest member be divided",
            "a member is scanned by one process when its table is smaller than \
             min_parallel_table_scan_size, when it has a function that is not PARALLEL SAFE, or \
             when its scan cannot be divided: see which member of the Append takes longest, and \
             why it is not a parallel scan",
        )
    } else {
        suggest::judgement(
            "find what the busy process had",
            "compare the rows of each process at the nodes below: blocks of a scan are handed \
             out as processes ask for them, so the dear rows lie together, or the other workers \
             came late",
        )
    });
}

/// Whether there is a Parallel Append with a member that one process runs
/// alone.
fn undivided_member(plan: &PlanGraph, top: NodeId) -> bool {
    plan.subtree(top).into_iter().any(|id| {
        let node = plan.node(id);
        node.kind == NodeKind::Append
            && node.parallel_aware
            && plan.children(id).into_iter().any(|(edge, member)| {
                edge == PlanEdge::Member
                    && !plan
                        .subtree(member)
                        .into_iter()
                        .any(|below| plan.node(below).parallel_aware)
            })
    })
}
