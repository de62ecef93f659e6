//! What caused the difference, from what both plans print.
//!
//! What the planner was given comes first (statement, settings, indexes,
//! constants, rows, estimates), then how the execution went (workers, memory,
//! cache, compilation). Those that carry half of the difference in time stand
//! before those that carry a tenth, and these before the rest.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::Totals;
use super::{Aspect, Both, Line, Status, condition};
use crate::plan::{ConditionRole, NodeId, NodeKind, PlanGraph};

/// Rows that differ by less are the same: printed averages are rounded.
const ROWS_FACTOR: f64 = 1.1;
/// Estimates that differ by less are the same statistics, sampled anew.
const ESTIMATE_FACTOR: f64 = 1.2;
/// Blocks in all may differ by so much where the same was read.
const BLOCKS_FACTOR: f64 = 1.2;
/// Nodes that a cause names at most.
const NODES: usize = 8;

/// A cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CauseKind {
    /// The statement was written otherwise.
    Statement,
    /// A setting that the planner or the executor heeds.
    Setting {
        /// Its name.
        name: String,
    },
    /// Other indexes of a relation are used.
    Index {
        /// The relation, as the query calls it.
        relation: String,
        /// Indexes that only the plan after uses.
        came: Vec<String>,
        /// Indexes that only the plan before uses.
        went: Vec<String>,
        /// Nothing else that the planner reckons with has changed.
        nothing_else: bool,
    },
    /// Conditions have other constants.
    Constants {
        /// One of the plans was made for any parameter, the other for these.
        generic: Option<Generic>,
    },
    /// A relation has more or fewer rows for the same conditions.
    Rows {
        /// The relation, as the query calls it.
        relation: String,
    },
    /// The planner expects more or fewer rows of a relation for the same
    /// conditions.
    Estimates {
        /// The relation, as the query calls it.
        relation: String,
        /// The rows that came are the same, so that only statistics changed.
        same_rows: bool,
    },
    /// The servers are of other versions.
    Version,
    /// Fewer or more workers came than before, of as many planned.
    Workers,
    /// What fit into memory no longer does, or the reverse.
    Spill {
        /// It goes to disk now.
        came: bool,
    },
    /// The same blocks were found in the buffers, or had to be read.
    Cache {
        /// More was found in the buffers than before.
        warmer: bool,
    },
    /// Compilation took another time.
    Jit,
    /// Triggers took another time.
    Triggers,
    /// The same work took another time: other load, locks, or the machine.
    Circumstances,
}

/// Which plan was made for any parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generic {
    /// The one before.
    Before,
    /// The one after.
    After,
}

/// A number or a text that shows a cause.
#[derive(Debug, Clone, PartialEq)]
pub enum Quantity {
    /// Rows.
    Rows(f64),
    /// Milliseconds.
    Ms(f64),
    /// Blocks.
    Blocks(f64),
    /// Kilobytes.
    Kilobytes(f64),
    /// Batches, workers, executions.
    Count(f64),
    /// A part of a whole.
    Share(f64),
    /// A text of the plan's.
    Text(String),
}

/// What shows a cause.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// What is compared, in words.
    pub what: String,
    /// Before.
    pub before: Option<Quantity>,
    /// After.
    pub after: Option<Quantity>,
}

/// One cause.
#[derive(Debug, Clone, PartialEq)]
pub struct Cause {
    /// What it is.
    pub kind: CauseKind,
    /// The difference in time that the nodes carry which it concerns, in
    /// milliseconds, where both plans were timed.
    pub ms: Option<f64>,
    /// The nodes, as before and after.
    pub nodes: Vec<(Option<NodeId>, Option<NodeId>)>,
    /// What shows it.
    pub facts: Vec<Fact>,
}

/// A pair of nodes that read the same relation.
struct Scan<'a> {
    before: usize,
    after: usize,
    relation: String,
    line: &'a Line,
    /// Both tested the same, by shape.
    same_conditions: bool,
    /// And with the same constants.
    same_constants: bool,
    /// Neither is executed for each row of another.
    alone: bool,
}

struct Causes<'a, 'b> {
    both: &'a Both<'b>,
    lines: &'a [Line],
    found: Vec<Cause>,
}

/// All causes, the weightiest first.
pub(super) fn causes(
    both: &Both<'_>,
    lines: &[Line],
    before: &Totals,
    after: &Totals,
    sql_changed: Option<bool>,
) -> Vec<Cause> {
    let mut causes = Causes {
        both,
        lines,
        found: Vec::new(),
    };
    let scans = causes.scans();
    causes.statement(sql_changed);
    causes.version();
    causes.settings();
    causes.constants(&scans);
    causes.rows(&scans);
    causes.estimates(&scans);
    causes.indexes(&scans);
    causes.workers(before, after);
    causes.spills();
    causes.cache(before, after);
    causes.times(before, after);
    causes.circumstances(before, after);
    let mut found = causes.found;
    let whole = before
        .ms()
        .zip(after.ms())
        .map_or(0.0, |(before, after)| (after - before).abs());
    // Sorting is stable: within a group the order of finding stays.
    found.sort_by_key(|cause| match cause.ms.map(f64::abs) {
        Some(ms) if whole > 0.0 && ms >= whole * 0.5 => 0,
        Some(ms) if whole > 0.0 && ms >= whole * 0.1 => 1,
        None => 1,
        Some(_) => 2,
    });
    found
}

fn apart(a: f64, b: f64, factor: f64) -> bool {
    let (low, high) = (a.min(b).max(1.0), a.max(b).max(1.0));
    high > low * factor
}

impl<'a> Causes<'a, '_> {
    fn plans(&self) -> (&PlanGraph, &PlanGraph) {
        (self.both.before.tree.plan, self.both.after.tree.plan)
    }

    fn add(&mut self, kind: CauseKind, lines: &[&Line], facts: Vec<Fact>) {
        let deltas: Vec<f64> = lines
            .iter()
            .filter_map(|line| line.self_ms_delta())
            .collect();
        let mut nodes: Vec<&&Line> = lines.iter().collect();
        nodes.sort_by(|a, b| {
            let of = |line: &Line| line.self_ms_delta().unwrap_or_default().abs();
            of(b).total_cmp(&of(a))
        });
        self.found.push(Cause {
            kind,
            ms: (!deltas.is_empty()).then(|| deltas.iter().sum()),
            nodes: nodes
                .into_iter()
                .take(NODES)
                .map(|line| (line.before, line.after))
                .collect(),
            facts,
        });
    }

    /// The lines that do something else than before.
    fn changed(&self) -> Vec<&'a Line> {
        self.lines
            .iter()
            .filter(|line| line.status != Status::Same)
            .collect()
    }

    fn scans(&self) -> Vec<Scan<'a>> {
        let (old, new) = (&self.both.before.tree, &self.both.after.tree);
        self.lines
            .iter()
            .filter_map(|line| {
                let (before, after) = (line.before?.index(), line.after?.index());
                if !old.node(before).kind.reads_table() || !new.node(after).kind.reads_table() {
                    return None;
                }
                let relation = new.place(after).logical.clone()?;
                let (was, is) = (tested(old, before), tested(new, after));
                let shapes = |found: &[(String, bool)]| -> BTreeSet<String> {
                    found.iter().map(|(shape, _)| shape.clone()).collect()
                };
                Some(Scan {
                    before,
                    after,
                    relation,
                    line,
                    same_conditions: shapes(&was.0) == shapes(&is.0),
                    same_constants: was.1 == is.1,
                    alone: [(&self.both.before, before), (&self.both.after, after)]
                        .iter()
                        .all(|(side, at)| {
                            let metrics = side.metrics.node(NodeId::new(*at));
                            !metrics.stopped_early && !metrics.never_executed
                        }),
                })
            })
            .collect()
    }

    fn statement(&mut self, sql_changed: Option<bool>) {
        let (before, after) = self.plans();
        let ids = before.run.query_id.clone().zip(after.run.query_id.clone());
        let other_id = ids.as_ref().is_some_and(|(was, is)| was != is);
        let known = sql_changed == Some(true) || other_id && sql_changed.is_none();
        let (was, is) = (
            all_parts(&self.both.before.tree),
            all_parts(&self.both.after.tree),
        );
        let mut facts = Vec::new();
        for part in was.difference(&is) {
            facts.push(Fact {
                what: "condition".to_owned(),
                before: Some(Quantity::Text(part.clone())),
                after: None,
            });
        }
        for part in is.difference(&was) {
            facts.push(Fact {
                what: "condition".to_owned(),
                before: None,
                after: Some(Quantity::Text(part.clone())),
            });
        }
        facts.truncate(NODES);
        // Conditions that an index makes needless are not printed: where the
        // text is not known to differ, conditions on both sides must.
        let both_ways = facts.iter().any(|fact| fact.before.is_some())
            && facts.iter().any(|fact| fact.after.is_some());
        let silent = sql_changed.is_none() && ids.is_none() && both_ways;
        if known || silent {
            let changed = self.changed();
            self.add(CauseKind::Statement, &changed, facts);
        }
    }

    fn version(&mut self) {
        let (before, after) = self.plans();
        let (was, is) = (version(before), version(after));
        if let (Some(was), Some(is)) = (was, is)
            && (was.1 < is.0 || is.1 < was.0)
        {
            let words = |(low, high): (u32, u32)| {
                Some(Quantity::Text(if high == u32::MAX {
                    format!("{low} or later")
                } else {
                    format!("{high} or earlier")
                }))
            };
            let facts = vec![Fact {
                what: "server, by what it prints".to_owned(),
                before: words(was),
                after: words(is),
            }];
            self.add(CauseKind::Version, &[], facts);
        }
    }

    fn settings(&mut self) {
        let (before, after) = self.plans();
        let (was, is) = (before.run.settings.clone(), after.run.settings.clone());
        // Without SETTINGS nothing is printed: an absence says something only
        // beside settings that were.
        let names: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
        for name in names {
            let (old, new) = (was.get(name), is.get(name));
            if old == new {
                continue;
            }
            let concerned: Vec<&Line> = self
                .lines
                .iter()
                .filter(|line| concerns(name, line, self.both))
                .collect();
            let text = |value: Option<&String>| value.cloned().map(Quantity::Text);
            let facts = vec![Fact {
                what: name.clone(),
                before: text(old),
                after: text(new),
            }];
            let kind = CauseKind::Setting { name: name.clone() };
            if concerned.is_empty() {
                // It changed, and nothing in the plan shows an effect.
                self.add(kind, &[], facts);
                if let Some(last) = self.found.last_mut() {
                    last.ms = last.ms.or(Some(0.0));
                }
            } else {
                self.add(kind, &concerned, facts);
            }
        }
    }

    fn constants(&mut self, scans: &[Scan<'a>]) {
        let mut facts = Vec::new();
        let mut lines: Vec<&Line> = Vec::new();
        let (mut old_parameters, mut new_parameters) = (true, true);
        for line in self.lines {
            for change in &line.changes {
                let Aspect::Constants(_) = change.aspect else {
                    continue;
                };
                let (Some(was), Some(is)) = (&change.before, &change.after) else {
                    continue;
                };
                let (old, new) = (condition::constants(was), condition::constants(is));
                // The number of an InitPlan's result is no constant.
                let differing: Vec<_> = old
                    .iter()
                    .zip(&new)
                    .filter(|(old, new)| {
                        old != new && !(old.starts_with('$') && new.starts_with('$'))
                    })
                    .collect();
                if differing.is_empty() {
                    continue;
                }
                old_parameters &= differing.iter().all(|(old, _)| old.starts_with('$'));
                new_parameters &= differing.iter().all(|(_, new)| new.starts_with('$'));
                lines.push(line);
                facts.push(Fact {
                    what: "condition".to_owned(),
                    before: Some(Quantity::Text(was.clone())),
                    after: Some(Quantity::Text(is.clone())),
                });
            }
        }
        // A scan by another method has its condition elsewhere.
        for scan in scans {
            if scan.same_conditions
                && !scan.same_constants
                && !lines.iter().any(|line| std::ptr::eq(*line, scan.line))
            {
                let old = tested(&self.both.before.tree, scan.before).1;
                let new = tested(&self.both.after.tree, scan.after).1;
                let of = |found: &[String]| found.iter().all(|text| text.starts_with('$'));
                let words = |found: &[String], others: &[String]| -> Vec<String> {
                    found
                        .iter()
                        .filter(|text| !others.contains(text))
                        .cloned()
                        .collect()
                };
                let (was, is) = (words(&old, &new), words(&new, &old));
                if was.is_empty() || is.is_empty() || of(&was) && of(&is) {
                    continue;
                }
                old_parameters &= of(&was);
                new_parameters &= of(&is);
                lines.push(scan.line);
                facts.push(Fact {
                    what: format!("constants for {}", scan.relation),
                    before: Some(Quantity::Text(was.join(", "))),
                    after: Some(Quantity::Text(is.join(", "))),
                });
            }
        }
        if facts.is_empty() {
            return;
        }
        facts.truncate(NODES);
        let generic = match (old_parameters, new_parameters) {
            (true, false) => Some(Generic::Before),
            (false, true) => Some(Generic::After),
            _ => None,
        };
        let above = self.changed();
        let lines = if lines.iter().any(|line| line.status != Status::Same) {
            above
        } else {
            lines
        };
        self.add(CauseKind::Constants { generic }, &lines, facts);
    }

    /// Rows that came for the same conditions, and rows that were read where
    /// all of a table was.
    fn rows(&mut self, scans: &[Scan<'a>]) {
        for (relation, group) in by_relation(scans) {
            if !group
                .iter()
                .all(|scan| scan.same_conditions && scan.same_constants && scan.alone)
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
            self.add(CauseKind::Rows { relation }, &lines, facts);
        }
    }

    /// The scans, and whatever stands above them.
    fn through(&self, group: &[&Scan<'a>]) -> Vec<&'a Line> {
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

    fn estimates(&mut self, scans: &[Scan<'a>]) {
        for (relation, group) in by_relation(scans) {
            if !group
                .iter()
                .all(|scan| scan.same_conditions && scan.same_constants)
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
                        crate::plan::metrics::rows_of_all(side.tree.plan, id)
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

    fn indexes(&mut self, scans: &[Scan<'a>]) {
        let used = |tree: &super::tree::Tree<'_>| -> BTreeSet<String> {
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
            let facts = vec![Fact {
                what: format!("indexes of {relation}"),
                before: text("before"),
                after: text("after"),
            }];
            let concerned: Vec<&Line> = self
                .changed()
                .into_iter()
                .filter(|line| {
                    let of = |tree: &super::tree::Tree<'_>, id: Option<NodeId>| {
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
                relation,
                came: came.into_iter().collect(),
                went: went.into_iter().collect(),
                nothing_else: !other_input,
            };
            self.add(kind, &concerned, facts);
        }
    }

    fn workers(&mut self, before: &Totals, after: &Totals) {
        let (Some(was), Some(is)) = (before.workers_launched, after.workers_launched) else {
            return;
        };
        if (was - is).abs() < 0.5 || (before.workers_planned - after.workers_planned).abs() > 0.5 {
            return;
        }
        let (old, new) = (&self.both.before.tree, &self.both.after.tree);
        let gathered: Vec<&Line> = self
            .lines
            .iter()
            .filter(|line| {
                line.after.is_some_and(|id| {
                    new.plan.under_gather(id) || new.plan.node(id).kind.is_gather()
                }) || line
                    .before
                    .is_some_and(|id| old.plan.under_gather(id) && line.after.is_none())
            })
            .collect();
        let facts = vec![
            Fact {
                what: "workers launched".to_owned(),
                before: Some(Quantity::Count(was)),
                after: Some(Quantity::Count(is)),
            },
            Fact {
                what: "workers planned".to_owned(),
                before: Some(Quantity::Count(before.workers_planned)),
                after: Some(Quantity::Count(after.workers_planned)),
            },
        ];
        self.add(CauseKind::Workers, &gathered, facts);
    }

    fn spills(&mut self) {
        for came in [true, false] {
            let mut facts = Vec::new();
            let mut lines = Vec::new();
            for line in self.lines {
                let (Some(was), Some(is)) = (&line.facts_before, &line.facts_after) else {
                    continue;
                };
                let spilled = if came {
                    (was.spill.is_none(), is.spill)
                } else {
                    (is.spill.is_none(), was.spill)
                };
                let (true, Some(spill)) = spilled else {
                    continue;
                };
                let quantity = match (spill.kilobytes, spill.batches) {
                    (Some(kilobytes), _) => Quantity::Kilobytes(kilobytes),
                    (None, batches) => Quantity::Count(batches.unwrap_or_default()),
                };
                let what = match quantity {
                    Quantity::Kilobytes(_) => "on disk",
                    _ => "batches",
                };
                lines.push(line);
                let label = line
                    .after
                    .map(|id| self.both.after.tree.plan.node(id).type_name.clone())
                    .unwrap_or_default();
                let memory = Quantity::Text("in memory".to_owned());
                let (before, after) = if came {
                    (memory, quantity)
                } else {
                    (quantity, memory)
                };
                facts.push(Fact {
                    what: format!("{label}, {what}"),
                    before: Some(before),
                    after: Some(after),
                });
            }
            if !lines.is_empty() {
                facts.truncate(NODES);
                self.add(CauseKind::Spill { came }, &lines, facts);
            }
        }
    }

    /// The same blocks from elsewhere. Where other blocks are touched, it is
    /// the plan that reads more, and no matter of the cache.
    fn cache(&mut self, before: &Totals, after: &Totals) {
        let lines: Vec<&Line> = self
            .lines
            .iter()
            .filter(|line| {
                let (Some(was), Some(is)) = (&line.facts_before, &line.facts_after) else {
                    return false;
                };
                let all = |facts: &super::NodeFacts| {
                    Some(facts.hit_blocks? + facts.read_blocks.unwrap_or_default())
                };
                let (Some(old), Some(new)) = (all(was), all(is)) else {
                    return false;
                };
                let read = |facts: &super::NodeFacts| facts.read_blocks.unwrap_or_default();
                old.max(new) >= 16.0
                    && !apart(old, new, BLOCKS_FACTOR)
                    && (read(was) - read(is)).abs() > old.max(new) * 0.1
            })
            .collect();
        if lines.is_empty() {
            return;
        }
        let moved: f64 = lines
            .iter()
            .map(|line| {
                let read = |facts: &Option<super::NodeFacts>| {
                    facts
                        .as_ref()
                        .and_then(|facts| facts.read_blocks)
                        .unwrap_or_default()
                };
                read(&line.facts_after) - read(&line.facts_before)
            })
            .sum();
        let mut facts = Vec::new();
        let mut fact = |what: &str, was: Option<f64>, is: Option<f64>, of: fn(f64) -> Quantity| {
            if was.is_some() || is.is_some() {
                facts.push(Fact {
                    what: what.to_owned(),
                    before: was.map(of),
                    after: is.map(of),
                });
            }
        };
        fact(
            "blocks read",
            before.read_blocks,
            after.read_blocks,
            Quantity::Blocks,
        );
        fact(
            "blocks found in buffers",
            before.hit_blocks,
            after.hit_blocks,
            Quantity::Blocks,
        );
        fact(
            "time of reading",
            before.read_ms,
            after.read_ms,
            Quantity::Ms,
        );
        self.add(
            CauseKind::Cache {
                warmer: moved < 0.0,
            },
            &lines,
            facts,
        );
    }

    /// Times beside those of the nodes.
    fn times(&mut self, before: &Totals, after: &Totals) {
        let whole = before
            .ms()
            .zip(after.ms())
            .map_or(0.0, |(before, after)| (after - before).abs());
        for (kind, what, was, is) in [
            (CauseKind::Jit, "compilation", before.jit_ms, after.jit_ms),
            (
                CauseKind::Triggers,
                "triggers",
                before.trigger_ms,
                after.trigger_ms,
            ),
        ] {
            if was.is_none() && is.is_none() {
                continue;
            }
            let by = is.unwrap_or_default() - was.unwrap_or_default();
            if by.abs() < 1.0 || by.abs() < whole * 0.1 {
                continue;
            }
            let fact = Fact {
                what: what.to_owned(),
                before: was.map(Quantity::Ms),
                after: is.map(Quantity::Ms),
            };
            self.add(kind, &[], vec![fact]);
            if let Some(last) = self.found.last_mut() {
                last.ms = Some(by);
            }
        }
    }

    /// Nothing that is printed explains the difference.
    fn circumstances(&mut self, before: &Totals, after: &Totals) {
        let (Some(was), Some(is)) = (before.ms(), after.ms()) else {
            return;
        };
        let whole = (is - was).abs();
        let explained = self
            .found
            .iter()
            .any(|cause| cause.ms.is_none_or(|ms| ms.abs() >= whole * 0.1));
        let same = self.lines.iter().all(|line| line.status == Status::Same);
        if same && !explained && whole > 1.0 && apart(was, is, 1.1) {
            let lines: Vec<&Line> = self.lines.iter().collect();
            let mut facts = Vec::new();
            if let (Some(was), Some(is)) = (before.blocks(), after.blocks()) {
                facts.push(Fact {
                    what: "blocks touched".to_owned(),
                    before: Some(Quantity::Blocks(was)),
                    after: Some(Quantity::Blocks(is)),
                });
            }
            if let (Some(was), Some(is)) = (before.rows, after.rows) {
                facts.push(Fact {
                    what: "rows that came".to_owned(),
                    before: Some(Quantity::Rows(was)),
                    after: Some(Quantity::Rows(is)),
                });
            }
            self.add(CauseKind::Circumstances, &lines, facts);
        }
    }
}

/// By relation, in the order of the plan.
fn by_relation<'s, 'a>(scans: &'s [Scan<'a>]) -> Vec<(String, Vec<&'s Scan<'a>>)> {
    let mut at: BTreeMap<&str, usize> = BTreeMap::new();
    let mut groups: Vec<(String, Vec<&Scan<'a>>)> = Vec::new();
    for scan in scans {
        let next = groups.len();
        let place = *at.entry(&scan.relation).or_insert(next);
        if place == next {
            groups.push((scan.relation.clone(), Vec::new()));
        }
        if let Some((_, group)) = groups.get_mut(place) {
            group.push(scan);
        }
    }
    groups
}

/// What a scan tests: its parts by shape and whether each holds a constant,
/// and all constants in one order. A bitmap's parts are with it.
fn tested(tree: &super::tree::Tree<'_>, at: usize) -> (Vec<(String, bool)>, Vec<String>) {
    let mut texts: Vec<&str> = Vec::new();
    let id = NodeId::new(at);
    let bitmaps = if tree.node(at).kind == NodeKind::BitmapHeapScan {
        tree.plan.bitmap_index_scans(id)
    } else {
        Vec::new()
    };
    let mut add = |id: NodeId| {
        for condition in &tree.plan.node(id).conditions {
            if matches!(
                condition.role,
                ConditionRole::Filter | ConditionRole::IndexCond | ConditionRole::TidCond
            ) {
                texts.push(&condition.text);
            }
        }
    };
    add(id);
    bitmaps.into_iter().for_each(&mut add);
    let mut parts: Vec<(String, bool)> = texts
        .iter()
        .flat_map(|text| condition::parts(text))
        .collect();
    parts.sort_unstable();
    parts.dedup();
    let mut constants: Vec<String> = texts
        .iter()
        .flat_map(|text| condition::constants(text))
        .map(str::to_owned)
        .collect();
    constants.sort_unstable();
    constants.dedup();
    (parts, constants)
}

/// All parts of conditions on constants, by shape.
fn all_parts(tree: &super::tree::Tree<'_>) -> BTreeSet<String> {
    tree.plan
        .nodes()
        .flat_map(|(_, node)| &node.conditions)
        .filter(|condition| {
            !matches!(
                condition.role,
                ConditionRole::RecheckCond | ConditionRole::RunCondition
            )
        })
        .flat_map(|condition| condition::parts(&condition.text))
        .filter(|(_, constant)| *constant)
        .map(|(shape, _)| shape)
        .collect()
}

/// The versions that print such a plan, as far as keys tell that every version
/// from one on prints for every node, or none before.
fn version(plan: &PlanGraph) -> Option<(u32, u32)> {
    let root = plan.node(plan.root);
    // `Async Capable` came with 14, `Disabled` with 18, both for every node
    // and in every format but TEXT, which shows neither where it is false.
    let (asynchronous, disabled) = (
        root.extra.contains_key("Async Capable"),
        root.extra.contains_key("Disabled"),
    );
    let printed = root.extra.contains_key("Parallel Aware")
        || plan.document.pointer("/Plan/Parallel Aware").is_some();
    if disabled {
        Some((18, u32::MAX))
    } else if asynchronous {
        Some((14, 17))
    } else if printed && plan.document.pointer("/Plan/Async Capable").is_none() {
        Some((0, 13))
    } else {
        None
    }
}

/// Whether a setting may have to do with what became of a node.
fn concerns(name: &str, line: &Line, both: &Both<'_>) -> bool {
    let kinds: Vec<&NodeKind> = line
        .before
        .map(|id| &both.before.tree.plan.node(id).kind)
        .into_iter()
        .chain(line.after.map(|id| &both.after.tree.plan.node(id).kind))
        .collect();
    let any = |test: &dyn Fn(&NodeKind) -> bool| kinds.iter().any(|kind| test(kind));
    let spill_changed = || {
        let of =
            |facts: &Option<super::NodeFacts>| facts.as_ref().map(|facts| facts.spill.is_some());
        line.before.is_some()
            && line.after.is_some()
            && of(&line.facts_before) != of(&line.facts_after)
    };
    let changed = line.status != Status::Same;
    match name {
        "work_mem" | "hash_mem_multiplier" => spill_changed() || changed,
        "jit" => false,
        "search_path" | "application_name" => false,
        _ if name.starts_with("jit_") => false,
        _ if name.contains("parallel") => {
            changed
                && (any(&NodeKind::is_gather)
                    || line.changes.iter().any(|change| {
                        matches!(
                            change.aspect,
                            Aspect::Parallel | Aspect::PartialMode | Aspect::WorkersPlanned
                        )
                    })
                    || line
                        .after
                        .is_some_and(|id| both.after.tree.plan.under_gather(id))
                    || line
                        .before
                        .is_some_and(|id| both.before.tree.plan.under_gather(id)))
        }
        _ => changed,
    }
}

impl Quantity {
    /// A text without its value's kind.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}
