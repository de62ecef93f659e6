//! What was found about a statement's parameters, as a finding.

use super::slots::Slot;
use super::{Sensitivity, Tried};
use crate::advise::attach::{Context, level_of};
use crate::finding::{
    Applicability, Change, Comparison, Evidence, Finding, Level, Origin, SideEffect, Suggestion,
    Value, Verdict,
};
use crate::rule::Described as _;
use crate::rules::plan_depends_on_parameter::PlanDependsOnParameter;

/// How executions are weighted.
const WEIGHTED: &str = "average over the sampled values, weighted by how often they occur";
/// Where the generic plan's cost for a value comes from.
const FORCED: &str = "the planner's total cost for these values, with the nodes that the generic \
                      plan does not use switched off";
/// PostgreSQL's rule.
const RULE: &str = "choose_custom_plan: after five custom plans the generic plan is taken while \
                    it costs less than their average with planning";
/// Where the planner cannot be brought to the generic plan, costs that differ
/// by less than this factor are not worth a word.
const UNLIKE: f64 = 2.0;

/// The finding, where some value is hurt by a plan that is not made for it.
pub(super) fn finding(
    context: &Context<'_>,
    slots: &[Slot],
    found: &Sensitivity,
    planning: f64,
) -> Option<Finding> {
    if !found.flips() {
        return None;
    }
    let hurt: Vec<(&Tried, f64)> = found
        .tried
        .iter()
        .filter_map(|tried| tried.hurt().map(|factor| (tried, factor)))
        .collect();
    let worst = hurt
        .iter()
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(tried, factor)| (*tried, *factor));
    match worst {
        Some((worst, factor)) => Some(measured(
            context, slots, found, planning, &hurt, worst, factor,
        )),
        None => unforced(context, slots, found),
    }
}

/// The generic plan's cost is known for some values, and hurts them.
fn measured(
    context: &Context<'_>,
    slots: &[Slot],
    found: &Sensitivity,
    planning: f64,
    hurt: &[(&Tried, f64)],
    worst: &Tried,
    factor: f64,
) -> Finding {
    let own = found.own_average();
    let generic = found.generic_average();
    let excess: f64 = hurt
        .iter()
        .map(|(tried, _)| {
            tried.share * (tried.generic_cost.unwrap_or(tried.own_cost) - tried.own_cost)
        })
        .sum();
    let share = excess / generic.unwrap_or(own + excess).max(f64::MIN_POSITIVE);
    let settles = found
        .settled
        .is_some_and(|settled| settled.generic_at_last || settled.generic_after_five >= 0.5);
    let forced_generic = context.catalog.setting("plan_cache_mode") == Some("force_generic_plan");
    let values = describe(slots, worst);
    let share_hurt: f64 = hurt.iter().map(|(tried, _)| tried.share).sum();
    let mut evidence = vec![
        Evidence::new(
            format!("cost of the generic plan for {values}"),
            Value::Cost(worst.generic_cost.unwrap_or(worst.own_cost)),
            Origin::Formula(FORCED),
        ),
        Evidence::new(
            "cost of the plan made for it",
            Value::Cost(worst.own_cost),
            Origin::Formula("the planner's total cost for these values"),
        ),
        Evidence::new(
            "executions with values that the generic plan hurts",
            Value::Share(share_hurt),
            frequencies(slots),
        ),
        Evidence::new(
            "average cost with a plan for each value",
            Value::Cost(own),
            Origin::Formula(WEIGHTED),
        ),
    ];
    if let Some(generic) = generic {
        evidence.push(Evidence::new(
            "average cost with the generic plan",
            Value::Cost(generic),
            Origin::Formula(WEIGHTED),
        ));
    }
    if let Some(settled) = found.settled {
        evidence.push(Evidence::new(
            "generic plan taken after five executions",
            Value::Share(settled.generic_after_five),
            Origin::Formula(RULE),
        ));
    }
    let id = PlanDependsOnParameter.meta().id;
    let level = if settles || forced_generic {
        level_of(context, id, share, excess).min(Level::Warning)
    } else {
        Level::Note
    };
    let mut suggestions = Vec::new();
    if let Some(generic) = generic
        && (settles || forced_generic)
    {
        suggestions.extend(custom_plans(context, own + planning, generic));
    }
    Finding {
        rule: id,
        level: configured(context, level),
        span: worst_slot(slots).map(|slot| slot.span),
        node: None,
        relation: worst_slot(slots).map(|slot| slot.relation.clone()),
        message: format!(
            "the plan for any value costs {values} {factor:.1} times what its own plan costs",
        ),
        why: why(found, settles, forced_generic),
        evidence,
        suggestions,
        share: share.clamp(0.0, 1.0),
    }
}

/// The plan is another for some values, and the planner cannot be brought to
/// the generic one: only its own estimate can be set beside theirs.
fn unforced(context: &Context<'_>, slots: &[Slot], found: &Sensitivity) -> Option<Finding> {
    let unlike = |tried: &&Tried| {
        let (a, b) = (tried.own_cost.max(1.0), found.generic_cost.max(1.0));
        tried.generic_cost.is_none() && (a / b).max(b / a) >= UNLIKE
    };
    let other: Vec<&Tried> = found.tried.iter().filter(unlike).collect();
    let first = *other.first()?;
    let share: f64 = other.iter().map(|tried| tried.share).sum();
    Some(Finding {
        rule: PlanDependsOnParameter.meta().id,
        level: configured(context, Level::Note),
        span: worst_slot(slots).map(|slot| slot.span),
        node: None,
        relation: worst_slot(slots).map(|slot| slot.relation.clone()),
        message: format!(
            "the plan for {} is another than the plan for any value",
            describe(slots, first)
        ),
        why: "What the plan for any value would cost these values could not be had from the \
              planner: switching nodes off does not bring it to that plan."
            .to_owned(),
        evidence: vec![
            Evidence::new(
                "cost of its own plan",
                Value::Cost(first.own_cost),
                Origin::Formula("the planner's total cost for these values"),
            ),
            Evidence::new(
                "cost of the generic plan, for an average value",
                Value::Cost(found.generic_cost),
                Origin::Formula("the planner's total cost"),
            ),
            Evidence::new(
                "executions with another plan",
                Value::Share(share),
                frequencies(slots),
            ),
        ],
        suggestions: Vec::new(),
        share: 0.0,
    })
}

/// The user's level for the rule replaces ours.
fn configured(context: &Context<'_>, level: Level) -> Level {
    let levels = &context.options.rules.levels;
    levels
        .get(PlanDependsOnParameter.meta().id)
        .copied()
        .unwrap_or(level)
}

fn worst_slot(slots: &[Slot]) -> Option<&Slot> {
    slots
        .iter()
        .filter(|slot| !slot.samples.is_empty())
        .max_by(|a, b| super::skew(a).total_cmp(&super::skew(b)))
}

fn frequencies(slots: &[Slot]) -> Origin {
    let columns: Vec<&str> = slots
        .iter()
        .filter(|slot| !slot.samples.is_empty())
        .map(|slot| slot.column.as_str())
        .collect();
    Origin::Statistics(columns.join(", "))
}

/// `$1 = 'failed'`, `:a = 1 and $2 = 'x'`.
fn describe(slots: &[Slot], tried: &Tried) -> String {
    slots
        .iter()
        .filter(|slot| !slot.samples.is_empty())
        .zip(&tried.values)
        .map(|(slot, value)| format!("{} = {value}", slot.written))
        .collect::<Vec<_>>()
        .join(" and ")
}

fn why(found: &Sensitivity, settles: bool, forced_generic: bool) -> String {
    let generic = found.shapes.first().map_or("", String::as_str);
    let mut text = format!("The plan for any value has {generic}");
    let covered = found.share_of(0);
    if covered > 0.0 {
        text.push_str(&format!(
            ", which is right for {:.0} % of executions",
            covered * 100.0
        ));
    }
    if let Some((at, other)) = found
        .shapes
        .iter()
        .enumerate()
        .skip(1)
        .max_by(|a, b| found.share_of(a.0).total_cmp(&found.share_of(b.0)))
    {
        text.push_str(&format!(
            "; for {:.1} % of executions {other} is cheaper",
            found.share_of(at) * 100.0
        ));
    }
    text.push_str(if forced_generic {
        ". plan_cache_mode is force_generic_plan, so that every prepared execution takes it."
    } else if settles {
        ". A prepared statement settles on it after five executions."
    } else {
        ". A prepared statement keeps planning for its values, unless the first five happen to be \
         dear ones."
    });
    text
}

/// `plan_cache_mode`, where planning each time is the cheaper way.
fn custom_plans(context: &Context<'_>, custom: f64, generic: f64) -> Option<Suggestion> {
    if custom > generic * (1.0 - context.options.min_gain) {
        return None;
    }
    Some(Suggestion {
        title: "have each execution planned for its values".to_owned(),
        change: Change::Setting {
            sql: "SET plan_cache_mode = force_custom_plan".to_owned(),
        },
        applicability: Applicability::SameResults,
        side_effects: vec![SideEffect::Caller(
            "every prepared statement of the session is planned anew for each execution; ALTER \
             ROLE … SET, or ALTER FUNCTION … SET for a statement in a function, keeps it to some"
                .to_owned(),
        )],
        preconditions: Vec::new(),
        verdict: Verdict::Better(Comparison {
            before_cost: generic,
            after_cost: custom,
            engine: context.engine.to_owned(),
            plan_change: None,
            checked: vec![
                "both costs are averages over the sampled values, weighted by how often the \
                 values occur; planning is reckoned in as PostgreSQL does (1000 operator costs \
                 for each relation and one more)"
                    .to_owned(),
            ],
            measured_ms: None,
        }),
    })
}
