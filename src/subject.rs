//! One statement seen together with its plan and its catalogue.

use crate::catalog::{Catalog, Column, Relation};
use crate::plan::metrics::Metrics;
use crate::plan::{NodeId, PlanGraph, PlanNode};
use crate::sql::{ColumnRef, Query, Statement};

/// What rules look at. Any part may be missing; a rule names what it needs,
/// and the engine does not call it without.
#[derive(Debug, Clone, Copy, Default)]
pub struct Subject<'a> {
    /// The statement.
    pub statement: Option<&'a Statement>,
    /// Its plan.
    pub plan: Option<&'a PlanGraph>,
    /// The catalogue.
    pub catalog: Option<&'a Catalog>,
    /// The plan's derived numbers. The engine computes them once when the
    /// caller leaves them out, so a rule that needs a plan always has them.
    pub metrics: Option<&'a Metrics>,
}

impl<'a> Subject<'a> {
    /// The statement's meaning.
    pub fn query(&self) -> Option<&'a Query> {
        self.statement
            .and_then(|statement| statement.query.as_ref())
    }

    /// The table that a plan node reads.
    pub fn relation_of_node(&self, node: &PlanNode) -> Option<&'a Relation> {
        let name = node.relation.name.as_deref()?;
        self.catalog?
            .relation_of_plan(node.relation.schema.as_deref(), name)
    }

    /// The table that a plan node reads, by handle.
    pub fn relation_at(&self, id: NodeId) -> Option<&'a Relation> {
        self.relation_of_node(self.plan?.node(id))
    }

    /// The table and column that a reference in the SQL means.
    pub fn column(&self, column: &ColumnRef) -> Option<(&'a Relation, &'a Column)> {
        let (schema, name) = self.query()?.table_of(column)?;
        let relation = self.catalog?.relation(Some(schema), name)?;
        Some((relation, relation.column(&column.name)?))
    }
}
