//! Just-in-time compilation that takes much of the time.

use serde_json::Value as Json;

use super::support::{show, suggest, weight::Weight};
use crate::declare_rule;
use crate::finding::{Evidence, Level, Origin, Value};
use crate::plan::{NodeKind, PlanGraph};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

/// A smaller share may well have paid.
const LEAST_SHARE: f64 = 0.2;
/// A cost from here on has that of a node in it that was switched off.
const DISABLE_COST: f64 = 1e10;

declare_rule! {
    /// ## What it does
    ///
    /// Finds statements that spent at least a fifth of their time on compiling
    /// expressions: generation, inlining, optimization and emission together.
    /// EXPLAIN prints the sum over all processes; they compile at the same
    /// time, so the time of the slowest counts where VERBOSE tells them apart,
    /// and the sum divided by the processes otherwise. All of it is taken as
    /// what could be saved.
    ///
    /// ## Why it matters
    ///
    /// Each process compiles anew at each execution, and nothing is kept. The
    /// planner decides by the cost alone, not by the number of expressions:
    /// many partitions make many functions that each see few rows.
    ///
    /// ## When it is wrong
    ///
    /// When execution without it is slower by more than the compilation took:
    /// try it with `SET jit = off`.
    ///
    /// ## References
    ///
    /// - [When to JIT](https://www.postgresql.org/docs/current/jit-decision.html)
    pub struct JitTakesLong = {
        id: "jit-takes-long",
        summary: "just-in-time compilation takes much of the execution",
        level: Warning,
        needs: [Actuals],
        since: "0.1.0",
    }
}

impl Rule for JitTakesLong {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(plan) = subject.plan else { return };
        let (Some(jit), Some(whole)) = (
            plan.run.extra.get("JIT"),
            suggest::execution_ms(subject, plan),
        ) else {
            return;
        };
        let Some(total) = total_ms(jit) else { return };
        let (wall, processes) = on_the_clock(plan, total);
        if wall < whole * LEAST_SHARE {
            return;
        }
        if let Some(weight) = Weight::of_ms(subject, wall, whole) {
            tell(plan, jit, total, processes, weight, sink);
        }
    }
}

/// The sum of the four phases.
fn total_ms(jit: &Json) -> Option<f64> {
    jit.get("Timing")?.get("Total")?.as_f64()
}

/// What of the processes' sum passed on the clock, and the number of
/// processes.
fn on_the_clock(plan: &PlanGraph, total: f64) -> (f64, f64) {
    let mut processes = 1.0_f64;
    let mut of_workers = Vec::new();
    for (_, node) in plan.nodes() {
        if matches!(node.kind, NodeKind::Gather | NodeKind::GatherMerge) {
            processes = processes.max(1.0 + node.workers_launched.unwrap_or(0.0));
            let workers = node.extra.get("Workers").and_then(Json::as_array);
            of_workers.extend(
                workers
                    .into_iter()
                    .flatten()
                    .filter_map(|worker| total_ms(worker.get("JIT")?)),
            );
        }
    }
    if of_workers.is_empty() {
        return (total / processes, processes);
    }
    let leader = (total - of_workers.iter().sum::<f64>()).max(0.0);
    let slowest = of_workers.iter().copied().fold(leader, f64::max);
    (slowest, processes)
}

fn tell(plan: &PlanGraph, jit: &Json, total: f64, processes: f64, weight: Weight, sink: &mut Sink) {
    let functions = jit.get("Functions").and_then(Json::as_f64);
    let mut message = format!(
        "just-in-time compilation took {} of the time",
        show::percent(weight.share())
    );
    if let Some(functions) = functions {
        message.push_str(&format!(
            ", for {}",
            show::plural(functions, "function", "functions")
        ));
    }
    let draft = sink
        .report(
            message,
            if plan
                .total_cost()
                .is_some_and(|cost| cost >= DISABLE_COST / 10.0)
            {
                "the planner compiles every expression of a plan whose cost is above \
                 jit_above_cost; the cost is so high here because a node's method is switched off \
                 (enable_… = off), not because there is much to do"
            } else {
                "the planner compiles every expression of a plan whose cost is above \
                 jit_above_cost, anew at each execution and in each process; that is much beside \
                 what faster expressions can bring in"
            },
            Evidence::new(
                if processes > 1.0 {
                    "compilation, over all processes"
                } else {
                    "compilation"
                },
                Value::Ms(total),
                Origin::Plan(plan.root),
            ),
        )
        .node(plan.root)
        .level(weight.level().min(Level::Warning))
        .share(weight.share());
    let draft = ["Generation", "Inlining", "Optimization", "Emission"]
        .into_iter()
        .fold(draft, |draft, phase| {
            let time = jit.get("Timing").and_then(|timing| timing.get(phase));
            // Since version 17 generation is told with a part of it.
            match time.and_then(|time| time.as_f64().or_else(|| time.get("Total")?.as_f64())) {
                Some(ms) if ms > 0.0 => draft.evidence(Evidence::new(
                    phase.to_lowercase(),
                    Value::Ms(ms),
                    Origin::Plan(plan.root),
                )),
                _ => draft,
            }
        });
    let draft = if processes > 1.0 {
        draft.evidence(Evidence::new(
            "processes that compiled",
            Value::Count(processes),
            Origin::Formula("the leader and the workers launched"),
        ))
    } else {
        draft
    };
    let cost = plan.total_cost();
    let mut draft = draft.evidence(weight.evidence());
    if let Some(cost) = cost {
        draft = draft.evidence(Evidence::new(
            "the plan's cost",
            Value::Cost(cost),
            Origin::Plan(plan.root),
        ));
        if cost < DISABLE_COST / 10.0 {
            let above = above(cost);
            draft = draft.suggest(suggest::setting(
                format!(
                    "compile only plans that cost more than {}",
                    show::count(above)
                ),
                format!("SET jit_above_cost = {above:.0};"),
                "it keeps cheaper plans from being compiled too: set it for the role that runs \
                 such statements (ALTER ROLE … SET jit_above_cost), and try this one both ways",
            ));
        }
    }
    draft.suggest(suggest::setting(
        "switch just-in-time compilation off for this statement's session or role",
        "SET jit = off;",
        "long statements with much arithmetic lose what compilation gives them",
    ));
}

/// The next of 1, 2, 5, 10 … above a cost, with room.
fn above(cost: f64) -> f64 {
    let wanted = (cost * 1.2).max(1.0);
    let power = 10.0_f64.powf(wanted.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|step| step * power)
        .find(|value| *value >= wanted)
        .unwrap_or(power * 10.0)
}
