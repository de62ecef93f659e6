//! Which node of one plan is which of the other.
//!
//! Nodes are paired by what they do, never by where they stand: passes from
//! the strictest likeness to the loosest, each over those that are left. A
//! pass groups the nodes by a key, so that the whole takes time in proportion
//! to the number of nodes.

use std::collections::{HashMap, VecDeque};

use super::tree::{Tree, family, hash};
use crate::plan::PlanEdge;

/// The pairs, by node index of each plan.
#[derive(Debug)]
pub(super) struct Alignment {
    pub(super) after_of: Vec<Option<usize>>,
    pub(super) before_of: Vec<Option<usize>>,
}

type Key = fn(&Tree<'_>, usize) -> Option<u64>;

/// From the strictest to the loosest.
const PASSES: &[Key] = &[
    |tree, at| Some(hash((whole(tree, at), tree.part(at), above(tree, at)))),
    |tree, at| Some(hash((whole(tree, at), tree.part(at)))),
    |tree, at| {
        let place = tree.place(at);
        Some(hash((
            &tree.node(at).type_name,
            mode(tree, at),
            place.set,
            &place.logical,
            &tree.node(at).relation.name,
            place.shape,
            tree.part(at),
        )))
    },
    |tree, at| does(tree, at).map(|does| hash((does, mode(tree, at), tree.part(at)))),
    |tree, at| does(tree, at).map(|does| hash((does, tree.part(at)))),
    |tree, at| does(tree, at).map(|does| hash((does, "any part"))),
    |tree, at| named(tree, at).map(|does| hash((does, tree.part(at)))),
    |tree, at| named(tree, at).map(|does| hash((does, "any part"))),
    |tree, at| called(tree, at).map(|does| hash((does, tree.part(at)))),
    |tree, at| grouping(tree, at).map(|does| hash((does, tree.part(at)))),
];

/// Everything that is not a number.
fn whole(tree: &Tree<'_>, at: usize) -> u64 {
    let (node, place) = (tree.node(at), tree.place(at));
    hash((
        &node.type_name,
        mode(tree, at),
        place.set,
        &node.relation.name,
        &node.relation.alias,
        &node.relation.index,
        &node.join_type,
        place.exact,
    ))
}

/// The node above and which input it is of it.
fn above(tree: &Tree<'_>, at: usize) -> u64 {
    let place = tree.place(at);
    match place.parent {
        Some(up) => hash((whole(tree, up), place.edge)),
        None => 0,
    }
}

fn mode<'a>(tree: &Tree<'a>, at: usize) -> Option<&'a str> {
    tree.node(at).text("Partial Mode")
}

/// The kind of work and what it is done on: a scan's relation, a join's and
/// any other node's set of relations.
fn does(tree: &Tree<'_>, at: usize) -> Option<u64> {
    let (node, place) = (tree.node(at), tree.place(at));
    let family = family(node);
    Some(match family {
        "scan" => hash((family, &node.relation.name, place.logical.as_ref()?)),
        _ => hash((
            family,
            place.set,
            &node.relation.name,
            &node.relation.alias,
            node.relation
                .index
                .as_ref()
                .filter(|_| place.logical.is_some()),
        )),
    })
}

/// The same by the relations' own names, for a query with other aliases.
fn named(tree: &Tree<'_>, at: usize) -> Option<u64> {
    let node = tree.node(at);
    let family = family(node);
    let own = node.relation.name.as_ref();
    Some(match family {
        "scan" => hash((family, own?)),
        _ => hash((family, tree.names(at), own)),
    })
}

/// By the alias alone, for partitions that were scanned one and another time
/// another, and for a table that was renamed.
fn called(tree: &Tree<'_>, at: usize) -> Option<u64> {
    let family = family(tree.node(at));
    (family == "scan").then(|| hash(tree.place(at).logical.as_ref()))
}

/// Ways to find distinct rows stand for one another.
fn grouping(tree: &Tree<'_>, at: usize) -> Option<u64> {
    matches!(family(tree.node(at)), "aggregate" | "Unique").then(|| hash(tree.place(at).set))
}

/// Aligns two plans.
pub(super) fn align(before: &Tree<'_>, after: &Tree<'_>) -> Alignment {
    let mut pairs = Alignment {
        after_of: vec![None; before.len()],
        before_of: vec![None; after.len()],
    };
    for key in PASSES {
        pairs.pass(before, after, *key);
    }
    pairs.below_pairs(before, after);
    pairs.above_pairs(before, after);
    pairs
}

impl Alignment {
    pub(super) fn after(&self, before: usize) -> Option<usize> {
        self.after_of.get(before).copied().flatten()
    }

    pub(super) fn before(&self, after: usize) -> Option<usize> {
        self.before_of.get(after).copied().flatten()
    }

    fn pair(&mut self, before: usize, after: usize) {
        if let (Some(to), Some(from)) =
            (self.after_of.get_mut(before), self.before_of.get_mut(after))
        {
            *to = Some(after);
            *from = Some(before);
        }
    }

    /// Pairs those with the same key; several of one key in the order of
    /// printing.
    fn pass(&mut self, before: &Tree<'_>, after: &Tree<'_>, key: Key) {
        let mut waiting: HashMap<u64, VecDeque<usize>> = HashMap::new();
        for at in 0..before.len() {
            if self.after(at).is_none()
                && let Some(key) = key(before, at)
            {
                waiting.entry(key).or_default().push_back(at);
            }
        }
        if waiting.is_empty() {
            return;
        }
        for at in 0..after.len() {
            if self.before(at).is_none()
                && let Some(key) = key(after, at)
                && let Some(found) = waiting.get_mut(&key).and_then(VecDeque::pop_front)
            {
                self.pair(found, at);
            }
        }
    }

    /// Inputs of a pair that hang in the same way and do the same kind of
    /// work.
    fn below_pairs(&mut self, before: &Tree<'_>, after: &Tree<'_>) {
        for at in 0..before.len() {
            let Some(other) = self.after(at) else {
                continue;
            };
            let key = |tree: &Tree<'_>, child: usize| {
                let place = tree.place(child);
                let family = family(tree.node(child)).to_owned();
                // Scans and joins of other relations are other scans and
                // joins.
                (family != "scan" && family != "join" && place.logical.is_none())
                    .then_some((place.edge, family))
            };
            let mut waiting: HashMap<(Option<PlanEdge>, String), VecDeque<usize>> = HashMap::new();
            for child in &before.place(at).children {
                if self.after(*child).is_none()
                    && let Some(key) = key(before, *child)
                {
                    waiting.entry(key).or_default().push_back(*child);
                }
            }
            if waiting.is_empty() {
                continue;
            }
            for child in &after.place(other).children {
                if self.before(*child).is_none()
                    && let Some(key) = key(after, *child)
                    && let Some(found) = waiting.get_mut(&key).and_then(VecDeque::pop_front)
                {
                    self.pair(found, *child);
                }
            }
        }
    }

    /// Nodes of the same kind of work directly above a pair.
    fn above_pairs(&mut self, before: &Tree<'_>, after: &Tree<'_>) {
        for at in (0..before.len()).rev() {
            let Some(other) = self.after(at) else {
                continue;
            };
            let (Some(up), Some(other_up)) = (before.place(at).parent, after.place(other).parent)
            else {
                continue;
            };
            if self.after(up).is_none()
                && self.before(other_up).is_none()
                && family(before.node(up)) == family(after.node(other_up))
                && family(before.node(up)) != "join"
            {
                self.pair(up, other_up);
            }
        }
    }
}
