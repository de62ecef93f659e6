//! A recursive query that reads a whole table in each step.

use super::support::{flow, node, show, suggest, weight::Weight};
use crate::declare_rule;
use crate::finding::{Evidence, Origin, Value};
use crate::plan::{ConditionRole, NodeId, NodeKind, PlanEdge, PlanGraph};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

/// Fewer steps are no recursion worth a word.
const LEAST_STEPS: f64 = 3.0;
/// Fewer rows are read in no time.
const LEAST_READ: f64 = 50_000.0;
/// Where more of the rows are found, an index saves little.
const MOST_FOUND: f64 = 0.1;

declare_rule! {
    /// ## What it does
    ///
    /// Finds a recursive query whose recursive part scans a table
    /// sequentially in each of at least 3 steps, 50,000 rows in all, to join
    /// at most a tenth of them. What it could save is the time of the scans
    /// times the share of the rows that no step joins.
    ///
    /// ## Why it matters
    ///
    /// Each step looks for the children of the rows that the last step found,
    /// which are few. Without an index on the joined column the whole table is
    /// read and hashed or compared for them, once a step.
    ///
    /// ## When it is wrong
    ///
    /// When the recursion reaches most of the table in few steps.
    ///
    /// ## References
    ///
    /// - [Recursive queries](https://www.postgresql.org/docs/current/queries-with.html#QUERIES-WITH-RECURSIVE)
    pub struct RecursionRescansTable = {
        id: "recursion-rescans-table",
        summary: "each step of a recursive query reads a whole table",
        level: Warning,
        needs: [Actuals],
        concerns: [RecursiveUnion],
        since: "0.1.0",
    }
}

impl Rule for RecursionRescansTable {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(plan) = subject.plan else { return };
        for (id, scan) in plan.nodes() {
            if scan.kind == NodeKind::SeqScan
                && let Some(join) = recursive_join(plan, id)
            {
                look(subject, plan, id, join, sink);
            }
        }
    }
}

/// The hash or merge join that takes the scan's rows in the recursive part of
/// a Recursive Union; a nested loop's inner side is told of elsewhere.
fn recursive_join(plan: &PlanGraph, scan: NodeId) -> Option<NodeId> {
    let mut join = None;
    let mut at = scan;
    while let Some((edge, up)) = plan.parent(at) {
        match plan.node(up).kind {
            NodeKind::RecursiveUnion => {
                return join.filter(|_| edge == PlanEdge::Inner);
            }
            NodeKind::HashJoin | NodeKind::MergeJoin => join = join.or(Some(up)),
            NodeKind::NestedLoop if join.is_none() => return None,
            NodeKind::Hash | NodeKind::Sort | NodeKind::NestedLoop | NodeKind::Materialize => {}
            _ if join.is_some() => {}
            _ => return None,
        }
        if matches!(edge, PlanEdge::InitPlan | PlanEdge::SubPlan) {
            return None;
        }
        at = up;
    }
    None
}

fn look(subject: &Subject<'_>, plan: &PlanGraph, id: NodeId, join: NodeId, sink: &mut Sink) {
    let scan = plan.node(id);
    let (Some(metrics), Some(counted), Some(found)) = (
        subject.metrics,
        node::Filtered::of(scan),
        flow::rows(plan, join),
    ) else {
        return;
    };
    if counted.loops < LEAST_STEPS
        || counted.read() < LEAST_READ
        || found > counted.kept * MOST_FOUND
    {
        return;
    }
    let mut share = metrics.node(id).self_share + metrics.node(join).self_share;
    if let Some((_, up)) = plan.parent(id)
        && matches!(plan.node(up).kind, NodeKind::Hash | NodeKind::Sort)
    {
        share += metrics.node(up).self_share;
    }
    let Some(weight) = Weight::worth_telling(subject, share * (1.0 - found / counted.kept)) else {
        return;
    };
    let table = node::table_name(scan);
    let matched = plan
        .node(join)
        .condition(ConditionRole::HashCond)
        .or_else(|| plan.node(join).condition(ConditionRole::MergeCond));
    let mut draft = sink
        .report(
            format!(
                "each of {} recursive steps reads all of {table}, {} in all",
                show::count(counted.loops),
                show::rows(counted.read())
            ),
            format!(
                "the steps join {} of them; with an index on the joined column of {table} each step \
                 reads only what it finds",
                show::rows(found)
            ),
            Evidence::new(
                "rows read in all steps",
                Value::Rows(counted.read()),
                Origin::Plan(id),
            ),
        )
        .node(id)
        .span(node::span(subject, id, matched))
        .level(weight.level())
        .share(weight.share())
        .evidence(Evidence::new(
            "rows joined",
            Value::Rows(found),
            Origin::Plan(join),
        ))
        .evidence(weight.evidence());
    if let Some(matched) = matched {
        draft = draft.evidence(Evidence::new(
            "join condition",
            Value::Text(matched.to_owned()),
            Origin::Plan(join),
        ));
    }
    // How many rows of the last step the planner expects is why it reads all.
    let step = plan
        .subtree(join)
        .into_iter()
        .find(|below| plan.node(*below).kind == NodeKind::WorkTableScan);
    if let Some(step) = step
        && let Some(estimate) = plan.node(step).estimate
    {
        draft = draft.evidence(Evidence::new(
            "rows that the planner expects of a step",
            Value::Rows(estimate.rows),
            Origin::Plan(step),
        ));
    }
    draft = draft.suggest(suggest::judgement(
        format!("index the column of {table} that the steps join by"),
        format!(
            "create an index on the column of {table} in {}; where there is one, the planner \
             expects far more rows of a step than there are: it takes ten times those of the first \
             part",
            matched.unwrap_or("the join condition")
        ),
    ));
    if let Some((schema, name)) = node::relation(subject, scan) {
        draft.relation(schema, name);
    }
}
