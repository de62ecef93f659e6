//! Where each InitPlan ran.
//!
//! InitPlans and CTEs hang at the top of their query level but run when first
//! needed, inside of the node that needs them (`ExecSetParamPlan` in
//! `nodeSubplan.c`, `CteScanNext` in `nodeCtescan.c`), and every node from
//! there up has them in its numbers. Which node it was is not printed: the
//! candidates are the readers of a CTE and the nodes that name a result, in
//! the order of execution; the times tell between them.

use std::collections::{HashMap, HashSet};

use super::shape::{Shape, at, set};
use crate::plan::{NodeKind, PlanEdge, PlanNode};

/// The nodes in which an InitPlan ran.
#[derive(Debug)]
pub(super) struct Charge {
    pub(super) init_plan: usize,
    /// Each with the milliseconds of it that it is charged with.
    pub(super) parts: Vec<(usize, f64)>,
    /// Milliseconds after the root had ended.
    pub(super) afterwards: f64,
    /// Other nodes in which some of it may have run, the likeliest first.
    pub(super) others: Vec<usize>,
    /// More than one node could have run it, as far as times tell.
    pub(super) ambiguous: bool,
}

/// How many nodes are thought of beside the candidates.
const OTHERS: usize = 256;

/// The times from which places are told.
pub(super) struct Known<'a> {
    /// With everything below.
    pub(super) total: &'a [f64],
    /// How far off rounding may have put each total.
    pub(super) slack: &'a [f64],
    pub(super) timed: bool,
}

/// Finds for each InitPlan the node in which it ran.
pub(super) fn charges(shape: &Shape<'_>, known: &Known<'_>) -> Vec<Charge> {
    let init_plans: Vec<usize> = (0..shape.len())
        .filter(|index| shape.edge(*index) == Some(PlanEdge::InitPlan))
        .collect();
    if init_plans.is_empty() {
        return Vec::new();
    }
    let rank = execution_rank(shape);
    let mut users = users(shape, &init_plans);
    let mut places = Places {
        shape,
        known,
        own: Vec::with_capacity(shape.len()),
        own_slack: Vec::with_capacity(shape.len()),
    };
    for index in 0..shape.len() {
        let mut own = at(known.total, index);
        let mut slack = at(known.slack, index);
        for input in shape.inputs(index) {
            own -= at(known.total, input);
            slack += at(known.slack, input);
        }
        places.own.push(own);
        places.own_slack.push(slack);
    }
    let mut charges = Vec::new();
    for init_plan in init_plans {
        if shape.loops(init_plan) <= 0.0 {
            continue;
        }
        let mut candidates = users.remove(&init_plan).unwrap_or_default();
        candidates.sort_by_key(|user| at(&rank, *user));
        candidates.dedup();
        charges.push(places.place(init_plan, &candidates));
    }
    charges
}

/// Whether it is a CTE, which is computed as its readers ask for rows.
fn is_read(shape: &Shape<'_>, init_plan: usize) -> bool {
    shape
        .node(init_plan)
        .is_some_and(|node| node.cte_name().is_some())
}

struct Places<'a, 'b> {
    shape: &'a Shape<'b>,
    known: &'a Known<'a>,
    /// Milliseconds that no input and no InitPlan placed so far accounts for.
    own: Vec<f64>,
    own_slack: Vec<f64>,
}

impl Places<'_, '_> {
    /// Charges the first node in the order of execution that has enough time
    /// of its own; failing that, those that have most.
    fn place(&mut self, init_plan: usize, candidates: &[usize]) -> Charge {
        let shape = self.shape;
        let finished_afterwards = shape.kind(init_plan) == Some(&NodeKind::ModifyTable);
        let others = self.others(init_plan, candidates, finished_afterwards);
        let left = at(self.known.total, init_plan);
        let mut charge = Charge {
            init_plan,
            parts: Vec::new(),
            afterwards: 0.0,
            others: candidates.iter().chain(&others).copied().collect(),
            ambiguous: false,
        };
        if !self.known.timed {
            return charge;
        }
        let narrow = at(self.known.slack, init_plan);
        let enough =
            |user: usize, slack: &[f64]| at(&self.own, user) + at(slack, user) + narrow >= left;
        let fitting = candidates
            .iter()
            .filter(|user| enough(**user, self.known.slack))
            .count();
        charge.ambiguous = fitting > 1;
        // All that is read of a CTE is computed inside of its readers.
        let elsewhere = if is_read(shape, init_plan) {
            &[]
        } else {
            others.as_slice()
        };
        let found = [
            (candidates, self.known.slack),
            (candidates, self.own_slack.as_slice()),
            (elsewhere, self.known.slack),
        ]
        .into_iter()
        .find_map(|(places, slack)| places.iter().copied().find(|user| enough(*user, slack)));
        if let Some(user) = found {
            self.charge(&mut charge, user, left);
        } else {
            self.split(&mut charge, candidates.len(), left, finished_afterwards);
        }
        charge
    }

    /// Where else it may have run, the likeliest first: a node's expressions
    /// are computed by the node above when that starts it over, and what an
    /// InitPlan does when the statement is shut down counts where it hangs.
    /// An InitPlan that no printed expression names (a LIMIT's count, a target
    /// list without VERBOSE) ran somewhere from where it hangs down along the
    /// inputs that took longest. One that changes data may not have run inside
    /// of any node.
    fn others(
        &self,
        init_plan: usize,
        candidates: &[usize],
        finished_afterwards: bool,
    ) -> Vec<usize> {
        let shape = self.shape;
        if finished_afterwards {
            return Vec::new();
        }
        let mut seen: HashSet<usize> = candidates.iter().copied().collect();
        let mut others = Vec::new();
        // A way through a plan of thousands of levels is not walked for each
        // of thousands of InitPlans.
        let mut add = |index: usize| {
            let new = others.len() < OTHERS && seen.insert(index);
            if new {
                others.push(index);
            }
            new
        };
        let owner = shape.parent(init_plan);
        let above = std::iter::successors(owner, |index| shape.parent(*index));
        if is_read(shape, init_plan) {
            for index in above.take(OTHERS) {
                add(index);
            }
            return others;
        }
        for user in candidates {
            let mut above = shape.parent(*user);
            // Never past a node that is there already: all are visited once.
            while let Some(index) = above
                && add(index)
                && Some(index) != owner
            {
                above = shape.parent(index);
            }
        }
        let below = std::iter::successors(owner, |index| {
            shape
                .inputs(*index)
                .max_by(|a, b| at(self.known.total, *a).total_cmp(&at(self.known.total, *b)))
        });
        for index in below.take(OTHERS).chain(above.skip(1).take(OTHERS)) {
            add(index);
        }
        others
    }

    /// Readers of a CTE take turns: a hash join fetches one row of its outer
    /// side before it builds the hash table from its inner side.
    /// What they have no room for ran elsewhere.
    fn split(
        &mut self,
        charge: &mut Charge,
        candidates: usize,
        mut left: f64,
        finished_afterwards: bool,
    ) {
        let mut places = charge.others.clone();
        if let Some(candidates) = places.get_mut(..candidates) {
            candidates.sort_by(|a, b| at(&self.own, *b).total_cmp(&at(&self.own, *a)));
        }
        for user in places {
            let part = at(&self.own, user).clamp(0.0, left);
            if part > 0.0 {
                self.charge(charge, user, part);
                left -= part;
            }
        }
        if finished_afterwards {
            charge.afterwards = left;
        } else if charge.parts.is_empty()
            && let Some(user) = charge.others.first().copied()
        {
            self.charge(charge, user, left);
        }
    }

    fn charge(&mut self, charge: &mut Charge, user: usize, ms: f64) {
        let left = at(&self.own, user) - ms;
        set(&mut self.own, user, left);
        charge.parts.push((user, ms));
    }
}

/// By node index, its place in the order in which nodes finish their first
/// row: inputs before the node, the build side of a hash join before its probe
/// side.
fn execution_rank(shape: &Shape<'_>) -> Vec<usize> {
    let mut rank = vec![0; shape.len()];
    let mut next = 0;
    let mut open = vec![(0, false)];
    while let Some((index, done)) = open.pop() {
        if done {
            set(&mut rank, index, next);
            next += 1;
            continue;
        }
        open.push((index, true));
        let from = open.len();
        open.extend(shape.children(index).map(|child| (child, false)));
        // The last one pushed is visited first.
        let build_side_first = shape.kind(index) == Some(&NodeKind::HashJoin);
        if let Some(children) = open.get_mut(from..) {
            children.sort_by_key(|(child, _)| {
                let edge = shape.edge(*child);
                let late = usize::from(build_side_first && edge == Some(PlanEdge::Outer));
                (std::cmp::Reverse(late), std::cmp::Reverse(*child))
            });
        }
    }
    rank
}

/// For each InitPlan, the nodes in which it may have run: the readers of a
/// CTE, else the nodes that name its result.
fn users(shape: &Shape<'_>, init_plans: &[usize]) -> HashMap<usize, Vec<usize>> {
    let mut users: HashMap<usize, Vec<usize>> = HashMap::new();
    // The names by which an expression calls a result: `$0` up to version 16,
    // `InitPlan 1` since.
    let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
    for init_plan in init_plans {
        let Some(name) = shape
            .node(*init_plan)
            .and_then(|node| node.subplan_name.as_deref())
        else {
            continue;
        };
        let (plain, results) = name.split_once(" (returns ").unwrap_or((name, ""));
        for alias in results
            .trim_end_matches(')')
            .split(',')
            .map(str::trim)
            .chain([plain])
            .filter(|alias| !alias.is_empty() && !alias.starts_with("CTE "))
        {
            by_name
                .entry(alias.to_owned())
                .or_default()
                .push(*init_plan);
        }
    }
    for (index, node) in shape.nodes.iter().enumerate() {
        if shape.loops(index) <= 0.0 {
            continue;
        }
        if node.kind == NodeKind::CteScan
            && let Some(cte) = shape.reads(index)
        {
            users.entry(cte).or_default().push(index);
        }
        if by_name.is_empty() {
            continue;
        }
        for_each_text(node, &mut |text| {
            for name in references(text) {
                for init_plan in by_name.get(name).into_iter().flatten() {
                    if let Some(user) = computes(shape, *init_plan, index) {
                        users.entry(*init_plan).or_default().push(user);
                    }
                }
            }
        });
    }
    users
}

/// The node that computes an InitPlan for one that names it: itself, or the
/// outermost Gather between. `None` outside of the InitPlan's scope.
fn computes(shape: &Shape<'_>, init_plan: usize, named_by: usize) -> Option<usize> {
    let owner = shape.parent(init_plan)?;
    if !shape.is_within(named_by, owner) || shape.is_within(named_by, init_plan) {
        return None;
    }
    let mut user = named_by;
    while let Some(gather) = shape.gather(user) {
        if !shape.is_within(gather, owner) {
            break;
        }
        user = gather;
    }
    Some(user)
}

/// The expressions of a node.
fn for_each_text(node: &PlanNode, found: &mut dyn FnMut(&str)) {
    for condition in &node.conditions {
        found(&condition.text);
    }
    for value in node.extra.values() {
        if let Some(text) = value.as_str() {
            found(text);
        }
        for text in value.as_array().into_iter().flatten() {
            if let Some(text) = text.as_str() {
                found(text);
            }
        }
    }
}

/// `$0` and `InitPlan 1` as they occur in an expression. What stands in a
/// string literal is found too; that it is no reference shows in the times.
fn references(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices(['$', 'I']).filter_map(|(start, _)| {
        let rest = text.get(start..)?;
        let prefix = if rest.starts_with('$') {
            1
        } else if rest.starts_with("InitPlan ") {
            "InitPlan ".len()
        } else {
            return None;
        };
        let digits = rest
            .get(prefix..)?
            .bytes()
            .take_while(u8::is_ascii_digit)
            .count();
        (digits > 0).then(|| rest.get(..prefix + digits)).flatten()
    })
}
