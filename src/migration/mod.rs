//! Migrations as values: files in the order in which they are applied, with
//! the transactions that their framework runs them in; the state of the schema
//! before each statement; and what each statement locks and does.

pub mod assemble;
pub mod framework;
pub mod locks;
pub mod state;

use std::ops::Range;

use crate::source::{Problem, SourceId, Span};
use crate::sql::ddl::{Action, ObjectKind, Statement};

pub use framework::Framework;

/// The part of a history that a file belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// It moves the schema forward.
    Up,
    /// It takes an up part back; never replayed, and judged by few rules.
    Down,
}

/// How a runner wraps the statements of a file, or of a part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wrapping {
    /// Each statement is its own transaction, unless the file says BEGIN.
    None,
    /// One transaction around all statements of the part.
    PerFile,
    /// One transaction around all pending files (Drizzle).
    PerRun,
    /// All statements are sent as one message of the simple query protocol:
    /// one implicit transaction when there are several, none when there is one
    /// (Prisma; plain drivers).
    OneMessage,
}

/// How sure it is which transactions are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sureness {
    /// The framework is known, or the user said so.
    Known,
    /// Nothing says which runner it is; findings that depend on it say so.
    Assumed,
}

/// A run of statements of a file under one wrapping.
#[derive(Debug, Clone)]
pub struct Part {
    /// Up or down.
    pub direction: Direction,
    /// Transactions.
    pub wrapping: Wrapping,
    /// Whether the wrapping is known.
    pub sureness: Sureness,
    /// The text's bytes that the part takes up.
    pub span: Span,
    /// Its statements, in order.
    pub statements: Vec<Statement>,
}

/// One file of a history.
#[derive(Debug, Clone)]
pub struct File {
    /// Its text.
    pub source: SourceId,
    /// Its path as shown: relative as the user gave it, `/` between parts.
    pub path: String,
    /// The version as the framework takes it: `20240102030405`, `1.2`, `0007`.
    pub version: Option<String>,
    /// The framework.
    pub framework: Framework,
    /// The database it is for, where a project holds several (a folder).
    pub database: Option<String>,
    /// Findings of it are reported; the others only build the state.
    pub new: bool,
    /// It was there before the change, and was changed: databases have what it
    /// made.
    pub edited: bool,
    /// Its parts, in order.
    pub parts: Vec<Part>,
    /// Suppressions for the whole file: `-- pgadvise: ignore-file RULE (reason)`.
    pub suppressions: Vec<crate::sql::Suppression>,
}

/// Files of one framework for one database, and how they were told.
#[derive(Debug, Clone)]
pub struct Set {
    /// The folder as shown; empty when the files stand in none.
    pub folder: String,
    /// The framework.
    pub framework: Framework,
    /// By what it was told: `up.sql in a folder for each migration`.
    pub by: String,
    /// Whether that settles it; which transactions are used hangs on it.
    pub sureness: Sureness,
    /// The database, where there are several.
    pub database: Option<String>,
    /// How many files.
    pub files: usize,
}

/// Files in the order in which they are applied.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// The files, those of one database behind each other. Down files stand
    /// behind their up file.
    pub files: Vec<File>,
    /// Which frameworks the files are for, in the order of the files.
    pub sets: Vec<Set>,
    /// What is worth a word and is no trouble, as sentences without an end:
    /// `a.sql holds no statement`.
    pub notes: Vec<String>,
    /// Trouble with files, names and order.
    pub problems: Vec<Problem>,
    /// Files and folders that could not be read at all: work that was not
    /// done, so that the run fails.
    pub failures: Vec<Problem>,
    /// What could not be looked at, and why: `(what, why)`.
    pub skipped: Vec<(String, String)>,
    /// What it was assembled from, for assembling it anew with other texts.
    pub given: Vec<assemble::Given>,
    /// With what options.
    pub options: assemble::Assembling,
}

impl History {
    /// Gives back what was read of a range of files that have been judged: of
    /// their statements only the places, first keywords and suppressions are
    /// kept.
    pub fn forget(&mut self, range: Range<usize>) {
        let nothing = || Action::Other {
            kind: ObjectKind::Other,
        };
        let files = self.files.get_mut(range).unwrap_or_default();
        for statement in files
            .iter_mut()
            .flat_map(|file| &mut file.parts)
            .flat_map(|part| &mut part.statements)
        {
            match &mut statement.action {
                // Findings have places in the body.
                Action::Do(body) => {
                    for inner in &mut body.statements {
                        inner.action = nothing();
                    }
                }
                action => *action = nothing(),
            }
        }
    }
}

/// Where a statement stands in a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct At {
    /// Number of the file in [`History::files`].
    pub file: usize,
    /// Number of the part in the file.
    pub part: usize,
    /// Number of the statement in the part.
    pub statement: usize,
    /// Number of the statement in the body of a DO block, from 1; 0 for the
    /// statement itself.
    pub inner: usize,
}

impl At {
    /// A file as a whole.
    pub fn file(file: usize) -> Self {
        Self {
            file,
            part: 0,
            statement: 0,
            inner: 0,
        }
    }
}

/// What is assumed about the server, for the verdicts of rules.
#[derive(Debug, Clone)]
pub struct Server {
    /// Major version, 13 to 18.
    pub major: u16,
    /// How the version is known: `--pg-version`, `the snapshot`,
    /// `pgadvise.toml`, or that it is assumed.
    pub known_by: String,
    /// Nobody said which version.
    pub assumed: bool,
    /// `TimeZone` is UTC, where known: decides whether `timestamp` becomes
    /// `timestamptz` without a rewrite.
    pub utc: Option<bool>,
}

impl Server {
    /// The oldest version that PostgreSQL still supports, for when nobody says.
    pub const ASSUMED: u16 = 15;
}

impl Default for Server {
    fn default() -> Self {
        Self {
            major: Self::ASSUMED,
            known_by: format!("no version was given, {} is assumed", Self::ASSUMED),
            assumed: true,
            utc: None,
        }
    }
}
