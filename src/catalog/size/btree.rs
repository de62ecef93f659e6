//! Sizes of B-trees, as `nbtsort.c` and `nbtdedup.c` build them.
//!
//! A leaf page takes tuples until less than the fill factor leaves is free;
//! the last tuple becomes the page's bound and goes on to the next page.
//! Equal keys are stored once with a list of row pointers (six bytes each),
//! cut into tuples of at most 812 bytes, unless the index is unique, has
//! included columns, or its equal values can differ in bytes.

use super::columns::{Part, align, joint_distinct, tuple_widths};
use super::{BLOCK, SizeEstimate, SizedIndex};
use crate::catalog::Relation;

/// Largest tuple with a list of row pointers that a build makes
/// (`MAXALIGN_DOWN(BLCKSZ * 10 / 100) - sizeof(ItemIdData)`).
const POSTING_LIMIT: f64 = 812.0;
/// What a page has for tuples: without its header, its special space, the
/// line pointer of its bound, and the one kept back for the next tuple.
const PAGE_SPACE: f64 = 8144.0;
/// Free share of an inner page (`BTREE_NONLEAF_FILLFACTOR` is 70).
const INNER_FREE: f64 = 2457.0;
/// Bytes of a line pointer.
const POINTER: f64 = 4.0;
/// Bytes of a row pointer in a list.
const ROW_POINTER: f64 = 6.0;

/// Tuples of one size.
#[derive(Debug, Clone, Copy)]
struct Group {
    count: f64,
    /// With line pointer.
    bytes: f64,
    /// Without the list of row pointers, with line pointer.
    key_bytes: f64,
}

pub(super) fn btree_size(
    relation: &Relation,
    index: &SizedIndex<'_>,
    rows: f64,
    table_rows: f64,
) -> SizeEstimate {
    let keys: Vec<Part> = index
        .keys
        .iter()
        .map(|key| Part::of_key(relation, key, table_rows))
        .collect();
    let include: Vec<Part> = index
        .include
        .iter()
        .map(|column| {
            let key = super::SizedKey {
                column: Some(column),
                ..super::SizedKey::default()
            };
            Part::of_key(relation, &key, table_rows)
        })
        .collect();
    let all: Vec<Part> = keys.iter().chain(&include).cloned().collect();
    let fill = index
        .option("fillfactor")
        .unwrap_or(90.0)
        .clamp(10.0, 100.0);
    let free = (BLOCK * (100.0 - fill) / 100.0).floor();
    let leaf_space = PAGE_SPACE - free;
    let deduplicated = !index.unique
        && include.is_empty()
        && index.option("deduplicate_items") != Some(0.0)
        && keys.iter().all(|part| part.equal_images);

    let mut groups = Vec::new();
    let mut distinct = 0.0;
    for kind in kinds_of_rows(&all, rows) {
        let header = if kind.filled.len() < all.len() {
            16.0
        } else {
            8.0
        };
        let widths = tuple_widths(&kind.filled);
        let tuple = |width: f64| align(header + width, 8.0);
        if !deduplicated {
            each(&mut groups, kind.rows, &widths, tuple);
            distinct += distinct_of(relation, index, &kind, table_rows);
        } else if kind.filled.is_empty() {
            push_list(&mut groups, 1.0, kind.rows, header);
            distinct += 1.0;
        } else if let ([part], 1) = (kind.filled.as_slice(), all.len()) {
            distinct += deduplicate(&mut groups, part, kind.rows, rows, table_rows, &widths);
        } else {
            let cells = joint_cells(relation, index, &kind, table_rows);
            distinct += seen(cells, kind.rows);
            let share = 1.0 / widths.len() as f64;
            for width in &widths {
                occupy(&mut groups, cells * share, kind.rows * share, tuple(*width));
            }
        }
    }
    let leaves = pages(&groups, leaf_space);
    let tuples: f64 = groups.iter().map(|group| group.count).sum();
    // Neighbours that are equal are told apart by their row pointers.
    let equal = if index.unique {
        0.0
    } else {
        (1.0 - distinct / tuples.max(1.0)).clamp(0.0, 1.0)
    };
    let pivot = pivot_bytes(&keys, equal, rows);
    let (inner, height) = levels(leaves, pivot);
    let blocks = if rows < 1.0 {
        1.0
    } else {
        leaves + inner + 1.0
    };
    SizeEstimate {
        bytes: blocks * BLOCK,
        blocks: blocks as u64,
        tuples: rows,
        height,
    }
}

fn push(groups: &mut Vec<Group>, count: f64, tuple: f64) {
    if count > 0.0 {
        groups.push(Group {
            count,
            bytes: tuple + POINTER,
            key_bytes: tuple + POINTER,
        });
    }
}

fn each(groups: &mut Vec<Group>, rows: f64, widths: &[f64], tuple: impl Fn(f64) -> f64) {
    let share = rows / widths.len().max(1) as f64;
    for width in widths {
        push(groups, share, tuple(*width));
    }
}

/// The tuples of `values` keys with `rows` rows each.
fn push_list(groups: &mut Vec<Group>, values: f64, rows: f64, key: f64) {
    if rows < 0.5 || values <= 0.0 {
        return;
    }
    let rows = rows.round().max(1.0);
    // Aligned, so that the last bytes up to the limit are not used.
    let most = (((POSTING_LIMIT / 8.0).floor() * 8.0 - key) / ROW_POINTER)
        .floor()
        .max(1.0);
    let full = (rows / most).floor();
    let rest = rows - full * most;
    let list = |count: f64, pointers: f64| Group {
        count,
        bytes: align(key + ROW_POINTER * pointers, 8.0) + POINTER,
        key_bytes: key + POINTER,
    };
    if full > 0.0 {
        groups.push(list(values * full, most));
    }
    if rest >= 2.0 {
        groups.push(list(values, rest));
    } else if rest >= 1.0 {
        push(groups, values, key);
    }
}

/// The tuples of a single key column.
fn deduplicate(
    groups: &mut Vec<Group>,
    part: &Part,
    filled: f64,
    rows: f64,
    table_rows: f64,
    widths: &[f64],
) -> f64 {
    let average = widths
        .iter()
        .map(|width| align(8.0 + width, 8.0))
        .sum::<f64>()
        / widths.len().max(1) as f64;
    let average = align(average, 8.0);
    let mut left = filled;
    let mut distinct = part.distinct.unwrap_or(table_rows).max(1.0);
    for share in &part.frequencies {
        push_list(groups, 1.0, share * rows, average);
        left -= share * rows;
        distinct -= 1.0;
    }
    let common = part.frequencies.len() as f64;
    if left < 1.0 {
        return common;
    }
    let table_left = left * (table_rows / rows.max(1.0)).max(1.0);
    let cells = cells_of(distinct.max(1.0), table_left);
    let share = 1.0 / widths.len().max(1) as f64;
    for width in widths {
        occupy(groups, cells * share, left * share, align(8.0 + width, 8.0));
    }
    common + seen(cells, left)
}

/// The number of values that rows were drawn from, when so many of them were
/// seen: D = C (1 - e^(-N/C)).
fn cells_of(distinct: f64, rows: f64) -> f64 {
    if distinct >= rows * 0.9995 {
        return f64::MAX.sqrt();
    }
    let (mut low, mut high) = (distinct, distinct * 1e5);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if middle * -(-rows / middle).exp_m1() < distinct {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// The tuples of rows drawn at random from that many keys.
fn occupy(groups: &mut Vec<Group>, cells: f64, rows: f64, key: f64) {
    if rows <= 0.0 {
        return;
    }
    let mean = rows / cells;
    if mean < 1e-3 {
        push(groups, rows, key);
    } else if mean > 40.0 {
        push_list(groups, cells, mean, key);
    } else {
        // Poisson.
        let mut chance = (-mean).exp();
        let mut seen = 0.0;
        let mut count = 0.0;
        while count < 4.0 * mean + 20.0 {
            count += 1.0;
            chance *= mean / count;
            seen += chance * count;
            push_list(groups, cells * chance, count, key);
        }
        push_list(groups, cells * (mean - seen).max(0.0) / count, count, key);
    }
}

/// The keys that are seen among rows drawn at random from that many.
fn seen(cells: f64, rows: f64) -> f64 {
    cells * -(-rows / cells).exp_m1()
}

/// Rows that are NULL in the same columns.
struct Kind {
    rows: f64,
    /// The columns that are not NULL.
    filled: Vec<Part>,
}

/// The rows of an index by the columns that are NULL in them.
fn kinds_of_rows(parts: &[Part], rows: f64) -> Vec<Kind> {
    let mut kinds = vec![Kind {
        rows,
        filled: Vec::new(),
    }];
    for part in parts {
        let null = part.null_fraction;
        let mut next = Vec::new();
        for kind in kinds {
            // At most a handful of kinds; rare NULLs are left out.
            if null > 0.001 && kind.rows * null >= 1.0 {
                next.push(Kind {
                    rows: kind.rows * null,
                    filled: kind.filled.clone(),
                });
            }
            let share = if null > 0.001 { 1.0 - null } else { 1.0 };
            if share > 0.0 {
                let mut filled = kind.filled;
                filled.push(part.clone());
                next.push(Kind {
                    rows: kind.rows * share,
                    filled,
                });
            }
        }
        next.sort_by(|a, b| b.rows.total_cmp(&a.rows));
        next.truncate(32);
        kinds = next;
    }
    kinds
}

/// How many combinations of several columns the rows are drawn from: as
/// extended statistics say, else as if the columns had nothing to do with
/// each other.
fn joint_cells(relation: &Relation, index: &SizedIndex<'_>, kind: &Kind, table_rows: f64) -> f64 {
    if kind.filled.len() == index.keys.len()
        && let Some(distinct) = joint_distinct(relation, index)
    {
        return cells_of(distinct.min(table_rows), table_rows);
    }
    kind.filled
        .iter()
        .map(|part| {
            let distinct = part.distinct.unwrap_or(table_rows).max(1.0);
            let filled = table_rows * (1.0 - part.null_fraction);
            cells_of(distinct, filled.max(1.0))
        })
        .product::<f64>()
        .clamp(1.0, f64::MAX.sqrt())
}

/// Different keys among rows of one kind.
fn distinct_of(relation: &Relation, index: &SizedIndex<'_>, kind: &Kind, table_rows: f64) -> f64 {
    let keys = Kind {
        rows: kind.rows,
        filled: kind.filled.iter().take(index.keys.len()).cloned().collect(),
    };
    seen(joint_cells(relation, index, &keys, table_rows), kind.rows)
}

/// Leaf pages for tuples of mixed sizes in random order.
fn pages(groups: &[Group], space: f64) -> f64 {
    let count: f64 = groups.iter().map(|group| group.count).sum();
    let bytes: f64 = groups.iter().map(|group| group.count * group.bytes).sum();
    if count <= 0.0 || bytes <= 0.0 {
        return 1.0;
    }
    // The tuple that ends a page is a matter of chance, the larger ones being
    // likelier. One with a list counts with its key alone then, as its list is
    // not part of the bound; but it must have fitted, and so must the next.
    let weighted = |of: &dyn Fn(&Group) -> f64| {
        groups
            .iter()
            .map(|group| group.count * group.bytes * of(group))
            .sum::<f64>()
            / bytes
    };
    let usual = groups
        .iter()
        .max_by(|a, b| (a.count * a.bytes).total_cmp(&(b.count * b.bytes)));
    let alike = usual.filter(|usual| {
        let same: f64 = groups
            .iter()
            .filter(|group| (group.bytes - usual.bytes).abs() < 0.5)
            .map(|group| group.count * group.bytes)
            .sum();
        same > 0.97 * bytes
    });
    let used = if let Some(group) = alike {
        let size = group.bytes;
        let until = if group.bytes > group.key_bytes {
            ((space - group.key_bytes) / size).floor() + 1.0
        } else {
            (space / size).floor()
        };
        let fit = (((PAGE_SPACE - POINTER) / size).floor() - 1.0).max(1.0);
        until.min(fit).max(1.0) * size
    } else {
        let size = weighted(&|group| group.bytes);
        let list = weighted(&|group| group.bytes - group.key_bytes);
        let until = space - size / 2.0 + if list > 0.0 { list } else { 0.0 };
        until.min(PAGE_SPACE - 8.0 - 1.5 * size)
    };
    (bytes / used).ceil().max(1.0)
}

/// Bytes of an entry of an inner page, with line pointer: as many key columns
/// as tell neighbours apart, and the row pointer where none does.
fn pivot_bytes(keys: &[Part], equal: f64, rows: f64) -> f64 {
    let mut kept = 0;
    let mut distinct = 1.0;
    for part in keys {
        kept += 1;
        distinct *= part.distinct.unwrap_or(rows);
        // Enough for most pairs of neighbours to differ.
        if distinct >= rows / 2.0 {
            break;
        }
    }
    let equal = if kept < keys.len() { 0.0 } else { equal };
    let widths = tuple_widths(keys.get(..kept).unwrap_or(keys));
    let whole = widths
        .iter()
        .map(|width| align(8.0 + width, 8.0))
        .sum::<f64>()
        / widths.len().max(1) as f64;
    whole + 8.0 * equal + POINTER
}

/// Pages above the leaves, and their levels.
fn levels(leaves: f64, pivot: f64) -> (f64, u32) {
    // The first entry of a page has no key.
    let fanout = ((PAGE_SPACE - INNER_FREE + pivot - 12.0) / pivot)
        .floor()
        .max(2.0);
    let (mut pages, mut inner, mut height) = (leaves, 0.0, 0);
    while pages > 1.0 {
        pages = (pages / fanout).ceil();
        inner += pages;
        height += 1;
    }
    (inner, height)
}

/// Levels above the leaves of a B-tree of that many blocks, whose keys have
/// that width in bytes.
pub fn btree_height(blocks: u64, key_width: f64) -> u32 {
    let pivot = align(8.0 + key_width, 8.0) + POINTER;
    let all = blocks.saturating_sub(1) as f64;
    if all <= 1.0 {
        return 0;
    }
    // The inner pages are among the blocks.
    let leaves = (1..)
        .take(3)
        .fold(all, |leaves, _| all - levels(leaves, pivot).0);
    levels(leaves.max(2.0), pivot).1
}
