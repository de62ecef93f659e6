//! Wall-clock time of each node alone.
//!
//! EXPLAIN prints a node's time per loop, with everything below it, and sums
//! loops and times over all processes (`InstrAggNode` in
//! `src/backend/executor/instrument.c`). From that:
//!
//! - **Total.** time per loop × loops × share. The share is 1 outside of a
//!   Gather. Below one it is 1 / processes, where the processes are those that
//!   really ran its input: that input's loops over the Gather's loops. It
//!   counts the leader if it took part, and no worker that never got to run.
//!   The bitmap of a parallel Bitmap Heap Scan is built by one process while
//!   the others wait: its time is not shared, unless they came too late to wait.
//! - **Alone.** the total, less the totals of all children but InitPlans, less
//!   the InitPlans that ran inside of it.
//! - **InitPlans and CTEs** hang at the top of their query level but run when
//!   first needed, inside of the node that needs them (`ExecSetParamPlan`,
//!   `CteScanNext`); every node from there up has their time in its total.
//!   Taking it from the total of that one node takes it from each exactly once.
//!   A node below a Gather does not compute them: the Gather does before it
//!   starts the workers (`Params Evaluated`).
//! - **Data-modifying CTEs** that nobody reads to the end are finished after
//!   the root (`ExecPostprocessPlan`): their time is outside of the root's and
//!   added to the whole.
//!
//! Children that together took longer than their parent by more than rounding
//! explains (processes that ran at different times) are scaled down to it.

use std::collections::HashMap;

use super::shape::{Shape, at, set};
use crate::plan::{NodeKind, PlanEdge, PlanNode};

/// Times are printed to the microsecond: each may be off by half of one.
pub(super) const HALF_STEP_MS: f64 = 0.0005;

/// Wall-clock milliseconds by node index.
pub(super) struct Times {
    /// With everything below.
    pub(super) total: Vec<f64>,
    /// Alone.
    pub(super) own: Vec<f64>,
    /// Of the whole execution.
    pub(super) whole: f64,
}

/// The nodes in which an InitPlan ran: those that are charged with its time,
/// then those that may have run some of it.
#[derive(Debug)]
pub(super) struct Charge {
    pub(super) init_plan: usize,
    pub(super) users: Vec<usize>,
}

/// The times, if the plan was timed, and where its InitPlans ran.
pub(super) fn times(shape: &Shape<'_>) -> (Option<Times>, Vec<Charge>) {
    let timed = shape
        .node(0)
        .and_then(|node| node.actual)
        .is_some_and(|actual| actual.total_ms_per_loop.is_some());
    let Walls { total, slack } = walls(shape);
    let mut own: Vec<f64> = (0..shape.len())
        .map(|index| {
            let inputs: f64 = shape.inputs(index).map(|child| at(&total, child)).sum();
            at(&total, index) - inputs
        })
        .collect();
    let mut places = Places {
        shape,
        total: &total,
        slack: &slack,
        own: &mut own,
        timed,
        outside: 0.0,
        charges: Vec::new(),
    };
    places.place_all();
    let (outside, charges) = (places.outside, places.charges);
    let times = timed.then(|| {
        for time in &mut own {
            *time = time.max(0.0);
        }
        let whole = at(&total, 0) + outside;
        Times { total, own, whole }
    });
    (times, charges)
}

struct Walls {
    total: Vec<f64>,
    /// How far off rounding may have put each total.
    slack: Vec<f64>,
}

/// Total times, parents first.
fn walls(shape: &Shape<'_>) -> Walls {
    let count = shape.len();
    let printed = |index: usize| {
        shape
            .node(index)
            .and_then(|node| node.actual)
            .map_or(0.0, |actual| {
                actual.total_ms_per_loop.unwrap_or_default() * actual.loops
            })
    };
    let mut share = vec![1.0; count];
    for index in 0..count {
        let own_share = at(&share, index);
        let loops = shape.loops(index);
        let total = printed(index) * own_share;
        let mut inputs = 0.0;
        let mut slack = HALF_STEP_MS * loops * own_share;
        for child in shape.children(index) {
            let child_loops = shape.loops(child);
            let child_share = own_share
                * share_below(shape, index, child)
                * bitmap_share(shape, index, child, total, own_share * printed(child));
            set(&mut share, child, child_share);
            if shape.edge(child) != Some(PlanEdge::InitPlan) {
                inputs += printed(child) * child_share;
                slack += HALF_STEP_MS * child_loops * child_share;
            }
        }
        if inputs > total + slack {
            let fit = total / inputs;
            for child in shape.inputs(index) {
                let fitted = at(&share, child) * fit;
                set(&mut share, child, fitted);
            }
        }
    }
    Walls {
        total: (0..count)
            .map(|index| printed(index) * at(&share, index))
            .collect(),
        slack: (0..count)
            .map(|index| HALF_STEP_MS * shape.loops(index) * at(&share, index))
            .collect(),
    }
}

/// What a child's share is of its parent's: below a Gather, one in as many
/// processes as ran per execution of the Gather.
fn share_below(shape: &Shape<'_>, parent: usize, child: usize) -> f64 {
    let (loops, below) = (shape.loops(parent), shape.loops(child));
    if shape.gather(child) == Some(parent) && shape.gather(parent).is_none() && below > 0.0 {
        (loops / below).min(1.0)
    } else {
        1.0
    }
}

/// By how much more a parallel bitmap's time counts than an equal share of it.
/// All processes waited for the one that built it if each had that time; a
/// parent with less has processes that came later.
fn bitmap_share(
    shape: &Shape<'_>,
    parent: usize,
    child: usize,
    parent_ms: f64,
    shared_ms: f64,
) -> f64 {
    let is_parallel_bitmap = shape.gather(parent).is_some()
        && shape
            .node(parent)
            .is_some_and(|node| node.kind == NodeKind::BitmapHeapScan && node.parallel_aware)
        && shape.edge(child) == Some(PlanEdge::Outer);
    let (loops, below) = (shape.loops(parent), shape.loops(child));
    if !is_parallel_bitmap || below <= 0.0 {
        return 1.0;
    }
    let processes = (loops / below).max(1.0);
    if shared_ms * processes <= parent_ms {
        processes
    } else {
        1.0
    }
}

/// Finds for each InitPlan the node in which it ran.
struct Places<'a, 'b> {
    shape: &'a Shape<'b>,
    total: &'a [f64],
    slack: &'a [f64],
    own: &'a mut [f64],
    timed: bool,
    outside: f64,
    charges: Vec<Charge>,
}

impl Places<'_, '_> {
    fn place_all(&mut self) {
        let shape = self.shape;
        let init_plans: Vec<usize> = (0..shape.len())
            .filter(|index| shape.edge(*index) == Some(PlanEdge::InitPlan))
            .collect();
        if init_plans.is_empty() {
            return;
        }
        let rank = execution_rank(shape);
        let mut users = users(shape, &init_plans);
        for init_plan in init_plans {
            if shape.loops(init_plan) <= 0.0 {
                continue;
            }
            let mut candidates = users.remove(&init_plan).unwrap_or_default();
            candidates.sort_by_key(|user| at(&rank, *user));
            self.place(init_plan, &candidates);
        }
    }

    /// Charges the first node in the order of execution that has enough time
    /// of its own; failing that, those that have most.
    fn place(&mut self, init_plan: usize, candidates: &[usize]) {
        let shape = self.shape;
        let mut left = at(self.total, init_plan);
        let finished_afterwards = shape.kind(init_plan) == Some(&NodeKind::ModifyTable);
        if !self.timed {
            // Without times the first that needs it is the best guess; what
            // nobody reads is charged to nobody.
            let user = candidates.first().copied().or_else(|| {
                if finished_afterwards {
                    None
                } else {
                    shape.parent(init_plan)
                }
            });
            let users = user.into_iter().chain(candidates.iter().copied());
            self.charges.push(Charge {
                init_plan,
                users: users.collect(),
            });
            return;
        }
        let mut places = candidates.to_vec();
        if !finished_afterwards {
            places.extend(self.likely_path(init_plan));
        }
        let enough = |places: &Self, user: usize| {
            at(places.own, user) + at(places.slack, user) + at(places.slack, init_plan) >= left
        };
        if let Some(user) = places.iter().copied().find(|user| enough(self, *user)) {
            self.charge(user, left);
            let others = candidates.iter().copied().filter(|other| *other != user);
            self.charges.push(Charge {
                init_plan,
                users: std::iter::once(user).chain(others).collect(),
            });
            return;
        }
        // Readers of a CTE take turns: a hash join fetches one row of its outer
        // side before it builds the hash table from its inner side.
        let first = places.first().copied();
        places.sort_by(|a, b| at(self.own, *b).total_cmp(&at(self.own, *a)));
        for user in &places {
            let part = at(self.own, *user).clamp(0.0, left);
            if part > 0.0 {
                self.charge(*user, part);
                left -= part;
            }
        }
        if finished_afterwards {
            self.outside += left;
        } else if let Some(user) = first
            && left > 0.0
        {
            self.charge(user, left);
        }
        self.charges.push(Charge {
            init_plan,
            users: places,
        });
    }

    fn charge(&mut self, user: usize, ms: f64) {
        let left = at(self.own, user) - ms;
        set(self.own, user, left);
    }

    /// Where an InitPlan that no printed expression names (a LIMIT's count, a
    /// target list without VERBOSE) may have run: from where it hangs down
    /// along the inputs that took longest.
    fn likely_path(&self, init_plan: usize) -> Vec<usize> {
        let shape = self.shape;
        std::iter::successors(shape.parent(init_plan), |index| {
            shape
                .inputs(*index)
                .max_by(|a, b| at(self.total, *a).total_cmp(&at(self.total, *b)))
        })
        .collect()
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
