//! The shape of a plan: what it does with which tables and indexes, in which
//! order, without its numbers. And how a planner is brought to a shape.

use std::collections::BTreeMap;

use crate::catalog::Catalog;
use crate::plan::{NodeId, NodeKind, PlanEdge, PlanGraph, PlanNode};
use crate::verify::{PlanError, Planned, Planner};

/// Up to version 17 a path that is switched off has this added to its cost.
const DISABLED: f64 = 1e10;
/// More penalties than this in one cost leave too few digits for the rest.
const MOST_PENALTIES: f64 = 100.0;
/// More changed nodes than this are not all named.
const NAMED: usize = 3;

/// What a plan does, without numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Every node.
    whole: String,
    /// Scans and joins only: how rows are found and put together.
    core: String,
}

impl Shape {
    /// The shape of a plan. Partitions count as their table, so that a plan
    /// that reads one partition has the shape of one that reads them all.
    pub fn of(plan: &PlanGraph, catalog: &Catalog) -> Self {
        let reader = Reader { plan, catalog };
        Self {
            whole: reader.read(plan.root, false),
            core: reader.read(plan.root, true),
        }
    }

    /// Whether both find and join their rows in the same way.
    pub fn same_core(&self, other: &Self) -> bool {
        self.core == other.core
    }
}

struct Reader<'a> {
    plan: &'a PlanGraph,
    catalog: &'a Catalog,
}

impl Reader<'_> {
    fn read(&self, id: NodeId, core: bool) -> String {
        let node = self.plan.node(id);
        let mut children: Vec<String> = self
            .plan
            .children(id)
            .into_iter()
            .map(|(edge, child)| {
                let text = self.read(child, core);
                match edge {
                    PlanEdge::InitPlan => format!("init:{text}"),
                    PlanEdge::SubPlan => format!("sub:{text}"),
                    _ => text,
                }
            })
            .filter(|text| !text.is_empty())
            .collect();
        if matches!(node.kind, NodeKind::Append | NodeKind::MergeAppend) {
            children.sort();
            children.dedup();
            if let [only] = children.as_slice() {
                return only.clone();
            }
        }
        let own = if core && !is_core(node) {
            String::new()
        } else {
            self.own(node)
        };
        match (own.is_empty(), children.is_empty()) {
            (true, _) => children.join(","),
            (false, true) => own,
            (false, false) => format!("{own}({})", children.join(",")),
        }
    }

    fn own(&self, node: &PlanNode) -> String {
        let mut text = node.type_name.clone();
        if node.parallel_aware {
            text.insert_str(0, "Parallel ");
        }
        for key in ["Strategy", "Partial Mode", "Scan Direction"] {
            if let Some(value) = node.text(key)
                && !matches!(value, "Plain" | "Simple" | "Forward" | "NoMovement")
            {
                text.push_str(&format!(" {value}"));
            }
        }
        if let Some(join) = &node.join_type {
            text.push_str(&format!(" {join}"));
        }
        let (table, is_part) = self.table(node);
        if let Some(table) = table {
            text.push_str(&format!(" on {table}"));
        }
        match &node.relation.index {
            // Each partition's index has a name of its own.
            Some(_) if is_part => text.push_str(" by index"),
            Some(index) => text.push_str(&format!(" by {}", self.partitioned_index(index))),
            None => {}
        }
        text
    }

    /// The table that a node reads, the topmost where it is a partition.
    fn table(&self, node: &PlanNode) -> (Option<String>, bool) {
        let Some(name) = &node.relation.name else {
            return (node.relation.alias.clone(), false);
        };
        let mut relation = self
            .catalog
            .relation_of_plan(node.relation.schema.as_deref(), name);
        let mut is_part = false;
        // Partitions do not nest deeper than this.
        for _ in 0..16 {
            let parent = relation
                .and_then(|relation| relation.parent.as_ref())
                .and_then(|(schema, name)| self.catalog.relation(Some(schema), name));
            match parent {
                Some(parent) => {
                    relation = Some(parent);
                    is_part = true;
                }
                None => break,
            }
        }
        if is_part {
            return (relation.map(crate::catalog::Relation::qualified), true);
        }
        let alias = node.relation.alias.clone();
        (alias.or_else(|| Some(name.clone())), false)
    }

    /// An index of a partition, which a bitmap names without its table, counts
    /// as any.
    fn partitioned_index(&self, name: &str) -> String {
        match self.catalog.index(name) {
            Some((relation, _)) if relation.parent.is_some() => "index".to_owned(),
            _ => name.to_owned(),
        }
    }
}

fn is_core(node: &PlanNode) -> bool {
    !matches!(
        node.kind,
        NodeKind::Hash
            | NodeKind::Sort
            | NodeKind::IncrementalSort
            | NodeKind::Materialize
            | NodeKind::Memoize
            | NodeKind::Group
            | NodeKind::Aggregate
            | NodeKind::Unique
            | NodeKind::Gather
            | NodeKind::GatherMerge
            | NodeKind::Result
            | NodeKind::Limit
    )
}

/// What each of several plans does that not all of them do, in words.
pub fn differences(plans: &[&PlanGraph]) -> Vec<String> {
    let counted: Vec<(Vec<String>, BTreeMap<String, usize>)> =
        plans.iter().map(|plan| labels(plan)).collect();
    counted
        .iter()
        .map(|(order, counts)| {
            let own: Vec<&str> = order
                .iter()
                .filter(|label| {
                    let times = counts.get(*label).copied().unwrap_or(0);
                    counted
                        .iter()
                        .any(|(_, other)| other.get(*label).copied().unwrap_or(0) < times)
                })
                .map(String::as_str)
                .collect();
            match own.as_slice() {
                // All the same nodes, or fewer of them.
                [] => {
                    let all: Vec<&str> = order.iter().map(String::as_str).collect();
                    let text = few(&all);
                    if plans.len() > 1 {
                        format!("{text}, put together in another way")
                    } else {
                        text
                    }
                }
                own => few(own),
            }
        })
        .collect()
}

/// The first of some labels.
fn few(labels: &[&str]) -> String {
    if labels.len() > NAMED {
        format!(
            "{} and {} more",
            labels.get(..NAMED).unwrap_or(labels).join(", "),
            labels.len() - NAMED
        )
    } else {
        labels.join(", ")
    }
}

/// The labels of a plan's nodes in their order, and how often each occurs.
fn labels(plan: &PlanGraph) -> (Vec<String>, BTreeMap<String, usize>) {
    let mut order = Vec::new();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for (_, node) in plan.nodes() {
        // How rows are found and put together; a bitmap's index says enough.
        if !is_core(node) || node.kind == NodeKind::BitmapHeapScan {
            continue;
        }
        let label = node.label();
        let count = counts.entry(label.clone()).or_default();
        if *count == 0 {
            order.push(label);
        }
        *count += 1;
    }
    (order, counts)
}

/// The settings that govern the nodes of a plan.
fn governing(plan: &PlanGraph, version_num: u32) -> Vec<&'static str> {
    let mut found = Vec::new();
    for (_, node) in plan.nodes() {
        let names: &[&str] = match node.kind {
            NodeKind::SeqScan => &["enable_seqscan"],
            NodeKind::IndexScan => &["enable_indexscan"],
            // An index-only scan costs more too when index scans are off.
            NodeKind::IndexOnlyScan => &["enable_indexonlyscan", "enable_indexscan"],
            NodeKind::BitmapHeapScan | NodeKind::BitmapIndexScan => &["enable_bitmapscan"],
            NodeKind::TidScan | NodeKind::TidRangeScan => &["enable_tidscan"],
            NodeKind::NestedLoop => &["enable_nestloop"],
            NodeKind::HashJoin => &["enable_hashjoin"],
            NodeKind::MergeJoin => &["enable_mergejoin"],
            NodeKind::Sort => &["enable_sort"],
            NodeKind::IncrementalSort => &["enable_incremental_sort"],
            NodeKind::Materialize => &["enable_material"],
            NodeKind::Memoize if version_num >= 140_000 => &["enable_memoize"],
            NodeKind::Aggregate if node.text("Strategy") == Some("Hashed") => &["enable_hashagg"],
            NodeKind::Gather => &["max_parallel_workers_per_gather"],
            NodeKind::GatherMerge => &["max_parallel_workers_per_gather", "enable_gathermerge"],
            _ => &[],
        };
        for name in names {
            if !found.contains(name) {
                found.push(*name);
            }
        }
    }
    found
}

fn off(name: &'static str) -> (&'static str, &'static str) {
    if name.starts_with("max_") {
        (name, "0")
    } else {
        (name, "off")
    }
}

/// The scans and joins among the settings.
const SCANS_AND_JOINS: &[&str] = &[
    "enable_seqscan",
    "enable_indexscan",
    "enable_indexonlyscan",
    "enable_bitmapscan",
    "enable_nestloop",
    "enable_hashjoin",
    "enable_mergejoin",
];

/// The settings of scans of tables that `wanted` reads in another way than
/// `chosen`, whether `wanted` has such scans elsewhere or not.
fn other_scans(wanted: &PlanGraph, chosen: &PlanGraph) -> Vec<&'static str> {
    let scans = |plan: &PlanGraph| -> Vec<(Option<String>, &'static str)> {
        plan.nodes()
            .filter_map(|(_, node)| {
                let name = match node.kind {
                    NodeKind::SeqScan => "enable_seqscan",
                    NodeKind::IndexScan => "enable_indexscan",
                    NodeKind::BitmapHeapScan => "enable_bitmapscan",
                    _ => return None,
                };
                Some((node.relation.alias.clone(), name))
            })
            .collect()
    };
    let kept = scans(wanted);
    let mut found = Vec::new();
    for scan in scans(chosen) {
        if !kept.contains(&scan) && !found.contains(&scan.1) {
            found.push(scan.1);
        }
    }
    found
}

/// What the settings must be so that the planner comes to `wanted` instead of
/// `chosen`, the likeliest first.
pub fn steering(
    wanted: &PlanGraph,
    chosen: &PlanGraph,
    version_num: u32,
) -> Vec<Vec<(&'static str, &'static str)>> {
    let keep = governing(wanted, version_num);
    let first: Vec<_> = governing(chosen, version_num)
        .into_iter()
        .filter(|name| !keep.contains(name))
        .map(off)
        .collect();
    let mut second = first.clone();
    for name in SCANS_AND_JOINS {
        if !keep.contains(name) && !second.iter().any(|(known, _)| known == name) {
            second.push(off(name));
        }
    }
    // Last, a scan that is wanted elsewhere is switched off too: it is chosen
    // there all the same where there is no other way.
    let mut third = second.clone();
    for name in other_scans(wanted, chosen) {
        if !third.iter().any(|(known, _)| *known == name) {
            third.push(off(name));
        }
    }
    let mut attempts = Vec::new();
    for attempt in [first, second, third] {
        if !attempt.is_empty() && !attempts.contains(&attempt) {
            attempts.push(attempt);
        }
    }
    attempts
}

/// What a plan that was steered to costs, for values whose own plan costs
/// `own`: without the penalty that versions up to 17 add to the cost of each
/// node that is switched off and needed all the same. From 18 on such nodes
/// are counted apart from costs.
pub fn cost_without_penalty(plan: &PlanGraph, own: f64) -> Option<f64> {
    let cost = plan.total_cost()?;
    if cost < DISABLED || own >= DISABLED {
        return Some(cost);
    }
    let times = (cost / DISABLED).floor();
    let rest = cost - times * DISABLED;
    // No path is cheaper than the chosen one by more than the planner's own
    // fuzz; what is, was not a whole number of penalties.
    (times <= MOST_PENALTIES && rest >= own * 0.95 && rest < DISABLED / 100.0).then_some(rest)
}

/// The cost of the plan of shape `wanted` for a statement for which the
/// planner chooses another by itself; `None` where it cannot be brought to it.
pub fn forced_cost(
    planner: &mut dyn Planner,
    catalog: &Catalog,
    statement: Planned<'_>,
    wanted: &PlanGraph,
    chosen: &PlanGraph,
) -> Result<Option<f64>, PlanError> {
    let shape = Shape::of(wanted, catalog);
    let own = chosen.total_cost().unwrap_or(0.0);
    for settings in steering(wanted, chosen, catalog.version_num) {
        let plan = match planner.plan_with(statement, &settings) {
            Ok(plan) => plan,
            Err(error @ PlanError::Lost { .. }) => return Err(error),
            Err(_) => return Ok(None),
        };
        if let Some(cost) = cost_without_penalty(&plan, own)
            && Shape::of(&plan, catalog).same_core(&shape)
        {
            return Ok(Some(cost));
        }
    }
    Ok(None)
}
