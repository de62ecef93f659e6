//! Statistics that do not exist yet, from a sample of a live server's rows.
//!
//! The rows are read in a read-only transaction. In the twin they go into a
//! temporary table, PostgreSQL's own ANALYZE runs over that, and what it
//! gathered is given to the real table, all in a transaction that is rolled
//! back. ANALYZE takes the sample for the whole table there; what depends on
//! the number of rows (see [`reckon`]) is put right.

mod draw;
mod functions;
mod gather;
mod objects;
mod reckon;
mod wanted;

use super::error::Error;
use super::session::Session;
use super::twin::planner::TwinPlanner;
use crate::verify::{ChangeOutcome, PlanError, PlanOptions, Planned, SupposedChange, WhatIf};

/// The temporary table of the sample.
const SAMPLE: &str = "pg_temp.pgadvise_sample";

/// Why nothing could be gathered.
#[derive(Debug, thiserror::Error)]
enum SampleError {
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The live server does not give the rows.
    #[error("{0}")]
    NotDrawn(String),
}

impl From<Error> for SampleError {
    fn from(error: Error) -> Self {
        Self::Plan(error.into())
    }
}

impl From<SampleError> for PlanError {
    fn from(error: SampleError) -> Self {
        match error {
            SampleError::Plan(error) => error,
            SampleError::NotDrawn(what) => Self::Unsupported { what },
        }
    }
}

/// Plans statements in the twin with statistics that a sample of the live
/// server's rows gives: those of the objects that `changes` create or alter,
/// of the columns whose target they set, or, where they only ANALYZE, of the
/// columns that the statements name.
///
/// The outcome of each change is in [`WhatIf::changes`], with a note on the
/// sample at the ANALYZE. What the live server does not give (the role may not
/// read the table, row security hides rows) is an error of kind
/// [`PlanError::Unsupported`] that says so.
pub fn what_if(
    live: &mut Session,
    twin: &mut TwinPlanner,
    statements: &[Planned<'_>],
    changes: &[String],
    relations: &[(String, String)],
) -> Result<WhatIf, PlanError> {
    let Some(relation) = relations.first() else {
        return Err(PlanError::Unsupported {
            what: "the table whose statistics would change is not known".to_owned(),
        });
    };
    let script = functions::script(twin.session()?.version_num());
    twin.admin()?.execute_script(&script)?;
    let what_if = twin.aside(|session| {
        let made = supposed(live, session, statements, changes, relation)?;
        let mut plans = Vec::new();
        for &statement in statements {
            match session.explain(statement, PlanOptions::default()) {
                Err(error @ (PlanError::TimedOut { .. } | PlanError::Lost { .. })) => {
                    return Err(error.into());
                }
                plan => plans.push(plan),
            }
        }
        Ok::<_, SampleError>(WhatIf {
            plans,
            indexes: Vec::new(),
            changes: made,
        })
    })?;
    Ok(what_if)
}

/// Makes the changes and gathers, within a transaction of the twin's.
fn supposed(
    live: &mut Session,
    twin: &mut Session,
    statements: &[Planned<'_>],
    changes: &[String],
    relation: &(String, String),
) -> Result<Vec<SupposedChange>, SampleError> {
    // The other server may take its time.
    twin.query(
        "SELECT pg_catalog.set_config('idle_in_transaction_session_timeout', '0', true), \
         pg_catalog.set_config('IntervalStyle', 'postgres', true), \
         pg_catalog.set_config('DateStyle', 'ISO, YMD', true)",
        &[],
    )?;
    let mut made = Vec::new();
    for change in changes {
        let sql = change.trim().trim_end_matches(';');
        if !is_analyze(sql) {
            twin.query(sql, &[])?;
        }
        made.push(SupposedChange {
            sql: sql.to_owned(),
            outcome: ChangeOutcome::Applied,
            indexes: Vec::new(),
            tables: Vec::new(),
            notes: Vec::new(),
        });
    }
    let Some(last) = made.iter_mut().rev().find(|change| is_analyze(&change.sql)) else {
        // Without ANALYZE nothing is gathered.
        return Ok(made);
    };
    let wanted = wanted::read(twin, relation, statements)?;
    let sample = draw::draw(live, &wanted)?;
    let notes = gather::gather(twin, &wanted, &sample)?;
    last.notes = notes;
    Ok(made)
}

fn is_analyze(sql: &str) -> bool {
    sql.split_whitespace()
        .next()
        .is_some_and(|word| word.eq_ignore_ascii_case("analyze"))
}
