//! A bitmap that did not fit into memory and forgot single rows.

use super::support::{memory, node, show, weight::Weight};
use crate::declare_rule;
use crate::finding::{Evidence, Origin, Value};
use crate::plan::{ConditionRole, NodeId, NodeKind, PlanGraph, PlanNode};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

/// A smaller share of whole pages costs little.
const LEAST_LOSSY: f64 = 0.1;

declare_rule! {
    /// ## What it does
    ///
    /// Finds a bitmap heap scan of whose pages at least a tenth were lossy:
    /// the bitmap outgrew `work_mem` and kept whole pages instead of rows. It
    /// proposes a `work_mem` for all pages, at 64 bytes each. Bitmaps of BRIN
    /// indexes are lossy by nature and not meant.
    ///
    /// ## Why it matters
    ///
    /// On a lossy page every row is tested again against the condition.
    ///
    /// ## When it is wrong
    ///
    /// When the tests are cheap against reading the pages, which a lossy
    /// bitmap does not make more: then only processor time is lost.
    ///
    /// ## References
    ///
    /// - [Combining indexes](https://www.postgresql.org/docs/current/indexes-bitmap-scans.html)
    /// - [work_mem](https://www.postgresql.org/docs/current/runtime-config-resource.html#GUC-WORK-MEM)
    pub struct LossyBitmap = {
        id: "lossy-bitmap",
        summary: "a bitmap outgrew work_mem, so every row of its pages is tested again",
        level: Note,
        needs: [Actuals],
        concerns: [BitmapHeapScan],
        since: "0.1.0",
    }
}

impl Rule for LossyBitmap {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(plan) = subject.plan else { return };
        for (id, scan) in plan.nodes() {
            if scan.kind == NodeKind::BitmapHeapScan
                && let Some(lossy) = scan
                    .number("Lossy Heap Blocks")
                    .filter(|blocks| *blocks > 0.0)
            {
                look(subject, plan, id, scan, lossy, sink);
            }
        }
    }
}

fn look(
    subject: &Subject<'_>,
    plan: &PlanGraph,
    id: NodeId,
    scan: &PlanNode,
    lossy: f64,
    sink: &mut Sink,
) {
    let exact = scan.number("Exact Heap Blocks").unwrap_or(0.0);
    let Some(actual) = scan.actual.filter(|actual| actual.loops > 0.0) else {
        return;
    };
    // Only a B-tree's bitmap is exact by nature; where the index is not known,
    // exact pages beside the lossy ones tell the same.
    if lossy / (lossy + exact) < LEAST_LOSSY || exact == 0.0 || has_brin(subject, plan, id) {
        return;
    }
    let removed = scan.rows_removed_by_recheck_per_loop.unwrap_or(0.0) * actual.loops;
    let filtered = scan.rows_removed_by_filter_per_loop.unwrap_or(0.0) * actual.loops;
    let given = actual.rows_per_loop * actual.loops;
    let needless = removed / (removed + filtered + given).max(1.0);
    let Some(metrics) = subject.metrics else {
        return;
    };
    let share = metrics.node(id).self_share * needless;
    let Some(weight) = Weight::worth_telling(subject, share) else {
        return;
    };
    let pages = (exact + lossy) / actual.loops;
    let need = memory::bitmap_need(pages);
    let message = format!(
        "bitmap of {} became lossy on {} of {} pages",
        node::table_name(scan),
        show::count(lossy),
        show::count(lossy + exact)
    );
    let why = format!(
        "the bitmap outgrew work_mem and kept whole pages, so {} were tested again in vain",
        show::rows(removed)
    );
    let mut draft = sink
        .report(
            message,
            why,
            Evidence::new("lossy pages", Value::Blocks(lossy), Origin::Plan(id)),
        )
        .node(id)
        .span(node::span(
            subject,
            id,
            scan.condition(ConditionRole::RecheckCond),
        ))
        .level(weight.level())
        .share(weight.share())
        .evidence(Evidence::new(
            "exact pages",
            Value::Blocks(exact),
            Origin::Plan(id),
        ))
        .evidence(Evidence::new(
            "rows removed by the recheck",
            Value::Rows(removed),
            Origin::Plan(id),
        ))
        .evidence(Evidence::new(
            "memory needed",
            Value::Bytes(need),
            Origin::Formula("64 bytes a page"),
        ))
        .evidence(weight.evidence());
    if let Some(suggestion) = memory::raise_work_mem(subject, need) {
        draft = draft.suggest(suggestion);
    }
    if let Some((schema, name)) = node::relation(subject, scan) {
        draft.relation(schema, name);
    }
}

fn has_brin(subject: &Subject<'_>, plan: &PlanGraph, id: NodeId) -> bool {
    let Some(catalog) = subject.catalog else {
        return false;
    };
    plan.subtree(id)
        .into_iter()
        .filter_map(|below| plan.node(below).relation.index.as_deref())
        .filter_map(|name| catalog.index(name))
        .any(|(_, index)| index.method == "brin")
}
