//! What all pictures of a plan rest on: who hangs below whom, how heavy each
//! node is, and which of many like nodes are folded into one line.

use std::collections::HashMap;

use crate::report::format;
use crate::report::model::{Finding, Level, Plan, PlanNode, Statement};

/// From so many like inputs of one node on, most are folded.
const FOLD_FROM: usize = 8;
/// How many of them stay in sight.
const FOLD_KEEPS: usize = 3;
/// Shares from which a node is drawn warmer.
const HEAT: [f64; 4] = [0.02, 0.1, 0.25, 0.5];
/// From this factor on an estimate is worth a mark.
pub(super) const OFF: f64 = 10.0;

/// A plan made ready for drawing. Nodes are named by their position in the
/// list, from 0.
pub(super) struct Picture<'a> {
    pub(super) plan: &'a Plan,
    /// What the names of its places in the page begin with: `s1`.
    pub(super) prefix: &'a str,
    /// By node.
    pub(super) children: Vec<Vec<usize>>,
    /// By node.
    pub(super) depth: Vec<usize>,
    /// Times were measured; costs are shown if not.
    pub(super) timed: bool,
    /// Milliseconds or cost with everything below, as the sum of the own ones.
    pub(super) below: Vec<f64>,
    /// The findings at each node: their position, and the worst level.
    pub(super) findings: Vec<Vec<(usize, Level)>>,
    /// Hidden until their group is opened.
    pub(super) folded: Vec<bool>,
    /// The groups of like nodes.
    pub(super) groups: Vec<Group>,
    /// By node, the groups among its inputs.
    pub(super) groups_below: Vec<Vec<usize>>,
    /// The node that takes most.
    pub(super) hottest: usize,
    /// The most rows that a node gave.
    most_rows: f64,
}

/// Like inputs of one node, folded.
pub(super) struct Group {
    pub(super) members: Vec<usize>,
    /// Nodes in it, those below its members too.
    pub(super) nodes: usize,
    /// What they take together.
    pub(super) own: f64,
    /// Rows that the members gave together.
    pub(super) rows: Option<f64>,
}

/// What a node and everything below it looks like, names aside.
#[derive(PartialEq, Eq, Hash)]
struct Shape<'a> {
    kind: &'a str,
    has_role: bool,
    never_executed: bool,
    below: Vec<usize>,
}

impl<'a> Picture<'a> {
    pub(super) fn new(statement: &'a Statement, plan: &'a Plan, prefix: &'a str) -> Self {
        let count = plan.nodes.len();
        let mut children = vec![Vec::new(); count];
        let mut depth = vec![0; count];
        for (at, node) in plan.nodes.iter().enumerate() {
            // Parents come first, so that their depth is known.
            if let Some(parent) = parent_of(node)
                && parent < at
            {
                if let Some(list) = children.get_mut(parent) {
                    list.push(at);
                }
                let above = depth.get(parent).copied().unwrap_or(0);
                if let Some(own) = depth.get_mut(at) {
                    *own = above + 1;
                }
            }
        }
        let timed = plan.nodes.iter().any(|node| node.self_ms.is_some());
        let own: Vec<f64> = plan
            .nodes
            .iter()
            .map(|node| {
                let own = if timed { node.self_ms } else { node.self_cost };
                own.unwrap_or(0.0).max(0.0)
            })
            .collect();
        let mut below = own.clone();
        for (at, node) in plan.nodes.iter().enumerate().rev() {
            let weight = value(&below, at);
            if let Some(parent) = parent_of(node).filter(|parent| *parent < at)
                && let Some(sum) = below.get_mut(parent)
            {
                *sum += weight;
            }
        }
        let mut findings: Vec<Vec<(usize, Level)>> = vec![Vec::new(); count];
        for (number, finding) in statement.findings.iter().enumerate() {
            if let Some(list) = node_of(finding).and_then(|at| findings.get_mut(at)) {
                list.push((number, finding.level));
            }
        }
        let mut hottest = 0;
        let mut most = f64::NEG_INFINITY;
        for (at, own) in own.iter().enumerate() {
            if *own > most {
                (hottest, most) = (at, *own);
            }
        }
        let most_rows = plan.nodes.iter().filter_map(rows).fold(1.0, f64::max);
        let mut picture = Self {
            plan,
            prefix,
            children,
            depth,
            timed,
            below,
            findings,
            folded: vec![false; count],
            groups: Vec::new(),
            groups_below: vec![Vec::new(); count],
            hottest,
            most_rows,
        };
        picture.fold();
        picture
    }

    /// Finds like inputs, and folds those that take least and have nothing
    /// found at them.
    fn fold(&mut self) {
        let mut known: HashMap<Shape<'_>, usize> = HashMap::new();
        let mut shapes = vec![0; self.plan.nodes.len()];
        let mut sizes = vec![1_usize; self.plan.nodes.len()];
        let mut marked: Vec<bool> = self.findings.iter().map(|list| !list.is_empty()).collect();
        for (at, node) in self.plan.nodes.iter().enumerate().rev() {
            let below = self.below_of(at);
            let shape = Shape {
                kind: &node.details.kind,
                has_role: node.role.is_some(),
                never_executed: node.never_executed,
                below: below
                    .iter()
                    .map(|child| shapes.get(*child).copied().unwrap_or(0))
                    .collect(),
            };
            let size: usize = below
                .iter()
                .map(|child| sizes.get(*child).copied().unwrap_or(0))
                .sum();
            let is_marked = below
                .iter()
                .any(|child| marked.get(*child).copied().unwrap_or(false));
            let next = known.len() + 1;
            let number = *known.entry(shape).or_insert(next);
            if let Some(own) = shapes.get_mut(at) {
                *own = number;
            }
            if let Some(own) = sizes.get_mut(at) {
                *own += size;
            }
            if let Some(own) = marked.get_mut(at) {
                *own |= is_marked;
            }
        }
        for at in 0..self.plan.nodes.len() {
            let hidden = self
                .plan
                .nodes
                .get(at)
                .and_then(parent_of)
                .is_some_and(|parent| self.is_folded(parent));
            if hidden {
                self.hide(at);
                continue;
            }
            if self.is_folded(at) || self.below_of(at).len() < FOLD_FROM {
                continue;
            }
            self.fold_inputs(at, &shapes, &sizes, &marked);
        }
    }

    fn fold_inputs(&mut self, at: usize, shapes: &[usize], sizes: &[usize], marked: &[bool]) {
        let inputs = self.below_of(at).to_vec();
        // The groups in the order of their first member.
        let mut order: Vec<Vec<usize>> = Vec::new();
        let mut position: HashMap<usize, usize> = HashMap::new();
        for child in inputs {
            let shape = shapes.get(child).copied().unwrap_or(0);
            let place = *position.entry(shape).or_insert_with(|| {
                order.push(Vec::new());
                order.len() - 1
            });
            if let Some(list) = order.get_mut(place) {
                list.push(child);
            }
        }
        for mut like in order {
            if like.len() < FOLD_FROM {
                continue;
            }
            like.sort_by(|a, b| {
                let marks = |at: &usize| marked.get(*at).copied().unwrap_or(false);
                (marks(b).cmp(&marks(a)))
                    .then(value(&self.below, *b).total_cmp(&value(&self.below, *a)))
                    .then(a.cmp(b))
            });
            let mut members = like.split_off(FOLD_KEEPS);
            members.sort_unstable();
            let mut group = Group {
                nodes: 0,
                own: 0.0,
                rows: Some(0.0),
                members,
            };
            for member in &group.members {
                group.nodes += sizes.get(*member).copied().unwrap_or(1);
                group.own += value(&self.below, *member);
                group.rows = group
                    .rows
                    .zip(self.node(*member).and_then(rows))
                    .map(|(sum, rows)| sum + rows);
            }
            for member in group.members.clone() {
                self.hide(member);
            }
            let number = self.groups.len();
            if let Some(list) = self.groups_below.get_mut(at) {
                list.push(number);
            }
            self.groups.push(group);
        }
    }

    fn hide(&mut self, at: usize) {
        if let Some(mark) = self.folded.get_mut(at) {
            *mark = true;
        }
    }

    pub(super) fn is_folded(&self, at: usize) -> bool {
        self.folded.get(at).copied().unwrap_or(false)
    }

    pub(super) fn node(&self, at: usize) -> Option<&'a PlanNode> {
        self.plan.nodes.get(at)
    }

    pub(super) fn below_of(&self, at: usize) -> &[usize] {
        self.children.get(at).map_or(&[], Vec::as_slice)
    }

    pub(super) fn findings_at(&self, at: usize) -> &[(usize, Level)] {
        self.findings.get(at).map_or(&[], Vec::as_slice)
    }

    /// How warm a node is drawn, 0 to 4.
    pub(super) fn heat(&self, at: usize) -> usize {
        let share = self.node(at).map_or(0.0, |node| node.share);
        HEAT.iter().filter(|from| share >= **from).count()
    }

    /// How wide the stream of rows out of a node is drawn, 0 to 1: by the
    /// logarithm, as rows go from one to billions.
    pub(super) fn stream(&self, at: usize) -> f64 {
        let rows = self.node(at).and_then(rows).unwrap_or(0.0).max(0.0);
        (1.0 + rows).ln() / (1.0 + self.most_rows).ln()
    }

    /// The own time or cost, as it is shown.
    pub(super) fn own_text(&self, at: usize) -> String {
        self.node(at).map_or_else(String::new, |node| {
            if self.timed {
                node.self_ms.map_or_else(String::new, format::ms)
            } else {
                node.self_cost.map_or_else(String::new, format::cost)
            }
        })
    }

    /// That amount as it is shown.
    pub(super) fn amount(&self, amount: f64) -> String {
        if self.timed {
            format::ms(amount)
        } else {
            format!("cost {}", format::cost(amount))
        }
    }
}

/// Rows that a node gave over all executions, or is expected to give.
pub(super) fn rows(node: &PlanNode) -> Option<f64> {
    node.details
        .rows_total
        .or(node.rows_actual)
        .or(node.rows_estimated)
}

/// The position of the node above.
pub(super) fn parent_of(node: &PlanNode) -> Option<usize> {
    node.parent?.checked_sub(1)
}

/// The position of the node that a finding is about.
pub(super) fn node_of(finding: &Finding) -> Option<usize> {
    finding.node.as_ref()?.id.checked_sub(1)
}

fn value(list: &[f64], at: usize) -> f64 {
    list.get(at).copied().unwrap_or(0.0)
}

/// A node's label in two parts: what it does, and to what.
pub(super) fn split_label(node: &PlanNode) -> (&str, &str) {
    let label = node.label.as_str();
    let end = [" using ", " on "]
        .iter()
        .filter_map(|word| label.find(word))
        .min();
    match end.and_then(|end| label.split_at_checked(end)) {
        Some((kind, rest)) => (kind, rest.trim_start()),
        None => (label, ""),
    }
}

/// `12×↑` where an estimate is far off.
pub(super) fn off_text(node: &PlanNode) -> Option<String> {
    let error = node.estimate_error.filter(|error| *error >= OFF)?;
    let arrow = if node.underestimated { "↑" } else { "↓" };
    Some(format!("{}{arrow}", format::factor(error)))
}
