//! How large an index would be, from statistics.

mod btree;
mod columns;
mod other;

pub use btree::btree_height;

use super::{ColumnStatistics, Relation};

/// Bytes of a page.
const BLOCK: f64 = 8192.0;

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
    /// The predicate of the index leaves out its NULLs.
    pub not_null: bool,
    /// Name of the operator class, without schema; empty for the default.
    pub opclass: &'a str,
}

impl SizedIndex<'_> {
    /// A storage parameter that is a number or a switch.
    fn option(&self, name: &str) -> Option<f64> {
        let (_, value) = self.options.iter().find(|(option, _)| *option == name)?;
        match value.trim_matches('\'') {
            "off" | "false" | "no" => Some(0.0),
            "on" | "true" | "yes" => Some(1.0),
            number => number.parse().ok(),
        }
    }
}

/// How large an index on `rows` rows of a table is, were it built now.
///
/// B-trees are reckoned page by page and within a few percent of real ones
/// where the statistics are good; the others are rougher.
pub fn index_size(relation: &Relation, index: &SizedIndex<'_>, rows: f64) -> SizeEstimate {
    let table_rows = rows.max(0.0);
    let tuples = table_rows * index.selectivity.clamp(0.0, 1.0);
    let size = match index.method {
        "hash" => other::hash_size,
        "gin" => other::gin_size,
        "gist" => other::gist_size,
        "spgist" => other::spgist_size,
        "brin" => other::brin_size,
        _ => btree::btree_size,
    };
    size(relation, index, tuples, table_rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn height(blocks: u64) -> u32 {
        btree_height(blocks, 8.0)
    }

    #[test]
    fn levels_grow_with_the_blocks() {
        // Metapage; metapage and a leaf that is the root; a root over two
        // leaves.
        assert_eq!([height(1), height(2), height(4)], [0, 0, 1]);
        // The root has room for 285 leaves; one more needs a second page of
        // that level and a root above both.
        assert_eq!([height(1 + 1 + 285), height(1 + 3 + 286)], [1, 2]);
        assert_eq!(height(100_000), 3);
    }
}
