//! Conditions that the statement has, and that do not come down to the table:
//! what stands between.

use super::mismatch::is_table;
use super::{Case, Cause, CauseKind, changes};
use crate::finding::{Evidence, Origin, Value};
use crate::sql::{
    ColumnRef, Operand, Predicate, Query, RelationRefKind, Select, SelectId, SelectRole,
};
use crate::verify::{PlanError, Planner};

/// Conditions on the index's first key that stay above a fence.
pub(super) fn causes(case: &Case<'_>, planner: &mut dyn Planner) -> Result<Vec<Cause>, PlanError> {
    let (Some(query), Some(first)) = (&case.statement.query, case.index.leading_column()) else {
        return Ok(Vec::new());
    };
    let mut causes: Vec<Cause> = Vec::new();
    for (_, predicate) in query.predicates() {
        let Some(fence) = [&predicate.left, &predicate.right]
            .iter()
            .filter_map(|side| side.column())
            .find_map(|column| fence(case, query, column, first))
        else {
            continue;
        };
        if causes
            .iter()
            .any(|cause| cause.span == Some(predicate.span))
        {
            continue;
        }
        causes.push(fenced(case, predicate, &fence, planner)?);
    }
    Ok(causes)
}

/// What keeps a condition on the column from coming down to the table, where
/// the column is the index's first key below.
fn fence(case: &Case<'_>, query: &Query, column: &ColumnRef, first: &str) -> Option<String> {
    let mut reference = column.clone();
    let mut fence = None;
    // Each step goes one query level down.
    for _ in 0..query.selects.len() {
        let item = query.relation_of(&reference)?;
        let level: SelectId = match &item.kind {
            RelationRefKind::Cte { select } | RelationRefKind::Subquery { select } => *select,
            RelationRefKind::Table { .. } => {
                return (reference.name == first && is_table(case, &reference))
                    .then_some(fence)
                    .flatten();
            }
            RelationRefKind::Other => return None,
        };
        let select = query.selects.get(level)?;
        fence = fence.or_else(|| fence_of(query, select, level));
        let output = select.output.iter().find(|item| {
            item.name.as_deref() == Some(reference.name.as_str())
                || matches!(&item.operand, Operand::Column(column) if column.name == reference.name)
        });
        reference = match output.map(|item| &item.operand) {
            Some(Operand::Column(column)) => column.clone(),
            Some(_) => return None,
            // `*` of the one relation that stands there.
            None if select.relations.len() == 1 => ColumnRef {
                relation: Some((level, 0)),
                ..reference
            },
            None => return None,
        };
    }
    None
}

/// Why no condition from above is moved into the level.
fn fence_of(query: &Query, select: &Select, level: SelectId) -> Option<String> {
    if let SelectRole::Cte {
        name,
        materialized,
        recursive,
    } = &select.role
    {
        if *recursive {
            return Some(format!("the recursive WITH query {name}"));
        }
        if *materialized == Some(true) {
            return Some(format!("the MATERIALIZED WITH query {name}"));
        }
        let readers = query
            .selects
            .iter()
            .flat_map(|select| &select.relations)
            .filter(|item| matches!(item.kind, RelationRefKind::Cte { select } if select == level))
            .count();
        if *materialized != Some(false) && readers > 1 {
            return Some(format!(
                "the WITH query {name}, which is read {readers} times and therefore computed once"
            ));
        }
    }
    if select.limit.is_some() || select.offset.is_some() {
        Some("a LIMIT".to_owned())
    } else if select.has_window {
        Some("a window function".to_owned())
    } else if select.has_aggregate && select.group_by.is_empty() {
        Some("an aggregate".to_owned())
    } else if select.distinct.as_ref().is_some_and(|on| !on.is_empty()) {
        Some("a DISTINCT ON".to_owned())
    } else {
        None
    }
}

fn fenced(
    case: &Case<'_>,
    predicate: &Predicate,
    fence: &str,
    planner: &mut dyn Planner,
) -> Result<Cause, PlanError> {
    let mut list = changes::rewrites(case, planner, None)?;
    if list.is_empty() {
        list.push(changes::by_hand(
            "ask for the rows inside",
            "write the condition in the inner query's own WHERE, where that means the same; a \
             WITH query that is read more than once can be declared NOT MATERIALIZED",
        ));
    }
    let text = case.text(predicate.span).to_owned();
    Ok(Cause {
        kind: CauseKind::ConditionFenced,
        span: Some(predicate.span),
        node: None,
        message: format!("{fence} stands between the condition and the table"),
        why: "The inner query is computed as if the condition were not there, and its rows are \
              filtered afterwards; moved inside, the condition could give other results, or was \
              asked to stay out."
            .to_owned(),
        evidence: vec![Evidence::new(
            "condition above it",
            Value::Text(text),
            Origin::Sql(predicate.span),
        )],
        changes: list,
    })
}
