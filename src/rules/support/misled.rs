//! Which decisions of the planner a wrong estimate spoilt, and what they take.

use std::collections::BTreeSet;

use petgraph::Direction;
use petgraph::visit::EdgeRef as _;

use crate::plan::metrics::Metrics;
use crate::plan::{NodeId, NodeKind, PlanEdge, PlanGraph, PlanNode};

use super::show;

/// Of nodes that would do much of their work with a right estimate, too.
const PART: f64 = 0.5;

/// What the wrong estimate misled.
#[derive(Debug)]
pub(crate) struct Misled {
    /// The share of the statement of all that was chosen by it, 0 to 1.
    pub(crate) share: f64,
    /// A nested loop that ran more often than expected.
    pub(crate) nested_loop: Option<NodeId>,
    /// The decisions, the costliest first.
    pub(crate) spoilt: Vec<Spoilt>,
}

/// A decision that was made by the wrong number.
#[derive(Debug)]
pub(crate) struct Spoilt {
    /// The node that was chosen, or that did not get by.
    pub(crate) node: NodeId,
    /// What happened, as a clause: `a nested loop ran 200 times`.
    pub(crate) text: String,
    /// Its share of the statement.
    pub(crate) share: f64,
}

/// What the error of that node misled, at the node and above it.
pub(crate) fn misled(plan: &PlanGraph, metrics: &Metrics, id: NodeId) -> Misled {
    let under = metrics.node(id).underestimated;
    let own = plan.node(id);
    let mut spoilt = Vec::new();
    let mut say =
        |node: NodeId, text: String, share: f64| spoilt.push(Spoilt { node, text, share });
    let own_share = metrics.node(id).self_share * PART;
    // The scan itself was chosen by the estimate.
    let mut share = match own.kind {
        NodeKind::IndexScan | NodeKind::BitmapHeapScan if under => {
            say(
                id,
                format!("an index was chosen to fetch {}", counted(own)),
                own_share,
            );
            own_share
        }
        NodeKind::SeqScan if !under => {
            say(
                id,
                format!("the whole table is read for {}", counted(own)),
                own_share,
            );
            own_share
        }
        NodeKind::Aggregate if spilled(own) => {
            say(id, went_to_disk(), own_share);
            own_share
        }
        _ => 0.0,
    };
    let mut nested_loop = None;
    let mut at = id;
    // Each CTE is left by its readers once.
    let mut left: BTreeSet<NodeId> = BTreeSet::new();
    while let Some((edge, up)) = plan.parent(at) {
        if matches!(edge, PlanEdge::InitPlan | PlanEdge::SubPlan) {
            match reader(plan, metrics, at) {
                Some(reader) if left.insert(at) => {
                    at = reader;
                    continue;
                }
                _ => break,
            }
        }
        let node = plan.node(up);
        let own_share = metrics.node(up).self_share;
        match node.kind {
            NodeKind::NestedLoop => {
                let mut part = own_share;
                let mut text = format!("a nested loop was chosen for {}", expected(node));
                if edge == PlanEdge::Outer
                    && under
                    && let Some(inner) = plan.child(up, PlanEdge::Inner)
                {
                    part += metrics.node(inner).total_share;
                    text = format!(
                        "the nested loop above ran its inner side {} times",
                        show::count(loops(plan, inner))
                    );
                    nested_loop = nested_loop.or(Some(up));
                }
                share += part;
                say(up, text, part);
            }
            NodeKind::BitmapHeapScan if under => {
                share += own_share * PART;
                say(
                    up,
                    format!("an index was chosen to fetch {}", counted(node)),
                    own_share * PART,
                );
            }
            NodeKind::Hash if under && batches(node) > 1.0 => {
                share += own_share * PART;
                say(
                    up,
                    format!(
                        "the hash table was planned for {} and went to disk in {} batches",
                        expected(node),
                        show::count(batches(node))
                    ),
                    own_share * PART,
                );
            }
            NodeKind::HashJoin | NodeKind::MergeJoin | NodeKind::Hash | NodeKind::Memoize => {
                share += own_share * PART;
                let what = match node.kind {
                    NodeKind::HashJoin if edge == PlanEdge::Inner && under => {
                        "the hash table was made of this side, the larger one by far"
                    }
                    NodeKind::HashJoin => "a hash join and its sides were chosen",
                    NodeKind::MergeJoin => "a merge join was chosen",
                    NodeKind::Memoize => "results were kept in a cache",
                    _ => "the hash table was sized",
                };
                say(
                    up,
                    format!("{what} for {}", expected(plan.node(at))),
                    own_share * PART,
                );
            }
            NodeKind::Sort | NodeKind::IncrementalSort
                if under && node.text("Sort Space Type") == Some("Disk") =>
            {
                share += own_share * PART;
                say(
                    up,
                    format!("a sort planned for {} went to disk", expected(node)),
                    own_share * PART,
                );
            }
            // What is counted or grouped has a number of rows of its own.
            NodeKind::Aggregate | NodeKind::Group => {
                if spilled(node) {
                    share += own_share * PART;
                    say(up, went_to_disk(), own_share * PART);
                }
                break;
            }
            _ => {}
        }
        at = up;
    }
    spoilt.sort_by(|a, b| b.share.total_cmp(&a.share).then(a.node.cmp(&b.node)));
    Misled {
        share: share.min(1.0),
        nested_loop,
        spoilt,
    }
}

/// The dearest scan of the CTE that is computed at that node.
fn reader(plan: &PlanGraph, metrics: &Metrics, cte: NodeId) -> Option<NodeId> {
    plan.graph
        .edges_directed(cte, Direction::Incoming)
        .filter(|edge| *edge.weight() == PlanEdge::ReadsCte)
        .map(|edge| edge.source())
        .filter(|reader| plan.node(*reader).kind == NodeKind::CteScan)
        .max_by(|a, b| {
            let share = |id: &NodeId| metrics.node(*id).total_share;
            share(a).total_cmp(&share(b)).then(b.cmp(a))
        })
}

fn went_to_disk() -> String {
    "a hash aggregate was chosen, and went to disk".to_owned()
}

fn expected(node: &PlanNode) -> String {
    show::rows(node.estimate.map_or(0.0, |estimate| estimate.rows))
}

fn counted(node: &PlanNode) -> String {
    show::rows(node.actual.map_or(0.0, |actual| actual.rows_per_loop))
}

fn loops(plan: &PlanGraph, id: NodeId) -> f64 {
    plan.node(id).actual.map_or(0.0, |actual| actual.loops)
}

fn batches(hash: &PlanNode) -> f64 {
    hash.number("Hash Batches").unwrap_or(1.0)
}

/// A hash aggregate that went through temporary files.
fn spilled(node: &PlanNode) -> bool {
    node.number("HashAgg Batches")
        .is_some_and(|batches| batches > 1.0)
        || node.number("Disk Usage").is_some_and(|disk| disk > 0.0)
}
