//! DROP TABLE of a table that was there before the change.

use super::support::evidence;
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::migration::Direction;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::{Action, ObjectKind};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `DROP TABLE` of a table that was there before the change.
    ///
    /// ## Why it matters
    ///
    /// Its rows are gone, and every running program that still reads or writes
    /// it fails from then on: during a deployment old and new programs run
    /// side by side.
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
        if drop.object != ObjectKind::Table || step.part.direction == Direction::Down {
            return;
        }
        for place in &drop.names {
            let table = step.before.qualify(&place.name);
            if !step.is_in_use(&table) {
                continue;
            }
            sink.report(
                format!("{table} is dropped"),
                "its rows are lost, and programs that still use it fail from then on",
                evidence::statement(step),
            )
            .span(place.span)
            .relation(&table)
            .remedy(
                Remedy::new("drop it one release after the last program stopped using it")
                    .note("Renaming it first shows who still uses it, and can be taken back."),
            );
        }
    }
}
