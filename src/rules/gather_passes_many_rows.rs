//! A Gather that hands very many rows from its workers to the leader.

use super::support::{show, suggest, weight::Weight};
use crate::declare_rule;
use crate::finding::{Evidence, Level, Origin, Value};
use crate::plan::{NodeId, NodeKind, PlanGraph};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

/// Fewer rows are handed over in no time.
const LEAST_ROWS: f64 = 200_000.0;
/// A smaller share may pay.
const LEAST_SHARE: f64 = 0.3;

declare_rule! {
    /// ## What it does
    ///
    /// Finds Gather and Gather Merge nodes that handed at least 200,000 rows to
    /// the leader, and whose own time is at least three tenths of the
    /// statement's. That own time is taken as what could be saved at most: the
    /// leader waits and copies in it while the workers are done or wait for
    /// it.
    ///
    /// ## Why it matters
    ///
    /// Each row is copied into shared memory and out again, one by one, by one
    /// leader. A parallel plan pays when the workers reduce the rows by a
    /// filter or an aggregate; when they only pass them on, the serial plan
    /// may be as fast.
    ///
    /// ## When it is wrong
    ///
    /// When the workers do much for each row. Try the serial plan before
    /// changing anything.
    ///
    /// ## References
    ///
    /// - [How parallel query works](https://www.postgresql.org/docs/current/how-parallel-query-works.html)
    /// - [parallel_tuple_cost](https://www.postgresql.org/docs/current/runtime-config-query.html#GUC-PARALLEL-TUPLE-COST)
    pub struct GatherPassesManyRows = {
        id: "gather-passes-many-rows",
        summary: "the leader of a parallel plan spends its time on copying rows from workers",
        level: Note,
        needs: [Actuals],
        concerns: [Gather, GatherMerge],
        since: "0.1.0",
    }
}

impl Rule for GatherPassesManyRows {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(plan) = subject.plan else { return };
        for (id, node) in plan.nodes() {
            let Some(actual) = node.actual else { continue };
            let rows = actual.rows_per_loop * actual.loops;
            if matches!(node.kind, NodeKind::Gather | NodeKind::GatherMerge)
                && node.workers_launched.is_some_and(|launched| launched > 0.0)
                && rows >= LEAST_ROWS
            {
                look(subject, plan, id, rows, sink);
            }
        }
    }
}

fn look(subject: &Subject<'_>, plan: &PlanGraph, id: NodeId, rows: f64, sink: &mut Sink) {
    let Some(metrics) = subject.metrics else {
        return;
    };
    let share = metrics.node(id).self_share;
    if share < LEAST_SHARE || metrics.total_ms.is_none() {
        return;
    }
    let Some(weight) = Weight::worth_telling(subject, share) else {
        return;
    };
    let launched = plan.node(id).workers_launched.unwrap_or(0.0);
    sink.report(
        format!(
            "{} are copied from {} to the leader",
            show::rows(rows),
            show::plural(launched, "worker", "workers")
        ),
        "the workers hand on nearly all that they read, row by row, and the leader cannot take \
         them faster than it copies them",
        Evidence::new("rows handed over", Value::Rows(rows), Origin::Plan(id)),
    )
    .node(id)
    .level(weight.level().min(Level::Warning))
    .share(weight.share())
    .evidence(Evidence::new(
        "workers launched",
        Value::Count(launched),
        Origin::Plan(id),
    ))
    .evidence(weight.evidence())
    .suggest(suggest::setting(
        "try the serial plan",
        "SET max_parallel_workers_per_gather = 0;",
        "for this statement only: others gain by their workers. If it is as fast, raise \
         parallel_tuple_cost, so that the planner sees the copying; a filter or an aggregate that \
         the workers can do before they hand rows over helps more",
    ));
}
