//! A hash join that stores its larger side.

use super::support::{flow, show, suggest, weight::Weight};
use crate::declare_rule;
use crate::finding::{Evidence, Origin, Value};
use crate::plan::{NodeId, NodeKind, PlanEdge, PlanGraph};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

/// A smaller hash table is built in no time.
const LEAST_HASHED: f64 = 50_000.0;
/// The hashed side has at least that many times the rows of the other.
const LEAST_RATIO: f64 = 5.0;

declare_rule! {
    /// ## What it does
    ///
    /// Finds a hash join that put at least 50,000 rows into its hash table to
    /// look up at least five times fewer in it, because the planner expected
    /// the hashed side to be the smaller one. What it could save is the time
    /// of building the table, and of the join where it was split into
    /// batches, times the share of rows by which the sides differ.
    ///
    /// ## Why it matters
    ///
    /// Hashing a row stores it; looking one up does not. The hash table of the
    /// small side would be built quickly, fit into memory, and let the large
    /// side stream by. The planner gets it the wrong way round where an
    /// estimate is wrong: find and mend the estimate, and the sides swap.
    ///
    /// ## When it is wrong
    ///
    /// When this run's values are unusual, and the sides are as expected for
    /// most others.
    ///
    /// ## References
    ///
    /// - [Planner and joins](https://www.postgresql.org/docs/current/planner-optimizer.html)
    /// - [Row estimation examples](https://www.postgresql.org/docs/current/row-estimation-examples.html)
    pub struct HashBuiltOnLargerSide = {
        id: "hash-built-on-larger-side",
        summary: "a hash join builds its table from the larger side",
        level: Warning,
        needs: [Actuals],
        concerns: [HashJoin],
        since: "0.1.0",
    }
}

impl Rule for HashBuiltOnLargerSide {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(plan) = subject.plan else { return };
        for (id, join) in plan.nodes() {
            // Only these could be hashed the other way round on all versions.
            let swaps = matches!(
                join.join_type.as_deref(),
                None | Some("Inner" | "Left" | "Right" | "Full")
            );
            if join.kind == NodeKind::HashJoin && swaps {
                look(subject, plan, id, sink);
            }
        }
    }
}

fn look(subject: &Subject<'_>, plan: &PlanGraph, join: NodeId, sink: &mut Sink) {
    let (Some(metrics), Some(outer), Some(hash)) = (
        subject.metrics,
        plan.child(join, PlanEdge::Outer),
        plan.child(join, PlanEdge::Inner),
    ) else {
        return;
    };
    if plan.node(hash).kind != NodeKind::Hash || metrics.node(outer).stopped_early {
        return;
    }
    let (Some(hashed), Some(looked_up)) = (flow::rows(plan, hash), flow::rows(plan, outer)) else {
        return;
    };
    // A plain Hash below a Gather is built by each process; what is in one
    // table is what one of them stored.
    let builds = flow::loops(plan, hash);
    let shared = plan.node(hash).parallel_aware;
    let hashed_in_one = if shared { hashed } else { hashed / builds };
    if hashed_in_one < LEAST_HASHED || hashed_in_one < LEAST_RATIO * looked_up.max(1.0) {
        return;
    }
    // A planner that knew the sizes had another reason: nothing is to be
    // gained from telling it better.
    let (Some(hash_expected), Some(outer_expected)) =
        (flow::expected(plan, hash), flow::expected(plan, outer))
    else {
        return;
    };
    if hash_expected >= outer_expected {
        return;
    }
    let batches = plan.node(hash).number("Hash Batches").unwrap_or(1.0);
    let mut share = metrics.node(hash).self_share;
    if batches > 1.0 {
        share += metrics.node(join).self_share;
    }
    let Some(weight) = Weight::worth_telling(subject, share * (1.0 - looked_up / hashed_in_one))
    else {
        return;
    };
    // The side whose estimate is further off decided, and the error began
    // where the metrics lay it to.
    let error = |id: NodeId| metrics.node(id).q_error.unwrap_or(1.0);
    let wrong = if error(hash) >= error(outer) {
        plan.child(hash, PlanEdge::Outer).unwrap_or(hash)
    } else {
        outer
    };
    let origin = metrics.node(wrong).blame.unwrap_or(wrong);
    sink.report(
        format!(
            "hash join stores {} to look up {} in them",
            show::rows(hashed_in_one),
            show::count(looked_up)
        ),
        format!(
            "the planner expected {} to hash and {} to look up; with the right numbers it would \
             hash the other side. The estimate went wrong at {}",
            show::rows(hash_expected),
            show::count(outer_expected),
            plan.node(origin).label()
        ),
        Evidence::new(
            "rows hashed",
            Value::Rows(hashed_in_one),
            Origin::Plan(hash),
        ),
    )
    .node(hash)
    .level(weight.level())
    .share(weight.share())
    .evidence(Evidence::new(
        "rows looked up",
        Value::Rows(looked_up),
        Origin::Plan(outer),
    ))
    .evidence(Evidence::new(
        "estimate error where it began",
        Value::Factor(error(origin)),
        Origin::Plan(origin),
    ))
    .evidence(weight.evidence())
    .suggest(suggest::judgement(
        "mend the estimate, so that the sides swap",
        format!(
            "the rows of {} are not what the planner expects: ANALYZE its tables, and give it \
             extended statistics where columns of the condition depend on each other",
            plan.node(origin).label()
        ),
    ));
}
