//! Reading a sample of a live server's table, as ANALYZE would: rows from
//! blocks all over the table, 300 times the statistics target of them.
//!
//! Which rows are taken is the same from run to run as long as the table is.

use tokio_postgres::types::Type;

use super::SampleError;
use super::wanted::{Column, Wanted};
use crate::catalog::ident::quote;
use crate::pg::catalog::get;
use crate::pg::session::Session;
use crate::verify::PlanError;

/// Rows of the sample for each value of the statistics target.
const ROWS_OF_TARGET: f64 = 300.0;
/// No more blocks than this are read: 240 MB.
const MOST_BLOCKS: f64 = 30_000.0;
/// No more text than this is fetched.
const MOST_BYTES: usize = 32 << 20;
/// Texts wider than this are cut; ANALYZE does not look at those wider than
/// 1,024 bytes.
const WIDE: usize = 1_100;
/// How often fewer rows are asked for when they are more or wider than
/// expected.
const ATTEMPTS: usize = 6;

/// Rows of a table, as text.
#[derive(Debug)]
pub(super) struct Sample {
    /// By column of [`Wanted::columns`].
    pub columns: Vec<Vec<Option<String>>>,
    /// How many.
    pub rows: usize,
    /// How many the table has.
    pub total: f64,
    /// `default_statistics_target` of the server.
    pub default_target: i32,
    /// Blocks in the table, and those read.
    pub blocks: f64,
    pub blocks_read: f64,
}

/// What the live server knows of the table.
struct Facts {
    tuples: f64,
    pages: f64,
    blocks: f64,
    default_target: i32,
}

/// Reads the sample in a read-only transaction.
pub(super) fn draw(live: &mut Session, wanted: &Wanted) -> Result<Sample, SampleError> {
    let name = format!("{}.{}", quote(&wanted.schema), quote(&wanted.name));
    let drawn = live.read_only(|live| {
        let facts = facts(live, wanted, &name)?;
        rows(live, wanted, &name, &facts)
    });
    drawn.map_err(|error| match error {
        SampleError::Plan(PlanError::Refused { message, .. }) => SampleError::NotDrawn(format!(
            "no sample of {name} could be taken on the server: {message}"
        )),
        SampleError::Plan(PlanError::TimedOut { seconds }) => SampleError::NotDrawn(format!(
            "taking a sample of {name} on the server took longer than {seconds} s (--timeout)"
        )),
        SampleError::Plan(PlanError::Lost { message }) => SampleError::NotDrawn(format!(
            "no sample of {name} could be taken on the server: {message}"
        )),
        other => other,
    })
}

fn refuse<T>(name: &str, why: &str) -> Result<T, SampleError> {
    Err(SampleError::NotDrawn(format!(
        "no sample of {name} could be taken on the server: {why}"
    )))
}

fn facts(live: &mut Session, wanted: &Wanted, name: &str) -> Result<Facts, SampleError> {
    live.query(
        "SELECT pg_catalog.set_config(s.name, s.value, true) FROM (VALUES \
           ('DateStyle', 'ISO, YMD'), ('IntervalStyle', 'postgres'), ('bytea_output', 'hex'), \
           ('extra_float_digits', '1'), ('jit', 'off')) AS s (name, value)",
        &[],
    )?;
    let rows = live.query(
        "SELECT c.relkind::text, pg_catalog.row_security_active(c.oid), \
           pg_catalog.has_table_privilege(c.oid, 'SELECT') OR \
           pg_catalog.has_any_column_privilege(c.oid, 'SELECT'), \
           pg_catalog.current_setting('default_statistics_target')::int4 \
         FROM pg_catalog.pg_class AS c WHERE c.oid = pg_catalog.to_regclass($1)",
        &[(&name, Type::TEXT)],
    )?;
    let Some(row) = rows.first() else {
        return refuse(name, "it is not there any more");
    };
    let kind: String = get(row, 0)?;
    if kind != wanted.kind || !matches!(kind.as_str(), "r" | "m" | "p") {
        return refuse(name, "it is not a table that holds rows of its own");
    }
    if !get::<bool>(row, 2)? {
        return refuse(name, "permission denied to read it");
    }
    if get::<bool>(row, 1)? {
        return refuse(
            name,
            "row security hides rows from this role, so that a sample would not be one of the \
             whole table",
        );
    }
    let default_target = get(row, 3)?;
    let rows = live.query(
        "SELECT coalesce(sum(c.reltuples) FILTER (WHERE c.reltuples > 0), 0)::float8, \
           coalesce(sum(c.relpages) FILTER (WHERE c.reltuples > 0), 0)::float8, \
           coalesce(sum(pg_catalog.pg_relation_size(c.oid) \
             / pg_catalog.current_setting('block_size')::int8), 0)::float8, \
           coalesce(bool_or(c.relkind = 'f'), false) \
         FROM (SELECT $1::text::regclass::oid AS oid UNION \
               SELECT p.relid::oid FROM pg_catalog.pg_partition_tree($1::text::regclass) AS p) AS t \
         JOIN pg_catalog.pg_class AS c ON c.oid = t.oid AND c.relkind IN ('r', 'm', 'f')",
        &[(&name, Type::TEXT)],
    )?;
    let Some(row) = rows.first() else {
        return refuse(name, "its size is not known");
    };
    if get::<bool>(row, 3)? {
        return refuse(name, "some of its partitions are foreign tables");
    }
    Ok(Facts {
        tuples: get(row, 0)?,
        pages: get(row, 1)?,
        blocks: get(row, 2)?,
        default_target,
    })
}

/// The value of a column, as text.
fn value(column: &Column) -> String {
    let name = format!("x.{}", quote(&column.name));
    if column.is_text {
        // Cut, but still different from others that begin alike.
        let keep = WIDE - 20;
        format!(
            "CASE WHEN pg_catalog.length({name}) > {WIDE} THEN \
             pg_catalog.left({name}, {keep}) || pg_catalog.hashtext({name})::text \
             ELSE {name}::text END"
        )
    } else {
        format!("{name}::text")
    }
}

fn rows(
    live: &mut Session,
    wanted: &Wanted,
    name: &str,
    facts: &Facts,
) -> Result<Sample, SampleError> {
    let goal = ROWS_OF_TARGET * f64::from(wanted.highest_target(facts.default_target).max(1));
    let most_rows = (goal * 1.25) as usize + 1_000;
    let blocks = facts.blocks.max(1.0);
    let density = if facts.pages > 0.0 {
        facts.tuples / facts.pages
    } else {
        60.0
    };
    let expected = (density * blocks).max(1.0);
    let read = blocks.min(goal.min(MOST_BLOCKS));
    // A table that is mostly read is read in full.
    let share = if read > 0.9 * blocks {
        1.0
    } else {
        read / blocks
    };
    let mut keep = goal / (expected * share);
    if keep > 0.8 {
        keep = 1.0;
    }
    for _ in 0..ATTEMPTS {
        let sql = statement(wanted, name, share, keep, most_rows);
        let rows = live.query(&sql, &[])?;
        let mut bytes = 0_usize;
        let mut columns: Vec<Vec<Option<String>>> = wanted
            .columns
            .iter()
            .map(|_| Vec::with_capacity(rows.len()))
            .collect();
        for row in &rows {
            for (at, column) in columns.iter_mut().enumerate() {
                let value: Option<String> = get(row, at)?;
                bytes += value.as_ref().map_or(0, String::len);
                column.push(value);
            }
        }
        let too_many = rows.len() >= most_rows;
        if too_many || bytes >= MOST_BYTES {
            // What was read is the beginning of the table only.
            keep *= if too_many { 0.3 } else { 0.5 };
            continue;
        }
        let count = rows.len();
        if count == 0 {
            return refuse(name, "it has no rows");
        }
        return Ok(Sample {
            columns,
            rows: count,
            total: (count as f64 / (share * keep)).round(),
            default_target: facts.default_target,
            blocks: facts.blocks,
            blocks_read: (facts.blocks * share).round(),
        });
    }
    refuse(name, "its rows are too wide")
}

fn statement(wanted: &Wanted, name: &str, share: f64, keep: f64, most_rows: usize) -> String {
    let values: Vec<String> = wanted
        .columns
        .iter()
        .enumerate()
        .map(|(at, column)| format!("{} AS c{at}", value(column)))
        .collect();
    let names: Vec<String> = (0..values.len()).map(|at| format!("r.c{at}")).collect();
    let widths: Vec<String> = (0..values.len())
        .map(|at| format!("coalesce(pg_catalog.octet_length(v.c{at}), 0)"))
        .collect();
    let only = if wanted.kind == "p" { "" } else { "ONLY " };
    let from = if share < 1.0 {
        format!("TABLESAMPLE SYSTEM ({}) REPEATABLE (0)", share * 100.0)
    } else {
        String::new()
    };
    let thinned = if keep < 1.0 {
        // By the row's place, so that the next run takes the same ones.
        format!(
            " WHERE (pg_catalog.hashtext(x.ctid::text) & 1073741823) < {}",
            (keep * 1_073_741_824.0).round()
        )
    } else {
        String::new()
    };
    format!(
        "SELECT {names} FROM (SELECT v.*, \
           pg_catalog.sum(({widths})::int8) OVER (ROWS UNBOUNDED PRECEDING) AS bytes \
         FROM (SELECT {values} FROM {only}{name} AS x {from}{thinned}) AS v \
         LIMIT {most_rows}) AS r WHERE r.bytes < {more}",
        names = names.join(", "),
        widths = widths.join(" + "),
        values = values.join(", "),
        more = MOST_BYTES * 2,
    )
}
