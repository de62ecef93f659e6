//! Widths and distinct counts of keys, from statistics.

use super::{SizedIndex, SizedKey};
use crate::catalog::{ColumnStatistics, Relation};

/// Rows of which the widths are taken together as an index tuple.
const SAMPLES: usize = 64;
/// Values are read up to this length; longer ones are cut.
const CUT: usize = 200;
/// Width assumed for a column without statistics, bytes
/// (`get_typavgwidth` for types of unknown length).
const UNKNOWN_WIDTH: f64 = 32.0;

/// One column of an index.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// Alignment in bytes.
    alignment: f64,
    /// Widths of some values; never empty.
    widths: Vec<f64>,
    /// Share of NULLs.
    pub(super) null_fraction: f64,
    /// Distinct values that are not NULL among all rows of the table.
    pub(super) distinct: Option<f64>,
    /// Shares of rows of the most common values.
    pub(super) frequencies: Vec<f64>,
    /// Equal values are equal bytes, so that B-trees store them once.
    pub(super) equal_images: bool,
}

/// Width and alignment of types of fixed length.
fn fixed(base_type: &str) -> Option<(f64, f64)> {
    Some(match base_type {
        "bool" | "char" => (1.0, 1.0),
        "int2" => (2.0, 2.0),
        "int4" | "float4" | "date" | "oid" | "regclass" | "xid" => (4.0, 4.0),
        "int8" | "float8" | "timestamp" | "timestamptz" | "time" | "money" | "pg_lsn" | "xid8" => {
            (8.0, 8.0)
        }
        "uuid" => (16.0, 1.0),
        "timetz" => (12.0, 8.0),
        "interval" => (16.0, 8.0),
        "macaddr" => (6.0, 4.0),
        "macaddr8" => (8.0, 4.0),
        "name" => (64.0, 1.0),
        _ => return None,
    })
}

/// Whether equal values of the type have equal bytes, so that a B-tree keeps
/// them once: the types whose operator classes have `btequalimage` or
/// `btvarstrequalimage` in `pg_amproc`. Of `bpchar` some minor releases say so
/// and others do not; the larger size is taken.
fn has_equal_images(base_type: &str, average_width: f64) -> bool {
    match base_type {
        "float4" | "float8" | "interval" | "citext" | "bpchar" | "numeric" => false,
        // Of an expression whose type is not known.
        "" => true,
        "text" | "varchar" | "bytea" | "inet" | "cidr" | "bit" | "varbit" | "tid" | "oidvector" => {
            true
        }
        _ if fixed(base_type).is_some() => true,
        // An enum; of the other types of one's own, records and ranges have
        // not, and those of extensions seldom do.
        _ => (average_width - 4.0).abs() < f64::EPSILON && !base_type.starts_with('_'),
    }
}

/// Bytes of a text with its header of one byte, or four.
fn with_header(bytes: usize) -> f64 {
    (if bytes <= 126 { bytes + 1 } else { bytes + 4 }) as f64
}

/// Bytes of a numeric: groups of four digits on each side of the point, and
/// three bytes.
fn numeric_width(text: &str) -> f64 {
    let digits = text.trim_start_matches('-');
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = whole.trim_start_matches('0').len().div_ceil(4);
    let fraction = fraction.trim_end_matches('0').len().div_ceil(4);
    3.0 + 2.0 * (whole + fraction) as f64
}

impl Part {
    /// From a type's name and statistics.
    pub(super) fn new(base_type: &str, stats: Option<&ColumnStatistics>, rows: f64) -> Self {
        let (width, alignment) = match fixed(base_type) {
            Some((width, alignment)) => (Some(width), alignment),
            // An enum, by its statistics; others of four bytes cannot be told
            // from short texts.
            None => (None, 1.0),
        };
        let average = stats.map_or(UNKNOWN_WIDTH, |stats| stats.average_width.max(1.0));
        let widths = match (width, stats) {
            (Some(width), _) => vec![width],
            (None, Some(stats)) => value_widths(base_type, stats, average),
            (None, None) => vec![average],
        };
        Self {
            alignment,
            widths,
            null_fraction: stats.map_or(0.0, |stats| stats.null_fraction.clamp(0.0, 1.0)),
            distinct: stats.map(|stats| stats.distinct(rows)),
            frequencies: stats.map_or_else(Vec::new, |stats| {
                stats.most_common.iter().map(|(_, share)| *share).collect()
            }),
            equal_images: has_equal_images(base_type, average),
        }
    }

    fn of(relation: &Relation, column: &str, rows: f64) -> Self {
        let found = relation.column(column);
        let mut part = Self::new(
            found.map_or("", |column| column.base_type.as_str()),
            found.and_then(|column| column.stats.as_ref()),
            rows,
        );
        // One that is unique by itself, where ANALYZE has not been.
        if part.distinct.is_none() && relation.is_unique_key(&[column]) {
            part.distinct = Some(rows.max(1.0));
        }
        part
    }

    pub(super) fn of_key(relation: &Relation, key: &SizedKey<'_>, rows: f64) -> Self {
        let mut part = match key.column {
            Some(column) => Self::of(relation, column, rows),
            None => Self::of_expression(relation, key, rows),
        };
        if key.not_null {
            part.null_fraction = 0.0;
        }
        part
    }

    /// Of an expression without statistics: a call or cast of one column is
    /// taken to be as wide and as varied as that column.
    fn of_expression(relation: &Relation, key: &SizedKey<'_>, rows: f64) -> Self {
        let base = type_of_expression(key.expression);
        if key.stats.is_some() {
            return Self::new(base, key.stats, rows);
        }
        let mut named = relation.columns.iter().filter(|column| {
            key.expression
                .split(|c: char| !(c.is_alphanumeric() || c == '_'))
                .any(|word| word == column.name)
        });
        match (named.next(), named.next()) {
            (Some(column), None) if column.stats.is_some() => {
                let of_column = matches!(base, "") && keeps_type(key.expression);
                let base = if of_column { &column.base_type } else { base };
                Self::new(base, column.stats.as_ref(), rows)
            }
            _ => Self::new(base, None, rows),
        }
    }
}

/// Functions that give a value of their argument's type, about as wide.
fn keeps_type(expression: &str) -> bool {
    ["lower", "upper", "trim", "btrim", "abs", "coalesce"]
        .iter()
        .any(|name| {
            expression
                .trim_start_matches('(')
                .get(..name.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(name))
        })
}

/// The base type of an expression, as far as a final cast says it.
fn type_of_expression(expression: &str) -> &str {
    let lower = expression.trim_end_matches(')');
    match lower.rsplit_once("::").map(|(_, name)| name.trim()) {
        Some("date") => "date",
        Some("integer" | "int4" | "int") => "int4",
        Some("bigint" | "int8") => "int8",
        Some("numeric") => "numeric",
        Some("uuid") => "uuid",
        Some("boolean") => "bool",
        _ => "",
    }
}

/// Widths of the values that statistics have, scaled so that their average is
/// the one measured.
fn value_widths(base_type: &str, stats: &ColumnStatistics, average: f64) -> Vec<f64> {
    let texts = stats.histogram.iter();
    let common: f64 = stats.most_common.iter().map(|(_, share)| share).sum();
    let mut widths = Vec::new();
    let mut push = |text: &str| -> bool {
        let width = match base_type {
            "text" | "varchar" | "citext" | "" => with_header(text.len()),
            "numeric" => numeric_width(text),
            _ => return false,
        };
        widths.push(width);
        text.len() < CUT
    };
    let rest = (1.0 - stats.null_fraction - common).max(0.0);
    let of_common = if rest + common > 0.0 {
        (SAMPLES as f64 * common / (rest + common)).round() as usize
    } else {
        0
    };
    let mut whole = true;
    // The most common ones as often as they are.
    for (text, share) in &stats.most_common {
        let times = (of_common as f64 * share / common.max(f64::MIN_POSITIVE)).ceil() as usize;
        for _ in 0..times.min(SAMPLES) {
            whole &= push(text);
        }
    }
    let step = (stats.histogram.len() / (SAMPLES - of_common.min(SAMPLES - 1))).max(1);
    for text in texts.step_by(step) {
        whole &= push(text);
    }
    // Of an unknown type only what agrees with the width measured is a text.
    // Results of expressions are measured with a header of four bytes, of
    // which an index keeps one.
    let mean = widths.iter().sum::<f64>() / widths.len().max(1) as f64;
    let doubtful = base_type.is_empty()
        && [0.0, 3.0]
            .iter()
            .all(|header| (mean + header - average).abs() > 0.05 * average + 0.5);
    if !whole || widths.is_empty() || doubtful {
        return vec![average];
    }
    widths
}

/// Widths of some index tuples without their header, each with the share of
/// tuples like it that have no NULL. `places` picks another value of each
/// column for each tuple.
pub(super) fn tuple_widths(parts: &[Part]) -> Vec<f64> {
    let count = if parts.iter().all(|part| part.widths.len() == 1) {
        1
    } else {
        SAMPLES
    };
    (0..count)
        .map(|sample| {
            parts.iter().enumerate().fold(0.0, |width, (at, part)| {
                let stride = 2 * at * at + 2 * at + 1;
                let place = (sample * stride * part.widths.len() / count) % part.widths.len();
                align(width, part.alignment)
                    + part.widths.get(place).copied().unwrap_or(UNKNOWN_WIDTH)
            })
        })
        .collect()
}

pub(super) fn align(bytes: f64, to: f64) -> f64 {
    (bytes / to).ceil() * to
}

/// The joint number of distinct combinations of columns as extended
/// statistics have it.
pub(super) fn joint_distinct(relation: &Relation, index: &SizedIndex<'_>) -> Option<f64> {
    let mut numbers = Vec::new();
    for key in &index.keys {
        numbers.push(relation.column(key.column?)?.number);
    }
    numbers.sort_unstable();
    numbers.dedup();
    let wanted: Vec<String> = numbers.iter().map(i16::to_string).collect();
    let wanted = wanted.join(", ");
    // `{"1, 2": 250, "1, 2, 3": 900}`.
    relation.statistics.iter().find_map(|object| {
        let text = object.n_distinct.as_deref()?;
        let (_, after) = text.split_once(&format!("\"{wanted}\":"))?;
        let number: String = after
            .trim_start()
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        number.parse().ok()
    })
}
