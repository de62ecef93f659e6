//! Locks that are waited for without a `lock_timeout`.

use super::support::walk::{self, Place};
use super::support::{evidence, lock};
use crate::catalog::RelationKind;
use crate::declare_migration_rule;
use crate::finding::migration::{Fix, Remedy};
use crate::finding::{Edit, Level};
use crate::migration::locks::{Effect, Work, refuses_transaction};
use crate::migration::{At, Server};
use crate::rule::migration::{End, FileEnd, MigrationRule, MigrationSink};
use crate::source::Span;
use crate::sql::ddl::Statement;

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds the first statement of a change that takes a lock which blocks
    /// writes or reads of a table that was there before the change, where no
    /// `lock_timeout` is set. One finding a change, however many files and
    /// statements it has; none for changes that only create tables. It is a note
    /// where all its locks are brief, as for a new column, and a warning where
    /// rows are read or written under one of them.
    ///
    /// ## Why it matters
    ///
    /// A statement that waits for its lock makes every later query of the table
    /// queue behind it, though it does nothing yet. One long report or one
    /// session idle in a transaction is enough to stop everything that uses the
    /// table, for as long as it lasts. With a short `lock_timeout` the migration
    /// fails instead, and can be tried again.
    ///
    /// ## When it is wrong
    ///
    /// When the tool, the role or the database sets `lock_timeout` for
    /// migrations, which the files do not show: switch the rule off then.
    ///
    /// ## References
    ///
    /// - [lock_timeout](https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-LOCK-TIMEOUT)
    /// - [Explicit locking](https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES)
    pub struct LockWithoutTimeout = {
        id: "lock-without-timeout",
        summary: "a lock that blocks a table is waited for without a timeout",
        level: Warning,
        category: Locks,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for LockWithoutTimeout {
    fn file(&self, end: &FileEnd<'_>, sink: &mut MigrationSink) {
        if !end.context.one_change {
            let mut found = Found::default();
            found.add(end, &walk::locked(end));
            found.report(sink);
        }
    }

    fn end(&self, end: &End<'_>, sink: &mut MigrationSink) {
        if end.context.one_change {
            let mut found = Found::default();
            walk::each_file(end, |file, locked| found.add(file, locked));
            found.report(sink);
        }
    }
}

/// The first statement of a change that waits for a lock without a timeout.
struct Wait<'a> {
    at: At,
    span: Span,
    verb: &'a str,
    effect: &'a Effect,
    /// What would give it a timeout.
    sql: &'static str,
}

/// What is found in a change.
#[derive(Default)]
struct Found<'a> {
    first: Option<Wait<'a>>,
    /// How many statements wait so.
    waits: usize,
    /// One of them also reads, writes or indexes rows under the lock.
    works: bool,
    /// What gives all of them a timeout, in every file.
    edits: Vec<Edit>,
}

impl<'a> Found<'a> {
    /// Adds the statements of a file that wait so.
    fn add(&mut self, end: &FileEnd<'a>, locked: &[(At, Span, &'a Vec<Effect>)]) {
        let places = walk::statements(end.number, end.file);
        let mut waiting = Vec::new();
        for (at, span, effects) in locked {
            let Some(place) = walk::find(&places, *at) else {
                continue;
            };
            let Some(statement) = walk::statement(&places, *at) else {
                continue;
            };
            if place.lock_timeout || walk::references_from_new_table(end, statement, effects) {
                continue;
            }
            let Some(effect) = effects
                .iter()
                .filter(|effect| effect.mode.blocks_writes() && is_table(end, effect))
                .max_by_key(|effect| effect.mode)
            else {
                continue;
            };
            self.waits += 1;
            self.works |= effects
                .iter()
                .any(|effect| effect.mode.blocks_writes() && effect.work != Work::None);
            if self.first.is_none() {
                self.first = Some(Wait {
                    at: *at,
                    span: *span,
                    verb: &statement.verb,
                    effect,
                    sql: walk::set_timeout(place),
                });
            }
            waiting.push(place.at);
        }
        self.edits
            .extend(edits(&places, &waiting, end.context.server));
    }

    /// One finding, at the first; a warning where any of them keeps its lock
    /// for as long as it works.
    fn report(self, sink: &mut MigrationSink) {
        let Some(first) = self.first else {
            return;
        };
        let effect = first.effect;
        let more = match self.waits - 1 {
            0 => String::new(),
            1 => "; so does one more statement of the change".to_owned(),
            more => format!("; so do {more} more statements of the change"),
        };
        let level = if self.works {
            Level::Warning
        } else {
            Level::Note
        };
        let mut remedy = Remedy::new("give up early, and try again")
            .then(first.sql)
            .note("Let the tool that runs the migrations try again when the timeout strikes.")
            .note(
                "Where the tool, the role or the database sets lock_timeout, switch this rule off.",
            );
        if !self.edits.is_empty() {
            remedy = remedy.fix(Fix {
                edits: self.edits,
                follow_up: Vec::new(),
                outside_transaction: false,
            });
        }
        sink.report(
            format!(
                "{} waits for {} on {} without a lock_timeout",
                first.verb,
                effect.mode.name(),
                effect.relation
            ),
            format!(
                "while it waits for whoever uses {} now, {} until it gets its lock{more}",
                effect.relation,
                lock::queues(effect.mode)
            ),
            evidence::lock_at(first.span, effect),
        )
        .level(level)
        .at(first.at, first.span)
        .effect(effect)
        .remedy(remedy);
    }
}

/// Tables and materialised views; a view or sequence that waits stops little.
fn is_table(end: &FileEnd<'_>, effect: &Effect) -> bool {
    end.after
        .known(&effect.relation)
        .is_none_or(|table| table.kind != RelationKind::View)
}

/// Sets a timeout once for each transaction in which a statement waits, and
/// once for what waits outside of any; what runs CONCURRENTLY has to wait for
/// others, and gets none.
fn edits(places: &[Place<'_>], waiting: &[At], server: &Server) -> Vec<Edit> {
    let mut edits = Vec::new();
    let mut before = |statement: &Statement, sql: &str| {
        edits.push(Edit {
            span: Span {
                end: statement.span.start,
                ..statement.span
            },
            text: format!("{sql};\n"),
        });
    };
    let mut last = None;
    let mut session = None;
    let mut first_of: Option<&Place<'_>> = None;
    for place in places {
        if first_of.is_none_or(|first| first.transaction != place.transaction) {
            first_of = Some(place);
        }
        if waiting.binary_search(&place.at).is_err() {
            if session == Some(place.at.part)
                && refuses_transaction(place.statement, server).is_some()
            {
                session = None;
                before(place.statement, "RESET lock_timeout");
            }
            continue;
        }
        // Behind BEGIN, where the file has one.
        let first = match place.transaction {
            Some(_) if last == place.transaction => continue,
            Some(_) => {
                last = place.transaction;
                first_of.unwrap_or(place)
            }
            None if session == Some(place.at.part) => continue,
            None => place,
        };
        if first.statement.templated || place.statement.templated {
            continue;
        }
        if !walk::is_local(place) {
            session = Some(place.at.part);
        }
        before(first.statement, walk::set_timeout(place));
    }
    edits
}
