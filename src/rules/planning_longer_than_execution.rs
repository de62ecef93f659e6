//! A statement that is planned for longer than it runs.

use serde_json::Value as Json;

use super::support::{node, show, suggest, weight::Weight};
use crate::declare_rule;
use crate::finding::{Evidence, Level, Origin, Value};
use crate::plan::{NodeKind, PlanGraph};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

/// Quicker planning is no matter, and in a new session mostly the reading of
/// the catalogue.
const LEAST_MS: f64 = 20.0;
/// From here it is felt by whoever waits.
const LONG_MS: f64 = 100.0;
/// So many relations in a plan are partitions, not what the query names.
const MANY_SCANS: usize = 30;

declare_rule! {
    /// ## What it does
    ///
    /// Finds statements whose planning took at least 20 ms and longer than
    /// their execution. What could be saved is the planning time, as a share
    /// of planning and execution together.
    ///
    /// ## Why it matters
    ///
    /// A statement that is sent as text is planned each time. Planning grows
    /// with the number of partitions, of indexes, and above all of tables that
    /// are joined.
    ///
    /// ## When it is wrong
    ///
    /// At the first statements of a session, which fill its cache of the
    /// catalogue: explain it twice. A prepared statement is planned at most
    /// five times when a generic plan serves as well.
    ///
    /// ## References
    ///
    /// - [PREPARE](https://www.postgresql.org/docs/current/sql-prepare.html#SQL-PREPARE-NOTES)
    /// - [plan_cache_mode](https://www.postgresql.org/docs/current/runtime-config-query.html#GUC-PLAN-CACHE-MODE)
    /// - [Best practices for partitioning](https://www.postgresql.org/docs/current/ddl-partitioning.html#DDL-PARTITIONING-DECLARATIVE-BEST-PRACTICES)
    pub struct PlanningLongerThanExecution = {
        id: "planning-longer-than-execution",
        summary: "planning the statement takes longer than running it",
        level: Note,
        needs: [Actuals],
        since: "0.1.0",
    }
}

impl Rule for PlanningLongerThanExecution {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(plan) = subject.plan else { return };
        let (Some(planning), Some(execution)) =
            (plan.run.planning_ms, suggest::execution_ms(subject, plan))
        else {
            return;
        };
        if planning < LEAST_MS || planning <= execution {
            return;
        }
        if let Some(weight) = Weight::of_ms(subject, planning, planning + execution) {
            tell(plan, planning, execution, weight, sink);
        }
    }
}

fn tell(plan: &PlanGraph, planning: f64, execution: f64, weight: Weight, sink: &mut Sink) {
    let scans = plan
        .nodes()
        .filter(|(_, node)| node::reads_table(node))
        .count();
    let joins = plan
        .nodes()
        .filter(|(_, node)| {
            matches!(
                node.kind,
                NodeKind::NestedLoop | NodeKind::HashJoin | NodeKind::MergeJoin
            )
        })
        .count();
    let read = plan
        .run
        .extra
        .get("Planning")
        .and_then(|planning| planning.get("Shared Read Blocks"))
        .and_then(Json::as_f64)
        .filter(|blocks| *blocks > 0.0);
    let mut draft = sink
        .report(
            format!(
                "planning took {} as long as execution",
                show::factor(planning / execution.max(0.001))
            ),
            "a statement that is sent as text is planned anew each time",
            Evidence::new(
                "planning time",
                Value::Ms(planning),
                Origin::Plan(plan.root),
            ),
        )
        .node(plan.root)
        .level(if planning >= LONG_MS {
            weight.level().min(Level::Warning)
        } else {
            Level::Note
        })
        .share(weight.share())
        .evidence(Evidence::new(
            "execution time",
            Value::Ms(execution),
            Origin::Plan(plan.root),
        ));
    for (label, number) in [("scans in the plan", scans), ("joins in the plan", joins)] {
        if let Ok(number) = u32::try_from(number) {
            draft = draft.evidence(Evidence::new(
                label,
                Value::Count(f64::from(number)),
                Origin::Formula("nodes of the plan"),
            ));
        }
    }
    if let Some(blocks) = read {
        draft = draft.evidence(Evidence::new(
            "blocks of the catalogue read from outside the buffer cache",
            Value::Blocks(blocks),
            Origin::Plan(plan.root),
        ));
    }
    draft = draft.evidence(weight.evidence());
    let text = if scans > MANY_SCANS {
        "prepare the statement, so that a generic plan can be kept (plan_cache_mode = \
         force_generic_plan makes it so, and leaves pruning to the execution), and give it a \
         condition on the partition key that the planner can prune by"
    } else if joins >= 8 {
        "prepare the statement, so that a generic plan can be kept (plan_cache_mode = \
         force_generic_plan makes it so), and see whether join_collapse_limit and \
         from_collapse_limit were raised: the time grows exponentially with them"
    } else {
        "prepare the statement (or let the driver do it), so that a generic plan can be kept; \
         plan_cache_mode = force_generic_plan makes it so from the first execution, for statements \
         whose plan does not depend on their parameters"
    };
    draft.suggest(suggest::judgement("plan it once, and run it often", text));
}
