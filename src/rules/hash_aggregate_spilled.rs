//! A hash aggregate that did not fit into memory.

use serde_json::Value as Json;

use super::support::{memory, node::Filtered, show, suggest, weight::Weight};
use crate::declare_rule;
use crate::finding::{Evidence, Level, Origin, Value};
use crate::plan::{NodeId, NodeKind, PlanNode};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

/// About half of the time of a spilled aggregate goes into writing and reading
/// again.
const SPILL_SHARE: f64 = 0.5;
/// Less on disk is gone in a moment.
const LEAST_BYTES: f64 = 1024.0 * 1024.0;

declare_rule! {
    /// ## What it does
    ///
    /// Finds a hash aggregate that wrote at least 1 MB to temporary files,
    /// because its groups did not fit into `work_mem` times
    /// `hash_mem_multiplier`. It reckons the memory from the number of groups
    /// and their width, and says when there were far more groups than planned.
    ///
    /// Half of the aggregate's own time is taken as what could be saved.
    ///
    /// ## Why it matters
    ///
    /// Rows of groups that found no room are written to temporary files, read
    /// again and aggregated in a later pass.
    ///
    /// ## When it is wrong
    ///
    /// When memory is short: the setting counts for every sort and hash of
    /// every process. Functions whose state grows, such as `array_agg` and
    /// `string_agg`, need more than is reckoned here.
    ///
    /// ## References
    ///
    /// - [work_mem and hash_mem_multiplier](https://www.postgresql.org/docs/current/runtime-config-resource.html#GUC-WORK-MEM)
    pub struct HashAggregateSpilled = {
        id: "hash-aggregate-spilled",
        summary: "a hash aggregate did not fit into memory and went through temporary files",
        level: Warning,
        needs: [Actuals],
        concerns: [Aggregate],
        since: "0.1.0",
    }
}

impl Rule for HashAggregateSpilled {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(plan) = subject.plan else { return };
        for (id, node) in plan.nodes() {
            if node.kind == NodeKind::Aggregate && of_all(node, "Disk Usage") >= LEAST_BYTES {
                look(subject, id, node, sink);
            }
        }
    }
}

/// A figure in kB, the leader's and all workers' together, in bytes.
fn of_all(node: &PlanNode, key: &str) -> f64 {
    let workers = node
        .extra
        .get("Workers")
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
        .filter_map(|worker| worker.get(key)?.as_f64());
    node.number(key).into_iter().chain(workers).sum::<f64>() * 1024.0
}

fn look(subject: &Subject<'_>, id: NodeId, node: &PlanNode, sink: &mut Sink) {
    let (Some(metrics), Some(filtered)) = (subject.metrics, Filtered::of(node)) else {
        return;
    };
    let share = metrics.node(id).self_share * SPILL_SHARE;
    let Some(weight) = Weight::worth_telling(subject, share) else {
        return;
    };
    let disk = of_all(node, "Disk Usage");
    // HAVING throws groups away that took their room.
    let groups = filtered.read() / filtered.loops;
    let estimate = node.estimate;
    let expected = estimate.map(|estimate| estimate.rows);
    // The estimate is of what passes HAVING.
    let more =
        expected.filter(|expected| filtered.removed <= 0.0 && groups >= expected.max(1.0) * 2.0);
    let width = estimate.map_or(8.0, |estimate| estimate.width);
    let need = memory::hash_aggregate_need(groups, width);
    // Several grouping sets share the memory.
    let is_plain = node.text("Strategy") == Some("Hashed");
    let mut why = "rows of groups that found no room in work_mem times hash_mem_multiplier were \
                   written to temporary files and aggregated later"
        .to_owned();
    if let Some(expected) = more {
        why.push_str(&format!(
            "; the planner expected {}",
            show::plural(expected, "group", "groups")
        ));
    }
    let mut draft = sink
        .report(
            format!(
                "hash aggregate of {} wrote {} to temporary files",
                show::plural(groups, "group", "groups"),
                show::bytes(disk)
            ),
            why,
            Evidence::new("bytes on disk", Value::Bytes(disk), Origin::Plan(id)),
        )
        .node(id)
        .level(weight.level().max(Level::Note))
        .share(weight.share())
        .evidence(Evidence::new(
            "groups",
            Value::Rows(groups),
            Origin::Plan(id),
        ));
    if let Some(batches) = node.number("HashAgg Batches") {
        draft = draft.evidence(Evidence::new(
            "batches",
            Value::Count(batches),
            Origin::Plan(id),
        ));
    }
    if let Some(expected) = more {
        draft = draft.evidence(Evidence::new(
            "groups expected",
            Value::Rows(expected),
            Origin::Plan(id),
        ));
    }
    let mut raise = None;
    if is_plain {
        draft = draft.evidence(Evidence::new(
            "memory needed",
            Value::Bytes(need),
            Origin::Formula(
                "groups × (the width and 96 bytes) and 24 bytes a bucket, and 40 % more",
            ),
        ));
        raise = memory::raise_work_mem(subject, need / memory::hash_mem_multiplier(subject));
    }
    draft
        .evidence(weight.evidence())
        .suggest(raise.unwrap_or_else(|| {
            suggest::judgement(
                "aggregate fewer or narrower groups",
                "filter before the aggregate, group by an id in place of wide text, or raise \
                 work_mem for this statement's session",
            )
        }));
}
