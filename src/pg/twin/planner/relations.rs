//! The relations of the twin as they are without any supposition: what has to
//! be found again after one.

use std::collections::{BTreeMap, BTreeSet};

use crate::pg::catalog::get;
use crate::pg::{Error, Session};

/// A relation as `pg_class` has it.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::pg) struct Known {
    pub(in crate::pg) oid: u32,
    pub(in crate::pg) schema: String,
    pub(in crate::pg) name: String,
    /// `relkind`.
    pub(in crate::pg) kind: String,
    /// `pg_relation_filepath`; none of a partitioned table or index.
    pub(in crate::pg) path: Option<String>,
    pub(in crate::pg) pages: i32,
    pub(in crate::pg) tuples: f32,
    pub(in crate::pg) all_visible: i32,
    /// The table of an index.
    pub(in crate::pg) table: Option<u32>,
    /// Access method.
    pub(in crate::pg) method: Option<String>,
}

impl Known {
    /// Rows of it are read by a sequential scan.
    pub(in crate::pg) fn is_heap(&self) -> bool {
        self.kind == "r" || self.kind == "m"
    }

    /// It has a file of its own that the planner asks for its size.
    pub(in crate::pg) fn is_index(&self) -> bool {
        self.kind == "i"
    }

    /// Its `pg_class` numbers as arguments of `set_size`.
    pub(in crate::pg) fn sizes(&self) -> String {
        sizes(self.oid, self.pages, self.tuples, self.all_visible)
    }
}

/// Arguments of `set_size`, as a row of VALUES.
pub(in crate::pg) fn sizes(oid: u32, pages: i32, tuples: f32, all_visible: i32) -> String {
    format!("({oid}::oid, {pages}::int4, '{tuples}'::float4, {all_visible}::int4)")
}

/// All of them.
#[derive(Debug, Clone, Default)]
pub(in crate::pg) struct Relations {
    pub(in crate::pg) by_oid: BTreeMap<u32, Known>,
    children: BTreeMap<u32, Vec<u32>>,
    /// Tables and indexes by bare name.
    by_name: BTreeMap<String, Vec<u32>>,
}

/// Columns of [`Known`], in order, of `pg_class AS c`.
pub(in crate::pg) const COLUMNS: &str = "c.oid, n.nspname::text, c.relname::text, c.relkind::text, \
     pg_catalog.pg_relation_filepath(c.oid), c.relpages, c.reltuples, c.relallvisible, \
     i.indrelid, m.amname::text";

/// Where they come from.
pub(in crate::pg) const FROM: &str = "FROM pg_catalog.pg_class AS c \
     JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
     LEFT JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid \
     LEFT JOIN pg_catalog.pg_am AS m ON m.oid = c.relam \
     WHERE c.relkind IN ('r', 'm', 'i', 'p', 'I') \
       AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'";

/// A row of [`COLUMNS`].
pub(in crate::pg) fn known(row: &tokio_postgres::Row) -> Result<Known, Error> {
    Ok(Known {
        oid: get(row, 0)?,
        schema: get(row, 1)?,
        name: get(row, 2)?,
        kind: get(row, 3)?,
        path: get(row, 4)?,
        pages: get(row, 5)?,
        tuples: get(row, 6)?,
        all_visible: get(row, 7)?,
        table: get(row, 8)?,
        method: get(row, 9)?,
    })
}

impl Relations {
    /// Reads all.
    pub(in crate::pg) fn read(session: &mut Session) -> Result<Self, Error> {
        session.read_only(|session| {
            let mut relations = Self::default();
            for row in session.query(&format!("SELECT {COLUMNS} {FROM} ORDER BY c.oid"), &[])? {
                let known = known(&row)?;
                relations
                    .by_name
                    .entry(known.name.clone())
                    .or_default()
                    .push(known.oid);
                relations.by_oid.insert(known.oid, known);
            }
            for row in session.query(
                "SELECT inhparent, inhrelid FROM pg_catalog.pg_inherits ORDER BY 1, 2",
                &[],
            )? {
                relations
                    .children
                    .entry(get(&row, 0)?)
                    .or_default()
                    .push(get(&row, 1)?);
            }
            Ok(relations)
        })
    }

    /// The table of that name.
    pub(in crate::pg) fn table(&self, schema: &str, name: &str) -> Option<&Known> {
        self.by_name
            .get(name)?
            .iter()
            .filter_map(|oid| self.by_oid.get(oid))
            .find(|known| known.schema == schema && known.table.is_none())
    }

    /// The relation whose file that is.
    pub(in crate::pg) fn of_file(&self, path: &str) -> Option<&Known> {
        self.by_oid
            .values()
            .find(|known| known.path.as_deref() == Some(path))
    }

    /// The table with all its partitions or children.
    pub(in crate::pg) fn with_children(&self, oid: u32, into: &mut BTreeSet<u32>) {
        if into.insert(oid) {
            for child in self.children.get(&oid).into_iter().flatten() {
                self.with_children(*child, into);
            }
        }
    }

    /// Tables that these words name, by themselves or by an index, with their
    /// partitions.
    pub(in crate::pg) fn of_words(&self, words: &[String]) -> BTreeSet<u32> {
        let mut found = BTreeSet::new();
        for word in words {
            for oid in self.by_name.get(word).into_iter().flatten() {
                let table = self.by_oid.get(oid).and_then(|known| known.table);
                self.with_children(table.unwrap_or(*oid), &mut found);
            }
        }
        found
    }

    /// Everything that is no index.
    pub(in crate::pg) fn tables(&self) -> BTreeSet<u32> {
        self.by_oid
            .values()
            .filter(|known| known.table.is_none())
            .map(|known| known.oid)
            .collect()
    }
}
