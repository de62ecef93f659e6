//! `cheaper-equivalent-query`: a rewrite that the planner likes, where no
//! other finding says what is slow.

use crate::rule::{Rule, Sink};
use crate::subject::Subject;

crate::declare_rule! {
    /// ## What it does
    ///
    /// Names a rewrite that gives the same results, proved from the catalogue,
    /// and that the planner reckons cheaper by at least the margin of
    /// `--min-gain`, where no other rule points at the place.
    ///
    /// ## Why it matters
    ///
    /// PostgreSQL does not turn every form of a question into the cheapest
    /// one: a count compared with zero counts everything, a cast of the column
    /// hides its index, and `NOT IN` cannot become an anti-join.
    ///
    /// ## When it is wrong
    ///
    /// The results are proved from declared constraints and not compared by
    /// execution: a constraint that was switched off with triggers, or a
    /// `NOT NULL` that a superuser went round, breaks the proof. The planner's
    /// cost is not time.
    ///
    /// ## References
    ///
    /// - [Subquery expressions](https://www.postgresql.org/docs/current/functions-subquery.html)
    pub struct CheaperEquivalentQuery = {
        id: "cheaper-equivalent-query",
        summary: "the same question can be asked in a form that the planner does better with",
        level: Warning,
        needs: [Sql, Plan, Catalog],
        since: "0.1.0",
    }
}

impl Rule for CheaperEquivalentQuery {
    /// Finds nothing by itself: the advisor reports under this rule's name
    /// what it tried on a planner, which a rule cannot ask.
    fn check(&self, _subject: &Subject<'_>, _sink: &mut Sink) {}
}
