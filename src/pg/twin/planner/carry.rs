//! What a change of a table's columns leaves of its size and statistics.
//!
//! `ALTER COLUMN … TYPE` drops the column's statistics; after the next ANALYZE
//! they would be much the same, so they are carried over where the values are
//! of the same category. Names keep theirs by themselves.

use std::collections::BTreeMap;

use tokio_postgres::types::Type;

use super::relations::Known;
use super::suppose::{SupposeError, Twin};
use crate::catalog::ident::literal;
use crate::pg::catalog::get;
use crate::pg::twin::PRIVILEGED_SCHEMA;
use crate::pg::{Error, Session};
use crate::snapshot::{Column, Relation, Slot, Statistics};

/// Bytes of a row besides its columns: its header and its pointer.
const ROW: f64 = 28.0;
/// Width assumed for a column of variable length (`get_typavgwidth`).
const UNKNOWN_WIDTH: f64 = 32.0;

/// Kinds of slots whose operator is `=`.
const MOST_COMMON: i16 = 1;
/// Kinds of slots whose operator is `<`: histogram and correlation.
const ORDERED: &[i16] = &[2, 3];

/// A column as it is in the transaction.
struct Now {
    table: u32,
    number: i16,
    type_name: String,
    length: i16,
    category: String,
    element: String,
    collation: u32,
    equal: u32,
    less: u32,
    has_statistics: bool,
}

/// By what factor a table grew that was written anew.
pub(super) fn growth(
    twin: &mut Twin<'_>,
    before: &Known,
    now: &Known,
) -> Result<f64, SupposeError> {
    let Some(relation) = twin.snapshot.relation(&before.schema, &before.name) else {
        return Ok(1.0);
    };
    let columns = columns(twin.cluster.session()?, &[now.oid])?;
    let mut old: BTreeMap<i16, f64> = BTreeMap::new();
    let (mut was, mut is) = (ROW, ROW);
    for (at, column) in numbered(relation) {
        let width = width(column);
        old.insert(at, width);
        was += width;
    }
    for column in &columns {
        let same = numbered(relation)
            .find(|(at, _)| *at == column.number)
            .filter(|(_, old)| same_type(&old.type_name, &column.type_name));
        is += match (same, column.length) {
            (Some(_), _) => old.get(&column.number).copied().unwrap_or(UNKNOWN_WIDTH),
            (None, 1..) => f64::from(column.length),
            (None, _) => old.get(&column.number).copied().unwrap_or(UNKNOWN_WIDTH),
        };
    }
    Ok(is / was)
}

/// Columns that are there, with their numbers.
fn numbered(relation: &Relation) -> impl Iterator<Item = (i16, &Column)> {
    relation
        .columns
        .iter()
        .enumerate()
        .filter(|(_, column)| !column.dropped)
        .filter_map(|(at, column)| Some((i16::try_from(at + 1).ok()?, column)))
}

fn width(column: &Column) -> f64 {
    column
        .statistics
        .iter()
        .find(|statistics| !statistics.inherited)
        .map_or(UNKNOWN_WIDTH, |statistics| {
            f64::from(statistics.width) * (1.0 - f64::from(statistics.null_fraction))
        })
}

/// Whether two spellings name one type: one may have its schema and the other
/// not.
fn same_type(one: &str, other: &str) -> bool {
    let bare = |name: &str| name.trim_start_matches("pg_catalog.").to_owned();
    bare(one) == bare(other)
}

/// Brings back the statistics that were dropped with a column's type.
pub(super) fn statistics(twin: &mut Twin<'_>, now: &[Known]) -> Result<(), SupposeError> {
    let mut tables = Vec::new();
    let mut of: BTreeMap<u32, &Relation> = BTreeMap::new();
    for known in now {
        let before = twin.relations.by_oid.get(&known.oid);
        if let Some(before) = before.filter(|before| before.table.is_none())
            && let Some(relation) = twin.snapshot.relation(&before.schema, &before.name)
        {
            tables.push(known.oid);
            of.insert(known.oid, relation);
        }
    }
    if tables.is_empty() {
        return Ok(());
    }
    let session = twin.cluster.session()?;
    for column in columns(session, &tables)? {
        let Some((_, old)) = of
            .get(&column.table)
            .and_then(|relation| numbered(relation).find(|(at, _)| *at == column.number))
        else {
            continue;
        };
        if column.has_statistics || old.statistics.is_empty() {
            continue;
        }
        if category(session, &old.type_name)?.as_deref() != Some(column.category.as_str()) {
            continue;
        }
        for statistics in &old.statistics {
            carry(session, &column, statistics)?;
        }
    }
    Ok(())
}

/// The columns of tables that were made or changed in this transaction, or all
/// where the tables were.
fn columns(session: &mut Session, tables: &[u32]) -> Result<Vec<Now>, Error> {
    session
        .query(
            "SELECT a.attrelid, a.attnum, pg_catalog.format_type(a.atttypid, a.atttypmod), \
               a.attlen, y.typcategory::text, pg_catalog.format_type(a.atttypid, NULL), \
               a.attcollation, coalesce(o.equal, 0::oid), coalesce(o.less, 0::oid), \
               EXISTS (SELECT FROM pg_catalog.pg_stats AS s WHERE s.schemaname = n.nspname \
                 AND s.tablename = c.relname AND s.attname = a.attname) \
             FROM pg_catalog.pg_attribute AS a \
             JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid \
             JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
             JOIN pg_catalog.pg_type AS y ON y.oid = a.atttypid \
             LEFT JOIN LATERAL ( \
               SELECT max(p.amopopr::int8) FILTER (WHERE p.amopstrategy = 3)::oid AS equal, \
                 max(p.amopopr::int8) FILTER (WHERE p.amopstrategy = 1)::oid AS less \
               FROM pg_catalog.pg_opclass AS x \
               JOIN pg_catalog.pg_amop AS p ON p.amopfamily = x.opcfamily \
                 AND p.amoplefttype = x.opcintype AND p.amoprighttype = x.opcintype \
               WHERE x.opcmethod = 403 AND x.opcdefault AND x.opcintype = \
                 CASE WHEN a.atttypid = 1043 THEN 25 \
                      WHEN y.typtype = 'd' THEN y.typbasetype ELSE a.atttypid END) AS o ON true \
             WHERE a.attrelid = ANY ($1) AND a.attnum > 0 AND NOT a.attisdropped \
             ORDER BY 1, 2",
            &[(&tables, Type::OID_ARRAY)],
        )?
        .iter()
        .map(|row| {
            Ok(Now {
                table: get(row, 0)?,
                number: get(row, 1)?,
                type_name: get(row, 2)?,
                length: get(row, 3)?,
                category: get(row, 4)?,
                element: get(row, 5)?,
                collation: get(row, 6)?,
                equal: get(row, 7)?,
                less: get(row, 8)?,
                has_statistics: get(row, 9)?,
            })
        })
        .collect()
}

/// `typcategory` of a type by its name.
fn category(session: &mut Session, type_name: &str) -> Result<Option<String>, Error> {
    let rows = session.query(
        "SELECT y.typcategory::text FROM pg_catalog.pg_type AS y \
         WHERE y.oid = pg_catalog.to_regtype($1)",
        &[(&bare(type_name), Type::TEXT)],
    )?;
    rows.first().map(|row| get(row, 0)).transpose()
}

/// A type's name without its modifier.
fn bare(type_name: &str) -> String {
    match (type_name.find('('), type_name.find(')')) {
        (Some(open), Some(close)) if open < close => format!(
            "{}{}",
            type_name.get(..open).unwrap_or("").trim_end(),
            type_name.get(close + 1..).unwrap_or("")
        ),
        _ => type_name.to_owned(),
    }
}

/// Writes one row of statistics for the column's new type.
fn carry(session: &mut Session, column: &Now, old: &Statistics) -> Result<(), Error> {
    let slots: Vec<&Slot> = old
        .slots
        .iter()
        .filter(|slot| slot.kind == MOST_COMMON || ORDERED.contains(&slot.kind))
        .collect();
    let list = |items: Vec<String>| format!("'{{{}}}'", items.join(","));
    let kinds = list(slots.iter().map(|slot| slot.kind.to_string()).collect());
    let operators = list(
        slots
            .iter()
            .map(|slot| {
                if slot.kind == MOST_COMMON {
                    column.equal
                } else {
                    column.less
                }
            })
            .map(|oid| oid.to_string())
            .collect(),
    );
    let collations = list(slots.iter().map(|_| column.collation.to_string()).collect());
    let numbers: Vec<String> = slots
        .iter()
        .map(|slot| match &slot.numbers {
            Some(numbers) => {
                let numbers: Vec<String> = numbers.iter().map(f32::to_string).collect();
                literal(&format!("{{{}}}", numbers.join(",")))
            }
            None => "NULL".to_owned(),
        })
        .collect();
    let width = if column.length > 0 {
        i32::from(column.length)
    } else {
        old.width
    };
    let mut script = vec![format!(
        "SELECT {PRIVILEGED_SCHEMA}.set_statistics({}::oid, {}::int2, {}, '{}'::float4, {width}, \
         '{}'::float4, {kinds}::int2[], {operators}::oid[], {collations}::oid[], \
         ARRAY[{}]::text[])",
        column.table,
        column.number,
        old.inherited,
        old.null_fraction,
        old.distinct,
        numbers.join(", ")
    )];
    for (at, slot) in slots.iter().enumerate() {
        if let Some(values) = &slot.values {
            script.push(format!(
                "SELECT {PRIVILEGED_SCHEMA}.set_values({}::oid, {}::int2, {}, {}::int2, \
                 {}::{}[]::{}[])",
                column.table,
                column.number,
                old.inherited,
                at + 1,
                literal(&values.array),
                values.element,
                column.element
            ));
        }
    }
    session.execute_script("SAVEPOINT pgadvise_carried")?;
    let done = session.execute_script(&script.join("; "));
    let end = match done {
        Ok(()) => "RELEASE SAVEPOINT pgadvise_carried",
        Err(error @ (Error::Lost { .. } | Error::TimedOut { .. })) => return Err(error),
        // Values that the new type does not take: none, then, as before the
        // next ANALYZE.
        Err(_) => "ROLLBACK TO SAVEPOINT pgadvise_carried; RELEASE SAVEPOINT pgadvise_carried",
    };
    session.execute_script(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_known_with_and_without_its_schema_and_modifier() {
        assert_eq!(bare("numeric(10,2)"), "numeric");
        assert_eq!(
            bare("timestamp(3) without time zone"),
            "timestamp without time zone"
        );
        assert!(same_type("pg_catalog.int4", "int4"));
    }
}
