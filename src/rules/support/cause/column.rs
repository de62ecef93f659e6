//! A condition on one column: what its statistics say of the value, and how
//! that compares with what was counted.

use crate::catalog::{Column, ColumnStatistics, Relation};
use crate::finding::{Evidence, Origin, Value};
use crate::rules::support::compared::Compared;
use crate::rules::support::{condition, show};

use super::table::Table;
use super::{Cause, Kind, Rows, TARGET, by_hand};

/// ANALYZE samples so many rows for one of the target.
const SAMPLED: f64 = 300.0;
/// A value must be seen that often in a sample to be told from chance.
const LEAST_SEEN: f64 = 4.0;
/// Wider values are not kept in statistics.
const WIDEST: f64 = 1_024.0;

/// A column with what it is compared with.
#[derive(Debug, Clone, Copy)]
pub(super) struct One<'a> {
    name: &'a str,
    operator: &'a str,
    value: &'a str,
}

impl<'a> One<'a> {
    pub(super) fn of(compared: &'a Compared<'_>, at: usize) -> Option<Self> {
        Some(Self {
            name: compared.columns.get(at)?,
            operator: compared.operators.get(at)?,
            value: compared.values.get(at)?,
        })
    }

    /// The constant, as statistics print it.
    fn constant(&self) -> Option<String> {
        constant(self.value)
    }

    fn is_range(&self) -> bool {
        matches!(self.operator, "<" | "<=" | ">" | ">=")
    }
}

/// A constant of a condition without quotes and casts; `None` for anything
/// else.
fn constant(text: &str) -> Option<String> {
    let text = condition::strip(text);
    if let Some(rest) = text.strip_prefix('\'') {
        let mut value = String::new();
        let mut characters = rest.chars().peekable();
        while let Some(character) = characters.next() {
            if character != '\'' {
                value.push(character);
            } else if characters.next_if_eq(&'\'').is_some() {
                value.push('\'');
            } else {
                let after: String = characters.collect();
                // A cast, and nothing that is done to its result.
                let is_cast = after.strip_prefix("::").is_some_and(|types| {
                    types
                        .chars()
                        .all(|c| c.is_alphanumeric() || "_ .,:()[]\"".contains(c))
                });
                return (after.is_empty() || is_cast).then_some(value);
            }
        }
        return None;
    }
    let bare = text.split("::").next().unwrap_or(text);
    let bare = condition::strip(bare);
    (bare.parse::<f64>().is_ok() || matches!(bare, "true" | "false")).then(|| bare.to_owned())
}

/// The rows that a condition's own statistics let pass; `None` where they do
/// not say.
pub(super) fn expected(table: &Table<'_>, one: &One<'_>) -> Option<f64> {
    let relation = table.relation?;
    let stats = relation.column(one.name)?.stats.as_ref()?;
    let rows = relation.rows();
    match one.operator {
        "=" if table.is_unique(one.name) => Some(1.0),
        "=" => Some(match frequency(stats, &one.constant()?) {
            Some(share) => share * rows,
            None => others(stats, rows),
        }),
        "IS NULL" => Some(stats.null_fraction * rows),
        _ => None,
    }
}

/// The share of the rows with a value, where it is among the most common.
fn frequency(stats: &ColumnStatistics, value: &str) -> Option<f64> {
    let same = |known: &str| {
        known == value
            || matches!((known.parse::<f64>(), value.parse::<f64>()), (Ok(a), Ok(b)) if a.total_cmp(&b).is_eq())
            || matches!((known, value), ("t", "true") | ("f", "false"))
    };
    stats
        .most_common
        .iter()
        .find(|(known, _)| same(known))
        .map(|(_, share)| *share)
}

/// Rows of one value that is not among the most common, as the planner
/// reckons.
fn others(stats: &ColumnStatistics, rows: f64) -> f64 {
    let common: f64 = stats.most_common.iter().map(|(_, share)| share).sum();
    let values = (stats.distinct(rows) - stats.most_common.len() as f64).max(1.0);
    (1.0 - common - stats.null_fraction).max(0.0) * rows / values
}

pub(super) fn distinct_evidence(
    relation: &Relation,
    column: &str,
    stats: &ColumnStatistics,
) -> Evidence {
    Evidence::new(
        format!("different values of {column} by its statistics"),
        Value::Count(stats.distinct(relation.rows())),
        Origin::Statistics(format!("{}.{column}", relation.qualified())),
    )
}

/// The cause where one column decides; `rows` are those counted for its
/// condition alone.
pub(super) fn one_column(table: &Table<'_>, one: &One<'_>, rows: Option<Rows>) -> Cause {
    let name = one.name;
    if table.is_unique(name) {
        return unique(table, one);
    }
    let known = table
        .relation
        .and_then(|relation| Some((relation, relation.column(name)?)));
    let Some((relation, column)) = known else {
        return by_operator(table, one, None, TARGET);
    };
    let Some(stats) = &column.stats else {
        return Cause::new(Kind::NeverAnalysed, format!("{name} has no statistics"))
            .suggest(table.analyze());
    };
    if one.is_range()
        && let Some(cause) = beyond(table, relation, column, stats, one, rows)
    {
        return cause;
    }
    if one.operator == "="
        && let Some(rows) = rows
        && let Some(cause) = of_value(table, relation, stats, one, rows)
    {
        return cause;
    }
    by_operator(
        table,
        one,
        Some(stats),
        column.statistics_target.unwrap_or(0),
    )
}

fn unique(table: &Table<'_>, one: &One<'_>) -> Cause {
    let name = one.name;
    if one.is_range() {
        Cause::new(
            Kind::Skew,
            format!("the values of {name} have gaps that the bounds of its histogram do not show"),
        )
        .suggest(table.raise_target(name))
    } else {
        Cause::new(
            Kind::Unknown,
            format!("the planner misjudges how many values of {name} the condition names"),
        )
    }
}

/// A value against the most common ones that are kept.
fn of_value(
    table: &Table<'_>,
    relation: &Relation,
    stats: &ColumnStatistics,
    one: &One<'_>,
    rows: Rows,
) -> Option<Cause> {
    let name = one.name;
    let value = one.constant()?;
    let whole = relation.rows();
    let from = || Origin::Statistics(format!("{}.{name}", relation.qualified()));
    if let Some(share) = frequency(stats, &value) {
        return Some(
            Cause::new(
                Kind::OldStatistics,
                format!(
                    "the value is among the most common ones of {name}, and had another share of \
                     the rows when they were sampled"
                ),
            )
            .evidence(Evidence::new(
                "its share of the rows by the statistics",
                Value::Share(share),
                from(),
            ))
            .suggest(table.analyze()),
        );
    }
    if whole <= 0.0 {
        return None;
    }
    let kept = Evidence::new(
        format!("most common values of {name} that are kept"),
        Value::Count(stats.most_common.len() as f64),
        from(),
    );
    let average = show::rows(others(stats, whole).max(1.0));
    if !rows.more() {
        return Some(
            Cause::new(
                Kind::DistinctValues,
                format!(
                    "the value is rarer than the average of those beyond the most common ones of \
                     {name}, {average}; a larger sample finds more different values"
                ),
            )
            .evidence(kept)
            .evidence(distinct_evidence(relation, name, stats))
            .suggest(table.raise_target(name)),
        );
    }
    // How often a sample of the largest target would hold the value.
    let seen = rows.counted / whole * SAMPLED * f64::from(TARGET);
    let cause = Cause::new(
        Kind::Skew,
        format!(
            "the value is not among the most common ones of {name} that are kept, and is given \
             the average of the others, {average}"
        ),
    )
    .evidence(kept)
    .evidence(Evidence::new(
        "the value's share of the rows, as counted",
        Value::Share((rows.counted / whole).min(1.0)),
        Origin::Formula("rows counted / rows of the table"),
    ));
    Some(if seen >= LEAST_SEEN {
        cause.suggest(table.raise_target(name))
    } else {
        cause
    })
}

/// A range that begins or ends beyond what the histogram knows.
fn beyond(
    table: &Table<'_>,
    relation: &Relation,
    column: &Column,
    stats: &ColumnStatistics,
    one: &One<'_>,
    rows: Option<Rows>,
) -> Option<Cause> {
    if !rows?.more() {
        return None;
    }
    let value = one.constant()?;
    let upwards = one.operator.starts_with('>');
    let bound = if upwards {
        stats.histogram.last()?
    } else {
        stats.histogram.first()?
    };
    let past = if upwards {
        is_less(&column.base_type, bound, &value)?
    } else {
        is_less(&column.base_type, &value, bound)?
    };
    if !past {
        return None;
    }
    let end = if upwards { "highest" } else { "lowest" };
    Some(
        Cause::new(
            Kind::HistogramEnd,
            format!(
                "the condition asks for values of {} beyond the {end} one that was there when the \
                 table was last analysed: the rows came since",
                one.name
            ),
        )
        .evidence(Evidence::new(
            format!("{end} value of {} in the statistics", one.name),
            Value::Text(bound.clone()),
            Origin::Statistics(format!("{}.{}", relation.qualified(), one.name)),
        ))
        .suggest(table.analyze())
        .suggest(by_hand(
            "have it analysed sooner",
            format!(
                "where new values are asked for all the time, ALTER TABLE {} SET \
                 (autovacuum_analyze_scale_factor = 0.01) has autovacuum analyse the table after \
                 each hundredth of it",
                table.display
            ),
        )),
    )
}

/// Whether a value is less than another, for types whose order their text
/// shows.
fn is_less(base_type: &str, one: &str, other: &str) -> Option<bool> {
    match base_type {
        "int2" | "int4" | "int8" | "float4" | "float8" | "numeric" | "oid" => {
            Some(one.parse::<f64>().ok()? < other.parse::<f64>().ok()?)
        }
        "date" | "timestamp" | "timestamptz" => {
            // 2024-01-31 12:00:00+00: years of four digits compare as texts.
            let is_iso = |text: &str| {
                let bytes = text.as_bytes();
                bytes.get(4) == Some(&b'-')
                    && bytes.get(7) == Some(&b'-')
                    && bytes.iter().take(4).all(u8::is_ascii_digit)
            };
            (is_iso(one) && is_iso(other)).then(|| one < other)
        }
        _ => None,
    }
}

/// Operators that look at the statistics in a way of their own.
fn by_operator(
    table: &Table<'_>,
    one: &One<'_>,
    stats: Option<&ColumnStatistics>,
    target: i32,
) -> Cause {
    let name = one.name;
    // Without a catalogue the target is not known to be high.
    let is_fine = stats.is_some() && target >= TARGET;
    let is_pattern = matches!(
        one.operator,
        "~~" | "~~*" | "!~~" | "!~~*" | "~" | "~*" | "!~" | "!~*"
    );
    let is_containment = matches!(
        one.operator,
        "@>" | "<@" | "&&" | "?" | "?|" | "?&" | "@@" | "@?"
    );
    if (is_pattern || is_containment)
        && let Some(stats) = stats
        && stats.average_width > WIDEST
        && stats.most_common_elements.is_empty()
    {
        return Cause::new(
            Kind::Operator,
            format!(
                "most values of {name} are wider than 1 kB and are not kept in its statistics, so \
                 that the planner takes a default selectivity for {}",
                one.operator
            ),
        )
        .suggest(by_hand(
            "compare a part of it that has statistics",
            format!(
                "where the condition asks for a part of {name}, an expression for that part, or a \
                 generated column, can have statistics; the whole cannot"
            ),
        ));
    }
    let text = if is_pattern {
        format!(
            "the planner tries a pattern on the sampled values of {name} that it keeps, and guesses \
             the rest from the pattern's length"
        )
    } else if is_containment {
        format!(
            "for {} the planner tries the value on the sampled values or elements of {name} that it \
             keeps, and takes a default selectivity beyond them",
            one.operator
        )
    } else {
        format!("the values of {name} are skewed beyond what its statistics hold")
    };
    let kind = if is_pattern || is_containment {
        Kind::Operator
    } else {
        Kind::Skew
    };
    if is_fine {
        return Cause::new(
            kind,
            format!(
                "the values of {name} are distributed so that even its fine statistics miss this \
                 one"
            ),
        );
    }
    let mut cause = Cause::new(kind, text);
    if let Some(stats) = stats {
        let kept =
            stats.histogram.len() + stats.most_common.len() + stats.most_common_elements.len();
        cause = cause.evidence(Evidence::new(
            format!("values of {name} that are kept"),
            Value::Count(kept as f64),
            Origin::Statistics(format!("{}.{name}", table.display)),
        ));
    }
    cause.suggest(table.raise_target(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_lose_quotes_and_casts() {
        assert_eq!(constant("'it''s'::text").as_deref(), Some("it's"));
        assert_eq!(constant("5").as_deref(), Some("5"));
        assert_eq!(constant("'-1'::integer").as_deref(), Some("-1"));
        assert_eq!(constant("$1"), None);
        assert_eq!(constant("other"), None);
        assert_eq!(constant("('a'::text || b)"), None);
    }

    #[test]
    fn only_types_whose_text_shows_their_order_are_compared() {
        assert_eq!(is_less("int4", "9", "10"), Some(true));
        assert_eq!(is_less("text", "9", "10"), None);
        assert_eq!(
            is_less("timestamptz", "2024-01-31 23:00:00+00", "2024-02-01"),
            Some(true)
        );
        assert_eq!(is_less("date", "02/01/2024", "2024-01-01"), None);
    }
}
