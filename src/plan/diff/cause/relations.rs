//! Causes in what the relations hold and how they can be read: rows,
//! estimates, indexes.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    BLOCKS_FACTOR, CauseKind, Causes, ESTIMATE_FACTOR, Fact, Quantity, ROWS_FACTOR, Scan, apart,
    by_relation,
};
use crate::plan::diff::Line;
use crate::plan::diff::tree::Tree;
use crate::plan::metrics::rows_of_all;
use crate::plan::{NodeId, NodeKind};

/// Tables that are named at most.
const TABLES: usize = 4;
/// Fewer blocks more or less are no matter.
const FEW_BLOCKS: f64 = 16.0;

impl<'a> Causes<'a, '_> {
    /// Names of the query behind which none of the tables stands that stood
    /// there before.
    pub(super) fn tables(&mut self) {
        let of = |tree: &Tree<'_>| -> BTreeMap<String, BTreeSet<String>> {
            let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for (id, node) in tree.plan.nodes() {
                if let Some(logical) = &tree.place(id.index()).logical
                    && let Some(name) = &node.relation.name
                    && node.kind.reads_table()
                {
                    found
                        .entry(logical.clone())
                        .or_default()
                        .insert(name.clone());
                }
            }
            found
        };
        let (old, new) = (&self.both.before.tree, &self.both.after.tree);
        let (was, is) = (of(old), of(new));
        for (relation, before) in &was {
            let Some(after) = is.get(relation).filter(|after| after.is_disjoint(before)) else {
                continue;
            };
            let named = |names: &BTreeSet<String>| {
                let mut shown: Vec<&str> = names.iter().take(TABLES).map(String::as_str).collect();
                if names.len() > TABLES {
                    shown.push("…");
                }
                Some(Quantity::Text(shown.join(", ")))
            };
            let facts = vec![Fact {
                what: format!("tables of {relation}"),
                before: named(before),
                after: named(after),
            }];
            let changed = self.changed();
            let relation = relation.clone();
            self.add(CauseKind::Tables { relation }, &changed, facts);
        }
    }

    /// Whether other tables stand behind the name, so that their rows are no
    /// measure of each other's.
    fn other_tables(&self, name: &str) -> bool {
        self.found
            .iter()
            .any(|cause| matches!(&cause.kind, CauseKind::Tables { relation } if relation == name))
    }

    /// Blocks that the same rows were read from in the same way: a table full
    /// of dead rows, of wider ones, or of rows in another order.
    pub(super) fn blocks(&mut self, scans: &[Scan<'a>]) {
        let (old, new) = (&self.both.before.tree, &self.both.after.tree);
        let mut found = Vec::new();
        for (relation, group) in by_relation(scans) {
            let alike = group.iter().all(|scan| {
                let (was, is) = (old.node(scan.before), new.node(scan.after));
                let rows = |node: &crate::plan::PlanNode| node.rows_scanned_total();
                scan.same_conditions
                    && scan.same_constants
                    && scan.alone
                    && was.kind == is.kind
                    && old.indexes(scan.before) == new.indexes(scan.after)
                    && rows(was)
                        .zip(rows(is))
                        .is_some_and(|(was, is)| !apart(was, is, ROWS_FACTOR))
            });
            if !alike || self.other_tables(&relation) {
                continue;
            }
            let sum = |after: bool| -> Option<f64> {
                group
                    .iter()
                    .map(|scan| {
                        let line = scan.line;
                        let facts = if after {
                            line.facts_after.as_ref()
                        } else {
                            line.facts_before.as_ref()
                        }?;
                        Some(facts.hit_blocks? + facts.read_blocks.unwrap_or_default())
                    })
                    .sum()
            };
            let (Some(was), Some(is)) = (sum(false), sum(true)) else {
                continue;
            };
            if !apart(was, is, BLOCKS_FACTOR) || (was - is).abs() < FEW_BLOCKS {
                continue;
            }
            let shown = self.shown(&relation, &group);
            let fact = Fact {
                what: format!("blocks of {shown}"),
                before: Some(Quantity::Blocks(was)),
                after: Some(Quantity::Blocks(is)),
            };
            let lines: Vec<&Line> = group.iter().map(|scan| scan.line).collect();
            found.push((shown, lines, fact));
        }
        for (relation, lines, fact) in found {
            self.add(CauseKind::Blocks { relation }, &lines, vec![fact]);
        }
    }

    /// Rows that came for the same conditions, and rows that were read where
    /// all of a table was.
    pub(super) fn rows(&mut self, scans: &[Scan<'a>]) {
        for (relation, group) in by_relation(scans) {
            if !group
                .iter()
                .all(|scan| scan.same_conditions && scan.same_constants && scan.alone)
                || self.other_tables(&relation)
            {
                continue;
            }
            let (old, new) = (&self.both.before.tree, &self.both.after.tree);
            let whole_table = group.iter().all(|scan| {
                old.node(scan.before).kind == NodeKind::SeqScan
                    && new.node(scan.after).kind == NodeKind::SeqScan
            });
            let per_execution = |rows: Option<f64>, loops: Option<f64>, gathered: bool| {
                let (rows, loops) = (rows?, loops?);
                Some(if gathered || loops <= 1.0 {
                    rows
                } else {
                    rows / loops
                })
            };
            let sum = |old_side: bool, scanned: bool| -> Option<f64> {
                group
                    .iter()
                    .map(|scan| {
                        let (side, at) = if old_side {
                            (&self.both.before, scan.before)
                        } else {
                            (&self.both.after, scan.after)
                        };
                        let node = side.tree.node(at);
                        let rows = if scanned {
                            node.rows_scanned_total()
                        } else {
                            node.actual
                                .map(|actual| actual.rows_per_loop * actual.loops)
                        };
                        let gathered = side.tree.plan.under_gather(NodeId::new(at));
                        per_execution(rows, node.actual.map(|actual| actual.loops), gathered)
                    })
                    .sum()
            };
            let mut facts = Vec::new();
            for (what, scanned) in [("rows read", true), ("rows that came", false)] {
                if scanned && !whole_table {
                    continue;
                }
                if let (Some(was), Some(is)) = (sum(true, scanned), sum(false, scanned))
                    && apart(was, is, ROWS_FACTOR)
                    && (was - is).abs() >= 10.0
                {
                    facts.push(Fact {
                        what: what.to_owned(),
                        before: Some(Quantity::Rows(was)),
                        after: Some(Quantity::Rows(is)),
                    });
                }
            }
            if facts.is_empty() {
                continue;
            }
            // What the rows go through has more to do as well.
            let lines = self.through(&group);
            let relation = self.shown(&relation, &group);
            self.add(CauseKind::Rows { relation }, &lines, facts);
        }
    }

    /// The scans, and whatever stands above them.
    pub(super) fn through(&self, group: &[&Scan<'a>]) -> Vec<&'a Line> {
        let tree = &self.both.after.tree;
        let mut above = vec![false; tree.len()];
        for scan in group {
            let mut next = Some(scan.after);
            while let Some(at) = next {
                match above.get_mut(at) {
                    Some(mark) if !*mark => *mark = true,
                    _ => break,
                }
                next = tree.place(at).parent;
            }
        }
        self.lines
            .iter()
            .filter(|line| match line.after {
                Some(id) => above.get(id.index()).copied().unwrap_or(false),
                None => true,
            })
            .collect()
    }

    pub(super) fn estimates(&mut self, scans: &[Scan<'a>]) {
        for (relation, group) in by_relation(scans) {
            if !group
                .iter()
                .all(|scan| scan.same_conditions && scan.same_constants)
                || self.other_tables(&relation)
            {
                continue;
            }
            let sum = |old: bool| -> Option<f64> {
                group
                    .iter()
                    .map(|scan| {
                        let (side, at) = if old {
                            (&self.both.before, scan.before)
                        } else {
                            (&self.both.after, scan.after)
                        };
                        let id = NodeId::new(at);
                        rows_of_all(side.tree.plan, id)
                            .0
                            .or_else(|| side.tree.node(at).estimate.map(|found| found.rows))
                    })
                    .sum()
            };
            let (Some(was), Some(is)) = (sum(true), sum(false)) else {
                continue;
            };
            if !apart(was, is, ESTIMATE_FACTOR) || (was - is).abs() < 2.0 {
                continue;
            }
            let executed = group.iter().all(|scan| {
                let facts = (&scan.line.facts_before, &scan.line.facts_after);
                facts.0.as_ref().is_some_and(|facts| facts.rows.is_some())
                    && facts.1.as_ref().is_some_and(|facts| facts.rows.is_some())
            });
            let relation = self.shown(&relation, &group);
            let other_rows = self
                .found
                .iter()
                .any(|cause| matches!(&cause.kind, CauseKind::Rows { relation: other } if *other == relation));
            let facts = vec![Fact {
                what: format!("estimated rows of {relation}"),
                before: Some(Quantity::Rows(was)),
                after: Some(Quantity::Rows(is)),
            }];
            let mut lines = self.changed();
            if lines.is_empty() {
                lines = group.iter().map(|scan| scan.line).collect();
            }
            let kind = CauseKind::Estimates {
                relation,
                same_rows: executed && !other_rows,
            };
            self.add(kind, &lines, facts);
        }
    }

    pub(super) fn indexes(&mut self, scans: &[Scan<'a>]) {
        let used = |tree: &Tree<'_>| -> BTreeSet<String> {
            tree.plan
                .nodes()
                .filter_map(|(_, node)| node.relation.index.clone())
                .collect()
        };
        let (old, new) = (&self.both.before.tree, &self.both.after.tree);
        let (used_before, used_after) = (used(old), used(new));
        if used_before == used_after {
            return;
        }
        let settings_changed = self
            .found
            .iter()
            .any(|cause| matches!(cause.kind, CauseKind::Setting { .. }));
        for (relation, group) in by_relation(scans) {
            let mut came = BTreeSet::new();
            let mut went = BTreeSet::new();
            for scan in &group {
                let was = old.indexes(scan.before);
                let is = new.indexes(scan.after);
                came.extend(is.into_iter().filter(|name| !used_before.contains(name)));
                went.extend(was.into_iter().filter(|name| !used_after.contains(name)));
            }
            if came.is_empty() && went.is_empty() {
                continue;
            }
            let other_input = self.found.iter().any(|cause| match &cause.kind {
                CauseKind::Rows { .. }
                | CauseKind::Estimates { .. }
                | CauseKind::Statement
                | CauseKind::Tables { .. }
                | CauseKind::Constants { .. }
                | CauseKind::Version => true,
                _ => settings_changed,
            });
            let joined: BTreeMap<&str, String> = [
                (
                    "before",
                    went.iter().cloned().collect::<Vec<_>>().join(", "),
                ),
                ("after", came.iter().cloned().collect::<Vec<_>>().join(", ")),
            ]
            .into();
            let text = |key: &str| {
                joined
                    .get(key)
                    .filter(|text| !text.is_empty())
                    .cloned()
                    .map(Quantity::Text)
            };
            let shown = self.shown(&relation, &group);
            let facts = vec![Fact {
                what: format!("indexes of {shown}"),
                before: text("before"),
                after: text("after"),
            }];
            let concerned: Vec<&Line> = self
                .changed()
                .into_iter()
                .filter(|line| {
                    let of = |tree: &Tree<'_>, id: Option<NodeId>| {
                        id.is_none_or(|id| {
                            tree.place(id.index())
                                .logical
                                .as_ref()
                                .is_none_or(|logical| *logical == relation)
                        })
                    };
                    of(old, line.before) && of(new, line.after)
                })
                .collect();
            let kind = CauseKind::Index {
                relation: shown,
                came: came.into_iter().collect(),
                went: went.into_iter().collect(),
                nothing_else: !other_input,
            };
            self.add(kind, &concerned, facts);
        }
    }
}
