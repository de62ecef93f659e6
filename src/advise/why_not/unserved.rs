//! Conditions on the bare column that the index cannot look up: its operator
//! class has no such operator, or its collation is another.

use super::mismatch::{condition, shown, written};
use super::nothing::better;
use super::operators::{Support, served};
use super::terms::Found;
use super::{Case, Cause, CauseKind, Change, changes};
use crate::catalog::{Column, IndexKey, ident};
use crate::finding::{Evidence, IndexSpecKey, Origin, Value};
use crate::verify::{PlanError, Planner};

/// The operator class has no such operator.
pub(super) fn operator(
    case: &Case<'_>,
    found: &Found,
    key: &IndexKey,
    column: &Column,
    support: &Support,
    planner: &mut dyn Planner,
) -> Result<Cause, PlanError> {
    let term = &found.term;
    let span = written(case, &column.name)
        .iter()
        .find(|predicate| predicate.operator == term.operator)
        .map(|predicate| predicate.span);
    let class = Evidence::new(
        "operator class of the index",
        Value::Text(key.opclass.clone()),
        Origin::Catalog(case.index.name.clone()),
    );
    let operator = shown(&term.operator);
    let pattern = |class: &str| IndexSpecKey {
        opclass: Some(class.to_owned()),
        ..IndexSpecKey::column(&column.name)
    };
    let (kind, message, why, list) = match support {
        Support::NeedsPatternOpclass => {
            let class = match column.base_type.as_str() {
                "varchar" => "varchar_pattern_ops",
                "bpchar" => "bpchar_pattern_ops",
                _ => "text_pattern_ops",
            };
            let spec = changes::new_index(case, "btree", vec![pattern(class)]);
            (
                CauseKind::PatternNeedsOperatorClass,
                format!(
                    "{operator} looks for a beginning, and the index is sorted by the rules of a \
                     language"
                ),
                format!(
                    "Strings that begin alike lie together only where they are sorted byte by \
                     byte: in the collation C, or with the operator class {class}. The \
                     collation of {} is {}.",
                    column.name,
                    match column.collation.as_deref() {
                        None | Some("default") => "the database's",
                        Some(name) => name,
                    }
                ),
                vec![changes::create(
                    case,
                    planner,
                    format!("create an index with the operator class {class}"),
                    &spec,
                )?],
            )
        }
        Support::NoPrefix => {
            let mut spec = changes::new_index(case, "gin", vec![pattern("gin_trgm_ops")]);
            let known = |name: &String| name == "pg_trgm";
            let installed = case.catalog.extensions.iter().any(known);
            let mut list = Vec::new();
            if installed || case.catalog.available_extensions.iter().any(known) {
                spec.extension = (!installed).then(|| "pg_trgm".to_owned());
                list.push(changes::create(
                    case,
                    planner,
                    "create an index of trigrams, which finds pieces anywhere in a string",
                    &spec,
                )?);
            }
            (
                CauseKind::LeadingWildcard,
                format!("the pattern of {operator} has no fixed beginning"),
                "A sorted index finds strings by how they begin, with regard to case.".to_owned(),
                list,
            )
        }
        _ => {
            let mut list: Vec<Change> = better(case, planner)?.into_iter().collect();
            if list.is_empty() {
                list.extend(advice_for(&term.operator, &column.name));
            }
            (
                CauseKind::OperatorNotSupported,
                format!(
                    "the operator {operator} on {} is not one that the index can look up",
                    column.name
                ),
                format!(
                    "A {} index with the operator class {} serves {}.",
                    case.index.method,
                    key.opclass,
                    served(case.index, key)
                ),
                list,
            )
        }
    };
    Ok(Cause {
        kind,
        span,
        node: Some(found.node),
        message,
        why,
        evidence: vec![condition(found), class],
        changes: list,
    })
}

fn advice_for(operator: &str, column: &str) -> Option<Change> {
    let (title, text) = match operator {
        "<>" | "not in" | "is true" | "is not true" => (
            "ask for the values that are wanted",
            format!(
                "{column} IN (…) with the wanted values is looked up; where nearly all rows have \
                 the excluded value, a partial index with that very condition as its WHERE serves"
            ),
        ),
        "is not distinct from" => (
            "ask for equality and for NULL apart",
            format!(
                "write {column} = … where the value is not NULL, and {column} IS NULL where it is"
            ),
        ),
        _ => return None,
    };
    Some(changes::by_hand(title, text))
}

/// The comparison's collation, where EXPLAIN shows one.
pub(super) fn collation_of(text: &str) -> Option<String> {
    let (_, after) = text.split_once(" COLLATE ")?;
    let end = after
        .char_indices()
        .find(|(at, c)| {
            let quoted = after.starts_with('"');
            if quoted {
                *at > 0 && *c == '"'
            } else {
                !(c.is_alphanumeric() || *c == '_')
            }
        })
        .map_or(after.len(), |(at, c)| if c == '"' { at + 1 } else { at });
    after.get(..end).map(ident::fold)
}

pub(super) fn collation_differs(
    case: &Case<'_>,
    found: &Found,
    key: &IndexKey,
    column: &Column,
    wanted: &str,
    planner: &mut dyn Planner,
) -> Result<Option<Cause>, PlanError> {
    let own = key
        .collation
        .as_deref()
        .or(column.collation.as_deref())
        .unwrap_or("default");
    if own == wanted {
        return Ok(None);
    }
    let spec_key = IndexSpecKey {
        is_expression: true,
        ..IndexSpecKey::column(format!(
            "{} COLLATE {}",
            ident::quote(&column.name),
            ident::quote(wanted)
        ))
    };
    let spec = changes::new_index(case, "btree", vec![spec_key]);
    let change = changes::create(
        case,
        planner,
        format!("create an index in the collation {wanted}"),
        &spec,
    )?;
    Ok(Some(Cause {
        kind: CauseKind::CollationDiffers,
        span: written(case, &column.name)
            .first()
            .map(|predicate| predicate.span),
        node: Some(found.node),
        message: format!(
            "the condition compares in the collation {wanted}, and the index is in {own}"
        ),
        why: "An index serves comparisons in its own collation only: in another one strings \
              have another order, and may be equal or not."
            .to_owned(),
        evidence: vec![
            condition(found),
            Evidence::new(
                "collation of the index",
                Value::Text(own.to_owned()),
                Origin::Catalog(case.index.name.clone()),
            ),
        ],
        changes: vec![change],
    }))
}
