//! A primary key of integer or smallint.

use super::support::{definitions, evidence};
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::{ColumnDefinition, ConstraintKind};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds new primary keys of one column whose type is `integer`,
    /// `smallint`, `serial` or `smallserial`.
    ///
    /// ## Why it matters
    ///
    /// `integer` ends at 2,147,483,647, `smallint` at 32,767. A sequence loses
    /// numbers to rollbacks and conflicts, so that they run out sooner than the
    /// rows suggest; then every INSERT fails, and widening the column rewrites
    /// the table and all that refers to it.
    ///
    /// ## When it is wrong
    ///
    /// For tables that can never grow large: countries, states, settings.
    ///
    /// ## References
    ///
    /// - [Numeric types](https://www.postgresql.org/docs/current/datatype-numeric.html)
    pub struct IntegerPrimaryKey = {
        id: "integer-primary-key",
        summary: "a primary key is integer or smallint, whose numbers run out",
        level: Note,
        category: Design,
        on: false,
        since: "0.1.0",
    }
}

impl MigrationRule for IntegerPrimaryKey {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let table_key = definitions::constraints(step)
            .into_iter()
            .find(|(_, constraint)| matches!(constraint.kind, ConstraintKind::PrimaryKey))
            .map(|(_, constraint)| constraint.columns.as_slice());
        for (table, column) in definitions::columns(step) {
            let is_key = is_key(column) || table_key == Some(std::slice::from_ref(&column.name));
            let Some(type_name) = column.type_name.as_ref().filter(|_| is_key) else {
                continue;
            };
            let last = match type_name.base.name.as_str() {
                "int4" if !type_name.array => "2,147,483,647",
                "int2" if !type_name.array => "32,767",
                _ => continue,
            };
            sink.report(
                format!(
                    "the primary key {} of {table} is {}",
                    column.name, type_name.text
                ),
                format!(
                    "its numbers end at {last}; then every INSERT fails, and widening it \
                     rewrites the table"
                ),
                evidence::statement(step),
            )
            .span(type_name.span)
            .relation(&table)
            .object(&column.name)
            .remedy(Remedy::new("make it bigint"));
        }
    }
}

fn is_key(column: &ColumnDefinition) -> bool {
    column
        .constraints
        .iter()
        .any(|constraint| matches!(constraint.kind, ConstraintKind::PrimaryKey))
}
