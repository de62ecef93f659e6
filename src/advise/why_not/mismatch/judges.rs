//! The judges of a condition that an index cannot serve, one question each.

#[expect(
    clippy::wildcard_imports,
    reason = "one subject in two files: the judges need all of their caller"
)]
use super::*;

pub(super) fn advice_for(operator: &str, column: &str) -> Option<Change> {
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

pub(super) fn volatile_in(case: &Case<'_>, text: &str) -> Option<String> {
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

/// The planner chose another index whatever was switched off, and cannot be
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
pub(super) fn untried(case: &Case<'_>, error: &PlanError) -> Option<Change> {
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

pub(super) fn columns(operand: &Operand) -> Vec<&ColumnRef> {
    match operand {
        Operand::Column(column) | Operand::Wrapped { column, .. } => vec![column],
        Operand::Other { columns, .. } => columns.iter().collect(),
        _ => Vec::new(),
    }
}

/// The column is of the index's table, or of the table that it is a part of.
pub(in crate::advise::why_not) fn is_table(case: &Case<'_>, column: &ColumnRef) -> bool {
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
pub(super) fn bare_side<'a>(
    case: &Case<'_>,
    predicate: &'a Predicate,
    column: &str,
) -> Option<&'a Operand> {
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
pub(in crate::advise::why_not) fn without_aliases(text: &str, term: &terms::Term) -> String {
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
