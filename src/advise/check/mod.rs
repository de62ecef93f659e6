//! Checks a history of migrations: replays it for the state of the schema, and
//! asks the rules about every statement of the files that are new.

pub mod baseline;
pub mod duration;
mod fingerprint;
pub mod fix;
pub mod given;
pub mod levels;
mod ranges;
pub mod snapshot;
pub mod suppress;
mod walk;
pub mod workload;

use std::collections::BTreeMap;

use crate::advise::engine::Choice;
use crate::finding::migration::MigrationFinding;
use crate::migration::locks::Effect;
use crate::migration::state::State;
use crate::migration::{At, History};
use crate::rule::migration::{Context, MigrationRule};
use crate::sql::ddl::{Action, Statement};

pub use fingerprint::fingerprints;
pub use ranges::turns;
pub use walk::{check, check_files};

/// How a rule about migrations ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MigrationOutcome {
    /// It ran.
    Ran {
        /// Findings before suppressions.
        findings: usize,
    },
    /// It lacked something.
    Skipped {
        /// What, as the user can give it.
        missing: Vec<&'static str>,
    },
    /// It is switched off.
    Off,
    /// It panicked; the others went on.
    Crashed {
        /// The panic's message.
        message: String,
    },
}

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct CheckOptions {
    /// Rules off, and levels.
    pub choice: Choice,
    /// Rules that are off unless asked for, and are.
    pub on: Vec<String>,
    /// What PostgreSQL did, where it was traced: replaces what the text says.
    pub traced: BTreeMap<At, Vec<Effect>>,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Checked {
    /// Findings in the order of files and places, before suppressions.
    pub findings: Vec<MigrationFinding>,
    /// Each rule, in the order given, and how it ended.
    pub outcomes: Vec<(&'static str, MigrationOutcome)>,
    /// The schema after the last file.
    pub after: State,
    /// Statements that were looked at in new files.
    pub statements: usize,
    /// Statements that were only replayed.
    pub replayed: usize,
}

impl Checked {
    /// Adds what came of the files behind these.
    pub fn add(&mut self, more: Self) {
        self.findings.extend(more.findings);
        self.after = more.after;
        self.statements += more.statements;
        self.replayed += more.replayed;
        if self.outcomes.is_empty() {
            self.outcomes = more.outcomes;
            return;
        }
        for ((_, outcome), (_, more)) in self.outcomes.iter_mut().zip(more.outcomes) {
            match (outcome, more) {
                (MigrationOutcome::Ran { findings }, MigrationOutcome::Ran { findings: more }) => {
                    *findings += more;
                }
                // Whatever it found elsewhere, it is not done.
                (outcome @ MigrationOutcome::Ran { .. }, more) => *outcome = more,
                _ => {}
            }
        }
    }
}

/// What a check is made of.
#[derive(Clone, Copy)]
pub struct CheckInput<'a> {
    /// What is the same for all statements.
    pub context: Context<'a>,
    /// The rules.
    pub rules: &'a [&'a dyn MigrationRule],
    /// What is asked for.
    pub options: &'a CheckOptions,
}

impl std::fmt::Debug for CheckInput<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CheckInput")
            .field("context", &self.context)
            .field("rules", &self.rules.len())
            .field("options", &self.options)
            .finish()
    }
}

/// The statement at a place; that in the body of a DO block where the place is
/// in one.
pub fn statement_at(history: &History, at: At) -> Option<&Statement> {
    let statement = history
        .files
        .get(at.file)?
        .parts
        .get(at.part)?
        .statements
        .get(at.statement)?;
    match (&statement.action, at.inner) {
        (Action::Do(body), 1..) => body.statements.get(at.inner - 1),
        _ => Some(statement),
    }
}

/// Puts findings in the order of files and places.
pub fn sort(findings: &mut [MigrationFinding]) {
    findings.sort_by(|a, b| {
        (a.at.file, a.span, a.rule, &a.message).cmp(&(b.at.file, b.span, b.rule, &b.message))
    });
}
