//! DROP TABLE of a table that was there before the change.

use super::support::around::{in_use, size};
use super::support::{around, evidence};
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::migration::state::Qualified;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::{Action, DmlKind, ObjectKind};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `DROP TABLE` of a table that was there before the change. A
    /// table whose name is taken by another one later in the change is not
    /// reported: that is a replacement.
    ///
    /// ## Why it matters
    ///
    /// Its rows are gone, and every running program that still reads or
    /// writes it fails from then on: during a deployment old and new programs
    /// run side by side.
    ///
    /// ## When it is wrong
    ///
    /// When the last release already stopped using the table.
    ///
    /// ## References
    ///
    /// - [DROP TABLE](https://www.postgresql.org/docs/current/sql-droptable.html)
    pub struct TableDropped = {
        id: "table-dropped",
        summary: "a table is dropped, with its rows",
        level: Warning,
        category: Compatibility,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for TableDropped {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let Action::Drop(drop) = &step.statement.action else {
            return;
        };
        if !matches!(drop.object, ObjectKind::Table | ObjectKind::ForeignTable) {
            return;
        }
        for place in &drop.names {
            let Some(table) = in_use(step, &place.name, drop.if_exists) else {
                continue;
            };
            let kept = copied_to(step, &table);
            if kept.is_some()
                && around::behind(step).any(|statement| around::makes(step, statement, &table))
            {
                continue;
            }
            let rows = match kept {
                Some(to) => format!(
                    "its rows were copied to {to} by this change, but not what is written meanwhile"
                ),
                None => format!("its rows{} are lost", size(step, &table)),
            };
            sink.report(
                format!("{table} is dropped"),
                format!("{rows}; programs that still use it fail from then on"),
                evidence::statement(step),
            )
            .span(place.span)
            .relation(&table)
            .remedy(
                Remedy::new("drop it one release after the last program stopped using it")
                    .then(format!(
                        "ALTER TABLE {} RENAME TO {}",
                        table.sql(),
                        crate::catalog::ident::quote(&format!("{}_unused", table.name))
                    ))
                    .then_apart(format!(
                        "DROP TABLE {}",
                        Qualified::new(&table.schema, format!("{}_unused", table.name)).sql()
                    ))
                    .note(
                        "Renaming it first shows who still uses it, and can be taken back: \
                         rename when nobody should, drop a release later.",
                    ),
            );
        }
    }
}

/// The table that this change copied the rows to.
fn copied_to(step: &Step<'_>, table: &Qualified) -> Option<Qualified> {
    around::ahead(step).find_map(|statement| match &statement.action {
        Action::Dml(dml)
            if dml.kind == DmlKind::Insert
                && dml.reads.iter().any(|name| around::is(step, name, table)) =>
        {
            dml.target
                .as_ref()
                .map(|target| step.before.qualify(&target.name))
        }
        Action::CreateTable(create)
            if create
                .query
                .as_ref()
                .is_some_and(|reads| reads.iter().any(|name| around::is(step, name, table))) =>
        {
            Some(step.before.qualify(&create.table.name))
        }
        _ => None,
    })
}
