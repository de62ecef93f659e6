//! Causes in how an execution went: workers, memory, cache, compilation.

use super::{BLOCKS_FACTOR, CauseKind, Causes, Fact, NODES, Quantity, apart};
use crate::plan::diff::facts::Totals;
use crate::plan::diff::{Line, NodeFacts, Status};

impl Causes<'_, '_> {
    pub(super) fn workers(&mut self, before: &Totals, after: &Totals) {
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

    pub(super) fn spills(&mut self) {
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
    pub(super) fn cache(&mut self, before: &Totals, after: &Totals) {
        let lines: Vec<&Line> = self
            .lines
            .iter()
            .filter(|line| {
                let (Some(was), Some(is)) = (&line.facts_before, &line.facts_after) else {
                    return false;
                };
                let all = |facts: &NodeFacts| {
                    Some(facts.hit_blocks? + facts.read_blocks.unwrap_or_default())
                };
                let (Some(old), Some(new)) = (all(was), all(is)) else {
                    return false;
                };
                let read = |facts: &NodeFacts| facts.read_blocks.unwrap_or_default();
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
                let read = |facts: &Option<NodeFacts>| {
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
    pub(super) fn times(&mut self, before: &Totals, after: &Totals) {
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
    pub(super) fn circumstances(&mut self, before: &Totals, after: &Totals) {
        let (Some(was), Some(is)) = (before.ms(), after.ms()) else {
            return;
        };
        let whole = (is - was).abs();
        let explained = self
            .found
            .iter()
            .any(|cause| cause.ms.is_none_or(|ms| ms.abs() >= whole * 0.1));
        // Nodes under a Gather touch a few blocks more or less by chance.
        let same = self.lines.iter().all(|line| line.status == Status::Same)
            && before
                .blocks()
                .zip(after.blocks())
                .is_none_or(|(was, is)| !apart(was, is, BLOCKS_FACTOR));
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
