//! Reads the catalogue of a server of version 13 to 18: a fixed number of
//! queries in one read-only transaction, however many tables there are.
//!
//! It decides nothing; it fills [`crate::catalog::Catalog`].

mod database;
mod indexes;
mod relations;
mod statistics;

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

use super::error::{Error, reason};
use super::session::Session;
use crate::catalog::{Catalog, Relation, RelationKind};

/// A value of a row.
pub(super) fn get<'a, T: FromSql<'a>>(row: &'a Row, at: usize) -> Result<T, Error> {
    row.try_get(at).map_err(|error| Error::Answer {
        reason: format!("{}: {}", error, reason(&error)),
    })
}

/// What the queries share.
struct Reader<'a> {
    session: &'a mut Session,
    /// Relations that someone holds exclusively: nothing that would wait for
    /// them is asked.
    locked: Vec<u32>,
    /// The relations that are read, by `oid`: their place in `relations`.
    places: BTreeMap<u32, usize>,
    relations: Vec<Relation>,
    limits: Vec<String>,
}

impl Session {
    /// Reads the catalogue in one read-only transaction.
    pub fn catalog(&mut self) -> Result<Catalog, Error> {
        match self.read_only(read) {
            // A table was locked after it had been seen to be free: once more,
            // without it.
            Err(Error::Refused(refusal))
                if refusal.sqlstate == "55P03" && !self.in_transaction() =>
            {
                self.read_only(read)
            }
            other => other,
        }
    }
}

fn read(session: &mut Session) -> Result<Catalog, Error> {
    // Compiling these statements takes longer than executing them. What
    // follows in the same transaction finds the setting as it was.
    let before = session.query(
        "SELECT pg_catalog.current_setting('jit'), pg_catalog.set_config('jit', 'off', true)",
        &[],
    )?;
    let before: String = match before.first() {
        Some(row) => get(row, 0)?,
        None => "on".to_owned(),
    };
    let mut catalog = read_all(session)?;
    session.query(
        "SELECT pg_catalog.set_config('jit', $1, true)",
        &[(&before, Type::TEXT)],
    )?;
    catalog.settings.insert("jit".to_owned(), before);
    Ok(catalog)
}

fn read_all(session: &mut Session) -> Result<Catalog, Error> {
    let locked = session.query(
        "SELECT DISTINCT l.relation FROM pg_catalog.pg_locks AS l \
         WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.granted \
         AND l.pid <> pg_catalog.pg_backend_pid() \
         AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d \
                           WHERE d.datname = pg_catalog.current_database())",
        &[],
    )?;
    let locked = locked
        .iter()
        .map(|row| get(row, 0))
        .collect::<Result<Vec<u32>, _>>()?;
    let mut reader = Reader {
        session,
        locked,
        places: BTreeMap::new(),
        relations: Vec::new(),
        limits: Vec::new(),
    };
    reader.read_relations()?;
    reader.read_columns()?;
    let names = reader.read_indexes()?;
    reader.read_constraints()?;
    reader.read_statistics_objects()?;
    reader.read_statistics(&names)?;
    reader.read_sizes()?;
    let mut catalog = Catalog {
        version_num: reader.session.version_num(),
        version: reader.session.version().to_owned(),
        search_path: reader.search_path()?,
        settings: reader.settings()?,
        functions: reader.functions()?,
        ..Catalog::default()
    };
    (catalog.extensions, catalog.available_extensions) = reader.extensions()?;
    sum_partitions(&mut reader.relations);
    if !reader.locked.is_empty() {
        let held: Vec<String> = reader
            .relations
            .iter()
            .filter(|relation| reader.locked.contains(&relation.oid))
            .map(Relation::qualified)
            .collect();
        if !held.is_empty() {
            reader.limits.push(format!(
                "Another transaction holds {} exclusively, so {} present size and expressions are not known.",
                some_of(&held),
                if held.len() == 1 { "its" } else { "their" }
            ));
        }
    }
    catalog.relations = reader.relations;
    catalog.limits = reader.limits;
    // The search by name depends on this order, whatever the server's
    // collation.
    catalog
        .relations
        .sort_by(|a, b| (&a.schema, &a.name).cmp(&(&b.schema, &b.name)));
    for relation in &mut catalog.relations {
        relation.columns.sort_by_key(|column| column.number);
        relation.indexes.sort_by(|a, b| a.name.cmp(&b.name));
        relation.constraints.sort_by(|a, b| a.name.cmp(&b.name));
        relation.statistics.sort_by(|a, b| a.name.cmp(&b.name));
    }
    Ok(catalog)
}

/// Up to three names of a list.
fn some_of(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(3).map(String::as_str).collect();
    match names.len().saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Gives a partitioned table the pages, and where `ANALYZE` left none the
/// rows, of its partitions.
fn sum_partitions(relations: &mut [Relation]) {
    let places: BTreeMap<(String, String), usize> = relations
        .iter()
        .enumerate()
        .map(|(at, relation)| ((relation.schema.clone(), relation.name.clone()), at))
        .collect();
    // (pages, all-visible pages, rows, whether rows are known of all)
    let mut sums: BTreeMap<usize, (f64, f64, f64, bool)> = BTreeMap::new();
    for relation in relations.iter() {
        if relation.kind == RelationKind::PartitionedTable {
            continue;
        }
        let mut seen = BTreeSet::new();
        let mut parent = relation.parent.as_ref();
        while let Some(at) = parent.and_then(|name| places.get(name)).copied() {
            let Some(above) = relations.get(at) else {
                break;
            };
            if above.kind != RelationKind::PartitionedTable || !seen.insert(at) {
                break;
            }
            let sum = sums.entry(at).or_insert((0.0, 0.0, 0.0, true));
            sum.0 += relation.pages;
            sum.1 += relation.all_visible_pages;
            sum.2 += relation.tuples.unwrap_or(0.0);
            sum.3 &= relation.tuples.is_some();
            parent = above.parent.as_ref();
        }
    }
    for (at, (pages, visible, rows, known)) in sums {
        if let Some(relation) = relations.get_mut(at) {
            relation.pages = pages;
            relation.all_visible_pages = visible;
            if relation.tuples.is_none_or(|rows| rows <= 0.0) && known {
                relation.tuples = Some(rows);
            }
        }
    }
}

impl Reader<'_> {
    /// A query over the relations that are read: `$1` is their `oid`s, `$2`
    /// those of locked ones.
    fn over_relations(&mut self, sql: &str) -> Result<Vec<Row>, Error> {
        let oids: Vec<u32> = self.places.keys().copied().collect();
        self.session.query(
            sql,
            &[(&oids, Type::OID_ARRAY), (&self.locked, Type::OID_ARRAY)],
        )
    }

    /// The relation of that `oid`.
    fn relation(&mut self, oid: u32) -> Option<&mut Relation> {
        let at = self.places.get(&oid)?;
        self.relations.get_mut(*at)
    }

    fn at_least(&self, major: u32) -> bool {
        self.session.version_num() >= major * 10_000
    }
}
