//! A join that pairs rows only to throw most of the pairs away.

use super::support::{condition, flow, node, show, suggest, weight::Weight};
use crate::declare_rule;
use crate::finding::{Evidence, Origin, Value};
use crate::plan::metrics::Metrics;
use crate::plan::{ConditionRole, NodeId, NodeKind, PlanEdge, PlanGraph};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

/// Fewer pairs take no time.
const LEAST_REMOVED: f64 = 10_000.0;
/// Where more of the pairs are wanted, the join does its work.
const MOST_KEPT: f64 = 0.1;
/// An estimate that is off by that factor chose the nested loop.
const MISLEADING: f64 = 10.0;

declare_rule! {
    /// ## What it does
    ///
    /// Finds a join whose join filter throws away at least 10,000 pairs of
    /// rows and nine tenths of those that it made: a hash or merge join whose
    /// hash or merge condition matches far more than is wanted, a nested loop
    /// whose inner index scan gives too much, and a join whose condition is an
    /// OR over columns of both tables, which only a nested loop can test. What
    /// it could save is the time of the join (of a nested loop with its inner
    /// side) times the share of the pairs thrown away.
    ///
    /// ## Why it matters
    ///
    /// A join filter is tested after the rows were brought together: the work
    /// grows with the pairs that share a key, not with the result. A hash or
    /// merge join needs an equality, and a nested loop an index, on what
    /// really decides. An OR across tables gives them neither; its arms, each
    /// in a query of their own, do.
    ///
    /// ## When it is wrong
    ///
    /// When no equality or index can express the condition, such as a distance
    /// or an overlap without an index that serves it; or when the tables are small and
    /// stay so.
    ///
    /// ## References
    ///
    /// - [EXPLAIN: join filters](https://www.postgresql.org/docs/current/using-explain.html)
    /// - [Combining queries](https://www.postgresql.org/docs/current/queries-union.html)
    pub struct JoinFilterRemovesMostRows = {
        id: "join-filter-removes-most-rows",
        summary: "a join makes many pairs of rows and its filter throws most of them away",
        level: Warning,
        needs: [Actuals],
        concerns: [NestedLoop, HashJoin, MergeJoin],
        since: "0.1.0",
    }
}

impl Rule for JoinFilterRemovesMostRows {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(plan) = subject.plan else { return };
        for (id, join) in plan.nodes() {
            if matches!(
                join.kind,
                NodeKind::NestedLoop | NodeKind::HashJoin | NodeKind::MergeJoin
            ) && let Some(filter) = node::own_condition(join, ConditionRole::JoinFilter)
            {
                look(subject, plan, id, filter, sink);
            }
        }
    }
}

fn look(subject: &Subject<'_>, plan: &PlanGraph, id: NodeId, filter: &str, sink: &mut Sink) {
    let join = plan.node(id);
    let (Some(metrics), Some(inner), Some(actual)) = (
        subject.metrics,
        plan.child(id, PlanEdge::Inner),
        join.actual,
    ) else {
        return;
    };
    let removed = join.rows_removed_by_join_filter_per_loop.unwrap_or(0.0) * actual.loops;
    let kept = actual.rows_per_loop * actual.loops;
    let pairs = removed + kept;
    if removed < LEAST_REMOVED || kept > pairs * MOST_KEPT {
        return;
    }
    let looped = join.kind == NodeKind::NestedLoop;
    let either = condition::is_or(filter) && condition::qualifiers(filter).len() > 1;
    let scan = flow::through(plan, inner, &[NodeKind::Materialize, NodeKind::Memoize]);
    let scanned = looped && plan.node(scan).kind == NodeKind::SeqScan;
    // Without an OR, an inner table that is scanned for each outer row lacks an
    // index or a key, which is told of the scan.
    if scanned && !either {
        return;
    }
    let mut share = metrics.node(id).self_share;
    if looped {
        share += metrics.node(inner).total_share;
    }
    let Some(weight) = Weight::worth_telling(subject, share * removed / pairs) else {
        return;
    };
    let message = format!(
        "{} makes {} pairs of rows and throws away {}",
        join.label(),
        show::count(pairs),
        show::count(removed)
    );
    let matched = join
        .condition(ConditionRole::HashCond)
        .or_else(|| join.condition(ConditionRole::MergeCond));
    let why = if either {
        "an OR over columns of both sides leaves no equality to hash or merge by, so that each row \
         of one side is compared with each of the other"
            .to_owned()
    } else if let Some(matched) = matched {
        format!(
            "{matched} alone matches far too much, and the rest of the condition is tested pair \
             by pair: {} of them pass",
            show::percent(kept / pairs)
        )
    } else {
        format!(
            "what the inner side gives for an outer row is tested only afterwards: {} of the \
             pairs pass",
            show::percent(kept / pairs)
        )
    };
    let mut draft = sink
        .report(
            message,
            why,
            Evidence::new(
                "pairs removed by the join filter",
                Value::Rows(removed),
                Origin::Plan(id),
            ),
        )
        .node(if scanned { scan } else { id })
        .span(node::span(subject, scan, Some(filter)))
        .level(weight.level())
        .share(weight.share())
        .evidence(Evidence::new(
            "pairs kept",
            Value::Rows(kept),
            Origin::Plan(id),
        ))
        .evidence(Evidence::new(
            "join filter",
            Value::Text(filter.to_owned()),
            Origin::Plan(id),
        ))
        .evidence(weight.evidence())
        .suggest(cure(looped, either));
    if looped && !either {
        for (origin, error) in misleading(plan, metrics, id) {
            draft = draft.evidence(Evidence::new(
                "estimate error where it began",
                Value::Factor(error),
                Origin::Plan(origin),
            ));
        }
    }
    // An index helps the table that a nested loop looks into.
    if looped && let Some((schema, name)) = node::relation(subject, plan.node(scan)) {
        draft.relation(schema, name);
    }
}

/// The nodes whose estimates made so many pairs look like few, and how far
/// off the sides of the join were for them.
fn misleading(plan: &PlanGraph, metrics: &Metrics, join: NodeId) -> Vec<(NodeId, f64)> {
    [PlanEdge::Outer, PlanEdge::Inner]
        .into_iter()
        .filter_map(|edge| plan.child(join, edge))
        .filter(|side| metrics.node(*side).underestimated)
        .filter_map(|side| Some((metrics.node(side).blame?, metrics.node(side).q_error?)))
        .filter(|(_, error)| *error >= MISLEADING)
        .collect()
}

fn cure(looped: bool, either: bool) -> crate::finding::Suggestion {
    if either {
        suggest::judgement(
            "give each arm of the OR a join of its own",
            "write the statement once for each arm of the OR and combine them by UNION, or by \
             UNION ALL where the later ones exclude what the earlier found: each arm then has an \
             equality to hash by or an index to use. UNION also removes rows that are equal to \
             begin with, so select a key with them",
        )
    } else if looped {
        suggest::judgement(
            "let the index test what the join filter tests",
            "an index of the inner table on the columns of both the index condition and the join \
             filter, equalities first, finds only the wanted rows; an expression on its column \
             keeps it from being used",
        )
    } else {
        suggest::judgement(
            "join by what decides",
            "where the rest of the condition can be written as an equality of columns, it becomes \
             part of the hash or merge condition; a range or an overlap is served by an index of \
             one table on the equal columns and the range, in a nested loop",
        )
    }
}
