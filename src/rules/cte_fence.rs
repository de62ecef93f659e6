//! A materialised CTE of which the query around it needs little.

use super::support::{node, show, weight::Weight};
use crate::declare_rule;
use crate::finding::{Applicability, Change, Evidence, Origin, Suggestion, Value};
use crate::plan::{ConditionRole, NodeId, NodeKind, PlanEdge, PlanGraph};
use crate::rule::{Rule, Sink};
use crate::sql::{SelectId, SelectRole};
use crate::subject::Subject;

/// Fewer rows are computed in no time.
const LEAST_ROWS: f64 = 1_000.0;
/// The readers together keep at most this share.
const MOST_KEPT: f64 = 0.1;

declare_rule! {
    /// ## What it does
    ///
    /// Finds a CTE that was computed as a whole, and of whose rows the
    /// conditions of the query around it keep at most a tenth. Recursive CTEs
    /// and those that change data are always computed as a whole, and are left
    /// alone, as are those that call volatile functions.
    ///
    /// ## Why it matters
    ///
    /// A CTE that is declared MATERIALIZED, or is read more than once, is a
    /// fence: conditions outside do not reach into it, so that its tables are
    /// read as a whole where an index could have found the few rows.
    ///
    /// ## When it is wrong
    ///
    /// When the CTE is dear and each of its readers needs most of it, or when
    /// the fence is there to keep the planner from a worse plan.
    ///
    /// ## References
    ///
    /// - [Common table expression materialization](https://www.postgresql.org/docs/current/queries-with.html#QUERIES-WITH-CTE-MATERIALIZATION)
    pub struct CteFence = {
        id: "cte-fence",
        summary: "a materialised CTE is computed as a whole, and most of it thrown away",
        level: Warning,
        needs: [Plan],
        concerns: [CteScan],
        since: "0.1.0",
    }
}

impl Rule for CteFence {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(plan) = subject.plan else { return };
        for (id, node) in plan.nodes() {
            if let (Some((PlanEdge::InitPlan, _)), Some(name)) = (
                plan.parent(id),
                node.subplan_name
                    .as_deref()
                    .and_then(|name| name.strip_prefix("CTE ")),
            ) {
                look(subject, plan, id, name, sink);
            }
        }
    }
}

fn look(subject: &Subject<'_>, plan: &PlanGraph, id: NodeId, name: &str, sink: &mut Sink) {
    let exempt = plan.subtree(id).into_iter().any(|below| {
        matches!(
            plan.node(below).kind,
            NodeKind::RecursiveUnion | NodeKind::ModifyTable | NodeKind::LockRows
        )
    });
    let level = level_of(subject, name);
    if exempt || level.is_some_and(|(level, _)| calls_volatile(subject, level)) {
        return;
    }
    let scans: Vec<NodeId> = plan
        .nodes()
        .filter(|(_, node)| {
            node.kind == NodeKind::CteScan && node.relation.name.as_deref() == Some(name)
        })
        .map(|(id, _)| id)
        .collect();
    let Some((given, kept, measured)) = rows(plan, id, &scans) else {
        return;
    };
    if given < LEAST_ROWS || kept > given * MOST_KEPT {
        return;
    }
    let filtered = scans
        .iter()
        .find(|scan| plan.node(**scan).condition(ConditionRole::Filter).is_some());
    let (Some(scan), Some(metrics)) = (filtered, subject.metrics) else {
        return;
    };
    let share = metrics.node(id).total_share
        + scans
            .iter()
            .map(|scan| metrics.node(*scan).self_share)
            .sum::<f64>();
    let Some(weight) = Weight::worth_telling(subject, share.min(1.0) * (1.0 - kept / given)) else {
        return;
    };
    let declared = level.and_then(|(_, declared)| declared) == Some(true);
    let reason = if declared {
        "it is declared MATERIALIZED"
    } else if scans.len() > 1 {
        "it is read more than once"
    } else {
        "it is materialised"
    };
    let keyword = if declared {
        format!("write {name} AS NOT MATERIALIZED, or leave the word out")
    } else {
        format!("write {name} AS NOT MATERIALIZED")
    };
    let from = if measured {
        Origin::Plan(*scan)
    } else {
        Origin::Formula("the planner's estimate")
    };
    let draft = sink
        .report(
            format!(
                "CTE {name} gives {}, of which {} {} needed",
                show::rows(given),
                show::count(kept),
                if show::count(kept) == "1" {
                    "is"
                } else {
                    "are"
                }
            ),
            format!(
                "{reason}, so that the conditions outside do not reach its tables and cannot use \
                 their indexes"
            ),
            Evidence::new("rows computed", Value::Rows(given), from.clone()),
        )
        .evidence(Evidence::new("rows kept", Value::Rows(kept), from))
        .evidence(weight.evidence())
        .node(*scan)
        .level(weight.level())
        .share(weight.share())
        .suggest(Suggestion::untested(
            format!("let the planner look into {name}"),
            Change::Advice { text: keyword },
            Applicability::Manual,
        ));
    let span = level
        .and_then(|(level, _)| subject.query()?.selects.get(level))
        .map(|select| select.span);
    draft.span(span);
}

/// Rows that the CTE gives, and rows that its readers keep at most; whether
/// they were measured.
fn rows(plan: &PlanGraph, id: NodeId, scans: &[NodeId]) -> Option<(f64, f64, bool)> {
    if scans.is_empty() {
        return None;
    }
    let executed = scans.iter().all(|scan| plan.node(*scan).actual.is_some());
    if executed {
        let actual = plan.node(id).actual?;
        let given = actual.rows_per_loop * actual.loops;
        // Each reader alone: what it keeps in all its loops, but never more
        // than there is.
        let kept = scans
            .iter()
            .filter_map(|scan| node::Filtered::of(plan.node(*scan)))
            .map(|filtered| filtered.kept.min(given))
            .sum();
        return Some((given, kept, true));
    }
    let given = plan.node(id).estimate?.rows;
    let kept = scans
        .iter()
        .filter_map(|scan| plan.node(*scan).estimate)
        .map(|estimate| estimate.rows)
        .sum();
    Some((given, kept, false))
}

/// The CTE's level in the SQL, and whether MATERIALIZED stands there.
fn level_of(subject: &Subject<'_>, wanted: &str) -> Option<(SelectId, Option<bool>)> {
    let query = subject.query()?;
    let mut found =
        query
            .selects
            .iter()
            .enumerate()
            .filter_map(|(id, select)| match &select.role {
                SelectRole::Cte {
                    name, materialized, ..
                } if name == wanted => Some((id, *materialized)),
                _ => None,
            });
    let first = found.next();
    first.filter(|_| found.next().is_none())
}

/// Built-in volatile functions that stand in CTEs to be called once.
const VOLATILE: &[&str] = &[
    "clock_timestamp",
    "gen_random_uuid",
    "nextval",
    "random",
    "timeofday",
];

fn calls_volatile(subject: &Subject<'_>, level: SelectId) -> bool {
    let Some(query) = subject.query() else {
        return false;
    };
    let within = |mut select: SelectId| loop {
        if select == level {
            return true;
        }
        match query.selects.get(select).and_then(|found| found.parent) {
            Some(parent) => select = parent,
            None => return false,
        }
    };
    query.functions.iter().any(|call| {
        let volatile = match subject
            .catalog
            .and_then(|catalog| catalog.functions.get(&call.name))
        {
            Some(volatility) => *volatility == 'v',
            None => VOLATILE.contains(&call.name.as_str()),
        };
        volatile && within(call.select)
    })
}
