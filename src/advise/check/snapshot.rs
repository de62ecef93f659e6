//! The sizes that a snapshot knows, as a catalogue.

use std::collections::BTreeMap;

use crate::catalog::{Catalog, Index, Relation, RelationKind};
use crate::snapshot::{self, Size, Snapshot};

/// Partitions of partitions are followed so deep.
const DEEPEST: usize = 64;

/// Names, kinds and sizes of a snapshot's relations and indexes. A partitioned
/// table has the size of its partitions together.
pub fn sizes(snapshot: &Snapshot) -> Catalog {
    let parents: BTreeMap<(&str, &str), &[(String, String)]> = snapshot
        .relations
        .iter()
        .filter(|relation| relation.partition_bound.is_some())
        .map(|relation| {
            (
                (relation.schema.as_str(), relation.name.as_str()),
                relation.parents.as_slice(),
            )
        })
        .collect();
    let mut within: BTreeMap<(&str, &str), (f64, Option<f64>)> = BTreeMap::new();
    for relation in &snapshot.relations {
        let Some(size) = relation
            .size
            .filter(|_| relation.kind != snapshot::RelationKind::PartitionedTable)
        else {
            continue;
        };
        let mut at = (relation.schema.as_str(), relation.name.as_str());
        for _ in 0..DEEPEST {
            let Some((schema, name)) = parents.get(&at).and_then(|parents| parents.first()) else {
                break;
            };
            at = (schema, name);
            let (pages, rows) = within.entry(at).or_insert((0.0, None));
            *pages += size.blocks as f64;
            if let Some(more) = tuples(size) {
                *rows = Some(rows.unwrap_or(0.0) + more);
            }
        }
    }
    let mut relations: Vec<Relation> = snapshot
        .relations
        .iter()
        .map(|relation| {
            let key = (relation.schema.as_str(), relation.name.as_str());
            let (pages, rows) = within.get(&key).copied().unwrap_or_else(|| {
                let size = relation.size.unwrap_or_default();
                (size.blocks as f64, relation.size.and_then(tuples))
            });
            self::relation(relation, pages, rows)
        })
        .collect();
    relations.sort_by(|a, b| (&a.schema, &a.name).cmp(&(&b.schema, &b.name)));
    Catalog {
        version_num: snapshot.origin.version_num,
        version: snapshot.origin.version.clone(),
        relations,
        ..Catalog::default()
    }
}

/// Rows, where the table was analysed. An empty file has none, analysed or not.
fn tuples(size: Size) -> Option<f64> {
    if size.blocks == 0 {
        return Some(0.0);
    }
    Some(f64::from(size.tuples)).filter(|rows| *rows > 0.0)
}

fn relation(from: &snapshot::Relation, pages: f64, tuples: Option<f64>) -> Relation {
    Relation {
        oid: 0,
        schema: from.schema.clone(),
        name: from.name.clone(),
        kind: match from.kind {
            snapshot::RelationKind::Table => RelationKind::Table,
            snapshot::RelationKind::PartitionedTable => RelationKind::PartitionedTable,
            snapshot::RelationKind::View => RelationKind::View,
            snapshot::RelationKind::MaterializedView => RelationKind::MaterializedView,
            snapshot::RelationKind::ForeignTable => RelationKind::ForeignTable,
        },
        columns: Vec::new(),
        indexes: from.indexes.iter().map(index).collect(),
        constraints: Vec::new(),
        statistics: Vec::new(),
        partition_key: from.partition_key.clone(),
        parent: from
            .partition_bound
            .as_ref()
            .and_then(|_| from.parents.first().cloned()),
        partition_bound: from.partition_bound.clone(),
        pages,
        tuples,
        all_visible_pages: from.size.map_or(0.0, |size| size.all_visible as f64),
        row_security: from.row_security,
        activity: None,
    }
}

fn index(from: &snapshot::Index) -> Index {
    Index {
        oid: 0,
        name: from.name.clone(),
        method: from.method.clone(),
        keys: Vec::new(),
        include: Vec::new(),
        unique: false,
        primary: false,
        valid: from.valid,
        immediate: true,
        nulls_not_distinct: false,
        predicate: None,
        definition: from.definition.clone(),
        pages: from.size.map_or(0.0, |size| size.blocks as f64),
        tuples: from.size.and_then(tuples),
        scans: from.scans.map(|scans| scans as f64),
    }
}
