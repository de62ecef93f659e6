//! Counting a table by reading all of it.

use super::support::{flow, node, show, suggest, weight::Weight};
use crate::declare_rule;
use crate::finding::{Evidence, Level, Origin, Value};
use crate::plan::{NodeId, NodeKind, PlanEdge, PlanGraph};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

/// Fewer rows are counted in no time.
const LEAST_ROWS: f64 = 100_000.0;

declare_rule! {
    /// ## What it does
    ///
    /// Finds an aggregate without groups over all rows of a table of at least
    /// 100,000, of which no column is needed: `count(*)`. What it could save
    /// is the time of reading and counting them.
    ///
    /// ## Why it matters
    ///
    /// PostgreSQL keeps no exact number of rows, as each transaction may see
    /// another: `count(*)` reads the table or an index each time, and takes
    /// longer as it grows.
    ///
    /// ## When it is wrong
    ///
    /// When the exact number is needed and asked for rarely.
    ///
    /// ## References
    ///
    /// - [pg_class.reltuples](https://www.postgresql.org/docs/current/catalog-pg-class.html)
    /// - [Index-only scans](https://www.postgresql.org/docs/current/indexes-index-only-scans.html)
    pub struct CountOfWholeTable = {
        id: "count-of-whole-table",
        summary: "all rows of a table are read to count them",
        level: Note,
        needs: [Plan],
        concerns: [Aggregate],
        since: "0.1.0",
    }
}

impl Rule for CountOfWholeTable {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(plan) = subject.plan else { return };
        for (id, node) in plan.nodes() {
            // The upper half of a parallel count is the one told of.
            if node.kind == NodeKind::Aggregate
                && node.text("Strategy") == Some("Plain")
                && node.text("Partial Mode") != Some("Partial")
            {
                look(subject, plan, id, sink);
            }
        }
    }
}

fn look(subject: &Subject<'_>, plan: &PlanGraph, id: NodeId, sink: &mut Sink) {
    let Some(metrics) = subject.metrics else {
        return;
    };
    let Some(scans) = scans(plan, id) else { return };
    // How often a count runs in a subquery is the subquery's matter.
    if flow::loops(plan, id) > 1.5 {
        return;
    }
    let rows = scans
        .iter()
        .filter_map(|scan| flow::rows(plan, *scan))
        .sum::<f64>();
    let Some(first) = scans.first().copied() else {
        return;
    };
    if rows < LEAST_ROWS {
        return;
    }
    let Some(weight) = Weight::worth_telling(subject, metrics.node(id).total_share) else {
        return;
    };
    let table = node::table_name(plan.node(first));
    let others = scans.len() - 1;
    let of = if others > 0 {
        format!("{table} and {others} more")
    } else {
        table.to_owned()
    };
    let executed = plan.has_actuals();
    let sequential = scans
        .iter()
        .any(|scan| plan.node(*scan).kind == NodeKind::SeqScan);
    let draft = sink
        .report(
            format!(
                "{} of {of} {} read only to be counted",
                show::rows(rows),
                if executed { "are" } else { "would be" }
            ),
            "no column of the rows is needed and no condition is tested; PostgreSQL keeps no exact \
             count, so each execution reads all of them",
            Evidence::new("rows counted", Value::Rows(rows), Origin::Plan(first)),
        )
        .node(first)
        .level(flow::at_most(weight.level(), Level::Warning))
        .share(weight.share())
        .evidence(weight.evidence())
        .suggest(suggest::judgement(
            "take an estimate, or keep the count",
            format!(
                "where a rough number is enough, SELECT reltuples::bigint FROM pg_class gives that \
                 of the last ANALYZE or VACUUM; to ask only whether there are rows, or more than \
                 some, count a subquery with LIMIT; an exact one can be kept in a table by a \
                 trigger{}",
                if sequential {
                    ". On a table that is vacuumed often, an index-only scan of a small index reads \
                     less"
                } else {
                    ""
                }
            ),
        ));
    if others == 0
        && let Some((schema, name)) = node::relation(subject, plan.node(first))
    {
        draft.relation(schema, name);
    }
}

/// The scans of whole tables that an aggregate counts; `None` when anything
/// else stands below it, or a column is needed.
fn scans(plan: &PlanGraph, id: NodeId) -> Option<Vec<NodeId>> {
    let mut found = Vec::new();
    let mut open: Vec<NodeId> = plan
        .children(id)
        .into_iter()
        .map(|(_, child)| child)
        .collect();
    while let Some(at) = open.pop() {
        let node = plan.node(at);
        match node.kind {
            NodeKind::Gather | NodeKind::Append => {}
            NodeKind::Aggregate
                if node.text("Strategy") == Some("Plain")
                    && node.text("Partial Mode") == Some("Partial") => {}
            // An index may be read in its order as well as the table.
            NodeKind::SeqScan | NodeKind::IndexOnlyScan
                if node.conditions.is_empty()
                    && node.estimate.is_some_and(|estimate| estimate.width < 0.5) =>
            {
                found.push(at);
            }
            _ => return None,
        }
        for (edge, child) in plan.children(at) {
            match edge {
                PlanEdge::Outer | PlanEdge::Member => open.push(child),
                _ => return None,
            }
        }
    }
    found.sort_unstable();
    (!found.is_empty()).then_some(found)
}
