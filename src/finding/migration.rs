//! What rules find in migrations, and the safe way to do the same.

use super::{Edit, Evidence, Level};
use crate::migration::At;
use crate::migration::locks::{Effect, Known};
use crate::migration::state::Qualified;
use crate::source::Span;

/// What a rule found in a migration.
#[derive(Debug, Clone, PartialEq)]
pub struct MigrationFinding {
    /// The rule's name.
    pub rule: &'static str,
    /// How much it matters.
    pub level: Level,
    /// The statement.
    pub at: At,
    /// The place in the file: the statement, or the part of it that matters.
    pub span: Span,
    /// The relation concerned.
    pub relation: Option<Qualified>,
    /// A column, index, constraint or type concerned: makes the fingerprint
    /// tell two findings of one statement apart.
    pub object: Option<String>,
    /// What is wrong: no capital at the start unless a name, no full stop.
    pub message: String,
    /// What it would do here, in a sentence or two.
    pub why: String,
    /// What supports it; never empty.
    pub evidence: Vec<Evidence>,
    /// The lock and work that it is about.
    pub effect: Option<Effect>,
    /// How it is known: from the text, or because PostgreSQL did it.
    pub known: Known,
    /// What was assumed, where the finding stands on an assumption: `each file
    /// runs in one transaction`.
    pub assumed: Option<String>,
    /// The safe way.
    pub remedy: Option<Remedy>,
}

/// How to do safely what the statement does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Remedy {
    /// Imperative: `build the index CONCURRENTLY`.
    pub title: String,
    /// What to run, in order.
    pub steps: Vec<RemedyStep>,
    /// What else to know, as sentences.
    pub notes: Vec<String>,
    /// The same as edits of the user's file, where that can be done safely.
    pub fix: Option<Fix>,
}

/// One step of a remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemedyStep {
    /// Complete SQL, one statement or several with `;` between them, without
    /// one at the end.
    pub sql: String,
    /// It must run outside a transaction.
    pub outside_transaction: bool,
    /// It must be committed apart from the step before: a migration of its own.
    pub apart: bool,
}

/// A remedy as edits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fix {
    /// Edits of the file, ascending, not overlapping.
    pub edits: Vec<Edit>,
    /// SQL of a second migration that runs behind this one; empty when none is
    /// needed.
    pub follow_up: Vec<String>,
    /// The edited statement must run outside a transaction, so that the file
    /// needs its framework's marker.
    pub outside_transaction: bool,
}

impl Remedy {
    /// A remedy without steps.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            ..Self::default()
        }
    }

    /// One more step, in the transaction of the step before.
    #[must_use]
    pub fn then(mut self, sql: impl Into<String>) -> Self {
        self.steps.push(RemedyStep {
            sql: sql.into(),
            outside_transaction: false,
            apart: false,
        });
        self
    }

    /// One more step, committed apart from the step before.
    #[must_use]
    pub fn then_apart(mut self, sql: impl Into<String>) -> Self {
        self.steps.push(RemedyStep {
            sql: sql.into(),
            outside_transaction: false,
            apart: true,
        });
        self
    }

    /// One more step that must run outside a transaction.
    #[must_use]
    pub fn then_outside(mut self, sql: impl Into<String>) -> Self {
        self.steps.push(RemedyStep {
            sql: sql.into(),
            outside_transaction: true,
            apart: true,
        });
        self
    }

    /// What else to know.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// The same as edits.
    #[must_use]
    pub fn fix(mut self, fix: Fix) -> Self {
        self.fix = Some(fix);
        self
    }
}
