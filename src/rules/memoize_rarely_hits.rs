//! A cache of a nested loop's inner side that does not serve.

use serde_json::Value as Json;

use super::support::{memory, show, suggest, weight::Weight};
use crate::declare_rule;
use crate::finding::{Evidence, Level, Origin, Value};
use crate::plan::{NodeId, NodeKind, PlanEdge, PlanGraph, PlanNode};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

/// Fewer lookups are no matter.
const LEAST_LOOKUPS: f64 = 1_000.0;
/// A cache that serves less than this share of the lookups is in the way.
const FEW_HITS: f64 = 0.1;

declare_rule! {
    /// ## What it does
    ///
    /// Finds Memoize nodes that threw entries out to make room more often than
    /// they served one, or could not keep entries at all, and those that
    /// served less than a tenth of the lookups.
    ///
    /// When memory was short, what could be saved is the time below the node,
    /// in the share of its misses that were evicted before; else the node's own
    /// time. What the entries would need is reckoned from the memory of those
    /// that were there, for as many as there were misses: at most so many keys
    /// are distinct.
    ///
    /// ## Why it matters
    ///
    /// The planner chose a nested loop because it expected hits. Without them
    /// the inner side runs for nearly every row, and the cache comes on top.
    ///
    /// ## When it is wrong
    ///
    /// When the keys really are all distinct, more memory changes nothing: the
    /// estimate of distinct values is what is wrong.
    ///
    /// ## References
    ///
    /// - [enable_memoize](https://www.postgresql.org/docs/current/runtime-config-query.html#GUC-ENABLE-MEMOIZE)
    /// - [hash_mem_multiplier](https://www.postgresql.org/docs/current/runtime-config-resource.html#GUC-HASH-MEM-MULTIPLIER)
    pub struct MemoizeRarelyHits = {
        id: "memoize-rarely-hits",
        summary: "the cache of a nested loop's inner side serves few lookups",
        level: Note,
        needs: [Actuals],
        concerns: [Memoize],
        since: "0.1.0",
    }
}

/// What a Memoize counted, over all processes.
#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    hits: f64,
    misses: f64,
    evictions: f64,
    overflows: f64,
    /// The largest process's, bytes.
    peak: f64,
    /// Misses and evictions of that process.
    of_peak: (f64, f64),
}

impl Counts {
    fn of(node: &PlanNode) -> Self {
        let mut counts = Self::default();
        let own = |key: &str| node.number(key).unwrap_or(0.0);
        counts.add(&own);
        for worker in node
            .extra
            .get("Workers")
            .and_then(Json::as_array)
            .into_iter()
            .flatten()
        {
            let of_worker = |key: &str| worker.get(key).and_then(Json::as_f64).unwrap_or(0.0);
            counts.add(&of_worker);
        }
        counts
    }

    fn add(&mut self, number: &dyn Fn(&str) -> f64) {
        let (misses, evictions) = (number("Cache Misses"), number("Cache Evictions"));
        self.hits += number("Cache Hits");
        self.misses += misses;
        self.evictions += evictions;
        self.overflows += number("Cache Overflows");
        let peak = number("Peak Memory Usage") * 1024.0;
        if peak > self.peak {
            self.peak = peak;
            self.of_peak = (misses, evictions);
        }
    }
}

impl Rule for MemoizeRarelyHits {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(plan) = subject.plan else { return };
        for (id, node) in plan.nodes() {
            if node.kind == NodeKind::Memoize {
                look(subject, plan, id, Counts::of(node), sink);
            }
        }
    }
}

fn look(subject: &Subject<'_>, plan: &PlanGraph, id: NodeId, counts: Counts, sink: &mut Sink) {
    let (Some(metrics), Some(below)) = (subject.metrics, plan.child(id, PlanEdge::Outer)) else {
        return;
    };
    let lookups = counts.hits + counts.misses;
    if lookups < LEAST_LOOKUPS {
        return;
    }
    let short = counts.evictions > counts.hits || counts.overflows > 0.0;
    let rare = counts.hits < lookups * FEW_HITS;
    let lost = ((counts.evictions + counts.overflows) / counts.misses.max(1.0)).min(1.0);
    let share = if short {
        metrics.node(below).total_share * lost
    } else if rare {
        metrics.node(id).self_share
    } else {
        return;
    };
    let Some(weight) = Weight::worth_telling(subject, share) else {
        return;
    };
    let message = format!(
        "Memoize served {} of {}{}",
        show::count(counts.hits),
        show::plural(lookups, "lookup", "lookups"),
        if short {
            format!(
                ", and threw out {}",
                show::plural(counts.evictions + counts.overflows, "entry", "entries")
            )
        } else {
            String::new()
        }
    );
    let draft = sink
        .report(
            message,
            if short {
                "its entries did not fit into work_mem times hash_mem_multiplier, so that they \
                 were thrown out before they were asked for again"
            } else {
                "nearly every row had a key of its own; the planner expected them to repeat, and \
                 chose the nested loop for that"
            },
            Evidence::new("cache hits", Value::Count(counts.hits), Origin::Plan(id)),
        )
        .node(id)
        .level(weight.level().min(Level::Warning))
        .share(weight.share())
        .evidence(Evidence::new(
            "cache misses",
            Value::Count(counts.misses),
            Origin::Plan(id),
        ))
        .evidence(Evidence::new(
            "cache evictions and overflows",
            Value::Count(counts.evictions + counts.overflows),
            Origin::Plan(id),
        ));
    let (misses, evictions) = counts.of_peak;
    let kept = (misses - evictions).max(1.0);
    let need = counts.peak / kept * misses;
    let draft = if short && counts.overflows <= 0.0 {
        draft.evidence(Evidence::new(
            "memory needed at most",
            Value::Bytes(need),
            Origin::Formula("peak memory ÷ (misses − evictions) × misses"),
        ))
    } else {
        draft
    };
    let draft = draft.evidence(weight.evidence());
    let multiplier = memory::hash_mem_multiplier(subject);
    let raise = (short && counts.overflows <= 0.0)
        .then(|| memory::raise_work_mem(subject, need / multiplier))
        .flatten();
    draft.suggest(raise.unwrap_or_else(|| {
        suggest::judgement(
            "let the planner know how many keys there are",
            "ANALYZE the outer side's tables, with a larger statistics target or n_distinct set \
             for the column that the keys come from; SET enable_memoize = off shows the plan \
             without the cache",
        )
    }));
}
