//! Which values a parameter is tried with: drawn from the statistics of the
//! column that it is compared with, each with the share of executions that it
//! stands for.
//!
//! How often a program asks for which value is not known to the database. What
//! is known is how often each value occurs, and executions are weighted as if
//! values were asked for as often as they occur.

use std::cmp::Ordering;

use crate::catalog::ident::{literal, quote};
use crate::catalog::{Column, ColumnStatistics, Relation};

/// Longer values were cut when the statistics were read: no row has them.
const CUT: usize = 200;
/// Up to so many most common values are tried each; of more, some stand for
/// their neighbours.
const EACH: usize = 5;
/// Elements of an array that stands for a parameter; the planner reckons with
/// as many when it does not know the array.
const ELEMENTS: usize = 10;
/// The quantiles that a one-sided range is tried at, with the share of
/// executions that each stands for.
const QUANTILES: [(f64, f64); 3] = [(0.05, 0.275), (0.5, 0.45), (0.95, 0.275)];
/// The widths that a two-sided range is tried with, as shares of the rows.
const WIDTHS: [f64; 3] = [0.01, 0.1, 0.5];
/// Values outside the most common ones that are fewer than this share of the
/// rows are left out.
const NEGLIGIBLE: f64 = 1e-4;

/// How a parameter is compared with its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `=`, `<>`.
    Equal,
    /// `= ANY ($1)`: the parameter is an array.
    Array,
    /// `IN ($1, $2, …)`: each parameter is an element.
    List,
    /// `<`, `<=`, `>`, `>=`.
    Range,
    /// `BETWEEN $1 AND $2`, or a lower and an upper bound: the first parameter
    /// is the lower bound.
    Window,
    /// `LIKE`, `ILIKE`.
    Pattern,
}

/// Where a sample comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Source {
    /// One of the most common values; its share of the rows.
    Common(f64),
    /// A value that is not among the most common; the share of the rows that
    /// each such value has on average.
    Typical(f64),
    /// The value below which this share of the rows lies.
    Quantile(f64),
    /// Bounds around the median with this share of the rows between them.
    Window(f64),
    /// Several values at once, the most common.
    SeveralCommon,
    /// Several values at once, none of them among the most common.
    SeveralTypical,
    /// The beginning of a value.
    Prefix,
    /// A part from the middle of a value.
    Infix,
}

/// One choice of values for the parameters of one comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// A constant as SQL for each parameter of the slot, in its order.
    pub constants: Vec<String>,
    /// As it is shown: `'new'`, `5 … 17`.
    pub shown: String,
    /// Where it comes from.
    pub source: Source,
    /// The share of executions that it stands for, 0 to 1.
    pub share: f64,
    /// How many different values it stands for, itself counted; 0 where that
    /// cannot be said.
    pub stands_for: f64,
}

/// The samples for `parameters` parameters that are compared with the column;
/// empty where the statistics have no values to draw from.
pub fn samples(
    comparison: Comparison,
    parameters: usize,
    relation: &Relation,
    column: &Column,
) -> Vec<Sample> {
    let Some(stats) = &column.stats else {
        return Vec::new();
    };
    let drawn = Drawn {
        stats,
        rows: relation.rows(),
        type_name: type_name(column),
        order: order_of(column),
    };
    let mut found = match comparison {
        Comparison::Equal => drawn.equal(),
        Comparison::List if parameters == 1 => drawn.equal(),
        Comparison::List => drawn.several(parameters, false),
        Comparison::Array => drawn.several(ELEMENTS, true),
        Comparison::Range => drawn.range(),
        Comparison::Window => drawn.window(),
        Comparison::Pattern => drawn.pattern(),
    };
    let total: f64 = found.iter().map(|sample| sample.share).sum();
    if total > 0.0 {
        for sample in &mut found {
            sample.share /= total;
        }
    }
    found
}

/// How the column's type as text can be ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Number,
    /// Dates and times in ISO form order as text, from year 1 to 9999.
    Time,
    /// By its bytes.
    Text,
    /// By a collation or an operator class that is not ours to know.
    Unknown,
}

fn order_of(column: &Column) -> Order {
    match column.base_type.as_str() {
        "int2" | "int4" | "int8" | "numeric" | "float4" | "float8" | "oid" => Order::Number,
        "date" | "timestamp" | "time" | "timestamptz" => Order::Time,
        "text" | "varchar" if column.collation_is_c => Order::Text,
        _ => Order::Unknown,
    }
}

/// The type as it is cast to: the base type of a domain, whose checks need not
/// run, where the name alone is clear.
fn type_name(column: &Column) -> String {
    const BUILT_IN: &[&str] = &[
        "bit",
        "bool",
        "bpchar",
        "bytea",
        "char",
        "cidr",
        "date",
        "float4",
        "float8",
        "inet",
        "int2",
        "int4",
        "int8",
        "interval",
        "json",
        "jsonb",
        "macaddr",
        "macaddr8",
        "money",
        "name",
        "numeric",
        "oid",
        "text",
        "time",
        "timestamp",
        "timestamptz",
        "timetz",
        "tsvector",
        "uuid",
        "varbit",
        "varchar",
        "xml",
    ];
    let base = column.base_type.as_str();
    let element = base.strip_prefix('_').unwrap_or(base);
    if BUILT_IN.contains(&element) {
        format!("pg_catalog.{}", quote(base))
    } else {
        column.type_name.clone()
    }
}

struct Drawn<'a> {
    stats: &'a ColumnStatistics,
    rows: f64,
    type_name: String,
    order: Order,
}

impl Drawn<'_> {
    fn constant(&self, value: &str) -> String {
        format!("{}::{}", literal(value), self.type_name)
    }

    fn one(&self, value: &str, source: Source, share: f64, stands_for: f64) -> Sample {
        Sample {
            constants: vec![self.constant(value)],
            shown: self.shown(value),
            source,
            share,
            stands_for,
        }
    }

    fn shown(&self, value: &str) -> String {
        match self.order {
            Order::Number => value.to_owned(),
            // Seconds and the zone only make the text long.
            Order::Time => literal(value.get(..16).unwrap_or(value)),
            Order::Text | Order::Unknown => literal(value),
        }
    }

    /// The most common values, the most frequent first.
    fn common(&self) -> Vec<(&str, f64)> {
        let mut common: Vec<(&str, f64)> = self
            .stats
            .most_common
            .iter()
            .filter(|(value, _)| whole(value))
            .map(|(value, frequency)| (value.as_str(), *frequency))
            .collect();
        common.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        common
    }

    fn bounds(&self) -> Vec<&str> {
        self.stats
            .histogram
            .iter()
            .filter(|value| whole(value))
            .map(String::as_str)
            .collect()
    }

    /// The share of the rows whose value is neither null nor among the most
    /// common.
    fn rest(&self) -> f64 {
        let common: f64 = self
            .stats
            .most_common
            .iter()
            .map(|(_, frequency)| frequency)
            .sum();
        (1.0 - self.stats.null_fraction - common).max(0.0)
    }

    fn equal(&self) -> Vec<Sample> {
        let common = self.common();
        let mut found = Vec::new();
        let alone = if common.len() <= EACH { EACH } else { 2 };
        for (value, frequency) in common.iter().take(alone) {
            found.push(self.one(value, Source::Common(*frequency), *frequency, 1.0));
        }
        // Three bands of the others, each by the one in its middle.
        let others = common.get(alone..).unwrap_or(&[]);
        for band in others.chunks(others.len().div_ceil(3).max(1)) {
            if let Some((value, frequency)) = band.get(band.len() / 2) {
                let share = band.iter().map(|(_, frequency)| frequency).sum();
                let stands_for = band.len() as f64;
                found.push(self.one(value, Source::Common(*frequency), share, stands_for));
            }
        }
        let rest = self.rest();
        let bounds = self.bounds();
        if rest > NEGLIGIBLE
            && let Some(value) = bounds.get(bounds.len() / 2)
        {
            let values = self.others();
            found.push(self.one(value, Source::Typical(rest / values), rest, values));
        }
        found
    }

    /// How many values there are besides the most common.
    fn others(&self) -> f64 {
        let all = self.stats.distinct(self.rows);
        (all - self.stats.most_common.len() as f64).max(1.0)
    }

    fn several(&self, count: usize, array: bool) -> Vec<Sample> {
        let common = self.common();
        let bounds = self.bounds();
        let spread: Vec<&str> = (0..count)
            .filter_map(|at| bounds.get(at * bounds.len() / count.max(1)).copied())
            .collect();
        let mut found = Vec::new();
        let mut push = |values: Vec<&str>, source: Source, share: f64| {
            let Some(last) = values.last().copied() else {
                return;
            };
            let shown: Vec<String> = values.iter().map(|value| self.shown(value)).collect();
            let constants = if array {
                let elements: Vec<String> = values.iter().map(|value| element(value)).collect();
                vec![format!(
                    "{}::{}[]",
                    literal(&format!("{{{}}}", elements.join(","))),
                    self.type_name
                )]
            } else {
                // A list of more parameters than there are values repeats one.
                (0..count)
                    .map(|at| self.constant(values.get(at).copied().unwrap_or(last)))
                    .collect()
            };
            found.push(Sample {
                constants,
                shown: list(&shown),
                source,
                share,
                stands_for: 0.0,
            });
        };
        let top: Vec<&str> = common.iter().take(count).map(|(value, _)| *value).collect();
        let mass: f64 = self
            .stats
            .most_common
            .iter()
            .map(|(_, frequency)| frequency)
            .sum();
        push(top, Source::SeveralCommon, mass);
        if self.rest() > NEGLIGIBLE {
            push(spread, Source::SeveralTypical, self.rest());
        }
        found
    }

    /// Values in their order, each with the share of the rows that it stands
    /// for.
    fn ordered(&self) -> Vec<(&str, f64)> {
        let bounds = self.bounds();
        let each = self.rest() / (bounds.len().max(1) as f64);
        let mut points: Vec<(&str, f64)> = bounds.into_iter().map(|value| (value, each)).collect();
        let known = match self.order {
            Order::Unknown => return points,
            Order::Number => |value: &str| value.parse::<f64>().is_ok_and(f64::is_finite),
            // Infinity and years before Christ do not order as text.
            Order::Time => |value: &str| !value.ends_with(" BC") && !value.ends_with("infinity"),
            Order::Text => |_: &str| true,
        };
        points.extend(self.common());
        points.retain(|(value, _)| known(value));
        points.sort_by(|a, b| self.compare(a.0, b.0));
        points
    }

    fn compare(&self, a: &str, b: &str) -> Ordering {
        match (self.order, a.parse::<f64>(), b.parse::<f64>()) {
            (Order::Number, Ok(a), Ok(b)) => a.total_cmp(&b),
            _ => a.cmp(b),
        }
    }

    fn range(&self) -> Vec<Sample> {
        let points = self.ordered();
        let mut found: Vec<Sample> = Vec::new();
        for (quantile, share) in QUANTILES {
            let Some(value) = at_quantile(&points, quantile) else {
                continue;
            };
            let sample = self.one(value, Source::Quantile(quantile), share, 0.0);
            match found.last_mut() {
                Some(last) if last.constants == sample.constants => last.share += share,
                _ => found.push(sample),
            }
        }
        found
    }

    fn window(&self) -> Vec<Sample> {
        let points = self.ordered();
        WIDTHS
            .iter()
            .filter_map(|width| {
                let low = at_quantile(&points, 0.5 - width / 2.0)?;
                let high = at_quantile(&points, 0.5 + width / 2.0)?;
                Some(Sample {
                    constants: vec![self.constant(low), self.constant(high)],
                    shown: format!("{} … {}", self.shown(low), self.shown(high)),
                    source: Source::Window(*width),
                    share: 1.0,
                    stands_for: 0.0,
                })
            })
            .collect()
    }

    fn pattern(&self) -> Vec<Sample> {
        let bounds = self.bounds();
        let common = self.common();
        let value = bounds
            .get(bounds.len() / 2)
            .copied()
            .or_else(|| common.get(common.len() / 2).map(|(value, _)| *value));
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            return Vec::new();
        };
        let characters: Vec<char> = value.chars().collect();
        let half = (characters.len().div_ceil(2)).min(12);
        let begin: String = characters.iter().take(half).collect();
        let middle: String = characters
            .iter()
            .skip(characters.len() / 4)
            .take(half.max(1))
            .collect();
        vec![
            self.one(&format!("{}%", plain(&begin)), Source::Prefix, 0.5, 0.0),
            self.one(&format!("%{}%", plain(&middle)), Source::Infix, 0.5, 0.0),
        ]
    }
}

fn whole(value: &str) -> bool {
    value.chars().count() < CUT
}

/// A pattern that matches just this text.
fn plain(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('%', "\\%")
        .replace('_', "\\_")
}

/// A value as an element of an array's text.
fn element(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The first few of a list.
fn list(shown: &[String]) -> String {
    let few: Vec<&str> = shown.iter().take(3).map(String::as_str).collect();
    let more = if shown.len() > few.len() { ", …" } else { "" };
    format!("{}{more}", few.join(", "))
}

fn at_quantile<'a>(points: &[(&'a str, f64)], quantile: f64) -> Option<&'a str> {
    let total: f64 = points.iter().map(|point| point.1).sum();
    let mut seen = 0.0;
    for (value, share) in points {
        seen += share;
        // Sums of shares end a little beside what they should be.
        if seen + 1e-9 >= quantile * total {
            return Some(value);
        }
    }
    points.last().map(|point| point.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::RelationKind;

    fn column(base_type: &str, stats: ColumnStatistics) -> Column {
        Column {
            number: 1,
            name: "c".to_owned(),
            type_name: base_type.to_owned(),
            base_type: base_type.to_owned(),
            not_null: false,
            default: None,
            generated: false,
            collation: None,
            collation_is_c: false,
            statistics_target: None,
            stats: Some(stats),
        }
    }

    fn relation() -> Relation {
        Relation {
            oid: 1,
            schema: "public".to_owned(),
            name: "t".to_owned(),
            kind: RelationKind::Table,
            columns: Vec::new(),
            indexes: Vec::new(),
            constraints: Vec::new(),
            statistics: Vec::new(),
            partition_key: None,
            parent: None,
            partition_bound: None,
            pages: 1000.0,
            tuples: Some(100_000.0),
            all_visible_pages: 0.0,
            row_security: false,
            activity: None,
        }
    }

    fn stats(common: &[(&str, f64)], histogram: &[&str]) -> ColumnStatistics {
        ColumnStatistics {
            n_distinct: 100.0,
            most_common: common
                .iter()
                .map(|(value, frequency)| ((*value).to_owned(), *frequency))
                .collect(),
            histogram: histogram.iter().map(|value| (*value).to_owned()).collect(),
            ..ColumnStatistics::default()
        }
    }

    fn shares(samples: &[Sample]) -> f64 {
        samples.iter().map(|sample| sample.share).sum()
    }

    #[test]
    fn all_executions_are_accounted_for() {
        let common: Vec<(String, f64)> = (0..20)
            .map(|n| (format!("v{n}"), 0.03 - f64::from(n) * 0.0005))
            .collect();
        let mut stats = stats(&[], &["a", "b", "c"]);
        stats.most_common = common;
        stats.null_fraction = 0.1;
        let found = samples(
            Comparison::Equal,
            1,
            &relation(),
            &column("text", stats.clone()),
        );
        assert_eq!(found.len(), 6, "two alone, three bands and the rest");
        assert!((shares(&found) - 1.0).abs() < 1e-9);
        let values: f64 = found.iter().map(|sample| sample.stands_for).sum();
        assert!((values - 100.0).abs() < 1e-9, "every value is stood for");
        let last = found.last().expect("the rest");
        assert_eq!(last.constants, ["'b'::pg_catalog.text"]);
        assert!((last.share - stats_rest(&stats) / 0.9).abs() < 1e-9);
    }

    fn stats_rest(stats: &ColumnStatistics) -> f64 {
        1.0 - stats.null_fraction - stats.most_common.iter().map(|(_, f)| f).sum::<f64>()
    }

    #[test]
    fn quantiles_count_common_values_in_their_place() {
        let found = samples(
            Comparison::Range,
            1,
            &relation(),
            &column("int4", stats(&[("50", 0.9)], &["1", "9", "20", "100"])),
        );
        // Nine tenths of the rows are 50, so that every quantile is.
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0].shown, "9");
        assert_eq!(found[1].shown, "50");
        assert!((found[1].share - 0.725).abs() < 1e-9);
    }

    #[test]
    fn values_are_quoted_and_cut_ones_are_not_used() {
        let long = "x".repeat(CUT);
        let found = samples(
            Comparison::Equal,
            1,
            &relation(),
            &column(
                "varchar",
                stats(&[(long.as_str(), 0.5), ("it's\\", 0.5)], &[]),
            ),
        );
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].constants, ["E'it''s\\\\'::pg_catalog.\"varchar\""]);
        let found = samples(
            Comparison::Array,
            1,
            &relation(),
            &column("text", stats(&[("a\"b", 1.0)], &[])),
        );
        assert_eq!(found[0].constants, ["E'{\"a\\\\\"b\"}'::pg_catalog.text[]"]);
    }

    #[test]
    fn a_pattern_matches_its_own_percent_signs() {
        let found = samples(
            Comparison::Pattern,
            1,
            &relation(),
            &column("text", stats(&[], &["a", "10%_x", "z"])),
        );
        assert_eq!(found[0].constants, ["E'10\\\\%%'::pg_catalog.text"]);
    }
}
