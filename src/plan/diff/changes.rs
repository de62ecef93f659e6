//! What a node does otherwise than the one that it is paired with.

use super::Both;
use super::condition;
use super::tree::{KEYS, family};
use crate::plan::{ConditionRole, NodeKind, PlanEdge};

/// What of a node changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aspect {
    /// The kind of node: how a table is read, how two inputs are joined.
    Method,
    /// The relation, where the same alias now stands for another.
    Relation,
    /// The indexes that are read.
    Index,
    /// `Inner`, `Left`, `Semi`, …
    JoinType,
    /// The same two inputs with their sides exchanged.
    Sides,
    /// Other inputs over the same relations.
    JoinOrder,
    /// A condition.
    Condition(ConditionRole),
    /// The constants or parameters of a condition.
    Constants(ConditionRole),
    /// `Sort Key` or `Group Key`.
    Key,
    /// How it aggregates: `Sorted`, `Hashed`, `Plain`, `Mixed`.
    Strategy,
    /// `Partial Mode`.
    PartialMode,
    /// Whether workers share its work.
    Parallel,
    /// Workers planned.
    WorkersPlanned,
    /// What its name says, where EXPLAIN calls it otherwise.
    Alias,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What changed.
    pub aspect: Aspect,
    /// What it was.
    pub before: Option<String>,
    /// What it is.
    pub after: Option<String>,
}

/// What changed between the two of a pair, the weightiest first.
pub(super) fn changes(both: &Both<'_>, before: usize, after: usize) -> Vec<Change> {
    let (old_tree, new_tree) = (&both.before.tree, &both.after.tree);
    let (old, new) = (old_tree.node(before), new_tree.node(after));
    let mut found = Vec::new();
    let mut compare = |aspect: Aspect, was: Option<String>, is: Option<String>| {
        if was != is {
            found.push(Change {
                aspect,
                before: was,
                after: is,
            });
        }
    };
    compare(
        Aspect::Method,
        Some(old.type_name.clone()),
        Some(new.type_name.clone()),
    );
    compare(
        Aspect::Relation,
        old.relation.name.clone(),
        new.relation.name.clone(),
    );
    let indexes = |names: Vec<String>| (!names.is_empty()).then(|| names.join(", "));
    if old.kind.reads_table() || old.kind == NodeKind::BitmapIndexScan {
        compare(
            Aspect::Index,
            indexes(old_tree.indexes(before)),
            indexes(new_tree.indexes(after)),
        );
    }
    compare(
        Aspect::JoinType,
        old.join_type.clone(),
        new.join_type.clone(),
    );
    for (aspect, key) in [
        (Aspect::Strategy, "Strategy"),
        (Aspect::PartialMode, "Partial Mode"),
    ] {
        let of = |node: &crate::plan::PlanNode| node.text(key).map(str::to_owned);
        compare(aspect, of(old), of(new));
    }
    let parallel = |aware: bool| Some(if aware { "shared by workers" } else { "alone" }.to_owned());
    compare(
        Aspect::Parallel,
        parallel(old.parallel_aware),
        parallel(new.parallel_aware),
    );
    let workers = |number: Option<f64>| number.map(|number| number.to_string());
    compare(
        Aspect::WorkersPlanned,
        workers(old.workers_planned),
        workers(new.workers_planned),
    );
    // An alias counts where the query gave it, not where partitions are
    // numbered.
    if old.relation.name == new.relation.name
        && old_tree.place(before).logical != new_tree.place(after).logical
    {
        compare(
            Aspect::Alias,
            old_tree.place(before).logical.clone(),
            new_tree.place(after).logical.clone(),
        );
    }
    if family(old) == "join" {
        found.extend(inputs(both, before, after));
    }
    conditions(both, before, after, &mut found);
    keys(both, before, after, &mut found);
    found.sort_by_key(|change| change.aspect);
    found
}

/// Other inputs of a join over the same relations.
fn inputs(both: &Both<'_>, before: usize, after: usize) -> Option<Change> {
    let (old, new) = (&both.before.tree, &both.after.tree);
    let side = |tree: &super::tree::Tree<'_>, at: usize, edge: PlanEdge| {
        tree.place(at)
            .children
            .iter()
            .copied()
            .find(|child| tree.place(*child).edge == Some(edge))
    };
    let (old_outer, old_inner) = (
        side(old, before, PlanEdge::Outer)?,
        side(old, before, PlanEdge::Inner)?,
    );
    let (new_outer, new_inner) = (
        side(new, after, PlanEdge::Outer)?,
        side(new, after, PlanEdge::Inner)?,
    );
    let same = |was: usize, is: usize| old.place(was).set == new.place(is).set;
    let aspect = if same(old_outer, new_outer) && same(old_inner, new_inner) {
        return None;
    } else if same(old_outer, new_inner) && same(old_inner, new_outer) {
        Aspect::Sides
    } else {
        Aspect::JoinOrder
    };
    let words = |tree: &super::tree::Tree<'_>, outer: usize, inner: usize| {
        let part = |at: usize| {
            let names = tree.relations(at);
            if tree.place(at).count > 1 {
                format!("({names})")
            } else {
                names
            }
        };
        format!("{} with {}", part(outer), part(inner))
    };
    Some(Change {
        aspect,
        before: Some(words(old, old_outer, old_inner)),
        after: Some(words(new, new_outer, new_inner)),
    })
}

/// Roles in the order in which they are told.
const ROLES: &[ConditionRole] = &[
    ConditionRole::IndexCond,
    ConditionRole::HashCond,
    ConditionRole::MergeCond,
    ConditionRole::JoinFilter,
    ConditionRole::Filter,
    ConditionRole::OrderBy,
    ConditionRole::TidCond,
    ConditionRole::OneTimeFilter,
    ConditionRole::ConflictFilter,
    ConditionRole::RunCondition,
];

fn conditions(both: &Both<'_>, before: usize, after: usize, found: &mut Vec<Change>) {
    let (old, new) = (both.before.tree.node(before), both.after.tree.node(after));
    if old.conditions == new.conditions {
        return;
    }
    for role in ROLES {
        let (was, is) = (old.condition(*role), new.condition(*role));
        let forms = (was.map(condition::form), is.map(condition::form));
        let aspect = match &forms {
            (Some(was), Some(is)) if was.text == is.text => continue,
            (None, None) => continue,
            (Some(was), Some(is)) if was.shape == is.shape => Aspect::Constants(*role),
            _ => Aspect::Condition(*role),
        };
        found.push(Change {
            aspect,
            before: was.map(str::to_owned),
            after: is.map(str::to_owned),
        });
    }
}

fn keys(both: &Both<'_>, before: usize, after: usize, found: &mut Vec<Change>) {
    let (old, new) = (both.before.tree.node(before), both.after.tree.node(after));
    for key in KEYS {
        let (was, is) = (old.texts(key), new.texts(key));
        let form = |texts: &[&str]| -> Vec<String> {
            texts
                .iter()
                .map(|text| condition::form(text).text)
                .collect()
        };
        if was != is && form(&was) != form(&is) {
            found.push(Change {
                aspect: Aspect::Key,
                before: (!was.is_empty()).then(|| was.join(", ")),
                after: (!is.is_empty()).then(|| is.join(", ")),
            });
        }
    }
}
