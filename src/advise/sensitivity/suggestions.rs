//! Whether a suggested index helps all of the values, or hurts some.

use super::Trial;
use super::settle::{Settled, settle};
use super::shape::{Shape, cost_without_penalty, steering};
use crate::advise::attach::Context;
use crate::finding::{Change, Comparison, Finding, IndexSpec, Suggestion, Verdict};
use crate::plan::PlanGraph;
use crate::verify::elsewhere::is_same;
use crate::verify::{PlanError, Planned, Planner, SupposedIndex, Supposition};

/// Costs that differ by less count as the same.
const SAME: f64 = 0.98;
/// What a suggestion's comparison says when it is of another statement.
const REWRITTEN: &str = "both costs are of the rewritten statement";
/// More hurt values than this are not all named.
const NAMED: usize = 3;

/// How the statement stands without the suggestions.
pub(super) struct Before {
    /// What planning is reckoned to cost.
    pub(super) planning: f64,
    /// The generic plan's cost by its own estimate.
    pub(super) generic_cost: f64,
    /// Which plan a prepared statement settles on.
    pub(super) settled: Settled,
}

/// Plans every value with the suggested indexes supposed, and writes into the
/// suggestions' verdicts what came of it.
pub(super) fn judge(
    context: &Context<'_>,
    findings: &mut [Finding],
    planner: &mut dyn Planner,
    trials: &mut [Trial],
    before: &Before,
) -> Result<(), PlanError> {
    let specs: Vec<IndexSpec> = findings
        .iter()
        .flat_map(|finding| &finding.suggestions)
        .filter_map(index_of)
        .map(|(spec, _)| spec.clone())
        .collect();
    if specs.is_empty() {
        return Ok(());
    }
    let supposed: Vec<Supposition> = specs.iter().cloned().map(Supposition::Index).collect();
    let statements: Vec<Planned<'_>> = std::iter::once(context.planned())
        .chain(trials.iter().map(Trial::planned))
        .collect();
    let what_if = match planner.what_if(&statements, &supposed) {
        Ok(what_if) => what_if,
        Err(PlanError::Unsupported { .. }) => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut plans = what_if
        .plans
        .into_iter()
        .map(|plan| plan.map(|plan| named(plan, &what_if.indexes, &specs)));
    let Some(Ok(generic)) = plans.next() else {
        return Ok(());
    };
    let generic_shape = Shape::of(&generic, context.catalog);
    let was = without(planner, trials)?;
    let mut after = Vec::new();
    for (trial, plan) in trials.iter_mut().zip(plans) {
        let Ok(plan) = plan else { return Ok(()) };
        let Some(own) = plan.total_cost() else {
            return Ok(());
        };
        trial.tried.with_indexes = Some(own);
        let shared = if Shape::of(&plan, context.catalog).same_core(&generic_shape) {
            Some(own)
        } else {
            forced(context, planner, trial, &specs, &generic, &plan)?.map(|cost| cost.max(own))
        };
        after.push(After { own, shared });
    }
    let costs: Vec<(f64, f64)> = trials
        .iter()
        .zip(&after)
        .map(|(trial, after)| (after.own, trial.tried.share))
        .collect();
    let settled = settle(
        &costs,
        before.planning,
        generic.total_cost().unwrap_or(before.generic_cost),
    );
    let judgement = Judgement::of(trials, &was, &after, before, settled);
    for suggestion in findings
        .iter_mut()
        .flat_map(|finding| &mut finding.suggestions)
    {
        if index_of(suggestion).is_some() {
            judgement.write(suggestion);
        }
    }
    Ok(())
}

/// A suggested index that the planner likes for this very statement.
fn index_of(suggestion: &Suggestion) -> Option<(&IndexSpec, &Comparison)> {
    match (&suggestion.change, &suggestion.verdict) {
        (Change::CreateIndex(spec), Verdict::Better(comparison))
            if !comparison.checked.iter().any(|said| said == REWRITTEN) =>
        {
            Some((spec, comparison))
        }
        _ => None,
    }
}

/// Gives supposed indexes the names that they will have.
fn named(mut plan: PlanGraph, supposed: &[SupposedIndex], specs: &[IndexSpec]) -> PlanGraph {
    for node in plan.graph.node_weights_mut() {
        if let Some(name) = &mut node.relation.index
            && let Some((_, spec)) = supposed
                .iter()
                .zip(specs)
                .find(|(supposed, _)| supposed.is_named(name))
        {
            name.clone_from(&spec.name);
        }
    }
    plan
}

/// The cost of the generic plan with the indexes for one value; `None` where
/// the planner cannot suppose settings beside indexes.
fn forced(
    context: &Context<'_>,
    planner: &mut dyn Planner,
    trial: &Trial,
    specs: &[IndexSpec],
    wanted: &PlanGraph,
    chosen: &PlanGraph,
) -> Result<Option<f64>, PlanError> {
    let shape = Shape::of(wanted, context.catalog);
    let own = chosen.total_cost().unwrap_or(0.0);
    for settings in steering(wanted, chosen, context.catalog.version_num) {
        let supposed: Vec<Supposition> = settings
            .iter()
            .map(|(name, value)| Supposition::set(name, value))
            .chain(specs.iter().cloned().map(Supposition::Index))
            .collect();
        let mut what_if = match planner.what_if(&[trial.planned()], &supposed) {
            Ok(what_if) => what_if,
            Err(error @ PlanError::Lost { .. }) => return Err(error),
            Err(_) => return Ok(None),
        };
        let Some(Ok(plan)) = what_if.plans.pop() else {
            return Ok(None);
        };
        let plan = named(plan, &what_if.indexes, specs);
        if let Some(cost) = cost_without_penalty(&plan, own)
            && Shape::of(&plan, context.catalog).same_core(&shape)
        {
            return Ok(Some(cost));
        }
    }
    Ok(None)
}

/// The costs of one value with the indexes.
struct After {
    own: f64,
    /// Under the generic plan, where it is known.
    shared: Option<f64>,
}

/// The costs of each value without the indexes, on the planner that supposes
/// them.
fn without(planner: &mut dyn Planner, trials: &[Trial]) -> Result<Vec<After>, PlanError> {
    let mut costs = Vec::new();
    for trial in trials {
        let there = planner
            .what_if_baseline(trial.planned())?
            .and_then(|plan| plan.total_cost());
        let (own, shared) = (trial.tried.own_cost, trial.tried.generic_cost);
        costs.push(match there {
            // The planner that supposes reckons otherwise than the one that
            // forced the generic plan, so that its cost cannot be compared.
            Some(cost) if !is_same(cost, own) => After {
                own: cost,
                shared: (trial.tried.shape == 0).then_some(cost),
            },
            _ => After { own, shared },
        });
    }
    Ok(costs)
}

/// What the indexes do to the values.
struct Judgement {
    sentences: Vec<String>,
    /// The average cost rises.
    worse: bool,
}

impl Judgement {
    fn of(
        trials: &[Trial],
        was: &[After],
        after: &[After],
        before: &Before,
        settled: Settled,
    ) -> Self {
        let own: Vec<(f64, f64)> = was
            .iter()
            .zip(after)
            .map(|(was, after)| (was.own, after.own))
            .collect();
        let mut sentences = vec![format!("planned for its value: {}", summary(trials, &own))];
        let shared: Option<Vec<(f64, f64)>> = was
            .iter()
            .zip(after)
            .map(|(was, after)| Some((was.shared?, after.shared?)))
            .collect();
        if let Some(shared) = &shared
            && shared
                .iter()
                .zip(&own)
                .any(|(a, b)| (a.0 - b.0).abs() > 0.01 || (a.1 - b.1).abs() > 0.01)
        {
            sentences.push(format!(
                "under the generic plan: {}",
                summary(trials, shared)
            ));
        }
        // What a prepared statement runs with before and after.
        let average = |generic: bool, first: bool| -> Option<f64> {
            let costs = if generic { shared.as_ref()? } else { &own };
            let sum: f64 = trials
                .iter()
                .zip(costs)
                .map(|(trial, cost)| trial.tried.share * if first { cost.0 } else { cost.1 })
                .sum();
            Some(if generic { sum } else { sum + before.planning })
        };
        let was = average(before.settled.generic_at_last, true);
        let is = average(settled.generic_at_last, false);
        let worse = was.zip(is).is_some_and(|(was, is)| is > was / SAME);
        if let Some((was, is)) = was.zip(is) {
            sentences.push(format!(
                "over all executions, weighted by how often the values occur, a prepared \
                 statement's cost goes from {was:.0} to {is:.0}"
            ));
        }
        Self { sentences, worse }
    }

    fn write(&self, suggestion: &mut Suggestion) {
        let Verdict::Better(comparison) = &mut suggestion.verdict else {
            return;
        };
        comparison.checked.extend(self.sentences.iter().cloned());
        if self.worse {
            let comparison = comparison.clone();
            suggestion.verdict = Verdict::Worse(comparison);
        }
    }
}

/// `helps 3 of 5 sampled values (97 % of executions); hurts none`.
fn summary(trials: &[Trial], costs: &[(f64, f64)]) -> String {
    let mut helped = 0;
    let mut helped_share = 0.0;
    let mut hurt = Vec::new();
    let mut hurt_share = 0.0;
    for (trial, (was, is)) in trials.iter().zip(costs) {
        if *is < was * SAME {
            helped += 1;
            helped_share += trial.tried.share;
        } else if *is > was / SAME {
            hurt.push(format!(
                "{} (cost {was:.0} becomes {is:.0})",
                trial.tried.values.join(", ")
            ));
            hurt_share += trial.tried.share;
        }
    }
    let percent = |share: f64| {
        let percent = share * 100.0;
        if percent >= 99.95 {
            "all executions".to_owned()
        } else if percent < 10.0 {
            format!("{percent:.1} % of executions")
        } else {
            format!("{percent:.0} % of executions")
        }
    };
    let helps = match helped {
        0 => "helps none of the sampled values".to_owned(),
        all if all == trials.len() => format!("helps all {all} sampled values"),
        some => format!(
            "helps {some} of {} sampled values ({})",
            trials.len(),
            percent(helped_share)
        ),
    };
    let hurts = match hurt.len() {
        0 => "hurts none".to_owned(),
        many => {
            let more = if many > NAMED { ", …" } else { "" };
            hurt.truncate(NAMED);
            format!("hurts {}{more} ({})", hurt.join(", "), percent(hurt_share))
        }
    };
    format!("{helps}; {hurts}")
}
