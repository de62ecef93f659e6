//! ADD COLUMN with a volatile default.

use super::support::add_column::{Filling, Rewrites};
use super::support::added::Added;
use crate::declare_migration_rule;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `ADD COLUMN` with a default that is computed for each row:
    /// `random()`, `gen_random_uuid()`, `clock_timestamp()`, a function of your
    /// own that is not marked STABLE or IMMUTABLE.
    ///
    /// ## Why it matters
    ///
    /// Since PostgreSQL 11 a constant default is stored once and costs nothing,
    /// and so does `now()`, which is STABLE. A volatile one has another value in
    /// each row, so that the whole table and all its indexes are written anew
    /// under ACCESS EXCLUSIVE: nobody can even read it until that is done.
    ///
    /// ## When it is wrong
    ///
    /// When nobody uses the table while the migration runs, or it is small. With
    /// sizes (`--snapshot`) small tables give a note only.
    ///
    /// ## References
    ///
    /// - [ALTER TABLE: notes on adding columns](https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES)
    /// - [Function volatility](https://www.postgresql.org/docs/current/xfunc-volatility.html)
    pub struct ColumnDefaultRewritesTable = {
        id: "column-default-rewrites-table",
        summary: "a column is added with a volatile default, which rewrites the table",
        level: Critical,
        category: Locks,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for ColumnDefaultRewritesTable {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        Added {
            message: |column, table| format!("the default of {column} is volatile: {table} is written anew"),
            filling: |_| Filling::Backfill,
            title: "add the column without the default, set it behind, and fill old rows in batches",
            note: |_| None,
        }
        .rewritten(step, Rewrites::Default, sink);
    }
}
