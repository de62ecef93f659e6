//! ALTER COLUMN … TYPE … COLLATE that rebuilds indexes.

use super::support::altered::Altered;
use super::support::{lock, safe};
use crate::catalog::ident::quote;
use crate::declare_migration_rule;
use crate::finding::Level;
use crate::finding::migration::Remedy;
use crate::migration::locks::Work;
use crate::migration::state::Owner;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::AlterKind;

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `ALTER COLUMN … TYPE … COLLATE …` that keeps the table as it is
    /// stored but rebuilds the indexes on the column.
    ///
    /// ## Why it matters
    ///
    /// The indexes are built anew, from the whole table, while ACCESS EXCLUSIVE
    /// is held: nobody can even read the table until that is done.
    ///
    /// ## When it is wrong
    ///
    /// When nobody uses the table while the migration runs, or it is small. With
    /// sizes (`--snapshot`) small tables give a note only.
    ///
    /// ## References
    ///
    /// - [ALTER TABLE: notes](https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES)
    pub struct CollationChangeRebuildsIndexes = {
        id: "collation-change-rebuilds-indexes",
        summary: "another collation of a column rebuilds its indexes under lock",
        level: Critical,
        category: Locks,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for CollationChangeRebuildsIndexes {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let Some(altered) = Altered::of(step) else {
            return;
        };
        for (number, command) in altered.commands() {
            let AlterKind::SetType {
                column,
                collation: Some(collation),
                ..
            } = &command.kind
            else {
                continue;
            };
            let Some(effect) = altered
                .effect(number)
                .filter(|effect| effect.work == Work::IndexRebuild)
            else {
                continue;
            };
            let mut remedy = Remedy::new(
                "drop the indexes on it first, CONCURRENTLY, and build them CONCURRENTLY behind it",
            );
            let indexes = altered.state.map(|table| table.indexes.as_slice());
            for index in indexes.unwrap_or_default() {
                let is_on = index
                    .keys
                    .iter()
                    .any(|key| key.columns.contains(column) || key.column.as_ref() == Some(column));
                if !is_on {
                    continue;
                }
                if index.owner == Owner::Index {
                    remedy = remedy
                        .then_outside(format!("DROP INDEX CONCURRENTLY {}", quote(&index.name)));
                } else {
                    remedy = remedy.note(format!(
                        "{} belongs to a constraint, which would have to be dropped.",
                        index.name
                    ));
                }
            }
            let remedy = safe::outside(
                step,
                remedy
                    .then_apart(step.text(step.statement.span))
                    .note("Queries that need these indexes are slow meanwhile."),
            );
            lock::report(
                step,
                sink,
                effect,
                Level::Critical,
                format!(
                    "the collation {collation} of {column} rebuilds its indexes while {} is locked",
                    altered.table
                ),
                lock::why_long(effect),
            )
            .span(command.span)
            .relation(altered.table)
            .object(column.clone())
            .remedy(remedy);
        }
    }
}
