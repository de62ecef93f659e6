//! Wide rows that a sort, a hash table or a materialisation stores.

use super::support::{flow, show, suggest, weight::Weight};
use crate::declare_rule;
use crate::finding::{Evidence, Level, Origin, Value};
use crate::plan::{NodeId, NodeKind, PlanEdge, PlanGraph, PlanNode};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

/// From that width on, in bytes, rows are mostly what nothing compares.
const WIDE: f64 = 500.0;
/// What rows would have that carry keys and a few columns.
const NARROW: f64 = 64.0;
/// Less is stored in no time.
const LEAST_BYTES: f64 = 16.0 * 1024.0 * 1024.0;
/// Of what is stored in memory, moving the bytes is a part of the work only.
const MEMORY_SHARE: f64 = 0.5;

declare_rule! {
    /// ## What it does
    ///
    /// Finds a Sort, Hash or Materialize that stores rows of at least 500
    /// bytes, as the planner reckons them, and at least 16 MB of them. What it
    /// could save is the time of the node times the share of the bytes that
    /// rows of 64 bytes would not have; half of that where nothing was written
    /// to disk.
    ///
    /// ## Why it matters
    ///
    /// Every column that is asked for is copied through each sort and hash
    /// table on the way up. Rows of a kilobyte fill `work_mem` with 4,000 rows
    /// and then go through temporary files, though only a few bytes of them
    /// are compared.
    ///
    /// ## When it is wrong
    ///
    /// When the caller needs all columns of all these rows. Long values that
    /// are stored out of line (TOAST) are carried as short pointers, and the
    /// width is the planner's reckoning from statistics.
    ///
    /// ## References
    ///
    /// - [Memory of a query](https://www.postgresql.org/docs/current/runtime-config-resource.html#GUC-WORK-MEM)
    /// - [TOAST](https://www.postgresql.org/docs/current/storage-toast.html)
    pub struct WideRowsCarried = {
        id: "wide-rows-carried",
        summary: "wide rows are stored by a sort, a hash table or a materialisation",
        level: Warning,
        needs: [Actuals],
        since: "0.1.0",
    }
}

impl Rule for WideRowsCarried {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(plan) = subject.plan else { return };
        for (id, node) in plan.nodes() {
            let stores = matches!(
                node.kind,
                NodeKind::Sort | NodeKind::Hash | NodeKind::Materialize
            );
            if stores && node.estimate.is_some_and(|estimate| estimate.width >= WIDE) {
                look(subject, plan, id, node, sink);
            }
        }
    }
}

fn look(subject: &Subject<'_>, plan: &PlanGraph, id: NodeId, node: &PlanNode, sink: &mut Sink) {
    let (Some(metrics), Some(estimate), Some(input)) = (
        subject.metrics,
        node.estimate,
        plan.child(id, PlanEdge::Outer),
    ) else {
        return;
    };
    // What is given again and again is stored once: what was read counts.
    let Some(rows) = flow::rows(plan, input) else {
        return;
    };
    let bytes = rows * estimate.width;
    // A sort that keeps the first few rows holds no more than those.
    if bytes < LEAST_BYTES || node.text("Sort Method") == Some("top-N heapsort") {
        return;
    }
    let written = node
        .buffers
        .is_some_and(|buffers| buffers.temp_written_blocks > 0.0)
        || node.text("Sort Space Type") == Some("Disk")
        || node
            .number("Hash Batches")
            .is_some_and(|batches| batches > 1.0);
    let part = if written { 1.0 } else { MEMORY_SHARE };
    let share = metrics.node(id).self_share * (1.0 - NARROW / estimate.width) * part;
    let Some(weight) = Weight::worth_telling(subject, share) else {
        return;
    };
    let verb = match node.kind {
        NodeKind::Sort => "sorts",
        NodeKind::Hash => "hashes",
        _ => "stores",
    };
    sink.report(
        format!(
            "{} {verb} {} of about {} each",
            node.type_name,
            show::rows(rows),
            show::bytes(estimate.width)
        ),
        format!(
            "about {} are copied{}, of which the keys are a small part",
            show::bytes(bytes),
            if written {
                " and written to temporary files"
            } else {
                ""
            }
        ),
        Evidence::new("rows stored", Value::Rows(rows), Origin::Plan(input)),
    )
    .node(id)
    .level(flow::at_most(weight.level(), Level::Warning))
    .share(weight.share())
    .evidence(Evidence::new(
        "expected width of a row",
        Value::Bytes(estimate.width),
        Origin::Plan(id),
    ))
    .evidence(weight.evidence())
    .suggest(suggest::judgement(
        "carry the keys, and fetch the rest late",
        "select the columns that are needed instead of *; or sort, join and limit the primary key \
         with the columns compared in a subquery, and join the table once more by its key for the \
         wide columns of the rows that remain",
    ));
}
