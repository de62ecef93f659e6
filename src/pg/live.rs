//! A user's server as a planner: plans from EXPLAIN, supposed indexes from
//! hypopg where it is installed. Nothing is ever created there.

use std::time::Duration;

use tokio_postgres::types::Type;

use super::conninfo::ConnectOptions;
use super::error::Error;
use super::session::{Limits, Session};
use super::snapshot::SnapshotOptions;
use crate::catalog::Catalog;
use crate::catalog::ident::quote;
use crate::finding::IndexSpec;
use crate::plan::PlanGraph;
use crate::snapshot::Snapshot;
use crate::verify::{
    Engine, PlanError, PlanOptions, Planned, Planner, SupposedIndex, Supposition, WhatIf,
};

/// What is said where hypopg is missing.
const NO_HYPOPG: &str = "hypopg is not installed in the database, so indexes cannot be tried there; \
     pgadvise never creates a real index on a live server (CREATE EXTENSION hypopg lets it suppose one)";

/// The schema of hypopg's functions, once looked up.
#[derive(Debug)]
enum Hypopg {
    NotLookedUp,
    Missing,
    In(String),
}

/// A planner on someone's server.
#[derive(Debug)]
pub struct LivePlanner {
    session: Session,
    catalog: Option<Catalog>,
    hypopg: Hypopg,
    calls: usize,
}

impl LivePlanner {
    /// Connects.
    pub fn connect(options: &ConnectOptions, limits: Limits) -> Result<Self, Error> {
        Ok(Self::new(Session::connect(options, limits)?))
    }

    /// Plans over a session that is there already.
    pub fn new(session: Session) -> Self {
        Self {
            session,
            catalog: None,
            hypopg: Hypopg::NotLookedUp,
            calls: 0,
        }
    }

    /// The connection.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The connection, to read rows from.
    pub(super) fn session_mut(&mut self) -> &mut Session {
        &mut self.session
    }

    /// Changes the time limit of each statement that follows.
    pub fn set_statement_limit(&mut self, limit: Duration) {
        self.session.set_statement_limit(limit);
    }

    /// Whether indexes can be supposed.
    pub fn has_hypopg(&mut self) -> Result<bool, Error> {
        if matches!(self.hypopg, Hypopg::NotLookedUp) {
            let rows = self.session.read_only(|session| {
                session.query(
                    "SELECT n.nspname::text FROM pg_catalog.pg_extension AS e \
                     JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace \
                     WHERE e.extname = 'hypopg'",
                    &[],
                )
            })?;
            self.hypopg = match rows.first().and_then(|row| row.try_get(0).ok()) {
                Some(schema) => Hypopg::In(schema),
                None => Hypopg::Missing,
            };
        }
        Ok(matches!(self.hypopg, Hypopg::In(_)))
    }

    /// Takes a snapshot of the database in one read-only transaction.
    pub fn snapshot(&mut self, options: &SnapshotOptions) -> Result<Snapshot, Error> {
        self.session.snapshot(options, &mut |_, _, _| ())
    }

    /// Size by our own formula, which knows deduplication; `None` without
    /// statistics.
    fn own_size(&self, spec: &IndexSpec) -> Option<f64> {
        let catalog = self.catalog.as_ref()?;
        let relation = catalog.relation(Some(&spec.schema), &spec.table)?;
        (relation.rows() >= 1.0).then(|| super::twin::sizes::estimate(catalog, spec).bytes)
    }
}

impl Planner for LivePlanner {
    fn engine(&self) -> Engine {
        Engine {
            description: format!("PostgreSQL {} (live)", self.session.version()),
            version_num: self.session.version_num(),
            notes: self.session.notes().to_vec(),
        }
    }

    fn catalog(&mut self) -> Result<Catalog, PlanError> {
        if let Some(catalog) = &self.catalog {
            return Ok(catalog.clone());
        }
        let catalog = self.session.catalog()?;
        self.catalog = Some(catalog.clone());
        Ok(catalog)
    }

    fn plan(
        &mut self,
        statement: Planned<'_>,
        options: PlanOptions,
    ) -> Result<PlanGraph, PlanError> {
        self.calls += 1;
        self.session.explain(statement, options)
    }

    fn what_if(
        &mut self,
        statements: &[Planned<'_>],
        suppositions: &[Supposition],
    ) -> Result<WhatIf, PlanError> {
        let mut specs = Vec::new();
        for supposition in suppositions {
            match supposition {
                Supposition::Index(spec) => specs.push(spec),
                Supposition::Sql(_) => {
                    return Err(PlanError::Unsupported {
                        what: "a change cannot be tried on a live server; take a snapshot and give it with --snapshot".to_owned(),
                    });
                }
                Supposition::Statistics { .. } => {
                    return Err(PlanError::Unsupported {
                        what: "statistics objects cannot be supposed on a live server, and pgadvise creates nothing there".to_owned(),
                    });
                }
            }
        }
        if !self.has_hypopg()? {
            return Err(PlanError::Unsupported {
                what: NO_HYPOPG.to_owned(),
            });
        }
        let Hypopg::In(schema) = &self.hypopg else {
            return Err(PlanError::Unsupported {
                what: NO_HYPOPG.to_owned(),
            });
        };
        let functions = quote(schema);
        self.calls += statements.len();
        let reset = format!("SELECT {functions}.hypopg_reset()");
        let mut is_reset = false;
        // One transaction, so that a pooler cannot part the supposed indexes,
        // which live in the server process, from the plans.
        let result = self.session.read_only(|session| {
            session.query(&reset, &[])?;
            let indexes = specs
                .iter()
                .map(|spec| suppose(session, &functions, spec))
                .collect::<Result<Vec<_>, Error>>()?;
            let mut plans = Vec::new();
            for &statement in statements {
                match session.explain_part(statement, false, true) {
                    Err(PlanError::Lost { message }) => return Err(PlanError::Lost { message }),
                    plan => plans.push(plan),
                }
            }
            session.query(&reset, &[])?;
            is_reset = true;
            Ok(WhatIf {
                plans,
                indexes,
                changes: Vec::new(),
            })
        });
        if !is_reset {
            // Best effort: where the connection is gone, so are the indexes.
            drop(self.session.read_only(|session| session.query(&reset, &[])));
        }
        let mut what_if = result?;
        for (index, spec) in what_if.indexes.iter_mut().zip(&specs) {
            if index.refused.is_none()
                && let Some(bytes) = self.own_size(spec)
            {
                index.bytes = Some(bytes);
            }
        }
        Ok(what_if)
    }

    fn plan_with(
        &mut self,
        statement: Planned<'_>,
        settings: &[(&str, &str)],
    ) -> Result<PlanGraph, PlanError> {
        self.calls += 1;
        self.session.explain_with(statement, settings)
    }

    fn calls(&self) -> usize {
        self.calls
    }
}

/// Has hypopg suppose one index. One that it cannot suppose is told, and the
/// others go on.
fn suppose(
    session: &mut Session,
    functions: &str,
    spec: &IndexSpec,
) -> Result<SupposedIndex, Error> {
    // What hypopg holds is not part of the transaction, so it outlives the
    // rollback of the part.
    let sql = format!(
        "SELECT h.indexname::text, {functions}.hypopg_relation_size(h.indexrelid)::float8 \
         FROM {functions}.hypopg_create_index($1) AS h"
    );
    let definition = spec.plain_sql();
    let refused = |message: String| SupposedIndex {
        name: spec.name.clone(),
        parts: Vec::new(),
        bytes: None,
        how: "estimated",
        refused: Some(message),
    };
    match session.undone(|session| session.query(&sql, &[(&definition, Type::TEXT)])) {
        Ok(rows) => Ok(match rows.first() {
            Some(row) => SupposedIndex {
                name: super::catalog::get(row, 0)?,
                parts: Vec::new(),
                bytes: super::catalog::get(row, 1)?,
                how: "estimated",
                refused: None,
            },
            None => refused("hypopg gave no index".to_owned()),
        }),
        Err(Error::Refused(refusal)) => Ok(refused(refusal.message)),
        Err(Error::PermissionDenied { message }) => Ok(refused(message)),
        Err(error) => Err(error),
    }
}
