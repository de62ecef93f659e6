//! The twin as a planner: plans of the server that a snapshot was taken from,
//! and what they would be after any change.
//!
//! The twin has no rows, so that nothing can be executed; everything that is
//! supposed is undone (see [`suppose`]).

mod carry;
pub(in crate::pg) mod changes;
mod estimate;
mod heaps;
pub(in crate::pg) mod outcome;
mod overlay;
pub(in crate::pg) mod relations;
mod suppose;

use std::sync::Arc;
use std::time::{Duration, Instant};

use self::relations::Relations;
use self::suppose::{Open, Twin, set_valid_function};
use super::Loaded;
use crate::catalog::Catalog;
use crate::catalog::ident::literal;
use crate::pg::Session;
use crate::pg::cluster::{Cluster, ClusterError, ClusterKind, FOR_SUGGESTIONS};
use crate::pg::describe::described;
use crate::plan::PlanGraph;
use crate::snapshot::Snapshot;
use crate::verify::{
    Described, Engine, PlanError, PlanOptions, Planned, Planner, Supposition, WhatIf,
};

/// How many refused objects are named.
const NAMED: usize = 3;

/// A planner on the twin of a server.
#[derive(Debug)]
pub struct TwinPlanner {
    cluster: Box<dyn Cluster>,
    loaded: Loaded,
    snapshot: Arc<Snapshot>,
    engine: Engine,
    limit: Duration,
    relations: Option<Relations>,
    catalog: Option<Catalog>,
    open: Option<Open>,
    calls: usize,
}

impl TwinPlanner {
    /// A planner on a cluster that was made to plan like the snapshot's
    /// server. `limit` is the time for one plan.
    pub fn new(
        cluster: Box<dyn Cluster>,
        loaded: Loaded,
        snapshot: Arc<Snapshot>,
        limit: Duration,
    ) -> Result<Self, ClusterError> {
        let engine = engine(cluster.as_ref(), &loaded, &snapshot);
        let mut planner = Self {
            cluster,
            loaded,
            snapshot,
            engine,
            limit,
            relations: None,
            catalog: None,
            open: None,
            calls: 0,
        };
        planner.settle_in()?;
        Ok(planner)
    }

    /// What the snapshot is of.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// What could not be made in the twin, and what to know of it.
    pub fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    /// The session in which plans are made, with nothing supposed.
    pub fn session(&mut self) -> Result<&mut Session, PlanError> {
        self.roll_back()?;
        self.cluster.session().map_err(lost)
    }

    /// The superuser's session, with nothing supposed.
    pub(in crate::pg) fn admin(&mut self) -> Result<&mut Session, PlanError> {
        self.roll_back()?;
        self.cluster.admin().map_err(lost)
    }

    /// Does the work in a transaction of the session's, and takes back
    /// whatever it did.
    pub(in crate::pg) fn aside<T, E: From<crate::pg::Error> + From<PlanError>>(
        &mut self,
        work: impl FnOnce(&mut Session) -> Result<T, E>,
    ) -> Result<T, PlanError>
    where
        PlanError: From<E>,
    {
        self.calls += 1;
        let done = self
            .session()
            .and_then(|session| session.and_roll_back(work).map_err(PlanError::from));
        self.settle(done)
    }

    /// Brings a new session to the settings of the snapshot.
    fn settle_in(&mut self) -> Result<(), ClusterError> {
        let limit = self.limit;
        let settings = self.loaded.settings.clone();
        let session = self.cluster.session()?;
        session.set_statement_limit(limit);
        let mut script = String::new();
        for (name, value) in &settings {
            script.push_str(&format!(
                "SELECT pg_catalog.set_config({}, {}, false);",
                literal(name),
                literal(value)
            ));
        }
        // All in one message, and not in a transaction that is rolled back.
        // The loader saw that this server has each setting and takes its value.
        session.execute_script(&script)?;
        Ok(())
    }

    /// Ends whatever is supposed.
    fn roll_back(&mut self) -> Result<(), PlanError> {
        if self.open.take().is_some() {
            self.cluster
                .session()
                .map_err(lost)?
                .execute_script("ROLLBACK")?;
        }
        Ok(())
    }

    /// What is there without any supposition; read once.
    fn relations(&mut self) -> Result<(), PlanError> {
        if self.relations.is_none() {
            self.cluster
                .admin()
                .map_err(lost)?
                .execute_script(&set_valid_function())?;
            let session = self.cluster.session().map_err(lost)?;
            let since = Instant::now();
            self.relations = Some(Relations::read(session)?);
            tracing::debug!("the twin's relations: {} ms", since.elapsed().as_millis());
        }
        Ok(())
    }

    fn explain(&mut self, statement: Planned<'_>) -> Result<PlanGraph, PlanError> {
        self.calls += 1;
        self.cluster
            .session()
            .map_err(lost)?
            .explain(statement, PlanOptions::default())
    }

    fn try_what_if(
        &mut self,
        statements: &[Planned<'_>],
        suppositions: &[Supposition],
    ) -> Result<WhatIf, PlanError> {
        if self
            .open
            .as_ref()
            .is_some_and(|open| !open.fits(suppositions))
        {
            self.roll_back()?;
        }
        if self.open.is_none() {
            self.relations()?;
            self.catalog()?;
        }
        let mut open = self.open.take();
        let (Some(relations), Some(catalog), cluster) =
            (&self.relations, &self.catalog, &mut self.cluster)
        else {
            return Err(PlanError::Unsupported {
                what: "the relations of the twin are not known".to_owned(),
            });
        };
        let mut twin = Twin {
            cluster: cluster.as_mut(),
            relations,
            snapshot: &self.snapshot,
            catalog,
        };
        let supposed = (|| {
            let mut now = match open.take() {
                Some(open) => open,
                None => Open::begin(&mut twin, suppositions)?,
            };
            let indexes = now.show(&mut twin, &Supposition::indexes(suppositions))?;
            Ok::<_, suppose::SupposeError>((now, indexes))
        })();
        let (now, indexes) = match supposed {
            Ok(supposed) => supposed,
            Err(error) => {
                let error = PlanError::from(error);
                if !matches!(error, PlanError::TimedOut { .. } | PlanError::Lost { .. }) {
                    let session = self.cluster.session().map_err(lost)?;
                    session.execute_script("ROLLBACK")?;
                }
                return Err(error);
            }
        };
        let changes = now.changes().to_vec();
        self.open = Some(now);
        let mut plans = Vec::new();
        for statement in statements {
            match self.explain(*statement) {
                Err(error @ (PlanError::TimedOut { .. } | PlanError::Lost { .. })) => {
                    return Err(error);
                }
                plan => plans.push(plan),
            }
        }
        Ok(WhatIf {
            plans,
            indexes,
            changes,
        })
    }

    /// Brings a server back that does not answer any more; its open
    /// transaction went with it.
    fn settle<T>(&mut self, result: Result<T, PlanError>) -> Result<T, PlanError> {
        let (PlanError::TimedOut { .. } | PlanError::Lost { .. }) = (match &result {
            Ok(_) => return result,
            Err(error) => error,
        }) else {
            return result;
        };
        let timed_out = matches!(result, Err(PlanError::TimedOut { .. }));
        if self.come_back().is_err() || timed_out {
            return result;
        }
        // One statement may crash the server; the next gets a new one.
        result.map_err(|error| PlanError::Refused {
            message: format!("the twin's server ended: {error}"),
            sqlstate: "57P02".to_owned(),
            detail: None,
            hint: None,
            position: None,
        })
    }

    fn come_back(&mut self) -> Result<(), PlanError> {
        self.open = None;
        // The files that were laid are on disk, and what was not committed is
        // rolled back by the server as it starts.
        self.cluster.kill_and_restart().map_err(lost)?;
        self.settle_in().map_err(lost)
    }
}

fn lost(error: ClusterError) -> PlanError {
    PlanError::Lost {
        message: match error {
            ClusterError::Session(error) => error.to_string(),
            other => other.to_string(),
        },
    }
}

/// `17.5` of 170005.
fn dotted(version_num: u32) -> String {
    format!("{}.{}", version_num / 10_000, version_num % 10_000)
}

/// Who plans, and what to know about it.
fn engine(cluster: &dyn Cluster, loaded: &Loaded, snapshot: &Snapshot) -> Engine {
    let kind = match cluster.kind() {
        ClusterKind::Embedded => "embedded",
        ClusterKind::Native => "installed",
    };
    let version = cluster.version_num();
    let origin = &snapshot.origin;
    let mut notes = Vec::new();
    if version / 10_000 != snapshot.major() {
        notes.push(format!(
            "the snapshot is of PostgreSQL {}, and PostgreSQL {} plans here: plans and costs can \
             differ between major versions (--engine native takes an installed one)",
            snapshot.major(),
            version / 10_000
        ));
    }
    notes.extend(loaded.notes.iter().cloned());
    if !loaded.refused.is_empty() {
        let named: Vec<String> = loaded
            .refused
            .iter()
            .take(NAMED)
            .map(|refused| format!("{} ({})", refused.object, refused.message))
            .collect();
        let more = loaded.refused.len().saturating_sub(NAMED);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        notes.push(format!(
            "not in the twin: {}{more}; plans that need them differ",
            named.join(", ")
        ));
    }
    let reckoned = snapshot
        .relations
        .iter()
        .flat_map(|relation| &relation.indexes)
        .filter(|index| {
            matches!(&index.meta, Some(crate::snapshot::IndexMeta::Btree { from, .. }) if from == "size")
        })
        .count();
    if reckoned > 0 {
        notes.push(format!(
            "the heights of {reckoned} B-tree indexes are reckoned from their sizes"
        ));
    }
    // The same version is not said twice.
    let of = if origin.version_num == version {
        origin.database.clone()
    } else {
        let origin_version = origin.version.split_whitespace().next();
        format!(
            "{}, PostgreSQL {}",
            origin.database,
            origin_version.unwrap_or_default()
        )
    };
    Engine {
        description: format!("PostgreSQL {} ({kind} twin of {of})", dotted(version)),
        version_num: version,
        notes,
    }
}

impl Planner for TwinPlanner {
    fn engine(&self) -> Engine {
        self.engine.clone()
    }

    fn catalog(&mut self) -> Result<Catalog, PlanError> {
        if let Some(catalog) = &self.catalog {
            return Ok(catalog.clone());
        }
        self.roll_back()?;
        let since = Instant::now();
        let read = match self.cluster.session() {
            Ok(session) => session.catalog().map_err(PlanError::from),
            Err(error) => Err(lost(error)),
        };
        let mut catalog = self.settle(read)?;
        tracing::debug!("the twin's catalogue: {} ms", since.elapsed().as_millis());
        overlay::overlay(&mut catalog, &self.snapshot);
        for name in FOR_SUGGESTIONS {
            let known = catalog
                .available_extensions
                .iter()
                .any(|other| other == name);
            if !known && self.cluster.has_extension(name) {
                catalog.available_extensions.push((*name).to_owned());
            }
        }
        self.catalog = Some(catalog.clone());
        Ok(catalog)
    }

    fn plan(
        &mut self,
        statement: Planned<'_>,
        options: PlanOptions,
    ) -> Result<PlanGraph, PlanError> {
        if options.analyze {
            return Err(PlanError::Unsupported {
                what: "a twin has no rows, so nothing can be executed on it; \
                       ask the database itself with -d"
                    .to_owned(),
            });
        }
        let plan = self.roll_back().and_then(|()| self.explain(statement));
        self.settle(plan)
    }

    fn what_if(
        &mut self,
        statements: &[Planned<'_>],
        suppositions: &[Supposition],
    ) -> Result<WhatIf, PlanError> {
        let answer = self.try_what_if(statements, suppositions);
        self.settle(answer)
    }

    fn described(
        &mut self,
        statements: &[Planned<'_>],
        suppositions: &[Supposition],
    ) -> Result<Described, PlanError> {
        let open = if suppositions.is_empty() {
            self.roll_back()
        } else {
            self.try_what_if(&[], suppositions).map(drop)
        };
        let described = open.and_then(|()| {
            let session = self.cluster.session().map_err(lost)?;
            session.read_only(|session| described(session, statements))
        });
        self.settle(described)
    }

    fn calls(&self) -> usize {
        self.calls
    }
}
