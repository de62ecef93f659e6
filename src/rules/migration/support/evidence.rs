//! Pieces of evidence that many rules give.

use crate::finding::{Evidence, Origin, Value};
use crate::migration::locks::{Effect, Work};
use crate::migration::state::Qualified;
use crate::rule::migration::Step;
use crate::source::Span;

use super::size;

/// What the statement says.
pub(crate) fn statement(step: &Step<'_>) -> Evidence {
    Evidence::new(
        "statement",
        Value::Text(step.statement.verb.clone()),
        Origin::Sql(step.statement.span),
    )
}

/// The lock that is taken, and the work that is done under it.
pub(crate) fn lock(step: &Step<'_>, effect: &Effect) -> Evidence {
    lock_at(step.statement.span, effect)
}

/// The lock that the statement at that place takes.
pub(crate) fn lock_at(span: Span, effect: &Effect) -> Evidence {
    let work = match effect.work {
        Work::None => "no work under it",
        Work::Scan => "the table is read under it",
        Work::IndexBuild => "an index is built under it",
        Work::IndexRebuild => "indexes are rebuilt under it",
        Work::Rows => "rows are written under it",
        Work::Rewrite => "the table is written anew under it",
    };
    Evidence::new(
        "lock",
        Value::Text(format!(
            "{} on {}, {work}",
            effect.mode.name(),
            effect.relation
        )),
        Origin::Sql(span),
    )
}

/// How large the relation is, where that is known.
pub(crate) fn pages(step: &Step<'_>, relation: &Qualified) -> Option<Evidence> {
    size::pages(step, relation).map(|pages| {
        Evidence::new(
            "size",
            Value::Blocks(pages),
            Origin::Catalog(relation.to_string()),
        )
    })
}

/// What another statement says.
pub(crate) fn of(statement: &crate::sql::ddl::Statement) -> Evidence {
    Evidence::new(
        "statement",
        Value::Text(statement.verb.clone()),
        Origin::Sql(statement.span),
    )
}
