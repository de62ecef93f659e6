//! How large an index would be, from statistics.
//!
//! B-trees since version 13 store equal keys once, with a list of row
//! pointers behind them (deduplication), which makes indexes on repetitive
//! keys several times smaller than one tuple a row. For N rows with D
//! distinct keys of aligned width w, a posting tuple holds
//! m = min(N / D, (812 - t) / 6) row pointers, where t = align8(8 + w), and
//! takes align8(t + 6 m) + 4 bytes; pages are filled to 90 %.
//! (`nbtdedup.c`: the limit of a posting list tuple is a sixth of a page's
//! usable space, `BTMaxItemSize / 2` when building.)

use super::{ColumnStatistics, Relation};

/// Bytes of a page.
const BLOCK: f64 = 8192.0;
/// Largest posting list tuple that a build makes, bytes.
const POSTING_LIMIT: f64 = 812.0;
/// Share of a leaf page that a build fills (`BTREE_DEFAULT_FILLFACTOR`).
const LEAF_FILL: f64 = 0.9;
/// Width assumed for a column without statistics, bytes
/// (`get_typavgwidth` for types of unknown length).
const UNKNOWN_WIDTH: f64 = 32.0;

/// One key or included column, as the estimate needs it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SizedColumn {
    /// Average width in bytes.
    pub width: f64,
    /// Distinct values; `None` when unknown.
    pub distinct: Option<f64>,
    /// Share of NULLs.
    pub null_fraction: f64,
    /// Alignment of the type in bytes.
    pub alignment: f64,
    /// The type's equal values are not always the same bytes (numeric, float,
    /// jsonb), so that B-trees do not deduplicate it.
    pub never_deduplicated: bool,
}

impl SizedColumn {
    /// From a table's column; an unknown column is taken as 32 bytes wide.
    pub fn of(relation: &Relation, column: &str) -> Self {
        let rows = relation.rows();
        let found = relation.column(column);
        let stats = found.and_then(|column| column.stats.as_ref());
        let base = found.map_or("", |column| column.base_type.as_str());
        Self::new(base, stats, rows)
    }

    /// From a type's name and statistics.
    pub fn new(base_type: &str, stats: Option<&ColumnStatistics>, rows: f64) -> Self {
        let fixed = match base_type {
            "bool" | "char" => Some(1.0),
            "int2" => Some(2.0),
            "int4" | "float4" | "date" | "oid" => Some(4.0),
            "int8" | "float8" | "timestamp" | "timestamptz" | "time" | "money" => Some(8.0),
            "uuid" => Some(16.0),
            _ => None,
        };
        Self {
            width: fixed
                .or_else(|| stats.map(|stats| stats.average_width))
                .unwrap_or(UNKNOWN_WIDTH),
            distinct: stats.map(|stats| stats.distinct(rows)),
            null_fraction: stats.map_or(0.0, |stats| stats.null_fraction),
            alignment: match base_type {
                "int8" | "float8" | "timestamp" | "timestamptz" | "time" | "money" => 8.0,
                "int4" | "float4" | "date" | "oid" | "numeric" => 4.0,
                "int2" => 2.0,
                _ => 1.0,
            },
            never_deduplicated: matches!(base_type, "numeric" | "float4" | "float8" | "jsonb"),
        }
    }
}

/// How large an index would be.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SizeEstimate {
    /// Bytes of its main fork.
    pub bytes: f64,
    /// The same in blocks.
    pub blocks: u64,
    /// Rows in it, as `pg_class.reltuples` of the index would say.
    pub tuples: f64,
    /// Levels above the leaves, of a B-tree; 0 for others.
    pub height: u32,
}

/// What of an index its size depends on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SizedIndex<'a> {
    /// Access method.
    pub method: &'a str,
    /// Keys in order.
    pub keys: Vec<SizedKey<'a>>,
    /// `INCLUDE` columns.
    pub include: Vec<&'a str>,
    /// No two rows have the same key.
    pub unique: bool,
    /// The share of the table's rows that a partial index holds; 1 for all.
    pub selectivity: f64,
    /// Storage parameters, `name=value`.
    pub options: Vec<(&'a str, &'a str)>,
}

/// A key of an index.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SizedKey<'a> {
    /// The column; `None` for an expression.
    pub column: Option<&'a str>,
    /// The expression's SQL.
    pub expression: &'a str,
    /// Statistics of an expression, where there are.
    pub stats: Option<&'a ColumnStatistics>,
    /// Name of the operator class, without schema; empty for the default.
    pub opclass: &'a str,
}

/// How large an index on `rows` rows of a table is.
pub fn index_size(relation: &Relation, index: &SizedIndex<'_>, rows: f64) -> SizeEstimate {
    let tuples = rows * index.selectivity.clamp(0.0, 1.0);
    let keys: Vec<SizedColumn> = index
        .keys
        .iter()
        .map(|key| match key.column {
            Some(column) => SizedColumn::of(relation, column),
            None => SizedColumn::new("", key.stats, rows),
        })
        .collect();
    let include: Vec<SizedColumn> = index
        .include
        .iter()
        .map(|column| SizedColumn::of(relation, column))
        .collect();
    let bytes = btree_bytes(tuples, &keys, &include, index.unique);
    let blocks = (bytes / BLOCK).ceil().max(1.0);
    let width: f64 = keys.iter().map(|key| key.width).sum();
    SizeEstimate {
        bytes: blocks * BLOCK,
        blocks: blocks as u64,
        tuples,
        height: btree_height(blocks as u64, width),
    }
}

/// Levels above the leaves of a B-tree of that many blocks, whose keys have
/// that width in bytes.
pub fn btree_height(blocks: u64, key_width: f64) -> u32 {
    let fanout = (5700.0 / (align(8.0 + key_width, 8.0) + 4.0)).max(2.0);
    let mut pages = blocks.saturating_sub(1) as f64;
    let mut height = 0;
    while pages > 1.0 {
        pages = (pages / fanout).floor();
        height += 1;
    }
    height
}

fn align(bytes: f64, to: f64) -> f64 {
    (bytes / to).ceil() * to
}

/// Bytes of a B-tree on `rows` rows with those key columns and included ones.
/// `unique` says that no two rows have the same key.
pub fn btree_bytes(rows: f64, keys: &[SizedColumn], include: &[SizedColumn], unique: bool) -> f64 {
    let mut width = 0.0;
    let mut any_null = false;
    for column in keys.iter().chain(include) {
        width = align(width, column.alignment) + column.width * (1.0 - column.null_fraction);
        any_null |= column.null_fraction > 0.0;
    }
    // A tuple with a NULL carries a bitmap, which takes the header from 8 to
    // 16 bytes; rows without NULLs have none.
    let null_share = keys
        .iter()
        .chain(include)
        .map(|column| column.null_fraction)
        .fold(0.0, f64::max);
    let header = if any_null {
        8.0 + 8.0 * null_share
    } else {
        8.0
    };
    let tuple = align(header + width, 8.0);
    let deduplicated =
        !unique && include.is_empty() && !keys.iter().any(|column| column.never_deduplicated);
    let distinct = keys
        .iter()
        .map(|column| column.distinct)
        .try_fold(1.0_f64, |product, distinct| distinct.map(|d| product * d))
        .map_or(rows, |product| product.min(rows))
        .max(1.0);
    let per_posting = if deduplicated {
        (rows / distinct)
            .min((POSTING_LIMIT - tuple) / 6.0)
            .max(1.0)
    } else {
        1.0
    };
    let bytes_per_posting = if per_posting < 2.0 {
        tuple * per_posting + 4.0 * per_posting
    } else {
        align(tuple + 6.0 * per_posting, 8.0) + 4.0
    };
    let usable = (BLOCK - 40.0) * LEAF_FILL;
    let leaves = (rows / per_posting * bytes_per_posting / usable)
        .ceil()
        .max(1.0);
    // Inner pages hold one downlink a leaf; the metapage is one more.
    let fanout = (usable / (tuple + 4.0)).max(2.0);
    let inner = if leaves > 1.0 {
        (leaves / (fanout - 1.0)).ceil()
    } else {
        0.0
    };
    (leaves + inner + 1.0) * BLOCK
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(base: &str, distinct: f64) -> SizedColumn {
        let stats = ColumnStatistics {
            n_distinct: distinct,
            average_width: 8.0,
            ..ColumnStatistics::default()
        };
        SizedColumn::new(base, Some(&stats), 1_000_000.0)
    }

    // The expected sizes are `pg_relation_size` of indexes built by PostgreSQL
    // 15 on a million rows (integer keys of the stated distinct counts).
    #[test]
    fn a_unique_integer_key_takes_21_megabytes_a_million_rows() {
        let bytes = btree_bytes(1e6, &[column("int4", -1.0)], &[], true);
        assert!((bytes / 22_487_040.0 - 1.0).abs() < 0.05, "{bytes}");
    }

    #[test]
    fn repetitive_keys_are_stored_once() {
        let bytes = btree_bytes(1e6, &[column("int4", 10.0)], &[], false);
        assert!((bytes / 6_963_200.0 - 1.0).abs() < 0.07, "{bytes}");
    }

    #[test]
    fn numeric_keys_are_not_deduplicated() {
        let few = btree_bytes(1e6, &[column("numeric", 10.0)], &[], false);
        let many = btree_bytes(1e6, &[column("numeric", -1.0)], &[], false);
        assert!((few - many).abs() < 1.0);
    }
}
