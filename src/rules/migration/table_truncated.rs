//! TRUNCATE of tables in use.

use super::support::around::{in_use, listed, size};
use super::support::evidence;
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::migration::state::Qualified;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::Action;

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `TRUNCATE` of tables that were there before the change. With
    /// `CASCADE` it names the tables that are emptied, too, because their
    /// foreign keys lead to it.
    ///
    /// ## Why it matters
    ///
    /// All rows are gone. TRUNCATE takes ACCESS EXCLUSIVE, fires no DELETE
    /// triggers and, seen from older snapshots, is not MVCC-safe: a
    /// transaction that began before sees an empty table.
    ///
    /// ## When it is wrong
    ///
    /// When the rows are meant to go: a cache, or a table that is filled
    /// again by the next statement.
    ///
    /// ## References
    ///
    /// - [TRUNCATE](https://www.postgresql.org/docs/current/sql-truncate.html)
    /// - [Caveats of MVCC](https://www.postgresql.org/docs/current/mvcc-caveats.html)
    pub struct TableTruncated = {
        id: "table-truncated",
        summary: "a table is emptied",
        level: Warning,
        category: Compatibility,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for TableTruncated {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let Action::Truncate { tables, cascade } = &step.statement.action else {
            return;
        };
        for place in tables {
            let Some(table) = in_use(step, &place.name, false) else {
                continue;
            };
            let named: Vec<Qualified> = tables
                .iter()
                .map(|place| step.before.qualify(&place.name))
                .collect();
            let also: Vec<Qualified> = if *cascade {
                reached(step, &table)
                    .into_iter()
                    .filter(|other| !named.contains(other) && step.is_in_use(other))
                    .collect()
            } else {
                Vec::new()
            };
            let mut why = format!("all its rows{} are lost", size(step, &table));
            if !also.is_empty() {
                why.push_str(&format!(
                    ", and CASCADE empties {}, whose foreign keys lead to it",
                    listed(&also)
                ));
            }
            sink.report(
                format!("{table} is emptied"),
                why,
                evidence::statement(step),
            )
            .span(place.span)
            .relation(&table)
            .remedy(
                Remedy::new("keep a copy, or delete in batches what must go")
                    .then(format!(
                        "CREATE TABLE {} AS TABLE {}",
                        Qualified::new(&table.schema, format!("{}_before", table.name)).sql(),
                        table.sql()
                    ))
                    .note("Name every table that is to be emptied, and leave CASCADE out."),
            );
        }
    }
}

/// Tables whose foreign keys lead to that one, over any number of others.
fn reached(step: &Step<'_>, table: &Qualified) -> Vec<Qualified> {
    let mut found: Vec<Qualified> = Vec::new();
    let mut open = vec![table.clone()];
    while let Some(next) = open.pop() {
        for (from, _) in step.before.referencing(&next) {
            if from.name != *table && !found.contains(&from.name) {
                found.push(from.name.clone());
                open.push(from.name.clone());
            }
        }
    }
    found.sort();
    found
}
