//! Indexes that are there twice.

use super::support::{around, evidence, keys};
use crate::catalog::ident::quote;
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::finding::{Evidence, Origin, Value};
use crate::migration::state::{IndexState, Owner, Qualified, Table};
use crate::rule::migration::{End, MigrationRule, MigrationSink};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds indexes that new migrations make and that, after the last
    /// migration, are the same as another one of the table: the same keys,
    /// method, operator classes, order, predicate and included columns. That
    /// of a UNIQUE constraint and a unique index are the same, too.
    ///
    /// ## Why it matters
    ///
    /// Each INSERT, and most UPDATEs, write both; both take memory and room;
    /// the planner uses one of them at most.
    ///
    /// ## When it is wrong
    ///
    /// For the time in which one is built to take the place of the other:
    /// then the drop is still to come.
    ///
    /// ## References
    ///
    /// - [Indexes](https://www.postgresql.org/docs/current/indexes-intro.html)
    pub struct DuplicateIndex = {
        id: "duplicate-index",
        summary: "two indexes of a table are the same",
        level: Warning,
        category: Performance,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for DuplicateIndex {
    fn end(&self, end: &End<'_>, sink: &mut MigrationSink) {
        let history = end.context.history;
        for table in end.after.tables() {
            for (number, index) in table.indexes.iter().enumerate() {
                let Some(first) = table
                    .indexes
                    .get(..number)
                    .unwrap_or_default()
                    .iter()
                    .find(|other| keys::same(other, index))
                else {
                    continue;
                };
                if index.parent.is_some() || first.parent.is_some() {
                    continue;
                }
                let place = index
                    .created
                    .filter(|at| around::is_new(history, Some(*at)))
                    .or(first
                        .created
                        .filter(|at| around::is_new(history, Some(*at))));
                let Some(at) = place else {
                    continue;
                };
                let Some(statement) = around::statement_at(history, at) else {
                    continue;
                };
                // The one that is only an index can go.
                let (goes, stays) = if index.owner == Owner::Index {
                    (index, first)
                } else {
                    (first, index)
                };
                sink.report(
                    format!(
                        "{} of {} is the same as {}",
                        goes.name, table.name, stays.name
                    ),
                    "each INSERT writes both, and the planner uses one of them at most",
                    evidence::of(statement),
                )
                .at(at, keys::place_of_index(statement, index))
                .relation(&table.name)
                .object(goes.name.as_str())
                .evidence(Evidence::new(
                    "the other index",
                    Value::Text(stays.name.clone()),
                    Origin::Catalog(stays.name.clone()),
                ))
                .remedy(without(table, goes));
            }
        }
    }
}

fn without(table: &Table, index: &IndexState) -> Remedy {
    let remedy = Remedy::new(format!("leave {} out, or drop it", index.name));
    match &index.owner {
        Owner::Constraint(name) => remedy.then_apart(format!(
            "ALTER TABLE {} DROP CONSTRAINT {}",
            table.name.sql(),
            quote(name)
        )),
        Owner::Index => remedy.then_outside(format!(
            "DROP INDEX CONCURRENTLY {}",
            Qualified::new(&table.name.schema, &index.name).sql()
        )),
    }
}
