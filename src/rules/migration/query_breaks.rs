//! A query of the workload that the server refuses after the change.

use crate::declare_migration_rule;
use crate::rule::migration::{End, MigrationRule, MigrationSink};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Plans every query of `--workload` before the new migrations and after
    /// them, on a throw-away server, and reports those that the server accepts
    /// before and refuses after: a column, table or function that is gone, a
    /// type that no longer fits. The finding stands at the statement that did
    /// it, which is found by trying the change in part.
    ///
    /// An `INSERT` is reported as well that the server still plans, when each
    /// row would have NULL in a column that takes none, or when its values go
    /// into other columns because it does not name them.
    ///
    /// ## Why it matters
    ///
    /// Whatever still sends the query fails from then on. During a release old
    /// and new programs run side by side, so a query of either counts.
    ///
    /// ## When it is wrong
    ///
    /// When the workload holds queries that no running program sends any more,
    /// or when a program is stopped for the change.
    ///
    /// ## References
    ///
    /// - [Error codes](https://www.postgresql.org/docs/current/errcodes-appendix.html)
    pub struct QueryBreaks = {
        id: "query-breaks",
        summary: "a query of the workload fails after the change",
        level: Critical,
        category: Compatibility,
        on: true,
        needs: [Workload],
        since: "0.1.0",
    }
}

impl MigrationRule for QueryBreaks {
    // It takes a planner to find these: `advise::check::workload` reports them.
    fn end(&self, _: &End<'_>, _: &mut MigrationSink) {}
}
