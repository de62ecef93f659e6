//! Parameter sensitivity: the same statement planned with values in place of
//! its parameters, and what the one plan for all of them costs each.
//!
//! Values are drawn from the statistics of the columns that the parameters are
//! compared with ([`samples`]), at most [`MOST`] combinations of them. Where a
//! value's own plan has another shape than the generic plan, the generic
//! plan's shape is forced for that value by switching off what it does not use
//! ([`shape`]), so that both costs are of the same value. Which of them a
//! prepared statement ends up with is PostgreSQL's own rule ([`settle`]).

pub mod samples;
pub mod settle;
pub mod shape;
pub mod slots;
mod suggestions;
mod tell;

use std::collections::BTreeMap;

use self::samples::Source;
use self::settle::{Settled, planning_cost, settle};
use self::shape::{Shape, differences, forced_cost};
use self::slots::{Slot, slots, written};
use super::attach::Context;
use crate::finding::Finding;
use crate::plan::PlanGraph;
use crate::rule::Described as _;
use crate::rules::plan_depends_on_parameter::PlanDependsOnParameter;
use crate::sql::{self, Bound};
use crate::verify::{PlanError, PlanOptions, Planned, Planner};

/// The most combinations of values that are planned.
const MOST: usize = 24;
/// A value is hurt when the generic plan costs it at least this factor of its
/// own plan's cost,
const HURT: f64 = 1.5;
/// and at least so many cost units more.
const HURT_COST: f64 = 25.0;

/// What became of a statement's parameters.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sensitivity {
    /// The comparisons whose parameters were given values.
    pub compared: Vec<Compared>,
    /// Parameters that stayed open in all plans.
    pub open: Vec<String>,
    /// The shapes that plans had, the generic plan's first: what each does
    /// that not all of them do.
    pub shapes: Vec<String>,
    /// The combinations of values, the largest share of executions first.
    pub tried: Vec<Tried>,
    /// The generic plan's cost by its own estimate.
    pub generic_cost: f64,
    /// Which plan a prepared statement settles on.
    pub settled: Option<Settled>,
    /// Why nothing was tried.
    pub skipped: Option<String>,
}

/// A comparison with parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// The parameters as written.
    pub parameters: String,
    /// `orders.status`.
    pub column: String,
    /// The operator.
    pub operator: String,
}

/// One combination of values.
#[derive(Debug, Clone, PartialEq)]
pub struct Tried {
    /// The values, one text for each comparison.
    pub values: Vec<String>,
    /// Where each comes from.
    pub sources: Vec<Source>,
    /// How many values of each comparison it stands for; 0 where that cannot
    /// be said.
    pub stands_for: Vec<f64>,
    /// The share of executions that it stands for, 0 to 1.
    pub share: f64,
    /// The shape of its own plan, in [`Sensitivity::shapes`].
    pub shape: usize,
    /// What its own plan costs.
    pub own_cost: f64,
    /// What the generic plan costs for these values; `None` where the planner
    /// could not be brought to it.
    pub generic_cost: Option<f64>,
    /// The cost of its own plan with the suggested indexes.
    pub with_indexes: Option<f64>,
}

impl Tried {
    /// By which factor the generic plan is dearer for it, where that matters.
    pub fn hurt(&self) -> Option<f64> {
        let generic = self.generic_cost?;
        let factor = generic / self.own_cost.max(f64::MIN_POSITIVE);
        (factor >= HURT && generic - self.own_cost >= HURT_COST).then_some(factor)
    }
}

impl Sensitivity {
    /// The plan is another for some values.
    pub fn flips(&self) -> bool {
        self.tried.iter().any(|tried| tried.shape != 0)
    }

    /// The share of executions whose own plan has that shape.
    pub fn share_of(&self, shape: usize) -> f64 {
        self.tried
            .iter()
            .filter(|tried| tried.shape == shape)
            .map(|tried| tried.share)
            .sum()
    }

    /// The average cost of custom plans, planning left out.
    pub fn own_average(&self) -> f64 {
        self.tried
            .iter()
            .map(|tried| tried.share * tried.own_cost)
            .sum()
    }

    /// The average cost of the generic plan, where it is known for every
    /// value.
    pub fn generic_average(&self) -> Option<f64> {
        self.tried
            .iter()
            .map(|tried| Some(tried.share * tried.generic_cost?))
            .sum()
    }
}

/// A combination of values with the statement that has them.
struct Trial {
    tried: Tried,
    bound: Bound,
    plan: PlanGraph,
}

impl Trial {
    fn planned(&self) -> Planned<'_> {
        planned(&self.bound)
    }
}

fn planned(bound: &Bound) -> Planned<'_> {
    Planned {
        sql: &bound.sql,
        parameters: bound.parameters,
    }
}

/// Tries values in place of the statement's parameters, reports what was found
/// under `plan-depends-on-parameter`, and says of each suggested index which
/// values it helps. `None` for a statement without parameters that are
/// compared with columns, or whose values all are alike.
pub fn advise(
    context: &Context<'_>,
    findings: &mut Vec<Finding>,
    planner: &mut dyn Planner,
) -> Result<Option<Sensitivity>, PlanError> {
    let statement = context.statement;
    let off = context
        .options
        .rules
        .off
        .contains(PlanDependsOnParameter.meta().id);
    let Some(query) = statement.query.as_ref() else {
        return Ok(None);
    };
    if off || !context.options.parameters || statement.parameters() == 0 {
        return Ok(None);
    }
    let slots = slots(statement, query, context.catalog);
    if slots.is_empty() {
        return Ok(None);
    }
    if slots.iter().all(|slot| slot.samples.is_empty()) {
        return Ok(without_values(&slots));
    }
    let combinations = combinations(&slots);
    if combinations.len() < 2 {
        return Ok(None);
    }
    let generic = match context.given.filter(|_| context.is_estimate) {
        Some(plan) => plan.clone(),
        None => planner.plan(context.planned(), PlanOptions::default())?,
    };
    let Some(generic_cost) = generic.total_cost() else {
        return Ok(None);
    };
    let mut trials = match planned_each(context, planner, &slots, &combinations)? {
        Ok(trials) => trials,
        Err(why) => {
            return Ok(Some(Sensitivity {
                compared: compared(&slots),
                skipped: Some(why),
                ..Sensitivity::default()
            }));
        }
    };
    let shapes = into_shapes(context, &generic, &mut trials);
    cost_of_generic(context, planner, &generic, &mut trials)?;

    let planning = planning_of(context);
    let costs: Vec<(f64, f64)> = trials
        .iter()
        .map(|trial| (trial.tried.own_cost, trial.tried.share))
        .collect();
    let settled = settle(&costs, planning, generic_cost);
    let judged = suggestions::judge(
        context,
        findings,
        planner,
        &mut trials,
        &suggestions::Before {
            planning,
            generic_cost,
            settled,
        },
    );
    let given: Vec<u32> = slots
        .iter()
        .filter(|slot| !slot.samples.is_empty())
        .flat_map(|slot| slot.parameters.iter().copied())
        .collect();
    let mut open: Vec<u32> = statement
        .placeholders
        .iter()
        .map(|placeholder| placeholder.number)
        .filter(|number| !given.contains(number))
        .collect();
    open.dedup();
    let sensitivity = Sensitivity {
        compared: compared(&slots),
        open: open
            .into_iter()
            .map(|number| written(statement, number))
            .collect(),
        shapes,
        tried: trials.into_iter().map(|trial| trial.tried).collect(),
        generic_cost,
        settled: Some(settled),
        skipped: None,
    };
    findings.extend(tell::finding(context, &slots, &sensitivity, planning));
    judged?;
    Ok(Some(sensitivity))
}

/// Statistics without values: only a snapshot taken so has them.
fn without_values(slots: &[Slot]) -> Option<Sensitivity> {
    slots
        .iter()
        .any(|slot| slot.has_statistics)
        .then(|| Sensitivity {
            compared: compared_all(slots),
            skipped: Some(
                "the statistics hold no values to try: needs values (a snapshot taken without \
                 --no-values, or columns whose values are not all different)"
                    .to_owned(),
            ),
            ..Sensitivity::default()
        })
}

fn compared(slots: &[Slot]) -> Vec<Compared> {
    compared_of(slots.iter().filter(|slot| !slot.samples.is_empty()))
}

fn compared_all(slots: &[Slot]) -> Vec<Compared> {
    compared_of(slots.iter())
}

fn compared_of<'a>(slots: impl Iterator<Item = &'a Slot>) -> Vec<Compared> {
    slots
        .map(|slot| Compared {
            parameters: slot.written.clone(),
            column: slot.column.clone(),
            operator: slot.operator.clone(),
        })
        .collect()
}

/// For each slot with samples, which of them: every combination, of as many
/// samples as the limit allows.
fn combinations(slots: &[Slot]) -> Vec<Vec<usize>> {
    let mut chosen: Vec<Vec<usize>> = slots
        .iter()
        .filter(|slot| !slot.samples.is_empty())
        .map(|slot| (0..slot.samples.len()).collect())
        .collect();
    let with_samples: Vec<&Slot> = slots
        .iter()
        .filter(|slot| !slot.samples.is_empty())
        .collect();
    while chosen.iter().map(Vec::len).product::<usize>() > MOST {
        // The least skewed gives way first, down to two samples each and only
        // then to one.
        let floor = if chosen.iter().any(|of| of.len() > 2) {
            2
        } else {
            1
        };
        let least = chosen
            .iter()
            .zip(&with_samples)
            .enumerate()
            .filter(|(_, (of, _))| of.len() > floor)
            .min_by(|a, b| skew(a.1.1).total_cmp(&skew(b.1.1)))
            .map(|(at, _)| at);
        let Some(at) = least else { break };
        if let (Some(of), Some(slot)) = (chosen.get_mut(at), with_samples.get(at)) {
            *of = fewer(slot, floor);
        }
    }
    chosen.iter().fold(vec![Vec::new()], |all, of| {
        all.iter()
            .flat_map(|begin| {
                of.iter().map(|at| {
                    let mut next = begin.clone();
                    next.push(*at);
                    next
                })
            })
            .collect()
    })
}

/// How unlike the slot's values are: the most frequent against the rarest.
fn skew(slot: &Slot) -> f64 {
    let each = slot.samples.iter().map(|sample| {
        if sample.stands_for > 0.0 {
            sample.share / sample.stands_for
        } else {
            sample.share
        }
    });
    let most = each.clone().fold(0.0, f64::max);
    let least = each.fold(f64::INFINITY, f64::min);
    most / least.max(f64::MIN_POSITIVE)
}

/// The usual sample of a slot, and with two the one of the largest share too.
fn fewer(slot: &Slot, count: usize) -> Vec<usize> {
    let usual = slot
        .usual()
        .and_then(|usual| slot.samples.iter().position(|sample| sample == usual))
        .unwrap_or(0);
    let mut kept = vec![usual];
    if count > 1 {
        let other = slot
            .samples
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != usual)
            .max_by(|a, b| a.1.share.total_cmp(&b.1.share));
        kept.extend(other.map(|(at, _)| at));
    }
    kept.sort_unstable();
    kept
}

/// Plans every combination. Where none can be planned, the inner error says
/// why.
fn planned_each(
    context: &Context<'_>,
    planner: &mut dyn Planner,
    slots: &[Slot],
    combinations: &[Vec<usize>],
) -> Result<Result<Vec<Trial>, String>, PlanError> {
    let mut trials = Vec::new();
    let mut why = None;
    for combination in combinations {
        let mut constants: BTreeMap<u32, String> = BTreeMap::new();
        let mut values = Vec::new();
        let mut sources = Vec::new();
        let mut stands_for = Vec::new();
        let mut share = 1.0;
        for (slot, at) in slots
            .iter()
            .filter(|slot| !slot.samples.is_empty())
            .zip(combination)
        {
            let Some(sample) = slot.samples.get(*at) else {
                continue;
            };
            constants.extend(
                slot.parameters
                    .iter()
                    .copied()
                    .zip(sample.constants.iter().cloned()),
            );
            values.push(sample.shown.clone());
            sources.push(sample.source);
            stands_for.push(sample.stands_for);
            share *= sample.share;
        }
        let bound = sql::bind(&context.statement.server_text, &constants);
        match planner.plan(planned(&bound), PlanOptions::default()) {
            Ok(plan) => {
                let Some(own_cost) = plan.total_cost() else {
                    continue;
                };
                trials.push(Trial {
                    tried: Tried {
                        values,
                        sources,
                        stands_for,
                        share,
                        shape: 0,
                        own_cost,
                        generic_cost: None,
                        with_indexes: None,
                    },
                    bound,
                    plan,
                });
            }
            Err(error @ (PlanError::Lost { .. } | PlanError::TimedOut { .. })) => {
                return Err(error);
            }
            Err(error) => {
                why.get_or_insert_with(|| error.to_string());
            }
        }
    }
    if trials.is_empty() {
        return Ok(Err(format!(
            "the statement could not be planned with values: {}",
            why.unwrap_or_default()
        )));
    }
    let total: f64 = trials.iter().map(|trial| trial.tried.share).sum();
    for trial in &mut trials {
        trial.tried.share /= total.max(f64::MIN_POSITIVE);
    }
    trials.sort_by(|a, b| b.tried.share.total_cmp(&a.tried.share));
    Ok(Ok(trials))
}

/// Gives each trial the number of its shape, and says what each shape does.
fn into_shapes(context: &Context<'_>, generic: &PlanGraph, trials: &mut [Trial]) -> Vec<String> {
    let mut shapes = vec![Shape::of(generic, context.catalog)];
    let mut firsts: Vec<usize> = Vec::new();
    for (at, trial) in trials.iter_mut().enumerate() {
        let shape = Shape::of(&trial.plan, context.catalog);
        let known = shapes.iter().position(|known| known.same_core(&shape));
        trial.tried.shape = known.unwrap_or_else(|| {
            shapes.push(shape);
            firsts.push(at);
            shapes.len() - 1
        });
    }
    let plans: Vec<&PlanGraph> = std::iter::once(generic)
        .chain(
            firsts
                .iter()
                .filter_map(|at| trials.get(*at).map(|trial| &trial.plan)),
        )
        .collect();
    differences(&plans)
}

/// What the generic plan costs for each trial's values.
fn cost_of_generic(
    context: &Context<'_>,
    planner: &mut dyn Planner,
    generic: &PlanGraph,
    trials: &mut [Trial],
) -> Result<(), PlanError> {
    for trial in trials {
        trial.tried.generic_cost = if trial.tried.shape == 0 {
            Some(trial.tried.own_cost)
        } else {
            forced_cost(
                planner,
                context.catalog,
                planned(&trial.bound),
                generic,
                &trial.plan,
            )?
            .map(|cost| cost.max(trial.tried.own_cost))
        };
    }
    Ok(())
}

/// What PostgreSQL reckons for planning the statement: each relation and each
/// join counts.
fn planning_of(context: &Context<'_>) -> f64 {
    let relations: usize = context.statement.query.as_ref().map_or(1, |query| {
        query
            .selects
            .iter()
            .map(|select| {
                let joins = select.joins.iter().filter(|join| !join.comma).count();
                select.relations.len() + joins
            })
            .sum()
    });
    let operator_cost = context
        .catalog
        .setting("cpu_operator_cost")
        .and_then(|text| text.parse().ok())
        .unwrap_or(0.0025);
    planning_cost(relations, operator_cost)
}
