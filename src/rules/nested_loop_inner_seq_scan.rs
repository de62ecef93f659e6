//! A nested loop that reads a whole table for each row of the other side.

use super::support::{condition, node, show, weight::Weight};
use crate::declare_rule;
use crate::finding::{Evidence, Origin, Value};
use crate::plan::{ConditionRole, NodeId, NodeKind, PlanEdge, PlanGraph};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

/// Fewer executions are no loop worth a word.
const LEAST_LOOPS: f64 = 10.0;
/// A smaller inner table is read as quickly as an index is descended.
const LEAST_INNER_ROWS: f64 = 100.0;
/// Fewer comparisons in all take no time.
const LEAST_COMPARED: f64 = 10_000.0;
/// Where more of the comparisons match, no index saves them.
const MOST_MATCHED: f64 = 0.1;

declare_rule! {
    /// ## What it does
    ///
    /// Finds a nested loop whose inner side is a sequential scan, or a
    /// Materialize of one, that is gone through for each of the outer rows:
    /// at least 10 times, over at least 100 rows each time and 10,000 in all,
    /// of which at most a tenth match the join condition. A join without a
    /// condition is not meant here.
    ///
    /// ## Why it matters
    ///
    /// The work is the product of both sides: twice the data is four times the
    /// time. With an index on the inner table's join columns each outer row
    /// costs one descent; with a join condition that a hash or merge join
    /// takes, the inner table is read once.
    ///
    /// ## When it is wrong
    ///
    /// When the join condition is one that neither an index nor a hash join
    /// serves, such as a function of columns of both sides.
    ///
    /// ## References
    ///
    /// - [Nested loop joins](https://www.postgresql.org/docs/current/planner-optimizer.html)
    /// - [Indexes](https://www.postgresql.org/docs/current/indexes.html)
    pub struct NestedLoopInnerSeqScan = {
        id: "nested-loop-inner-seq-scan",
        summary: "a nested loop scans its inner table sequentially for each outer row",
        level: Warning,
        needs: [Plan],
        concerns: [SeqScan, NestedLoop],
        since: "0.1.0",
    }
}

/// What the loop did, or would do.
struct Loop {
    loops: f64,
    inner_rows: f64,
    matched: f64,
    executed: bool,
}

impl Rule for NestedLoopInnerSeqScan {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(plan) = subject.plan else { return };
        for (id, join) in plan.nodes() {
            if join.kind == NodeKind::NestedLoop {
                look(subject, plan, id, sink);
            }
        }
    }
}

fn look(subject: &Subject<'_>, plan: &PlanGraph, join: NodeId, sink: &mut Sink) {
    let Some(inner) = plan.child(join, PlanEdge::Inner) else {
        return;
    };
    let Some(scan) = seq_scan_of(plan, inner) else {
        return;
    };
    let Some(on) = join_condition(plan, join, scan) else {
        return;
    };
    let Some(counted) = count(subject, plan, join, inner, scan) else {
        return;
    };
    let compared = counted.loops * counted.inner_rows;
    let matched = counted.matched / compared.max(1.0);
    let few = counted.loops < LEAST_LOOPS
        || counted.inner_rows < LEAST_INNER_ROWS
        || compared < LEAST_COMPARED;
    if sink.passes(few, scan, || {
        format!(
            "it goes {} times through {}: under {} times, {} or {} pairs an index helps little",
            show::count(counted.loops),
            show::rows(counted.inner_rows),
            show::count(LEAST_LOOPS),
            show::rows(LEAST_INNER_ROWS),
            show::count(LEAST_COMPARED)
        )
    }) || sink.passes(matched > MOST_MATCHED, scan, || {
        format!(
            "{} of the pairs match, over {}: an index would lead to most rows anyway",
            show::percent(matched),
            show::percent(MOST_MATCHED)
        )
    }) {
        return;
    }
    let Some(metrics) = subject.metrics else {
        return;
    };
    let share = (metrics.node(inner).total_share + metrics.node(join).self_share) * (1.0 - matched);
    let Some(weight) = Weight::worth_telling(subject, share) else {
        return;
    };

    let node = plan.node(scan);
    let verb = if counted.executed { "goes" } else { "would go" };
    let message = format!(
        "nested loop {verb} through {} of {} {} times",
        show::rows(counted.inner_rows),
        node::table_name(node),
        show::count(counted.loops)
    );
    let why = format!(
        "of {} comparisons {} match; an index on the join columns of {} would find those at once, \
         and the work now grows with the product of both sides",
        show::count(compared),
        show::count(counted.matched),
        node::table_name(node)
    );
    let draft = sink
        .report(
            message,
            why,
            Evidence::new(
                "rows compared",
                Value::Rows(compared),
                if counted.executed {
                    Origin::Plan(join)
                } else {
                    Origin::Formula("expected outer rows times rows of the inner table")
                },
            ),
        )
        .node(scan)
        .span(node::span(subject, scan, Some(on)))
        .level(weight.level())
        .share(weight.share())
        .evidence(Evidence::new(
            "times the inner side ran",
            Value::Count(counted.loops),
            Origin::Plan(inner),
        ))
        .evidence(Evidence::new(
            "rows that matched",
            Value::Rows(counted.matched),
            Origin::Plan(join),
        ))
        .evidence(Evidence::new(
            "join condition",
            Value::Text(on.to_owned()),
            Origin::Plan(join),
        ))
        .evidence(weight.evidence());
    if let Some((schema, name)) = node::relation(subject, node) {
        draft.relation(schema, name);
    }
}

/// The sequential scan that the inner side is, below a Materialize or Memoize.
fn seq_scan_of(plan: &PlanGraph, inner: NodeId) -> Option<NodeId> {
    let node = plan.node(inner);
    match node.kind {
        NodeKind::SeqScan => Some(inner),
        NodeKind::Materialize | NodeKind::Memoize => {
            let child = plan.child(inner, PlanEdge::Outer)?;
            (plan.node(child).kind == NodeKind::SeqScan).then_some(child)
        }
        _ => None,
    }
}

/// The condition that ties the inner table to the outer side.
fn join_condition(plan: &PlanGraph, join: NodeId, scan: NodeId) -> Option<&str> {
    if let Some(text) = plan.node(join).condition(ConditionRole::JoinFilter) {
        return Some(text);
    }
    // Pushed down into the scan, it names another table beside its own.
    let node = plan.node(scan);
    let own = node
        .relation
        .alias
        .as_deref()
        .or(node.relation.name.as_deref());
    let text = node::own_condition(node, ConditionRole::Filter)?;
    condition::qualifiers(text)
        .iter()
        .any(|qualifier| Some(qualifier.as_str()) != own)
        .then_some(text)
}

fn count(
    subject: &Subject<'_>,
    plan: &PlanGraph,
    join: NodeId,
    inner: NodeId,
    scan: NodeId,
) -> Option<Loop> {
    let joined = plan.node(join);
    let pushed_down = joined.condition(ConditionRole::JoinFilter).is_none();
    if plan.has_actuals() {
        let through = plan.node(inner).actual?;
        let filtered = node::Filtered::of(plan.node(scan))?;
        let (loops, inner_rows) = if inner == scan {
            (filtered.loops, filtered.read() / filtered.loops)
        } else if pushed_down {
            // A Memoize scans only for the keys that it has not seen.
            (filtered.loops, filtered.read() / filtered.loops)
        } else {
            (through.loops, through.rows_per_loop)
        };
        let matched = if pushed_down {
            filtered.kept
        } else {
            joined
                .actual
                .map_or(0.0, |actual| actual.rows_per_loop * actual.loops)
        };
        return Some(Loop {
            loops,
            inner_rows,
            matched,
            executed: true,
        });
    }
    let outer = plan.child(join, PlanEdge::Outer)?;
    let loops = plan.node(outer).estimate?.rows;
    let (table, _) = node::table_rows(subject, plan, scan)?;
    let inner_rows = if inner == scan || pushed_down {
        table
    } else {
        plan.node(scan).estimate?.rows
    };
    Some(Loop {
        loops,
        inner_rows,
        matched: joined.estimate?.rows,
        executed: false,
    })
}
