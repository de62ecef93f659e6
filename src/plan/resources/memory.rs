//! The nodes that hold memory: how much they did, and how much they may.

use serde_json::{Map, Value};

use super::MemoryUse;
use super::settings::Settings;
use crate::plan::{NodeId, NodeKind, PlanEdge, PlanGraph, PlanNode};

const KILOBYTE: f64 = 1024.0;

/// What a node holds, with the limit of one copy.
struct Held {
    what: &'static str,
    /// Times `work_mem`.
    limit: f64,
    /// The limit is that of a hash table.
    hash: bool,
    /// All processes share one, whose limit is theirs together.
    shared: bool,
    /// Nothing stops it at the limit, by which it was planned.
    only_planned: bool,
}

impl Held {
    fn work_mem(what: &'static str) -> Self {
        Self {
            what,
            limit: 1.0,
            hash: false,
            shared: false,
            only_planned: false,
        }
    }

    fn hash_table(what: &'static str) -> Self {
        Self {
            hash: true,
            ..Self::work_mem(what)
        }
    }
}

/// The nodes that hold memory, in the order of the plan.
pub(super) fn uses(plan: &PlanGraph, settings: &Settings) -> Vec<MemoryUse> {
    let mut read = vec![false; plan.graph.node_count()];
    let mut uses = Vec::new();
    for (id, node) in plan.nodes() {
        // One store serves all readers of a CTE.
        if node.kind == NodeKind::CteScan
            && let Some(cte) = plan.cte_read_by(id)
            && let Some(read) = read.get_mut(cte.index())
            && std::mem::replace(read, true)
        {
            continue;
        }
        if let Some(held) = held(plan, id, node) {
            uses.push(use_of(plan, id, node, &held, settings));
        }
        if let Some(held) = hashed_subplan(plan, id, node) {
            uses.push(use_of(plan, id, node, &held, settings));
        }
    }
    uses
}

fn held(plan: &PlanGraph, id: NodeId, node: &PlanNode) -> Option<Held> {
    let strategy = node.text("Strategy");
    Some(match node.kind {
        NodeKind::Sort => Held::work_mem("sort"),
        NodeKind::IncrementalSort => Held {
            // One sort by all keys, one by those that are not sorted yet.
            limit: 2.0,
            ..Held::work_mem("two sorts")
        },
        NodeKind::Hash => Held {
            shared: node.parallel_aware,
            ..Held::hash_table("hash table")
        },
        NodeKind::Aggregate if matches!(strategy, Some("Hashed" | "Mixed")) => {
            Held::hash_table("hash table of groups")
        }
        // The text format says it in the name.
        NodeKind::Aggregate
            if matches!(node.type_name.as_str(), "HashAggregate" | "MixedAggregate") =>
        {
            Held::hash_table("hash table of groups")
        }
        NodeKind::SetOp if strategy == Some("Hashed") || node.type_name == "HashSetOp" => Held {
            only_planned: true,
            ..Held::hash_table("hash table")
        },
        NodeKind::Memoize => Held::hash_table("cache of results"),
        NodeKind::Materialize
        | NodeKind::CteScan
        | NodeKind::FunctionScan
        | NodeKind::TableFunctionScan => Held::work_mem("stored rows"),
        NodeKind::WindowAgg => Held::work_mem("rows of a partition"),
        NodeKind::RecursiveUnion => Held {
            limit: 2.0,
            ..Held::work_mem("two sets of rows")
        },
        NodeKind::BitmapHeapScan => {
            let bitmaps = match plan.child(id, PlanEdge::Outer) {
                Some(child) if plan.node(child).kind == NodeKind::BitmapAnd => 2.0,
                _ => 1.0,
            };
            Held {
                limit: bitmaps,
                ..Held::work_mem(if bitmaps > 1.0 {
                    "two bitmaps"
                } else {
                    "bitmap"
                })
            }
        }
        _ => return None,
    })
}

/// A SubPlan whose result its parent keeps in a hash table; the parent says
/// so.
fn hashed_subplan(plan: &PlanGraph, id: NodeId, node: &PlanNode) -> Option<Held> {
    let name = node.subplan_name.as_deref()?;
    let (edge, parent) = plan.parent(id)?;
    if edge != PlanEdge::SubPlan {
        return None;
    }
    let hashed = format!("hashed {name}");
    let parent = plan.node(parent);
    let named = parent
        .conditions
        .iter()
        .any(|condition| names(&condition.text, &hashed))
        || parent
            .texts("Output")
            .iter()
            .any(|text| names(text, &hashed));
    named.then(|| Held {
        only_planned: true,
        ..Held::hash_table("hash table of a SubPlan")
    })
}

/// Whether a text names it, and not one whose number only begins alike.
fn names(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, found)| {
        text.get(at + found.len()..)
            .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
    })
}

fn use_of(
    plan: &PlanGraph,
    id: NodeId,
    node: &PlanNode,
    held: &Held,
    settings: &Settings,
) -> MemoryUse {
    let processes = processes(plan, id, settings);
    let each = settings.work_mem
        * held.limit
        * if held.hash {
            settings.hash_mem_multiplier
        } else {
            1.0
        };
    let (measured, disk) = printed(plan, id, node, held);
    let mut formula = "work_mem".to_owned();
    if held.hash {
        formula.push_str(" × hash_mem_multiplier");
    }
    if held.limit > 1.0 {
        formula.push_str(" × 2");
    }
    if processes > 1.0 {
        formula.push_str(&format!(" × {processes} processes"));
    }
    if held.shared {
        formula.push_str(", shared by them");
    }
    if held.only_planned {
        formula.push_str("; the planner's limit, which is not enforced when it runs");
    }
    MemoryUse {
        node: id,
        what: held.what,
        copies: if held.shared { 1.0 } else { processes },
        measured_bytes: measured,
        allowed_bytes: Some(each * processes),
        disk_bytes: disk,
        formula,
    }
}

/// The processes that run a node: the leader if it takes part, and the workers
/// that were launched, or else planned.
fn processes(plan: &PlanGraph, id: NodeId, settings: &Settings) -> f64 {
    let Some(gather) = plan.gather_above(id) else {
        return 1.0;
    };
    let gather = plan.node(gather);
    let workers = gather
        .workers_launched
        .or(gather.workers_planned)
        .unwrap_or_default();
    let single_copy = gather
        .extra
        .get("Single Copy")
        .and_then(Value::as_bool)
        .unwrap_or_default();
    let leader = if (settings.leader_participates && !single_copy) || workers <= 0.0 {
        1.0
    } else {
        0.0
    };
    (workers + leader).max(1.0)
}

/// Bytes in memory and on disk that a node prints, over all its processes.
fn printed(
    plan: &PlanGraph,
    id: NodeId,
    node: &PlanNode,
    held: &Held,
) -> (Option<f64>, Option<f64>) {
    let Some(actual) = node.actual else {
        return (None, None);
    };
    if actual.loops <= 0.0 {
        return (Some(0.0), None);
    }
    if held.only_planned {
        return (None, None);
    }
    if node.kind == NodeKind::Hash {
        // The largest of all processes is printed.
        let copies = if held.shared || plan.gather_above(id).is_none() {
            1.0
        } else {
            let gather = plan
                .gather_above(id)
                .and_then(|gather| plan.node(gather).actual);
            (actual.loops / gather.map_or(1.0, |actual| actual.loops.max(1.0))).max(1.0)
        };
        let peak = number(&node.extra, "Peak Memory Usage");
        return (peak.map(|kilobytes| kilobytes * copies), None);
    }
    let mut sum = Sum::default();
    sum.add(&node.extra);
    if let Some(Value::Array(workers)) = node.extra.get("Workers") {
        for worker in workers.iter().filter_map(Value::as_object) {
            sum.add(worker);
        }
    }
    (sum.memory, sum.disk)
}

/// What a process prints, in bytes.
fn number(fields: &Map<String, Value>, key: &str) -> Option<f64> {
    fields
        .get(key)
        .and_then(Value::as_f64)
        .map(|kilobytes| kilobytes * KILOBYTE)
}

#[derive(Default)]
struct Sum {
    memory: Option<f64>,
    disk: Option<f64>,
}

impl Sum {
    /// Adds what one process prints.
    fn add(&mut self, fields: &Map<String, Value>) {
        let place = |name: &str| fields.get(name).and_then(Value::as_str);
        if let Some(used) = number(fields, "Sort Space Used") {
            self.put(place("Sort Space Type") == Some("Disk"), used);
        }
        if let Some(used) = number(fields, "Maximum Storage") {
            self.put(place("Storage") == Some("Disk"), used);
        }
        if let Some(used) = number(fields, "Peak Memory Usage") {
            self.put(false, used);
        }
        if let Some(used) = number(fields, "Disk Usage")
            && used > 0.0
        {
            self.put(true, used);
        }
        for groups in ["Full-sort Groups", "Pre-sorted Groups"] {
            for (space, on_disk) in [("Sort Space Memory", false), ("Sort Space Disk", true)] {
                let peak = fields
                    .get(groups)
                    .and_then(|groups| groups.get(space))
                    .and_then(Value::as_object)
                    .and_then(|space| number(space, "Peak Sort Space Used"));
                if let Some(used) = peak {
                    self.put(on_disk, used);
                }
            }
        }
    }

    fn put(&mut self, on_disk: bool, bytes: f64) {
        let slot = if on_disk {
            &mut self.disk
        } else {
            &mut self.memory
        };
        *slot = Some(slot.unwrap_or_default() + bytes);
    }
}
