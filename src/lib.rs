//! pgadvise: a query-optimization advisor for PostgreSQL.
//!
//! ```text
//! SQL text ──► sql::Statement ─────┐
//! EXPLAIN ───► plan::PlanGraph ────┼─► Subject ─► rules ─► Finding ─► Suggestion ─► verify ─► report
//! database / schema ─► Catalog ────┘                          ▲                        │
//!                                                             └──── Planner ◄──────────┘
//! ```
//!
//! One statement seen together with its plan and its catalogue is a
//! [`subject::Subject`]. [`rules`] look at subjects and report
//! [`finding::Finding`]s; [`advise`] adds index candidates and rewrites and
//! asks a [`verify::Planner`] what each would do; [`report`] renders the
//! result. Imports point down only; `docs/architecture.md` has the layers, and
//! a test keeps them.

pub mod advise;
pub mod catalog;
pub mod cli;
pub mod finding;
pub mod input;
pub mod migration;
pub mod pg;
pub mod plan;
pub mod redact;
pub mod report;
pub mod rewrite;
pub mod rule;
pub mod rules;
pub mod snapshot;
pub mod source;
pub mod sql;
pub mod subject;
mod threads;
pub mod verify;
