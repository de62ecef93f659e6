//! What is to be gathered: the columns and statistics objects that the changes
//! touched in the twin, and what of the table is needed for them.

use std::collections::BTreeSet;

use tokio_postgres::types::Type;

use super::SampleError;
use crate::catalog::ident::quote;
use crate::pg::catalog::get;
use crate::pg::error::Error;
use crate::pg::session::Session;
use crate::verify::{PlanError, Planned};

/// What is to be gathered of a table.
#[derive(Debug)]
pub(super) struct Wanted {
    /// The table in the twin.
    pub oid: u32,
    pub schema: String,
    pub name: String,
    /// `pg_class.relkind`.
    pub kind: String,
    /// The columns that the sample must have, by number.
    pub columns: Vec<Column>,
    /// The statistics objects.
    pub objects: Vec<Object>,
    /// The table is analysed as it is, with nothing changed before.
    pub is_refresh: bool,
}

/// A column of the sample.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that have nothing to do with each other"
)]
pub(super) struct Column {
    pub number: i16,
    pub name: String,
    /// As the twin prints it, with its modifier.
    pub type_name: String,
    /// The element type's array, for values.
    pub bare_type: String,
    /// With its schema, quoted.
    pub collation: Option<String>,
    /// Its own statistics target.
    pub target: Option<i32>,
    /// `n_distinct` among its options overrides what is found.
    pub fixed_distinct: bool,
    /// It is of varying length.
    pub varies: bool,
    /// Texts may be cut: they are too wide to be looked at anyway.
    pub is_text: bool,
    /// Values have an order, and may stand in an array.
    pub is_scalar: bool,
    /// Its own statistics are gathered.
    pub gathered: bool,
}

/// A statistics object whose data is gathered.
#[derive(Debug)]
pub(super) struct Object {
    pub oid: u32,
    /// `stxkind`: d, f, m, e.
    pub kinds: String,
    pub columns: Vec<i16>,
    pub expressions: Vec<String>,
    /// `stxstattarget`.
    pub target: Option<i32>,
}

impl Wanted {
    pub(super) fn column(&self, number: i16) -> Option<&Column> {
        self.columns.iter().find(|column| column.number == number)
    }

    /// The target of an object: its own, else the highest of its columns.
    pub(super) fn target_of(&self, object: &Object, default: i32) -> i32 {
        object.target.unwrap_or_else(|| {
            object
                .columns
                .iter()
                .filter_map(|number| self.column(*number)?.target)
                .max()
                .unwrap_or(default)
        })
    }

    /// The highest target of all: what decides how many rows are read.
    pub(super) fn highest_target(&self, default: i32) -> i32 {
        self.objects
            .iter()
            .map(|object| self.target_of(object, default))
            .chain(
                self.columns
                    .iter()
                    .filter(|column| column.gathered)
                    .map(|column| column.target.unwrap_or(default)),
            )
            .max()
            .unwrap_or(default)
    }
}

/// Reads it from the twin, within the transaction of the changes.
pub(super) fn read(
    twin: &mut Session,
    relation: &(String, String),
    statements: &[Planned<'_>],
) -> Result<Wanted, SampleError> {
    let (schema, name) = relation;
    let name = if schema.is_empty() {
        quote(name)
    } else {
        format!("{}.{}", quote(schema), quote(name))
    };
    let rows = twin.query(
        "SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text \
         FROM pg_catalog.pg_class AS c \
         JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
         WHERE c.oid = pg_catalog.to_regclass($1)",
        &[(&name, Type::TEXT)],
    )?;
    let Some(row) = rows.first() else {
        return Err(PlanError::Unsupported {
            what: format!("{name} is not in the twin"),
        }
        .into());
    };
    let mut wanted = Wanted {
        oid: get(row, 0)?,
        schema: get(row, 1)?,
        name: get(row, 2)?,
        kind: get(row, 3)?,
        columns: Vec::new(),
        objects: Vec::new(),
        is_refresh: false,
    };
    let objects = read_objects(twin, wanted.oid)?;
    let all = read_columns(twin, wanted.oid)?;
    let changed: BTreeSet<i16> = all
        .iter()
        .filter(|(_, changed)| *changed)
        .map(|(column, _)| column.number)
        .collect();
    wanted.is_refresh = changed.is_empty() && objects.iter().all(|(_, changed)| !changed);
    let named = |column: &Column| {
        statements
            .iter()
            .any(|statement| names(statement.sql, &column.name))
    };
    let is_refresh = wanted.is_refresh;
    wanted.objects = objects
        .into_iter()
        .filter(|(_, changed)| *changed || is_refresh)
        .map(|(object, _)| object)
        .collect();
    let needed = needed_columns(twin, &wanted.objects)?;
    for (mut column, changed) in all {
        column.gathered = if is_refresh { named(&column) } else { changed };
        if column.gathered || needed.contains(&column.number) {
            wanted.columns.push(column);
        }
    }
    if wanted.columns.is_empty() {
        return Err(PlanError::Unsupported {
            what: format!("the statement names no column of {name}"),
        }
        .into());
    }
    Ok(wanted)
}

/// Whether a statement names the column, as far as its words say.
fn names(sql: &str, column: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    sql.split(|c: char| !is_word(c))
        .any(|word| word.eq_ignore_ascii_case(column))
        || (!column.chars().all(is_word) && sql.contains(column))
}

fn read_objects(twin: &mut Session, table: u32) -> Result<Vec<(Object, bool)>, Error> {
    let expressions = if twin.version_num() >= 140_000 {
        "coalesce(pg_catalog.pg_get_statisticsobjdef_expressions(s.oid), '{}')"
    } else {
        "'{}'::text[]"
    };
    twin.query(
        &format!(
            "SELECT s.oid, pg_catalog.array_to_string(s.stxkind, ''), s.stxkeys::int2[], \
             {expressions}, nullif(s.stxstattarget, -1)::int4, \
             s.xmin = pg_catalog.pg_current_xact_id()::xid \
             FROM pg_catalog.pg_statistic_ext AS s WHERE s.stxrelid = $1 ORDER BY s.oid"
        ),
        &[(&table, Type::OID)],
    )?
    .iter()
    .map(|row| {
        Ok((
            Object {
                oid: get(row, 0)?,
                kinds: get(row, 1)?,
                columns: get(row, 2)?,
                expressions: get(row, 3)?,
                target: get(row, 4)?,
            },
            get(row, 5)?,
        ))
    })
    .collect()
}

/// The columns that objects and their expressions are of.
fn needed_columns(twin: &mut Session, objects: &[Object]) -> Result<BTreeSet<i16>, Error> {
    let oids: Vec<u32> = objects.iter().map(|object| object.oid).collect();
    let rows = twin.query(
        "SELECT DISTINCT d.refobjsubid::int2 FROM pg_catalog.pg_depend AS d \
         WHERE d.classid = 'pg_catalog.pg_statistic_ext'::regclass AND d.objid = ANY ($1) \
         AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjsubid > 0",
        &[(&oids, Type::OID_ARRAY)],
    )?;
    let mut needed: BTreeSet<i16> = rows
        .iter()
        .map(|row| get(row, 0))
        .collect::<Result<_, _>>()?;
    needed.extend(objects.iter().flat_map(|object| &object.columns));
    Ok(needed)
}

fn read_columns(twin: &mut Session, table: u32) -> Result<Vec<(Column, bool)>, Error> {
    twin.query(
        "SELECT a.attnum, a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod), \
           pg_catalog.format_type(a.atttypid, NULL), \
           CASE WHEN a.attcollation <> 0 THEN pg_catalog.quote_ident(n.nspname) || '.' || \
             pg_catalog.quote_ident(l.collname) END, \
           nullif(a.attstattarget, -1)::int4, \
           coalesce(pg_catalog.array_to_string(a.attoptions, ',') LIKE '%n_distinct%', false), \
           a.attlen < 0, a.atttypid IN (25, 1043), \
           y.typcategory <> 'A' AND EXISTS (SELECT FROM pg_catalog.pg_opclass AS x \
             WHERE x.opcmethod = 403 AND x.opcdefault AND x.opcintype IN (b.oid, \
               CASE WHEN b.oid = 1043 THEN 25::oid WHEN b.typtype = 'e' THEN 3500::oid END)), \
           a.xmin = pg_catalog.pg_current_xact_id()::xid \
         FROM pg_catalog.pg_attribute AS a \
         JOIN pg_catalog.pg_type AS y ON y.oid = a.atttypid \
         JOIN pg_catalog.pg_type AS b \
           ON b.oid = CASE WHEN y.typtype = 'd' THEN y.typbasetype ELSE y.oid END \
         LEFT JOIN pg_catalog.pg_collation AS l ON l.oid = a.attcollation \
         LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = l.collnamespace \
         WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        &[(&table, Type::OID)],
    )?
    .iter()
    .map(|row| {
        Ok((
            Column {
                number: get(row, 0)?,
                name: get(row, 1)?,
                type_name: get(row, 2)?,
                bare_type: get(row, 3)?,
                collation: get(row, 4)?,
                target: get(row, 5)?,
                fixed_distinct: get(row, 6)?,
                varies: get(row, 7)?,
                is_text: get(row, 8)?,
                is_scalar: get(row, 9)?,
                gathered: false,
            },
            get(row, 10)?,
        ))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_named_by_a_whole_word() {
        assert!(names("select * from t where t.City = 'x'", "city"));
        assert!(!names("select cityname from t", "city"));
        assert!(names("select \"a b\" from t", "a b"));
    }
}
