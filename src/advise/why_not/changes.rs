//! Changes, and what the planner says to each: whether it uses the index then,
//! and what the statement costs.

use std::collections::BTreeSet;

use super::{Case, Change};
use crate::advise::candidates;
use crate::catalog::{Index, Relation};
use crate::finding::{self, Applicability, Edit, IndexSpec, IndexSpecKey, Suggestion, Verdict};
use crate::plan::PlanGraph;
use crate::rewrite::{self, Proposal};
use crate::sql;
use crate::subject::Subject;
use crate::verify::compare::{indexes_used, verdict};
use crate::verify::elsewhere::Elsewhere;
use crate::verify::{PlanError, PlanOptions, Planned, Planner, Supposition};

/// What was checked of a change that alters the statement.
const AS_WRITTEN: &str = "planned as rewritten; the results were not compared by execution";

/// Advice that no planner can try.
pub(super) fn by_hand(title: impl Into<String>, text: impl Into<String>) -> Change {
    let mut suggestion = Suggestion::untested(
        title,
        finding::Change::Advice { text: text.into() },
        Applicability::Manual,
    );
    suggestion.verdict = Verdict::Untested {
        why: "it is done by hand".to_owned(),
    };
    Change {
        suggestion,
        used: None,
    }
}

/// The index as something to build; `None` where its definition is not known
/// in full.
pub(super) fn spec_of(relation: &Relation, index: &Index) -> Option<IndexSpec> {
    if index.keys.is_empty() || index.predicate.as_deref() == Some("(not known)") {
        return None;
    }
    let keys = index
        .keys
        .iter()
        .map(|key| {
            let text = match (&key.column, &key.collation) {
                // A collation makes no expression of a column; it only needs
                // the parentheses of one.
                (Some(column), Some(collation)) => format!(
                    "{} COLLATE {}",
                    crate::catalog::ident::quote(column),
                    crate::catalog::ident::quote(collation)
                ),
                (Some(column), None) => column.clone(),
                (None, _) => key.text.clone(),
            };
            IndexSpecKey {
                is_expression: key.column.is_none() || key.collation.is_some(),
                text,
                opclass: (!key.default_opclass).then(|| key.opclass.clone()),
                descending: key.descending,
                nulls_first: (key.nulls_first != key.descending).then_some(key.nulls_first),
            }
        })
        .collect();
    Some(IndexSpec {
        schema: relation.schema.clone(),
        table: relation.name.clone(),
        name: index.name.clone(),
        method: index.method.clone(),
        keys,
        include: index.include.clone(),
        predicate: index.predicate.clone(),
        with: None,
        extension: None,
        partitions: Vec::new(),
    })
}

/// A new index on the table with those keys.
pub(super) fn new_index(case: &Case<'_>, method: &str, keys: Vec<IndexSpecKey>) -> IndexSpec {
    let mut spec = IndexSpec {
        schema: case.relation.schema.clone(),
        table: case.relation.name.clone(),
        name: String::new(),
        method: method.to_owned(),
        keys,
        include: Vec::new(),
        predicate: None,
        with: None,
        extension: None,
        partitions: candidates::partitions(case.catalog, case.relation),
    };
    spec.name = candidates::base_name(&spec);
    spec.name = free_name(case, &spec);
    spec
}

fn free_name(case: &Case<'_>, spec: &IndexSpec) -> String {
    candidates::free_name(case.catalog, &BTreeSet::new(), spec)
}

/// Tries an index that would serve where the one asked about does not.
pub(super) fn create(
    case: &Case<'_>,
    planner: &mut dyn Planner,
    title: impl Into<String>,
    spec: &IndexSpec,
) -> Result<Change, PlanError> {
    let mut spec = spec.clone();
    spec.name = free_name(case, &spec);
    let change = finding::Change::CreateIndex(spec.clone());
    instead(case, planner, title, change, &spec)
}

/// Tries a change by supposing an index that it would give.
pub(super) fn instead(
    case: &Case<'_>,
    planner: &mut dyn Planner,
    title: impl Into<String>,
    change: finding::Change,
    spec: &IndexSpec,
) -> Result<Change, PlanError> {
    let mut spec = spec.clone();
    spec.name = free_name(case, &spec);
    let mut suggestion = Suggestion::untested(title, change, Applicability::SameResults);
    let mut used = None;
    match planner.what_if(&[case.planned()], &[Supposition::Index(spec.clone())]) {
        Ok(mut what_if) => {
            let built = what_if.indexes.pop();
            if let Some(refused) = built.as_ref().and_then(|built| built.refused.clone()) {
                suggestion.verdict = Verdict::Untested {
                    why: format!("the index could not be tried: {refused}"),
                };
            } else if let Some(Ok(mut plan)) = what_if.plans.pop() {
                if let Some(built) = &built {
                    for node in plan.graph.node_weights_mut() {
                        if let Some(name) = &mut node.relation.index
                            && built.is_named(name)
                        {
                            name.clone_from(&spec.name);
                        }
                    }
                    if let Some(bytes) = built.bytes {
                        suggestion.side_effects.push(finding::SideEffect::Disk {
                            bytes,
                            how: built.how.to_owned(),
                        });
                    }
                }
                used = Some(indexes_used(&plan).contains(&spec.name));
                suggestion.verdict = supposed(case, planner, &plan, Vec::new())?;
            }
        }
        Err(error) => suggestion.verdict = untested(error)?,
    }
    Ok(Change { suggestion, used })
}

/// The verdict on a plan with suppositions: compared with the plan of the
/// planner that supposed them.
pub(super) fn supposed(
    case: &Case<'_>,
    planner: &mut dyn Planner,
    plan: &PlanGraph,
    mut checked: Vec<String>,
) -> Result<Verdict, PlanError> {
    Ok(match Elsewhere::of(planner, case.planned(), case.plan)? {
        Some(there) => {
            checked.extend(there.said);
            verdict(&there.plan, plan, &there.engine, checked)
        }
        None => verdict(case.plan, plan, &case.engine, checked),
    })
}

/// Tries settings.
pub(super) fn settings(
    case: &Case<'_>,
    planner: &mut dyn Planner,
    title: impl Into<String>,
    values: &[(&str, &str)],
) -> Result<Change, PlanError> {
    let sql = values
        .iter()
        .map(|(name, value)| format!("SET {name} = {value}"))
        .collect::<Vec<_>>()
        .join(";\n");
    let mut suggestion = Suggestion::untested(
        title,
        finding::Change::Setting { sql },
        Applicability::SameResults,
    );
    let mut used = None;
    match planner.plan_with(case.planned(), values) {
        Ok(plan) => {
            used = Some(case.uses(&plan));
            let same_units = !values.iter().any(|(name, _)| name.ends_with("_cost"));
            let mut checked = Vec::new();
            if !same_units {
                checked.push(
                    "cost settings change what a cost unit means: only whether the index is \
                     used can be compared"
                        .to_owned(),
                );
            }
            suggestion.verdict = verdict(case.plan, &plan, &case.engine, checked);
        }
        Err(error) => suggestion.verdict = untested(error)?,
    }
    Ok(Change { suggestion, used })
}

/// Tries the statement with edits in it. The caller says whether the results
/// stay the same.
pub(super) fn edited(
    case: &Case<'_>,
    planner: &mut dyn Planner,
    mut suggestion: Suggestion,
    edits: &[Edit],
) -> Result<Option<Change>, PlanError> {
    let base = case.statement.span.start;
    let Some(text) = rewrite::apply(&case.statement.text, base, edits) else {
        return Ok(None);
    };
    let (mut statements, problems) = sql::read(case.statement.span.source, &text);
    let (Some(mut statement), true) = (statements.pop(), problems.is_empty()) else {
        return Ok(None);
    };
    drop(sql::resolve(&mut statement, case.catalog));
    match planner.plan(Planned::from(&statement), PlanOptions::default()) {
        Ok(plan) => {
            suggestion.verdict =
                verdict(case.plan, &plan, &case.engine, vec![AS_WRITTEN.to_owned()]);
            Ok(Some(Change {
                used: Some(case.uses(&plan)),
                suggestion,
            }))
        }
        Err(error @ (PlanError::Lost { .. } | PlanError::TimedOut { .. })) => Err(error),
        // The server does not take it, so it is not offered.
        Err(_) => Ok(None),
    }
}

/// The rewrites that pgadvise knows and that make the index used.
pub(super) fn rewrites(
    case: &Case<'_>,
    planner: &mut dyn Planner,
    at: Option<crate::source::Span>,
) -> Result<Vec<Change>, PlanError> {
    let subject = Subject {
        statement: Some(case.statement),
        plan: Some(case.plan),
        catalog: Some(case.catalog),
        metrics: None,
        ..Subject::default()
    };
    let near = |proposal: &Proposal| {
        at.is_none_or(|at| proposal.span.start < at.end && at.start < proposal.span.end)
    };
    let mut changes = Vec::new();
    for proposal in rewrite::propose(&subject).into_iter().filter(near) {
        if proposal.edits.is_empty() {
            continue;
        }
        let Some(suggestion) = proposal.suggestion() else {
            continue;
        };
        if let Some(change) = edited(case, planner, suggestion, &proposal.edits)?
            && change.used == Some(true)
        {
            changes.push(change);
        }
    }
    Ok(changes)
}

/// A suggestion to edit the statement, not tried yet.
pub(super) fn edit(
    title: impl Into<String>,
    edits: Vec<Edit>,
    applicability: Applicability,
) -> Suggestion {
    Suggestion::untested(title, finding::Change::Rewrite { edits }, applicability)
}

/// Why a change was not tried; a lost planner is an error.
fn untested(error: PlanError) -> Result<Verdict, PlanError> {
    match error {
        error @ (PlanError::Lost { .. } | PlanError::TimedOut { .. }) => Err(error),
        other => Ok(Verdict::Untested {
            why: other.to_string(),
        }),
    }
}

/// What the plan with the change is; for causes that look further.
pub(super) fn plan_of(
    result: Result<PlanGraph, PlanError>,
) -> Result<Option<PlanGraph>, PlanError> {
    match result {
        Ok(plan) => Ok(Some(plan)),
        Err(error @ (PlanError::Lost { .. } | PlanError::TimedOut { .. })) => Err(error),
        Err(_) => Ok(None),
    }
}
