//! `c + 1 = 10`, `c * 2 > 10`, `c + interval '7 days' > now()`: the arithmetic
//! moved to the constant's side, so that the column stands alone.

use super::decimal::Decimal;
use super::interval::Interval;
use super::numeric::integer_range;
use super::site::Site;
use super::words::{comments, folded};
use super::{Proposal, Rewrite};
use crate::catalog::{Column, Relation};
use crate::finding::{Edit, Precondition};
use crate::source::Span;
use crate::sql::{LiteralKind, Operand, Predicate, Wrapper};
use crate::subject::Subject;
use std::cmp::Ordering;

/// See [`Rewrite::docs`].
#[derive(Debug)]
pub(super) struct ArithmeticOffTheColumn;

const ID: &str = "arithmetic-off-the-column";

impl Rewrite for ArithmeticOffTheColumn {
    fn id(&self) -> &'static str {
        ID
    }

    fn docs(&self) -> &'static str {
        "Arithmetic with constants on a column is moved to the other side of the comparison, so \
         that an index on the column can be used.\n\n\
         Integers and `numeric`: addition and subtraction, and multiplication where the quotient is \
         exact. Floating point is refused, because it rounds. Timestamps: intervals of days and \
         time; months are refused, because they differ in length. For `timestamptz` days are \
         refused too, unless the time zone has a fixed offset. The original can raise an overflow \
         error where the rewritten statement does not."
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

/// One arithmetic operation around the column.
struct Step<'a> {
    operator: &'a str,
    /// The other side; `None` for a sign.
    other: Option<&'a str>,
    column_left: bool,
}

/// What the predicate becomes, or why it does not.
type Moved = Result<(String, Vec<Precondition>, Vec<String>), Option<String>>;

fn one(
    site: &Site<'_>,
    predicate: &Predicate,
    relation: &Relation,
    column: &Column,
) -> Option<Proposal> {
    let Operand::Wrapped {
        span: wrapped,
        column: reference,
        by,
    } = &predicate.left
    else {
        return None;
    };
    let steps: Vec<Step<'_>> = by
        .iter()
        .map(|wrapper| match wrapper {
            Wrapper::Arithmetic {
                operator,
                other,
                column_left,
                ..
            } => Some(Step {
                operator,
                other: other.as_deref(),
                column_left: *column_left,
            }),
            _ => None,
        })
        .collect::<Option<_>>()?;
    if site.expression_is_indexed(relation, *wrapped) {
        return None;
    }
    let name = site.text(reference.span);
    let moved = match column.base_type.as_str() {
        "int2" | "int4" | "int8" | "numeric" => numbers(site, predicate, name, column, &steps),
        "float4" | "float8" => Err(Some(
            "floating-point arithmetic rounds, so that moving it could change which rows pass"
                .to_owned(),
        )),
        "timestamp" | "timestamptz" | "date" => match steps.as_slice() {
            [step] => times(site, predicate, name, column, step),
            _ => return None,
        },
        _ => return None,
    };
    let title = format!(
        "move the arithmetic in {} to the other side",
        site.text(*wrapped)
    );
    match moved {
        Ok((text, facts, notes)) => {
            let mut preconditions = vec![Site::type_fact(relation, column)];
            preconditions.extend(facts);
            let edits = vec![Edit {
                span: predicate.span,
                text: format!("{}{text}", comments(site.text(predicate.span))),
            }];
            let mut proposal = Proposal::offered(ID, predicate.span, title, edits, preconditions);
            proposal.notes = notes;
            Some(proposal)
        }
        Err(reason) => Some(Proposal::refused(ID, predicate.span, title, reason?)),
    }
}

/// The operator after both sides changed their sign.
fn flipped(operator: &str) -> &str {
    match operator {
        "<" => ">",
        "<=" => ">=",
        ">" => "<",
        ">=" => "<=",
        other => other,
    }
}

fn is_comparison(operator: &str) -> bool {
    matches!(operator, "=" | "<>" | "!=" | "<" | "<=" | ">" | ">=")
}

// ---- numbers ----

fn plain_number(operand: &Operand) -> Option<Decimal> {
    match operand {
        Operand::Literal {
            value,
            kind: LiteralKind::Integer | LiteralKind::Numeric,
            cast: None,
            ..
        } => Decimal::parse(value),
        _ => None,
    }
}

fn number_text(value: Decimal) -> String {
    if value.sign() == Ordering::Less {
        format!("({value})")
    } else {
        value.to_string()
    }
}

fn numbers(
    site: &Site<'_>,
    predicate: &Predicate,
    name: &str,
    column: &Column,
    steps: &[Step<'_>],
) -> Moved {
    let range = integer_range(&column.base_type);
    let given = predicate.operator.as_str();
    let is_list = matches!(given, "in" | "not in");
    let is_between = matches!(given, "between" | "not between");
    if !is_comparison(given) && !is_list && !is_between {
        return Err(None);
    }
    if let Operand::Parameter { span, .. } = &predicate.right
        && is_comparison(given)
    {
        return number_parameter(site, *span, predicate, name, column, steps);
    }
    let mut values: Vec<Decimal> = match &predicate.right {
        Operand::List { items, .. } if is_list => {
            items.iter().map(plain_number).collect::<Option<_>>()
        }
        value if is_between => predicate
            .upper
            .as_ref()
            .and_then(|upper| Some(vec![plain_number(value)?, plain_number(upper)?])),
        value if is_comparison(given) => plain_number(value).map(|value| vec![value]),
        _ => None,
    }
    .ok_or(None)?;
    // An integer column compared with a fraction is compared as numeric.
    if range.is_some() && values.iter().any(|value| value.integer().is_none()) {
        return Err(None);
    }
    let mut operator = given.to_owned();
    let mut swapped = false;
    for step in steps {
        let turn = undo(step, &mut values, range.is_some())?;
        if turn {
            operator = flipped(&operator).to_owned();
            swapped = !swapped;
        }
    }
    if let Some((least, greatest)) = range {
        for value in &values {
            match value.integer() {
                Some(value) if value >= least && value <= greatest => {}
                _ => {
                    return Err(Some(format!(
                        "{value} is outside the range of {}",
                        column.type_name
                    )));
                }
            }
        }
    }
    if swapped && range.is_none() && !matches!(given, "=" | "<>" | "!=" | "in" | "not in") {
        return Err(Some(
            "NaN, which numeric can hold, is greater than all numbers whatever its sign".to_owned(),
        ));
    }
    if swapped && is_between {
        values.reverse();
    }
    let texts: Vec<String> = values.iter().map(|value| number_text(*value)).collect();
    let word = |upper: &str| site.keyword(upper);
    let text = match (given, texts.as_slice()) {
        ("in", _) => format!("{name} {} ({})", word("IN"), texts.join(", ")),
        ("not in", _) => format!("{name} {} ({})", word("NOT IN"), texts.join(", ")),
        ("between", [low, high]) => {
            format!("{name} {} {low} {} {high}", word("BETWEEN"), word("AND"))
        }
        ("not between", [low, high]) => format!(
            "{name} {} {low} {} {high}",
            word("NOT BETWEEN"),
            word("AND")
        ),
        (_, [value]) => format!("{name} {operator} {value}"),
        _ => return Err(None),
    };
    let fact = Precondition {
        claim: format!("{} has exactly one solution", site.text(predicate.span)),
        proof: "exact decimal arithmetic with the constants".to_owned(),
    };
    Ok((text, vec![fact], range_note(range.is_some(), column)))
}

fn range_note(integer: bool, column: &Column) -> Vec<String> {
    if integer {
        vec![format!(
            "where the original arithmetic leaves the range of {} it raises an error; the rewritten \
             condition does not",
            column.type_name
        )]
    } else {
        Vec::new()
    }
}

/// Takes one operation off the column by doing its inverse to the values; says
/// whether the comparison turns round.
fn undo(step: &Step<'_>, values: &mut [Decimal], integer: bool) -> Result<bool, Option<String>> {
    let other = match step.other {
        Some(text) => Some(Decimal::parse(text.trim_matches(['(', ')', ' '])).ok_or(None)?),
        None => None,
    };
    if integer && other.is_some_and(|other| other.integer().is_none()) {
        return Err(None);
    }
    let all = |values: &mut [Decimal], change: &dyn Fn(Decimal) -> Option<Decimal>| {
        for value in values.iter_mut() {
            *value = change(*value).ok_or(())?;
        }
        Ok::<(), ()>(())
    };
    let too_long = |()| Some("the constants are too long to reckon with".to_owned());
    match (step.operator, other, step.column_left) {
        ("+", Some(other), _) => {
            all(values, &|value| value.minus(other)).map_err(too_long)?;
            Ok(false)
        }
        ("+", None, _) => Ok(false),
        ("-", Some(other), true) => {
            all(values, &|value| value.plus(other)).map_err(too_long)?;
            Ok(false)
        }
        ("-", Some(other), false) => {
            all(values, &|value| other.minus(value)).map_err(too_long)?;
            Ok(true)
        }
        ("-", None, _) => {
            all(values, &|value| Some(value.negated())).map_err(too_long)?;
            Ok(true)
        }
        ("*", Some(other), _) if other.sign() != Ordering::Equal => {
            all(values, &|value| value.divided_by(other))
                .map_err(|()| Some(format!("the constant cannot be divided by {other} exactly")))?;
            if integer && values.iter().any(|value| value.integer().is_none()) {
                return Err(Some(format!(
                    "the constant cannot be divided by {other} without a remainder"
                )));
            }
            Ok(other.sign() == Ordering::Less)
        }
        ("*", ..) => Err(Some("multiplying by zero cannot be undone".to_owned())),
        ("/", ..) => Err(Some(
            "division rounds, so that many values of the column give the same result".to_owned(),
        )),
        _ => Err(None),
    }
}

/// `c + 1 = $1`: the parameter keeps its inferred type, and the arithmetic is
/// done in bigint, where it cannot overflow for the smaller types.
fn number_parameter(
    site: &Site<'_>,
    span: Span,
    predicate: &Predicate,
    name: &str,
    column: &Column,
    steps: &[Step<'_>],
) -> Moved {
    let ([step], "int2" | "int4") = (steps, column.base_type.as_str()) else {
        return Err(None);
    };
    let (Some(other), true) = (
        step.other
            .and_then(Decimal::parse)
            .and_then(Decimal::integer),
        matches!(step.operator, "+" | "-"),
    ) else {
        return Err(None);
    };
    let text = site.text(span);
    if !site.is_bare_placeholder(span) {
        return Err(None);
    }
    let (_, greatest) = integer_range("int4").ok_or(None)?;
    if other.abs() > greatest {
        return Err(None);
    }
    let value = if text.starts_with('$') {
        format!("{text}::integer::bigint")
    } else {
        format!("CAST(CAST({text} AS integer) AS bigint)")
    };
    let operator = predicate.operator.as_str();
    let other = number_text(Decimal::from(other));
    let text = match (step.operator, step.column_left) {
        ("+", _) => format!("{name} {operator} {value} - {other}"),
        ("-", true) => format!("{name} {operator} {value} + {other}"),
        _ => format!("{name} {} {other} - {value}", flipped(operator)),
    };
    let fact = Precondition {
        claim: format!("{} is an integer", site.text(span)),
        proof: format!(
            "it is compared with {} arithmetic, which decides its type",
            column.type_name
        ),
    };
    Ok((text, vec![fact], range_note(true, column)))
}

// ---- dates and timestamps ----

/// Types of expressions without a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Date,
    Timestamp,
    Zoned,
}

/// A constant of a time type: its SQL, and its type.
fn moment(site: &Site<'_>, operand: &Operand, otherwise: Kind) -> Option<(String, Kind)> {
    match operand {
        Operand::Literal {
            text,
            kind: LiteralKind::String,
            cast: None,
            ..
        } => {
            let type_name = match otherwise {
                Kind::Date => "date",
                Kind::Timestamp => "timestamp",
                Kind::Zoned => "timestamptz",
            };
            Some((format!("{type_name} {text}"), otherwise))
        }
        Operand::Literal {
            text,
            cast: Some(cast),
            ..
        } => Some((text.clone(), kind_of(cast)?)),
        Operand::Parameter { span, .. } => {
            let text = site.text(*span);
            if !site.is_bare_placeholder(*span) {
                return None;
            }
            let type_name = match otherwise {
                Kind::Date => "date",
                Kind::Timestamp => "timestamp",
                Kind::Zoned => "timestamptz",
            };
            let text = if text.starts_with('$') {
                format!("{text}::{type_name}")
            } else {
                format!("CAST({text} AS {type_name})")
            };
            Some((text, otherwise))
        }
        Operand::Constant { span, functions } => {
            if functions.iter().any(|name| site.is_volatile(name)) {
                return None;
            }
            let text = site.text(*span);
            Some((text.to_owned(), expression_kind(text)?))
        }
        _ => None,
    }
}

fn kind_of(type_name: &str) -> Option<Kind> {
    Some(match type_name {
        "date" => Kind::Date,
        "timestamp" | "timestamp without time zone" => Kind::Timestamp,
        "timestamptz" | "timestamp with time zone" => Kind::Zoned,
        _ => return None,
    })
}

/// The type of `now()`, `current_date - 7`, `now()::date`, and what else can
/// be told by its form.
fn expression_kind(text: &str) -> Option<Kind> {
    let words = folded(text);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (head, rest): (Kind, &[&str]) = match words.as_slice() {
        [
            "now" | "statement_timestamp" | "transaction_timestamp",
            "(",
            ")",
            rest @ ..,
        ] => (Kind::Zoned, rest),
        ["current_timestamp", rest @ ..] => (Kind::Zoned, rest),
        ["localtimestamp", rest @ ..] => (Kind::Timestamp, rest),
        ["current_date", rest @ ..] => (Kind::Date, rest),
        _ => return None,
    };
    let (head, rest) = match rest {
        [":", ":", name, rest @ ..] => (kind_of(name)?, rest),
        rest => (head, rest),
    };
    match rest {
        [] => Some(head),
        ["+" | "-", number] if head == Kind::Date && number.parse::<i64>().is_ok() => {
            Some(Kind::Date)
        }
        ["+" | "-", "interval", value] if value.starts_with('\'') => Some(with_interval(head)),
        ["+" | "-", value, ":", ":", "interval"] if value.starts_with('\'') => {
            Some(with_interval(head))
        }
        _ => None,
    }
}

/// A date plus an interval is a timestamp.
fn with_interval(kind: Kind) -> Kind {
    match kind {
        Kind::Date => Kind::Timestamp,
        other => other,
    }
}

fn times(
    site: &Site<'_>,
    predicate: &Predicate,
    name: &str,
    column: &Column,
    step: &Step<'_>,
) -> Moved {
    if !is_comparison(&predicate.operator) || !matches!(step.operator, "+" | "-") {
        return Err(None);
    }
    let other = step.other.ok_or(None)?;
    let kind = kind_of(&column.base_type).ok_or(None)?;
    if let Some(interval) = Interval::expression(other) {
        if step.operator == "-" && !step.column_left {
            return Err(None);
        }
        return with_shift(site, predicate, name, kind, step.operator, other, interval);
    }
    if let Ok(days) = other.trim().parse::<i64>() {
        return if kind == Kind::Date && (step.column_left || step.operator == "+") {
            with_days(site, predicate, name, step.operator, days)
        } else {
            Err(None)
        };
    }
    if step.operator == "-" {
        return with_difference(site, predicate, name, kind, step);
    }
    Err(None)
}

fn opposite(operator: &str) -> &'static str {
    if operator == "+" { "-" } else { "+" }
}

/// The comparison of `column` and `value` looks at local time.
fn zone_facts(
    site: &Site<'_>,
    column: Kind,
    value: Kind,
    days: bool,
) -> Result<Vec<Precondition>, Option<String>> {
    let mixed = (column == Kind::Zoned) != (value == Kind::Zoned);
    let counts_days = days && column == Kind::Zoned;
    if !mixed && !counts_days {
        return Ok(Vec::new());
    }
    let what = if mixed {
        "the comparison converts between local time and timestamptz"
    } else {
        "a day is not always 24 hours for timestamptz"
    };
    site.fixed_zone()
        .map(|fact| vec![fact])
        .map_err(|reason| Some(format!("{what}: {reason}")))
}

const EDGE: &str = "where the original arithmetic leaves the range of its type, or takes infinity from \
                    another time before version 17, it raises an error; the rewritten condition \
                    does not";

/// `c + interval op X`.
fn with_shift(
    site: &Site<'_>,
    predicate: &Predicate,
    name: &str,
    kind: Kind,
    operator: &str,
    text: &str,
    interval: Interval,
) -> Moved {
    if interval.months != 0 {
        return Err(Some(
            "months differ in length, so that adding them cannot be undone".to_owned(),
        ));
    }
    let (value, value_kind) = moment(site, &predicate.right, with_interval(kind)).ok_or(None)?;
    let mut facts = zone_facts(site, kind, value_kind, interval.days != 0)?;
    facts.push(Precondition {
        claim: format!("{text} is days and time, without months"),
        proof: "the constant".to_owned(),
    });
    Ok((
        format!(
            "{name} {} {value} {} {text}",
            predicate.operator,
            opposite(operator)
        ),
        facts,
        vec![EDGE.to_owned()],
    ))
}

/// `d + 7 op X` on a date column.
fn with_days(
    site: &Site<'_>,
    predicate: &Predicate,
    name: &str,
    operator: &str,
    days: i64,
) -> Moved {
    let (value, value_kind) = moment(site, &predicate.right, Kind::Date).ok_or(None)?;
    if value_kind != Kind::Date {
        return Err(Some(format!(
            "{value} is not a date, and days are counted on dates"
        )));
    }
    let fact = Precondition {
        claim: format!("{value} is a date"),
        proof: "its form, or the column that it is compared with".to_owned(),
    };
    Ok((
        format!(
            "{name} {} {value} {} {days}",
            predicate.operator,
            opposite(operator)
        ),
        vec![fact],
        vec![EDGE.to_owned()],
    ))
}

/// `X - c op interval` and `c - X op interval`.
fn with_difference(
    site: &Site<'_>,
    predicate: &Predicate,
    name: &str,
    kind: Kind,
    step: &Step<'_>,
) -> Moved {
    let other = step.other.ok_or(None)?;
    let Some(other_kind) = expression_kind(other) else {
        return Err(None);
    };
    let (operator, sign) = if step.column_left {
        (predicate.operator.as_str(), "+")
    } else {
        (flipped(&predicate.operator), "-")
    };
    if kind == Kind::Date && other_kind == Kind::Date {
        let Operand::Literal {
            kind: LiteralKind::Integer,
            cast: None,
            text,
            ..
        } = &predicate.right
        else {
            return Err(None);
        };
        let fact = Precondition {
            claim: format!("{other} is a date"),
            proof: "its form".to_owned(),
        };
        let text = if text.starts_with('-') {
            format!("({text})")
        } else {
            text.clone()
        };
        return Ok((
            format!("{name} {operator} {other} {sign} {text}"),
            vec![fact],
            vec![EDGE.to_owned()],
        ));
    }
    if matches!(predicate.right, Operand::Parameter { .. }) {
        return Err(Some(
            "whether the interval has months or days is not known before the query runs".to_owned(),
        ));
    }
    let interval = predicate
        .right
        .span()
        .and_then(|span| {
            let text = site.text(span);
            Interval::expression(text).or_else(|| {
                let inner = text.strip_prefix('\'')?.strip_suffix('\'')?;
                Interval::parse(inner)
            })
        })
        .ok_or(None)?;
    let mut facts = zone_facts(site, kind, other_kind, false)?;
    // A difference of timestamptz is time that passed: days of 24 hours.
    let length = interval
        .linear_text(kind != Kind::Zoned && other_kind != Kind::Zoned)
        .ok_or(None)?;
    facts.push(Precondition {
        claim: format!(
            "{} compares as {length}",
            predicate.right.span().map_or("", |span| site.text(span))
        ),
        proof: "intervals compare with months of 30 days and days of 24 hours, and a difference \
                of timestamps has no months"
            .to_owned(),
    });
    Ok((
        format!("{name} {operator} {other} {sign} interval '{length}'"),
        facts,
        vec![EDGE.to_owned()],
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_told_by_the_form_alone() {
        for (text, kind) in [
            ("now()", Some(Kind::Zoned)),
            ("NOW() - INTERVAL '1 day'", Some(Kind::Zoned)),
            ("current_date", Some(Kind::Date)),
            ("current_date - 7", Some(Kind::Date)),
            ("current_date - interval '7 days'", Some(Kind::Timestamp)),
            ("now()::date", Some(Kind::Date)),
            ("localtimestamp", Some(Kind::Timestamp)),
            ("my_function()", None),
            ("now() - 7 * interval '1 day'", None),
        ] {
            assert_eq!(expression_kind(text), kind, "{text}");
        }
    }

    #[test]
    fn each_operation_is_undone_exactly_or_not_at_all() {
        let run = |operator, other, column_left, value: &str, integer| {
            let mut values = [Decimal::parse(value).unwrap()];
            undo(
                &Step {
                    operator,
                    other,
                    column_left,
                },
                &mut values,
                integer,
            )
            .ok()
            .map(|turned| (values[0].to_string(), turned))
        };
        let given = |text: &str, turned| Some((text.to_owned(), turned));
        assert_eq!(run("+", Some("1"), true, "10", true), given("9", false));
        assert_eq!(run("-", Some("1"), true, "10", true), given("11", false));
        assert_eq!(run("-", Some("1"), false, "5", true), given("-4", true));
        assert_eq!(run("-", None, false, "5", true), given("-5", true));
        assert_eq!(run("*", Some("2"), true, "10", true), given("5", false));
        assert_eq!(run("*", Some("-2"), true, "10", true), given("-5", true));
        assert_eq!(run("*", Some("2"), true, "11", true), None);
        assert_eq!(run("*", Some("2"), true, "11", false), given("5.5", false));
        assert_eq!(run("*", Some("3"), true, "10", false), None);
        assert_eq!(run("*", Some("0"), true, "0", true), None);
        assert_eq!(run("/", Some("2"), true, "10", true), None);
        assert_eq!(run("+", Some("a"), true, "10", true), None);
    }
}
