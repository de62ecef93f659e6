//! Making a change that a user thinks of in a throw-away cluster with rows: in
//! the transaction that is open, so that it can be taken back.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::types::Type;

use super::catalog::get;
use super::twin::planner::changes::{Step, step_with_rows};
use super::twin::planner::outcome;
use super::twin::planner::relations::{COLUMNS, FROM, Known, Relations, known};
use super::{Error, Session};
use crate::verify::{ChangeOutcome, SupposedChange, SupposedIndex, Supposition};

/// Where the sizes of the indexes come from.
const HOW: &str = "built in the embedded cluster";

/// The statements among suppositions that a user gave.
pub(super) fn of(suppositions: &[Supposition]) -> Vec<&str> {
    suppositions
        .iter()
        .filter_map(|supposition| match supposition {
            Supposition::Sql(sql) => Some(sql.as_str()),
            Supposition::Index(_) | Supposition::Statistics { .. } => None,
        })
        .collect()
}

/// A script that puts the sizes of all relations back, which CREATE INDEX and
/// ANALYZE write in place.
pub(super) fn saved_sizes(session: &mut Session) -> Result<String, Error> {
    let rows: Vec<String> = Relations::read(session)?
        .by_oid
        .values()
        .map(Known::sizes)
        .collect();
    if rows.is_empty() {
        return Ok("SELECT".to_owned());
    }
    Ok(format!(
        "UPDATE pg_catalog.pg_class AS c \
         SET relpages = v.pages, reltuples = v.tuples, relallvisible = v.visible \
         FROM (VALUES {}) AS v (rel, pages, tuples, visible) \
         WHERE c.oid = v.rel AND (c.relpages, c.reltuples, c.relallvisible) \
           IS DISTINCT FROM (v.pages, v.tuples, v.visible)",
        rows.join(", ")
    ))
}

/// Makes the changes one by one in the open transaction. One that the server
/// refuses is left out, and the others go on.
pub(super) fn make(session: &mut Session, change: &[&str]) -> Result<Vec<SupposedChange>, Error> {
    if change.is_empty() {
        return Ok(Vec::new());
    }
    let before = Relations::read(session)?;
    let settings = outcome::settings(session)?;
    let mut gone = BTreeSet::new();
    let mut seen: BTreeSet<u32> = before.by_oid.keys().copied().collect();
    let mut changes = Vec::new();
    let mut made = Vec::new();
    for given in change {
        let given = given.trim();
        let ended = match step_with_rows(given) {
            Step::LeftOut { why } => ChangeOutcome::LeftOut {
                why: why.to_owned(),
            },
            Step::Reset { name } => attempt(session, given, given, |session| {
                outcome::reset(session, &settings, name.as_deref())
            })?,
            // One statement a message, so that none can slip a COMMIT in.
            Step::Run { sql, .. } => attempt(session, given, &sql, |session| {
                session.query(&sql, &[]).map(drop)
            })?,
        };
        let (mut new, mut dropped) = (Vec::new(), Vec::new());
        if ended == ChangeOutcome::Applied {
            dropped = outcome::dropped(session, &before, &mut gone)?;
            new = new_indexes(session, &mut seen)?;
        }
        made.push((new, dropped));
        changes.push(SupposedChange {
            sql: given.to_owned(),
            outcome: ended,
            indexes: Vec::new(),
            tables: Vec::new(),
            notes: Vec::new(),
        });
    }
    let now = Relations::read(session)?;
    let by_oid: BTreeMap<u32, &Known> = now
        .by_oid
        .iter()
        .map(|(oid, known)| (*oid, known))
        .collect();
    for (change, (new, dropped)) in changes.iter_mut().zip(made) {
        let there: Vec<&Known> = new
            .iter()
            .filter_map(|oid| by_oid.get(oid).copied())
            .collect();
        if outcome::has_expression(session, &there)? {
            change.notes.push(outcome::EXPRESSION.to_owned());
        }
        change.tables = outcome::tables(session, &before, &by_oid, &there, dropped)?;
        for index in there {
            // One that was made again is none that was made.
            let is_new = change
                .tables
                .iter()
                .any(|table| table.made.contains(&index.name));
            if is_new {
                change.indexes.push(SupposedIndex {
                    name: index.name.clone(),
                    parts: Vec::new(),
                    bytes: size(session, index.oid)?,
                    how: HOW,
                    refused: None,
                });
            }
        }
    }
    Ok(changes)
}

/// Does a part of the work that the server may refuse without harm to the rest.
fn attempt(
    session: &mut Session,
    given: &str,
    sent: &str,
    work: impl FnOnce(&mut Session) -> Result<(), Error>,
) -> Result<ChangeOutcome, Error> {
    session.execute_script("SAVEPOINT pgadvise_change")?;
    match work(session) {
        Ok(()) => {
            session.execute_script("RELEASE SAVEPOINT pgadvise_change")?;
            Ok(ChangeOutcome::Applied)
        }
        Err(error @ (Error::Lost { .. } | Error::TimedOut { .. })) => Err(error),
        Err(error) => {
            session.execute_script(
                "ROLLBACK TO SAVEPOINT pgadvise_change; RELEASE SAVEPOINT pgadvise_change",
            )?;
            Ok(outcome::refused(given, sent, &error))
        }
    }
}

/// Indexes that were not seen yet.
fn new_indexes(session: &mut Session, seen: &mut BTreeSet<u32>) -> Result<Vec<u32>, Error> {
    let mut new = Vec::new();
    for row in session.query(
        &format!("SELECT {COLUMNS} {FROM} AND c.relkind = 'i' ORDER BY c.oid"),
        &[],
    )? {
        let known = known(&row)?;
        if seen.insert(known.oid) {
            new.push(known.oid);
        }
    }
    Ok(new)
}

fn size(session: &mut Session, oid: u32) -> Result<Option<f64>, Error> {
    session
        .query(
            "SELECT pg_catalog.pg_relation_size($1)::float8",
            &[(&oid, Type::OID)],
        )?
        .first()
        .map(|row| get(row, 0))
        .transpose()
}
