//! An index-only scan that goes to the table after all.

use super::support::{node, show, weight::Weight};
use crate::declare_rule;
use crate::finding::{Applicability, Change, Evidence, Origin, Suggestion, Value};
use crate::plan::{ConditionRole, NodeId, NodeKind, PlanGraph, PlanNode};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

/// Fewer fetches take no time.
const LEAST_FETCHES: f64 = 1_000.0;
/// A smaller share of the rows is what a table in use looks like.
const LEAST_SHARE: f64 = 0.1;

declare_rule! {
    /// ## What it does
    ///
    /// Finds an index-only scan that went to the table for at least 1,000 rows
    /// and a tenth of what it read, because their pages are not marked
    /// all-visible.
    ///
    /// ## Why it matters
    ///
    /// The point of the scan is not to read the table. VACUUM marks the pages
    /// on which every row is visible to all; until it has run, each row costs
    /// a visit. A table that only grows is vacuumed late by default.
    ///
    /// ## When it is wrong
    ///
    /// Just after a large load or update, before autovacuum has come by; and
    /// on tables whose every page is changed all the time. A transaction that
    /// stays open keeps VACUUM from marking pages.
    ///
    /// ## References
    ///
    /// - [Index-only scans](https://www.postgresql.org/docs/current/indexes-index-only-scans.html)
    /// - [The visibility map](https://www.postgresql.org/docs/current/routine-vacuuming.html#VACUUM-FOR-VISIBILITY-MAP)
    pub struct IndexOnlyScanHeapFetches = {
        id: "index-only-scan-heap-fetches",
        summary: "an index-only scan visits the table for many rows",
        level: Note,
        needs: [Actuals],
        concerns: [IndexOnlyScan],
        since: "0.1.0",
    }
}

impl Rule for IndexOnlyScanHeapFetches {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(plan) = subject.plan else { return };
        for (id, scan) in plan.nodes() {
            if scan.kind == NodeKind::IndexOnlyScan
                && let Some(fetches) = scan.number("Heap Fetches")
            {
                look(subject, plan, id, scan, fetches, sink);
            }
        }
    }
}

fn look(
    subject: &Subject<'_>,
    plan: &PlanGraph,
    id: NodeId,
    scan: &PlanNode,
    fetches: f64,
    sink: &mut Sink,
) {
    let Some(filtered) = node::Filtered::of(scan) else {
        return;
    };
    // Rows that are dead are fetched, and given by nobody.
    let of = fetches / filtered.read().max(fetches).max(1.0);
    if sink.passes(fetches < LEAST_FETCHES || of < LEAST_SHARE, id, || {
        format!(
            "it visits the table for {}, {} of its rows: under {} or {} that is as it should be",
            show::rows(fetches),
            show::percent(of),
            show::count(LEAST_FETCHES),
            show::percent(LEAST_SHARE)
        )
    }) {
        return;
    }
    let Some(metrics) = subject.metrics else {
        return;
    };
    let Some(weight) = Weight::worth_telling(subject, metrics.node(id).self_share * of) else {
        return;
    };
    let table = node::table_name(scan);
    let message = format!(
        "index-only scan of {table} visits the table for {} of {}",
        show::count(fetches),
        show::rows(filtered.read().max(fetches))
    );
    let relation = subject.relation_of_node(scan);
    let display = match (relation, subject.catalog) {
        (Some(relation), Some(catalog)) => relation.display_name(catalog),
        _ => crate::catalog::ident::quote(table),
    };
    let mut draft = sink
        .report(
            message,
            "the pages of those rows are not marked all-visible; VACUUM marks them, and a lower \
             threshold for this table keeps it so",
            Evidence::new("heap fetches", Value::Rows(fetches), Origin::Plan(id)),
        )
        .node(id)
        .span(node::span(
            subject,
            id,
            scan.condition(ConditionRole::IndexCond),
        ))
        .level(weight.level())
        .share(weight.share())
        .evidence(Evidence::new(
            "rows read from the index",
            Value::Rows(filtered.read()),
            Origin::Plan(id),
        ))
        .evidence(weight.evidence())
        .suggest(Suggestion::untested(
            format!("vacuum {display}, and let autovacuum come more often"),
            Change::Advice {
                text: format!(
                    "run VACUUM {display}; then lower its thresholds, for example ALTER TABLE \
                     {display} SET (autovacuum_vacuum_scale_factor = 0.02, \
                     autovacuum_vacuum_insert_scale_factor = 0.02), and look for transactions that \
                     stay open"
                ),
            },
            Applicability::SameResults,
        ));
    if let Some(relation) = relation
        && relation.pages > 0.0
    {
        draft = draft.evidence(Evidence::new(
            "pages marked all-visible",
            Value::Share((relation.all_visible_pages / relation.pages).clamp(0.0, 1.0)),
            Origin::Catalog(relation.qualified()),
        ));
    }
    if plan.node(id).relation.name.is_some()
        && let Some((schema, name)) = node::relation(subject, scan)
    {
        draft.relation(schema, name);
    }
}
