//! `id = 12345.0` on an integer column: the integer, so that the column is not
//! turned into `numeric` row by row.

use super::decimal::Decimal;
use super::site::Site;
use super::{Proposal, Rewrite};
use crate::catalog::{Column, Relation};
use crate::finding::{Edit, Precondition};
use crate::source::Span;
use crate::sql::{LiteralKind, Operand, Predicate};
use crate::subject::Subject;

/// See [`Rewrite::docs`].
#[derive(Debug)]
pub(super) struct NumericLiteralToInteger;

const ID: &str = "numeric-literal-to-integer";

impl Rewrite for NumericLiteralToInteger {
    fn id(&self) -> &'static str {
        ID
    }

    fn docs(&self) -> &'static str {
        "An integer column compared with a constant of type `numeric` (`12345.0`, \
         `12345::numeric`) is turned into `numeric` row by row, and no index on it can be used. \
         The constant becomes the integer.\n\n\
         Equality is only rewritten when the constant is an integer within the column's range; \
         otherwise it is never true, and is refused. For `<`, `<=`, `>` and `>=` a fraction is \
         rounded up or down so that the same integers pass."
    }

    fn propose(&self, subject: &Subject<'_>) -> Vec<Proposal> {
        let Some(site) = Site::new(subject) else {
            return Vec::new();
        };
        site.filters()
            .filter_map(|(_, predicate, relation, column)| one(&site, predicate, relation, column))
            .collect()
    }
}

/// The least and greatest value of an integer type.
pub(super) fn integer_range(base_type: &str) -> Option<(i128, i128)> {
    Some(match base_type {
        "int2" => (i128::from(i16::MIN), i128::from(i16::MAX)),
        "int4" => (i128::from(i32::MIN), i128::from(i32::MAX)),
        "int8" => (i128::from(i64::MIN), i128::from(i64::MAX)),
        _ => return None,
    })
}

/// A constant beside the column.
struct Constant<'a> {
    span: Span,
    text: &'a str,
    value: Decimal,
    /// Its type is numeric, and so makes the comparison numeric.
    numeric: bool,
}

fn constant(operand: &Operand) -> Option<Constant<'_>> {
    let Operand::Literal {
        span,
        text,
        value,
        kind,
        cast,
    } = operand
    else {
        return None;
    };
    let value = Decimal::parse(value)?;
    let numeric = match (kind, cast.as_deref()) {
        (LiteralKind::Numeric, None) => true,
        // Integer constants that do not fit in bigint are numeric.
        (LiteralKind::Integer, None) => value.integer()? > i128::from(i64::MAX),
        (
            LiteralKind::Numeric | LiteralKind::Integer | LiteralKind::String,
            Some("numeric" | "decimal"),
        ) => true,
        (
            LiteralKind::Integer,
            Some("int" | "integer" | "int4" | "int8" | "bigint" | "int2" | "smallint"),
        ) => false,
        _ => return None,
    };
    Some(Constant {
        span: *span,
        text,
        value,
        numeric,
    })
}

fn one(
    site: &Site<'_>,
    predicate: &Predicate,
    relation: &Relation,
    column: &Column,
) -> Option<Proposal> {
    let Operand::Column(reference) = &predicate.left else {
        return None;
    };
    let (least, greatest) = integer_range(&column.base_type)?;
    let operator = predicate.operator.as_str();
    let operands: Vec<&Operand> = match (&predicate.right, &predicate.upper, operator) {
        (Operand::List { items, .. }, None, "in" | "not in") => items.iter().collect(),
        (lower, Some(upper), "between" | "not between") => vec![lower, upper],
        (value, None, "=" | "<>" | "!=" | "<" | "<=" | ">" | ">=") => vec![value],
        _ => return None,
    };
    let constants: Vec<Constant<'_>> = operands
        .iter()
        .map(|operand| constant(operand))
        .collect::<Option<_>>()?;
    if !constants.iter().any(|constant| constant.numeric) {
        return None;
    }
    let title = format!(
        "compare {} with an integer instead of {}",
        site.text(reference.span),
        constants
            .iter()
            .find(|constant| constant.numeric)
            .map_or("", |constant| constant.text)
    );
    let mut edits = Vec::new();
    let mut preconditions = vec![Site::type_fact(relation, column)];
    let refuse = |reason: String| Some(Proposal::refused(ID, predicate.span, &title, reason));
    for (at, constant) in constants.iter().enumerate() {
        // Which way a fraction is rounded so that the same integers pass.
        let rounded = match operator {
            "<" | ">=" => constant.value.ceil(),
            "<=" | ">" => constant.value.floor(),
            "between" | "not between" if at == 0 => constant.value.ceil(),
            "between" | "not between" => constant.value.floor(),
            _ => match constant.value.integer() {
                Some(integer) => integer,
                None => {
                    return refuse(format!("no integer equals {}", constant.text));
                }
            },
        };
        if rounded < least || rounded > greatest {
            return refuse(format!(
                "{} is outside the range of {}",
                constant.text, column.type_name
            ));
        }
        if !constant.numeric {
            continue;
        }
        let claim = match constant.value.integer() {
            Some(_) => format!("{} is the integer {rounded}", constant.text),
            None => format!(
                "the same integers pass with {rounded} as with {}",
                constant.text
            ),
        };
        preconditions.push(Precondition {
            claim,
            proof: format!("the constant, within the range of {}", column.type_name),
        });
        edits.push(Edit {
            span: constant.span,
            text: if rounded < 0 && !site.text(constant.span).starts_with(['-', '(']) {
                format!("({rounded})")
            } else {
                rounded.to_string()
            },
        });
    }
    Some(Proposal::offered(
        ID,
        predicate.span,
        title,
        edits,
        preconditions,
    ))
}
