//! Plans all queries before and after, and judges each pair.

use super::blame::Blame;
use super::blame_results::Was;
use super::values::{masked_message, with_values};
use super::{
    Applied, CompareOptions, IndexChange, NewStatement, Outcome, PlannedFor, Plans, QueryChange,
    Workload, WorkloadResult,
};
use crate::plan::compare::shape;
use crate::plan::{ConditionRole, NodeKind, PlanGraph};
use crate::verify::compare::{indexes_used, plan_change};
use crate::verify::{ChangeOutcome, PlanError, PlanOptions, Planned, Planner, SupposedChange};

/// Words in which a throw-away server, whose messages are English, says that
/// what is to be made is there; the refusal of a supposed statement comes
/// without its SQLSTATE.
const ALREADY_WORDS: &str = "already exists";

/// Plans every query of the workload without the change and with it, by one
/// planner, and says what the change does to each.
pub fn compare(
    planner: &mut dyn Planner,
    workload: &Workload,
    change: Vec<NewStatement>,
    options: &CompareOptions,
) -> Result<WorkloadResult, PlanError> {
    let all = with_values(workload);
    let workload = &all.workload;
    let mut before = Vec::with_capacity(workload.queries.len());
    for query in &workload.queries {
        match planner.plan(Planned::from(&query.statement), PlanOptions::default()) {
            Err(error @ PlanError::Lost { .. }) => return Err(error),
            plan => before.push(plan),
        }
    }
    // One that takes too long would end the server once more.
    let asked: Vec<usize> = before
        .iter()
        .enumerate()
        .filter(|(_, plan)| {
            matches!(
                plan,
                Ok(_) | Err(PlanError::Refused { .. } | PlanError::Unsupported { .. })
            )
        })
        .map(|(at, _)| at)
        .collect();
    let relations = planner.described(&[], &[])?.relations;
    let mut blame = Blame::new(planner, workload, all.originals, &change, options);
    let tried = blame.after(&asked, change.len())?;
    let mut after: Vec<Option<Result<PlanGraph, PlanError>>> =
        before.iter().map(|_| None).collect();
    for (at, plan) in asked.iter().zip(tried.plans) {
        if let Some(slot) = after.get_mut(*at) {
            *slot = Some(plan);
        }
    }
    let mut queries = Vec::with_capacity(before.len());
    let mut total = 0.0;
    let mut weights = Vec::with_capacity(before.len());
    for (at, (was, is)) in before.iter().zip(&after).enumerate() {
        let weight = if at < all.originals {
            weight(workload, at, was)
        } else {
            0.0
        };
        total += weight;
        weights.push(weight);
        queries.push(QueryChange {
            query: at,
            outcome: judge(workload, at, was, is.as_ref(), options),
            cause: None,
            result: None,
            result_cause: None,
            share: 0.0,
            planned_for: PlannedFor::Any,
            sampled: 0,
        });
    }
    let was = Was {
        plans: &before,
        relations: &relations,
    };
    let seen = blame.results(&was, &after, &mut queries)?;
    for (query, weight) in queries.iter_mut().zip(weights) {
        query.share = if total > 0.0 { weight / total } else { 0.0 };
    }
    let mut dropped = dropped_indexes(&tried.changes, &before, &queries);
    let used_after: Vec<_> = after
        .iter()
        .map(|plan| plan.as_ref().and_then(|plan| plan.as_ref().ok()))
        .collect();
    let mut made = made_indexes(&tried.changes, &used_after, &queries);
    if dropped.iter().any(|index| index.used_by.is_empty()) {
        let catalog = blame.planner.catalog()?;
        for index in &mut dropped {
            index.partial = catalog
                .relation(Some(&index.table.0), &index.table.1)
                .and_then(|table| table.indexes.iter().find(|one| one.name == index.name))
                .is_some_and(|one| one.predicate.is_some());
        }
    }
    blame.find(&mut queries, &before, &dropped, &made, &tried.changes)?;
    blame.find_of_results(&mut queries, &was, &seen, &tried.changes)?;
    all.merge(&mut queries, [&mut dropped, &mut made]);
    let statements = change
        .into_iter()
        .zip(&tried.changes)
        .map(|(statement, change)| (statement, applied(change)))
        .collect();
    Ok(WorkloadResult {
        engine: planner.engine(),
        assumptions: Vec::new(),
        statements,
        queries,
        functions: Vec::new(),
        dropped,
        made,
        problems: Vec::new(),
    })
}

/// Calls times cost: what a query costs in all.
fn weight(workload: &Workload, at: usize, plan: &Result<PlanGraph, PlanError>) -> f64 {
    let cost = plan.as_ref().ok().and_then(PlanGraph::total_cost);
    let calls = workload
        .queries
        .get(at)
        .and_then(|query| query.calls)
        .unwrap_or(1.0);
    let weight = cost.unwrap_or(0.0) * calls.max(0.0);
    if weight.is_finite() { weight } else { 0.0 }
}

/// What became of a statement of the change.
pub(super) fn applied(change: &SupposedChange) -> Applied {
    match &change.outcome {
        ChangeOutcome::Applied => Applied::Yes,
        ChangeOutcome::LeftOut { why } => Applied::LeftOut { why: why.clone() },
        ChangeOutcome::Refused { message, .. } if message.contains(ALREADY_WORDS) => {
            Applied::Already {
                message: message.clone(),
            }
        }
        ChangeOutcome::Refused {
            message, position, ..
        } => Applied::Refused {
            message: message.clone(),
            position: *position,
        },
    }
}

/// What became of one query.
fn judge(
    workload: &Workload,
    at: usize,
    before: &Result<PlanGraph, PlanError>,
    after: Option<&Result<PlanGraph, PlanError>>,
    options: &CompareOptions,
) -> Outcome {
    match (before, after) {
        (Ok(before), Some(Ok(after))) => judge_plans(before, after, options),
        (Ok(_), Some(Err(error))) => broken(workload, at, error),
        (Err(error), Some(Ok(after))) => Outcome::Mended {
            message: said(workload, at, error),
            cost: after.total_cost(),
            scans: scans(after),
        },
        (Err(error), _) => Outcome::NotPlanned {
            why: why(workload, at, error),
        },
        (Ok(_), None) => Outcome::NotPlanned {
            why: "it was not planned after the change".to_owned(),
        },
    }
}

/// Tables that a plan reads from end to end.
fn scans(plan: &PlanGraph) -> Vec<(String, String)> {
    plan.nodes()
        .filter(|(_, node)| node.kind == NodeKind::SeqScan)
        .filter_map(|(_, node)| Some((node.relation.schema.clone()?, node.relation.name.clone()?)))
        .collect()
}

/// A query that the server plans before, and not after.
fn broken(workload: &Workload, at: usize, error: &PlanError) -> Outcome {
    match error {
        PlanError::Refused {
            message,
            sqlstate,
            hint,
            position,
            ..
        } => Outcome::Broken {
            message: if is_logged(workload, at) {
                masked_message(message, sqlstate)
            } else {
                message.clone()
            },
            sqlstate: sqlstate.clone(),
            hint: hint.clone(),
            // The place in the user's text, behind the start of the statement.
            position: position.and_then(|at_byte| {
                let statement = &workload.queries.get(at)?.statement;
                statement
                    .offsets
                    .source_offset(at_byte)
                    .checked_sub(statement.span.start)
            }),
            executing: false,
        },
        other => Outcome::NotPlanned {
            why: why(workload, at, other),
        },
    }
}

fn is_logged(workload: &Workload, at: usize) -> bool {
    workload.queries.get(at).is_some_and(|query| query.logged)
}

/// The server's words about a query, without values that are anybody's.
fn said(workload: &Workload, at: usize, error: &PlanError) -> String {
    match error {
        PlanError::Refused {
            message, sqlstate, ..
        } if is_logged(workload, at) => masked_message(message, sqlstate),
        other => other.to_string(),
    }
}

fn why(workload: &Workload, at: usize, error: &PlanError) -> String {
    let said = said(workload, at, error);
    match error {
        PlanError::Refused {
            hint: Some(hint), ..
        } => format!("{said} ({hint})"),
        _ => said,
    }
}

/// Whether two plans do the same: the same nodes, with conditions in the same
/// roles. A column that was renamed or one more that is read make no other
/// plan, an index condition that became a filter does.
fn is_same(before: &PlanGraph, after: &PlanGraph) -> bool {
    let roles = |plan: &PlanGraph| -> Vec<Vec<ConditionRole>> {
        plan.nodes()
            .map(|(_, node)| {
                node.conditions
                    .iter()
                    .map(|condition| condition.role)
                    .collect()
            })
            .collect()
    };
    shape(before) == shape(after) && roles(before) == roles(after)
}

/// Whether two plans are one, and else which costs more. Costs that differ
/// under the same plan are those of other sizes and widths: no finding.
pub(super) fn judge_plans(
    before: &PlanGraph,
    after: &PlanGraph,
    options: &CompareOptions,
) -> Outcome {
    let (Some(cost_before), Some(cost_after)) = (before.total_cost(), after.total_cost()) else {
        return Outcome::NotPlanned {
            why: "the plan has no cost".to_owned(),
        };
    };
    if is_same(before, after) {
        return Outcome::Same { cost: cost_after };
    }
    let plans = Box::new(Plans {
        before: before.clone(),
        after: after.clone(),
        cost_before,
        cost_after,
        what: plan_change(before, after),
    });
    let clear = (cost_after - cost_before).abs() > options.floor;
    if clear && cost_after > cost_before * (1.0 + options.tolerance) {
        Outcome::Slower(plans)
    } else if clear && cost_before > cost_after * (1.0 + options.tolerance) {
        Outcome::Faster(plans)
    } else {
        Outcome::OtherPlan(plans)
    }
}

/// The indexes that the change drops, with the queries whose plan before uses
/// them.
fn dropped_indexes(
    changes: &[SupposedChange],
    before: &[Result<PlanGraph, PlanError>],
    queries: &[QueryChange],
) -> Vec<IndexChange> {
    let used: Vec<Vec<String>> = before
        .iter()
        .map(|plan| plan.as_ref().map(indexes_used).unwrap_or_default())
        .collect();
    let mut found = Vec::new();
    for (statement, change) in changes.iter().enumerate() {
        for table in &change.tables {
            for name in &table.dropped {
                // An index that is made again under its name is no loss.
                let remade = changes
                    .iter()
                    .flat_map(|change| &change.tables)
                    .any(|other| other.schema == table.schema && other.made.contains(name));
                if remade {
                    continue;
                }
                let used_by = users(&used, name);
                let moved = used_by
                    .iter()
                    .copied()
                    .filter(|at| is_slower(queries, *at))
                    .collect();
                found.push(IndexChange {
                    name: name.clone(),
                    table: (table.schema.clone(), table.name.clone()),
                    statement,
                    partial: false,
                    used_by,
                    moved,
                });
            }
        }
    }
    found
}

/// The indexes that the change makes, with the queries whose plan after uses
/// them.
fn made_indexes(
    changes: &[SupposedChange],
    after: &[Option<&PlanGraph>],
    queries: &[QueryChange],
) -> Vec<IndexChange> {
    let used: Vec<Vec<String>> = after
        .iter()
        .map(|plan| plan.map(indexes_used).unwrap_or_default())
        .collect();
    let mut found = Vec::new();
    for (statement, change) in changes.iter().enumerate() {
        for table in &change.tables {
            for name in &table.made {
                let used_by = users(&used, name);
                let moved = used_by
                    .iter()
                    .copied()
                    .filter(|at| {
                        matches!(
                            queries.get(*at).map(|query| &query.outcome),
                            Some(Outcome::Faster(_))
                        )
                    })
                    .collect();
                found.push(IndexChange {
                    name: name.clone(),
                    table: (table.schema.clone(), table.name.clone()),
                    statement,
                    partial: false,
                    used_by,
                    moved,
                });
            }
        }
    }
    found
}

fn is_slower(queries: &[QueryChange], at: usize) -> bool {
    matches!(
        queries.get(at).map(|query| &query.outcome),
        Some(Outcome::Slower(_))
    )
}

fn users(used: &[Vec<String>], name: &str) -> Vec<usize> {
    used.iter()
        .enumerate()
        .filter(|(_, names)| names.iter().any(|other| other == name))
        .map(|(at, _)| at)
        .collect()
}
