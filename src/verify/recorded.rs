//! A planner that answers from recordings, for tests of what stands on
//! [`Planner`] without a server.

use std::collections::{BTreeMap, BTreeSet};

use super::{Engine, PlanError, PlanOptions, Planned, Planner, SupposedIndex, Supposition, WhatIf};
use crate::catalog::Catalog;
use crate::plan::PlanGraph;

/// Plans by statement and by the set of suppositions in force.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    catalog: Catalog,
    plans: BTreeMap<(String, BTreeSet<String>), PlanGraph>,
    calls: usize,
}

impl Recorded {
    /// A planner over that catalogue, without plans yet.
    pub fn new(catalog: Catalog) -> Self {
        Self {
            catalog,
            ..Self::default()
        }
    }

    /// Records the plan of a statement with the indexes of those names
    /// supposed. When a set was not recorded, the largest recorded subset of
    /// it answers: an index that no recording knows is one that no plan uses.
    pub fn record(mut self, sql: &str, indexes: &[&str], plan: PlanGraph) -> Self {
        let names = indexes.iter().map(|name| (*name).to_owned()).collect();
        self.plans.insert((sql.to_owned(), names), plan);
        self
    }

    fn answer(&mut self, sql: &str, names: &BTreeSet<String>) -> Result<PlanGraph, PlanError> {
        self.calls += 1;
        self.plans
            .iter()
            .filter(|((recorded, set), _)| recorded == sql && set.is_subset(names))
            .max_by_key(|((_, set), _)| set.len())
            .map(|(_, plan)| plan.clone())
            .ok_or_else(|| PlanError::Unsupported {
                what: "no plan of this statement was recorded".to_owned(),
            })
    }
}

impl Planner for Recorded {
    fn engine(&self) -> Engine {
        Engine {
            description: "recorded plans".to_owned(),
            version_num: self.catalog.version_num,
            notes: Vec::new(),
        }
    }

    fn catalog(&mut self) -> Result<Catalog, PlanError> {
        Ok(self.catalog.clone())
    }

    fn plan(
        &mut self,
        statement: Planned<'_>,
        _options: PlanOptions,
    ) -> Result<PlanGraph, PlanError> {
        self.answer(statement.sql, &BTreeSet::new())
    }

    fn what_if(
        &mut self,
        statements: &[Planned<'_>],
        suppositions: &[Supposition],
    ) -> Result<WhatIf, PlanError> {
        let specs = Supposition::indexes(suppositions);
        let names = specs.iter().map(|spec| spec.name.clone()).collect();
        Ok(WhatIf {
            plans: statements
                .iter()
                .map(|statement| self.answer(statement.sql, &names))
                .collect(),
            indexes: specs
                .iter()
                .map(|spec| SupposedIndex {
                    name: spec.name.clone(),
                    parts: Vec::new(),
                    bytes: None,
                    how: "estimated",
                    refused: None,
                })
                .collect(),
            changes: Vec::new(),
        })
    }

    fn calls(&self) -> usize {
        self.calls
    }
}
