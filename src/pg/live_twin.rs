//! A live server with a twin beside it: plans come from the server, and where
//! it has no hypopg, suppositions are made on a twin of it, so that nobody
//! needs an extension.
//!
//! The twin is made of a snapshot that is taken in the planner's own session
//! when the first supposition is asked for, and that stays in memory.

use super::live::LivePlanner;
use super::sample;
use super::snapshot::SnapshotOptions;
use super::twin::planner::TwinPlanner;
use crate::catalog::Catalog;
use crate::plan::PlanGraph;
use crate::snapshot::Snapshot;
use crate::verify::{
    Engine, PlanError, PlanOptions, Planned, Planner, Supposition, TriedChange, WhatIf,
};

/// Makes a twin of a snapshot; an error says in a sentence why there is none.
pub type Opener = Box<dyn FnMut(Snapshot) -> Result<TwinPlanner, String>>;

/// A live server whose suppositions are made on a twin where they must.
pub struct LiveWithTwin {
    live: LivePlanner,
    open: Opener,
    twin: Twin,
    /// hypopg is not used where it is.
    without_hypopg: bool,
}

/// What became of the twin.
enum Twin {
    NotNeeded,
    Open {
        planner: Box<TwinPlanner>,
        /// What the snapshot lacks and how it was taken.
        notes: Vec<String>,
    },
    /// There is none, and why.
    Failed(String),
}

impl std::fmt::Debug for LiveWithTwin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveWithTwin")
            .field("live", &self.live)
            .finish_non_exhaustive()
    }
}

impl LiveWithTwin {
    /// A planner on a live server. `open` is called once at most, when
    /// something is supposed that the server cannot.
    pub fn new(live: LivePlanner, open: Opener) -> Self {
        Self {
            live,
            open,
            twin: Twin::NotNeeded,
            without_hypopg: false,
        }
    }

    /// Whether the twin is taken even where hypopg could suppose indexes: for
    /// changes of other kinds, which hypopg knows nothing of.
    #[must_use]
    pub fn without_hypopg(mut self, without: bool) -> Self {
        self.without_hypopg = without;
        self
    }

    /// Whether suppositions are made on the twin.
    fn is_elsewhere(&mut self) -> Result<bool, PlanError> {
        Ok(self.without_hypopg || !self.live.has_hypopg()?)
    }

    /// The twin; made now if it was not needed before.
    fn twin(&mut self) -> Result<&mut TwinPlanner, PlanError> {
        if matches!(self.twin, Twin::NotNeeded) {
            self.twin = self.make()?;
        }
        match &mut self.twin {
            Twin::Open { planner, .. } => Ok(planner),
            Twin::Failed(why) => Err(PlanError::Unsupported { what: why.clone() }),
            Twin::NotNeeded => Err(PlanError::Unsupported {
                what: "there is no twin of the server".to_owned(),
            }),
        }
    }

    /// Why a twin is needed.
    fn reason(&mut self) -> Result<&'static str, PlanError> {
        Ok(if self.live.has_hypopg()? {
            "nothing is changed in the database itself"
        } else {
            "hypopg is not installed in the database"
        })
    }

    fn make(&mut self) -> Result<Twin, PlanError> {
        let reason = self.reason()?;
        let failed = |what: &str, why: &str| {
            Twin::Failed(format!("{reason}, and {what} to try it on instead: {why}"))
        };
        let snapshot = match self.live.snapshot(&SnapshotOptions::default()) {
            Ok(snapshot) => snapshot,
            Err(error) => {
                let mut why = error.to_string();
                if let Some(hint) = error.hint() {
                    why = format!("{why} ({hint})");
                }
                // Without its connection the server cannot plan either.
                return match PlanError::from(error) {
                    lost @ PlanError::Lost { .. } => Err(lost),
                    _ => Ok(failed("no snapshot of it could be taken", &why)),
                };
            }
        };
        let mut notes = vec![format!(
            "{reason}: they are tried on a twin, made of a snapshot of the whole database (no \
             rows) that was held in memory"
        )];
        notes.extend(
            snapshot
                .limits
                .iter()
                .map(|limit| limit.trim_end_matches('.').to_owned()),
        );
        Ok(match (self.open)(snapshot) {
            Ok(planner) => Twin::Open {
                planner: Box::new(planner),
                notes,
            },
            Err(why) => failed("no twin of it could be made", &why),
        })
    }
}

/// The twin's refusal of a statement that the server plans: something that it
/// needs could not be made there.
fn not_there(reason: &str, error: PlanError) -> PlanError {
    match error {
        PlanError::Refused { message, .. } => PlanError::Unsupported {
            what: format!("{reason}, and its twin cannot plan the statement: {message}"),
        },
        other => other,
    }
}

impl Planner for LiveWithTwin {
    fn engine(&self) -> Engine {
        self.live.engine()
    }

    fn catalog(&mut self) -> Result<Catalog, PlanError> {
        self.live.catalog()
    }

    fn plan(
        &mut self,
        statement: Planned<'_>,
        options: PlanOptions,
    ) -> Result<PlanGraph, PlanError> {
        self.live.plan(statement, options)
    }

    fn what_if(
        &mut self,
        statements: &[Planned<'_>],
        suppositions: &[Supposition],
    ) -> Result<WhatIf, PlanError> {
        // Statistics are computed from rows, and a twin has none: the server
        // gives a sample of its own.
        if let [
            Supposition::Statistics {
                statements: changes,
                relations,
            },
        ] = suppositions
        {
            self.twin()?;
            let Twin::Open { planner, .. } = &mut self.twin else {
                return self.live.what_if(statements, suppositions);
            };
            let live = self.live.session_mut();
            return sample::what_if(live, planner, statements, changes, relations);
        }
        let of_rows = suppositions
            .iter()
            .any(|one| matches!(one, Supposition::Statistics { .. }));
        if of_rows || !self.is_elsewhere()? {
            return self.live.what_if(statements, suppositions);
        }
        self.twin()?.what_if(statements, suppositions)
    }

    fn what_if_baseline(&mut self, statement: Planned<'_>) -> Result<Option<PlanGraph>, PlanError> {
        if !self.is_elsewhere()? {
            return Ok(None);
        }
        let reason = self.reason()?;
        self.twin()?
            .plan(statement, PlanOptions::default())
            .map(Some)
            .map_err(|error| not_there(reason, error))
    }

    fn what_if_engine(&self) -> Option<Engine> {
        let Twin::Open { planner, notes } = &self.twin else {
            return None;
        };
        let mut engine = planner.engine();
        engine.notes.splice(0..0, notes.iter().cloned());
        Some(engine)
    }

    fn try_change(
        &mut self,
        statements: &[Planned<'_>],
        change: &[Supposition],
    ) -> Result<TriedChange, PlanError> {
        // hypopg supposes indexes; a change is more than that.
        let mut tried = self.twin()?.try_change(statements, change)?;
        if let Some(engine) = self.what_if_engine() {
            tried.engine = engine;
        }
        Ok(tried)
    }

    fn plan_with(
        &mut self,
        statement: Planned<'_>,
        settings: &[(&str, &str)],
    ) -> Result<PlanGraph, PlanError> {
        self.live.plan_with(statement, settings)
    }

    fn measure(
        &mut self,
        statement: Planned<'_>,
        suppositions: &[Supposition],
    ) -> Result<Option<f64>, PlanError> {
        self.live.measure(statement, suppositions)
    }

    fn calls(&self) -> usize {
        let twin = match &self.twin {
            Twin::Open { planner, .. } => planner.calls(),
            _ => 0,
        };
        self.live.calls() + twin
    }
}
