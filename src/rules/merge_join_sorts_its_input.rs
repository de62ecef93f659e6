//! A merge join that spends its time on sorting what it joins.

use super::support::{condition, flow, memory, node, show, suggest, weight::Weight};
use crate::declare_rule;
use crate::finding::{Applicability, Change, Evidence, Origin, Suggestion, Value};
use crate::plan::{NodeId, NodeKind, PlanEdge, PlanGraph};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

/// Fewer rows are sorted in no time.
const LEAST_SORTED: f64 = 10_000.0;

declare_rule! {
    /// ## What it does
    ///
    /// Finds a merge join that sorts at least 10,000 rows of one or both of
    /// its inputs, where nothing above needs the order. What it could save is
    /// the time of the sorts.
    ///
    /// ## Why it matters
    ///
    /// A merge join is quick on inputs that are in order already, as an index
    /// gives them. One that sorts first is chosen where a hash join was
    /// switched off, where its hash table was expected not to fit into
    /// memory, or where two such joins share an order.
    ///
    /// ## When it is wrong
    ///
    /// When the sorted input is needed in that order by the client, or when a
    /// hash join would have to write both sides to disk.
    ///
    /// ## References
    ///
    /// - [Planner and joins](https://www.postgresql.org/docs/current/planner-optimizer.html)
    /// - [Indexes and ORDER BY](https://www.postgresql.org/docs/current/indexes-ordering.html)
    pub struct MergeJoinSortsItsInput = {
        id: "merge-join-sorts-its-input",
        summary: "a merge join sorts a large input first",
        level: Warning,
        needs: [Plan],
        concerns: [MergeJoin],
        since: "0.1.0",
    }
}

impl Rule for MergeJoinSortsItsInput {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(plan) = subject.plan else { return };
        for (id, join) in plan.nodes() {
            if join.kind == NodeKind::MergeJoin && !order_is_used(subject, plan, id) {
                look(subject, plan, id, sink);
            }
        }
    }
}

fn look(subject: &Subject<'_>, plan: &PlanGraph, join: NodeId, sink: &mut Sink) {
    let Some(metrics) = subject.metrics else {
        return;
    };
    let sorts: Vec<(NodeId, f64)> = [PlanEdge::Outer, PlanEdge::Inner]
        .into_iter()
        .filter_map(|edge| plan.child(join, edge))
        .map(|id| flow::through(plan, id, &[NodeKind::Materialize]))
        .filter(|id| plan.node(*id).kind == NodeKind::Sort)
        .filter_map(|id| Some((id, flow::rows(plan, flow::input(plan, id)?)?)))
        .filter(|(_, rows)| *rows >= LEAST_SORTED)
        .collect();
    let share = sorts
        .iter()
        .map(|(id, _)| metrics.node(*id).self_share)
        .sum::<f64>();
    let Some((worst, _)) = sorts.iter().copied().max_by(|(a, _), (b, _)| {
        metrics
            .node(*a)
            .self_share
            .total_cmp(&metrics.node(*b).self_share)
    }) else {
        return;
    };
    let Some(weight) = Weight::worth_telling(subject, share) else {
        return;
    };
    let sorted = sorts.iter().map(|(_, rows)| rows).sum::<f64>();
    let executed = plan.has_actuals();
    let off = memory::setting(subject, "enable_hashjoin") == Some("off");
    let mut draft = sink
        .report(
            format!(
                "merge join {} {} of {} first",
                if executed { "sorts" } else { "would sort" },
                show::rows(sorted),
                if sorts.len() > 1 {
                    "its inputs"
                } else {
                    "its input"
                }
            ),
            if off {
                "hash joins are switched off in this session, and the inputs are not in the order \
                 of the join"
                    .to_owned()
            } else {
                "no index gives the inputs in the order of the join, and nothing above needs that \
                 order; a hash join would read them as they come"
                    .to_owned()
            },
            Evidence::new("rows sorted", Value::Rows(sorted), Origin::Plan(worst)),
        )
        .node(worst)
        .level(weight.level())
        .share(weight.share())
        .evidence(Evidence::new(
            "sort key",
            Value::Text(plan.node(worst).texts("Sort Key").join(", ")),
            Origin::Plan(worst),
        ))
        .evidence(weight.evidence());
    draft = if off {
        draft.suggest(Suggestion::untested(
            "allow hash joins again",
            Change::Setting {
                sql: "SET enable_hashjoin = on".to_owned(),
            },
            Applicability::SameResults,
        ))
    } else {
        draft.suggest(suggest::judgement(
            "let an index give the order, or let a hash join do without",
            "an index on the join columns gives a table in their order; if a hash join was avoided \
             because its table was expected not to fit, a larger work_mem lets it fit. Compare by \
             SET enable_mergejoin = off in a session",
        ))
    };
    let scan = flow::input(plan, worst)
        .map(|input| flow::through(plan, input, &[NodeKind::Gather, NodeKind::GatherMerge]));
    if let Some(scan) = scan
        && plan
            .node(worst)
            .texts("Sort Key")
            .iter()
            .all(|key| condition::column(key).is_some())
        && let Some((schema, name)) = node::relation(subject, plan.node(scan))
    {
        draft.relation(schema, name);
    }
}

/// Whether something above relies on the order of the join's rows.
fn order_is_used(subject: &Subject<'_>, plan: &PlanGraph, join: NodeId) -> bool {
    let mut at = join;
    while let Some((edge, up)) = plan.parent(at) {
        let node = plan.node(up);
        match node.kind {
            NodeKind::Sort | NodeKind::Hash | NodeKind::HashJoin | NodeKind::ModifyTable => {
                // The outer side of a hash join keeps its order.
                if node.kind == NodeKind::HashJoin && edge == PlanEdge::Outer {
                    at = up;
                    continue;
                }
                return false;
            }
            NodeKind::MergeJoin
            | NodeKind::IncrementalSort
            | NodeKind::Group
            | NodeKind::Unique
            | NodeKind::WindowAgg
            | NodeKind::GatherMerge
            | NodeKind::MergeAppend => return true,
            NodeKind::Aggregate => {
                return matches!(node.text("Strategy"), Some("Sorted" | "Mixed"));
            }
            NodeKind::NestedLoop if edge == PlanEdge::Inner => return false,
            _ if matches!(edge, PlanEdge::InitPlan | PlanEdge::SubPlan) => return false,
            _ => at = up,
        }
    }
    // What the client gets may have been asked for in this order.
    subject.query().is_none_or(|query| {
        query
            .selects
            .iter()
            .any(|select| !select.order_by.is_empty())
    })
}
