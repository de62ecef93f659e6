//! Taking a snapshot of a live server: one read-only transaction, a fixed
//! number of queries for the schema and its statistics, and nothing that would
//! wait for a lock.
//!
//! What the role may not read is said in [`Snapshot::limits`]; the rest goes
//! on without it.

mod attached;
pub mod choice;
mod database;
mod ends;
mod indexes;
mod meta;
mod objects;
mod operators;
mod relations;
mod statistics;

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use self::choice::Choice;
use self::indexes::BtreeFacts;
use super::catalog::get;
use super::error::Error;
use super::session::Session;
use crate::snapshot::{FORMAT, Index, Relation, Snapshot};

/// How often the whole is read anew when tables change while it is read.
const ATTEMPTS: usize = 3;

/// What a snapshot is to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotOptions {
    /// Read the smallest and the largest value of each index, which the
    /// planner looks up in the index itself. They are values of the database.
    pub index_ends: bool,
    /// Say when the snapshot was taken, and when statistics were collected.
    pub keep_time: bool,
}

impl Default for SnapshotOptions {
    fn default() -> Self {
        Self {
            index_ends: true,
            keep_time: true,
        }
    }
}

/// How far along it is: what is being read, how many of how many.
type Progress<'a> = &'a mut dyn FnMut(&str, usize, usize);

/// Steps of [`Reader::read`], for progress.
const STEPS: usize = 7;

impl Session {
    /// Takes a snapshot of the database in one read-only transaction.
    /// `progress` is told what is being read, and how far along it is.
    pub fn snapshot(
        &mut self,
        options: &SnapshotOptions,
        progress: Progress<'_>,
    ) -> Result<Snapshot, Error> {
        self.snapshot_of(options, &Choice::default(), progress)
    }

    /// The same of some tables alone.
    pub fn snapshot_of(
        &mut self,
        options: &SnapshotOptions,
        choice: &Choice,
        progress: Progress<'_>,
    ) -> Result<Snapshot, Error> {
        let mut attempt = 1;
        loop {
            let result =
                self.read_only(|session| Reader::new(session, options, choice, progress).read());
            match result {
                // A table was locked or dropped after it had been seen: once
                // more, without it.
                Err(Error::Refused(refusal))
                    if attempt < ATTEMPTS
                        && !self.in_transaction()
                        && matches!(refusal.sqlstate.as_str(), "55P03" | "XX000" | "42P01") =>
                {
                    attempt += 1;
                }
                other => return other,
            }
        }
    }
}

/// What the parts share.
struct Reader<'a> {
    session: &'a mut Session,
    options: &'a SnapshotOptions,
    choice: &'a Choice,
    progress: Progress<'a>,
    /// Relations that someone holds or wants exclusively: nothing that would
    /// wait for them is asked.
    locked: Vec<u32>,
    snapshot: Snapshot,
    /// The relations, by `oid`: their place in the snapshot until it is sorted.
    places: BTreeMap<u32, usize>,
    /// The same for indexes: the table's place and theirs.
    index_places: BTreeMap<u32, (usize, usize)>,
    /// What the snapshot itself has no room for.
    tables: BTreeMap<u32, TableFacts>,
    /// The same for B-tree indexes that can be asked.
    btrees: BTreeMap<u32, BtreeFacts>,
}

/// What is known of a relation while it is read.
#[derive(Debug, Clone, Copy, Default)]
struct TableFacts {
    /// The role may select from it, and sees all rows.
    selectable: bool,
    /// Someone holds or wants it exclusively.
    locked: bool,
}

impl<'a> Reader<'a> {
    fn new(
        session: &'a mut Session,
        options: &'a SnapshotOptions,
        choice: &'a Choice,
        progress: Progress<'a>,
    ) -> Self {
        Self {
            session,
            options,
            choice,
            progress,
            locked: Vec::new(),
            snapshot: Snapshot {
                format: FORMAT,
                ..Snapshot::default()
            },
            places: BTreeMap::new(),
            index_places: BTreeMap::new(),
            tables: BTreeMap::new(),
            btrees: BTreeMap::new(),
        }
    }

    fn read(mut self) -> Result<Snapshot, Error> {
        self.step("settings", 0);
        self.read_database()?;
        self.make_names_full()?;
        self.read_locks()?;
        self.read_objects()?;
        self.step("tables", 1);
        self.read_relations()?;
        self.read_columns()?;
        self.read_constraints()?;
        self.read_policies()?;
        self.read_triggers_and_rules()?;
        self.step("indexes", 2);
        self.read_indexes()?;
        self.step("sizes", 3);
        self.read_sizes()?;
        self.step("statistics", 4);
        self.read_statistics()?;
        self.read_extended_statistics()?;
        self.step("index pages", 5);
        self.read_index_meta()?;
        if self.options.index_ends {
            self.step("ends of indexes", 6);
            self.read_index_ends()?;
        }
        self.step("done", STEPS);
        Ok(self.finish())
    }

    fn step(&mut self, what: &str, at: usize) {
        (self.progress)(what, at, STEPS);
    }

    /// From here on everything is printed with its schema, and values in a
    /// form that reads the same under any settings.
    fn make_names_full(&mut self) -> Result<(), Error> {
        self.session.query(
            "SELECT pg_catalog.set_config(s.name, s.value, true) FROM (VALUES \
               ('search_path', ''), ('quote_all_identifiers', 'off'), ('DateStyle', 'ISO, YMD'), \
               ('IntervalStyle', 'postgres'), ('TimeZone', 'UTC'), ('bytea_output', 'hex'), \
               ('extra_float_digits', '1'), ('jit', 'off')) AS s (name, value)",
            &[],
        )?;
        // Looking up ends of indexes is not a use of them. Only superusers
        // may keep it from being counted.
        self.session.query(
            "SELECT pg_catalog.set_config('track_counts', 'off', true) \
             WHERE pg_catalog.current_setting('is_superuser') = 'on'",
            &[],
        )?;
        Ok(())
    }

    fn read_locks(&mut self) -> Result<(), Error> {
        // One that waits counts too: whoever comes after it waits behind it.
        let rows = self.session.query(
            "SELECT DISTINCT l.relation FROM pg_catalog.pg_locks AS l \
             WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' \
             AND l.pid <> pg_catalog.pg_backend_pid() \
             AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d \
                               WHERE d.datname = pg_catalog.current_database())",
            &[],
        )?;
        self.locked = rows
            .iter()
            .map(|row| get(row, 0))
            .collect::<Result<_, _>>()?;
        Ok(())
    }

    /// A query over the relations that are read: `$1` is their `oid`s, `$2`
    /// those of locked ones.
    fn over_relations(&mut self, sql: &str) -> Result<Vec<Row>, Error> {
        let oids: Vec<u32> = self.places.keys().copied().collect();
        self.session.query(
            sql,
            &[(&oids, Type::OID_ARRAY), (&self.locked, Type::OID_ARRAY)],
        )
    }

    fn relation(&mut self, oid: u32) -> Option<&mut Relation> {
        let at = self.places.get(&oid)?;
        self.snapshot.relations.get_mut(*at)
    }

    fn index(&mut self, oid: u32) -> Option<&mut Index> {
        let (table, at) = self.index_places.get(&oid)?;
        self.snapshot
            .relations
            .get_mut(*table)?
            .indexes
            .get_mut(*at)
    }

    fn at_least(&self, major: u32) -> bool {
        self.session.version_num() >= major * 10_000
    }

    fn limit(&mut self, sentence: String) {
        self.snapshot.limits.push(sentence);
    }

    /// Puts everything into the order in which it is kept.
    fn finish(mut self) -> Snapshot {
        let held: BTreeSet<String> = self
            .tables
            .iter()
            .filter(|(_, facts)| facts.locked)
            .filter_map(|(oid, _)| self.places.get(oid))
            .filter_map(|at| self.snapshot.relations.get(*at))
            .map(qualified)
            .collect();
        if !held.is_empty() {
            let held: Vec<String> = held.into_iter().collect();
            let their = if held.len() == 1 { "its" } else { "their" };
            self.limit(format!(
                "Another transaction holds {} exclusively, so {their} present size, defaults and \
                 indexes could not be read.",
                some_of(&held)
            ));
        }
        let mut snapshot = self.snapshot;
        snapshot
            .relations
            .sort_by(|a, b| (&a.schema, &a.name).cmp(&(&b.schema, &b.name)));
        for relation in &mut snapshot.relations {
            relation.indexes.sort_by(|a, b| a.name.cmp(&b.name));
            relation.constraints.sort_by(|a, b| a.name.cmp(&b.name));
            relation
                .extended_statistics
                .sort_by(|a, b| (&a.schema, &a.name).cmp(&(&b.schema, &b.name)));
            relation.policies.sort_by(|a, b| a.name.cmp(&b.name));
            relation.triggers.sort_by(|a, b| a.name.cmp(&b.name));
            relation.rules.sort_by(|a, b| a.name.cmp(&b.name));
        }
        snapshot
    }
}

/// `schema.name`, for sentences.
fn qualified(relation: &Relation) -> String {
    format!("{}.{}", relation.schema, relation.name)
}

/// Up to three names of a list.
fn some_of(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(3).map(String::as_str).collect();
    match names.len().saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
