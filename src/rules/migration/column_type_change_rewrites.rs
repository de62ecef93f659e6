//! ALTER COLUMN … TYPE that rewrites the table.

use super::support::altered::Altered;
use super::support::{lock, names, safe};
use crate::catalog::ident::quote;
use crate::declare_migration_rule;
use crate::finding::Level;
use crate::finding::migration::Remedy;
use crate::migration::locks::Work;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::{AlterKind, TypeName};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `ALTER COLUMN … TYPE` that writes the table anew, rebuilds indexes
    /// or reads all rows. The type that the column has is known from the
    /// migrations before.
    ///
    /// ## Why it matters
    ///
    /// The whole table and all its indexes are written anew under ACCESS
    /// EXCLUSIVE: nobody can even read it until that is done. Some changes cost
    /// nothing, because what is stored stays the same: a longer `varchar`,
    /// `varchar` to `text`, a `numeric` of greater precision and the same scale.
    /// These are not reported.
    ///
    /// ## When it is wrong
    ///
    /// When nobody uses the table while the migration runs, or it is small. With
    /// sizes (`--snapshot`) small tables give a note only. When the old type is
    /// not known, because the migration that made the column is not among those
    /// checked, the finding is a warning.
    ///
    /// ## References
    ///
    /// - [ALTER TABLE: notes](https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES)
    pub struct ColumnTypeChangeRewrites = {
        id: "column-type-change-rewrites",
        summary: "a change of a column type rewrites the table",
        level: Critical,
        category: Locks,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for ColumnTypeChangeRewrites {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let Some(altered) = Altered::of(step) else {
            return;
        };
        for (number, command) in altered.commands() {
            let AlterKind::SetType {
                column,
                type_name,
                using,
                collation,
            } = &command.kind
            else {
                continue;
            };
            let Some(effect) = altered.working(number, Work::Scan) else {
                continue;
            };
            // Another collation alone is found by a rule of its own.
            if collation.is_some() && effect.work == Work::IndexRebuild {
                continue;
            }
            let old = altered
                .state
                .and_then(|table| table.column(column))
                .and_then(|column| column.type_name.as_ref());
            let from = old.map_or_else(String::new, |old| format!(" from {}", old.text));
            let what = match effect.work {
                Work::Rewrite if old.is_none() => {
                    format!("may write all of {} anew", altered.table)
                }
                Work::Rewrite => format!("writes all of {} anew", altered.table),
                Work::Scan => format!("reads all of {}", altered.table),
                _ => format!("rebuilds indexes of {}", altered.table),
            };
            let (level, assumed) = if old.is_none() {
                (
                    Level::Warning,
                    Some(format!(
                        "{column} has a type of another kind of storage (its type before is not \
                         known)"
                    )),
                )
            } else {
                (Level::Critical, None)
            };
            let remedy = remedy(
                step,
                &altered,
                column,
                type_name,
                using.as_ref().map(|using| using.text.as_str()),
            );
            lock::report(
                step,
                sink,
                effect,
                level,
                format!(
                    "changing the type of {column}{from} to {} {what}",
                    type_name.text
                ),
                lock::why_long(effect),
            )
            .span(command.span)
            .relation(altered.table)
            .object(column.clone())
            .assumed(assumed)
            .remedy(remedy);
        }
    }
}

/// A new column, kept by a trigger, filled in batches, and swapped.
fn remedy(
    step: &Step<'_>,
    altered: &Altered<'_, '_>,
    column: &str,
    type_name: &TypeName,
    using: Option<&str>,
) -> Remedy {
    let table = &altered.sql;
    let old = quote(column);
    let new_name = names::object(column, &[], "new");
    let new = quote(&new_name);
    let to = step.text(type_name.span);
    let trigger = quote(&names::object(
        &altered.table.name,
        std::slice::from_ref(&new_name),
        "fill",
    ));
    let value = using.map_or_else(|| format!("{old}::{to}"), |using| format!("({using})"));
    Remedy::new("add a new column, keep it by a trigger, fill it in batches, then swap the names")
        .then(format!(
            "ALTER TABLE {table} ADD COLUMN {new} {to};\nCREATE FUNCTION {trigger}() RETURNS \
             trigger LANGUAGE plpgsql AS $$\nBEGIN\n  NEW.{new} := (SELECT {value} FROM (SELECT \
             NEW.*) AS changed);\n  RETURN NEW;\nEND\n$$;\nCREATE TRIGGER {trigger} BEFORE \
             INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {trigger}()"
        ))
        .then_apart(format!(
            "UPDATE {table} SET {new} = {value}\nWHERE ctid = ANY (ARRAY(SELECT ctid FROM {table} \
             WHERE {new} IS NULL AND {old} IS NOT NULL LIMIT 10000))"
        ))
        .then_apart(format!(
            "DROP TRIGGER {trigger} ON {table};\nDROP FUNCTION {trigger}();\nALTER TABLE {table} \
             RENAME COLUMN {old} TO {};\nALTER TABLE {table} RENAME COLUMN {new} TO {old}",
            quote(&names::object(column, &[], "old"))
        ))
        .note(safe::BACKFILL_NOTE)
        .note(
            "Indexes, constraints, default and NOT NULL of the column are made for the new one \
             before the swap, each without its lock.",
        )
}
