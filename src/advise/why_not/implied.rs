//! The predicate of a partial index, against what the statement asks.

use super::force::Attempts;
use super::mismatch::{is_table, without_aliases};
use super::terms::{Found, Scan, Term, sides};
use super::{Case, Cause, CauseKind, Change, changes};
use crate::catalog::expression;
use crate::finding::{Applicability, Edit, Evidence, Origin, Value};
use crate::sql::condition;
use crate::sql::{Clause, Operand, Predicate};
use crate::verify::{PlanError, Planned, Planner};

/// Why the statement does not imply the predicate; nothing when it does.
pub(super) fn causes(
    case: &Case<'_>,
    scans: &[Scan],
    found: &[Found],
    attempts: &Attempts,
    planner: &mut dyn Planner,
) -> Result<Vec<Cause>, PlanError> {
    let Some(predicate) = case.index.predicate.as_deref() else {
        return Ok(Vec::new());
    };
    if attempts.best.is_some() || probe(case, scans, found, planner)? == Some(true) {
        return Ok(Vec::new());
    }
    let clauses = condition::parse(predicate);
    let missing: Vec<&Term> = clauses
        .iter()
        .filter(|clause| !found.iter().any(|found| gives(&found.term, clause)))
        .collect();
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let parameter = missing.iter().find_map(|clause| {
        let name = clause.column.as_ref()?;
        let written = parameter_on(case, &name.column)?;
        Some((*clause, written))
    });
    let shown = missing
        .iter()
        .map(|clause| clause.text.as_str())
        .collect::<Vec<_>>()
        .join(" AND ");
    let evidence = vec![
        Evidence::new(
            "predicate of the index",
            Value::Text(predicate.to_owned()),
            Origin::Catalog(case.index.name.clone()),
        ),
        Evidence::new(
            "not implied by the statement",
            Value::Text(shown.clone()),
            Origin::Formula("each clause looked for among the plan's conditions"),
        ),
    ];
    let mut list = Vec::new();
    if let Some((clause, written)) = parameter {
        list.extend(constant(case, clause, written, planner)?);
        list.extend(total(case, planner)?);
        return Ok(vec![Cause {
            kind: CauseKind::ParameterInPredicate,
            span: Some(written.span),
            node: None,
            message: format!(
                "the index holds only rows with {}, and the statement compares with a parameter",
                clause.text
            ),
            why: "A generic plan must be right for every value of the parameter, so that it \
                  cannot use an index that lacks the rows of some. With the value in place, as \
                  in a custom plan, it can."
                .to_owned(),
            evidence,
            changes: list,
        }]);
    }
    list.extend(added(case, &shown, planner)?);
    list.extend(total(case, planner)?);
    Ok(vec![Cause {
        kind: CauseKind::PredicateNotImplied,
        span: None,
        node: scans.first().map(|scan| scan.node),
        message: format!(
            "the index holds only rows with {predicate}, and the statement does not ask for {shown}"
        ),
        why: "The planner uses a partial index only where the statement's own conditions prove \
              that every wanted row is in it. It proves simple things: the same clause, x = 5 \
              from x IN (5), x > 0 from x > 5, x IS NOT NULL from a comparison of x."
            .to_owned(),
        evidence,
        changes: list,
    }])
}

/// Whether a condition gives a clause, as far as that can be told here.
fn gives(term: &Term, clause: &Term) -> bool {
    let bare = without_aliases(&term.text, term);
    if expression::same(&bare, &clause.text) {
        return true;
    }
    // A strict comparison passes no NULL.
    clause.operator == "is not null"
        && term.column.as_ref().map(|name| &name.column)
            == clause.column.as_ref().map(|name| &name.column)
        && !term.opaque
        && !matches!(
            term.operator.as_str(),
            "is null" | "is not true" | "is not false"
        )
}

/// Asks the planner itself: with the predicate added to the statement's
/// conditions on the table, does the index appear, and without it not? `true`
/// says that the predicate is implied already, `None` that it cannot be told.
fn probe(
    case: &Case<'_>,
    scans: &[Scan],
    found: &[Found],
    planner: &mut dyn Planner,
) -> Result<Option<bool>, PlanError> {
    let (Some(scan), Some(predicate)) = (scans.first(), case.index.predicate.as_deref()) else {
        return Ok(None);
    };
    let conditions: Vec<&str> = found
        .iter()
        .filter(|found| !found.is_join() && !found.term.text.contains("Plan "))
        .map(|found| found.term.text.as_str())
        .chain(["true"])
        .collect();
    let base = format!(
        "SELECT 1 FROM {} AS {} WHERE ({})",
        case.relation.qualified(),
        crate::catalog::ident::quote(&scan.alias),
        conditions.join(") AND (")
    );
    let appears = |planner: &mut dyn Planner, sql: &str| {
        let planned = Planned {
            sql,
            parameters: case.statement.parameters(),
        };
        let settings = [
            ("enable_seqscan", "off"),
            ("enable_indexscan", "on"),
            ("enable_indexonlyscan", "on"),
            ("enable_bitmapscan", "on"),
        ];
        changes::plan_of(planner.plan_with(planned, &settings))
            .map(|plan| plan.map(|plan| case.uses(&plan)))
    };
    if appears(planner, &base)? == Some(true) {
        return Ok(Some(true));
    }
    Ok(appears(planner, &format!("{base} AND ({predicate})"))?
        .filter(|appears| *appears)
        .map(|_| false))
}

/// The statement's comparison of a column with a parameter.
fn parameter_on<'a>(case: &Case<'a>, column: &str) -> Option<&'a Predicate> {
    case.statement
        .query
        .as_ref()?
        .predicates()
        .map(|(_, predicate)| predicate)
        .find(|predicate| {
            matches!(&predicate.left, Operand::Column(reference)
                if reference.name == column && is_table(case, reference))
                && matches!(predicate.right, Operand::Parameter { .. })
                && matches!(predicate.operator.as_str(), "=" | "in")
        })
}

/// The parameter written as the clause's constant.
fn constant(
    case: &Case<'_>,
    clause: &Term,
    written: &Predicate,
    planner: &mut dyn Planner,
) -> Result<Option<Change>, PlanError> {
    let (Operand::Parameter { span, .. }, Some((_, value))) = (&written.right, sides(clause))
    else {
        return Ok(None);
    };
    if clause.operator != "=" || value.is_empty() {
        return Ok(Some(changes::by_hand(
            "write the value into the statement",
            "a constant in place of the parameter, where it is always the same",
        )));
    }
    let edits = vec![Edit {
        span: *span,
        text: value.to_owned(),
    }];
    let suggestion = changes::edit(
        format!("write {value} in place of the parameter, where it is always that value"),
        edits.clone(),
        Applicability::MayChangeResults,
    );
    changes::edited(case, planner, suggestion, &edits)
}

/// The clause added to the statement's WHERE.
fn added(
    case: &Case<'_>,
    clause: &str,
    planner: &mut dyn Planner,
) -> Result<Option<Change>, PlanError> {
    let Some(query) = &case.statement.query else {
        return Ok(None);
    };
    let beside = query
        .predicates()
        .map(|(_, predicate)| predicate)
        .find(|predicate| {
            predicate.conjunct
                && predicate.clause == Clause::Where
                && [&predicate.left, &predicate.right]
                    .iter()
                    .filter_map(|side| side.column())
                    .any(|column| is_table(case, column))
        });
    let Some(beside) = beside else {
        return Ok(None);
    };
    let edits = vec![Edit {
        span: beside.span,
        text: format!("{} AND ({clause})", case.text(beside.span)),
    }];
    let suggestion = changes::edit(
        format!("add {clause} to the WHERE, where it holds of all wanted rows"),
        edits.clone(),
        Applicability::MayChangeResults,
    );
    changes::edited(case, planner, suggestion, &edits)
}

/// The same index over all rows.
fn total(case: &Case<'_>, planner: &mut dyn Planner) -> Result<Option<Change>, PlanError> {
    let Some(mut spec) = changes::spec_of(case.relation, case.index) else {
        return Ok(None);
    };
    spec.predicate = None;
    changes::create(case, planner, "create the index over all rows", &spec).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comparison_proves_that_its_column_is_not_null() {
        let one = |text: &str| condition::parse(text).remove(0);
        assert!(gives(&one("(o.a > 5)"), &one("(a IS NOT NULL)")));
        assert!(!gives(&one("(o.b > 5)"), &one("(a IS NOT NULL)")));
        assert!(gives(
            &one("(o.status = 'open'::text)"),
            &one("(status = 'open'::text)")
        ));
        assert!(!gives(
            &one("(o.status = 'done'::text)"),
            &one("(status = 'open'::text)")
        ));
    }
}
