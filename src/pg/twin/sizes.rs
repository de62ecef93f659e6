//! The sizes that supposed indexes are given.

use crate::catalog::size::{SizeEstimate, SizedIndex, SizedKey, index_size};
use crate::catalog::{Catalog, Index, Relation};
use crate::finding::IndexSpec;

/// The size of an empty index: its metapage.
const EMPTY: SizeEstimate = SizeEstimate {
    bytes: 8192.0,
    blocks: 1,
    tuples: 0.0,
    height: 0,
};

/// The share of rows that a predicate lets in where nothing is known.
const UNKNOWN_SELECTIVITY: f64 = 0.3;

/// The size of an index that does not exist yet. Of a table that the catalogue
/// does not have, that of an empty one.
pub fn estimate(catalog: &Catalog, spec: &IndexSpec) -> SizeEstimate {
    let Some(relation) = catalog.relation(Some(&spec.schema), &spec.table) else {
        return EMPTY;
    };
    let keys = spec
        .keys
        .iter()
        .map(|key| SizedKey {
            column: (!key.is_expression).then_some(key.text.as_str()),
            expression: &key.text,
            stats: None,
            opclass: key.opclass.as_deref().unwrap_or_default(),
        })
        .collect();
    let names: Vec<&str> = spec.keys.iter().map(|key| key.text.as_str()).collect();
    let plain = spec.keys.iter().all(|key| !key.is_expression);
    let index = SizedIndex {
        method: &spec.method,
        keys,
        include: spec.include.iter().map(String::as_str).collect(),
        unique: plain && relation.is_unique_key(&names),
        selectivity: spec.predicate.as_ref().map_or(1.0, |_| UNKNOWN_SELECTIVITY),
        options: Vec::new(),
    };
    index_size(relation, &index, relation.rows())
}

/// The size of an index that the catalogue has, as if it were built now.
/// `selectivity` is the share of the rows that its predicate lets in, where it
/// is known.
pub fn estimate_index(
    relation: &Relation,
    index: &Index,
    selectivity: Option<f64>,
) -> SizeEstimate {
    let keys = index
        .keys
        .iter()
        .map(|key| SizedKey {
            column: key.column.as_deref(),
            expression: &key.text,
            stats: key.stats.as_ref(),
            opclass: if key.default_opclass {
                ""
            } else {
                &key.opclass
            },
        })
        .collect();
    let sized = SizedIndex {
        method: &index.method,
        keys,
        include: index.include.iter().map(String::as_str).collect(),
        unique: index.unique,
        selectivity: selectivity.unwrap_or_else(|| {
            index
                .predicate
                .as_ref()
                .map_or(1.0, |_| UNKNOWN_SELECTIVITY)
        }),
        options: Vec::new(),
    };
    index_size(relation, &sized, relation.rows())
}
