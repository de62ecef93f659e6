//! A subquery that is executed anew for each row.

use super::support::{node, show, weight::Weight};
use crate::declare_rule;
use crate::finding::{Applicability, Change, Evidence, Origin, Suggestion, Value};
use crate::plan::{NodeId, PlanEdge, PlanGraph};
use crate::rule::{Rule, Sink};
use crate::source::Span;
use crate::sql::SelectRole;
use crate::subject::Subject;

/// Fewer executions are no loop worth a word.
const LEAST_LOOPS: f64 = 10.0;

declare_rule! {
    /// ## What it does
    ///
    /// Finds a subquery (SubPlan) that ran at least 10 times, once for each
    /// row of the query around it, and took a fair share of the statement. A
    /// subquery that was hashed, or computed once (InitPlan), is not meant.
    /// Without an executed plan the number of executions is reckoned from the
    /// costs.
    ///
    /// ## Why it matters
    ///
    /// The work is that of one execution times the rows around it, and the
    /// planner can choose no other join method for it. Written as a join to a
    /// grouped subquery, it is computed once for all rows; with an index on
    /// the column that ties it to the outer row, each execution is cheap.
    ///
    /// ## When it is wrong
    ///
    /// When few outer rows need it and one execution is cheap: then the loop
    /// is the best plan, and computing all groups would be dearer.
    ///
    /// ## References
    ///
    /// - [Subquery expressions](https://www.postgresql.org/docs/current/functions-subquery.html)
    /// - [LATERAL subqueries](https://www.postgresql.org/docs/current/queries-table-expressions.html#QUERIES-LATERAL)
    pub struct CorrelatedSubplanExecutedManyTimes = {
        id: "correlated-subplan-executed-many-times",
        summary: "a correlated subquery runs once for each row",
        level: Warning,
        needs: [Plan],
        concerns: [SeqScan, IndexScan, IndexOnlyScan, BitmapHeapScan, Aggregate, Limit, Result],
        since: "0.1.0",
    }
}

impl Rule for CorrelatedSubplanExecutedManyTimes {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(plan) = subject.plan else { return };
        for (id, _) in plan.nodes() {
            if let Some((PlanEdge::SubPlan, parent)) = plan.parent(id)
                && !hashed(plan, id, parent)
            {
                look(subject, plan, id, parent, sink);
            }
        }
    }
}

fn look(subject: &Subject<'_>, plan: &PlanGraph, id: NodeId, parent: NodeId, sink: &mut Sink) {
    let executed = plan.has_actuals();
    let Some(loops) = loops(plan, id, parent) else {
        return;
    };
    if loops < LEAST_LOOPS {
        return;
    }
    let Some(metrics) = subject.metrics else {
        return;
    };
    let mut share = metrics.node(id).total_share;
    if !executed {
        // The planner adds the subquery's cost to the node that calls it.
        share = share.max(metrics.node(parent).self_share.min(1.0));
    }
    let Some(weight) = Weight::worth_telling(subject, share * (1.0 - 1.0 / loops)) else {
        return;
    };
    let name = plan.node(id).subplan_name.as_deref().unwrap_or("subquery");
    let scan = dearest_scan(subject, plan, id);
    let of = scan.map_or_else(String::new, |scan| {
        format!(" on {}", node::table_name(plan.node(scan)))
    });
    let verb = if executed { "ran" } else { "would run about" };
    let message = format!(
        "correlated subquery{of} ({name}) {verb} {} times",
        show::count(loops)
    );
    let mut draft = sink
        .report(
            message,
            "it is executed anew for each row of the query around it; computed once for all rows, \
             or with an index on the column that ties it to them, it would cost a fraction",
            Evidence::new(
                "executions",
                Value::Count(loops),
                if executed {
                    Origin::Plan(id)
                } else {
                    Origin::Formula("cost of the calling node over the subquery's cost")
                },
            ),
        )
        .node(id)
        .span(scan.and_then(|scan| subquery_span(subject, plan, scan)))
        .level(weight.level())
        .share(weight.share());
    if let Some(actual) = plan.node(id).actual
        && let Some(ms) = actual.total_ms_per_loop
    {
        draft = draft.evidence(Evidence::new(
            "time of one execution",
            Value::Ms(ms),
            Origin::Plan(id),
        ));
    }
    draft = draft
        .evidence(weight.evidence())
        .suggest(Suggestion::untested(
        "compute the subquery once for all rows",
        Change::Advice {
            text:
                "join to a subquery that is grouped by the correlated column, or use LATERAL with \
                   a LIMIT where only one row of each group is wanted; mind that a row without a \
                   match needs a LEFT JOIN, and count() then coalesce(…, 0)"
                    .to_owned(),
        },
        Applicability::Manual,
    ));
    if let Some(scan) = scan
        && let Some((schema, name)) = node::relation(subject, plan.node(scan))
    {
        draft.relation(schema, name);
    }
}

/// How often the subquery ran, or would run.
fn loops(plan: &PlanGraph, id: NodeId, parent: NodeId) -> Option<f64> {
    if plan.has_actuals() {
        return plan.node(id).actual.map(|actual| actual.loops);
    }
    // The caller's own cost is that of the subquery times its executions, and
    // little else where the subquery matters.
    let mut own = plan.node(parent).estimate?.total_cost;
    let mut subplans = 0.0;
    for (edge, child) in plan.children(parent) {
        if let Some(estimate) = plan.node(child).estimate {
            match edge {
                PlanEdge::SubPlan => subplans += estimate.total_cost,
                _ => own -= estimate.total_cost,
            }
        }
    }
    (subplans > 0.0).then(|| (own / subplans).max(0.0).floor())
}

/// The caller looks the value up in a hash table: the subquery ran once.
fn hashed(plan: &PlanGraph, id: NodeId, parent: NodeId) -> bool {
    let Some(name) = plan.node(id).subplan_name.as_deref() else {
        return false;
    };
    let wanted = format!("hashed {name}");
    plan.node(parent).conditions.iter().any(|condition| {
        condition.text.match_indices(&wanted).any(|(at, _)| {
            !condition
                .text
                .get(at + wanted.len()..)
                .and_then(|rest| rest.chars().next())
                .is_some_and(|next| next.is_ascii_digit())
        })
    })
}

/// The scan of a table within the subquery that takes most of it.
fn dearest_scan(subject: &Subject<'_>, plan: &PlanGraph, id: NodeId) -> Option<NodeId> {
    let metrics = subject.metrics?;
    plan.subtree(id)
        .into_iter()
        .filter(|below| node::reads_table(plan.node(*below)))
        .max_by(|a, b| {
            metrics
                .node(*a)
                .self_share
                .total_cmp(&metrics.node(*b).self_share)
                .then(b.cmp(a))
        })
}

/// The subquery in the SQL that reads that table.
fn subquery_span(subject: &Subject<'_>, plan: &PlanGraph, scan: NodeId) -> Option<Span> {
    let query = subject.query()?;
    let mut select = node::select_of(subject, plan.node(scan))?;
    loop {
        let level = query.selects.get(select)?;
        if matches!(
            level.role,
            SelectRole::Scalar | SelectRole::In { .. } | SelectRole::Exists { .. }
        ) {
            return Some(level.span);
        }
        select = level.parent?;
    }
}
