//! `missing-index`: an index that the advisor tried and found worth it, where
//! no other finding says what is slow.

use crate::rule::{Rule, Sink};
use crate::subject::Subject;

crate::declare_rule! {
    /// ## What it does
    ///
    /// Names an index that would lower the planner's cost of the statement by
    /// at least the margin of `--min-gain`, where no other rule points at the
    /// table. The index advisor makes candidates from the statement's
    /// comparisons, joins and orders, leaves out what existing indexes serve,
    /// and tries the rest on the planner; only an index that the planner then
    /// uses is named.
    ///
    /// ## Why it matters
    ///
    /// Not every missing index shows as a sequential scan: a join may read a
    /// whole table through a hash, or an index scan may fetch far more than
    /// the statement needs.
    ///
    /// ## When it is wrong
    ///
    /// The planner's cost is not time. An index that saves cost may save
    /// little time when everything is cached, and it makes every write
    /// dearer; a statement that runs once a night seldom deserves one. With
    /// `--analyze` on a schema file with data the time is measured both ways.
    ///
    /// ## References
    ///
    /// - [Indexes](https://www.postgresql.org/docs/current/indexes.html)
    /// - [Multicolumn indexes](https://www.postgresql.org/docs/current/indexes-multicolumn.html)
    pub struct MissingIndex = {
        id: "missing-index",
        summary: "an index that does not exist would make the statement cheaper",
        level: Warning,
        needs: [Sql, Plan, Catalog],
        since: "0.1.0",
    }
}

impl Rule for MissingIndex {
    /// Finds nothing by itself: the advisor reports under this rule's name
    /// what it tried on a planner, which a rule cannot ask.
    fn check(&self, _subject: &Subject<'_>, _sink: &mut Sink) {}
}
