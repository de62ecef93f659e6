//! Gathering in the twin: the sample in a temporary table, ANALYZE over it,
//! and what it found handed to the real table.

use tokio_postgres::types::Type;

use super::draw::Sample;
use super::objects;
use super::reckon::Seen;
use super::wanted::{Column, Wanted};
use super::{SAMPLE, SampleError};
use crate::catalog::ident::quote;
use crate::pg::catalog::get;
use crate::pg::error::Error;
use crate::pg::session::Session;
use crate::pg::twin::PRIVILEGED_SCHEMA;

/// Rows of one INSERT.
const AT_ONCE: usize = 10_000;
/// Values that are wider are not looked at (`WIDTH_THRESHOLD`).
pub(super) const WIDTH_THRESHOLD: usize = 1_024;
/// The column that sees to it that ANALYZE takes all rows.
const LIMIT_COLUMN: &str = "pgadvise_rows";

/// Gathers what is wanted; gives what to say about it.
pub(super) fn gather(
    twin: &mut Session,
    wanted: &Wanted,
    sample: &Sample,
) -> Result<Vec<String>, SampleError> {
    load(twin, wanted, sample)?;
    let copies = objects::prepare(twin, wanted, sample)?;
    analyze(twin, wanted, sample)?;
    let oid = sample_oid(twin)?;
    let inherited = wanted.kind == "p";
    for column in wanted.columns.iter().filter(|column| column.gathered) {
        adopt(twin, wanted, sample, column, oid, inherited)?;
    }
    for copy in &copies {
        objects::adopt(twin, sample, copy, inherited)?;
    }
    if wanted.is_refresh && wanted.kind != "p" {
        twin.query(
            &format!(
                "SELECT {PRIVILEGED_SCHEMA}.set_size($1, $2, $3, c.relallvisible) \
                      FROM pg_catalog.pg_class AS c WHERE c.oid = $1"
            ),
            &[
                (&wanted.oid, Type::OID),
                (&(sample.blocks as i32), Type::INT4),
                (&(sample.total as f32), Type::FLOAT4),
            ],
        )?;
    }
    Ok(vec![note(wanted, sample)])
}

/// What to know about the sample.
fn note(wanted: &Wanted, sample: &Sample) -> String {
    let all = sample.rows as f64 >= sample.total;
    let rows = thousands(sample.rows as f64);
    if all {
        format!(
            "statistics gathered from all {rows} rows of {}",
            wanted.name
        )
    } else {
        format!(
            "statistics gathered from a sample of {rows} of about {} rows of {}, in {} of {} blocks",
            thousands(sample.total),
            wanted.name,
            thousands(sample.blocks_read),
            thousands(sample.blocks),
        )
    }
}

/// `1,234,567`.
fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Makes a table whose columns have the numbers, names and types of the real
/// one's, and fills it.
fn load(twin: &mut Session, wanted: &Wanted, sample: &Sample) -> Result<(), Error> {
    let last = wanted.columns.iter().map(|column| column.number).max();
    let mut definitions = Vec::new();
    for number in 1..=last.unwrap_or(0) {
        definitions.push(match wanted.column(number) {
            Some(column) => {
                let collation = column
                    .collation
                    .as_ref()
                    .map_or(String::new(), |name| format!(" COLLATE {name}"));
                format!("{} {}{collation}", quote(&column.name), column.type_name)
            }
            None => format!("pgadvise_no_{number} bool"),
        });
    }
    definitions.push(format!("{LIMIT_COLUMN} bool"));
    let table = SAMPLE.trim_start_matches("pg_temp.");
    twin.query(
        &format!(
            "CREATE TEMPORARY TABLE {table} ({})",
            definitions.join(", ")
        ),
        &[],
    )?;
    let names: Vec<String> = wanted
        .columns
        .iter()
        .map(|column| quote(&column.name))
        .collect();
    let values: Vec<String> = wanted
        .columns
        .iter()
        .enumerate()
        .map(|(at, column)| format!("u.c{at}::{}", column.type_name))
        .collect();
    let parameters: Vec<String> = (1..=names.len())
        .map(|at| format!("${at}::text[]"))
        .collect();
    let aliases: Vec<String> = (0..names.len()).map(|at| format!("c{at}")).collect();
    let insert = format!(
        "INSERT INTO {SAMPLE} ({}) SELECT {} FROM ROWS FROM ({}) AS u ({})",
        names.join(", "),
        values.join(", "),
        parameters
            .iter()
            .map(|parameter| format!("pg_catalog.unnest({parameter})"))
            .collect::<Vec<_>>()
            .join(", "),
        aliases.join(", ")
    );
    for from in (0..sample.rows).step_by(AT_ONCE) {
        let to = (from + AT_ONCE).min(sample.rows);
        let parts: Vec<&[Option<String>]> = sample
            .columns
            .iter()
            .map(|column| column.get(from..to).unwrap_or_default())
            .collect();
        let parameters: Vec<(&(dyn tokio_postgres::types::ToSql + Sync), Type)> = parts
            .iter()
            .map(|part| {
                (
                    part as &(dyn tokio_postgres::types::ToSql + Sync),
                    Type::TEXT_ARRAY,
                )
            })
            .collect();
        twin.query(&insert, &parameters)?;
    }
    Ok(())
}

/// Runs ANALYZE so that it takes every row of the sample.
fn analyze(twin: &mut Session, wanted: &Wanted, sample: &Sample) -> Result<(), Error> {
    let rows = sample.rows.div_ceil(300).clamp(1, 10_000);
    let mut targets = vec![format!("ALTER {LIMIT_COLUMN} SET STATISTICS {rows}")];
    let mut names = vec![LIMIT_COLUMN.to_owned()];
    for column in &wanted.columns {
        let target = if column.gathered {
            column.target.unwrap_or(sample.default_target)
        } else {
            // Only looked at for the statistics objects.
            1
        };
        let name = quote(&column.name);
        targets.push(format!("ALTER {name} SET STATISTICS {target}"));
        names.push(name);
    }
    twin.query(&format!("ALTER TABLE {SAMPLE} {}", targets.join(", ")), &[])?;
    twin.query(&format!("ANALYZE {SAMPLE} ({})", names.join(", ")), &[])?;
    Ok(())
}

fn sample_oid(twin: &mut Session) -> Result<u32, Error> {
    let rows = twin.query(&format!("SELECT '{SAMPLE}'::regclass::oid"), &[])?;
    match rows.first() {
        Some(row) => get(row, 0),
        None => Ok(0),
    }
}

/// Hands over a column's own statistics.
fn adopt(
    twin: &mut Session,
    wanted: &Wanted,
    sample: &Sample,
    column: &Column,
    oid: u32,
    inherited: bool,
) -> Result<(), Error> {
    let target = column.target.unwrap_or(sample.default_target);
    if target == 0 {
        return Ok(());
    }
    let is_all = sample.rows as f64 >= sample.total;
    let mut distinct: Option<f32> = None;
    let mut kept = None;
    if column.is_scalar && !is_all {
        let seen = seen(twin, sample, column, target)?;
        let n_distinct = seen.n_distinct();
        distinct = Some(n_distinct as f32);
        let common = seen.kept(n_distinct);
        kept = Some((common, seen.bounds(common)));
    }
    if column.fixed_distinct {
        distinct = None;
    }
    let (common, bounds) = kept.unwrap_or_default();
    let name = quote(&column.name);
    let values = format!(
        "SELECT s.v, count(*) AS n FROM (SELECT {name} AS v FROM {SAMPLE} WHERE {}) AS s \
         GROUP BY s.v",
        narrow(column)
    );
    // In the order in which ANALYZE finds them.
    let ranked = format!(
        "ranked AS (SELECT g.v, g.n, row_number() OVER (ORDER BY g.n DESC, g.v) AS place \
         FROM ({values}) AS g), \
         common AS (SELECT * FROM ranked WHERE place <= {common})"
    );
    let element = &column.bare_type;
    let sql = format!(
        "WITH {ranked}, \
         others AS MATERIALIZED (SELECT s.{name} AS v, \
             row_number() OVER (ORDER BY s.{name}) - 1 AS at \
           FROM {SAMPLE} AS s WHERE {narrow} \
           AND NOT EXISTS (SELECT FROM common AS c WHERE c.v = s.{name})), \
         places AS (SELECT b.n * (SELECT max(o.at) FROM others AS o) \
             / greatest({bounds}::int8 - 1, 1) AS at \
           FROM pg_catalog.generate_series(0, {bounds}::int8 - 1) AS b (n)), \
         bounds AS (SELECT o.at, o.v FROM others AS o JOIN places AS p ON p.at = o.at) \
         SELECT {PRIVILEGED_SCHEMA}.adopt($1, $2, $3, $4, $5, $6, \
           (SELECT pg_catalog.array_agg(c.v ORDER BY c.place) FROM common AS c)::{element}[], \
           (SELECT pg_catalog.array_agg((c.n::float8 / $7)::float4 ORDER BY c.place) \
             FROM common AS c), \
           (SELECT pg_catalog.array_agg(b.v ORDER BY b.at) FROM bounds AS b)::{element}[])",
        narrow = narrow(column),
    );
    let trim = kept.is_some();
    let rows = sample.rows as f64;
    let plain = format!(
        "SELECT {PRIVILEGED_SCHEMA}.adopt($1, $2, $3, $4, $5, $6, NULL::int4[], NULL, NULL::int4[])"
    );
    let mut parameters: Vec<(&(dyn tokio_postgres::types::ToSql + Sync), Type)> = vec![
        (&oid, Type::OID),
        (&wanted.oid, Type::OID),
        (&column.number, Type::INT2),
        (&inherited, Type::BOOL),
        (&distinct, Type::FLOAT4),
        (&trim, Type::BOOL),
    ];
    if trim {
        parameters.push((&rows, Type::FLOAT8));
    }
    twin.query(if trim { &sql } else { &plain }, &parameters)?;
    Ok(())
}

/// The condition on values that ANALYZE looks at.
fn narrow(column: &Column) -> String {
    let name = quote(&column.name);
    if column.varies {
        format!("{name} IS NOT NULL AND pg_catalog.pg_column_size({name}) <= {WIDTH_THRESHOLD}")
    } else {
        format!("{name} IS NOT NULL")
    }
}

/// What the sample shows of a column.
fn seen(twin: &mut Session, sample: &Sample, column: &Column, target: i32) -> Result<Seen, Error> {
    let name = quote(&column.name);
    let narrow = narrow(column);
    let rows = twin.query(
        &format!(
            "SELECT count(*) FILTER (WHERE {name} IS NULL)::float8, \
               count(*) FILTER (WHERE {narrow})::float8, \
               (SELECT count(*)::float8 FROM (SELECT FROM {SAMPLE} WHERE {narrow} \
                  GROUP BY {name}) AS g), \
               (SELECT count(*)::float8 FROM (SELECT FROM {SAMPLE} WHERE {narrow} \
                  GROUP BY {name} HAVING count(*) > 1) AS g), \
               (SELECT coalesce(pg_catalog.array_agg(g.n ORDER BY g.n DESC), '{{}}') \
                FROM (SELECT count(*)::float8 AS n FROM {SAMPLE} WHERE {narrow} \
                  GROUP BY {name} HAVING count(*) > 1 ORDER BY 1 DESC LIMIT {target}) AS g) \
             FROM {SAMPLE}"
        ),
        &[],
    )?;
    let Some(row) = rows.first() else {
        return Ok(Seen::default());
    };
    let nulls: f64 = get(row, 0)?;
    let narrow: f64 = get(row, 1)?;
    let all = sample.rows as f64;
    Ok(Seen {
        rows: all,
        total: sample.total,
        nulls,
        wide: all - nulls - narrow,
        distinct: get(row, 2)?,
        multiple: get(row, 3)?,
        counts: get(row, 4)?,
        target: usize::try_from(target).unwrap_or(0),
    })
}
