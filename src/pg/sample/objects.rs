//! Extended statistics objects over the sample, and handing over their data.

use tokio_postgres::types::Type;

use super::draw::Sample;
use super::gather::WIDTH_THRESHOLD;
use super::reckon::{self, Combinations};
use super::wanted::{Object, Wanted};
use super::{SAMPLE, SampleError};
use crate::catalog::ident::quote;
use crate::pg::catalog::get;
use crate::pg::error::Error;
use crate::pg::session::Session;
use crate::pg::twin::PRIVILEGED_SCHEMA;

/// Statistics objects of the sample that stand for one of the table.
#[derive(Debug)]
pub(super) struct Copy<'a> {
    object: &'a Object,
    /// Everything but most common values.
    rest: Option<u32>,
    /// The most common values alone.
    common: Option<u32>,
    /// Columns by number, and expressions, as SQL.
    columns: Vec<(i16, String)>,
}

/// Creates them; ANALYZE fills them.
pub(super) fn prepare<'a>(
    twin: &mut Session,
    wanted: &'a Wanted,
    sample: &Sample,
) -> Result<Vec<Copy<'a>>, SampleError> {
    let mut copies = Vec::new();
    for (at, object) in wanted.objects.iter().enumerate() {
        let target = wanted.target_of(object, sample.default_target);
        if target == 0 {
            continue;
        }
        let mut columns: Vec<(i16, String)> = object
            .columns
            .iter()
            .filter_map(|number| {
                let column = wanted.column(*number)?;
                Some((*number, quote(&column.name)))
            })
            .collect();
        for (number, expression) in (1..).zip(&object.expressions) {
            columns.push((-number, format!("({expression})")));
        }
        let of_several: String = object
            .kinds
            .chars()
            .filter(|kind| "df".contains(*kind))
            .collect();
        let is_single = columns.len() < 2;
        let rest = if is_single || !of_several.is_empty() || !object.expressions.is_empty() {
            let kinds: Vec<&str> = of_several
                .chars()
                .map(|kind| {
                    if kind == 'd' {
                        "ndistinct"
                    } else {
                        "dependencies"
                    }
                })
                .collect();
            // An object of expressions must have a kind when there are several.
            let kinds = match (is_single, kinds.is_empty()) {
                (true, _) => String::new(),
                (false, true) => " (dependencies)".to_owned(),
                (false, false) => format!(" ({})", kinds.join(", ")),
            };
            Some(create(
                twin,
                &format!("pgadvise_{at}_rest"),
                &kinds,
                &columns,
                target,
            )?)
        } else {
            None
        };
        let mut common = None;
        if object.kinds.contains('m') && !is_single {
            let kept = kept(twin, sample, wanted, object, &columns, target)?;
            if kept > 0 {
                // As many as the table's ANALYZE would keep of them: the
                // target is what limits them here.
                let name = format!("pgadvise_{at}_mcv");
                common = Some(create(twin, &name, " (mcv)", &columns, kept)?);
            }
        }
        copies.push(Copy {
            object,
            rest,
            common,
            columns,
        });
    }
    Ok(copies)
}

fn create(
    twin: &mut Session,
    name: &str,
    kinds: &str,
    columns: &[(i16, String)],
    target: i32,
) -> Result<u32, Error> {
    let on: Vec<&str> = columns.iter().map(|(_, sql)| sql.as_str()).collect();
    twin.query(
        &format!(
            "CREATE STATISTICS pg_temp.{name}{kinds} ON {} FROM {SAMPLE}",
            on.join(", ")
        ),
        &[],
    )?;
    twin.query(
        &format!("ALTER STATISTICS pg_temp.{name} SET STATISTICS {target}"),
        &[],
    )?;
    let rows = twin.query(
        "SELECT s.oid FROM pg_catalog.pg_statistic_ext AS s \
         WHERE s.stxname = $1 AND s.stxrelid = $2::text::regclass",
        &[(&name, Type::TEXT), (&SAMPLE, Type::TEXT)],
    )?;
    match rows.first() {
        Some(row) => get(row, 0),
        None => Ok(0),
    }
}

/// How many combinations were seen often enough to be kept.
fn kept(
    twin: &mut Session,
    sample: &Sample,
    wanted: &Wanted,
    object: &Object,
    columns: &[(i16, String)],
    target: i32,
) -> Result<i32, Error> {
    let least = reckon::least_count(sample.rows as f64, sample.total);
    let varies =
        |number: i16| number < 0 || wanted.column(number).is_some_and(|column| column.varies);
    let narrow: Vec<String> = columns
        .iter()
        .filter(|(number, _)| varies(*number))
        .map(|(_, sql)| {
            format!("coalesce(pg_catalog.pg_column_size({sql}), 0) <= {WIDTH_THRESHOLD}")
        })
        .collect();
    let narrow = if narrow.is_empty() {
        String::new()
    } else {
        format!(" WHERE {}", narrow.join(" AND "))
    };
    let by: Vec<&str> = columns.iter().map(|(_, sql)| sql.as_str()).collect();
    debug_assert_eq!(by.len(), object.columns.len() + object.expressions.len());
    let rows = twin.query(
        &format!(
            "SELECT count(*)::int4 FROM (SELECT FROM {SAMPLE}{narrow} GROUP BY {} \
             HAVING count(*) >= $1 LIMIT {target}) AS g",
            by.join(", ")
        ),
        &[(&least, Type::FLOAT8)],
    )?;
    match rows.first() {
        Some(row) => get(row, 0),
        None => Ok(0),
    }
}

/// How many combinations ANALYZE counted.
fn data(twin: &mut Session, oid: Option<u32>) -> Result<Option<Vec<u8>>, Error> {
    let rows = twin.query(
        &format!("SELECT {PRIVILEGED_SCHEMA}.gathered($1)"),
        &[(&oid, Type::OID)],
    )?;
    rows.first().map_or(Ok(None), |row| get(row, 0))
}

/// Hands over what was gathered.
pub(super) fn adopt(
    twin: &mut Session,
    sample: &Sample,
    copy: &Copy<'_>,
    inherited: bool,
) -> Result<(), SampleError> {
    let wants = |kind: char| copy.object.kinds.contains(kind);
    let n_distinct = match data(twin, copy.rest)?.filter(|_| wants('d')) {
        Some(raw) => reckoned(twin, sample, copy, raw)?,
        None => None,
    };
    twin.query(
        &format!("SELECT {PRIVILEGED_SCHEMA}.adopt_extended($1, $2, $3, $4, $5, $6)"),
        &[
            (&copy.rest, Type::OID),
            (&copy.common, Type::OID),
            (&copy.object.oid, Type::OID),
            (&inherited, Type::BOOL),
            (&n_distinct, Type::BYTEA),
            (&wants('f'), Type::BOOL),
        ],
    )?;
    if let Some(rest) = copy.rest.filter(|_| !copy.object.expressions.is_empty()) {
        twin.query(
            &format!("SELECT {PRIVILEGED_SCHEMA}.adopt_expressions($1, $2, $3)"),
            &[
                (&rest, Type::OID),
                (&copy.object.oid, Type::OID),
                (&inherited, Type::BOOL),
            ],
        )?;
    }
    Ok(())
}

/// The numbers of combinations for the whole table.
fn reckoned(
    twin: &mut Session,
    sample: &Sample,
    copy: &Copy<'_>,
    raw: Vec<u8>,
) -> Result<Option<Vec<u8>>, Error> {
    if sample.rows as f64 >= sample.total {
        return Ok(Some(raw));
    }
    let Some(mut combinations) = Combinations::read(raw) else {
        return Ok(None);
    };
    for (at, members) in combinations.items.clone() {
        let by: Vec<&str> = copy
            .columns
            .iter()
            .filter(|(number, _)| members.contains(number))
            .map(|(_, sql)| sql.as_str())
            .collect();
        let rows = twin.query(
            &format!(
                "SELECT count(*)::float8, (count(*) FILTER (WHERE g.n = 1))::float8 \
                 FROM (SELECT count(*) AS n FROM {SAMPLE} GROUP BY {}) AS g",
                by.join(", ")
            ),
            &[],
        )?;
        if let Some(row) = rows.first() {
            let distinct =
                reckon::distinct(sample.rows as f64, sample.total, get(row, 0)?, get(row, 1)?);
            combinations.set(at, (distinct + 0.5).floor());
        }
    }
    Ok(Some(combinations.into_bytes()))
}
