//! A query of the workload that gives or writes something else after the
//! change.

use crate::declare_migration_rule;
use crate::rule::migration::{End, MigrationRule, MigrationSink};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Asks a throw-away server before the new migrations and after them which
    /// columns every query of `--workload` gives, and compares their names,
    /// order and types: `SELECT *` and `RETURNING *` give what the table has.
    /// It reports as well an `INSERT` that leaves a column NULL whose default
    /// is dropped. (One that fails, or whose values go into other columns, is
    /// reported by [query-breaks](query-breaks.md).)
    ///
    /// It is a note where columns are only added, and where text becomes
    /// varchar or the other way.
    ///
    /// ## Why it matters
    ///
    /// A program that reads columns by position or by their old name reads
    /// something else. Sessions that have prepared the query before the change
    /// get the error "cached plan must not change result type", also when a
    /// column is only added; many drivers and connection pools prepare by
    /// themselves.
    ///
    /// ## When it is wrong
    ///
    /// When the program reads by name what is still there, and prepares anew.
    ///
    /// ## References
    ///
    /// - [PREPARE](https://www.postgresql.org/docs/current/sql-prepare.html)
    pub struct QueryResultChanges = {
        id: "query-result-changes",
        summary: "a query of the workload gives or writes something else after the change",
        level: Warning,
        category: Compatibility,
        on: true,
        needs: [Workload],
        since: "0.1.0",
    }
}

impl MigrationRule for QueryResultChanges {
    // It takes a server to find these: `advise::check::workload` reports them.
    fn end(&self, _: &End<'_>, _: &mut MigrationSink) {}
}
