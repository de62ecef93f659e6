//! Why an index does not match a statement: each condition on its table held
//! against its first key.

use super::force::Attempts;
use super::nothing::{held_back, hidden_behind, unused};
use super::operators::{Support, served, support};
use super::terms::{self, Found, sides};
use super::unserved::{collation_differs, collation_of, operator};
use super::{Case, Cause, CauseKind, changes, implied, order, pushed};
use crate::catalog::{Column, IndexKey, expression, ident};
use crate::finding::{self, Applicability, Edit, Evidence, IndexSpecKey, Origin, Value};
use crate::sql::{Clause, ColumnRef, Operand, Predicate, Wrapper};
use crate::verify::{PlanError, Planner};

/// What a condition is for the index.
enum Judged {
    /// The index could serve it.
    Serves,
    /// It concerns the first key, and the index cannot serve it.
    Keeps(Box<Cause>),
    /// It is about other columns.
    Unrelated,
}

/// All reasons why the index does not match; empty where it does.
pub(super) fn causes(
    case: &Case<'_>,
    attempts: &Attempts,
    planner: &mut dyn Planner,
) -> Result<Vec<Cause>, PlanError> {
    let scans = terms::scans(case, case.plan);
    let found = terms::conditions(case.plan, &scans);
    let mut causes = Vec::new();
    let mut serves = Vec::new();
    for condition in &found {
        match judge(case, condition, planner)? {
            Judged::Serves => serves.push(condition),
            Judged::Keeps(cause) => causes.push(*cause),
            Judged::Unrelated => {}
        }
    }
    let ordered = order::wanted(case, &scans);
    causes.extend(order::cause(case, ordered.as_ref(), planner)?);
    if serves.is_empty() && causes.is_empty() {
        causes.extend(pushed::causes(case, planner)?);
    }
    if case.index.predicate.is_some() {
        causes.extend(implied::causes(case, &scans, &found, attempts, planner)?);
    }
    if !causes.is_empty() {
        return Ok(causes);
    }
    if let Some(cause) = serves
        .iter()
        .find_map(|condition| held_back(case, condition))
    {
        return Ok(vec![cause]);
    }
    if serves.is_empty() && ordered.is_none() {
        return Ok(vec![unused(case, &found, attempts, planner)?]);
    }
    if attempts.best.is_none() && !attempts.others_hidden {
        return Ok(vec![hidden_behind(case)]);
    }
    Ok(Vec::new())
}

/// One condition against the keys that could serve it.
fn judge(case: &Case<'_>, found: &Found, planner: &mut dyn Planner) -> Result<Judged, PlanError> {
    // Only a B-tree's first key leads to the rows; the other methods look up
    // any of theirs.
    let keys = if case.index.method == "btree" || case.index.method == "hash" {
        case.index.keys.get(..1).unwrap_or_default()
    } else {
        case.index.keys.as_slice()
    };
    let mut last = Judged::Unrelated;
    for key in keys {
        match judge_key(case, found, key, planner)? {
            Judged::Serves => return Ok(Judged::Serves),
            Judged::Keeps(cause) => last = Judged::Keeps(cause),
            Judged::Unrelated => {}
        }
    }
    Ok(last)
}

fn judge_key(
    case: &Case<'_>,
    found: &Found,
    key: &IndexKey,
    planner: &mut dyn Planner,
) -> Result<Judged, PlanError> {
    let term = &found.term;
    let Some(name) = &key.column else {
        return expression_key(case, found, key);
    };
    if !term.columns.iter().any(|column| column.column == *name) {
        return Ok(Judged::Unrelated);
    }
    if term.opaque {
        return several(case, found, name, planner);
    }
    if term
        .column
        .as_ref()
        .is_none_or(|column| column.column != *name)
    {
        return Ok(Judged::Unrelated);
    }
    let Some(column) = case.relation.column(name) else {
        return Ok(Judged::Unrelated);
    };
    if let Some(collation) = collation_of(&term.text)
        && let Some(cause) = collation_differs(case, found, key, column, &collation, planner)?
    {
        return Ok(Judged::Keeps(Box::new(cause)));
    }
    let stands_in: Vec<&Wrapper> = term
        .wrappers
        .iter()
        .filter(|wrapper| !seen_through(wrapper, column))
        .collect();
    if !stands_in.is_empty() {
        let all_casts = stands_in
            .iter()
            .all(|wrapper| matches!(wrapper, Wrapper::Cast { .. }));
        let bare = written(case, name)
            .into_iter()
            .find(|predicate| bare_side(case, predicate, name).is_some());
        let cause = match bare {
            Some(predicate) if all_casts => {
                implicit_cast(case, found, column, Some(predicate), planner)?
            }
            None if all_casts && written(case, name).is_empty() => {
                implicit_cast(case, found, column, None, planner)?
            }
            _ => wrapped(case, found, column, &stands_in, planner)?,
        };
        return Ok(Judged::Keeps(Box::new(cause)));
    }
    let supported = support(
        case.index,
        key,
        Some(column),
        &term.operator,
        term.other.as_deref(),
    );
    match supported {
        Support::Yes | Support::Unknown => Ok(Judged::Serves),
        other => Ok(Judged::Keeps(Box::new(operator(
            case, found, key, column, &other, planner,
        )?))),
    }
}

/// Wrappers that PostgreSQL sees through: `varchar` is stored as `text` is.
fn seen_through(wrapper: &Wrapper, column: &Column) -> bool {
    match wrapper {
        Wrapper::Collate { .. } => true,
        Wrapper::Cast { type_name, .. } => {
            (terms::is_harmless(wrapper) && matches!(column.base_type.as_str(), "text" | "varchar"))
                || *type_name == column.base_type
                || type_name == "inet" && column.base_type == "cidr"
                || type_name == "oid" && column.base_type == "regclass"
        }
        _ => false,
    }
}

/// An index on an expression serves conditions on that expression alone.
#[expect(
    clippy::unnecessary_wraps,
    reason = "one of a list of judges that may fail"
)]
fn expression_key(case: &Case<'_>, found: &Found, key: &IndexKey) -> Result<Judged, PlanError> {
    let term = &found.term;
    let Some((left, other)) = sides(term) else {
        return Ok(Judged::Unrelated);
    };
    let bare = without_aliases(left, term);
    if expression::same(&bare, &key.text) {
        let other = (!other.is_empty()).then_some(other);
        return Ok(
            match support(case.index, key, None, &term.operator, other) {
                Support::Yes | Support::Unknown | Support::NeedsPatternOpclass => Judged::Serves,
                Support::No | Support::NoPrefix => Judged::Keeps(Box::new(Cause {
                    kind: CauseKind::OperatorNotSupported,
                    span: None,
                    node: Some(found.node),
                    message: format!(
                        "{} does not serve the condition {}",
                        case.index.name, term.text
                    ),
                    why: format!(
                        "Its operator class {} serves {}.",
                        key.opclass,
                        served(case.index, key)
                    ),
                    evidence: vec![condition(found)],
                    changes: Vec::new(),
                })),
            },
        );
    }
    let in_key = case
        .relation
        .columns
        .iter()
        .filter(|column| names(&key.text, &column.name))
        .find(|column| term.columns.iter().any(|other| other.column == column.name));
    let Some(column) = in_key else {
        return Ok(Judged::Unrelated);
    };
    let span = written(case, &column.name)
        .first()
        .map(|predicate| predicate.span);
    let compared = term.other.clone().unwrap_or_else(|| "the value".to_owned());
    Ok(Judged::Keeps(Box::new(Cause {
        kind: CauseKind::ExpressionDiffers,
        span,
        node: Some(found.node),
        message: format!(
            "{} is on the expression {}, and the condition is on {bare}",
            case.index.name, key.text
        ),
        why: "An index on an expression is sorted by what the expression gives. It serves \
              conditions that hold the very same expression, and no others."
            .to_owned(),
        evidence: vec![
            condition(found),
            Evidence::new(
                "the index's first key",
                Value::Text(key.text.clone()),
                Origin::Catalog(case.index.name.clone()),
            ),
        ],
        changes: vec![changes::by_hand(
            "compare the index's expression, if that is what is meant",
            format!("{} {} {compared}", key.text, shown(&term.operator)),
        )],
    })))
}

/// Whether an expression's text names a column.
fn names(text: &str, column: &str) -> bool {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
        .any(|word| word == column)
}

/// Several columns in one condition: an OR, or an expression of them.
fn several(
    case: &Case<'_>,
    found: &Found,
    name: &str,
    planner: &mut dyn Planner,
) -> Result<Judged, PlanError> {
    let term = &found.term;
    let span = written(case, name).first().map(|predicate| predicate.span);
    if !term.text.contains(" OR ") {
        // A comparison of rows is served, a subplan is no comparison.
        if term.text.starts_with("ROW(") || term.text.contains("SubPlan") {
            return Ok(Judged::Unrelated);
        }
        return Ok(Judged::Keeps(Box::new(Cause {
            kind: CauseKind::ColumnWrapped,
            span,
            node: Some(found.node),
            message: format!("{name} stands in an expression with other columns"),
            why: "An index leads to the rows with a value of its own column; a condition on an \
                  expression of several columns can only be computed row by row."
                .to_owned(),
            evidence: vec![condition(found)],
            changes: Vec::new(),
        })));
    }
    let mut others: Vec<&str> = Vec::new();
    let qualifier = term
        .columns
        .iter()
        .find(|column| column.column == name)
        .and_then(|column| column.qualifier.clone());
    let mut elsewhere = false;
    for column in &term.columns {
        if column.qualifier != qualifier {
            elsewhere = true;
        } else if column.column != name && !others.contains(&column.column.as_str()) {
            others.push(&column.column);
        }
    }
    let missing: Vec<&str> = others
        .iter()
        .copied()
        .filter(|other| {
            !case.relation.indexes.iter().any(|index| {
                index.valid && index.predicate.is_none() && index.leading_column() == Some(*other)
            })
        })
        .collect();
    let mut found_changes = Vec::new();
    let why = if elsewhere {
        "The other side of the OR is a condition on another table, so that rows of this one \
         cannot be chosen before both are joined."
    } else {
        "Rows that fail one side of the OR may pass the other: each side needs an index of its \
         own, which the planner then combines in a bitmap."
    };
    if elsewhere {
        found_changes.push(changes::by_hand(
            "ask for both sides apart",
            "write two SELECTs, one for each side of the OR, joined by UNION (not UNION ALL, or \
             rows that pass both come twice)",
        ));
    } else {
        for other in &missing {
            let spec = changes::new_index(case, "btree", vec![IndexSpecKey::column(*other)]);
            let mut change = changes::create(
                case,
                planner,
                format!("create an index on {other}, the OR's other side"),
                &spec,
            )?;
            if change.used.is_some() && missing.len() > 1 {
                // All of them are needed at once.
                change.used = None;
            }
            found_changes.push(change);
        }
    }
    let mut evidence = vec![condition(found)];
    if !missing.is_empty() {
        evidence.push(Evidence::new(
            "columns of the OR without an index",
            Value::Text(missing.join(", ")),
            case.table_origin(),
        ));
    }
    Ok(Judged::Keeps(Box::new(Cause {
        kind: CauseKind::OrAcrossColumns,
        span,
        node: Some(found.node),
        message: format!("the condition on {name} is one side of an OR with other columns"),
        why: why.to_owned(),
        evidence,
        changes: found_changes,
    })))
}

/// The column is cast because the other side's type asks for it.
fn implicit_cast(
    case: &Case<'_>,
    found: &Found,
    column: &Column,
    predicate: Option<&Predicate>,
    planner: &mut dyn Planner,
) -> Result<Cause, PlanError> {
    let to = found
        .term
        .wrappers
        .iter()
        .find_map(|wrapper| match wrapper {
            Wrapper::Cast { type_name, .. } => Some(type_name.clone()),
            _ => None,
        })
        .unwrap_or_default();
    let mut list = Vec::new();
    if let Some(predicate) = predicate {
        list = changes::rewrites(case, planner, Some(predicate.span))?;
        if list.is_empty()
            && let Some(other) = bare_side(case, predicate, &column.name)
            && !matches!(other, Operand::List { .. } | Operand::Absent)
            && let Some(span) = other.span()
        {
            let edits = vec![Edit {
                span,
                text: format!("CAST({} AS {})", case.text(span), column.type_name),
            }];
            let suggestion = changes::edit(
                format!(
                    "compare {} with a value of its own type, {}",
                    column.name, column.type_name
                ),
                edits.clone(),
                Applicability::MayChangeResults,
            );
            list.extend(changes::edited(case, planner, suggestion, &edits)?);
        }
    }
    if list.is_empty() {
        list.push(changes::by_hand(
            format!("compare {} with a value of its own type", column.name),
            format!(
                "give the other side the type {}, or pass the parameter as one",
                column.type_name
            ),
        ));
    }
    Ok(Cause {
        kind: CauseKind::ImplicitCast,
        span: predicate.map(|predicate| predicate.span),
        node: Some(found.node),
        message: format!(
            "the other side is {to}, so that PostgreSQL casts {} to it, row by row",
            column.name
        ),
        why: format!(
            "There is no operator {} between {} and {to}. The column is cast to the other side's \
             type, and the index is sorted by {}, not by the cast.",
            shown(&found.term.operator),
            column.type_name,
            column.name
        ),
        evidence: vec![
            condition(found),
            Evidence::new(
                "type of the column",
                Value::Text(column.type_name.clone()),
                case.table_origin(),
            ),
            Evidence::new("type compared", Value::Text(to), Origin::Plan(found.node)),
        ],
        changes: list,
    })
}

/// The column stands in a function, a cast or arithmetic.
fn wrapped(
    case: &Case<'_>,
    found: &Found,
    column: &Column,
    by: &[&Wrapper],
    planner: &mut dyn Planner,
) -> Result<Cause, PlanError> {
    let what = by
        .first()
        .map_or_else(String::new, |wrapper| match wrapper {
            Wrapper::Function { name, .. } => format!("the function {name}()"),
            Wrapper::Cast { type_name, .. } => format!("a cast to {type_name}"),
            Wrapper::Arithmetic { operator, .. } => format!("the operator {operator}"),
            Wrapper::AtTimeZone { .. } => "AT TIME ZONE".to_owned(),
            Wrapper::Part { operator, .. } => format!("the operator {operator}"),
            Wrapper::Collate { .. } => "COLLATE".to_owned(),
        });
    let span = written(case, &column.name)
        .iter()
        .find(|predicate| {
            matches!(&predicate.left, Operand::Wrapped { column: own, .. }
                if own.name == column.name)
                || matches!(&predicate.right, Operand::Wrapped { column: own, .. }
                    if own.name == column.name)
        })
        .map(|predicate| predicate.span);
    let mut list = changes::rewrites(case, planner, span)?;
    if let Some((left, _)) = sides(&found.term) {
        let key = IndexSpecKey {
            is_expression: true,
            ..IndexSpecKey::column(without_aliases(left, &found.term))
        };
        let spec = changes::new_index(case, "btree", vec![key.clone()]);
        let change = changes::create(
            case,
            planner,
            format!("create an index on the expression {}", key.text),
            &spec,
        )?;
        // An expression that may give another value tomorrow is refused.
        let refused = matches!(&change.suggestion.verdict, finding::Verdict::Untested { why }
            if why.contains("IMMUTABLE"));
        if !refused {
            list.push(change);
        }
    }
    if list.is_empty() {
        list.push(changes::by_hand(
            format!("let {} stand alone in the condition", column.name),
            "do the work on the other side, as a value or a range",
        ));
    }
    Ok(Cause {
        kind: CauseKind::ColumnWrapped,
        span,
        node: Some(found.node),
        message: format!("{} stands in {what}", column.name),
        why: format!(
            "The index is sorted by {}, not by what is computed from it, so that the condition \
             must be computed for every row.",
            column.name
        ),
        evidence: vec![condition(found)],
        changes: list,
    })
}

/// The planner chose another index whatever was switched off, and cannot be
/// The condition as evidence.
pub(super) fn condition(found: &Found) -> Evidence {
    Evidence::new(
        "condition as the planner sees it",
        Value::Text(found.term.text.clone()),
        Origin::Plan(found.node),
    )
}

/// The statement's own predicates on a column of the index's table.
pub(super) fn written<'a>(case: &Case<'a>, column: &str) -> Vec<&'a Predicate> {
    let Some(query) = &case.statement.query else {
        return Vec::new();
    };
    query
        .predicates()
        .map(|(_, predicate)| predicate)
        .filter(|predicate| {
            predicate.clause != Clause::Having
                && [&predicate.left, &predicate.right]
                    .iter()
                    .flat_map(|side| columns(side))
                    .any(|reference| reference.name == column && is_table(case, reference))
        })
        .collect()
}

fn columns(operand: &Operand) -> Vec<&ColumnRef> {
    match operand {
        Operand::Column(column) | Operand::Wrapped { column, .. } => vec![column],
        Operand::Other { columns, .. } => columns.iter().collect(),
        _ => Vec::new(),
    }
}

/// The column is of the index's table, or of the table that it is a part of.
pub(super) fn is_table(case: &Case<'_>, column: &ColumnRef) -> bool {
    let Some((schema, name)) = case
        .statement
        .query
        .as_ref()
        .and_then(|query| query.table_of(column))
    else {
        return false;
    };
    let mut at = Some(case.relation);
    while let Some(relation) = at {
        if relation.schema == schema && relation.name == name {
            return true;
        }
        at = relation
            .parent
            .as_ref()
            .and_then(|(schema, name)| case.catalog.relation(Some(schema), name));
    }
    false
}

/// The side opposite to the bare column.
fn bare_side<'a>(case: &Case<'_>, predicate: &'a Predicate, column: &str) -> Option<&'a Operand> {
    let is_bare = |side: &Operand| {
        matches!(side, Operand::Column(reference)
            if reference.name == column && is_table(case, reference))
    };
    if is_bare(&predicate.left) {
        Some(&predicate.right)
    } else if is_bare(&predicate.right) {
        Some(&predicate.left)
    } else {
        None
    }
}

/// The text without its columns' qualifiers: what an index could hold.
pub(super) fn without_aliases(text: &str, term: &terms::Term) -> String {
    let mut bare = text.to_owned();
    let mut seen: Vec<&str> = Vec::new();
    for qualifier in term
        .columns
        .iter()
        .filter_map(|column| column.qualifier.as_deref())
    {
        if !seen.contains(&qualifier) {
            seen.push(qualifier);
            let prefix = format!("{}.", ident::quote(qualifier));
            let mut out = String::with_capacity(bare.len());
            let mut rest = bare.as_str();
            while let Some(at) = rest.find(&prefix) {
                let before = rest.get(..at).unwrap_or("");
                out.push_str(before);
                let inside = before
                    .chars()
                    .next_back()
                    .is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '"'));
                if inside {
                    out.push_str(&prefix);
                }
                rest = rest.get(at + prefix.len()..).unwrap_or("");
            }
            out.push_str(rest);
            bare = out;
        }
    }
    bare
}

/// The operator as it is written in SQL.
pub(super) fn shown(operator: &str) -> String {
    operator.to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collation_is_read_from_the_condition() {
        assert_eq!(
            collation_of("(o.name)::text = 'x'::text COLLATE \"de-x-icu\""),
            Some("de-x-icu".to_owned())
        );
        assert_eq!(collation_of("o.name = 'x'::text"), None);
    }

    #[test]
    fn an_index_holds_columns_without_qualifiers() {
        let term = crate::sql::condition::parse("(lower((o.email)::text) = 'x'::text)").remove(0);
        assert_eq!(
            without_aliases("lower((o.email)::text)", &term),
            "lower((email)::text)"
        );
        assert_eq!(without_aliases("foo.x + o.y", &term), "foo.x + y");
    }
}
