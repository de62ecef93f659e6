//! Whether the plan after is better than the one before, and by what that is
//! judged.

use super::cause::{Cause, CauseKind};
use super::facts::Totals;
use super::{Both, DiffOptions};

/// Times that differ by less are taken for noise, in milliseconds.
const NOISE_MS: f64 = 1.0;
/// Blocks that differ by less say nothing.
const NOISE_BLOCKS: f64 = 8.0;
/// A share of blocks read from outside of the buffers that differs by more
/// makes times hard to compare.
const CACHE_SHARE: f64 = 0.1;

/// What plans are judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// The time of execution.
    Time,
    /// Blocks touched, found or read.
    Buffers,
    /// The planner's cost.
    Cost,
}

/// Which is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The plan after.
    Better,
    /// The plan before.
    Worse,
    /// Neither by more than the tolerance.
    Same,
    /// It cannot be said.
    NotComparable,
}

/// Why it cannot be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotComparable {
    /// The plans have no relation in common.
    OtherQuery,
    /// The plans lack what is asked for.
    Lacking(Measure),
    /// There is no number that both have.
    Nothing,
    /// Costs of other estimates or settings are costs of other assumptions.
    OtherAssumptions,
}

/// What to bear in mind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Warning {
    /// More was read from outside of the buffers in one of the runs.
    Cache {
        /// Share of the blocks that were read, before.
        before: f64,
        /// The same after.
        after: f64,
    },
    /// The times are so short that they differ by chance.
    Short,
    /// The time says one thing, the blocks another.
    BuffersDisagree {
        /// Blocks before.
        before: f64,
        /// Blocks after.
        after: f64,
    },
    /// The queries gave other numbers of rows.
    OtherRows {
        /// Rows before.
        before: f64,
        /// Rows after.
        after: f64,
    },
    /// The constants or parameters are others.
    OtherConstants,
    /// Other numbers of workers ran.
    OtherWorkers {
        /// Workers before.
        before: f64,
        /// Workers after.
        after: f64,
    },
    /// Both plans are the same and gave the same: the difference is in the
    /// circumstances.
    SameWork,
    /// Costs are the planner's own reckoning, and no time.
    CostOnly,
}

/// The verdict.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Which is better.
    pub outcome: Outcome,
    /// What it is judged by.
    pub measure: Option<Measure>,
    /// That number before.
    pub before: Option<f64>,
    /// That number after.
    pub after: Option<f64>,
    /// Why it cannot be said.
    pub why_not: Option<NotComparable>,
    /// What to bear in mind.
    pub warnings: Vec<Warning>,
}

pub(super) fn verdict(
    both: &Both<'_>,
    before: &Totals,
    after: &Totals,
    causes: &[Cause],
    options: &DiffOptions,
) -> Verdict {
    let none = |why| Verdict {
        outcome: Outcome::NotComparable,
        measure: None,
        before: None,
        after: None,
        why_not: Some(why),
        warnings: Vec::new(),
    };
    if nothing_in_common(both) {
        return none(NotComparable::OtherQuery);
    }
    let numbers = |measure: Measure| -> Option<(f64, f64)> {
        match measure {
            // Times of the same kind only: the root's is less than the whole's.
            Measure::Time => before
                .execution_ms
                .zip(after.execution_ms)
                .or_else(|| before.root_ms.zip(after.root_ms)),
            Measure::Buffers => before.blocks().zip(after.blocks()),
            Measure::Cost => before.cost.zip(after.cost),
        }
    };
    let measure = match options.measure {
        Some(measure) => measure,
        None => match [Measure::Time, Measure::Buffers]
            .into_iter()
            .find(|measure| numbers(*measure).is_some())
        {
            Some(measure) => measure,
            None if numbers(Measure::Cost).is_none() => return none(NotComparable::Nothing),
            None if other_assumptions(causes) => {
                return none(NotComparable::OtherAssumptions);
            }
            None => Measure::Cost,
        },
    };
    let Some((was, is)) = numbers(measure) else {
        return none(NotComparable::Lacking(measure));
    };
    let noise = match measure {
        Measure::Time => NOISE_MS,
        Measure::Buffers => NOISE_BLOCKS,
        Measure::Cost => 0.0,
    };
    let mut found = Verdict {
        outcome: judge(was, is, options.tolerance, noise),
        measure: Some(measure),
        before: Some(was),
        after: Some(is),
        why_not: None,
        warnings: Vec::new(),
    };
    warn(both, before, after, causes, options, &mut found);
    found
}

/// A difference counts when it is beyond the tolerance and beyond noise.
fn judge(before: f64, after: f64, tolerance: f64, noise: f64) -> Outcome {
    if (after - before).abs() <= noise {
        Outcome::Same
    } else if after > before * (1.0 + tolerance) {
        Outcome::Worse
    } else if before > after * (1.0 + tolerance) {
        Outcome::Better
    } else {
        Outcome::Same
    }
}

/// Whether the plans read relations, and none that the other reads.
fn nothing_in_common(both: &Both<'_>) -> bool {
    let relations = |tree: &super::tree::Tree<'_>| -> std::collections::BTreeSet<String> {
        tree.plan
            .nodes()
            .filter(|(_, node)| node.kind.reads_table())
            .flat_map(|(_, node)| [node.relation.name.clone(), node.relation.alias.clone()])
            .flatten()
            .collect()
    };
    let (old, new) = (relations(&both.before.tree), relations(&both.after.tree));
    !old.is_empty() && !new.is_empty() && old.is_disjoint(&new)
}

/// Whether costs were reckoned from other rows or other settings.
fn other_assumptions(causes: &[Cause]) -> bool {
    causes.iter().any(|cause| match &cause.kind {
        CauseKind::Estimates { .. } | CauseKind::Constants { .. } | CauseKind::Statement => true,
        CauseKind::Setting { name } => {
            name.ends_with("_cost") || name == "effective_cache_size" || name.contains("work_mem")
        }
        _ => false,
    })
}

fn warn(
    both: &Both<'_>,
    before: &Totals,
    after: &Totals,
    causes: &[Cause],
    options: &DiffOptions,
    found: &mut Verdict,
) {
    let timed = found.measure == Some(Measure::Time);
    let read = |totals: &Totals| {
        let all = totals.blocks()?;
        (all > 0.0).then(|| totals.read_blocks.unwrap_or_default() / all)
    };
    if timed
        && let (Some(was), Some(is)) = (read(before), read(after))
        && (was - is).abs() > CACHE_SHARE
    {
        found.warnings.push(Warning::Cache {
            before: was,
            after: is,
        });
    }
    if timed
        && let (Some(was), Some(is)) = (found.before, found.after)
        && was.max(is) < NOISE_MS * 10.0
        && (was - is).abs() > was.min(is) * options.tolerance
    {
        found.warnings.push(Warning::Short);
    }
    if timed && let (Some(was), Some(is)) = (before.blocks(), after.blocks()) {
        let blocks = judge(was, is, options.tolerance, NOISE_BLOCKS);
        let against = matches!(
            (found.outcome, blocks),
            (Outcome::Better | Outcome::Same, Outcome::Worse)
                | (Outcome::Worse | Outcome::Same, Outcome::Better)
        );
        if against {
            found.warnings.push(Warning::BuffersDisagree {
                before: was,
                after: is,
            });
        }
    }
    if let (Some(was), Some(is)) = (before.rows, after.rows)
        && (was - is).abs() > 0.5
    {
        found.warnings.push(Warning::OtherRows {
            before: was,
            after: is,
        });
    }
    if causes
        .iter()
        .any(|cause| matches!(cause.kind, CauseKind::Constants { .. }))
    {
        found.warnings.push(Warning::OtherConstants);
    }
    if let (Some(was), Some(is)) = (before.workers_launched, after.workers_launched)
        && (was - is).abs() > 0.5
        && (before.workers_planned - after.workers_planned).abs() < 0.5
    {
        found.warnings.push(Warning::OtherWorkers {
            before: was,
            after: is,
        });
    }
    let same_work = causes
        .iter()
        .any(|cause| cause.kind == CauseKind::Circumstances);
    if timed && same_work && found.outcome != Outcome::Same {
        found.warnings.push(Warning::SameWork);
    }
    if found.measure == Some(Measure::Cost) {
        found.warnings.push(Warning::CostOnly);
        if options.measure.is_some() && other_assumptions(causes) && !nothing_in_common(both) {
            found.why_not = Some(NotComparable::OtherAssumptions);
        }
    }
}
