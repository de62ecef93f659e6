//! Queries in the bodies of functions, before and after a change.

use crate::advise::check::workload::functions::{BrokenFunction, FunctionCode, queries};
use crate::advise::check::workload::{
    CompareOptions, NewStatement, Outcome, Workload, WorkloadQuery, compare,
};
use crate::pg::Session;
use crate::pg::catalog::get;
use crate::pg::error::Error;
use crate::source::{SourceId, Sources, Text};
use crate::sql::{self, StatementKind};
use crate::verify::{PlanError, Planner};

/// Queries in functions that are planned at most.
const MOST_QUERIES: usize = 1_000;

/// Functions of users whose bodies are texts.
const FUNCTIONS: &str = "\
SELECT p.oid::regprocedure::text, p.proname::text, l.lanname = 'plpgsql', p.prosrc, \
       COALESCE(p.proargnames, '{}')::text[], \
       ARRAY(SELECT pg_catalog.format_type(t, NULL) \
             FROM unnest(COALESCE(p.proallargtypes, p.proargtypes::oid[])) WITH ORDINALITY \
               AS a (t, n) ORDER BY n)::text[], \
       (SELECT min(g.tgrelid::regclass::text) FROM pg_catalog.pg_trigger AS g \
        WHERE g.tgfoid = p.oid AND NOT g.tgisinternal AND g.tgparentid = 0) \
FROM pg_catalog.pg_proc AS p \
JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace \
JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang \
WHERE l.lanname IN ('sql', 'plpgsql') AND p.prosqlbody IS NULL AND p.prokind IN ('f', 'p') \
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^(pg_|pgadvise)' \
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d \
                  WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid \
                    AND d.deptype = 'e') \
ORDER BY 1";

/// The functions of a database.
pub(super) fn functions(session: &mut Session) -> Result<Vec<FunctionCode>, Error> {
    // Bodies in the grammar came with version 14, and parents of triggers with
    // version 13.
    let sql = if session.version_num() < 140_000 {
        FUNCTIONS.replace(" AND p.prosqlbody IS NULL", "")
    } else {
        FUNCTIONS.to_owned()
    };
    let mut found = Vec::new();
    for row in &session.query(&sql, &[])? {
        let names: Vec<String> = get(row, 4)?;
        let types: Vec<String> = get(row, 5)?;
        let arguments = types
            .into_iter()
            .enumerate()
            .map(|(at, kind)| (names.get(at).cloned().unwrap_or_default(), kind))
            .collect();
        found.push(FunctionCode {
            signature: get(row, 0)?,
            name: get(row, 1)?,
            plpgsql: get(row, 2)?,
            code: get(row, 3)?,
            arguments,
            table: get(row, 6)?,
        });
    }
    Ok(found)
}

/// Whether the change makes the function anew, drops it, or takes its trigger
/// away: what its body says does not count then.
fn is_touched(function: &FunctionCode, change: &[NewStatement]) -> bool {
    let name = function.name.to_lowercase();
    change.iter().any(|statement| {
        let sql = statement.sql.to_lowercase();
        let of_code = ["function", "procedure", "routine", "trigger"]
            .iter()
            .any(|word| sql.contains(word));
        let verb = statement.verb.to_lowercase();
        of_code && sql.contains(&name)
            || function.table.is_some()
                && (verb.starts_with("drop table") || verb.starts_with("drop trigger"))
            || verb.starts_with("drop schema")
            || verb.starts_with("drop extension")
    })
}

/// The queries in functions that the server plans before the change and refuses
/// after it.
pub(super) fn broken(
    planner: &mut dyn Planner,
    functions: &[FunctionCode],
    change: &[NewStatement],
    options: &CompareOptions,
) -> Result<Vec<BrokenFunction>, PlanError> {
    let mut sources = Sources::default();
    let mut workload = Workload::default();
    let mut places = Vec::new();
    for function in functions.iter().filter(|one| !is_touched(one, change)) {
        for query in queries(function) {
            if workload.queries.len() == MOST_QUERIES {
                break;
            }
            let source: SourceId =
                sources.add(Text::new(function.signature.as_str(), query.sql.as_str()));
            let (statements, _) = sql::read(source, &query.sql);
            let Ok([statement]) = <[sql::Statement; 1]>::try_from(statements) else {
                continue;
            };
            if statement.kind == StatementKind::Other {
                continue;
            }
            workload.queries.push(WorkloadQuery {
                statement,
                fingerprint: 0,
                calls: None,
                total_ms: None,
                name: None,
                logged: false,
                samples: Vec::new(),
            });
            places.push((function, query));
        }
    }
    if workload.queries.is_empty() {
        return Ok(Vec::new());
    }
    let result = compare(planner, &workload, change.to_vec(), options)?;
    let mut found = Vec::new();
    for (query, (function, place)) in result.queries.into_iter().zip(places) {
        if let Outcome::Broken {
            message,
            sqlstate,
            executing: false,
            ..
        } = query.outcome
            && let Some(cause) = query.cause
        {
            found.push(BrokenFunction {
                signature: function.signature.clone(),
                trigger: function.table.is_some(),
                line: place.line,
                written: place.written,
                message,
                sqlstate,
                cause,
            });
        }
    }
    Ok(found)
}
