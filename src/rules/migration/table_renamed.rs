//! RENAME TO of a table.

use super::support::around::{self, altered};
use super::support::evidence;
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::migration::state::Qualified;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::{AlterKind, ObjectKind};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `ALTER TABLE … RENAME TO` of a table that was there before the
    /// change. Silent when a table or a view takes the old name in the same
    /// change.
    ///
    /// ## Why it matters
    ///
    /// From the commit on, every running program that uses the old name
    /// fails. During a deployment old and new programs run side by side, so
    /// that one of them fails whatever is deployed first.
    ///
    /// ## When it is wrong
    ///
    /// When no program uses the table.
    ///
    /// ## References
    ///
    /// - [ALTER TABLE](https://www.postgresql.org/docs/current/sql-altertable.html)
    /// - [Updatable views](https://www.postgresql.org/docs/current/sql-createview.html#SQL-CREATEVIEW-UPDATABLE-VIEWS)
    pub struct TableRenamed = {
        id: "table-renamed",
        summary: "a table is renamed, and programs that use the old name fail",
        level: Warning,
        category: Compatibility,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for TableRenamed {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let Some((alter, table)) = altered(step) else {
            return;
        };
        let known = step.before.known(&table);
        if alter.object == ObjectKind::Table
            && (step.before.index(&alter.relation.name).is_some()
                || (known.is_none() && table.name.ends_with("_seq"))
                || known.is_some_and(|known| {
                    matches!(
                        known.kind,
                        crate::catalog::RelationKind::View
                            | crate::catalog::RelationKind::MaterializedView
                    )
                }))
        {
            return;
        }
        for command in &alter.commands {
            let AlterKind::RenameTo { name } = &command.kind else {
                continue;
            };
            if around::behind(step).any(|statement| {
                around::makes(step, statement, &table)
                    || around::drops(step, statement, &Qualified::new(&table.schema, name))
            }) {
                continue;
            }
            let new = Qualified::new(&table.schema, name);
            sink.report(
                format!("{table} is renamed to {new}"),
                "programs that use the old name fail from then on",
                evidence::statement(step),
            )
            .span(command.span)
            .relation(&table)
            .remedy(
                Remedy::new("leave a view with the old name until no program uses it")
                    .then(format!(
                        "ALTER TABLE {} RENAME TO {}",
                        table.sql(),
                        crate::catalog::ident::quote(name)
                    ))
                    .then(format!(
                        "CREATE VIEW {} AS SELECT * FROM {}",
                        table.sql(),
                        new.sql()
                    ))
                    .then_apart(format!("DROP VIEW {}", table.sql()))
                    .note(
                        "The first two in one transaction. The view can be read and written like the table, but not be referenced by foreign keys.",
                    )
                    .note("Privileges of the table must be granted on the view, too."),
            );
        }
    }
}
