//! Of causes that no fixture shows as briefly.

use super::table::Table;
use super::*;
use crate::catalog::{Catalog, Index, IndexKey, Relation, RelationKind};
use crate::rules::support::compared::Compared;

#[test]
fn a_unique_column_is_never_called_skewed() {
    let mut relation = Relation {
        oid: 1,
        schema: "public".to_owned(),
        name: "orders".to_owned(),
        kind: RelationKind::Table,
        columns: Vec::new(),
        indexes: Vec::new(),
        constraints: Vec::new(),
        statistics: Vec::new(),
        partition_key: None,
        parent: None,
        partition_bound: None,
        pages: 100.0,
        tuples: Some(10_000.0),
        all_visible_pages: 0.0,
        row_security: false,
        activity: None,
    };
    let cause = |relation: &Relation, operator| {
        let compared = Compared {
            columns: vec!["id".to_owned()],
            operators: vec![operator],
            values: vec!["5"],
            ..Compared::default()
        };
        let one = column::One::of(&compared, 0).expect("a column");
        column::one_column(&Table::of(relation, &Catalog::default()), &one, None)
    };
    assert!(!Table::of(&relation, &Catalog::default()).is_unique("id"));
    relation.indexes.push(Index {
        oid: 2,
        name: "orders_pkey".to_owned(),
        method: "btree".to_owned(),
        keys: vec![IndexKey {
            column: Some("id".to_owned()),
            text: "id".to_owned(),
            opclass: "int4_ops".to_owned(),
            default_opclass: true,
            collation: None,
            descending: false,
            nulls_first: false,
            stats: None,
        }],
        include: Vec::new(),
        unique: true,
        primary: true,
        valid: true,
        immediate: true,
        nulls_not_distinct: false,
        predicate: None,
        definition: String::new(),
        pages: 30.0,
        tuples: Some(10_000.0),
        scans: None,
    });
    let equal = cause(&relation, "=");
    assert!(!equal.text.contains("skewed") && equal.suggestions.is_empty());
    let range = cause(&relation, "<");
    assert!(!range.text.contains("skewed") && range.suggestions.len() == 1);
}
