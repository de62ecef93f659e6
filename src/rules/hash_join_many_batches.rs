//! A hash table that did not fit into memory.

use super::support::{memory, node, show, weight::Weight};
use crate::declare_rule;
use crate::finding::{Evidence, Origin, Value};
use crate::plan::{NodeId, NodeKind, PlanEdge, PlanGraph, PlanNode};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

/// About half of the join's own time goes into writing and reading again.
const SPILL_SHARE: f64 = 0.5;

declare_rule! {
    /// ## What it does
    ///
    /// Finds a hash join whose hash table was split into batches, because it
    /// did not fit into `work_mem` times `hash_mem_multiplier`. It reckons the
    /// memory for one batch from the rows that were hashed and their width,
    /// and says when the server had to split further than it had planned,
    /// which is the mark of an estimate that was too low.
    ///
    /// Half of the time of the hash and its join is taken as what could be
    /// saved.
    ///
    /// ## Why it matters
    ///
    /// All batches but the first are written to temporary files, from both
    /// sides of the join, and read again.
    ///
    /// ## When it is wrong
    ///
    /// When memory is short: the setting counts for every sort and hash of
    /// every process. When the rows are too many, hashing the smaller side, or
    /// filtering before the join, does more.
    ///
    /// ## References
    ///
    /// - [work_mem and hash_mem_multiplier](https://www.postgresql.org/docs/current/runtime-config-resource.html#GUC-WORK-MEM)
    pub struct HashJoinManyBatches = {
        id: "hash-join-many-batches",
        summary: "a hash join did not fit into memory and went through temporary files",
        level: Warning,
        needs: [Actuals],
        concerns: [Hash, HashJoin],
        since: "0.1.0",
    }
}

impl Rule for HashJoinManyBatches {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(plan) = subject.plan else { return };
        for (id, hash) in plan.nodes() {
            if hash.kind != NodeKind::Hash {
                continue;
            }
            match hash.number("Hash Batches") {
                Some(batches) if batches > 1.0 => look(subject, plan, id, hash, batches, sink),
                Some(_) => sink.pass(id, || "the hash table fitted into memory".to_owned()),
                None => {}
            }
        }
    }
}

fn look(
    subject: &Subject<'_>,
    plan: &PlanGraph,
    id: NodeId,
    hash: &PlanNode,
    batches: f64,
    sink: &mut Sink,
) {
    let (Some(metrics), Some((_, join))) = (subject.metrics, plan.parent(id)) else {
        return;
    };
    let share = (metrics.node(id).self_share + metrics.node(join).self_share) * SPILL_SHARE;
    let Some(weight) = Weight::worth_telling(subject, share) else {
        return;
    };
    let Some(rows) = hashed_rows(plan, id, hash) else {
        return;
    };
    let width = hash.estimate.map_or(0.0, |estimate| estimate.width);
    let original = hash.number("Original Hash Batches").unwrap_or(batches);
    // A parallel hash table is shared, and all its processes' memory with it.
    let sharing = if hash.parallel_aware {
        hash.actual.map_or(1.0, |actual| actual.loops.max(1.0))
    } else {
        1.0
    };
    let need = memory::hash_need(rows, width);
    let multiplier = memory::hash_mem_multiplier(subject);
    let grown = batches > original;

    let message = format!(
        "hash of {} was split into {} batches{}",
        show::rows(rows),
        show::count(batches),
        if grown {
            format!(", {} were planned", show::count(original))
        } else {
            String::new()
        }
    );
    let why = format!(
        "the hash table needs about {} in one piece, more than work_mem times hash_mem_multiplier; \
         both sides of the join went through temporary files{}",
        show::bytes(need),
        if grown {
            ", and the split had to be made finer during the run because there were more rows than \
             expected"
        } else {
            ""
        }
    );
    let mut draft = sink
        .report(
            message,
            why,
            Evidence::new("batches", Value::Count(batches), Origin::Plan(id)),
        )
        .node(id)
        .level(weight.level())
        .share(weight.share())
        .evidence(Evidence::new(
            "batches planned",
            Value::Count(original),
            Origin::Plan(id),
        ))
        .evidence(Evidence::new(
            "rows hashed",
            Value::Rows(rows),
            Origin::Plan(id),
        ))
        .evidence(Evidence::new(
            "memory needed",
            Value::Bytes(need),
            Origin::Formula("rows × (32 bytes and the width, aligned to 8) and 8 bytes a bucket"),
        ));
    if let Some(peak) = hash.number("Peak Memory Usage") {
        draft = draft.evidence(Evidence::new(
            "memory used at most",
            Value::Bytes(peak * 1024.0),
            Origin::Plan(id),
        ));
    }
    draft = draft.evidence(weight.evidence());
    if let Some(suggestion) = memory::raise_work_mem(subject, need / multiplier / sharing) {
        draft = draft.suggest(suggestion);
    }
    let scans: Vec<NodeId> = plan
        .subtree(id)
        .into_iter()
        .filter(|below| node::reads_table(plan.node(*below)))
        .collect();
    if let [only] = scans.as_slice()
        && let Some((schema, name)) = node::relation(subject, plan.node(*only))
    {
        draft.relation(schema, name);
    }
}

/// Rows in the hash table: one execution's, or what all processes put into a
/// shared one.
fn hashed_rows(plan: &PlanGraph, id: NodeId, hash: &PlanNode) -> Option<f64> {
    let child = plan.child(id, PlanEdge::Outer)?;
    let actual = plan.node(child).actual?;
    Some(if hash.parallel_aware {
        actual.rows_per_loop * actual.loops
    } else {
        actual.rows_per_loop
    })
}
