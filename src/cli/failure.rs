//! What the user sees when something cannot be done: what was tried, why it
//! failed, what to do next. Nothing here prints.

use std::error::Error;

use crate::report::model;

/// What sort of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The options do not fit together.
    Usage,
    /// What was given cannot be read or understood.
    Input,
    /// A server refused or did not answer.
    Database,
    /// The program or its surroundings failed.
    Internal,
}

/// A failure.
#[derive(Debug)]
pub struct Failure {
    /// What sort.
    pub kind: Kind,
    /// What failed, with its causes.
    pub error: Box<dyn Error + Send + Sync>,
    /// What to do next.
    pub hints: Vec<String>,
}

impl Failure {
    /// A failure without a hint.
    pub fn new(kind: Kind, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            kind,
            error: error.into(),
            hints: Vec::new(),
        }
    }

    /// The same with what to do next.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// As the report has it.
    pub fn problem(&self) -> model::Problem {
        let message = self.error.to_string();
        let mut causes: Vec<String> = Vec::new();
        let mut next = self.error.source();
        while let Some(cause) = next {
            let text = cause.to_string();
            // Some errors repeat their cause in their own message.
            if !message.ends_with(&text) && causes.last() != Some(&text) {
                causes.push(text);
            }
            next = cause.source();
        }
        model::Problem {
            kind: match self.kind {
                Kind::Usage => model::ProblemKind::Usage,
                Kind::Input => model::ProblemKind::Input,
                Kind::Database => model::ProblemKind::Database,
                Kind::Internal => model::ProblemKind::Internal,
            },
            severity: model::Severity::Error,
            message,
            causes,
            place: None,
            hints: self.hints.clone(),
        }
    }
}

impl From<crate::input::InputError> for Failure {
    fn from(error: crate::input::InputError) -> Self {
        let hint = error.hint();
        Self::new(Kind::Input, error).hint(hint)
    }
}

impl From<crate::input::config::ConfigError> for Failure {
    fn from(error: crate::input::config::ConfigError) -> Self {
        let hint = error.hint();
        let mut failure = Self::new(Kind::Input, error);
        failure.hints.extend(hint);
        failure
    }
}
