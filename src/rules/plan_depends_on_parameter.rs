//! `plan-depends-on-parameter`: one plan cannot serve all values of a
//! parameter.

use crate::rule::{Rule, Sink};
use crate::subject::Subject;

crate::declare_rule! {
    /// ## What it does
    ///
    /// Plans a statement with parameters once for any value (the generic plan)
    /// and again for values drawn from the statistics of the columns that the
    /// parameters are compared with: the most common values, one of the
    /// others, and quantiles for ranges. Where the plan for a value is another
    /// than the generic one, the generic plan is planned for that value too,
    /// by switching off what it does not use, and both costs are compared.
    ///
    /// ## Why it matters
    ///
    /// A prepared statement that PostgreSQL has executed five times may go on
    /// with the generic plan. That plan is made for a value that is as
    /// frequent as the average: for one that is far more or less frequent it
    /// can read the whole table for a few rows, or fetch most of a table row
    /// by row.
    ///
    /// ## When it is wrong
    ///
    /// How often a program asks for which value is not known to the database;
    /// executions are weighted as if values were asked for as often as they
    /// occur. The costs are the planner's, not times. A statement that is
    /// never prepared, or whose driver sends the values with the text, always
    /// gets the plan of its values.
    ///
    /// ## References
    ///
    /// - [PREPARE](https://www.postgresql.org/docs/current/sql-prepare.html)
    /// - [plan_cache_mode](https://www.postgresql.org/docs/current/runtime-config-query.html#GUC-PLAN-CACHE-MODE)
    pub struct PlanDependsOnParameter = {
        id: "plan-depends-on-parameter",
        summary: "one plan cannot serve all values of a parameter",
        level: Warning,
        needs: [Sql, Plan, Statistics],
        since: "0.1.0",
    }
}

impl Rule for PlanDependsOnParameter {
    /// Finds nothing by itself: the advisor reports under this rule's name
    /// what it tried on a planner, which a rule cannot ask.
    fn check(&self, _subject: &Subject<'_>, _sink: &mut Sink) {}
}
