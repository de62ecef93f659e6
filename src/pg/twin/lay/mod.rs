//! Giving the files of relations their sizes, and indexes their first pages.

pub mod btree;
mod ends;
mod files;
mod meta;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

pub use btree::LeafPage;
pub use ends::{Prepared, prepare};
pub use files::{blocks_of, empty, set_blocks};

use self::files::FileError;
use super::{RelationFile, TwinError};
use crate::catalog::size::btree_height;
use crate::pg::catalog::get;
use crate::pg::{Error, Session};
use crate::snapshot::{Index, IndexMeta, Relation, Snapshot};

/// Files of one gibibyte that a twin has at most: those of 128 TiB.
const MOST_SEGMENTS: u64 = 128 * 1024;

/// The relations of the twin that have a file: tables, materialised views and
/// indexes of all schemas but the system's.
pub fn relation_files(session: &mut Session) -> Result<Vec<RelationFile>, Error> {
    let rows = session.read_only(|session| {
        session.query(
            "SELECT n.nspname::text, c.relname::text, c.oid, t.relname::text, m.amname::text, \
               pg_catalog.pg_relation_filepath(c.oid) \
             FROM pg_catalog.pg_class AS c \
             JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
             LEFT JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid \
             LEFT JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid \
             LEFT JOIN pg_catalog.pg_am AS m ON m.oid = c.relam AND c.relkind = 'i' \
             WHERE c.relkind IN ('r', 'm', 'i') AND n.nspname <> 'information_schema' \
               AND n.nspname !~ '^pg_' \
             ORDER BY 1, 2",
            &[],
        )
    })?;
    let mut files = Vec::with_capacity(rows.len());
    for row in &rows {
        let Some(path) = get::<Option<String>>(row, 5)? else {
            continue;
        };
        files.push(RelationFile {
            schema: get(row, 0)?,
            name: get(row, 1)?,
            oid: get(row, 2)?,
            table: get(row, 3)?,
            method: get(row, 4)?,
            path,
        });
    }
    Ok(files)
}

/// Refuses sizes that no database has: each gibibyte is a file, if an empty
/// one, and a file is made for each.
pub fn check_sizes(snapshot: &Snapshot) -> Result<(), TwinError> {
    let segments = snapshot
        .relations
        .iter()
        .flat_map(|relation| {
            let indexes = relation.indexes.iter().map(|index| index.size);
            indexes.chain([relation.size])
        })
        .flatten()
        .fold(0_u64, |sum, size| {
            sum.saturating_add(size.blocks.min(files::MOST_BLOCKS) / files::SEGMENT_BLOCKS)
        });
    if segments > MOST_SEGMENTS {
        return Err(TwinError::Unusable {
            reason: format!(
                "the relations of the snapshot are {} TiB together, and a twin is made for {} at most",
                segments / 1024,
                MOST_SEGMENTS / 1024
            ),
        });
    }
    Ok(())
}

/// Gives all relations of a stopped cluster their sizes and first pages.
///
/// `cluster_file` gives the path of what `pg_relation_filepath` names.
/// Relations that the snapshot does not have, or has no size of, stay as they
/// are.
pub fn lay_all(
    cluster_file: &dyn Fn(&str) -> PathBuf,
    files: &[RelationFile],
    snapshot: &Snapshot,
    prepared: &Prepared,
) -> Result<(), TwinError> {
    let indexes: BTreeMap<(&str, &str), (&Relation, &Index)> = snapshot
        .relations
        .iter()
        .flat_map(|relation| {
            relation.indexes.iter().map(move |index| {
                (
                    (relation.schema.as_str(), index.name.as_str()),
                    (relation, index),
                )
            })
        })
        .collect();
    // The tables whose first block the laid entries point to.
    let mut pointed_to: BTreeSet<(&str, &str)> = BTreeSet::new();
    for file in files {
        let path = cluster_file(&file.path);
        let name = (file.schema.as_str(), file.name.as_str());
        let laid = match (&file.table, indexes.get(&name)) {
            (Some(table), Some((relation, index))) => {
                let ends = prepared
                    .leaves
                    .get(&(file.schema.clone(), file.name.clone()));
                if ends.is_some() {
                    pointed_to.insert((&file.schema, table));
                }
                lay_index(&path, relation, index, ends)
            }
            (Some(_), None) => Ok(()),
            (None, _) => snapshot
                .relation(&file.schema, &file.name)
                .and_then(|relation| relation.size)
                .map_or(Ok(()), |size| files::resize(&path, size.blocks)),
        };
        laid.map_err(|error| error.of(format!("{}.{}", file.schema, file.name)))?;
    }
    for file in files {
        if file.table.is_none() && pointed_to.contains(&(file.schema.as_str(), file.name.as_str()))
        {
            meta::first_block_is_visible(&cluster_file(&file.path))
                .map_err(|error| error.of(format!("{}.{}", file.schema, file.name)))?;
        }
    }
    Ok(())
}

fn lay_index(
    path: &Path,
    relation: &Relation,
    index: &Index,
    ends: Option<&LeafPage>,
) -> Result<(), FileError> {
    let Some(size) = index.size else {
        return Ok(());
    };
    let blocks = size.blocks.max(1);
    match (index.method.as_str(), &index.meta) {
        ("btree", meta) => {
            let height = match meta {
                Some(IndexMeta::Btree { height, .. }) => *height,
                // A key of eight bytes is the commonest.
                _ => btree_height(blocks, 8.0),
            };
            btree::lay_file(path, blocks, height, ends)
        }
        ("gin", meta) => {
            if let Some(IndexMeta::Gin {
                total_pages,
                entry_pages,
                data_pages,
                entries,
                pending_pages,
            }) = meta
            {
                meta::lay_gin(
                    path,
                    meta::GinCounts {
                        total_pages: *total_pages,
                        entry_pages: *entry_pages,
                        data_pages: *data_pages,
                        entries: *entries,
                        pending_pages: *pending_pages,
                    },
                )?;
            }
            files::resize(path, blocks)
        }
        ("brin", meta) => {
            let last = match meta {
                Some(IndexMeta::Brin { last_revmap_page }) => *last_revmap_page,
                _ => meta::range_map_pages(
                    relation.size.map_or(0, |size| size.blocks),
                    &index.definition,
                ),
            };
            meta::lay_brin(path, last)?;
            files::resize(path, blocks)
        }
        _ => files::resize(path, blocks),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Size;

    fn snapshot(tables: usize, blocks: u64) -> Snapshot {
        let table = Relation {
            size: Some(Size {
                blocks,
                ..Size::default()
            }),
            ..Relation::default()
        };
        Snapshot {
            relations: vec![table; tables],
            ..Snapshot::default()
        }
    }

    #[test]
    fn sizes_that_no_database_has_are_refused() {
        // Four tables as large as PostgreSQL can have them, of 32 TiB.
        assert!(check_sizes(&snapshot(4, u64::from(u32::MAX))).is_ok());
        let error = check_sizes(&snapshot(5, u64::MAX)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the relations of the snapshot are 159 TiB together, and a twin is made for 128 at most"
        );
        assert!(check_sizes(&snapshot(100_000, 1000)).is_ok());
    }
}
