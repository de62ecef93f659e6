//! What the conditions of a scan compare, as far as the planner's estimate
//! depends on it. Which cause follows from it is said in `cause`.

use crate::catalog::Relation;
use crate::plan::{ConditionRole, PlanGraph, PlanNode};
use crate::sql::{Wrapper, condition as terms};

use super::condition::{self, Conjunct};

/// What stands around a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Around {
    /// Only casts and arithmetic, which can be done on the other side.
    Moveable,
    /// A function among it.
    Function,
    /// A part of a document is taken, or it is not one column.
    Other,
}

/// An expression that is compared with a value.
#[derive(Debug)]
pub(super) struct Expression<'a> {
    /// As printed.
    pub(super) text: &'a str,
    /// The one column in it.
    pub(super) column: Option<String>,
    /// What stands around that.
    pub(super) around: Around,
}

/// What a scan's conditions compare.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a kind of condition, and a scan may have all of them"
)]
pub(super) struct Compared<'a> {
    /// Columns that are compared with values,
    pub(super) columns: Vec<String>,
    /// by which operators,
    pub(super) operators: Vec<&'a str>,
    /// and with what, as printed.
    pub(super) values: Vec<&'a str>,
    /// Columns of its own that are compared with another table's.
    pub(super) joined_columns: Vec<String>,
    /// Expressions that are compared with values.
    pub(super) expressions: Vec<Expression<'a>>,
    /// A value is a parameter of the statement.
    pub(super) parameter: bool,
    /// A pattern is matched.
    pub(super) pattern: bool,
    /// A value comes from another table.
    pub(super) joined: bool,
    /// A value comes from a subquery.
    pub(super) subquery: bool,
    /// A subquery alone decides: `IN`, `NOT IN`, `EXISTS`.
    pub(super) subplan: bool,
    /// There is a condition that is none of these.
    pub(super) unknown: bool,
}

impl Compared<'_> {
    /// Keeps only these columns.
    pub(super) fn keep(&mut self, wanted: impl Fn(&str) -> bool) {
        let kept: Vec<bool> = self.columns.iter().map(|column| wanted(column)).collect();
        let is_kept = |at: &mut usize| {
            *at += 1;
            kept.get(*at - 1).copied().unwrap_or_default()
        };
        let mut at = 0;
        self.columns.retain(|_| is_kept(&mut at));
        at = 0;
        self.operators.retain(|_| is_kept(&mut at));
        at = 0;
        self.values.retain(|_| is_kept(&mut at));
    }
}

/// What the conditions of that node compare; `below` stands for the condition
/// of the bitmap under it.
pub(super) fn of<'a>(
    plan: &PlanGraph,
    node: &'a PlanNode,
    below: Option<&'a str>,
    relation: Option<&Relation>,
) -> Compared<'a> {
    let alias = node
        .relation
        .alias
        .as_deref()
        .or(node.relation.name.as_deref());
    let outputs = outputs(plan);
    let mut found = Compared::default();
    let texts = [
        node.condition(ConditionRole::IndexCond).or(below),
        node.condition(ConditionRole::RecheckCond),
        node.condition(ConditionRole::Filter),
    ];
    for part in texts.into_iter().flatten().flat_map(condition::conjuncts) {
        if condition::only_subplans(part.text) {
            if part.operator.is_empty() || part.operator.ends_with("ANY") {
                found.subplan = true;
            } else {
                found.subquery = true;
            }
            continue;
        }
        let given = |text: &str| {
            text.contains("InitPlan ") || parameters(text).any(|number| outputs.contains(&number))
        };
        if given(part.left) || given(part.right) {
            found.subquery = true;
            continue;
        }
        let foreign = condition::qualifiers(part.text)
            .iter()
            .any(|qualifier| Some(qualifier.as_str()) != alias);
        if foreign {
            found.joined = true;
            let own = [part.left, part.right]
                .into_iter()
                .filter_map(condition::column)
                .find(|(qualifier, _)| qualifier.is_none() || qualifier.as_deref() == alias);
            if let (Some((_, name)), "=") = (own, part.operator)
                && !found.joined_columns.contains(&name)
            {
                found.joined_columns.push(name);
            }
            continue;
        }
        classify(&part, relation, &mut found);
    }
    found
}

fn classify<'a>(part: &Conjunct<'a>, relation: Option<&Relation>, found: &mut Compared<'a>) {
    let is_column = |name: &String| {
        relation.map_or_else(
            || !name.starts_with("CURRENT_") && !name.starts_with("LOCALTIME"),
            |relation| relation.column(name).is_some(),
        )
    };
    let named = |text: &str| condition::names(text).iter().any(is_column);
    // `5 < x` is printed as it was written.
    let (left, right) = if !part.operator.is_empty() && !named(part.left) {
        (part.right, part.left)
    } else {
        (part.left, part.right)
    };
    if parameters(right).next().is_some() && !named(right) {
        found.parameter = true;
    }
    if matches!(part.operator, "~~" | "~~*" | "!~~" | "!~~*" | "~" | "~*") {
        found.pattern = true;
    }
    if part.operator.is_empty() {
        // A bare boolean column, or an OR or NOT over columns: their joint
        // distribution decides.
        let operator = if condition::column(left).is_some() {
            "="
        } else {
            ""
        };
        let names: Vec<String> = condition::names(part.text)
            .into_iter()
            .filter(|name| {
                !matches!(
                    name.as_str(),
                    "OR" | "AND" | "NOT" | "ANY" | "ALL" | "IS" | "NULL"
                ) && is_column(name)
            })
            .collect();
        found.unknown |= names.is_empty();
        for name in names {
            push(found, name, operator, "");
        }
    } else if named(right) {
        found.unknown = true;
    } else if let Some((_, column)) = condition::column(left)
        && condition::casts(left)
            .iter()
            .all(|cast| keeps_statistics(cast, relation, &column))
    {
        push(found, column, part.operator, right);
    } else {
        let text = condition::strip(left);
        if !named(text) {
            found.unknown = true;
        } else if !found.expressions.iter().any(|known| known.text == text) {
            let (column, around) = around(part.text, relation);
            found.expressions.push(Expression {
                text,
                column,
                around,
            });
        }
    }
}

fn push<'a>(found: &mut Compared<'a>, column: String, operator: &'a str, value: &'a str) {
    if !found.columns.contains(&column) {
        found.columns.push(column);
        found.operators.push(operator);
        found.values.push(value);
    }
}

/// Whether a cast only changes what the bytes are called, so that the planner
/// still looks at the column's statistics. Without a catalogue a cast to text
/// is taken as one of a `varchar`, which is by far the most frequent.
fn keeps_statistics(cast: &str, relation: Option<&Relation>, column: &str) -> bool {
    let bare = cast.split('(').next().unwrap_or(cast).trim();
    let to_text = matches!(bare, "text" | "character varying" | "character" | "bpchar");
    let Some(column) = relation.and_then(|relation| relation.column(column)) else {
        return to_text;
    };
    let base = column.base_type.as_str();
    cast == column.type_name
        || cast == base
        || to_text && matches!(base, "text" | "varchar")
        || matches!(
            (base, bare),
            ("bpchar", "character" | "bpchar")
                | ("int2", "smallint")
                | ("int4", "integer" | "oid")
                | ("int8", "bigint")
                | ("float4", "real")
                | ("float8", "double precision")
                | ("bool", "boolean")
                | ("timestamp", "timestamp without time zone")
                | ("timestamptz", "timestamp with time zone")
        )
}

/// The one column of a comparison, and what stands around it.
fn around(text: &str, relation: Option<&Relation>) -> (Option<String>, Around) {
    let terms = terms::parse(text);
    let [term] = terms.as_slice() else {
        return (None, Around::Other);
    };
    let Some(column) = term.column.as_ref().map(|name| name.column.clone()) else {
        return (None, Around::Other);
    };
    if relation.is_some_and(|relation| relation.column(&column).is_none()) {
        return (None, Around::Other);
    }
    let around = if term
        .wrappers
        .iter()
        .any(|one| matches!(one, Wrapper::Part { .. }))
    {
        Around::Other
    } else if term
        .wrappers
        .iter()
        .all(|one| matches!(one, Wrapper::Cast { .. } | Wrapper::Arithmetic { .. }))
    {
        Around::Moveable
    } else {
        Around::Function
    };
    (Some(column), around)
}

/// The numbers of the parameters in a text: `$1`, not within a string.
fn parameters(text: &str) -> impl Iterator<Item = &str> {
    // Every other piece between quotes is a string.
    text.split('\'').step_by(2).flat_map(|piece| {
        piece.split('$').skip(1).filter_map(|rest| {
            let end = rest
                .find(|character: char| !character.is_ascii_digit())
                .unwrap_or(rest.len());
            rest.get(..end).filter(|number| !number.is_empty())
        })
    })
}

/// The parameters that the plan's own subqueries give, which before version 17
/// look like the statement's: `InitPlan 1 (returns $0)`.
fn outputs(plan: &PlanGraph) -> Vec<&str> {
    plan.nodes()
        .filter_map(|(_, node)| node.subplan_name.as_deref())
        .filter(|name| name.starts_with("InitPlan"))
        .flat_map(parameters)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classified(text: &str) -> Compared<'_> {
        let mut found = Compared::default();
        for part in condition::conjuncts(text) {
            classify(&part, None, &mut found);
        }
        found
    }

    #[test]
    fn a_cast_that_changes_the_value_is_an_expression() {
        let found = classified("((id)::numeric = 12345.0)");
        assert!(found.columns.is_empty());
        assert_eq!(found.expressions[0].text, "(id)::numeric");
        assert_eq!(found.expressions[0].around, Around::Moveable);
        assert_eq!(found.expressions[0].column.as_deref(), Some("id"));
        // A cast of varchar to text is none that the planner sees.
        let found = classified("((status)::text = 'paid'::text)");
        assert_eq!(found.columns, ["status"]);
        assert!(found.expressions.is_empty());
    }

    #[test]
    fn what_stands_around_a_column_is_told_apart() {
        let around = |text| classified(text).expressions[0].around;
        assert_eq!(around("((id + 10) = 5010)"), Around::Moveable);
        assert_eq!(
            around("(date_trunc('day'::text, created_at) = '2024-01-01'::date)"),
            Around::Function
        );
        assert_eq!(around("((meta ->> 'k'::text) = 'v'::text)"), Around::Other);
    }

    #[test]
    fn a_constant_on_the_left_and_two_columns_are_no_join() {
        assert_eq!(classified("(5 = id)").columns, ["id"]);
        let found = classified("(shipped_at < ordered_at)");
        assert!(found.unknown && found.columns.is_empty());
    }

    #[test]
    fn parameters_in_strings_are_none() {
        let numbers = |text| parameters(text).collect::<Vec<_>>();
        assert_eq!(numbers("(a = $1) OR (b = '$2'::text)"), ["1"]);
        assert_eq!(numbers("InitPlan 1 (returns $0,$3)"), ["0", "3"]);
        assert!(classified("(note = '$5'::text)").columns == ["note"]);
        assert!(!classified("(note = '$5'::text)").parameter);
    }
}
