//! Rows that an index finds, and that lie on a page each.

use super::support::{node, show, suggest, weight::Weight};
use crate::declare_rule;
use crate::finding::{Evidence, Level, Origin, Value};
use crate::plan::{ConditionRole, NodeId, NodeKind, PlanNode};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

/// Fewer pages are read in no time.
const LEAST_PAGES: f64 = 1_000.0;
/// So many rows of a page were wanted at most.
const MOST_A_PAGE: f64 = 2.0;
/// A table whose pages have fewer rows cannot do much better.
const LEAST_ROWS_A_PAGE: f64 = 10.0;

declare_rule! {
    /// ## What it does
    ///
    /// Finds bitmap heap scans that went to at least 1,000 pages for at most
    /// two rows of each, on a table whose pages have ten or more. What could
    /// be saved is the scan's own time, less that for the pages that the rows
    /// would fill if they lay together.
    ///
    /// ## Why it matters
    ///
    /// The index finds the rows quickly, and the time goes into their pages,
    /// above all when those must be read from a disk.
    ///
    /// ## When it is wrong
    ///
    /// When the table is read by other columns as often: rows can lie together
    /// by one order only. An index that covers the query costs writes.
    ///
    /// ## References
    ///
    /// - [CLUSTER](https://www.postgresql.org/docs/current/sql-cluster.html)
    /// - [Index-only scans and covering indexes](https://www.postgresql.org/docs/current/indexes-index-only-scans.html)
    pub struct RowsScatteredOverPages = {
        id: "rows-scattered-over-pages",
        summary: "the rows that an index finds lie on nearly as many pages",
        level: Note,
        needs: [Actuals, Catalog],
        concerns: [IndexScan, BitmapHeapScan],
        since: "0.1.0",
    }
}

impl Rule for RowsScatteredOverPages {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(plan) = subject.plan else { return };
        for (id, scan) in plan.nodes() {
            if scan.kind == NodeKind::BitmapHeapScan
                && let Some(filtered) = node::Filtered::of(scan)
                && scan.number("Lossy Heap Blocks").unwrap_or(0.0) <= 0.0
            {
                let pages = pages(scan);
                // What a filter throws away is another rule's.
                if pages >= LEAST_PAGES
                    && filtered.read() <= pages * MOST_A_PAGE
                    && filtered.removed <= filtered.kept
                {
                    look(subject, id, scan, pages, filtered.read(), sink);
                }
            }
        }
    }
}

/// The leader's pages and, since version 18, each worker's.
fn pages(scan: &PlanNode) -> f64 {
    let workers = scan
        .extra
        .get("Workers")
        .and_then(serde_json::Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|worker| worker.get("Exact Heap Blocks")?.as_f64());
    scan.number("Exact Heap Blocks")
        .into_iter()
        .chain(workers)
        .sum()
}

fn look(
    subject: &Subject<'_>,
    id: NodeId,
    scan: &PlanNode,
    pages: f64,
    rows: f64,
    sink: &mut Sink,
) {
    let (Some(metrics), Some(relation)) = (subject.metrics, subject.relation_of_node(scan)) else {
        return;
    };
    if relation.pages <= 0.0 || relation.rows() < relation.pages * LEAST_ROWS_A_PAGE {
        return;
    }
    let a_page = relation.rows() / relation.pages;
    let together = (rows / a_page).ceil();
    let share = metrics.node(id).self_share * (1.0 - together / pages).max(0.0);
    let Some(weight) = Weight::worth_telling(subject, share) else {
        return;
    };
    let on = scan.condition(ConditionRole::RecheckCond);
    let column = on
        .map(|text| node::condition_columns(relation, text))
        .and_then(|columns| columns.first().copied().map(str::to_owned));
    let table = node::table_name(scan);
    let mut draft = sink
        .report(
            format!(
                "{} of {table} lie on {} pages",
                show::rows(rows),
                show::count(pages)
            ),
            format!(
                "a page has {} rows in the mean, so that {} would hold them if they lay together",
                show::count(a_page),
                show::plural(together, "page", "pages")
            ),
            Evidence::new("pages visited", Value::Blocks(pages), Origin::Plan(id)),
        )
        .node(id)
        .span(node::span(subject, id, on))
        .level(weight.level().min(Level::Note))
        .share(weight.share())
        .relation(relation.schema.clone(), relation.name.clone())
        .evidence(Evidence::new(
            "rows on them",
            Value::Rows(rows),
            Origin::Plan(id),
        ))
        .evidence(Evidence::new(
            "rows of a page",
            Value::Rows(a_page),
            Origin::Catalog(relation.qualified()),
        ));
    if let Some(read) = metrics
        .node(id)
        .self_buffers
        .map(|buffers| buffers.shared_read_blocks)
        .filter(|read| *read > 0.0)
    {
        draft = draft.evidence(Evidence::new(
            "blocks read from outside the buffer cache",
            Value::Blocks(read),
            Origin::Plan(id),
        ));
    }
    let by = column.map_or_else(
        || "the column of the condition".to_owned(),
        |column| crate::catalog::ident::quote(&column),
    );
    draft
        .evidence(weight.evidence())
        .suggest(suggest::judgement(
            "keep the columns in the index, or the rows together",
            format!(
                "if the query reads few columns, let the index cover them (INCLUDE), so that the \
                 table is not visited; if {table} is mostly read by {by}, lay its rows in that \
                 order (CLUSTER, which locks the table, or partitions by it)"
            ),
        ));
}
