//! Values that a change adds to enums.
//!
//! A new value of an enum that was there before cannot be used in the
//! transaction that adds it, and the change is tried in one transaction. Tools
//! commit between, so these statements are committed on the throw-away server
//! before the change is tried, after the plans without it were made.

use std::collections::BTreeSet;

use crate::catalog::Catalog;
use crate::pg::Error;
use crate::pg::twin::planner::TwinPlanner;
use crate::plan::PlanGraph;
use crate::verify::{
    ChangeOutcome, Described, Engine, PlanError, PlanOptions, Planned, Planner, Supposition, WhatIf,
};

/// A planner that commits new values of enums before it supposes anything.
pub(super) struct WithValues<'a> {
    planner: &'a mut TwinPlanner,
    /// Statements that add one, and were not tried yet.
    waiting: Vec<String>,
    /// Those that the server took, without the space around them.
    added: BTreeSet<String>,
}

impl<'a> WithValues<'a> {
    pub(super) fn new(planner: &'a mut TwinPlanner, waiting: Vec<String>) -> Self {
        Self {
            planner,
            waiting,
            added: BTreeSet::new(),
        }
    }
}

impl Planner for WithValues<'_> {
    fn engine(&self) -> Engine {
        self.planner.engine()
    }

    fn catalog(&mut self) -> Result<Catalog, PlanError> {
        self.planner.catalog()
    }

    fn plan(
        &mut self,
        statement: Planned<'_>,
        options: PlanOptions,
    ) -> Result<PlanGraph, PlanError> {
        self.planner.plan(statement, options)
    }

    fn what_if(
        &mut self,
        statements: &[Planned<'_>],
        suppositions: &[Supposition],
    ) -> Result<WhatIf, PlanError> {
        for sql in std::mem::take(&mut self.waiting) {
            // One that is refused is tried again in its place: its type may be
            // of the same change, whose values can be used at once.
            match self.planner.session()?.query(&sql, &[]) {
                Ok(_) => {
                    self.added.insert(sql.trim().to_owned());
                }
                Err(error @ Error::Lost { .. }) => return Err(error.into()),
                Err(_) => {}
            }
        }
        let mut answer = self.planner.what_if(statements, suppositions)?;
        for change in &mut answer.changes {
            if self.added.contains(change.sql.trim()) {
                change.outcome = ChangeOutcome::Applied;
            }
        }
        Ok(answer)
    }

    fn described(
        &mut self,
        statements: &[Planned<'_>],
        suppositions: &[Supposition],
    ) -> Result<Described, PlanError> {
        self.planner.described(statements, suppositions)
    }

    fn calls(&self) -> usize {
        self.planner.calls()
    }
}
