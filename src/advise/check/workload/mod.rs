//! The queries of an application, planned before and after a change of the
//! schema: which break, which become slower or faster, and which statement of
//! the change did it.
//!
//! Everything is planned, nothing executed. Whoever plans is behind
//! [`crate::verify::Planner`]; `pg::workload` makes one for a history.

mod blame;
mod blame_results;
mod compare;
mod findings;
pub mod functions;
mod results;
mod types;
pub(crate) mod values;

use crate::migration::At;
use crate::plan::PlanGraph;
use crate::source::{Problem, Span};
use crate::sql::Statement;
use crate::verify::Engine;

pub use compare::compare;
pub use findings::{QUERY_BREAKS, QUERY_GETS_SLOWER, QUERY_RESULT_CHANGES, findings};

/// One query of the workload; queries that differ in their values alone are
/// one.
#[derive(Debug, Clone)]
pub struct WorkloadQuery {
    /// The query where it was met first. Its span is a place in the sources.
    pub statement: Statement,
    /// A number for its text without values.
    pub fingerprint: u64,
    /// How often it ran, where the source says so: `calls`, or lines of a log.
    pub calls: Option<f64>,
    /// How long all calls took together in milliseconds, where known.
    pub total_ms: Option<f64>,
    /// The name that its file gives it.
    pub name: Option<String>,
    /// It was taken from a log, so that constants in it may be anybody's: they
    /// are shown nowhere.
    pub logged: bool,
    /// Values of some calls, one for each `$n`, where a log has them; `None`
    /// is NULL. They are for the planner alone, and shown nowhere.
    pub samples: Vec<Vec<Option<String>>>,
}

impl WorkloadQuery {
    /// Its text as it may be shown.
    pub fn shown(&self) -> String {
        if self.logged {
            values::masked(&self.statement.text)
        } else {
            self.statement.text.clone()
        }
    }
}

/// The queries that an application sends.
#[derive(Debug, Clone, Default)]
pub struct Workload {
    /// The queries, in the order in which they were met.
    pub queries: Vec<WorkloadQuery>,
    /// Files that were read.
    pub files: usize,
    /// Queries that were met again with other values.
    pub repeated: usize,
    /// Statements that have no plan: `BEGIN`, `SET`, `CREATE TABLE`.
    pub utility: usize,
    /// Statements of pgadvise, of its kind, and of the system's catalogues.
    pub own: usize,
    /// What could not be read, and why; the rest went on.
    pub problems: Vec<Problem>,
}

/// A statement of the new migrations, in the order in which they are applied.
#[derive(Debug, Clone)]
pub struct NewStatement {
    /// Its place in the history.
    pub at: At,
    /// Its text.
    pub span: Span,
    /// Its first words: `DROP INDEX`.
    pub verb: String,
    /// What is run.
    pub sql: String,
    /// The setting of the session that it changes: `search_path`. The
    /// application's sessions do not have it.
    pub sets: Option<String>,
}

/// How plans are compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CompareOptions {
    /// Up to which share a cost may rise or fall and still count as the same.
    pub tolerance: f64,
    /// Costs that differ by less are the same.
    pub floor: f64,
    /// How often the change may be tried in part to find the statement that
    /// did it.
    pub most_tries: usize,
}

impl Default for CompareOptions {
    fn default() -> Self {
        Self {
            tolerance: 0.1,
            floor: 100.0,
            most_tries: 64,
        }
    }
}

/// The statement that made the difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Number of the statement in [`WorkloadResult::statements`].
    pub statement: usize,
    /// What it did to this query, as a clause: `it drops index
    /// orders_customer_idx, which the plan before uses`.
    pub what: String,
    /// The index that was dropped or made, where it is one.
    pub index: Option<String>,
}

/// Two plans of one query.
#[derive(Debug, Clone)]
pub struct Plans {
    /// Before the change.
    pub before: PlanGraph,
    /// After it.
    pub after: PlanGraph,
    /// The planner's cost before.
    pub cost_before: f64,
    /// The same after.
    pub cost_after: f64,
    /// What changed in the plan, in words.
    pub what: Option<String>,
}

impl Plans {
    /// How many times the cost before the cost after is.
    pub fn factor(&self) -> f64 {
        self.cost_after / self.cost_before.max(0.01)
    }
}

/// What becomes of a query.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The server plans it before the change and refuses it after.
    Broken {
        /// The server's words.
        message: String,
        /// SQLSTATE: `42703`.
        sqlstate: String,
        /// The server's HINT.
        hint: Option<String>,
        /// Where in the query, in bytes of its own text.
        position: Option<usize>,
        /// The server plans it, and fails or does something else when it is
        /// executed.
        executing: bool,
    },
    /// The server refuses it before the change and plans it after.
    Mended {
        /// The server's words before.
        message: String,
        /// The planner's cost after.
        cost: Option<f64>,
        /// Tables that the plan reads from end to end, as (schema, name).
        scans: Vec<(String, String)>,
    },
    /// Another plan, which costs more.
    Slower(Box<Plans>),
    /// Another plan, which costs less.
    Faster(Box<Plans>),
    /// Another plan of about the same cost.
    OtherPlan(Box<Plans>),
    /// The same plan.
    Same {
        /// Its cost.
        cost: f64,
    },
    /// There is no plan before nor after.
    NotPlanned {
        /// Why.
        why: String,
    },
}

/// A column of a result that has another type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retyped {
    /// Its name.
    pub column: String,
    /// Its type before.
    pub before: String,
    /// Its type after: of the same name where the type was made anew.
    pub after: String,
}

/// A value that an INSERT without a list of columns writes elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The column before.
    pub from: String,
    /// The column after.
    pub to: String,
}

/// A default that an INSERT relies on, and that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The column, which gets NULL.
    pub column: String,
    /// The default before, as the server writes it.
    pub default: String,
}

/// What a query gives or writes after the change, where that is not what it
/// gave and wrote before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResultChange {
    /// Columns that it gives besides.
    pub added: Vec<String>,
    /// Of those, some stand before columns that it gave already.
    pub in_the_middle: bool,
    /// Columns that it gives no more.
    pub gone: Vec<String>,
    /// Columns with another name in the same place.
    pub renamed: Vec<(String, String)>,
    /// Columns of another type.
    pub retyped: Vec<Retyped>,
    /// Parameters that it takes as another kind of type: `$1`.
    pub taken: Vec<Retyped>,
    /// Columns stand in another order.
    pub reordered: bool,
    /// Columns that it leaves NULL, where a default was.
    pub lost: Vec<Lost>,
}

impl ResultChange {
    /// Whether programs that read by name read what they read before: columns
    /// are added, or have a type that is read alike.
    pub fn is_mild(&self) -> bool {
        !self.reordered
            && self.gone.is_empty()
            && self.renamed.is_empty()
            && self.lost.is_empty()
            && self.taken.is_empty()
            && self
                .retyped
                .iter()
                .all(|one| types::read_alike(&one.before, &one.after))
    }

    /// Whether only what it takes is another.
    fn gives_as_before(&self) -> bool {
        let rest = Self {
            taken: Vec::new(),
            ..self.clone()
        };
        !self.taken.is_empty() && rest == Self::default()
    }

    /// Which programs fail at another type, as a clause.
    fn who_minds(&self) -> Option<&'static str> {
        self.retyped
            .iter()
            .filter(|one| !types::read_alike(&one.before, &one.after))
            .find_map(|one| types::who_minds(&one.before, &one.after))
    }

    /// The same in words: `vip is new`.
    pub fn says(&self) -> String {
        let mut said = Vec::new();
        for name in &self.gone {
            said.push(format!("{name} is gone"));
        }
        for (before, after) in &self.renamed {
            said.push(format!("{before} is called {after}"));
        }
        for one in &self.retyped {
            said.push(if one.before == one.after {
                format!("{} has a new type {}", one.column, one.after)
            } else {
                format!("{} is {}, not {}", one.column, one.after, one.before)
            });
        }
        for one in &self.taken {
            said.push(format!(
                "it takes {} as {}, not {}",
                one.column, one.after, one.before
            ));
        }
        for name in &self.added {
            said.push(format!("{name} is new"));
        }
        if self.in_the_middle {
            said.push("columns behind it move".to_owned());
        }
        if self.reordered {
            said.push("its columns stand in another order".to_owned());
        }
        for one in &self.lost {
            said.push(format!(
                "{} is left NULL, without its default {}",
                one.column, one.default
            ));
        }
        said.join(", ")
    }
}

/// One query and what becomes of it.
#[derive(Debug, Clone)]
pub struct QueryChange {
    /// Number of the query in [`Workload::queries`].
    pub query: usize,
    /// What becomes of it.
    pub outcome: Outcome,
    /// Which statement did it, where that was found.
    pub cause: Option<Cause>,
    /// What it gives or writes that it did not before, while it can be planned.
    pub result: Option<ResultChange>,
    /// Which statement did that.
    pub result_cause: Option<Cause>,
    /// Its share of the cost of all queries before the change, each times its
    /// calls: 0 to 1.
    pub share: f64,
    /// For which values the plans are.
    pub planned_for: PlannedFor,
    /// Calls whose values were planned with as well.
    pub sampled: usize,
}

/// For which values of its parameters a query was planned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PlannedFor {
    /// For any: the generic plan.
    #[default]
    Any,
    /// For any; with the values of calls that a log has it does not become
    /// slower.
    AnyAlone,
    /// For those of a call that a log has: a custom plan.
    Values,
}

/// What became of a statement of the change on the throw-away server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// It was applied.
    Yes,
    /// It changes no plan, or cannot be tried.
    LeftOut {
        /// Why.
        why: String,
    },
    /// The schema has it already.
    Already {
        /// The server's words.
        message: String,
    },
    /// The server refused it; the others went on without it.
    Refused {
        /// The server's words.
        message: String,
        /// Byte in the statement where the server stumbled.
        position: Option<usize>,
    },
}

/// An index that the change drops or makes, and the queries that use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexChange {
    /// Its name.
    pub name: String,
    /// Schema and name of its table.
    pub table: (String, String),
    /// Number of the statement in [`WorkloadResult::statements`].
    pub statement: usize,
    /// It has a predicate: whether a query uses it depends on the values of
    /// its parameters.
    pub partial: bool,
    /// Queries whose plan before (of a dropped one) or after (of a new one)
    /// uses it, as numbers in [`WorkloadResult::queries`].
    pub used_by: Vec<usize>,
    /// Of those, the ones that become slower (of a dropped one) or faster (of
    /// a new one).
    pub moved: Vec<usize>,
}

/// What the change does to the workload.
#[derive(Debug, Clone)]
pub struct WorkloadResult {
    /// Who planned.
    pub engine: Engine,
    /// What the verdicts stand on, as sentences.
    pub assumptions: Vec<String>,
    /// The statements of the change, and what became of each.
    pub statements: Vec<(NewStatement, Applied)>,
    /// Every query, in the order of the workload.
    pub queries: Vec<QueryChange>,
    /// Queries in functions that the server refuses after the change.
    pub functions: Vec<functions::BrokenFunction>,
    /// Indexes that the change drops.
    pub dropped: Vec<IndexChange>,
    /// Indexes that it makes.
    pub made: Vec<IndexChange>,
    /// Trouble on the way, such as statements of older migrations that the
    /// server refused.
    pub problems: Vec<Problem>,
}

/// How many queries ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Broken.
    pub broken: usize,
    /// Mended.
    pub mended: usize,
    /// Slower.
    pub slower: usize,
    /// Faster.
    pub faster: usize,
    /// About the same cost, and another result.
    pub other_result: usize,
    /// Another plan of about the same cost.
    pub other_plan: usize,
    /// The same.
    pub same: usize,
    /// Not planned.
    pub not_planned: usize,
}

impl WorkloadResult {
    /// How many queries ended how.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for query in &self.queries {
            let other = query.result.is_some();
            let count = match query.outcome {
                Outcome::Same { .. } | Outcome::OtherPlan(_) if other => &mut counts.other_result,
                Outcome::Broken { .. } => &mut counts.broken,
                Outcome::Mended { .. } => &mut counts.mended,
                Outcome::Slower(_) => &mut counts.slower,
                Outcome::Faster(_) => &mut counts.faster,
                Outcome::OtherPlan(_) => &mut counts.other_plan,
                Outcome::Same { .. } => &mut counts.same,
                Outcome::NotPlanned { .. } => &mut counts.not_planned,
            };
            *count += 1;
        }
        counts
    }

    /// The statement that a cause names.
    pub fn statement(&self, cause: &Cause) -> Option<&NewStatement> {
        self.statements
            .get(cause.statement)
            .map(|(statement, _)| statement)
    }
}
