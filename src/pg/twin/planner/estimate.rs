//! What size a supposed index is given.

use std::collections::BTreeMap;

use tokio_postgres::types::Type;

use super::relations::Known;
use super::suppose::{SupposeError, Twin};
use crate::catalog::ColumnStatistics;
use crate::catalog::size::{SizedColumn, btree_bytes};
use crate::pg::catalog::get;

/// The size of an index that is not there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Estimated {
    pub(super) oid: u32,
    pub(super) blocks: u64,
    pub(super) tuples: f32,
    /// Levels above the leaves, of a B-tree.
    pub(super) height: u32,
}

/// A column of an index.
struct Key {
    base_type: String,
    is_included: bool,
    stats: Option<ColumnStatistics>,
}

/// Sizes of these indexes, from what the session sees of their tables.
pub(super) fn of(twin: &mut Twin<'_>, indexes: &[&Known]) -> Result<Vec<Estimated>, SupposeError> {
    let oids: Vec<u32> = indexes
        .iter()
        .filter(|index| index.is_index())
        .map(|index| index.oid)
        .collect();
    if oids.is_empty() {
        return Ok(Vec::new());
    }
    let session = twin.cluster.session()?;
    let rows = session.query(
        "SELECT i.indexrelid, t.reltuples, i.indisunique, k.attnum > i.indnkeyatts, \
           y.typname::text, s.avg_width, s.n_distinct, s.null_frac \
         FROM pg_catalog.pg_index AS i \
         JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid \
         JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace \
         JOIN pg_catalog.pg_attribute AS k ON k.attrelid = i.indexrelid AND k.attnum > 0 \
         JOIN pg_catalog.pg_type AS y ON y.oid = k.atttypid \
         LEFT JOIN pg_catalog.pg_attribute AS c ON c.attrelid = i.indrelid \
           AND c.attnum = i.indkey[k.attnum - 1] AND c.attnum > 0 \
         LEFT JOIN pg_catalog.pg_stats AS s ON s.schemaname = n.nspname \
           AND s.tablename = t.relname AND s.attname = c.attname AND NOT s.inherited \
         WHERE i.indexrelid = ANY ($1) ORDER BY i.indexrelid, k.attnum",
        &[(&oids, Type::OID_ARRAY)],
    )?;
    let mut keys: BTreeMap<u32, (f32, bool, Vec<Key>)> = BTreeMap::new();
    for row in &rows {
        let (tuples, unique) = (get(row, 1)?, get(row, 2)?);
        let width: Option<i32> = get(row, 5)?;
        let stats = match width {
            Some(width) => Some(ColumnStatistics {
                average_width: f64::from(width),
                n_distinct: f64::from(get::<f32>(row, 6)?),
                null_fraction: f64::from(get::<f32>(row, 7)?),
                ..ColumnStatistics::default()
            }),
            None => None,
        };
        keys.entry(get(row, 0)?)
            .or_insert_with(|| (tuples, unique, Vec::new()))
            .2
            .push(Key {
                base_type: get(row, 4)?,
                is_included: get(row, 3)?,
                stats,
            });
    }
    Ok(keys
        .into_iter()
        .filter(|(_, (tuples, _, _))| *tuples >= 1.0)
        .map(|(oid, (tuples, unique, keys))| {
            let sized = |included: bool| -> Vec<SizedColumn> {
                keys.iter()
                    .filter(|key| key.is_included == included)
                    .map(|key| {
                        SizedColumn::new(&key.base_type, key.stats.as_ref(), f64::from(tuples))
                    })
                    .collect()
            };
            let bytes = btree_bytes(f64::from(tuples), &sized(false), &sized(true), unique);
            let blocks = (bytes / 8192.0).ceil() as u64;
            Estimated {
                oid,
                blocks,
                tuples,
                height: u32::from(blocks > 2) + u32::from(blocks > 300) + u32::from(blocks > 90_000),
            }
        })
        .collect())
}
