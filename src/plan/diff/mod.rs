//! Two plans of one query, from different times, servers, settings or
//! wordings: which node is which, what changed, what caused it, and whether it
//! is better.
//!
//! Nodes are aligned by what they do (relation, join sides, conditions), not
//! by where they stand. All is linear in the number of nodes, but for sorting.
//! Nothing here knows words: `report::diff` says it.

mod align;
mod cause;
mod changes;
mod condition;
mod facts;
mod tree;
mod verdict;

use super::metrics::{self, Metrics};
use super::{NodeId, PlanGraph};

pub use cause::{Cause, CauseKind, Fact, Generic, Quantity};
pub use changes::{Aspect, Change};
pub use facts::{NodeFacts, Totals, totals};
pub use verdict::{Measure, NotComparable, Outcome, Verdict, Warning};

/// What became of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It is there in both and does the same.
    Same,
    /// It is there in both and does it otherwise.
    Changed,
    /// It is no longer there.
    Gone,
    /// It was not there before.
    New,
}

/// A node of one plan, of the other, or of both.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The node before.
    pub before: Option<NodeId>,
    /// The node after.
    pub after: Option<NodeId>,
    /// How deep it is shown.
    pub depth: usize,
    /// What became of it.
    pub status: Status,
    /// What changed of what it does; numbers are no part of it.
    pub changes: Vec<Change>,
    /// Numbers before.
    pub facts_before: Option<NodeFacts>,
    /// Numbers after.
    pub facts_after: Option<NodeFacts>,
}

impl Line {
    /// By how much more time it takes, alone: negative where it takes less.
    pub fn self_ms_delta(&self) -> Option<f64> {
        let of = |facts: &Option<NodeFacts>| facts.as_ref().and_then(|facts| facts.self_ms);
        match (of(&self.facts_before), of(&self.facts_after)) {
            (None, None) => None,
            (before, after) => Some(after.unwrap_or_default() - before.unwrap_or_default()),
        }
    }
}

/// Where a difference in time lies: the parts sum up to the whole.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Account {
    /// Execution time after minus before, milliseconds.
    pub whole_ms: f64,
    /// Sum of the nodes' differences in self time.
    pub nodes_ms: f64,
    /// Triggers.
    pub triggers_ms: f64,
    /// Outside of the nodes: starting and ending the executor.
    pub outside_ms: f64,
    /// What rounding of the printed times leaves over.
    pub rounding_ms: f64,
}

/// How a comparison is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DiffOptions {
    /// Up to which share (0.2 for 20 %) a difference counts as none.
    pub tolerance: f64,
    /// What to judge by; the best that both plans have when not said.
    pub measure: Option<Measure>,
    /// Both were written in a format that prints every key, as TEXT does not.
    pub every_key: bool,
}

impl Default for DiffOptions {
    fn default() -> Self {
        Self {
            tolerance: 0.2,
            measure: None,
            every_key: true,
        }
    }
}

/// Two plans compared.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanDiff {
    /// The nodes of both, in the order of the plan after, those that are gone
    /// where they stood.
    pub lines: Vec<Line>,
    /// Nodes that do something else, came or went.
    pub changed: usize,
    /// Numbers of the whole before.
    pub before: Totals,
    /// Numbers of the whole after.
    pub after: Totals,
    /// Where the difference in time lies, when both were timed.
    pub account: Option<Account>,
    /// What caused it, the weightiest first.
    pub causes: Vec<Cause>,
    /// Whether it is better.
    pub verdict: Verdict,
}

/// Both plans with all that is derived of them.
struct Both<'a> {
    before: Side<'a>,
    after: Side<'a>,
    pairs: align::Alignment,
}

struct Side<'a> {
    tree: tree::Tree<'a>,
    metrics: Metrics,
}

impl<'a> Side<'a> {
    fn of(plan: &'a PlanGraph) -> Self {
        Self {
            tree: tree::Tree::of(plan),
            metrics: metrics::metrics(plan),
        }
    }
}

/// Compares two plans. `sql_changed` says whether the statements are known to
/// differ.
pub fn diff(
    before: &PlanGraph,
    after: &PlanGraph,
    sql_changed: Option<bool>,
    options: &DiffOptions,
) -> PlanDiff {
    let (before, after) = (Side::of(before), Side::of(after));
    let pairs = align::align(&before.tree, &after.tree);
    let both = Both {
        before,
        after,
        pairs,
    };
    let lines = both.lines();
    let changed = lines
        .iter()
        .filter(|line| line.status != Status::Same)
        .count();
    let totals_of = |side: &Side<'_>| totals(side.tree.plan, &side.metrics);
    let (before, after) = (totals_of(&both.before), totals_of(&both.after));
    let causes = cause::causes(&both, &lines, &before, &after, sql_changed, options);
    let verdict = verdict::verdict(&both, &before, &after, &causes, options);
    PlanDiff {
        account: account(&both, &before, &after),
        lines,
        changed,
        before,
        after,
        causes,
        verdict,
    }
}

impl Both<'_> {
    /// Lines in the order of the plan after; what is gone follows what stood
    /// before it.
    fn lines(&self) -> Vec<Line> {
        let (old, new) = (&self.before.tree, &self.after.tree);
        // By the node after that they follow; the first list follows none.
        let mut gone: Vec<Vec<usize>> = vec![Vec::new(); new.len() + 1];
        let mut anchor = 0;
        for at in 0..old.len() {
            match self.pairs.after(at) {
                Some(after) => anchor = after + 1,
                None => {
                    if let Some(list) = gone.get_mut(anchor) {
                        list.push(at);
                    }
                }
            }
        }
        // How deep a node of the plan before is shown.
        let mut depths = vec![0_usize; old.len()];
        for at in 0..old.len() {
            let depth = match (self.pairs.after(at), old.place(at).parent) {
                (Some(after), _) => new.place(after).depth,
                (None, Some(up)) => depths.get(up).map_or(0, |depth| depth + 1),
                (None, None) => 0,
            };
            if let Some(slot) = depths.get_mut(at) {
                *slot = depth;
            }
        }
        let mut lines = Vec::with_capacity(new.len());
        for (anchor, gone) in gone.iter().enumerate() {
            if let Some(at) = anchor.checked_sub(1) {
                lines.push(self.line(self.pairs.before(at), Some(at), new.place(at).depth));
            }
            for at in gone {
                let depth = depths.get(*at).copied().unwrap_or_default();
                lines.push(self.line(Some(*at), None, depth));
            }
        }
        lines
    }

    fn line(&self, before: Option<usize>, after: Option<usize>, depth: usize) -> Line {
        let changes = match (before, after) {
            (Some(before), Some(after)) => changes::changes(self, before, after),
            _ => Vec::new(),
        };
        let status = match (before, after) {
            (Some(_), Some(_)) if changes.is_empty() => Status::Same,
            (Some(_), Some(_)) => Status::Changed,
            (Some(_), None) => Status::Gone,
            (None, _) => Status::New,
        };
        let facts = |side: &Side<'_>, at: usize| facts::node(side.tree.plan, &side.metrics, at);
        Line {
            before: before.map(NodeId::new),
            after: after.map(NodeId::new),
            depth,
            status,
            changes,
            facts_before: before.map(|at| facts(&self.before, at)),
            facts_after: after.map(|at| facts(&self.after, at)),
        }
    }
}

/// Where the difference in time lies.
fn account(both: &Both<'_>, before: &Totals, after: &Totals) -> Option<Account> {
    let of = |side: &Side<'_>, totals: &Totals| {
        let nodes: f64 = side
            .metrics
            .nodes
            .iter()
            .filter_map(|node| node.self_ms)
            .sum();
        let below = side.metrics.total_ms?;
        let whole = totals.execution_ms.unwrap_or(below);
        let triggers = totals.trigger_ms.unwrap_or_default();
        Some((
            whole,
            nodes,
            triggers,
            whole - below - triggers,
            below - nodes,
        ))
    };
    let (old, new) = (of(&both.before, before)?, of(&both.after, after)?);
    // One printed an execution time and the other did not: the time of the
    // nodes is all that can be compared.
    let alike = before.execution_ms.is_some() == after.execution_ms.is_some();
    alike.then_some(Account {
        whole_ms: new.0 - old.0,
        nodes_ms: new.1 - old.1,
        triggers_ms: new.2 - old.2,
        outside_ms: new.3 - old.3,
        rounding_ms: new.4 - old.4,
    })
}

#[cfg(test)]
mod tests;
