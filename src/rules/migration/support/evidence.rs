//! Pieces of evidence that many rules give.

use crate::finding::{Evidence, Origin, Value};
use crate::rule::migration::Step;

/// What the statement says.
pub(crate) fn statement(step: &Step<'_>) -> Evidence {
    Evidence::new(
        "statement",
        Value::Text(step.statement.verb.clone()),
        Origin::Sql(step.statement.span),
    )
}

/// What another statement says.
pub(crate) fn of(statement: &crate::sql::ddl::Statement) -> Evidence {
    Evidence::new(
        "statement",
        Value::Text(statement.verb.clone()),
        Origin::Sql(statement.span),
    )
}
