//! Asking a planner what a change would do.
//!
//! This layer owns the [`Planner`] trait; servers are behind it, in `pg`. It
//! does no I/O itself.

pub mod compare;
pub mod elsewhere;
pub mod recorded;

use crate::catalog::Catalog;
use crate::finding::IndexSpec;
use crate::plan::PlanGraph;
use crate::sql::Statement;

/// Which planner answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Engine {
    /// `PostgreSQL 17.5 (embedded)`, as shown beside every verdict.
    pub description: String,
    /// `server_version_num`.
    pub version_num: u32,
    /// Things to know about its answers, as sentences: no rows in the tables,
    /// another major version than the plan's.
    pub notes: Vec<String>,
}

impl Engine {
    /// The same with a word about another planner that supposes for it.
    #[must_use]
    pub fn with_tried(mut self, other: Option<Self>) -> Self {
        if let Some(other) = other {
            self.notes.push(format!(
                "suggestions are tried on another planner: {}",
                other.description
            ));
            self.notes.extend(other.notes);
        }
        self
    }
}

/// A statement to plan: the text for the server, and how many `$n` it has.
#[derive(Debug, Clone, Copy)]
pub struct Planned<'a> {
    /// [`crate::sql::Statement::server_text`], or a rewritten statement.
    pub sql: &'a str,
    /// The highest `$n`; 0 for none. With parameters the generic plan is
    /// asked for.
    pub parameters: u32,
}

impl<'a> From<&'a Statement> for Planned<'a> {
    fn from(statement: &'a Statement) -> Self {
        Self {
            sql: &statement.server_text,
            parameters: statement.parameters(),
        }
    }
}

/// How to plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PlanOptions {
    /// Execute it too, in a transaction that is rolled back.
    pub analyze: bool,
    /// The user has accepted that the statement changes data while it runs.
    pub allow_writes: bool,
}

/// What a change set did.
#[derive(Debug)]
pub struct WhatIf {
    /// The plans, one a statement, in order.
    pub plans: Vec<Result<PlanGraph, PlanError>>,
    /// The indexes as the planner saw them, in the order asked for.
    pub indexes: Vec<SupposedIndex>,
    /// What became of each [`Supposition::Sql`], in order.
    pub changes: Vec<SupposedChange>,
}

/// What became of a change, and of the plans of statements.
#[derive(Debug)]
pub struct TriedChange {
    /// The plans without it, one a statement, in order.
    pub before: Vec<Result<PlanGraph, PlanError>>,
    /// The same with it, and what became of its statements.
    pub after: WhatIf,
    /// The planner of both.
    pub engine: Engine,
}

/// What became of a change that a user gave as SQL.
#[derive(Debug, Clone, PartialEq)]
pub struct SupposedChange {
    /// The statement as it was given.
    pub sql: String,
    /// How it ended.
    pub outcome: ChangeOutcome,
    /// The indexes that it made, with their estimated sizes.
    pub indexes: Vec<SupposedIndex>,
    /// Tables that got indexes by it, or lost some.
    pub tables: Vec<ChangedTable>,
    /// What to know about it, as sentences.
    pub notes: Vec<String>,
}

/// A table whose indexes are others with a supposed change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangedTable {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Names of the indexes that were made.
    pub made: Vec<String>,
    /// Columns that these read, as keys, in expressions or in predicates.
    pub columns: Vec<String>,
    /// Names of the indexes that were dropped.
    pub dropped: Vec<String>,
}

/// How a supposed change ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeOutcome {
    /// It was made; the plans are those with it.
    Applied,
    /// It was left out, because it would change no plan or cannot be supposed.
    LeftOut {
        /// Why.
        why: String,
    },
    /// The server refused it; the others went on without it.
    Refused {
        /// The server's words.
        message: String,
        /// The server's DETAIL.
        detail: Option<String>,
        /// The server's HINT.
        hint: Option<String>,
        /// Byte offset into [`SupposedChange::sql`], from 0.
        position: Option<usize>,
    },
}

/// An index that a planner was told to suppose (or that was built).
#[derive(Debug, Clone, PartialEq)]
pub struct SupposedIndex {
    /// The name that it has in plans.
    pub name: String,
    /// The names of its partitions' indexes, which stand in plans instead.
    pub parts: Vec<String>,
    /// Size on disk in bytes.
    pub bytes: Option<f64>,
    /// Where the size comes from: `built` or `estimated`.
    pub how: &'static str,
    /// Why it could not be supposed; the rest went on without it.
    pub refused: Option<String>,
}

impl SupposedIndex {
    /// Whether an index of that name in a plan is this one or a part of it.
    pub fn is_named(&self, name: &str) -> bool {
        self.name == name || self.parts.iter().any(|part| part == name)
    }
}

/// What can be supposed.
#[derive(Debug, Clone, PartialEq)]
pub enum Supposition {
    /// An index.
    Index(IndexSpec),
    /// SQL for the throw-away cluster only: CREATE STATISTICS and ANALYZE.
    Statistics {
        /// The statements, one each.
        statements: Vec<String>,
        /// The tables whose statistics it touches, as (schema, name).
        relations: Vec<(String, String)>,
    },
    /// Any change, as one SQL statement that a user gave: DDL, or `SET`. Only
    /// a throw-away cluster can suppose it.
    Sql(String),
}

impl Supposition {
    /// A setting, as `SET name = 'value'`.
    pub fn set(name: &str, value: &str) -> Self {
        Self::Sql(format!(
            "SET {} = {}",
            crate::catalog::ident::quote(name),
            crate::catalog::ident::literal(value)
        ))
    }

    /// The indexes among suppositions, in order.
    pub fn indexes(suppositions: &[Self]) -> Vec<&IndexSpec> {
        suppositions
            .iter()
            .filter_map(|supposition| match supposition {
                Self::Index(spec) => Some(spec),
                Self::Statistics { .. } | Self::Sql(_) => None,
            })
            .collect()
    }
}

/// A column that a statement gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultColumn {
    /// Its name.
    pub name: String,
    /// The number of its type in `pg_type`: an enum that was made anew has its
    /// old name and another number.
    pub type_oid: u32,
    /// The name of its type.
    pub type_name: String,
}

/// A column of a relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownColumn {
    /// Its number (`attnum`): dropped columns leave theirs free.
    pub number: i16,
    /// Its name.
    pub name: String,
    /// The number of its type in `pg_type`.
    pub type_oid: u32,
    /// It takes no NULL, and is not generated.
    pub not_null: bool,
    /// It is generated from other columns.
    pub generated: bool,
}

/// The columns of a relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownRelation {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// A trigger or rule sees rows before they are inserted, and may fill them.
    pub rewrites_inserts: bool,
    /// In the order of their numbers.
    pub columns: Vec<KnownColumn>,
}

/// What a statement gives and takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shape {
    /// The columns of its result.
    pub columns: Vec<ResultColumn>,
    /// Its parameters, by their `$n`.
    pub parameters: Vec<ResultColumn>,
}

/// What statements give, and what is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Described {
    /// The tables and views, in the order of their names.
    pub relations: Vec<KnownRelation>,
    /// What each statement gives and takes; `None` where the server did not
    /// say.
    pub results: Vec<Option<Shape>>,
}

/// A PostgreSQL planner.
pub trait Planner {
    /// Which one.
    fn engine(&self) -> Engine;

    /// Its catalogue, read once.
    fn catalog(&mut self) -> Result<Catalog, PlanError>;

    /// The plan of one statement.
    fn plan(
        &mut self,
        statement: Planned<'_>,
        options: PlanOptions,
    ) -> Result<PlanGraph, PlanError>;

    /// The plans of statements with all of these supposed at once; afterwards
    /// everything is as before. A supposition that this planner cannot make
    /// is an error of kind [`PlanError::Unsupported`].
    fn what_if(
        &mut self,
        statements: &[Planned<'_>],
        suppositions: &[Supposition],
    ) -> Result<WhatIf, PlanError>;

    /// The plan that a [`Planner::what_if`] is to be compared with, where
    /// another planner supposes than the one that plans; `None` where it is
    /// that of [`Planner::plan`]. Asking for it brings that other planner up.
    fn what_if_baseline(
        &mut self,
        _statement: Planned<'_>,
    ) -> Result<Option<PlanGraph>, PlanError> {
        Ok(None)
    }

    /// The planner that supposes, where it is another than the one that plans
    /// and was needed so far.
    fn what_if_engine(&self) -> Option<Engine> {
        None
    }

    /// The plan of one statement, not executed, with these settings in force
    /// for it alone, as (name, value): what `SET LOCAL` would do, so planner
    /// settings such as `enable_seqscan` that any role may set.
    ///
    /// A planner that supposes SQL need not implement it: the settings are
    /// then supposed as `SET` statements.
    fn plan_with(
        &mut self,
        statement: Planned<'_>,
        settings: &[(&str, &str)],
    ) -> Result<PlanGraph, PlanError> {
        let suppositions: Vec<Supposition> = settings
            .iter()
            .map(|(name, value)| Supposition::set(name, value))
            .collect();
        let mut what_if = self.what_if(&[statement], &suppositions)?;
        what_if.plans.pop().unwrap_or_else(|| {
            Err(PlanError::Unsupported {
                what: "the planner gave no plan".to_owned(),
            })
        })
    }

    /// The plans of statements without a change that a user gave as SQL, and
    /// with it, both by the same planner, which is named.
    fn try_change(
        &mut self,
        statements: &[Planned<'_>],
        change: &[Supposition],
    ) -> Result<TriedChange, PlanError> {
        let mut before = Vec::new();
        for statement in statements {
            match self.plan(*statement, PlanOptions::default()) {
                Err(error @ (PlanError::Lost { .. } | PlanError::TimedOut { .. })) => {
                    return Err(error);
                }
                plan => before.push(plan),
            }
        }
        let after = self.what_if(statements, change)?;
        Ok(TriedChange {
            before,
            after,
            engine: self.engine(),
        })
    }

    /// What statements give with all of these supposed, and the columns of all
    /// relations; nothing of either where this planner cannot tell.
    fn described(
        &mut self,
        _statements: &[Planned<'_>],
        _suppositions: &[Supposition],
    ) -> Result<Described, PlanError> {
        Ok(Described::default())
    }

    /// Milliseconds that the statement takes with all of these supposed: the
    /// median of some executions, each rolled back. `None` where this planner
    /// cannot execute with suppositions; only a throw-away cluster can.
    fn measure(
        &mut self,
        _statement: Planned<'_>,
        _suppositions: &[Supposition],
    ) -> Result<Option<f64>, PlanError> {
        Ok(None)
    }

    /// How many times a server was asked for a plan.
    fn calls(&self) -> usize;
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The server refused the statement.
    #[error("{message}")]
    Refused {
        /// The server's message.
        message: String,
        /// SQLSTATE: `42P01`.
        sqlstate: String,
        /// The server's DETAIL.
        detail: Option<String>,
        /// The server's HINT.
        hint: Option<String>,
        /// Byte offset into the statement that was sent, from 0.
        position: Option<usize>,
    },
    /// This planner cannot do that.
    #[error("{what}")]
    Unsupported {
        /// What it cannot do, and why.
        what: String,
    },
    /// It took too long.
    #[error("the planner did not answer within {seconds} s")]
    TimedOut {
        /// The limit.
        seconds: u64,
    },
    /// The connection or the cluster is gone: no further statement can be
    /// planned.
    #[error("{message}")]
    Lost {
        /// What happened.
        message: String,
    },
    /// The server's answer was not a plan.
    #[error("the server's answer is not a plan")]
    NotAPlan {
        /// Why.
        #[source]
        source: crate::plan::json::PlanJsonError,
    },
}
