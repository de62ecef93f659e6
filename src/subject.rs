//! One statement seen together with its plan and its catalogue.

use crate::catalog::{Catalog, Column, Relation, RelationKind};
use crate::plan::metrics::Metrics;
use crate::plan::{NodeId, PlanGraph, PlanNode};
use crate::source::Span;
use crate::sql::{Clause, ColumnRef, Operand, Predicate, Query, Statement};

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
    /// Findings are wanted however little they weigh, to say why a node was
    /// not flagged: nothing of it is shown as a finding.
    pub whatever_weight: bool,
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

    /// The user's text of a span of the statement; empty when the span is not
    /// of it.
    pub fn text(&self, span: Span) -> &'a str {
        self.statement.map_or("", |statement| {
            let base = statement.span.start;
            span.start
                .checked_sub(base)
                .zip(span.end.checked_sub(base))
                .and_then(|(start, end)| statement.text.get(start..end))
                .unwrap_or("")
        })
    }

    /// Proves that a column is never null in rows of its level that have
    /// passed WHERE, not counting the predicate at `except`: what is so, and
    /// the fact that proves it. Otherwise the reason why it is not known.
    pub fn never_null(
        &self,
        column: &ColumnRef,
        except: Option<Span>,
    ) -> Result<(String, String), String> {
        let shown = self.text(column.span);
        let strict = column
            .relation
            .and_then(|(level, _)| self.query()?.selects.get(level))
            .and_then(|select| {
                select.predicates.iter().find(|predicate| {
                    predicate.conjunct
                        && predicate.clause == Clause::Where
                        && Some(predicate.span) != except
                        && rejects_null(predicate)
                        && [&predicate.left, &predicate.right].iter().any(|side| {
                            matches!(side, Operand::Column(other)
                                if other.relation == column.relation && other.name == column.name)
                        })
                })
            });
        if let Some(predicate) = strict {
            return Ok((
                format!("{shown} is never null"),
                format!(
                    "the condition {} lets no null pass",
                    self.text(predicate.span)
                ),
            ));
        }
        let Some((relation, found)) = self.column(column) else {
            return Err(format!("it is not known whether {shown} can be null"));
        };
        let name = format!("{}.{}", relation.name, found.name);
        if !found.not_null {
            return Err(format!("{name} can be null"));
        }
        if self
            .query()
            .and_then(|query| query.relation_of(column))
            .is_some_and(|item| item.nullable)
        {
            return Err(format!(
                "{shown} is null where the outer join finds no match"
            ));
        }
        if relation.kind == RelationKind::ForeignTable {
            return Err(format!(
                "{name} is declared NOT NULL, but PostgreSQL does not enforce that on a foreign \
                 table"
            ));
        }
        // Before version 18 a child could drop the constraint.
        let dropped = relation.kind == RelationKind::Table
            && self.catalog.is_some_and(|catalog| {
                catalog.relations.iter().any(|child| {
                    child.parent.as_ref().is_some_and(|(schema, name)| {
                        *schema == relation.schema && *name == relation.name
                    }) && child
                        .column(&found.name)
                        .is_none_or(|column| !column.not_null)
                })
            });
        if dropped {
            return Err(format!(
                "{name} is NOT NULL, but nullable in a table that inherits from it"
            ));
        }
        Ok((
            format!("{name} is never null"),
            "it is NOT NULL in the catalogue".to_owned(),
        ))
    }
}

/// Whether a predicate is never true of a null column.
fn rejects_null(predicate: &Predicate) -> bool {
    matches!(
        predicate.operator.as_str(),
        "=" | "<>"
            | "!="
            | "<"
            | "<="
            | ">"
            | ">="
            | "like"
            | "not like"
            | "ilike"
            | "not ilike"
            | "between"
            | "not between"
            | "in"
            | "is not null"
            | "is true"
            | "is false"
    )
}
