//! What `pgadvise check` says. Texts are borrowed from the files and findings:
//! a history has thousands of either.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

use super::check_workload::CheckWorkload;
use super::rooted::Rooted;
use super::{Level, Problem, Tool, Unit};

/// The version of the format of `check`. It grows when a field changes its
/// meaning or goes away; new fields may appear without.
pub const CHECK_SCHEMA_VERSION: u32 = 1;

/// What `pgadvise check` says in JSON.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(title = "pgadvise check")]
pub struct CheckReport<'a> {
    /// The version of this format.
    pub schema_version: u32,
    /// The program that wrote it.
    pub tool: Tool,
    /// The server that the migrations were judged for.
    pub server: CheckServer<'a>,
    /// The files that were judged, in the order in which they are applied.
    pub files: Vec<CheckFile<'a>>,
    /// What was found, in the order of files and places.
    #[schemars(with = "Vec<CheckFinding<'a>>")]
    pub findings: CheckFindings<'a>,
    /// What was found and does not count: silenced, or in the baseline.
    pub suppressed: Vec<CheckSuppressed<'a>>,
    /// The baseline, where there is one.
    pub baseline: Option<CheckBaseline<'a>>,
    /// What the change does to the queries of a workload (`--workload`).
    pub workload: Option<CheckWorkload>,
    /// What was seen on a throw-away server (`--trace`).
    pub trace: Option<CheckTrace>,
    /// What could not be checked, and why: silence about it is no praise.
    pub skipped: Vec<CheckSkipped>,
    /// What was taken for granted and what else is worth a word: which tool
    /// runs the files, and in which transactions.
    pub notes: Vec<String>,
    /// Every rule that ran or could not run.
    pub rules: Vec<CheckRule<'a>>,
    /// Files that could not be read, and other trouble.
    pub problems: Vec<Problem>,
    /// The level from which on findings fail the run; absent when they never
    /// do.
    pub fail_on: Option<Level>,
    /// The numbers of the run.
    pub totals: CheckTotals,
    /// Where the repository begins, for forms whose readers know files by
    /// their paths from there.
    #[serde(skip)]
    #[schemars(skip)]
    pub rooted: Rooted,
}

/// The server that the migrations were judged for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CheckServer<'a> {
    /// Major version.
    pub major: u16,
    /// How the version is known.
    pub known_by: &'a str,
    /// Nobody said which version it is.
    pub assumed: bool,
}

/// A file that was judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CheckFile<'a> {
    /// Its path as it was given.
    pub path: &'a str,
    /// What runs it: `flyway`, `prisma`, …, or `plain`.
    pub framework: &'a str,
    /// Its version as that takes it.
    pub version: Option<&'a str>,
    /// Its statements.
    pub statements: usize,
    /// What was found in it, without what was silenced.
    pub findings: usize,
}

/// A range of characters in a file. All numbers start at 1; the end is the
/// position after the last character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CheckPlace<'a> {
    /// The file's path as it was given.
    pub file: &'a str,
    /// Line of the first character.
    pub line: usize,
    /// Column of the first character, counted in characters.
    pub column: usize,
    /// Line of the end.
    pub end_line: usize,
    /// Column of the end.
    pub end_column: usize,
}

/// What was found in a migration.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct CheckFinding<'a> {
    /// The rule's name.
    pub rule: &'a str,
    /// How much it matters.
    pub level: Level,
    /// What is wrong.
    pub message: &'a str,
    /// What it would do here.
    pub why: &'a str,
    /// Where.
    pub place: CheckPlace<'a>,
    /// The first line of the place as it stands in the file.
    pub source: &'a str,
    /// The first keywords of the statement: `ALTER TABLE`.
    pub statement: Option<&'a str>,
    /// The relation concerned.
    pub relation: Option<String>,
    /// The column, index, constraint or type concerned.
    pub object: Option<&'a str>,
    /// The lock and the work that it is about.
    pub lock: Option<CheckLock<'a>>,
    /// It is known because PostgreSQL did it (`--trace`), not from the text
    /// alone.
    pub traced: bool,
    /// What was assumed.
    pub assumed: Option<&'a str>,
    /// What supports it.
    pub evidence: Vec<CheckEvidence<'a>>,
    /// The safe way.
    pub remedy: Option<CheckRemedy<'a>>,
    /// The same for the same finding in every run, whatever lines move.
    pub fingerprint: &'a str,
    /// The address of the rule's page, where the pages are published;
    /// `pgadvise rules NAME` prints it anyway.
    pub page: Option<String>,
}

/// The findings of a report. Each is made when it is looked at: thousands of
/// them at once would take more memory than what they are made of.
#[derive(Clone)]
pub struct CheckFindings<'a> {
    levels: Arc<[Level]>,
    make: Arc<MakeFinding<'a>>,
}

/// Makes the finding of that number, if there is one.
type MakeFinding<'a> = dyn Fn(usize) -> Option<CheckFinding<'a>> + Send + Sync + 'a;

impl<'a> CheckFindings<'a> {
    /// Findings of those levels, in their order, made by that.
    pub fn new(
        levels: Vec<Level>,
        make: impl Fn(usize) -> Option<CheckFinding<'a>> + Send + Sync + 'a,
    ) -> Self {
        Self {
            levels: levels.into(),
            make: Arc::new(make),
        }
    }

    /// None at all.
    pub fn none() -> Self {
        Self::new(Vec::new(), |_| None)
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.levels.len()
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }

    /// The level of each.
    pub fn levels(&self) -> &[Level] {
        &self.levels
    }

    /// The findings.
    pub fn iter(&self) -> impl Iterator<Item = CheckFinding<'a>> + use<'_, 'a> {
        self.range(0..self.len())
    }

    /// Some of them, by their numbers.
    pub fn range(
        &self,
        numbers: Range<usize>,
    ) -> impl Iterator<Item = CheckFinding<'a>> + use<'_, 'a> {
        numbers.filter_map(|number| (self.make)(number))
    }

    /// The findings of those levels only; the others are not made.
    pub fn of(&self, level: Level) -> impl Iterator<Item = CheckFinding<'a>> + use<'_, 'a> {
        let numbered = self.levels.iter().enumerate();
        numbered
            .filter(move |(_, own)| **own == level)
            .filter_map(|(number, _)| (self.make)(number))
    }
}

impl fmt::Debug for CheckFindings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl PartialEq for CheckFindings<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl Serialize for CheckFindings<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

/// A lock on a relation, and the work while it is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CheckLock<'a> {
    /// `ACCESS EXCLUSIVE`.
    pub mode: &'a str,
    /// Readers have to wait.
    pub blocks_reads: bool,
    /// Writers have to wait.
    pub blocks_writes: bool,
    /// What is done meanwhile: `none`, `scan`, `index_build`, `index_rebuild`,
    /// `rows`, `rewrite`.
    pub work: &'a str,
    /// Why, where that is not plain.
    pub why: Option<&'a str>,
}

/// A number or text that supports a finding.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct CheckEvidence<'a> {
    /// What it is.
    pub label: &'a str,
    /// The number; absent for a text.
    pub value: Option<f64>,
    /// The number's unit.
    pub unit: Unit,
    /// The value with its unit, as it is shown.
    pub text: String,
    /// Where it was read: `sql`, `catalog`, `statistics`, `plan`, or the name
    /// of a formula.
    pub from: &'a str,
}

/// How to do the same safely.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CheckRemedy<'a> {
    /// What to do.
    pub title: &'a str,
    /// What to run, in order.
    pub steps: Vec<CheckStep<'a>>,
    /// What else to know.
    pub notes: Vec<&'a str>,
    /// The same as edits of the file, where that is safe.
    pub edits: Vec<CheckEdit<'a>>,
    /// SQL of a second migration that runs behind this one.
    pub follow_up: Vec<&'a str>,
}

/// A step of the safe way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CheckStep<'a> {
    /// Complete SQL.
    pub sql: &'a str,
    /// It must run outside a transaction.
    pub outside_transaction: bool,
    /// It must be committed apart from the step before.
    pub apart: bool,
}

/// An edit of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CheckEdit<'a> {
    /// What is replaced.
    pub place: CheckPlace<'a>,
    /// By what.
    pub text: &'a str,
}

/// A finding that does not count.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct CheckSuppressed<'a> {
    /// By what.
    pub by: CheckSuppressedBy,
    /// Why.
    pub reason: Option<&'a str>,
    /// What was found.
    pub finding: CheckFinding<'a>,
}

/// What keeps a finding from counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckSuppressedBy {
    /// A comment in the file.
    Comment,
    /// `pgadvise.toml`.
    Configuration,
    /// It is in the baseline.
    Baseline,
}

/// The baseline of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CheckBaseline<'a> {
    /// Its file.
    pub file: &'a str,
    /// Findings that are in it.
    pub known: usize,
    /// Its entries that nothing was found for: they can be removed.
    pub stale: Vec<BaselineEntry>,
}

/// An entry of a baseline.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct BaselineEntry {
    /// The file, for people: it may be moved.
    pub file: String,
    /// The rule, for people.
    pub rule: String,
    /// What it is known by.
    pub fingerprint: String,
    /// The message, for people.
    pub message: String,
}

/// What was seen on a throw-away server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CheckTrace {
    /// `PostgreSQL 17.5 (embedded)`.
    pub engine: String,
    /// Statements that were run.
    pub statements: usize,
    /// Statements that the server refused.
    pub refused: usize,
    /// Where the text alone says something else than the server did, as
    /// sentences. Findings follow the server.
    pub disagreements: Vec<String>,
    /// What to know, as sentences.
    pub notes: Vec<String>,
}

/// Something that could not be checked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct CheckSkipped {
    /// What.
    pub what: String,
    /// Why not.
    pub why: String,
    /// What to give or do so that it can be.
    pub remedy: Option<String>,
}

/// A rule of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CheckRule<'a> {
    /// Its name.
    pub name: &'a str,
    /// One line.
    pub summary: &'a str,
    /// Its usual level.
    pub level: Level,
    /// What sort of trouble: `locks`, `failure`, `compatibility`,
    /// `performance`, `design`, `style`.
    pub category: &'a str,
    /// What became of it.
    pub outcome: CheckOutcome,
    /// The address of its page, where the pages are published.
    pub page: Option<String>,
    /// The page's text, for formats that hold it.
    #[serde(skip)]
    pub docs: &'a str,
}

/// What became of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckOutcome {
    /// It looked.
    Ran,
    /// It lacked something.
    Skipped,
    /// It is switched off.
    Off,
    /// It failed: a bug of the program.
    Crashed,
}

/// The numbers of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CheckTotals {
    /// Files that were judged.
    pub files: usize,
    /// Files that were only replayed.
    pub replayed_files: usize,
    /// Statements that were judged.
    pub statements: usize,
    /// Statements that were only replayed.
    pub replayed_statements: usize,
    /// Findings that count.
    pub findings: usize,
    /// Of these, critical ones.
    pub critical: usize,
    /// Of these, warnings.
    pub warning: usize,
    /// Of these, notes.
    pub note: usize,
    /// Findings that were silenced.
    pub suppressed: usize,
    /// Findings that are in the baseline.
    pub baseline: usize,
    /// What could not be checked.
    pub skipped: usize,
    /// Troubles.
    pub problems: usize,
}

impl CheckReport<'_> {
    /// Whether a finding of that level fails the run.
    pub fn fails(&self, level: Level) -> bool {
        self.fail_on.is_some_and(|least| level >= least)
    }

    /// Some of the work could not be done.
    pub fn incomplete(&self) -> bool {
        self.problems
            .iter()
            .any(|problem| problem.severity == super::Severity::Error)
    }

    /// The worst level of what counts.
    pub fn worst(&self) -> Option<Level> {
        self.findings.levels().iter().copied().max()
    }
}
