//! What a rule about migrations is.
//!
//! It is asked about each statement of the files that are new, with the state
//! of the schema before it, what the statement locks and does, and the
//! transaction that it runs in; and once more at the end of all files.

use std::cell::OnceCell;

use crate::finding::migration::{MigrationFinding, Remedy};
use crate::finding::{Evidence, Level};
use crate::migration::locks::{Effect, Known};
use crate::migration::state::{Qualified, State};
use crate::migration::{At, File, History, Part, Server, Sureness};
use crate::source::{Sources, Span};
use crate::sql::Statement as Query;
use crate::sql::ddl::{Action, Name, Statement};

/// What sort of trouble a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Category {
    /// Locks, scans and rewrites.
    Locks,
    /// Statements that fail, or fail for some.
    Failure,
    /// Running applications that break, and data that is lost.
    Compatibility,
    /// Queries that become slow.
    Performance,
    /// How a schema is designed: off unless asked for.
    Design,
    /// How scripts are written: off unless asked for, but for suppressions.
    Style,
}

impl Category {
    /// Its name in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Locks => "locks",
            Self::Failure => "failure",
            Self::Compatibility => "compatibility",
            Self::Performance => "performance",
            Self::Design => "design",
            Self::Style => "style",
        }
    }
}

/// What a rule about migrations needs besides the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MigrationNeed {
    /// Sizes of tables (a snapshot).
    Sizes,
    /// Queries (`--workload`).
    Workload,
}

impl MigrationNeed {
    /// What the user can give to have it.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Sizes => "sizes of tables (--snapshot)",
            Self::Workload => "queries (--workload)",
        }
    }
}

/// What there is to know about a rule, written by [`declare_migration_rule!`].
#[derive(Debug)]
pub struct MigrationMeta {
    /// Its name: the pattern found, as it reads after "ignore".
    pub id: &'static str,
    /// One line.
    pub summary: &'static str,
    /// Its usual level.
    pub level: Level,
    /// What sort of trouble.
    pub category: Category,
    /// It runs unless it is switched off.
    pub on: bool,
    /// What it needs besides the files.
    pub needs: &'static [MigrationNeed],
    /// The version that brought it.
    pub since: &'static str,
    /// Its page, from the doc comment.
    pub docs: &'static str,
    /// Its file.
    pub file: &'static str,
}

/// The part of a rule that the macro writes.
pub trait MigrationDescribed {
    /// What there is to know about it.
    fn meta(&self) -> &'static MigrationMeta;
}

/// A rule about migrations. It has at least one of the methods.
pub trait MigrationRule: MigrationDescribed + Sync {
    /// Looks at one statement of a new file.
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let _ = (step, sink);
    }

    /// Looks at a new file as a whole, after its last statement.
    fn file(&self, end: &FileEnd<'_>, sink: &mut MigrationSink) {
        let _ = (end, sink);
    }

    /// Looks at all files, after the last.
    fn end(&self, end: &End<'_>, sink: &mut MigrationSink) {
        let _ = (end, sink);
    }
}

/// What is the same for all statements.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The files.
    pub history: &'a History,
    /// Their texts.
    pub sources: &'a Sources,
    /// The server that they are for.
    pub server: &'a Server,
    /// All new files are one change, deployed together (`--since`, a list of
    /// files); otherwise each file is a change of its own.
    pub one_change: bool,
    /// Sizes of tables are known.
    pub sized: bool,
    /// The queries of the workload, where one was given.
    pub workload: Option<&'a [Query]>,
}

/// The transaction that a statement runs in.
#[derive(Debug, Clone, Default)]
pub struct TransactionState {
    /// One is open; otherwise the statement is its own.
    pub open: bool,
    /// It was opened by `BEGIN` in the file, not by the runner.
    pub explicit: bool,
    /// Whether the runner's transaction is known or assumed.
    pub assumed: bool,
    /// Its statements so far that took locks or did work, in order: place,
    /// span, effects.
    pub earlier: Vec<(At, Span, Vec<Effect>)>,
    /// `lock_timeout` in force, as written; `None` when never set (or 0).
    pub lock_timeout: Option<String>,
    /// `statement_timeout` in force, as written.
    pub statement_timeout: Option<String>,
}

impl TransactionState {
    /// The strongest lock that the transaction holds on a relation already,
    /// with the statement that took it.
    pub fn holds(&self, relation: &Qualified) -> Option<(&Effect, Span)> {
        self.earlier
            .iter()
            .flat_map(|(_, span, effects)| effects.iter().map(move |effect| (effect, *span)))
            .filter(|(effect, _)| effect.relation == *relation)
            .max_by_key(|(effect, _)| effect.mode)
    }
}

/// One statement, with all that is known when it runs.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// What is the same for all.
    pub context: Context<'a>,
    /// The file.
    pub file: &'a File,
    /// The part of the file.
    pub part: &'a Part,
    /// Its place in the history.
    pub at: At,
    /// The statement.
    pub statement: &'a Statement,
    /// The DO statement in whose body it stands.
    pub within: Option<&'a Statement>,
    /// The schema before it.
    pub before: &'a State,
    /// What it locks and does.
    pub effects: &'a [Effect],
    /// The transaction that it runs in.
    pub transaction: &'a TransactionState,
    /// What [`Step::altered`] found: many rules ask for it.
    pub found: &'a OnceCell<Option<AlteredRelation>>,
}

/// The relation that an `ALTER` names.
#[derive(Debug, Clone)]
pub struct AlteredRelation {
    /// Its name as the server would find it.
    pub relation: Qualified,
    /// Its name as SQL, qualified as the user wrote it.
    pub sql: String,
}

impl<'a> Step<'a> {
    /// The relation that the statement alters, where it is an `ALTER` and the
    /// relation is in use.
    pub fn altered(&self) -> Option<&'a AlteredRelation> {
        self.found
            .get_or_init(|| {
                let Action::Alter(alter) = &self.statement.action else {
                    return None;
                };
                let relation = self.before.qualify(&alter.relation.name);
                self.is_in_use(&relation).then(|| AlteredRelation {
                    relation,
                    sql: alter.relation.name.sql(),
                })
            })
            .as_ref()
    }

    /// Whether a relation was there before this change, may hold rows and may
    /// be in use: only then do locks and work on it matter. A relation that
    /// the history does not know is taken to be one.
    pub fn is_in_use(&self, relation: &Qualified) -> bool {
        let owner = || {
            // An index is in use where its table is.
            let name = Name::qualified(relation.schema.clone(), relation.name.clone());
            self.before.index(&name).map(|(table, _)| table)
        };
        match self.before.known(relation).or_else(owner) {
            None => true,
            Some(table) => {
                !table.is_known_empty()
                    && table.persistence != crate::sql::ddl::Persistence::Temporary
                    && table
                        .created
                        .is_none_or(|created| !self.is_same_change(created))
            }
        }
    }

    /// Whether something was made by the change that this statement is part of.
    /// What a migration made that was there before is not, though the change
    /// touches its file.
    pub fn is_same_change(&self, at: At) -> bool {
        at.file == self.at.file
            || (self.context.one_change
                && self
                    .context
                    .history
                    .files
                    .get(at.file)
                    .is_some_and(|file| file.new && !file.edited))
    }

    /// Effects on relations that are in use.
    pub fn effects_in_use(&self) -> impl Iterator<Item = &'a Effect> + '_ {
        self.effects
            .iter()
            .filter(|effect| self.is_in_use(&effect.relation))
    }

    /// The effect of a command of an ALTER TABLE (or of the statement, for 0)
    /// on that relation, if it is in use.
    pub fn effect_of(&self, command: usize, relation: &Qualified) -> Option<&'a Effect> {
        self.effects
            .iter()
            .filter(|effect| effect.relation == *relation)
            .filter(|effect| effect.command.is_none_or(|number| number == command))
            .max_by_key(|effect| (effect.work, effect.mode))
            .filter(|effect| self.is_in_use(&effect.relation))
    }

    /// The text of a span.
    pub fn text(&self, span: Span) -> &'a str {
        self.context.sources.slice(span)
    }

    /// The server's major version.
    pub fn major(&self) -> u16 {
        self.context.server.major
    }

    /// Statements behind this one in the same part.
    pub fn rest(&self) -> &'a [Statement] {
        self.part
            .statements
            .get(self.at.statement + 1..)
            .unwrap_or_default()
    }

    /// The runner's transactions are not known, only assumed.
    pub fn wrapping_assumed(&self) -> bool {
        self.part.sureness == Sureness::Assumed
    }
}

impl<'a> End<'a> {
    /// The files of this database, with their numbers.
    pub fn numbered(&self) -> impl Iterator<Item = (usize, &'a File)> + use<'a> {
        let (first, last) = self.files;
        let files = self.context.history.files.get(first..last);
        (first..last).zip(files.unwrap_or_default())
    }
}

/// A file whose last statement has been applied.
#[derive(Debug, Clone, Copy)]
pub struct FileEnd<'a> {
    /// What is the same for all.
    pub context: Context<'a>,
    /// The file.
    pub file: &'a File,
    /// Its number.
    pub number: usize,
    /// The schema before its first statement is not kept; this is the one
    /// after its last.
    pub after: &'a State,
    /// Every statement of its up parts that took locks or did work on
    /// relations in use, in order.
    pub locked: &'a [(At, Span, Vec<Effect>)],
}

/// All files have been applied.
#[derive(Debug, Clone, Copy)]
pub struct End<'a> {
    /// What is the same for all.
    pub context: Context<'a>,
    /// The schema after the last.
    pub after: &'a State,
    /// The first file of this database, and the one behind its last: rules are
    /// asked once for each database.
    pub files: (usize, usize),
    /// For each new file the statements that took locks or did work on
    /// relations in use: (number of the file, place, span, effects), in order.
    pub locked: &'a [(usize, At, Span, Vec<Effect>)],
}

/// Where findings about migrations go.
#[derive(Debug)]
pub struct MigrationSink {
    meta: &'static MigrationMeta,
    at: At,
    span: Span,
    findings: Vec<MigrationFinding>,
}

impl MigrationSink {
    /// A sink for that rule, at that statement.
    pub fn new(meta: &'static MigrationMeta, at: At, span: Span) -> Self {
        Self {
            meta,
            at,
            span,
            findings: Vec::new(),
        }
    }

    /// Moves on to another statement.
    pub fn move_to(&mut self, at: At, span: Span) {
        self.at = at;
        self.span = span;
    }

    /// Reports a finding about the statement, at the rule's usual level. The
    /// first piece of evidence is an argument of its own, so that there is one.
    pub fn report(
        &mut self,
        message: impl Into<String>,
        why: impl Into<String>,
        evidence: Evidence,
    ) -> MigrationDraft<'_> {
        self.findings.push(MigrationFinding {
            rule: self.meta.id,
            level: self.meta.level,
            at: self.at,
            span: self.span,
            relation: None,
            object: None,
            message: message.into(),
            why: why.into(),
            evidence: vec![evidence],
            effect: None,
            known: Known::Static,
            assumed: None,
            remedy: None,
        });
        let at = self.findings.len() - 1;
        MigrationDraft { sink: self, at }
    }

    /// What was reported.
    pub fn into_findings(self) -> Vec<MigrationFinding> {
        self.findings
    }

    /// Moves what was reported so far to the others, and says how many those
    /// are; the sink is empty then.
    pub fn give(&mut self, findings: &mut Vec<MigrationFinding>) -> usize {
        let count = self.findings.len();
        findings.append(&mut self.findings);
        count
    }
}

/// A finding being written.
#[derive(Debug)]
pub struct MigrationDraft<'a> {
    sink: &'a mut MigrationSink,
    at: usize,
}

impl MigrationDraft<'_> {
    fn set(self, change: impl FnOnce(&mut MigrationFinding)) -> Self {
        if let Some(finding) = self.sink.findings.get_mut(self.at) {
            change(finding);
        }
        self
    }

    /// Another level than the rule's usual one.
    pub fn level(self, level: Level) -> Self {
        self.set(|finding| finding.level = level)
    }

    /// A part of the statement.
    pub fn span(self, span: Span) -> Self {
        self.set(|finding| finding.span = span)
    }

    /// Another statement than the one being looked at.
    pub fn at(self, at: At, span: Span) -> Self {
        self.set(|finding| {
            finding.at = at;
            finding.span = span;
        })
    }

    /// The relation concerned.
    pub fn relation(self, relation: &Qualified) -> Self {
        self.set(|finding| finding.relation = Some(relation.clone()))
    }

    /// The column, index, constraint or type concerned.
    pub fn object(self, object: impl Into<String>) -> Self {
        self.set(|finding| finding.object = Some(object.into()))
    }

    /// The lock and work that it is about; its relation is taken over.
    pub fn effect(self, effect: &Effect) -> Self {
        self.set(|finding| {
            finding.known = effect.known;
            finding.relation = Some(effect.relation.clone());
            finding.effect = Some(effect.clone());
        })
    }

    /// More evidence.
    pub fn evidence(self, evidence: Evidence) -> Self {
        self.set(|finding| finding.evidence.push(evidence))
    }

    /// What it assumes.
    pub fn assumed(self, assumption: Option<String>) -> Self {
        self.set(|finding| finding.assumed = assumption)
    }

    /// The safe way.
    pub fn remedy(self, remedy: Remedy) -> Self {
        self.set(|finding| finding.remedy = Some(remedy))
    }
}

/// Declares a rule about migrations: its doc comment becomes its page.
#[macro_export]
macro_rules! declare_migration_rule {
    (
        $(#[doc = $doc:literal])*
        $vis:vis struct $name:ident = {
            id: $id:literal,
            summary: $summary:literal,
            level: $level:ident,
            category: $category:ident,
            on: $on:literal,
            $(needs: [$($need:ident),* $(,)?],)?
            since: $since:literal $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug)]
        $vis struct $name;

        impl $crate::rule::migration::MigrationDescribed for $name {
            fn meta(&self) -> &'static $crate::rule::migration::MigrationMeta {
                static META: $crate::rule::migration::MigrationMeta =
                    $crate::rule::migration::MigrationMeta {
                        id: $id,
                        summary: $summary,
                        level: $crate::finding::Level::$level,
                        category: $crate::rule::migration::Category::$category,
                        on: $on,
                        needs: &[$($($crate::rule::migration::MigrationNeed::$need),*)?],
                        since: $since,
                        docs: concat!($($doc, "\n"),*),
                        file: file!(),
                    };
                &META
            }
        }
    };
}
