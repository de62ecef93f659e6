//! A statement whose planning takes much memory.

use serde_json::Value as Json;

use super::support::{show, suggest};
use crate::declare_rule;
use crate::finding::{Evidence, Level, Origin, Value};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

const MB: f64 = 1024.0 * 1024.0;
/// Less is what ordinary statements take.
const LEAST_BYTES: f64 = 32.0 * MB;
/// From here a few sessions at once are a danger to the server.
const MUCH_BYTES: f64 = 256.0 * MB;

declare_rule! {
    /// ## What it does
    ///
    /// Finds statements whose planning allocated at least 32 MB, which EXPLAIN
    /// prints since version 17 with the option MEMORY. It saves no time that
    /// could be reckoned, so its share is 0.
    ///
    /// ## Why it matters
    ///
    /// No setting bounds the planner's memory, and each session that plans
    /// takes it anew, beside `work_mem`. Partitionwise joins of tables with
    /// many partitions, and joins of many tables, are what takes most.
    ///
    /// ## When it is wrong
    ///
    /// When few sessions plan such statements at a time: the memory is given
    /// back after planning, or kept with the plan only where it is cached.
    ///
    /// ## References
    ///
    /// - [EXPLAIN, MEMORY](https://www.postgresql.org/docs/current/sql-explain.html)
    /// - [enable_partitionwise_join](https://www.postgresql.org/docs/current/runtime-config-query.html#GUC-ENABLE-PARTITIONWISE-JOIN)
    pub struct PlanningTakesMuchMemory = {
        id: "planning-takes-much-memory",
        summary: "planning the statement takes much memory in each session",
        level: Note,
        needs: [Plan],
        since: "0.1.0",
    }
}

impl Rule for PlanningTakesMuchMemory {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(plan) = subject.plan else { return };
        let kilobytes = |key: &str| {
            plan.run
                .extra
                .get("Planning")
                .and_then(|planning| planning.get(key))
                .and_then(Json::as_f64)
        };
        let Some(used) = kilobytes("Memory Used").map(|used| used * 1024.0) else {
            return;
        };
        let allocated = kilobytes("Memory Allocated").map_or(used, |allocated| allocated * 1024.0);
        if allocated < LEAST_BYTES {
            return;
        }
        let partitionwise = plan
            .run
            .settings
            .iter()
            .any(|(name, value)| name.starts_with("enable_partitionwise") && value == "on");
        sink.report(
            format!("planning took {} of memory", show::bytes(allocated)),
            if partitionwise {
                "partitionwise planning considers each pair of partitions by itself, and no \
                 setting bounds the planner's memory"
            } else {
                "no setting bounds the planner's memory: it grows with the tables and partitions \
                 that are joined"
            },
            Evidence::new(
                "memory allocated by the planner",
                Value::Bytes(allocated),
                Origin::Plan(plan.root),
            ),
        )
        .node(plan.root)
        .level(if allocated >= MUCH_BYTES {
            Level::Warning
        } else {
            Level::Note
        })
        .share(0.0)
        .evidence(Evidence::new(
            "memory used by the planner",
            Value::Bytes(used),
            Origin::Plan(plan.root),
        ))
        .suggest(suggest::judgement(
            "let the planner consider less",
            if partitionwise {
                "keep enable_partitionwise_join and enable_partitionwise_aggregate for the \
                 statements that gain by them, or prune the partitions by a condition on their \
                 key; count the sessions that may plan such statements at once"
            } else {
                "prune partitions by a condition on their key, keep join_collapse_limit and \
                 from_collapse_limit at their defaults, and count the sessions that may plan such \
                 statements at once"
            },
        ));
    }
}
