//! Plans in which the index is used because what is preferred to it is
//! switched off, and other indexes are hidden where the planner can do that.
//!
//! Before version 18 a node that is switched off stays possible at a penalty
//! of 10^10 (`disable_cost`), which EXPLAIN adds to the cost; it is taken off
//! again here. Since 18 such nodes are counted apart from the cost.

use super::{Case, Forced, terms};
use crate::catalog::{ConstraintKind, ident};
use crate::plan::{ConditionRole, NodeKind, PlanGraph};
use crate::sql::condition;
use crate::verify::{PlanError, Planner, Supposition};

/// `disable_cost` in `costsize.c`.
const PENALTY: f64 = 1.0e10;
/// Above so many penalties the rest is lost in rounding.
const MOST_PENALTIES: f64 = 1.0e5;

/// Everything that reads an index is allowed, whatever the user's settings.
const ALLOWED: &[(&str, &str)] = &[
    ("enable_indexscan", "on"),
    ("enable_indexonlyscan", "on"),
    ("enable_bitmapscan", "on"),
];

/// What is switched off, one set after the other: first little, so that the
/// rest of the plan stays as it is.
const SETS: &[&[&str]] = &[
    &["enable_seqscan"],
    &["enable_seqscan", "enable_bitmapscan"],
    &["enable_seqscan", "enable_indexscan", "enable_indexonlyscan"],
    &["enable_seqscan", "enable_sort"],
    &["enable_seqscan", "enable_hashjoin", "enable_mergejoin"],
    &[
        "enable_seqscan",
        "enable_hashjoin",
        "enable_nestloop",
        "enable_sort",
    ],
    &["enable_seqscan", "enable_sort", "enable_hashagg"],
];

/// What came of trying.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    /// The cheapest plan with the index, those first in which it finds rows
    /// by its first key.
    pub(super) best: Option<Forced>,
    /// Plans asked for.
    pub(super) tried: usize,
    /// Other indexes could be hidden, so that they cannot have stood in the
    /// way.
    pub(super) others_hidden: bool,
}

/// Asks for plans with the index.
pub(super) fn attempts(case: &Case<'_>, planner: &mut dyn Planner) -> Result<Attempts, PlanError> {
    let mut attempts = Attempts::default();
    for set in SETS {
        let settings = settings(set);
        let plan = planner.plan_with(case.planned(), &settings);
        attempts.take(case, plan, set, None)?;
    }
    if attempts
        .best
        .as_ref()
        .is_some_and(|forced| forced.by_first_key)
    {
        return Ok(attempts);
    }
    let others = others(case);
    if others.is_empty() {
        attempts.others_hidden = true;
        return Ok(attempts);
    }
    for set in SETS {
        let mut suppositions = others.clone();
        suppositions.extend(
            settings(set)
                .iter()
                .map(|(name, value)| Supposition::set(name, value)),
        );
        match planner.what_if(&[case.planned()], &suppositions) {
            Ok(mut what_if) => {
                attempts.others_hidden = true;
                let hidden = match planner.what_if_engine() {
                    Some(engine) => format!(
                        "other indexes of the table hidden on {}",
                        engine.description
                    ),
                    None => "other indexes of the table hidden".to_owned(),
                };
                if let Some(plan) = what_if.plans.pop() {
                    attempts.take(case, plan, set, Some(hidden))?;
                }
            }
            Err(error @ (PlanError::Lost { .. } | PlanError::TimedOut { .. })) => {
                return Err(error);
            }
            // Only a throw-away server can hide an index.
            Err(_) => break,
        }
    }
    Ok(attempts)
}

impl Attempts {
    fn take(
        &mut self,
        case: &Case<'_>,
        plan: Result<PlanGraph, PlanError>,
        set: &[&str],
        hidden: Option<String>,
    ) -> Result<(), PlanError> {
        self.tried += 1;
        let plan = match plan {
            Ok(plan) => plan,
            Err(error @ (PlanError::Lost { .. } | PlanError::TimedOut { .. })) => {
                return Err(error);
            }
            Err(_) => return Ok(()),
        };
        let nodes = case.nodes(&plan);
        if nodes.is_empty() {
            return Ok(());
        }
        let mut how: Vec<String> = set.iter().map(|name| format!("{name} = off")).collect();
        how.extend(hidden);
        let forced = Forced {
            cost: without_penalties(case, &plan),
            by_first_key: nodes
                .iter()
                .any(|id| finds_by_first_key(case, plan.node(*id))),
            index_rows: nodes
                .iter()
                .map(|id| plan.node(*id))
                .filter(|node| node.kind == NodeKind::BitmapIndexScan)
                .find_map(|node| node.estimate.map(|estimate| estimate.rows)),
            nodes,
            how: how.join(", "),
            plan,
        };
        let Some(best) = &mut self.best else {
            self.best = Some(forced);
            return Ok(());
        };
        // A bitmap's index scan says exactly how many rows the index gives.
        let rows = best.index_rows.or(forced.index_rows);
        let rank = |forced: &Forced| (!forced.by_first_key, forced.cost.unwrap_or(f64::INFINITY));
        if rank(&forced) < rank(best) {
            *best = forced;
        }
        best.index_rows = rows;
        Ok(())
    }
}

fn settings(set: &[&'static str]) -> Vec<(&'static str, &'static str)> {
    ALLOWED
        .iter()
        .copied()
        .filter(|(name, _)| !set.contains(name))
        .chain(set.iter().map(|name| (*name, "off")))
        .collect()
}

/// What takes the table's other indexes away; those that the index's own
/// constraint needs stay.
fn others(case: &Case<'_>) -> Vec<Supposition> {
    let table = case.relation.qualified();
    case.relation
        .indexes
        .iter()
        .filter(|index| index.name != case.index.name)
        .map(|index| {
            let constraint = case.relation.constraints.iter().any(|constraint| {
                constraint.name == index.name
                    && matches!(
                        constraint.kind,
                        ConstraintKind::PrimaryKey
                            | ConstraintKind::Unique
                            | ConstraintKind::Exclusion
                    )
            });
            let name = ident::quote(&index.name);
            Supposition::Sql(if constraint {
                format!("ALTER TABLE {table} DROP CONSTRAINT {name} CASCADE")
            } else {
                format!("DROP INDEX {}.{name}", ident::quote(&case.relation.schema))
            })
        })
        .collect()
}

/// The plan's cost without what was added for nodes that are switched off.
pub(super) fn without_penalties(case: &Case<'_>, plan: &PlanGraph) -> Option<f64> {
    let total = plan.total_cost()?;
    if case.version >= 180_000 || total < PENALTY {
        return Some(total);
    }
    let usual = case.plan.total_cost()?;
    if usual > PENALTY / 10.0 || total > PENALTY * MOST_PENALTIES {
        return None;
    }
    let rest = total % PENALTY;
    // Cheaper than the plan that was chosen it cannot be: then a part of a
    // penalty was counted.
    (rest >= usual * 0.99).then_some(rest)
}

/// Whether the node's index condition is on the index's first key.
fn finds_by_first_key(case: &Case<'_>, node: &crate::plan::PlanNode) -> bool {
    let Some(key) = case.index.keys.first() else {
        return false;
    };
    // GIN, GiST and BRIN have no order among their keys: any will do.
    let ordered = matches!(case.index.method.as_str(), "btree" | "hash");
    [ConditionRole::IndexCond, ConditionRole::OrderBy]
        .into_iter()
        .filter_map(|role| node.condition(role))
        .flat_map(condition::parse)
        .any(|term| !ordered || terms::is_on_key(&term, key))
}
