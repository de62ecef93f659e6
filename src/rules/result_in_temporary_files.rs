//! An intermediate result that was kept in temporary files.

use super::support::{memory, node::Filtered, show, suggest, weight::Weight};
use crate::declare_rule;
use crate::finding::{Evidence, Level, Origin, Value};
use crate::plan::{NodeId, NodeKind, PlanEdge, PlanGraph, PlanNode};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

/// About half of the node's own time goes into writing and reading again.
const SPILL_SHARE: f64 = 0.5;
/// Fewer blocks (2 MB) are gone in a moment.
const LEAST_BLOCKS: f64 = 256.0;
const BLOCK: f64 = 8192.0;
/// What a row takes in memory besides what it takes in a file: its header, its
/// place in the list, and the allocator's part.
const ROW: f64 = 48.0;

declare_rule! {
    /// ## What it does
    ///
    /// Finds nodes other than sorts and hashes that wrote at least 2 MB to
    /// temporary files: the result of a CTE, of a Materialize, of a function,
    /// the partition of a window, the working table of a recursive query, and
    /// aggregates that sort within (DISTINCT or ORDER BY in a call). It tells
    /// of all of them in one finding.
    ///
    /// Half of their own time is taken as what could be saved. The memory is
    /// reckoned as what was written, and 48 bytes for each row.
    ///
    /// ## Why it matters
    ///
    /// The result is written to a file and read from there, each time it is
    /// gone through. EXPLAIN tells of it only in the temporary blocks.
    ///
    /// ## When it is wrong
    ///
    /// When memory is short: the setting counts for every such node of every
    /// process.
    ///
    /// ## References
    ///
    /// - [work_mem](https://www.postgresql.org/docs/current/runtime-config-resource.html#GUC-WORK-MEM)
    pub struct ResultInTemporaryFiles = {
        id: "result-in-temporary-files",
        summary: "an intermediate result did not fit into memory",
        level: Note,
        needs: [Actuals, Buffers],
        since: "0.1.0",
    }
}

/// A node that wrote temporary files.
struct Wrote {
    id: NodeId,
    blocks: f64,
    /// What one run needs in memory, bytes.
    need: f64,
    share: f64,
}

impl Rule for ResultInTemporaryFiles {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let (Some(plan), Some(metrics)) = (subject.plan, subject.metrics) else {
            return;
        };
        let mut wrote: Vec<Wrote> = plan
            .nodes()
            .filter(|(_, node)| keeps_a_result(node))
            .filter_map(|(id, node)| {
                let loops = node.actual.filter(|actual| actual.loops > 0.0)?.loops;
                let blocks = metrics.node(id).self_buffers?.temp_written_blocks;
                // A stored result is written once and read in each loop.
                let runs = if matches!(node.kind, NodeKind::CteScan | NodeKind::Materialize) {
                    1.0
                } else {
                    loops
                };
                (blocks >= LEAST_BLOCKS).then(|| Wrote {
                    id,
                    blocks,
                    need: (blocks / runs * BLOCK + rows(plan, id) * ROW) * 1.1,
                    share: metrics.node(id).self_share * SPILL_SHARE,
                })
            })
            .collect();
        wrote.sort_by(|a, b| b.share.total_cmp(&a.share));
        let share: f64 = wrote.iter().map(|node| node.share).sum();
        if let (Some(most), Some(weight)) = (wrote.first(), Weight::worth_telling(subject, share)) {
            tell(subject, plan, most, &wrote, weight, sink);
        }
    }
}

/// Whether the node stores rows, and is not told of by the rules for sorts and
/// hashes.
fn keeps_a_result(node: &PlanNode) -> bool {
    match node.kind {
        NodeKind::CteScan
        | NodeKind::Materialize
        | NodeKind::FunctionScan
        | NodeKind::TableFunctionScan
        | NodeKind::WindowAgg
        | NodeKind::RecursiveUnion => true,
        NodeKind::Aggregate => !matches!(node.text("Strategy"), Some("Hashed" | "Mixed")),
        _ => false,
    }
}

/// Rows that one run stores.
fn rows(plan: &PlanGraph, id: NodeId) -> f64 {
    let node = plan.node(id);
    let stored = if node.kind == NodeKind::Aggregate {
        plan.child(id, PlanEdge::Outer)
            .map_or(node, |child| plan.node(child))
    } else {
        node
    };
    Filtered::of(stored).map_or(0.0, |rows| rows.read() / rows.loops)
}

/// What is kept, in words.
fn what(node: &PlanNode) -> String {
    match node.kind {
        NodeKind::CteScan => format!(
            "the result of CTE {}",
            node.relation.name.as_deref().unwrap_or("?")
        ),
        NodeKind::FunctionScan | NodeKind::TableFunctionScan => match &node.relation.name {
            Some(name) => format!("the result of function {name}"),
            None => "the result of a function".to_owned(),
        },
        NodeKind::WindowAgg => "the rows of a window".to_owned(),
        NodeKind::RecursiveUnion => "the working table of a recursive query".to_owned(),
        NodeKind::Aggregate => "the values that an aggregate sorts".to_owned(),
        _ => "a stored intermediate result".to_owned(),
    }
}

fn tell(
    subject: &Subject<'_>,
    plan: &PlanGraph,
    most: &Wrote,
    wrote: &[Wrote],
    weight: Weight,
    sink: &mut Sink,
) {
    let node = plan.node(most.id);
    let mut message = format!(
        "{} went through {} of temporary files",
        what(node),
        show::bytes(most.blocks * BLOCK)
    );
    if wrote.len() > 1 {
        message.push_str(&format!(", and {} more", wrote.len() - 1));
    }
    let need = wrote.iter().map(|node| node.need).fold(0.0, f64::max);
    let mut draft = sink
        .report(
            message,
            "it did not fit into work_mem, so it was written to a file and read from there",
            Evidence::new(
                "temporary blocks written",
                Value::Blocks(most.blocks),
                Origin::Plan(most.id),
            ),
        )
        .node(most.id)
        .level(weight.level().min(Level::Warning))
        .share(weight.share());
    for other in wrote.iter().skip(1).take(3) {
        draft = draft.evidence(Evidence::new(
            format!(
                "temporary blocks written by {}",
                plan.node(other.id).label()
            ),
            Value::Blocks(other.blocks),
            Origin::Plan(other.id),
        ));
    }
    draft = draft
        .evidence(Evidence::new(
            "memory needed",
            Value::Bytes(need),
            Origin::Formula("what was written in one run and 48 bytes a row, and 10 % more"),
        ))
        .evidence(weight.evidence());
    let raise = memory::raise_work_mem(subject, need);
    draft.suggest(raise.unwrap_or_else(|| {
        suggest::judgement(
            "keep fewer or narrower rows",
            "filter before the result is stored, and select only the columns that are read from \
             it; a CTE that is read once need not be MATERIALIZED",
        )
    }));
}
