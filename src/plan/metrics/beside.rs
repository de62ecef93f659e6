//! What the execution time holds beside the nodes.
//!
//! `ExplainOnePlan` (`src/backend/commands/explain.c`) takes the execution time
//! from before `ExecutorStart` to after `ExecutorEnd`: starting the executor,
//! the root, the conversion of rows for the client, data-modifying CTEs that
//! nobody read to the end, and AFTER triggers.

use super::Beside;
use super::shape::at;
use super::time::Times;
use crate::plan::PlanGraph;

pub(super) fn beside(plan: &PlanGraph, times: Option<&Times>) -> Beside {
    let triggers_ms = plan
        .run
        .triggers
        .iter()
        .filter_map(|trigger| trigger.ms)
        .fold(0.0, |sum, ms| sum + ms);
    let mut beside = Beside {
        triggers_ms,
        serialization_ms: plan
            .run
            .extra
            .get("Serialization")
            .and_then(|serialization| serialization.get("Time"))
            .and_then(serde_json::Value::as_f64),
        jit_ms: plan
            .run
            .extra
            .get("JIT")
            .and_then(|jit| jit.get("Timing"))
            .and_then(|timing| timing.get("Total"))
            .and_then(serde_json::Value::as_f64),
        ..Beside::default()
    };
    let Some(times) = times else { return beside };
    beside.afterwards_ms = times.afterwards;
    if let Some(execution) = plan.run.execution_ms {
        let outside = execution
            - at(&times.printed, 0)
            - times.afterwards
            - beside.serialization_ms.unwrap_or_default();
        beside.triggers_inside_ms = (triggers_ms - outside.max(0.0)).max(0.0);
        let triggers_outside = triggers_ms - beside.triggers_inside_ms;
        beside.rest_ms = Some(outside - triggers_outside);
    }
    beside
}
