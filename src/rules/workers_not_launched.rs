//! Parallel workers that the plan counted on and did not get.

use super::support::{memory, show, suggest, weight::Weight};
use crate::declare_rule;
use crate::finding::{Evidence, Origin, Value};
use crate::plan::{NodeId, NodeKind, PlanGraph};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

declare_rule! {
    /// ## What it does
    ///
    /// Finds Gather and Gather Merge nodes that launched fewer workers than
    /// the planner had planned, and tells all of them in one finding.
    ///
    /// What could be saved is the time below each Gather, less what it would
    /// take if it were divided among all planned workers and the leader:
    /// time below × (1 − (launched + 1) ÷ (planned + 1)).
    ///
    /// ## Why it matters
    ///
    /// The plan was chosen for its workers. Without them the leader does the
    /// work alone, by a plan that may be worse than the serial one.
    ///
    /// ## When it is wrong
    ///
    /// When other statements held the workers just then: the same plan gets
    /// them at another time. A client that fetches rows in portions (a cursor,
    /// or a fetch size in the driver) gets none, whatever the settings.
    ///
    /// ## References
    ///
    /// - [When can parallel query be used?](https://www.postgresql.org/docs/current/when-can-parallel-query-be-used.html)
    /// - [max_parallel_workers](https://www.postgresql.org/docs/current/runtime-config-resource.html#GUC-MAX-PARALLEL-WORKERS)
    pub struct WorkersNotLaunched = {
        id: "workers-not-launched",
        summary: "fewer parallel workers were launched than planned",
        level: Warning,
        needs: [Actuals],
        concerns: [Gather, GatherMerge],
        since: "0.1.0",
    }
}

/// A Gather that got fewer workers than planned.
struct Short {
    id: NodeId,
    planned: f64,
    launched: f64,
    share: f64,
}

impl Rule for WorkersNotLaunched {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let (Some(plan), Some(metrics)) = (subject.plan, subject.metrics) else {
            return;
        };
        let mut short: Vec<Short> = plan
            .nodes()
            .filter(|(_, node)| matches!(node.kind, NodeKind::Gather | NodeKind::GatherMerge))
            .filter(|(_, node)| node.actual.is_some_and(|actual| actual.loops > 0.0))
            .filter_map(|(id, node)| {
                let (planned, launched) = (node.workers_planned?, node.workers_launched?);
                let below: f64 = plan
                    .children(id)
                    .into_iter()
                    .filter(|(edge, _)| *edge == crate::plan::PlanEdge::Outer)
                    .map(|(_, child)| metrics.node(child).total_share)
                    .sum();
                (launched < planned).then(|| Short {
                    id,
                    planned,
                    launched,
                    share: below * (1.0 - (launched + 1.0) / (planned + 1.0)),
                })
            })
            .collect();
        // The costliest first; the sort is stable, so equal ones stay as in
        // the plan.
        short.sort_by(|a, b| b.share.total_cmp(&a.share));
        let share: f64 = short.iter().map(|gather| gather.share).sum();
        if let (Some(worst), Some(weight)) = (short.first(), Weight::worth_telling(subject, share))
        {
            tell(subject, plan, &short, worst, weight, sink);
        }
    }
}

fn tell(
    subject: &Subject<'_>,
    plan: &PlanGraph,
    short: &[Short],
    worst: &Short,
    weight: Weight,
    sink: &mut Sink,
) {
    let planned: f64 = short.iter().map(|gather| gather.planned).sum();
    let launched: f64 = short.iter().map(|gather| gather.launched).sum();
    let most = short
        .iter()
        .fold(0.0_f64, |most, gather| most.max(gather.planned));
    let mut message = if launched > 0.0 {
        format!(
            "{} of {} {} launched",
            show::count(launched),
            show::plural(planned, "planned worker", "planned workers"),
            if show::count(launched) == "1" {
                "was"
            } else {
                "were"
            }
        )
    } else {
        format!(
            "none of {} launched",
            show::plural(planned, "planned worker was", "planned workers was")
        )
    };
    if short.len() > 1 {
        message.push_str(&format!(", at {} Gather nodes", short.len()));
    }
    let limit =
        memory::setting(subject, "max_parallel_workers").and_then(|text| text.parse::<f64>().ok());
    let too_low = limit.filter(|limit| *limit < most);
    let why = if launched > 0.0 {
        "the processes that were there had to do the others' work; the plan was chosen for all of \
         them"
    } else {
        "the leader did all the work alone, by a plan that was chosen for several processes"
    };
    let mut draft = sink
        .report(
            message,
            why,
            Evidence::new(
                "workers planned",
                Value::Count(planned),
                Origin::Plan(worst.id),
            ),
        )
        .node(worst.id)
        .level(weight.level().min(crate::finding::Level::Warning))
        .share(weight.share())
        .evidence(Evidence::new(
            "workers launched",
            Value::Count(launched),
            Origin::Plan(worst.id),
        ));
    if let Some(limit) = limit {
        draft = draft.evidence(Evidence::new(
            "max_parallel_workers",
            Value::Count(limit),
            if plan.run.settings.contains_key("max_parallel_workers") {
                Origin::Plan(plan.root)
            } else {
                Origin::Catalog("max_parallel_workers".to_owned())
            },
        ));
    }
    draft = draft.evidence(weight.evidence());
    if too_low.is_some() {
        draft.suggest(suggest::setting(
            format!(
                "allow {} in max_parallel_workers",
                show::plural(most, "worker", "workers")
            ),
            format!("SET max_parallel_workers = {most:.0};"),
            "each worker is a process with its own work_mem; the server has no more of them than \
             max_worker_processes, which background workers share",
        ));
    } else {
        draft.suggest(suggest::judgement(
            "find out who held the workers",
            "compare max_parallel_workers and max_worker_processes with the workers in use at \
             that time (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'parallel \
             worker'): raise both if the processors have room, else lower \
             max_parallel_workers_per_gather, so that plans count on workers that they can get; \
             and see whether the client fetches rows in portions, which forbids workers",
        ));
    }
}
