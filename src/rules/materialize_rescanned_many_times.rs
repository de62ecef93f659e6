//! A stored inner side that is gone through for each outer row.

use super::support::{show, suggest, weight::Weight};
use crate::declare_rule;
use crate::finding::{Evidence, Origin, Value};
use crate::plan::{ConditionRole, NodeId, NodeKind, PlanEdge, PlanGraph};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

/// Fewer rounds are no pattern.
const LEAST_LOOPS: f64 = 100.0;
/// Fewer comparisons take no time.
const LEAST_COMPARED: f64 = 100_000.0;
/// A join that keeps more than that of all pairs is meant to have them.
const MOST_KEPT: f64 = 0.5;

declare_rule! {
    /// ## What it does
    ///
    /// Finds nested loops that go through a Materialize on their inner side at
    /// least 100 times and 100,000 rows in all, and keep at most half of the
    /// pairs by their join filter. What could be saved is the own time of both
    /// nodes, in the share of pairs that are thrown away.
    ///
    /// ## Why it matters
    ///
    /// The stored rows have no order and no index: each outer row is compared
    /// with all of them, so the work grows with the product of both sides.
    ///
    /// ## When it is wrong
    ///
    /// When the join has no equality to hash or sort by, as with ranges and
    /// inequalities; then only fewer rows on either side help.
    ///
    /// ## References
    ///
    /// - [Planner and optimizer, joins](https://www.postgresql.org/docs/current/planner-optimizer.html)
    pub struct MaterializeRescannedManyTimes = {
        id: "materialize-rescanned-many-times",
        summary: "a stored intermediate result is gone through for each outer row",
        level: Warning,
        needs: [Actuals],
        concerns: [Materialize],
        since: "0.1.0",
    }
}

impl Rule for MaterializeRescannedManyTimes {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(plan) = subject.plan else { return };
        for (id, node) in plan.nodes() {
            if node.kind == NodeKind::Materialize
                && let Some((PlanEdge::Inner, join)) = plan.parent(id)
                && plan.node(join).kind == NodeKind::NestedLoop
                && let Some(filter) = plan.node(join).condition(ConditionRole::JoinFilter)
            {
                look(subject, plan, id, join, filter, sink);
            }
        }
    }
}

fn look(
    subject: &Subject<'_>,
    plan: &PlanGraph,
    id: NodeId,
    join: NodeId,
    filter: &str,
    sink: &mut Sink,
) {
    let (Some(metrics), Some(actual), Some(joined)) = (
        subject.metrics,
        plan.node(id).actual,
        plan.node(join).actual,
    ) else {
        return;
    };
    let compared = actual.rows_per_loop * actual.loops;
    let removed = plan
        .node(join)
        .rows_removed_by_join_filter_per_loop
        .unwrap_or(0.0)
        * joined.loops;
    let in_vain = (removed / compared.max(1.0)).min(1.0);
    if actual.loops < LEAST_LOOPS || compared < LEAST_COMPARED || 1.0 - in_vain > MOST_KEPT {
        return;
    }
    let share = (metrics.node(id).self_share + metrics.node(join).self_share) * in_vain;
    let Some(weight) = Weight::worth_telling(subject, share) else {
        return;
    };
    let outer = plan.child(join, PlanEdge::Outer);
    let misjudged = outer.filter(|outer| {
        metrics.node(*outer).underestimated
            && metrics
                .node(*outer)
                .q_error
                .is_some_and(|error| error >= 10.0)
    });
    let hashable = has_equality(filter);
    let mut draft = sink
        .report(
            format!(
                "nested loop goes through {} stored by Materialize {} times",
                show::rows(actual.rows_per_loop),
                show::count(actual.loops)
            ),
            format!(
                "of {} pairs {} are thrown away by the join filter{}",
                show::count(compared),
                show::percent(in_vain),
                if misjudged.is_some() {
                    "; the planner expected far fewer rows on the outer side, and took storing \
                     the inner one for cheap"
                } else {
                    ""
                }
            ),
            Evidence::new("pairs compared", Value::Rows(compared), Origin::Plan(id)),
        )
        .node(id)
        .level(weight.level())
        .share(weight.share())
        .evidence(Evidence::new(
            "pairs removed by the join filter",
            Value::Rows(removed),
            Origin::Plan(join),
        ))
        .evidence(Evidence::new(
            "join filter",
            Value::Text(filter.to_owned()),
            Origin::Plan(join),
        ));
    if let Some(outer) = misjudged
        && let Some(estimate) = plan.node(outer).estimate
    {
        draft = draft.evidence(Evidence::new(
            "outer rows expected",
            Value::Rows(estimate.rows),
            Origin::Plan(outer),
        ));
    }
    draft.evidence(weight.evidence()).suggest(if hashable {
        suggest::judgement(
            "let the join be hashed",
            "correct the row estimate of the outer side (ANALYZE, extended statistics), so \
                 that the planner hashes the inner side; SET enable_nestloop = off shows what the \
                 other plan takes",
        )
    } else {
        suggest::judgement(
            "give the join an equality, or fewer rows",
            "the join filter has no equality that a hash or merge join could use (an OR, a \
                 range, an inequality, or different types): add one that holds for the rows \
                 wanted, write the alternatives of an OR as a UNION, or index the inner table for \
                 the range",
        )
    });
}

/// Whether the filter as a whole has a conjunct that compares by equality; one
/// inside an OR is none.
fn has_equality(filter: &str) -> bool {
    super::support::condition::conjuncts(filter)
        .iter()
        .any(|conjunct| conjunct.operator == "=")
}
