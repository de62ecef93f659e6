//! A foreign scan that fetches rows only to throw them away here.

use super::support::{flow, node, show, suggest, weight::Weight};
use crate::declare_rule;
use crate::finding::{Evidence, Origin, Value};
use crate::plan::{ConditionRole, NodeId, NodeKind, PlanGraph, PlanNode};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

/// Fewer rows are fetched in no time.
const LEAST_REMOVED: f64 = 1_000.0;
/// Where more of what is fetched is wanted, little would be saved.
const MOST_KEPT: f64 = 0.5;

declare_rule! {
    /// ## What it does
    ///
    /// Finds a foreign scan whose filter, tested here and not on the other
    /// side, throws away at least 1,000 rows and half of those that were
    /// fetched. What it could save is the time of the scan times the share of
    /// the rows thrown away.
    ///
    /// ## Why it matters
    ///
    /// Each row thrown away was read there, sent, and parsed here.
    /// `postgres_fdw` sends a condition over only if all of its operators and
    /// functions are built in, or of an extension that both sides have, and
    /// give the same there as here. A file has no other side: all of it is
    /// read for each query.
    ///
    /// ## When it is wrong
    ///
    /// When the condition cannot mean the same on the other server.
    ///
    /// ## References
    ///
    /// - [postgres_fdw: remote query optimization](https://www.postgresql.org/docs/current/postgres-fdw.html)
    /// - [file_fdw](https://www.postgresql.org/docs/current/file-fdw.html)
    pub struct ForeignScanFiltersLocally = {
        id: "foreign-scan-filters-locally",
        summary: "a foreign scan fetches rows only to throw them away here",
        level: Warning,
        needs: [Actuals],
        concerns: [ForeignScan],
        since: "0.1.0",
    }
}

impl Rule for ForeignScanFiltersLocally {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(plan) = subject.plan else { return };
        for (id, scan) in plan.nodes() {
            if scan.kind == NodeKind::ForeignScan
                && let Some(filter) = scan.condition(ConditionRole::Filter)
            {
                look(subject, plan, id, scan, filter, sink);
            }
        }
    }
}

fn look(
    subject: &Subject<'_>,
    plan: &PlanGraph,
    id: NodeId,
    scan: &PlanNode,
    filter: &str,
    sink: &mut Sink,
) {
    let (Some(metrics), Some(counted)) = (subject.metrics, node::Filtered::of(scan)) else {
        return;
    };
    let fetched = counted.read();
    if counted.removed < LEAST_REMOVED || counted.kept > fetched * MOST_KEPT {
        return;
    }
    let share = metrics.node(id).self_share * counted.removed / fetched;
    let Some(weight) = Weight::worth_telling(subject, share) else {
        return;
    };
    let file = scan
        .text("Foreign File")
        .or_else(|| scan.text("Foreign Program"));
    let table = if node::table_name(scan) == scan.type_name {
        scan.label()
    } else {
        node::table_name(scan).to_owned()
    };
    let mut draft = sink
        .report(
            format!(
                "{} of {} fetched from {table} are thrown away here",
                show::count(counted.removed),
                show::rows(fetched)
            ),
            plan_why(file.is_some(), plan, id),
            Evidence::new(
                "rows removed by the filter",
                Value::Rows(counted.removed),
                Origin::Plan(id),
            ),
        )
        .node(id)
        .span(node::span(subject, id, Some(filter)))
        .level(weight.level())
        .share(weight.share())
        .evidence(Evidence::new(
            "filter",
            Value::Text(filter.to_owned()),
            Origin::Plan(id),
        ))
        .evidence(weight.evidence());
    if let Some(remote) = scan.text("Remote SQL") {
        draft = draft.evidence(Evidence::new(
            "sent to the other side",
            Value::Text(remote.to_owned()),
            Origin::Plan(id),
        ));
    }
    draft.suggest(if file.is_some() {
        suggest::judgement(
            "load the file into a table",
            "a materialized view over the foreign table, refreshed when the file changes, can be \
             indexed and analysed",
        )
    } else {
        suggest::judgement(
            "let the other side test the condition",
            "compare with built-in immutable functions and operators; name extensions that both \
             sides have in the server's option extensions; compute values such as now() or a \
             setting before, and pass them as constants; or put the condition into a view there",
        )
    });
}

fn plan_why(file: bool, plan: &PlanGraph, id: NodeId) -> &'static str {
    if file {
        "a file is read and parsed from end to end for each query, whatever the condition"
    } else if flow::loops(plan, id) > 1.5 {
        "the condition is not among what is sent to the other side, and the rows are fetched anew \
         for each execution"
    } else {
        "the condition is not among what is sent to the other side"
    }
}
