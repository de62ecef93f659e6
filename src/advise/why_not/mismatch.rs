//! Why an index does not match a statement: each condition on its table held
//! against its first key.

use super::force::Attempts;
use super::operators::{Support, served, support};
use super::terms::{self, Found, sides};
use super::{Case, Cause, CauseKind, Change, changes, implied, order, pushed};
use crate::advise::indexes;
use crate::catalog::{Column, IndexKey, expression, ident};
use crate::finding::{self, Applicability, Edit, Evidence, IndexSpecKey, Origin, Value};
use crate::plan::ConditionRole;
use crate::sql::{Clause, ColumnRef, Operand, Predicate, Wrapper};
use crate::verify::{PlanError, Planner};

/// Indexes proposed instead save at least this share of the cost.
const MIN_GAIN: f64 = 0.1;

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

/// The operator class has no such operator.
fn operator(
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
fn collation_of(text: &str) -> Option<String> {
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

fn collation_differs(
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

/// A condition that matches, and all the same may not be looked up.
fn held_back(case: &Case<'_>, found: &Found) -> Option<Cause> {
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
fn unused(
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

/// The planner chose another index whatever was switched off, and cannot be
/// told to forget it.
fn hidden_behind(case: &Case<'_>) -> Cause {
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
fn better(case: &Case<'_>, planner: &mut dyn Planner) -> Result<Option<Change>, PlanError> {
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
