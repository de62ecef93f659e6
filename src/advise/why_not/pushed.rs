//! Conditions that the statement has, and that do not come down to the table:
//! what stands between.

use super::mismatch::is_table;
use super::{Case, Cause, CauseKind, Change, changes};
use crate::finding::{Applicability, Edit, Evidence, Origin, Value};
use crate::source::Span;
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

/// What stands between a condition and the table.
struct Fence {
    what: String,
    /// A WITH query that could be declared NOT MATERIALIZED.
    cte: Option<SelectId>,
}

/// What keeps a condition on the column from coming down to the table, where
/// the column is the index's first key below.
fn fence(case: &Case<'_>, query: &Query, column: &ColumnRef, first: &str) -> Option<Fence> {
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
fn fence_of(query: &Query, select: &Select, level: SelectId) -> Option<Fence> {
    let cte = |what: String| {
        Some(Fence {
            what,
            cte: Some(level),
        })
    };
    if let SelectRole::Cte {
        name,
        materialized,
        recursive,
    } = &select.role
    {
        if *recursive {
            return Some(Fence {
                what: format!("the recursive WITH query {name}"),
                cte: None,
            });
        }
        if *materialized == Some(true) {
            return cte(format!("the MATERIALIZED WITH query {name}"));
        }
        let readers = query
            .selects
            .iter()
            .flat_map(|select| &select.relations)
            .filter(|item| matches!(item.kind, RelationRefKind::Cte { select } if select == level))
            .count();
        if *materialized != Some(false) && readers > 1 {
            return cte(format!(
                "the WITH query {name}, which is read {readers} times and therefore computed once"
            ));
        }
    }
    let what = if select.limit.is_some() || select.offset.is_some() {
        "a LIMIT"
    } else if select.has_window {
        "a window function"
    } else if select.has_aggregate && select.group_by.is_empty() {
        "an aggregate"
    } else if select.distinct.as_ref().is_some_and(|on| !on.is_empty()) {
        "a DISTINCT ON"
    } else {
        return None;
    };
    Some(Fence {
        what: what.to_owned(),
        cte: None,
    })
}

/// The WITH query declared NOT MATERIALIZED.
fn opened(
    case: &Case<'_>,
    level: SelectId,
    planner: &mut dyn Planner,
) -> Result<Option<Change>, PlanError> {
    let base = case.statement.span.start;
    let Some(before) = case
        .statement
        .query
        .as_ref()
        .and_then(|query| query.selects.get(level))
        .and_then(|select| select.span.start.checked_sub(base))
        .and_then(|start| case.statement.text.get(..start))
    else {
        return Ok(None);
    };
    let Some(parenthesis) = before.rfind('(') else {
        return Ok(None);
    };
    let head = before.get(..parenthesis).unwrap_or("").trim_end();
    let lower = head.to_ascii_lowercase();
    let edit = match lower.strip_suffix("materialized") {
        Some(rest) => Edit {
            span: Span {
                source: case.statement.span.source,
                start: base + rest.len(),
                end: base + head.len(),
            },
            text: "NOT MATERIALIZED".to_owned(),
        },
        None => Edit {
            span: Span {
                source: case.statement.span.source,
                start: base + parenthesis,
                end: base + parenthesis,
            },
            text: "NOT MATERIALIZED ".to_owned(),
        },
    };
    let edits = vec![edit];
    let suggestion = changes::edit(
        "declare the WITH query NOT MATERIALIZED, unless it must be computed once",
        edits.clone(),
        Applicability::Manual,
    );
    changes::edited(case, planner, suggestion, &edits)
}

fn fenced(
    case: &Case<'_>,
    predicate: &Predicate,
    fence: &Fence,
    planner: &mut dyn Planner,
) -> Result<Cause, PlanError> {
    let mut list = changes::rewrites(case, planner, None)?;
    if list.is_empty()
        && let Some(level) = fence.cte
    {
        list.extend(opened(case, level, planner)?);
    }
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
        message: format!("{} stands between the condition and the table", fence.what),
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
