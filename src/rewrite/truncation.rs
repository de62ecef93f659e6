//! `date_trunc`, `::date`, `extract(year …)` and `to_char` of a column
//! compared with a constant: a half-open range of the column.

use super::calendar::{Moment, Unit};
use super::interval::Interval;
use super::site::{Site, is_fixed_zone};
use super::words::{code, comments, folded};
use super::{Proposal, Rewrite};
use crate::catalog::{Column, Relation};
use crate::finding::{Applicability, Edit, Precondition};
use crate::source::Span;
use crate::sql::{LiteralKind, Operand, Predicate, Wrapper};
use crate::subject::Subject;

/// See [`Rewrite::docs`].
#[derive(Debug)]
pub(super) struct TruncationToRange;

const ID: &str = "truncation-to-range";

impl Rewrite for TruncationToRange {
    fn id(&self) -> &'static str {
        ID
    }

    fn docs(&self) -> &'static str {
        "A comparison of `date_trunc('month', c)`, `c::date`, `date(c)`, `extract(year from c)` or \
         `to_char(c, 'YYYY-MM')` with a constant becomes a half-open range of `c`, which an index \
         on `c` can read.\n\n\
         The results are the same for columns of type `date` and `timestamp`. For `timestamptz` \
         they are only when the time zone has a fixed offset: where clocks change, an hour comes \
         twice, and a range loses rows. The constant must be the start of a unit, or the \
         comparison is never true. `to_char` does not tell years before Christ from others, so \
         that rewrite says that it may change results."
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

/// What the wrapped column is compared as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Output {
    Date,
    Timestamp,
    Year,
    Text(&'static str),
}

/// What the wrappers come to.
#[derive(Debug, Clone, Copy)]
struct Shape {
    unit: Unit,
    output: Output,
    /// Local days of a `timestamptz` are looked at.
    needs_zone: bool,
    /// `AT TIME ZONE 'UTC'` stands innermost.
    utc: bool,
}

/// Formats of `to_char` whose texts stand for one range each.
const FORMATS: &[(&str, Unit)] = &[
    ("YYYY", Unit::Year),
    ("YYYY-MM", Unit::Month),
    ("YYYYMM", Unit::Month),
    ("YYYY/MM", Unit::Month),
    ("YYYY-MM-DD", Unit::Day),
    ("YYYYMMDD", Unit::Day),
    ("YYYY/MM/DD", Unit::Day),
];

fn shape(by: &[Wrapper], base_type: &str) -> Option<Shape> {
    let mut kind = match base_type {
        "date" | "timestamp" | "timestamptz" => base_type,
        _ => return None,
    };
    let mut unit: Option<Unit> = None;
    let mut output = Output::Timestamp;
    let mut needs_zone = false;
    let mut utc = false;
    for wrapper in by.iter().rev() {
        if matches!(output, Output::Year | Output::Text(_)) {
            return None;
        }
        let coarser = |new: Unit| match unit {
            Some(old) => old.then(new),
            None => Some(new),
        };
        match wrapper {
            Wrapper::AtTimeZone { zone, .. }
                if unit.is_none() && kind == "timestamptz" && is_fixed_zone(zone) =>
            {
                kind = "timestamp";
                utc = true;
            }
            Wrapper::Cast { type_name, .. } => match type_name.as_str() {
                "date" => {
                    needs_zone |= kind == "timestamptz";
                    unit = Some(coarser(Unit::Day)?);
                    output = Output::Date;
                    kind = "date";
                }
                "timestamp" | "timestamp without time zone" => {
                    needs_zone |= kind == "timestamptz";
                    output = Output::Timestamp;
                    kind = "timestamp";
                }
                _ => return None,
            },
            Wrapper::Function {
                name, arguments, ..
            } => match (name.as_str(), arguments.as_slice()) {
                ("date", []) => {
                    needs_zone |= kind == "timestamptz";
                    unit = Some(coarser(Unit::Day)?);
                    output = Output::Date;
                    kind = "date";
                }
                ("date_trunc", [field]) => {
                    // `date_trunc` of a date is that of its local midnight.
                    needs_zone |= kind != "timestamp";
                    unit = Some(coarser(Unit::parse(string(field)?)?)?);
                    output = Output::Timestamp;
                    kind = if kind == "timestamp" {
                        "timestamp"
                    } else {
                        "timestamptz"
                    };
                }
                ("extract" | "date_part", [field])
                    if field.trim_matches('\'').eq_ignore_ascii_case("year") =>
                {
                    needs_zone |= kind == "timestamptz";
                    unit = Some(coarser(Unit::Year)?);
                    output = Output::Year;
                }
                ("to_char", [format]) => {
                    let written = string(format)?.to_ascii_uppercase();
                    let (format, of) = FORMATS.iter().find(|(format, _)| *format == written)?;
                    needs_zone |= kind != "timestamp";
                    unit = Some(coarser(*of)?);
                    output = Output::Text(format);
                }
                _ => return None,
            },
            _ => return None,
        }
    }
    let unit = unit?;
    // A date has no smaller units, and an index on it serves `d::date = …`
    // only after the cast is taken away, which is another matter.
    if base_type == "date" && unit <= Unit::Day {
        return None;
    }
    if utc && needs_zone {
        return None;
    }
    Some(Shape {
        unit,
        output,
        needs_zone,
        utc,
    })
}

/// The value of a string literal without escapes.
fn string(argument: &str) -> Option<&str> {
    let inner = argument.trim().strip_prefix('\'')?;
    let (value, cast) = inner.split_once('\'')?;
    (cast.is_empty() || cast == "::text").then_some(value)
}

/// The range that a constant stands for: its start, and where the next begins.
#[derive(Debug)]
struct Bounds {
    low: String,
    next: String,
    /// The constant's own moment depends on the zone too.
    needs_zone: bool,
    /// What is known of the constant.
    fact: Option<Precondition>,
}

/// Why there are no bounds: nothing to say, or a reason worth telling.
type NoBounds = Option<String>;

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
    let shape = shape(by, &column.base_type)?;
    if site.expression_is_indexed(relation, *wrapped) {
        return None;
    }
    let title = format!(
        "compare {} with a range instead of {}",
        site.text(reference.span),
        site.text(*wrapped)
    );
    let refuse = |reason: String| Some(Proposal::refused(ID, predicate.span, &title, reason));
    let operator = predicate.operator.as_str();
    match operator {
        "=" | "<" | "<=" | ">" | ">=" | "between" => {}
        "in" => {
            return refuse(
                "a list of values needs one range each, joined by OR; write them out if they are \
                 few"
                .to_owned(),
            );
        }
        _ => return None,
    }
    if matches!(shape.output, Output::Text(_)) && operator != "=" {
        return refuse("the texts that to_char gives are compared as texts".to_owned());
    }
    let bounds = |operand| bounds(site, operand, shape, column);
    let lower = match bounds(&predicate.right) {
        Ok(found) => found,
        Err(reason) => return refuse(reason?),
    };
    let upper = match (&predicate.upper, operator) {
        (Some(upper), "between") => match bounds(upper) {
            Ok(found) => Some(found),
            Err(reason) => return refuse(reason?),
        },
        (_, "between") => return None,
        _ => None,
    };
    let needs_zone =
        shape.needs_zone || lower.needs_zone || upper.as_ref().is_some_and(|b| b.needs_zone);
    let mut preconditions = vec![Site::type_fact(relation, column)];
    if needs_zone {
        match site.fixed_zone() {
            Ok(fact) => preconditions.push(fact),
            Err(reason) => {
                return refuse(format!(
                    "{} depends on the session's time zone: {reason}",
                    site.text(*wrapped)
                ));
            }
        }
    }
    if operator == "=" && site.is_positional(predicate.span) {
        return refuse(
            "the placeholder stands for the next value each time it is written, and the range \
             needs the value twice"
                .to_owned(),
        );
    }
    preconditions.extend(lower.fact.clone());
    preconditions.extend(upper.as_ref().and_then(|bounds| bounds.fact.clone()));
    let name = site.text(reference.span);
    let and = site.keyword("AND");
    let range = match operator {
        "=" => format!("{name} >= {} {and} {name} < {}", lower.low, lower.next),
        ">=" | "<" => format!("{name} {operator} {}", lower.low),
        ">" => format!("{name} >= {}", lower.next),
        "<=" => format!("{name} < {}", lower.next),
        _ => {
            let next = upper.map(|bounds| bounds.next)?;
            format!("{name} >= {} {and} {name} < {next}", lower.low)
        }
    };
    let range = if predicate.conjunct {
        range
    } else {
        format!("({range})")
    };
    let edits = vec![Edit {
        span: predicate.span,
        text: format!("{}{range}", comments(site.text(predicate.span))),
    }];
    let mut proposal = Proposal::offered(ID, predicate.span, title, edits, preconditions);
    if matches!(shape.output, Output::Text(_)) {
        proposal.applicability = Applicability::MayChangeResults;
        proposal.notes.push(format!(
            "to_char writes the year 44 BC like the year 44: rows of years before Christ in {name} \
             would no longer be found"
        ));
    }
    Some(proposal)
}

fn bounds(
    site: &Site<'_>,
    operand: &Operand,
    shape: Shape,
    column: &Column,
) -> Result<Bounds, NoBounds> {
    match operand {
        Operand::Literal {
            value,
            kind,
            cast,
            text,
            ..
        } => literal(value, *kind, cast.as_deref(), text, shape, column),
        Operand::Parameter { span, .. } => parameter(site, *span, shape),
        Operand::Constant { span, functions } => {
            if functions.iter().any(|name| site.is_volatile(name)) {
                return Err(None);
            }
            expression(site.text(*span), shape)
        }
        _ => Err(None),
    }
}

fn render(moment: Moment, shape: Shape) -> String {
    if shape.utc {
        format!("'{}'", moment.utc_text())
    } else {
        format!("'{}'", moment.text())
    }
}

fn literal(
    value: &str,
    kind: LiteralKind,
    cast: Option<&str>,
    text: &str,
    shape: Shape,
    column: &Column,
) -> Result<Bounds, NoBounds> {
    let unit = shape.unit;
    let mut needs_zone = false;
    let moment = match shape.output {
        Output::Year => {
            let year = value
                .trim()
                .strip_suffix(".0")
                .unwrap_or(value.trim())
                .parse::<i64>()
                .map_err(|_| Some(format!("{text} is not a whole year")))?;
            Moment::date(year, 1, 1)
                .ok_or_else(|| Some(format!("{text} is not a year from 1 to 9999")))?
        }
        Output::Text(format) => text_moment(value, format)
            .ok_or_else(|| Some(format!("to_char never gives {text} in the format {format}")))?,
        Output::Date | Output::Timestamp => {
            if kind != LiteralKind::String {
                return Err(None);
            }
            match cast {
                None | Some("date") => {}
                Some("timestamp" | "timestamp without time zone") => {}
                Some("timestamptz" | "timestamp with time zone") => {
                    if shape.utc {
                        return Err(None);
                    }
                    needs_zone = true;
                }
                Some(_) => return Err(None),
            }
            Moment::parse(value).ok_or_else(|| {
                Some(format!(
                    "{text} is not a plain ISO date, so what it means depends on settings"
                ))
            })?
        }
    };
    if shape.output == Output::Date && !moment.is_midnight() {
        return Err(Some(format!(
            "{text} has a time of day, and a date has none"
        )));
    }
    if !moment.starts(unit) {
        return Err(Some(format!(
            "{text} is not the start of a {}, so that equality is never true",
            unit.name()
        )));
    }
    let next = moment
        .next(unit)
        .ok_or_else(|| Some(format!("there is no {} after {text}", unit.name())))?;
    // A literal takes the type of the column that it is compared with.
    if column.base_type == "date" && !(moment.is_midnight() && next.is_midnight()) {
        return Err(None);
    }
    Ok(Bounds {
        low: render(moment, shape),
        next: render(next, shape),
        needs_zone,
        fact: Some(Precondition {
            claim: format!("{text} is the start of a {}", unit.name()),
            proof: format!(
                "the constant itself; the next one starts at {}",
                next.text()
            ),
        }),
    })
}

/// The moment at which the unit begins that a text in one of [`FORMATS`]
/// stands for.
fn text_moment(value: &str, format: &str) -> Option<Moment> {
    if value.len() != format.len() {
        return None;
    }
    let mut fields = [0_i64, 0, 0];
    for (have, want) in value.chars().zip(format.chars()) {
        let at = match want {
            'Y' => 0,
            'M' => 1,
            'D' => 2,
            _ if have == want => continue,
            _ => return None,
        };
        let field = fields.get_mut(at)?;
        *field = *field * 10 + i64::from(have.to_digit(10)?);
    }
    let [year, month, day] = fields;
    let part = |letter, value| if format.contains(letter) { value } else { 1 };
    Moment::date(year, part('M', month), part('D', day))
}

fn parameter(site: &Site<'_>, span: Span, shape: Shape) -> Result<Bounds, NoBounds> {
    let text = site.text(span);
    if shape.output != Output::Date || shape.unit != Unit::Day || shape.utc {
        return Err(Some(format!(
            "whether {text} is the start of a {} is not known before the query runs",
            shape.unit.name()
        )));
    }
    let words = folded(text);
    let date = if !site.is_bare_placeholder(span) {
        let is_date = words.last().is_some_and(|last| last == "date")
            || words.ends_with(&["as".to_owned(), "date".to_owned(), ")".to_owned()]);
        if !is_date {
            return Err(Some(format!("{text} is not a date")));
        }
        text.to_owned()
    } else if text.starts_with('$') {
        format!("{text}::date")
    } else {
        format!("CAST({text} AS date)")
    };
    Ok(Bounds {
        next: format!("{date} + 1"),
        low: date,
        needs_zone: false,
        fact: Some(Precondition {
            claim: format!("{text} is a date"),
            proof: "it is compared with a date, which decides its type".to_owned(),
        }),
    })
}

/// Expressions of stable functions that are known to be the start of a unit.
fn expression(text: &str, shape: Shape) -> Result<Bounds, NoBounds> {
    if shape.utc || matches!(shape.output, Output::Year | Output::Text(_)) {
        return Err(None);
    }
    let unit = shape.unit;
    let words = folded(text);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let not_known = || {
        Err(Some(format!(
            "whether {text} is the start of a {} is not known before the query runs",
            unit.name()
        )))
    };
    let found = |next: String, zoned: bool| {
        Ok(Bounds {
            low: text.to_owned(),
            next,
            needs_zone: zoned,
            fact: Some(Precondition {
                claim: format!("{text} is the start of a {}", unit.name()),
                proof: "the form of the expression".to_owned(),
            }),
        })
    };
    let step = |next: &str| format!("{text} + interval '{next}'");
    match words.as_slice() {
        ["current_date"] | ["current_date", "+" | "-", _] if unit == Unit::Day => {
            if words
                .get(2)
                .is_some_and(|days| days.parse::<i64>().is_err())
            {
                return not_known();
            }
            found(format!("{text} + 1"), false)
        }
        ["current_date", "+" | "-", ..] if unit == Unit::Day => {
            match tail(text, 2).and_then(Interval::expression) {
                Some(interval) if interval.is_whole_days() => found(step("1 day"), false),
                _ => not_known(),
            }
        }
        [.., ":", ":", "date"] if unit == Unit::Day && is_one_term(text) => {
            found(format!("{text} + 1"), false)
        }
        ["date_trunc", "(", field, ",", ..] => {
            let Some(given) = string(field).and_then(Unit::parse) else {
                return Err(None);
            };
            if !unit.divides(given) {
                return not_known();
            }
            match first_term_end(text) {
                Some(end) if text.get(end..).is_some_and(|rest| rest.trim().is_empty()) => {
                    found(step(unit.interval()), true)
                }
                Some(end) => {
                    let rest = text.get(end..).unwrap_or("").trim();
                    let moved = rest.strip_prefix(['+', '-']).and_then(Interval::expression);
                    match moved {
                        Some(moved) if keeps_start(moved, given, unit) => {
                            found(step(unit.interval()), true)
                        }
                        _ => not_known(),
                    }
                }
                None => not_known(),
            }
        }
        _ => not_known(),
    }
}

/// Whether moving the start of a `from` by an interval gives the start of a
/// `unit` again.
fn keeps_start(moved: Interval, from: Unit, unit: Unit) -> bool {
    if moved.micros != 0 {
        return false;
    }
    match unit {
        Unit::Second | Unit::Minute | Unit::Hour | Unit::Day => true,
        Unit::Week => from == Unit::Week && moved.months == 0 && moved.days % 7 == 0,
        Unit::Month => moved.days == 0,
        Unit::Quarter => moved.days == 0 && moved.months % 3 == 0,
        Unit::Year => moved.days == 0 && moved.months % 12 == 0,
    }
}

/// The text after the first `count` tokens.
fn tail(text: &str, count: usize) -> Option<&str> {
    let words = code(text);
    text.get(words.get(count)?.start..)
}

/// Where the call that the text begins with ends.
fn first_term_end(text: &str) -> Option<usize> {
    code(text)
        .iter()
        .find(|word| word.text == ")" && word.depth == 0)
        .map(|word| word.end)
}

/// `x::date` where the cast binds to all that stands before it: a call, a
/// placeholder, or something in parentheses.
fn is_one_term(text: &str) -> bool {
    let words = code(text);
    let Some(body) = words.len().checked_sub(3).and_then(|end| words.get(..end)) else {
        return false;
    };
    !body
        .iter()
        .any(|word| word.depth == 0 && matches!(word.text, "+" | "-" | "*" | "/" | "|" | ":" | "%"))
        && body
            .iter()
            .filter(|word| word.text == "(" && word.depth == 0)
            .count()
            <= 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_to_char_are_read_back() {
        let text = |value, format| text_moment(value, format).map(Moment::text);
        assert_eq!(text("2024-03", "YYYY-MM").as_deref(), Some("2024-03-01"));
        assert_eq!(text("20240229", "YYYYMMDD").as_deref(), Some("2024-02-29"));
        assert_eq!(text("2024", "YYYY").as_deref(), Some("2024-01-01"));
        assert_eq!(text("2024-3", "YYYY-MM"), None);
        assert_eq!(text("2024-13", "YYYY-MM"), None);
        assert_eq!(text("2024/03", "YYYY-MM"), None);
    }

    fn day(text: &str) -> Option<(String, String)> {
        let shape = Shape {
            unit: Unit::Day,
            output: Output::Date,
            needs_zone: false,
            utc: false,
        };
        expression(text, shape).ok().map(|b| (b.low, b.next))
    }

    #[test]
    fn only_expressions_that_start_a_day_are_taken() {
        assert_eq!(day("current_date").unwrap().1, "current_date + 1");
        assert_eq!(day("CURRENT_DATE - 7").unwrap().1, "CURRENT_DATE - 7 + 1");
        assert_eq!(
            day("current_date - interval '1 month'").unwrap().1,
            "current_date - interval '1 month' + interval '1 day'"
        );
        assert_eq!(day("now()::date").unwrap().1, "now()::date + 1");
        assert_eq!(
            day("(now() - interval '1 day')::date").unwrap().1,
            "(now() - interval '1 day')::date + 1"
        );
        assert_eq!(
            day("date_trunc('month', now())").unwrap().1,
            "date_trunc('month', now()) + interval '1 day'"
        );
        for other in [
            "now()",
            "now() - interval '7 days'",
            "current_date - interval '2 hours'",
            "now() - '1 day'::date",
            "date_trunc('hour', now())",
            "date_trunc('day', now()) + interval '1 hour'",
        ] {
            assert_eq!(day(other), None, "{other}");
        }
    }

    #[test]
    fn a_month_stays_a_month_only_when_moved_by_months() {
        let shape = Shape {
            unit: Unit::Month,
            output: Output::Timestamp,
            needs_zone: false,
            utc: false,
        };
        let next = |text| expression(text, shape).ok().map(|b| b.next);
        assert_eq!(
            next("date_trunc('month', now()) - interval '1 month'").unwrap(),
            "date_trunc('month', now()) - interval '1 month' + interval '1 month'"
        );
        assert_eq!(next("date_trunc('month', now()) - interval '7 days'"), None);
        assert_eq!(next("date_trunc('week', now())"), None);
        assert_eq!(
            next("date_trunc('year', now())").unwrap(),
            "date_trunc('year', now()) + interval '1 month'"
        );
        assert_eq!(next("current_date"), None);
    }
}
