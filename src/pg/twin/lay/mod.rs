//! Giving the files of relations their sizes, and indexes their first pages.

pub mod btree;
mod files;

pub use btree::LeafPage;
pub use files::{blocks_of, empty, set_blocks};

use super::RelationFile;
use crate::pg::catalog::get;
use crate::pg::{Error, Session};

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
