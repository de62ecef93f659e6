//! A plan as it is aligned: for each node the relations below it, and the part
//! of the plan (main, CTE, subplan) that it belongs to.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hasher as _};

use super::condition;
use crate::plan::{ConditionRole, NodeId, NodeKind, PlanEdge, PlanGraph, PlanNode};

/// Names of relations that are kept to be shown.
const SHOWN: usize = 5;

/// What is compared of a node, by node index.
#[derive(Debug, Default, Clone)]
pub(super) struct Place {
    pub(super) parent: Option<usize>,
    pub(super) edge: Option<PlanEdge>,
    pub(super) children: Vec<usize>,
    pub(super) depth: usize,
    /// The node at the top of its part of the plan.
    part: usize,
    /// The relation that it reads, as the query calls it.
    pub(super) logical: Option<String>,
    /// The relations below it as the query calls them, as one number.
    pub(super) set: u64,
    /// The same by the relations' own names.
    names: u64,
    /// How many they are.
    pub(super) count: usize,
    /// The first of them.
    pub(super) first: Vec<String>,
    /// Its conditions and keys, with constants.
    pub(super) exact: u64,
    /// The same without.
    pub(super) shape: u64,
}

/// A plan, prepared.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    pub(super) plan: &'a PlanGraph,
    pub(super) places: Vec<Place>,
}

/// The same number for the same thing in every run.
pub(super) fn hash(thing: impl std::hash::Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    thing.hash(&mut hasher);
    hasher.finish()
}

impl<'a> Tree<'a> {
    /// Prepares a plan. Indices follow the order of printing, so that going
    /// backwards visits children before their parents.
    pub(super) fn of(plan: &'a PlanGraph) -> Self {
        let count = plan.graph.node_count();
        let mut tree = Self {
            plan,
            places: vec![Place::default(); count],
        };
        for index in 0..count {
            let id = NodeId::new(index);
            let parent = plan.parent(id);
            let up = parent.map(|(_, up)| up.index());
            let depth = up.map_or(0, |up| tree.place(up).depth + 1);
            let starts = matches!(
                parent,
                None | Some((PlanEdge::InitPlan | PlanEdge::SubPlan, _))
            );
            let part = match up {
                Some(up) if !starts => tree.place(up).part,
                _ => index,
            };
            let logical = tree.logical(index, up);
            let (exact, shape) = expressions(plan.node(id));
            if let Some(up) = up.and_then(|up| tree.places.get_mut(up)) {
                up.children.push(index);
            }
            if let Some(place) = tree.places.get_mut(index) {
                place.parent = up;
                place.edge = parent.map(|(edge, _)| edge);
                place.depth = depth;
                place.part = part;
                place.logical = logical;
                place.exact = exact;
                place.shape = shape;
            }
        }
        tree.unite_partitions();
        tree.gather_relations();
        tree
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn place(&self, index: usize) -> &Place {
        static EMPTY: std::sync::LazyLock<Place> = std::sync::LazyLock::new(Place::default);
        self.places.get(index).unwrap_or(&EMPTY)
    }

    pub(super) fn node(&self, index: usize) -> &'a PlanNode {
        self.plan.node(NodeId::new(index))
    }

    fn logical(&self, index: usize, up: Option<usize>) -> Option<String> {
        let node = self.node(index);
        match node.kind {
            // A bitmap's index scans read for the heap scan above them.
            NodeKind::BitmapIndexScan | NodeKind::BitmapAnd | NodeKind::BitmapOr => {
                return self.place(up?).logical.clone();
            }
            // What these stand above is counted, not they.
            NodeKind::ModifyTable | NodeKind::SubqueryScan => return None,
            _ => {}
        }
        let relation = &node.relation;
        relation
            .alias
            .clone()
            .or_else(|| relation.name.clone())
            .or_else(|| node.text("Relations").map(str::to_owned))
    }

    /// Partitions are one relation to the query: EXPLAIN calls them by its
    /// name with a number behind it.
    fn unite_partitions(&mut self) {
        let mut base: Vec<Option<usize>> = vec![None; self.len()];
        let mut found: BTreeMap<(usize, String), Vec<usize>> = BTreeMap::new();
        for index in 0..self.len() {
            let up = self.place(index).parent;
            let above = up.and_then(|up| base.get(up).copied().flatten());
            let is_append = matches!(
                self.node(index).kind,
                NodeKind::Append | NodeKind::MergeAppend
            );
            let outermost = above.or(is_append.then_some(index));
            if let Some(slot) = base.get_mut(index) {
                *slot = outermost;
            }
            let (Some(append), Some(logical)) = (above, &self.place(index).logical) else {
                continue;
            };
            if let Some(stem) = stem(logical) {
                found
                    .entry((append, stem.to_owned()))
                    .or_default()
                    .push(index);
            }
        }
        for ((_, stem), members) in found {
            if members.len() < 2 {
                continue;
            }
            for member in members {
                if let Some(place) = self.places.get_mut(member) {
                    place.logical = Some(stem.clone());
                }
            }
        }
    }

    /// Collects the relations below each node, the smaller set into the larger
    /// one.
    fn gather_relations(&mut self) {
        let mut sets: Vec<(BTreeSet<u64>, BTreeSet<u64>)> = vec![Default::default(); self.len()];
        for index in (0..self.len()).rev() {
            let (mut logical, mut names) = (BTreeSet::new(), BTreeSet::new());
            let mut first: Vec<String> = self.place(index).logical.iter().cloned().collect();
            for child in self.place(index).children.clone() {
                if matches!(
                    self.place(child).edge,
                    Some(PlanEdge::InitPlan | PlanEdge::SubPlan)
                ) {
                    continue;
                }
                let (below, named) = sets.get_mut(child).map(std::mem::take).unwrap_or_default();
                unite(&mut logical, below);
                unite(&mut names, named);
                for name in &self.place(child).first {
                    if first.len() < SHOWN && !first.contains(name) {
                        first.push(name.clone());
                    }
                }
            }
            if let Some(name) = &self.place(index).logical {
                logical.insert(hash(name));
                let own = self.node(index).relation.name.as_ref().unwrap_or(name);
                if !matches!(self.node(index).kind, NodeKind::BitmapIndexScan) {
                    names.insert(hash(own));
                }
            }
            let sum = |set: &BTreeSet<u64>| {
                set.iter()
                    .fold(0_u64, |sum, one| sum.wrapping_add(one.rotate_left(7) | 1))
            };
            // Sums of large sets are only taken where a node could be told
            // apart by them: where nothing was added, the child's is kept.
            let inherited = match self.place(index).children.as_slice() {
                [only] if self.place(index).logical.is_none() => {
                    let below = self.place(*only);
                    (below.count == logical.len()).then_some((below.set, below.names))
                }
                _ => None,
            };
            let (set, named) = inherited.unwrap_or_else(|| (sum(&logical), sum(&names)));
            let count = logical.len();
            if let Some(place) = self.places.get_mut(index) {
                place.set = set;
                place.names = named;
                place.count = count;
                place.first = first;
            }
            if let Some(slot) = sets.get_mut(index) {
                *slot = (logical, names);
            }
        }
    }

    /// By the relations' own names.
    pub(super) fn names(&self, index: usize) -> u64 {
        self.place(index).names
    }

    /// Which part of the plan the node is in: the same for the same CTE, and
    /// for subplans over the same relations.
    pub(super) fn part(&self, index: usize) -> u64 {
        let top = self.place(index).part;
        if top == 0 {
            return 0;
        }
        match self.node(top).cte_name() {
            Some(name) => hash(("cte", name)),
            None => hash(("subplan", self.place(top).set)),
        }
    }

    /// The relations below a node, in words.
    pub(super) fn relations(&self, index: usize) -> String {
        let place = self.place(index);
        let more = place.count.saturating_sub(place.first.len());
        let names = place.first.join(", ");
        match (place.first.is_empty(), more) {
            (true, _) => "no relation".to_owned(),
            (_, 0) => names,
            (_, more) => format!("{names} and {more} more"),
        }
    }

    /// The indexes that a node reads, a bitmap's among them.
    pub(super) fn indexes(&self, index: usize) -> Vec<String> {
        let node = self.node(index);
        if node.kind != NodeKind::BitmapHeapScan {
            return node.relation.index.iter().cloned().collect();
        }
        let mut found: Vec<String> = self
            .plan
            .bitmap_index_scans(NodeId::new(index))
            .into_iter()
            .filter_map(|id| self.plan.node(id).relation.index.clone())
            .collect();
        found.sort();
        found.dedup();
        found
    }
}

fn unite(into: &mut BTreeSet<u64>, mut other: BTreeSet<u64>) {
    if other.len() > into.len() {
        std::mem::swap(into, &mut other);
    }
    into.extend(other);
}

/// `orders` of `orders_12`.
fn stem(name: &str) -> Option<&str> {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let stem = stem
        .strip_suffix('_')
        .filter(|found| found.len() < name.len())?;
    (!stem.is_empty() && stem.len() + 1 < name.len()).then_some(stem)
}

/// What a node computes and tests, as numbers: with constants, and without.
fn expressions(node: &PlanNode) -> (u64, u64) {
    let mut exact = Vec::new();
    let mut shape = Vec::new();
    for condition in &node.conditions {
        // The recheck repeats the index scan's condition.
        if condition.role == ConditionRole::RecheckCond {
            continue;
        }
        let form = condition::form(&condition.text);
        exact.push(form.text);
        shape.push(form.shape);
    }
    for key in KEYS {
        for text in node.texts(key) {
            let form = condition::form(text);
            exact.push(form.text);
            shape.push(form.shape);
        }
    }
    (hash(&exact), hash(&shape))
}

/// Lists of expressions that make a node what it is.
pub(super) const KEYS: &[&str] = &["Sort Key", "Group Key"];

/// Node types that can stand for one another.
pub(super) fn family(node: &PlanNode) -> &str {
    match &node.kind {
        NodeKind::NestedLoop | NodeKind::MergeJoin | NodeKind::HashJoin => "join",
        NodeKind::Sort | NodeKind::IncrementalSort => "sort",
        NodeKind::Gather | NodeKind::GatherMerge => "gather",
        NodeKind::Append | NodeKind::MergeAppend => "append",
        NodeKind::Aggregate | NodeKind::Group => "aggregate",
        NodeKind::BitmapAnd | NodeKind::BitmapOr => "bitmap",
        kind if kind.reads_table() => "scan",
        NodeKind::CustomScan if node.relation.name.is_some() => "scan",
        _ => node.type_name.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use super::stem;

    #[test]
    fn a_partition_is_called_by_its_table() {
        assert_eq!(stem("orders_12"), Some("orders"));
        assert_eq!(stem("orders"), None);
        assert_eq!(stem("orders_"), None);
        assert_eq!(stem("_1"), None);
        assert_eq!(stem("orders12"), None);
    }
}
