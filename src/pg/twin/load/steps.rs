//! Statements that the session without rights executes, and what to do when
//! one fails.

use super::super::TwinError;
use super::{Loader, refusal};
use crate::pg::Error;

/// How many statements are on their way at once.
const AT_ONCE: usize = 64;

/// One statement that comes from a snapshot.
#[derive(Debug)]
pub(super) struct Step {
    /// What it makes: `index public.orders_created_idx`.
    pub object: String,
    /// The statement.
    pub sql: String,
    /// What to do instead when it fails for good.
    pub instead: Vec<Self>,
    /// The statement's failure is not worth a word.
    pub quiet: bool,
    /// Why there is no statement for it.
    pub impossible: Option<&'static str>,
}

impl Step {
    pub(super) fn new(object: impl Into<String>, sql: impl Into<String>) -> Self {
        Self {
            object: object.into(),
            sql: sql.into(),
            instead: Vec::new(),
            quiet: false,
            impossible: None,
        }
    }

    /// What cannot be made once this step's turn comes.
    pub(super) fn impossible(object: impl Into<String>, why: &'static str) -> Self {
        Self {
            impossible: Some(why),
            ..Self::new(object, "")
        }
    }

    pub(super) fn or(mut self, instead: Vec<Self>) -> Self {
        self.instead = instead;
        self
    }

    pub(super) fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }
}

/// A step that failed, and the server's words.
struct Failure {
    step: Step,
    message: String,
    /// Something is missing that may come later.
    later: bool,
}

impl Loader<'_> {
    /// Executes steps in order, then again those that wait for something.
    pub(super) fn run_steps(&mut self, steps: Vec<Step>) -> Result<(), TwinError> {
        let failures = self.round(steps)?;
        let waiting = std::mem::take(&mut self.pending);
        for failure in failures {
            if failure.later {
                self.pending.push(failure.step);
            } else {
                self.give_up(failure)?;
            }
        }
        if !waiting.is_empty() {
            // In their own order, which is the one of creation.
            let mut again = waiting;
            again.append(&mut self.pending);
            for failure in self.round(again)? {
                self.pending.push(failure.step);
            }
        }
        Ok(())
    }

    /// Executes what waits until a round makes no progress.
    pub(super) fn finish_steps(&mut self) -> Result<(), TwinError> {
        loop {
            let steps = std::mem::take(&mut self.pending);
            if steps.is_empty() {
                return Ok(());
            }
            let before = steps.len();
            let failures = self.round(steps)?;
            if failures.len() < before {
                self.pending = failures.into_iter().map(|failure| failure.step).collect();
                continue;
            }
            // The first that has another way may set the others going.
            let other = failures
                .iter()
                .position(|failure| !failure.step.instead.is_empty());
            for (at, failure) in failures.into_iter().enumerate() {
                if other.is_none_or(|other| other == at) {
                    self.give_up(failure)?;
                } else {
                    self.pending.push(failure.step);
                }
            }
        }
    }

    /// A step that fails for good: what stands in for it, or a word about it.
    fn give_up(&mut self, failure: Failure) -> Result<(), TwinError> {
        if failure.step.instead.is_empty() {
            if !failure.step.quiet {
                self.refuse(failure.step.object, failure.message);
            }
            return Ok(());
        }
        for failure in self.round(failure.step.instead)? {
            if failure.later && failure.step.instead.is_empty() {
                self.pending.push(failure.step);
            } else {
                self.give_up(failure)?;
            }
        }
        Ok(())
    }

    /// Executes steps in order and gives back those that failed.
    fn round(&mut self, steps: Vec<Step>) -> Result<Vec<Failure>, TwinError> {
        let mut failures = Vec::new();
        let mut steps = steps.into_iter();
        loop {
            let some: Vec<Step> = steps.by_ref().take(AT_ONCE).collect();
            if some.is_empty() {
                return Ok(failures);
            }
            let (some, impossible): (Vec<Step>, Vec<Step>) =
                some.into_iter().partition(|step| step.impossible.is_none());
            for step in impossible {
                self.refuse(step.object, step.impossible.unwrap_or_default());
            }
            let texts: Vec<&str> = some.iter().map(|step| step.sql.as_str()).collect();
            let outcomes = self.cluster.session()?.pipeline(&texts)?;
            for (step, outcome) in some.into_iter().zip(outcomes) {
                let later = matches!(&outcome, Err(Error::Refused(refusal))
                    if is_missing(&refusal.sqlstate));
                if let Err(message) = refusal(outcome)? {
                    failures.push(Failure {
                        step,
                        message,
                        later,
                    });
                }
            }
        }
    }
}

/// Whether the SQLSTATE says that something is not there: a schema, table,
/// column, function or another object.
fn is_missing(sqlstate: &str) -> bool {
    matches!(
        sqlstate,
        "3F000" | "42P01" | "42703" | "42883" | "42704" | "42830"
    )
}
