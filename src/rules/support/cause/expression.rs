//! A condition or a group on an expression.

use crate::catalog::expression::normalized;
use crate::catalog::{Index, IndexKey, StatisticsObject, ident};
use crate::plan::PlanNode;
use crate::rules::support::compared::{Around, Expression};
use crate::rules::support::{condition, memory};
use crate::subject::Subject;

use super::table::Table;
use super::{Cause, Kind, by_hand};

/// The cause where a condition compares an expression with a value.
pub(super) fn compared_expression(
    subject: &Subject<'_>,
    table: &Table<'_>,
    node: &PlanNode,
    expression: &Expression<'_>,
) -> Cause {
    let text = expression.text;
    let cause = Cause::new(
        Kind::Expression,
        format!(
            "no statistics exist for the expression {text}, so that the planner takes a default \
         selectivity"
        ),
    );
    let Some(column) = &expression.column else {
        return expression_cause(subject, table, node, text, cause);
    };
    let bare = ident::quote(column);
    let indexed = table.relation.is_some_and(|relation| {
        relation
            .indexes
            .iter()
            .any(|index| index.valid && index.leading_column() == Some(column))
    });
    match expression.around {
        // What lets the index be used mends the estimate too.
        Around::Moveable | Around::Function if indexed && !known(table, node, text) => {
            let mut cause = cause;
            cause.text.push_str(&format!(
                "; with {bare} alone in the condition it has those of {bare}"
            ));
            cause
        }
        Around::Moveable if !known(table, node, text) => cause.suggest(by_hand(
            &format!("let {bare} stand alone in the condition"),
            format!(
                "write the condition as a comparison of the bare column, whose statistics the \
                 planner has, doing the cast or the arithmetic on the other side of {text}"
            ),
        )),
        _ => expression_cause(subject, table, node, text, cause),
    }
}

/// A statistics object or an index has the expression.
fn known(table: &Table<'_>, node: &PlanNode, text: &str) -> bool {
    object_of(table, node, text).is_some() || key_of(table, node, text).is_some()
}

/// The statistics object that has the expression.
fn object_of<'a>(table: &Table<'a>, node: &PlanNode, text: &str) -> Option<&'a StatisticsObject> {
    let bare = normalized(&unqualified(text, node));
    table.relation?.statistics.iter().find(|object| {
        object
            .expressions
            .iter()
            .any(|known| normalized(known) == bare)
    })
}

/// The index with the expression as a key, and that key.
fn key_of<'a>(table: &Table<'a>, node: &PlanNode, text: &str) -> Option<(&'a Index, &'a IndexKey)> {
    let bare = normalized(&unqualified(text, node));
    table.relation?.indexes.iter().find_map(|index| {
        let key = index
            .keys
            .iter()
            .find(|key| key.column.is_none() && normalized(&key.text) == bare)?;
        Some((index, key))
    })
}

/// Statistics of an expression that has none, or better ones; `without` is the
/// cause where it has none.
pub(super) fn expression_cause(
    subject: &Subject<'_>,
    table: &Table<'_>,
    node: &PlanNode,
    expression: &str,
    without: Cause,
) -> Cause {
    let bare = unqualified(expression, node);
    let skewed = || {
        Cause::new(
            Kind::Skew,
            format!("the values of {bare} are skewed beyond what its statistics hold"),
        )
    };
    if let Some(object) = object_of(table, node, expression) {
        return if object.computed {
            skewed().suggest(table.finer_object(&object.name))
        } else {
            without.suggest(table.analyze())
        };
    }
    if let Some((index, key)) = key_of(table, node, expression) {
        // The statistics of an index's expressions are those of the whole
        // table only where the index has all rows.
        return if key.stats.is_some() && index.predicate.is_none() {
            skewed()
        } else {
            without.suggest(table.analyze())
        };
    }
    match memory::major(subject) {
        Some(major) if major < 14 => without.suggest(by_hand(
            "give the expression statistics by an index on it",
            format!(
                "an index on ({bare}) makes ANALYZE collect statistics of it; from version 14 on, \
                 CREATE STATISTICS does so without an index"
            ),
        )),
        _ => {
            let label = condition::names(&bare).join("_");
            without.suggest(table.create_statistics(
                &format!("{label}_expr"),
                "",
                &[format!("({bare})")],
                false,
                "create statistics on the expression",
            ))
        }
    }
}

/// Without the table's alias, which the commands do not know.
fn unqualified(expression: &str, node: &PlanNode) -> String {
    let alias = node
        .relation
        .alias
        .as_deref()
        .or(node.relation.name.as_deref())
        .unwrap_or("");
    let mut text = String::new();
    let mut rest = expression;
    let prefix = format!("{}.", ident::quote(alias));
    while let Some(at) = rest.find(&prefix) {
        let before = rest.get(..at).unwrap_or("");
        text.push_str(before);
        // `foo.` within `xfoo.` is another name.
        let inside = before
            .chars()
            .next_back()
            .is_some_and(|last| last.is_alphanumeric() || last == '_' || last == '"');
        if inside {
            text.push_str(&prefix);
        }
        rest = rest.get(at + prefix.len()..).unwrap_or("");
    }
    text.push_str(rest);
    text
}
