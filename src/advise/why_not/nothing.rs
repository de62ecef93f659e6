//! No condition that the index cannot serve, and all the same no plan with it:
//! none concerns it, or what does may not be looked up.

use super::force::Attempts;
use super::mismatch::{condition, written};
use super::terms::Found;
use super::{Case, Cause, CauseKind, Change, changes};
use crate::advise::indexes;
use crate::finding::{self, Applicability, Evidence, Origin, Value};
use crate::plan::ConditionRole;
use crate::verify::{PlanError, Planner};

/// Indexes proposed instead save at least this share of the cost.
const MIN_GAIN: f64 = 0.1;

/// A condition that matches, and all the same may not be looked up.
pub(super) fn held_back(case: &Case<'_>, found: &Found) -> Option<Cause> {
    let term = &found.term;
    let span = written(case, &term.column.as_ref()?.column)
        .first()
        .map(|predicate| predicate.span);
    if let Some(function) = volatile_in(case, term.other.as_deref().unwrap_or("")) {
        return Some(Cause {
            kind: CauseKind::VolatileFunction,
            span,
            node: Some(found.node),
            message: format!("{function}() may give another value for each row"),
            why: "The function is VOLATILE: it is called for every row, so that there is no one \
                  value to look up in an index."
                .to_owned(),
            evidence: vec![condition(found)],
            changes: vec![changes::by_hand(
                format!("have {function}() called once"),
                format!(
                    "write (SELECT {function}(…)) in its place, which is computed once before \
                     the scan; or declare the function STABLE, if it is"
                ),
            )],
        });
    }
    if term.constant && found.role == ConditionRole::JoinFilter {
        return Some(Cause {
            kind: CauseKind::OuterJoin,
            span,
            node: Some(found.node),
            message: "the condition stands in the ON of an outer join that keeps all rows of \
                      the table"
                .to_owned(),
            why: "It decides which rows find a partner, not which rows of the table are read: \
                  those that fail it come out too, with NULLs beside them."
                .to_owned(),
            evidence: vec![condition(found)],
            changes: vec![changes::by_hand(
                "move the condition to WHERE, if the other rows are not wanted",
                "a condition in WHERE is checked on every row of the result, so that it can be \
                 looked up first",
            )],
        });
    }
    if case.relation.row_security && found.role == ConditionRole::Filter {
        return Some(Cause {
            kind: CauseKind::RowSecurity,
            span,
            node: Some(found.node),
            message: format!(
                "row-level security on {} must pass a row before the condition sees it",
                case.relation.display_name(case.catalog)
            ),
            why: "The policy is checked first, and only operators that cannot leak what they \
                  are given (LEAKPROOF) may be looked up in an index before. LIKE, regular \
                  expressions and most functions are not such."
                .to_owned(),
            evidence: vec![condition(found)],
            changes: vec![changes::by_hand(
                "use an operator that is LEAKPROOF",
                "= and the order comparisons of the common types are; or let a role with \
                 BYPASSRLS, or the table's owner, run the statement",
            )],
        });
    }
    None
}

fn volatile_in(case: &Case<'_>, text: &str) -> Option<String> {
    let mut rest = text;
    while let Some(at) = rest.find('(') {
        let before = rest.get(..at)?;
        let name: String = before
            .chars()
            .rev()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect();
        if case.catalog.functions.get(&name) == Some(&'v') {
            return Some(name);
        }
        rest = rest.get(at + 1..)?;
    }
    None
}

/// Nothing concerns the first key.
pub(super) fn unused(
    case: &Case<'_>,
    found: &[Found],
    attempts: &Attempts,
    planner: &mut dyn Planner,
) -> Result<Cause, PlanError> {
    let first = case.first_key();
    let mut compared: Vec<String> = Vec::new();
    for condition in found {
        for column in &condition.term.columns {
            if case.relation.column(&column.column).is_some() && !compared.contains(&column.column)
            {
                compared.push(column.column.clone());
            }
        }
    }
    let later: Vec<&str> = case
        .index
        .keys
        .iter()
        .skip(1)
        .filter_map(|key| key.column.as_deref())
        .filter(|name| compared.iter().any(|other| other == name))
        .collect();
    let mut evidence = vec![
        Evidence::new(
            "keys of the index",
            Value::Text(
                case.index
                    .keys
                    .iter()
                    .map(|key| key.text.as_str())
                    .collect::<Vec<_>>()
                    .join(", "),
            ),
            Origin::Catalog(case.index.name.clone()),
        ),
        Evidence::new(
            "columns that conditions compare",
            Value::Text(if compared.is_empty() {
                "none".to_owned()
            } else {
                compared.join(", ")
            }),
            Origin::Formula("the plan's conditions on the table"),
        ),
    ];
    let mut why = "A B-tree is sorted by its first key, and by the next one only among rows \
                   that have the first in common; without a condition on the first, the whole \
                   index would have to be read."
        .to_owned();
    if case.index.method == "hash" {
        "A hash index finds rows with one value of its key; without that value there is nothing \
         to look up."
            .clone_into(&mut why);
    } else if case.index.method != "btree" {
        "An index finds rows by conditions on its own keys.".clone_into(&mut why);
    }
    if !later.is_empty() && case.index.method == "btree" {
        let distinct = case
            .first_column()
            .and_then(|column| column.stats.as_ref())
            .map(|stats| stats.distinct(case.relation.rows()));
        if let Some(distinct) = distinct {
            evidence.push(Evidence::new(
                format!("distinct values of {first}"),
                Value::Count(distinct),
                Origin::Statistics(format!("{}.{first}", case.relation.name)),
            ));
        }
        why.push_str(if case.version >= 180_000 {
            " Since version 18 the planner can skip from one value of the first key to the next, \
             where they are few."
        } else {
            " Version 18 can skip from one value of the first key to the next, where they are few."
        });
    }
    if let Some(forced) = &attempts.best {
        if let Some(cost) = case.plan.total_cost() {
            evidence.push(Evidence::new(
                "cost as it is",
                Value::Cost(cost),
                Origin::Formula("the planner's total cost"),
            ));
        }
        if let Some(cost) = forced.cost {
            evidence.push(Evidence::new(
                "cost when the index is read all the same",
                Value::Cost(cost),
                Origin::Formula("the planner's total cost, without penalties"),
            ));
        }
    }
    let message = if compared.is_empty() {
        format!("no condition of the statement is on the table, and no order is by {first}")
    } else if later.is_empty() {
        format!(
            "no condition and no order concerns {first}, the index's first key; the conditions \
             are on {}",
            compared.join(", ")
        )
    } else {
        format!(
            "the conditions are on {}, which the index has behind {first}, its first key",
            later.join(", ")
        )
    };
    Ok(Cause {
        kind: CauseKind::LeadingColumnUnused,
        span: None,
        node: found.first().map(|condition| condition.node),
        message,
        why,
        evidence,
        changes: better(case, planner)?.into_iter().collect(),
    })
}

/// told to forget it.
pub(super) fn hidden_behind(case: &Case<'_>) -> Cause {
    Cause {
        kind: CauseKind::AnotherIndex,
        span: None,
        node: None,
        message: format!(
            "another index of {} is cheaper than {} in every plan that was tried",
            case.relation.display_name(case.catalog),
            case.index.name
        ),
        why: "On a server that is in use no index can be hidden from the planner, so that the \
              cost of this one is not known."
            .to_owned(),
        evidence: vec![Evidence::new(
            "indexes of the table",
            Value::Text(
                case.relation
                    .indexes
                    .iter()
                    .map(|index| index.name.as_str())
                    .collect::<Vec<_>>()
                    .join(", "),
            ),
            case.table_origin(),
        )],
        changes: vec![changes::by_hand(
            "compare the costs on a snapshot",
            "pgadvise snapshot takes one, and why-not --snapshot can hide the other indexes",
        )],
    }
}

/// The index that would serve the statement's conditions on this table.
pub(super) fn better(
    case: &Case<'_>,
    planner: &mut dyn Planner,
) -> Result<Option<Change>, PlanError> {
    let chosen = match indexes::choose(case.statement, case.plan, case.catalog, planner, MIN_GAIN) {
        Ok(outcome) => outcome.choice,
        Err(error @ (PlanError::Lost { .. } | PlanError::TimedOut { .. })) => return Err(error),
        Err(error) => return Ok(untried(case, &error)),
    };
    let Some(spec) = chosen
        .into_iter()
        .flat_map(|choice| choice.indexes)
        .map(|chosen| chosen.spec)
        .find(|spec| spec.schema == case.relation.schema && spec.table == case.relation.name)
    else {
        return Ok(None);
    };
    changes::create(
        case,
        planner,
        "create the index that serves the statement's conditions",
        &spec,
    )
    .map(Some)
}

/// The first candidate, where the planner cannot try any.
fn untried(case: &Case<'_>, error: &PlanError) -> Option<Change> {
    let query = case.statement.query.as_ref()?;
    let usages = crate::advise::usage::usages(
        query,
        &case.statement.text,
        case.statement.span.start,
        case.catalog,
    );
    let spec = crate::advise::candidates::candidates(&usages, case.catalog)
        .into_iter()
        .map(|candidate| candidate.spec)
        .find(|spec| spec.schema == case.relation.schema && spec.table == case.relation.name)?;
    let mut suggestion = finding::Suggestion::untested(
        "create the index that would serve the statement's conditions",
        finding::Change::CreateIndex(spec),
        Applicability::SameResults,
    );
    suggestion.verdict = finding::Verdict::Untested {
        why: error.to_string(),
    };
    Some(Change {
        suggestion,
        used: None,
    })
}
