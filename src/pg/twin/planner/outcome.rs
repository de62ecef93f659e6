//! What became of a statement that was supposed: why the server refused it,
//! and which indexes it made and dropped.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::types::Type;

use super::relations::{Known, Relations};
use crate::catalog::ident::quote;
use crate::pg::catalog::get;
use crate::pg::{Error, Session};
use crate::verify::{ChangeOutcome, ChangedTable};

/// What to know of an index on an expression.
pub(in crate::pg) const EXPRESSION: &str = "an index on an expression has no statistics before \
     the next ANALYZE: until then PostgreSQL guesses how many rows the expression keeps, and so \
     do these plans";

/// An index that was dropped.
pub(in crate::pg) struct Dropped {
    table: u32,
    name: String,
}

/// The server's words, with the place in the text that was given. What was
/// sent may be another form of it, which has the same end or the same start.
pub(in crate::pg) fn refused(given: &str, sent: &str, error: &Error) -> ChangeOutcome {
    let Error::Refused(refusal) = error else {
        return ChangeOutcome::Refused {
            message: error.to_string(),
            detail: None,
            hint: None,
            position: None,
        };
    };
    ChangeOutcome::Refused {
        message: refusal.message.clone(),
        detail: refusal.detail.clone(),
        hint: refusal.hint.clone(),
        position: refusal
            .position
            .and_then(|position| offset(given, sent, position)),
    }
}

/// The byte in `given` of a place in `sent`, which counts characters from 1.
fn offset(given: &str, sent: &str, position: u32) -> Option<usize> {
    let characters = usize::try_from(position).ok()?.checked_sub(1)?;
    let at = sent
        .char_indices()
        .map(|(at, _)| at)
        .chain(std::iter::once(sent.len()))
        .nth(characters)?;
    if given.get(..at) == sent.get(..at) {
        return Some(at);
    }
    let rest = sent.get(at..)?;
    let whole = given.trim_end_matches(';').trim_end();
    whole.ends_with(rest).then(|| whole.len() - rest.len())
}

/// Indexes of the twin that are not there any more, though their tables are,
/// beside those known to be gone.
pub(in crate::pg) fn dropped(
    session: &mut Session,
    relations: &Relations,
    gone: &mut BTreeSet<u32>,
) -> Result<Vec<Dropped>, Error> {
    let indexes: Vec<u32> = relations
        .by_oid
        .values()
        .filter(|known| known.is_index() && !gone.contains(&known.oid))
        .map(|known| known.oid)
        .collect();
    let rows = session.query(
        "SELECT o.oid, t.oid FROM pg_catalog.unnest($1) WITH ORDINALITY AS o (oid, at) \
         JOIN pg_catalog.unnest($2) WITH ORDINALITY AS t (oid, at) USING (at) \
         WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.oid = o.oid) \
           AND EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.oid = t.oid)",
        &[
            (&indexes, Type::OID_ARRAY),
            (
                &indexes
                    .iter()
                    .filter_map(|oid| relations.by_oid.get(oid)?.table)
                    .collect::<Vec<u32>>(),
                Type::OID_ARRAY,
            ),
        ],
    )?;
    let mut dropped = Vec::new();
    for row in rows {
        let (oid, table): (u32, u32) = (get(&row, 0)?, get(&row, 1)?);
        gone.insert(oid);
        if let Some(known) = relations.by_oid.get(&oid) {
            dropped.push(Dropped {
                table,
                name: known.name.clone(),
            });
        }
    }
    Ok(dropped)
}

/// The settings that a session may change, as they are now.
pub(in crate::pg) fn settings(session: &mut Session) -> Result<BTreeMap<String, String>, Error> {
    session
        .query(
            "SELECT s.name, pg_catalog.current_setting(s.name) FROM pg_catalog.pg_settings AS s \
             WHERE s.context IN ('user', 'superuser')",
            &[],
        )?
        .iter()
        .map(|row| Ok((get(row, 0)?, get(row, 1)?)))
        .collect()
}

/// Brings a setting back to what it was, or all that are others now.
pub(in crate::pg) fn reset(
    session: &mut Session,
    before: &BTreeMap<String, String>,
    name: Option<&str>,
) -> Result<(), Error> {
    if let Some(name) = name
        && !before.contains_key(name)
    {
        // The server knows whether there is such a setting.
        return session
            .query(&format!("RESET {}", quote(name)), &[])
            .map(drop);
    }
    let now = settings(session)?;
    for (known, value) in before {
        if name.is_none_or(|name| name == known) && now.get(known) != Some(value) {
            session.query(
                "SELECT pg_catalog.set_config($1, $2, false)",
                &[(known, Type::TEXT), (value, Type::TEXT)],
            )?;
        }
    }
    Ok(())
}

/// Whether one of these indexes is on an expression.
pub(in crate::pg) fn has_expression(
    session: &mut Session,
    indexes: &[&Known],
) -> Result<bool, Error> {
    if indexes.is_empty() {
        return Ok(false);
    }
    let oids: Vec<u32> = indexes.iter().map(|index| index.oid).collect();
    let rows = session.query(
        "SELECT FROM pg_catalog.pg_index AS i \
         WHERE i.indexrelid = ANY ($1) AND i.indexprs IS NOT NULL LIMIT 1",
        &[(&oids, Type::OID_ARRAY)],
    )?;
    Ok(!rows.is_empty())
}

/// The tables whose indexes a change made or dropped. One that was made again
/// is neither.
pub(in crate::pg) fn tables(
    session: &mut Session,
    relations: &Relations,
    now: &BTreeMap<u32, &Known>,
    made: &[&Known],
    dropped: Vec<Dropped>,
) -> Result<Vec<ChangedTable>, Error> {
    if made.is_empty() && dropped.is_empty() {
        return Ok(Vec::new());
    }
    let mut tables: BTreeMap<u32, ChangedTable> = BTreeMap::new();
    for index in made {
        let Some(table) = index.table else { continue };
        tables
            .entry(table)
            .or_default()
            .made
            .push(index.name.clone());
    }
    for index in dropped {
        let table = tables.entry(index.table).or_default();
        let before = table.made.len();
        table.made.retain(|name| *name != index.name);
        if table.made.len() == before {
            table.dropped.push(index.name);
        }
    }
    let indexes: Vec<u32> = made.iter().map(|index| index.oid).collect();
    // What a key, an expression or a predicate reads is what it depends on.
    let rows = session.query(
        "SELECT a.attrelid, a.attname::text, c.relname::text \
         FROM pg_catalog.pg_depend AS d \
         JOIN pg_catalog.pg_class AS c ON c.oid = d.objid \
         JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid \
         WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = ANY ($1) \
           AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjsubid > 0 \
         ORDER BY 1, a.attnum",
        &[(&indexes, Type::OID_ARRAY)],
    )?;
    for row in rows {
        let (table, column, index): (u32, String, String) =
            (get(&row, 0)?, get(&row, 1)?, get(&row, 2)?);
        if let Some(table) = tables.get_mut(&table)
            && table.made.contains(&index)
            && !table.columns.contains(&column)
        {
            table.columns.push(column);
        }
    }
    Ok(tables
        .into_iter()
        .filter_map(|(oid, mut table)| {
            let known = now
                .get(&oid)
                .copied()
                .or_else(|| relations.by_oid.get(&oid))?;
            table.schema.clone_from(&known.schema);
            table.name.clone_from(&known.name);
            (!table.made.is_empty() || !table.dropped.is_empty()).then_some(table)
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_again_in_what_was_given() {
        let given = "CREATE INDEX CONCURRENTLY ON é (nope);";
        let sent = "CREATE INDEX ON é (nope)";
        let at = |sent: &str, word: &str| {
            u32::try_from(sent.split(word).next().unwrap().chars().count() + 1).unwrap()
        };
        let found = offset(given, sent, at(sent, "nope")).unwrap();
        assert_eq!(given.find("nope"), Some(found));
        assert_eq!(offset("SELECT é x", "SELECT é x", 10), Some(10));
        let given = "ALTER SYSTEM SET wrk_mem = 1";
        assert_eq!(offset(given, "SET wrk_mem = 1", 5), given.find("wrk_mem"));
    }
}
