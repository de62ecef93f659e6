//! A query of the workload whose plan costs more after the change.

use crate::declare_migration_rule;
use crate::rule::migration::{End, MigrationRule, MigrationSink};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Plans every query of `--workload` before the new migrations and after
    /// them, on a throw-away server, and reports those that get another plan
    /// which costs more: 10 % and 100 units at least. Where the plan before
    /// used an index that the change drops, that index is named. The finding
    /// stands at the statement that did it.
    ///
    /// It is critical when the cost rises tenfold to 10,000 or more, or when
    /// the query, with its calls, adds a tenth to the cost of the whole
    /// workload.
    ///
    /// ## Why it matters
    ///
    /// An index that looks unused in a review may be the one that the busiest
    /// query needs.
    ///
    /// ## When it is wrong
    ///
    /// Costs are the planner's own reckoning, and no time. Without a snapshot
    /// every table is taken to have 1,000,000 rows: on a table that stays
    /// small the loss of an index costs little. `--snapshot` gives the sizes
    /// and statistics of the real database.
    ///
    /// ## References
    ///
    /// - [Using EXPLAIN](https://www.postgresql.org/docs/current/using-explain.html)
    pub struct QueryGetsSlower = {
        id: "query-gets-slower",
        summary: "a query of the workload costs more after the change",
        level: Warning,
        category: Performance,
        on: true,
        needs: [Workload],
        since: "0.1.0",
    }
}

impl MigrationRule for QueryGetsSlower {
    // It takes a planner to find these: `advise::check::workload` reports them.
    fn end(&self, _: &End<'_>, _: &mut MigrationSink) {}
}
