//! RENAME COLUMN.

use super::support::around::altered;
use super::support::evidence;
use crate::catalog::RelationKind;
use crate::catalog::ident::quote;
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::migration::state::{Qualified, Table};
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::AlterKind;

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `RENAME COLUMN` of a column that was there before the change.
    ///
    /// ## Why it matters
    ///
    /// From the commit on, every running program that uses the old name
    /// fails. During a deployment old and new programs run side by side, so
    /// that one of them fails whatever is deployed first.
    ///
    /// ## When it is wrong
    ///
    /// When no program uses the column.
    ///
    /// ## References
    ///
    /// - [ALTER TABLE](https://www.postgresql.org/docs/current/sql-altertable.html)
    /// - [Trigger functions](https://www.postgresql.org/docs/current/plpgsql-trigger.html)
    pub struct ColumnRenamed = {
        id: "column-renamed",
        summary: "a column is renamed, and programs that use the old name fail",
        level: Warning,
        category: Compatibility,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for ColumnRenamed {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let Some((alter, table)) = altered(step) else {
            return;
        };
        let known = step.before.known(&table);
        for command in &alter.commands {
            let AlterKind::RenameColumn { from, to } = &command.kind else {
                continue;
            };
            if known
                .and_then(|known| known.column(from))
                .and_then(|column| column.added)
                .is_some_and(|added| step.is_same_change(added))
            {
                continue;
            }
            sink.report(
                format!("{from} of {table} is renamed to {to}"),
                "programs that use the old name fail from then on",
                evidence::statement(step),
            )
            .span(command.span)
            .relation(&table)
            .object(from.as_str())
            .remedy(expand_and_contract(known, &table, from, to));
        }
    }
}

/// A second column, kept the same by a trigger, and the old one dropped later.
fn expand_and_contract(known: Option<&Table>, table: &Qualified, from: &str, to: &str) -> Remedy {
    let remedy = Remedy::new("add the new column, keep both the same, drop the old one later");
    let column = known.and_then(|known| known.column(from));
    let Some(type_name) = column.and_then(|column| column.type_name.as_ref()) else {
        return remedy.note(
            "Add a column of the new name, fill both by a trigger, fill the old rows in batches, release programs that use the new name, then drop the old column.",
        );
    };
    if known.is_some_and(|known| known.kind != RelationKind::Table) {
        return remedy;
    }
    let function = quote(&format!("{}_{to}_sync", table.name));
    let (table, old, new) = (table.sql(), quote(from), quote(to));
    remedy
        .then(format!("ALTER TABLE {table} ADD COLUMN {new} {}", type_name.text))
        .then(format!(
            "CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$\n\
             BEGIN\n  \
               IF TG_OP = 'INSERT' THEN\n    \
                 NEW.{new} := coalesce(NEW.{new}, NEW.{old});\n    \
                 NEW.{old} := coalesce(NEW.{old}, NEW.{new});\n  \
               ELSIF NEW.{new} IS DISTINCT FROM OLD.{new} THEN\n    \
                 NEW.{old} := NEW.{new};\n  \
               ELSE\n    \
                 NEW.{new} := NEW.{old};\n  \
               END IF;\n  \
               RETURN NEW;\n\
             END $$"
        ))
        .then(format!(
            "CREATE TRIGGER {function} BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {function}()"
        ))
        .then_apart(format!(
            "UPDATE {table} SET {new} = {old} WHERE {new} IS NULL AND {old} IS NOT NULL"
        ))
        .then_apart(format!("DROP TRIGGER {function} ON {table}; DROP FUNCTION {function}()"))
        .then(format!("ALTER TABLE {table} DROP COLUMN {old}"))
        .note("The UPDATE in batches where the table is large.")
        .note("Constraints, indexes and the default of the old column must be given to the new one, too.")
        .note("Between the UPDATE and the last step, release programs that use only the new column.")
}
