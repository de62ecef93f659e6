//! Clock readings of EXPLAIN that make up much of the time that it reports.

use super::support::{show, suggest};
use crate::declare_rule;
use crate::finding::{Evidence, Origin, Value};
use crate::plan::{NodeId, PlanGraph};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

/// Timing a node once: two readings of the clock and their bookkeeping. On
/// virtual machines it was measured as 100 ns; the best clocks need half.
const CALL_MS: f64 = 60e-6;
/// A smaller share changes no conclusion.
const LEAST_SHARE: f64 = 0.25;
/// In a quicker plan nobody minds.
const LEAST_MS: f64 = 100.0;
/// Nodes that are started so often are what the rule is about: every plan of
/// many rows is slowed, but evenly.
const LEAST_LOOPS: f64 = 10_000.0;
/// At least that share of the readings is theirs.
const LEAST_OFTEN: f64 = 0.3;

declare_rule! {
    /// ## What it does
    ///
    /// Reckons how long EXPLAIN itself took to time the nodes: once for each
    /// row and each end, at 60 ns. When that comes to a quarter of the time,
    /// and three timings in ten are of nodes that were started at least 10,000
    /// times, it says so. Nothing is saved by it in production, so
    /// its share is 0.
    ///
    /// ## Why it matters
    ///
    /// The statement is quicker than EXPLAIN ANALYZE says, and nodes that are
    /// started often look dearer against the others than they are.
    ///
    /// ## When it is wrong
    ///
    /// On machines with a quicker clock. With a slow one (`hpet`, `acpi_pm`) it is
    /// worse; `pg_test_timing` tells.
    ///
    /// ## References
    ///
    /// - [EXPLAIN, TIMING](https://www.postgresql.org/docs/current/sql-explain.html)
    /// - [Using EXPLAIN, caveats](https://www.postgresql.org/docs/current/using-explain.html#USING-EXPLAIN-CAVEATS)
    /// - [pg_test_timing](https://www.postgresql.org/docs/current/pgtesttiming.html)
    pub struct ExplainTimingOverhead = {
        id: "explain-timing-overhead",
        summary: "reading the clock takes much of the time that EXPLAIN ANALYZE reports",
        level: Note,
        needs: [Actuals],
        since: "0.1.0",
    }
}

impl Rule for ExplainTimingOverhead {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let (Some(plan), Some(metrics)) = (subject.plan, subject.metrics) else {
            return;
        };
        let Some(whole) = metrics.total_ms.filter(|ms| *ms >= LEAST_MS) else {
            return;
        };
        let mut calls = 0.0;
        let mut often = 0.0;
        let mut reckoned = 0.0;
        let mut most: Option<(NodeId, f64)> = None;
        for (id, node) in plan.nodes() {
            let Some((own, on_the_clock)) = readings(subject, plan, id) else {
                continue;
            };
            calls += own;
            reckoned += own * CALL_MS * on_the_clock;
            if node
                .actual
                .is_some_and(|actual| actual.loops >= LEAST_LOOPS)
            {
                often += own;
                if most.is_none_or(|(_, other)| own > other) {
                    most = Some((id, own));
                }
            }
        }
        if let Some((id, _)) = most
            && reckoned >= whole * LEAST_SHARE
            && often >= calls * LEAST_OFTEN
        {
            tell(plan, id, calls, (reckoned, whole), sink);
        }
    }
}

/// How often the clock was read for a node, in pairs, and what share of that
/// passed on the clock.
fn readings(subject: &Subject<'_>, plan: &PlanGraph, id: NodeId) -> Option<(f64, f64)> {
    let actual = plan.node(id).actual?;
    let ms = actual.total_ms_per_loop? * actual.loops;
    let on_the_clock = match subject.metrics?.node(id).total_ms {
        Some(wall) if ms > 0.0 => (wall / ms).min(1.0),
        _ => 1.0,
    };
    Some((actual.loops * (actual.rows_per_loop + 1.0), on_the_clock))
}

fn tell(plan: &PlanGraph, id: NodeId, calls: f64, (reckoned, whole): (f64, f64), sink: &mut Sink) {
    sink.report(
        if reckoned < whole * 0.6 {
            format!(
                "about {} of the time is EXPLAIN's own reading of the clock",
                show::percent(reckoned / whole)
            )
        } else {
            "most of the time is EXPLAIN's own reading of the clock".to_owned()
        },
        "nodes that are started for each row are timed each time; without EXPLAIN the statement \
         is quicker, and these nodes weigh less than it seems",
        Evidence::new(
            "times a node was timed",
            Value::Count(calls),
            Origin::Formula("loops × (rows + 1), of all nodes"),
        ),
    )
    .node(id)
    .share(0.0)
    .evidence(Evidence::new(
        "time of the readings",
        Value::Ms(reckoned),
        Origin::Formula("60 ns each time"),
    ))
    .evidence(Evidence::new(
        "loops of the node that was timed most",
        Value::Count(plan.node(id).actual.map_or(0.0, |actual| actual.loops)),
        Origin::Plan(id),
    ))
    .suggest(suggest::judgement(
        "measure it without timing",
        "run EXPLAIN (ANALYZE, TIMING OFF), which counts rows and takes the time of the whole \
         only, and compare the execution time; pg_test_timing tells what a reading takes on that \
         machine",
    ));
}
