//! Sizes of hash, GIN, `GiST`, SP-GiST and BRIN indexes: rougher than those of
//! B-trees, as statistics say less of what they hold.

use super::columns::{Part, align, tuple_widths};
use super::{BLOCK, SizeEstimate, SizedIndex};
use crate::catalog::{ColumnStatistics, Relation};

/// What a page has for tuples and line pointers.
const PAGE_SPACE: f64 = 8152.0;
/// Bytes of a line pointer.
const POINTER: f64 = 4.0;

fn estimate(pages: f64, rows: f64) -> SizeEstimate {
    let blocks = pages.ceil().max(1.0);
    SizeEstimate {
        bytes: blocks * BLOCK,
        blocks: blocks as u64,
        tuples: rows,
        height: 0,
    }
}

fn parts(relation: &Relation, index: &SizedIndex<'_>, rows: f64) -> Vec<Part> {
    index
        .keys
        .iter()
        .map(|key| Part::of_key(relation, key, rows))
        .collect()
}

fn average(widths: &[f64]) -> f64 {
    widths.iter().sum::<f64>() / widths.len().max(1) as f64
}

/// A hash index (`_hash_init`): the number of buckets is rounded up to a power
/// of two, from 1,024 on to a quarter of one. Equal values share a bucket.
pub(super) fn hash_size(
    relation: &Relation,
    index: &SizedIndex<'_>,
    rows: f64,
    table_rows: f64,
) -> SizeEstimate {
    let fill = index
        .option("fillfactor")
        .unwrap_or(75.0)
        .clamp(10.0, 100.0);
    let wanted = (rows / (BLOCK * fill / 100.0 / 20.0).floor().max(10.0)).max(2.0);
    let power = wanted.log2().ceil().exp2();
    let buckets = if power <= 1024.0 {
        power
    } else {
        let quarter = power / 8.0;
        (wanted / quarter).ceil() * quarter
    };
    let per_page = (PAGE_SPACE / 20.0).floor();
    let parts = parts(relation, index, table_rows);
    let part = parts.first();
    let filled = rows * (1.0 - part.map_or(0.0, |part| part.null_fraction));
    let mut overflow = 0.0;
    let mut left = filled;
    let mut distinct = part.and_then(|part| part.distinct).unwrap_or(rows).max(1.0);
    let usual = filled / buckets;
    for share in part.map_or(&[][..], |part| &part.frequencies) {
        let count = share * rows;
        // With what else falls into the bucket.
        overflow += ((count + usual.min(left / buckets)) / per_page - 1.0)
            .ceil()
            .max(0.0);
        left -= count;
        distinct -= 1.0;
    }
    if left >= 1.0 && distinct >= 1.0 {
        let each = left / distinct;
        if each > per_page {
            overflow += distinct * (each / per_page - 1.0).ceil();
        } else {
            // The load of buckets varies with the number of values in each.
            let load = left / buckets;
            let spread = (load * each).sqrt().max(1.0);
            let above = ((load - per_page) / spread).clamp(-8.0, 8.0);
            let share = 1.0 / (1.0 + (-1.702 * above).exp());
            overflow += buckets * share * (load / per_page).ceil();
        }
    }
    estimate(buckets + overflow + 2.0, filled)
}

/// Bytes of the row pointers of a key in a GIN index: each is the distance to
/// the one before, in as few bytes as take it (`varbyte`).
fn posting_bytes(count: f64, heap_pages: f64) -> f64 {
    let gap = (heap_pages / count.max(1.0)).max(1e-3) * 2048.0;
    // Distances vary as chance has it; each seven bits take a byte.
    let each = 1.0
        + [7.0, 14.0, 21.0]
            .map(|bits: f64| (-bits.exp2() / gap).exp())
            .iter()
            .sum::<f64>();
    6.0 + (count - 1.0).max(0.0) * each
}

/// Keys of a GIN index on one column: (how many rows each has, how many such
/// keys), with the width of a key.
fn gin_keys(
    stats: Option<&ColumnStatistics>,
    base_type: &str,
    opclass: &str,
    rows: f64,
) -> (Vec<(f64, f64)>, f64) {
    let average = stats.map_or(64.0, |stats| stats.average_width.max(4.0));
    let elements: Vec<f64> = stats.map_or_else(Vec::new, |stats| {
        stats
            .most_common_elements
            .iter()
            .map(|(_, share)| share * rows)
            .collect()
    });
    let width_of_elements = stats.map_or(8.0, |stats| {
        let count = stats.most_common_elements.len().max(1) as f64;
        let bytes: usize = stats
            .most_common_elements
            .iter()
            .map(|(text, _)| text.len() + 1)
            .sum();
        bytes as f64 / count
    });
    if opclass.contains("trgm") {
        // A text of n letters has about n trigrams, most of them among some
        // thousands. Digits and hexadecimal digits have fewer.
        let per_row = average * 0.95 + 1.0;
        let keys = (rows * per_row).min(1_500.0);
        return (vec![(rows * per_row / keys, keys)], 4.0);
    }
    if !elements.is_empty() {
        let least = elements.iter().copied().fold(f64::MAX, f64::min);
        let width = if base_type.starts_with("_int") || base_type == "_uuid" {
            if base_type == "_int8" { 8.0 } else { 4.0 }
        } else {
            width_of_elements
        };
        // What a row holds beyond the most common ones, by its width.
        let seen = elements.iter().sum::<f64>() / rows.max(1.0);
        let (header, per_element) = match base_type {
            "tsvector" => (5.0, width_of_elements + 4.5 + 3.0),
            "_int8" => (21.0, 8.0),
            _ if base_type.starts_with("_int") => (21.0, 4.0),
            _ => (21.0, width_of_elements + 4.5),
        };
        let all = ((average - header) / per_element).max(seen);
        let others = ((all - seen) * rows).max(0.0);
        let mut keys: Vec<(f64, f64)> = elements.iter().map(|count| (*count, 1.0)).collect();
        if others > rows * 0.02 && elements.len() >= 100 {
            let each = (least / 2.0).max(1.0);
            keys.push((each, others / each));
        }
        return (keys, width);
    }
    if base_type != "jsonb" {
        let distinct = stats.map_or(rows, |stats| stats.distinct(rows));
        return (vec![(rows / distinct.max(1.0), distinct)], average);
    }
    let path = opclass.contains("path");
    // A member takes about fourteen bytes: its key, its value, two headers.
    let members = (average / 14.0).max(1.0);
    let common = members * 20.0;
    let rare = (stats.map_or(rows, |stats| stats.distinct(rows)).min(rows) * 0.05).max(1.0);
    let entries = rows * members * if path { 0.8 } else { 1.4 };
    (
        vec![(entries / common, common), (rows / rare, rare)],
        if path { 4.0 } else { 9.0 },
    )
}

/// A GIN index: a tree of keys, each with its row pointers, those of very
/// common keys in trees of their own.
pub(super) fn gin_size(
    relation: &Relation,
    index: &SizedIndex<'_>,
    rows: f64,
    table_rows: f64,
) -> SizeEstimate {
    let heap_pages = relation.pages.max(1.0);
    let (mut entries, mut data, mut tuples) = (0.0, 0.0, 0.0);
    for key in &index.keys {
        let column = key.column.and_then(|column| relation.column(column));
        let stats = key
            .stats
            .or_else(|| column.and_then(|column| column.stats.as_ref()));
        let base = column.map_or("", |column| column.base_type.as_str());
        let base = if base.is_empty() && key.expression.contains("to_tsvector") {
            "tsvector"
        } else {
            base
        };
        let (keys, width) = gin_keys(stats, base, key.opclass, rows);
        let several = if index.keys.len() > 1 { 2.0 } else { 0.0 };
        for (count, number) in keys {
            let bytes = posting_bytes(count, heap_pages * (rows / table_rows.max(1.0)).min(1.0));
            tuples += count * number;
            let head = 8.0 + width + several;
            if head + bytes > 2712.0 {
                entries += number * (align(head, 8.0) + POINTER);
                // Full leaves, and what stands above them.
                let leaves = (bytes / 8000.0).ceil();
                let above = if leaves > 1.0 { 1.0 } else { 0.0 };
                data += number * (leaves + above);
            } else {
                entries += number * (align(head + bytes + 2.0, 8.0) + POINTER);
            }
        }
    }
    // Pages are split when keys come in, and are about two thirds full.
    let leaves = (entries / (PAGE_SPACE * 0.7)).ceil();
    estimate(leaves * 1.01 + data + 1.0, tuples)
}

/// A `GiST` index. Its pages are about two thirds full, those of ranges, which
/// overlap, less.
pub(super) fn gist_size(
    relation: &Relation,
    index: &SizedIndex<'_>,
    rows: f64,
    table_rows: f64,
) -> SizeEstimate {
    let base = |at: usize| {
        index
            .keys
            .get(at)
            .and_then(|key| key.column)
            .and_then(|column| relation.column(column))
            .map_or("", |column| column.base_type.as_str())
    };
    let point = base(0) == "point";
    let key = if point {
        32.0
    } else if index.keys.iter().any(|key| key.opclass.contains("trgm")) {
        // A list of trigrams, three bytes each.
        average(&tuple_widths(&parts(relation, index, table_rows))) * 3.0 + 5.0
    } else if base(0) == "tsvector" {
        // Hashes of the words.
        average(&tuple_widths(&parts(relation, index, table_rows))) * 0.5
    } else {
        average(&tuple_widths(&parts(relation, index, table_rows)))
    };
    let tuple = align(8.0 + key, 8.0) + POINTER;
    let fill = if base(0).ends_with("range") {
        0.45
    } else {
        0.66
    };
    let leaves = (rows * tuple / (PAGE_SPACE * fill)).ceil().max(1.0);
    let fanout = (PAGE_SPACE * fill / tuple).max(2.0);
    estimate(leaves + leaves / (fanout - 1.0), rows)
}

/// An SP-GiST index: leaf tuples of sixteen bytes and what the inner tuples do
/// not say of the value.
pub(super) fn spgist_size(
    relation: &Relation,
    index: &SizedIndex<'_>,
    rows: f64,
    table_rows: f64,
) -> SizeEstimate {
    let width = average(&tuple_widths(&parts(relation, index, table_rows)));
    let base = index
        .keys
        .first()
        .and_then(|key| key.column)
        .and_then(|column| relation.column(column))
        .map_or("", |column| column.base_type.as_str());
    let (key, fill) = match base {
        "text" | "varchar" | "bpchar" | "" => {
            // The tree itself spells the start of the texts.
            let spelled = rows.max(2.0).log2() / 4.0;
            ((width - spelled).max(1.0), 0.85)
        }
        "point" => (16.0, 0.72),
        _ => (width, 0.75),
    };
    let tuple = align(12.0 + key, 8.0).max(16.0) + POINTER;
    let leaves = rows * tuple / (PAGE_SPACE * fill);
    estimate(leaves * 1.03 + 3.0, rows)
}

/// A BRIN index: a summary for each range of blocks, and the range map.
pub(super) fn brin_size(
    relation: &Relation,
    index: &SizedIndex<'_>,
    rows: f64,
    table_rows: f64,
) -> SizeEstimate {
    let per_range = index.option("pages_per_range").unwrap_or(128.0).max(1.0);
    let ranges = (relation.pages / per_range).ceil().max(1.0);
    let keys: f64 = index
        .keys
        .iter()
        .zip(parts(relation, index, table_rows))
        .map(|(key, part)| {
            let width = average(&tuple_widths(std::slice::from_ref(&part)));
            if key.opclass.contains("bloom") {
                256.0
            } else if key.opclass.contains("multi") {
                8.0 + 32.0 * width
            } else {
                2.0 * width
            }
        })
        .sum();
    let tuple = align(8.0 + keys, 8.0) + POINTER;
    let data = (ranges * tuple / PAGE_SPACE).ceil();
    let map = (ranges / 1360.0).ceil();
    estimate(1.0 + map + data, rows)
}
