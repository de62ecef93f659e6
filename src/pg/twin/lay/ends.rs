//! The smallest and largest entries of indexes.
//!
//! For a comparison near the end of a histogram the planner looks up the end
//! of the column's real range in a B-tree (`get_actual_variable_range`). So
//! that it finds there what it would find on the original server, the first
//! leaf of the index holds two entries with those values.
//!
//! The bytes of the values are made by the server: all values of a type are
//! put into a scratch table with an index, whose entries are then read from
//! its file. All that is rolled back.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use tokio_postgres::types::Type;

use super::btree::{LeafPage, read_u32};
use super::files::BLOCK;
use crate::pg::catalog::get;
use crate::pg::{Error, Session};
use crate::snapshot::Snapshot;

/// The schema of the scratch tables, which is never committed.
const SCRATCH: &str = "pgadvise_ends";
/// An index tuple's header.
const HEADER: usize = 8;
/// `INDEX_NULL_MASK`.
const HAS_NULLS: u16 = 0x8000;
/// `INDEX_ALT_TID_MASK`: not a plain entry.
const ALTERNATIVE_TID: u16 = 0x2000;
/// `INDEX_SIZE_MASK`.
const SIZE: u16 = 0x1FFF;

/// An index, as (schema, name), with its leaf.
type Leaf = ((String, String), LeafPage);

/// The leaf pages of the indexes whose ends are known, by schema and name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prepared {
    pub(super) leaves: BTreeMap<(String, String), LeafPage>,
    /// Indexes whose ends could not be made, as sentences.
    pub notes: Vec<String>,
}

/// An index of the twin whose ends are known.
#[derive(Debug)]
struct Wanted {
    schema: String,
    name: String,
    smallest: String,
    largest: String,
    /// Keys and included columns.
    columns: i16,
    descending: bool,
}

/// Makes the entries at the ends of indexes, from the values that a snapshot
/// has of them. The indexes must exist in the session's database already; the
/// values are evaluated with the session's rights. `file` gives the path of
/// what `pg_relation_filepath` names.
pub fn prepare(
    session: &mut Session,
    snapshot: &Snapshot,
    file: &dyn Fn(&str) -> PathBuf,
) -> Result<Prepared, Error> {
    let mut prepared = Prepared::default();
    let by_type = wanted(session, snapshot)?;
    if by_type.is_empty() {
        return Ok(prepared);
    }
    session.and_roll_back::<_, Error>(|session| {
        // No function or operator of the snapshot's stands in for another.
        session.query("SET LOCAL search_path = ''", &[])?;
        session.query(&format!("CREATE SCHEMA {SCRATCH}"), &[])?;
        for (type_name, indexes) in &by_type {
            let all: Vec<&Wanted> = indexes.iter().collect();
            match leaves(session, type_name, &all, file) {
                Ok(made) => prepared.leaves.extend(made),
                Err(error @ (Error::Lost { .. } | Error::TimedOut { .. })) => return Err(error),
                // One value that the type does not take fails them all: each
                // by itself then.
                Err(_) => {
                    for index in all {
                        match leaves(session, type_name, &[index], file) {
                            Ok(made) => prepared.leaves.extend(made),
                            Err(error @ (Error::Lost { .. } | Error::TimedOut { .. })) => {
                                return Err(error);
                            }
                            Err(error) => prepared.notes.push(format!(
                                "the ends of index {}.{} are not known to the twin: {error}",
                                index.schema, index.name
                            )),
                        }
                    }
                }
            }
        }
        Ok(())
    })?;
    Ok(prepared)
}

/// The indexes of the twin with known ends, by the type of their leading key.
fn wanted(
    session: &mut Session,
    snapshot: &Snapshot,
) -> Result<BTreeMap<String, Vec<Wanted>>, Error> {
    let (mut schemas, mut names, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    for relation in &snapshot.relations {
        for index in &relation.indexes {
            if let Some(pair) = &index.ends
                && index.method == "btree"
            {
                schemas.push(relation.schema.as_str());
                names.push(index.name.as_str());
                ends.push(pair);
            }
        }
    }
    let mut by_type: BTreeMap<String, Vec<Wanted>> = BTreeMap::new();
    if ends.is_empty() {
        return Ok(by_type);
    }
    let rows = session.read_only(|session| {
        // Types are then named with their schema.
        session.query("SET LOCAL search_path = ''", &[])?;
        session.query(
            "SELECT u.at::int4, i.indnatts, i.indoption[0] & 1 = 1, \
               (WITH RECURSIVE base (type) AS ( \
                  SELECT coalesce(ta.atttypid, ia.atttypid) \
                  UNION ALL SELECT y.typbasetype FROM base AS b \
                  JOIN pg_catalog.pg_type AS y ON y.oid = b.type AND y.typtype = 'd') \
                SELECT pg_catalog.format_type(b.type, -1) FROM base AS b \
                JOIN pg_catalog.pg_type AS y ON y.oid = b.type AND y.typtype <> 'd' LIMIT 1) \
             FROM unnest($1, $2) WITH ORDINALITY AS u (schema, name, at) \
             JOIN pg_catalog.pg_namespace AS n ON n.nspname = u.schema \
             JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = u.name \
               AND c.relkind = 'i' \
             JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid \
             JOIN pg_catalog.pg_attribute AS ia ON ia.attrelid = c.oid AND ia.attnum = 1 \
             LEFT JOIN pg_catalog.pg_attribute AS ta ON ta.attrelid = i.indrelid \
               AND ta.attnum = i.indkey[0] AND i.indkey[0] <> 0 \
             ORDER BY u.at",
            &[(&schemas, Type::TEXT_ARRAY), (&names, Type::TEXT_ARRAY)],
        )
    })?;
    for row in &rows {
        let at = usize::try_from(get::<i32>(row, 0)?).unwrap_or(0);
        let Some(at) = at.checked_sub(1) else {
            continue;
        };
        let (Some(schema), Some(name), Some((smallest, largest))) =
            (schemas.get(at), names.get(at), ends.get(at))
        else {
            continue;
        };
        let Some(type_name) = get::<Option<String>>(row, 3)? else {
            continue;
        };
        by_type.entry(type_name).or_default().push(Wanted {
            schema: (*schema).to_owned(),
            name: (*name).to_owned(),
            smallest: smallest.clone(),
            largest: largest.clone(),
            columns: get(row, 1)?,
            descending: get(row, 2)?,
        });
    }
    Ok(by_type)
}

/// The leaf pages of indexes on keys of one type.
fn leaves(
    session: &mut Session,
    type_name: &str,
    indexes: &[&Wanted],
    file: &dyn Fn(&str) -> PathBuf,
) -> Result<Vec<Leaf>, Error> {
    let values: Vec<&str> = indexes
        .iter()
        .flat_map(|index| [index.smallest.as_str(), index.largest.as_str()])
        .collect();
    let entries = session.undone::<_, Error>(|session| {
        session.query(
            &format!("CREATE TABLE {SCRATCH}.t (at int8, v {type_name})"),
            &[],
        )?;
        session.query(
            &format!(
                "INSERT INTO {SCRATCH}.t SELECT u.at, u.v::{type_name} \
                 FROM pg_catalog.unnest($1) WITH ORDINALITY AS u (v, at) ORDER BY u.at"
            ),
            &[(&values, Type::TEXT_ARRAY)],
        )?;
        session.query(
            &format!("CREATE INDEX i ON {SCRATCH}.t (v) WITH (deduplicate_items = off)"),
            &[],
        )?;
        let rows = session.query(
            &format!(
                "SELECT at, ctid::text, \
                   pg_catalog.pg_relation_filepath('{SCRATCH}.i'::pg_catalog.regclass) \
                 FROM {SCRATCH}.t"
            ),
            &[],
        )?;
        let path: String = match rows.first() {
            Some(row) => get(row, 2)?,
            None => return Ok(Vec::new()),
        };
        let by_place = read_entries(&file(&path)).map_err(|error| Error::Answer {
            reason: format!("cannot read the scratch index: {error}"),
        })?;
        let mut entries = vec![Vec::new(); rows.len()];
        for row in &rows {
            let at = usize::try_from(get::<i64>(row, 0)?).unwrap_or(0);
            let place: String = get(row, 1)?;
            let entry = at.checked_sub(1).and_then(|at| entries.get_mut(at));
            if let (Some(entry), Some(bytes)) = (entry, by_place.get(&place)) {
                entry.clone_from(bytes);
            }
        }
        Ok(entries)
    })?;
    Ok(indexes
        .iter()
        .zip(entries.chunks(2))
        .filter_map(|(index, pair)| {
            let [smallest, largest] = pair else {
                return None;
            };
            if smallest.is_empty() || largest.is_empty() {
                return None;
            }
            let ordered = if index.descending {
                [largest, smallest]
            } else {
                [smallest, largest]
            };
            let tuples = ordered
                .iter()
                .zip(1_u16..)
                .map(|(data, row)| entry(data, row, index.columns))
                .collect();
            Some((
                (index.schema.clone(), index.name.clone()),
                LeafPage { tuples },
            ))
        })
        .collect())
}

/// An entry that points to a row of block 0, with that leading key and NULL in
/// all other columns.
fn entry(data: &[u8], row: u16, columns: i16) -> Vec<u8> {
    let header = if columns > 1 { 2 * HEADER } else { HEADER };
    let nulls = if columns > 1 { HAS_NULLS } else { 0 };
    let size = (header + data.len()) as u16;
    let mut tuple = Vec::with_capacity(header + data.len());
    // The block's number, which is 0, in two halves.
    tuple.extend([0; 4]);
    tuple.extend(row.to_le_bytes());
    tuple.extend((size | nulls).to_le_bytes());
    if columns > 1 {
        // A bit for each column that is not NULL, and alignment.
        tuple.extend([1, 0, 0, 0, 0, 0, 0, 0]);
    }
    tuple.extend(data);
    tuple
}

/// The keys in an index's file, by the row that they point to, as `ctid`
/// prints it.
fn read_entries(path: &Path) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let file = File::open(path)?;
    let blocks = file.metadata()?.len() / BLOCK;
    let mut page = vec![0; BLOCK as usize];
    let mut entries = BTreeMap::new();
    for block in 1..blocks {
        file.read_exact_at(&mut page, block * BLOCK)?;
        let (Some(special), Some(lower)) = (read_u16(&page, 16), read_u16(&page, 12)) else {
            continue;
        };
        let special = usize::from(special);
        let is_leaf = read_u16(&page, special + 12).is_some_and(|flags| flags & 1 == 1);
        if !is_leaf {
            continue;
        }
        // All but the last page begin with the bound to the next.
        let bounded = read_u32(&page, special + 4) != Some(0);
        for pointer in (24..usize::from(lower))
            .step_by(4)
            .skip(usize::from(bounded))
        {
            let Some(at) = read_u32(&page, pointer).map(|pointer| (pointer & 0x7FFF) as usize)
            else {
                continue;
            };
            let (Some(high), Some(low), Some(row), Some(info)) = (
                read_u16(&page, at),
                read_u16(&page, at + 2),
                read_u16(&page, at + 4),
                read_u16(&page, at + 6),
            ) else {
                continue;
            };
            if info & (HAS_NULLS | ALTERNATIVE_TID) != 0 {
                continue;
            }
            if let Some(data) = page.get(at + HEADER..at + usize::from(info & SIZE)) {
                let place = u32::from(high) << 16 | u32::from(low);
                entries.insert(format!("({place},{row})"), data.to_vec());
            }
        }
    }
    Ok(entries)
}

fn read_u16(page: &[u8], at: usize) -> Option<u16> {
    let bytes = page.get(at..at + 2)?;
    Some(u16::from_le_bytes(bytes.try_into().ok()?))
}
