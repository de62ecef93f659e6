//! What caused the difference, from what both plans print.
//!
//! What the planner was given comes first (statement, settings, indexes,
//! constants, rows, estimates), then how the execution went (workers, memory,
//! cache, compilation). Those that carry half of the difference in time stand
//! before those that carry a tenth, and these before the rest.

mod execution;
mod relations;

use std::collections::{BTreeMap, BTreeSet};

use super::facts::Totals;
use super::tree::Tree;
use super::{Aspect, Both, DiffOptions, Line, NodeFacts, Status, condition};
use crate::plan::{ConditionRole, NodeId, NodeKind, PlanEdge, PlanGraph};

/// Rows that differ by less are the same: printed averages are rounded.
const ROWS_FACTOR: f64 = 1.1;
/// Estimates that differ by less are the same statistics, sampled anew.
const ESTIMATE_FACTOR: f64 = 1.2;
/// Blocks in all may differ by so much where the same was read.
const BLOCKS_FACTOR: f64 = 1.2;
/// Rows that differ by so much are likely to have made another plan.
const ROWS_OF_OTHER_PLANS: f64 = 1.5;
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
    /// Other tables stand behind a name: partitions, or one renamed.
    Tables {
        /// The name in the query.
        relation: String,
    },
    /// The same rows are read from more or fewer blocks.
    Blocks {
        /// The relation, as the query calls it.
        relation: String,
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
    options: &DiffOptions,
) -> Vec<Cause> {
    let mut causes = Causes {
        both,
        lines,
        found: Vec::new(),
    };
    let scans = causes.scans();
    causes.statement(sql_changed);
    if options.every_key {
        causes.version();
    }
    causes.settings();
    causes.constants(&scans);
    causes.tables();
    causes.rows(&scans);
    causes.estimates(&scans);
    causes.blocks(&scans);
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
    let weight = |cause: &Cause| match cause.ms.map(f64::abs) {
        Some(ms) if whole > 0.0 && ms >= whole * 0.5 => 0,
        Some(ms) if whole > 0.0 && ms >= whole * 0.1 => 1,
        None => 1,
        Some(_) => 2,
    };
    // Where the planner was given something else, it chose another index for
    // that: what it was given weighs no less than its choice.
    let chosen = found
        .iter()
        .filter(|cause| {
            matches!(
                cause.kind,
                CauseKind::Index {
                    nothing_else: false,
                    ..
                }
            )
        })
        .map(weight)
        .min();
    // Sorting is stable: within a group the order of finding stays.
    found.sort_by_key(|cause| match chosen {
        Some(chosen) if cause.makes_plans() => weight(cause).min(chosen),
        _ => weight(cause),
    });
    found
}

impl Cause {
    /// Whether it is given to the planner, and differs by so much that another
    /// plan is no wonder.
    fn makes_plans(&self) -> bool {
        match &self.kind {
            CauseKind::Statement | CauseKind::Constants { .. } | CauseKind::Tables { .. } => true,
            CauseKind::Setting { .. } => !self.nodes.is_empty(),
            CauseKind::Rows { .. } | CauseKind::Estimates { .. } => {
                self.facts
                    .iter()
                    .any(|fact| match (&fact.before, &fact.after) {
                        (Some(Quantity::Rows(was)), Some(Quantity::Rows(is))) => {
                            apart(*was, *is, ROWS_OF_OTHER_PLANS)
                        }
                        _ => false,
                    })
            }
            _ => false,
        }
    }
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

    /// A relation as EXPLAIN names it: with its alias, where all scans of that
    /// alias read the same one.
    fn shown(&self, alias: &str, group: &[&Scan<'a>]) -> String {
        let mut names: Vec<&str> = group
            .iter()
            .filter_map(|scan| {
                let node = self.both.after.tree.node(scan.after);
                node.relation.name.as_deref()
            })
            .collect();
        names.dedup();
        match names.as_slice() {
            [name] if *name != alias && !alias.starts_with(name) => format!("{name} {alias}"),
            _ => alias.to_owned(),
        }
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
        let other_form = self.other_form(&mut facts);
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
        let both_ways =
            was.difference(&is).next().is_some() && is.difference(&was).next().is_some();
        let silent = sql_changed.is_none() && ids.is_none() && (both_ways || other_form);
        if known || silent {
            let changed = self.changed();
            self.add(CauseKind::Statement, &changed, facts);
        }
    }

    /// Parts that the planner neither makes nor takes away by itself: a CTE
    /// that is computed apart, and a subquery that is executed for rows of
    /// another. InitPlans are no such parts: `min` and `max` become some where
    /// an index has the order. Servers of other versions may do otherwise.
    fn other_form(&self, facts: &mut Vec<Fact>) -> bool {
        let (before, after) = self.plans();
        if version(before) != version(after) {
            return false;
        }
        let ctes = |plan: &PlanGraph| -> BTreeSet<String> {
            plan.nodes()
                .filter(|(_, node)| node.kind == NodeKind::CteScan)
                .filter_map(|(_, node)| node.relation.name.clone())
                .collect()
        };
        let joined = |names: &BTreeSet<String>| -> Option<Quantity> {
            (!names.is_empty())
                .then(|| Quantity::Text(names.iter().cloned().collect::<Vec<_>>().join(", ")))
        };
        let (was, is) = (ctes(before), ctes(after));
        let mut found = false;
        if was != is {
            facts.push(Fact {
                what: "CTEs that are computed apart".to_owned(),
                before: joined(&was),
                after: joined(&is),
            });
            found = true;
        }
        let subplans = |plan: &PlanGraph| {
            let found = plan
                .nodes()
                .filter(|(id, _)| matches!(plan.parent(*id), Some((PlanEdge::SubPlan, _))))
                .count();
            (found > 0).then(|| Quantity::Text(found.to_string()))
        };
        let (was, is) = (subplans(before), subplans(after));
        if was.is_some() != is.is_some() {
            facts.push(Fact {
                what: "subqueries that are no joins (SubPlan)".to_owned(),
                before: was,
                after: is,
            });
            found = true;
        }
        found
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
                // The same value as another type: `id = 5`, `id::text = '5'`.
                let bare = |found: &[String]| -> BTreeSet<String> {
                    found
                        .iter()
                        .map(|text| text.trim_matches('\'').to_owned())
                        .collect()
                };
                if bare(&was) == bare(&is) {
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
fn tested(tree: &Tree<'_>, at: usize) -> (Vec<(String, bool)>, Vec<String>) {
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
fn all_parts(tree: &Tree<'_>) -> BTreeSet<String> {
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
        let of = |facts: &Option<NodeFacts>| facts.as_ref().map(|facts| facts.spill.is_some());
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
