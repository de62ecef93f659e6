//! SET LOGGED, UNLOGGED, ACCESS METHOD and TABLESPACE.

use super::support::altered::Altered;
use super::support::lock;
use crate::declare_migration_rule;
use crate::finding::Level;
use crate::finding::migration::Remedy;
use crate::migration::locks::Work;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::AlterKind;

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `SET LOGGED`, `SET UNLOGGED`, `SET ACCESS METHOD` and `SET
    /// TABLESPACE` of a table that was there before the change.
    ///
    /// ## Why it matters
    ///
    /// The whole table is copied while ACCESS EXCLUSIVE is held: nobody can even
    /// read it until that is done.
    ///
    /// ## When it is wrong
    ///
    /// When nobody uses the table while the migration runs, or it is small. With
    /// sizes (`--snapshot`) small tables give a note only.
    ///
    /// ## References
    ///
    /// - [ALTER TABLE](https://www.postgresql.org/docs/current/sql-altertable.html)
    pub struct TableStorageRewritten = {
        id: "table-storage-rewritten",
        summary: "a table is written anew for another kind of storage",
        level: Critical,
        category: Locks,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for TableStorageRewritten {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let Some(altered) = Altered::of(step) else {
            return;
        };
        for (number, command) in altered.commands() {
            let what = match &command.kind {
                AlterKind::SetLogged => "SET LOGGED".to_owned(),
                AlterKind::SetUnlogged => "SET UNLOGGED".to_owned(),
                AlterKind::SetAccessMethod { method } => format!("SET ACCESS METHOD {method}"),
                AlterKind::SetTablespace { tablespace } => format!("SET TABLESPACE {tablespace}"),
                _ => continue,
            };
            let Some(effect) = altered.working(number, Work::Scan) else {
                continue;
            };
            lock::report(
                step,
                sink,
                effect,
                Level::Critical,
                format!("{what} writes all of {} anew", altered.table),
                lock::why_long(effect),
            )
            .span(command.span)
            .relation(altered.table)
            .remedy(
                Remedy::new("copy the table without the lock, or plan a pause").note(
                    "pg_repack moves a table to another tablespace with brief locks only. For the \
                     others: create a new table, let a trigger copy every change to it, copy the \
                     old rows in batches, then swap the names.",
                ),
            );
        }
    }
}
