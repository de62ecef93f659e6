//! The walk over a history: state, transactions, rules.

use std::cell::OnceCell;
use std::ops::Range;

use super::{CheckInput, Checked, MigrationOutcome, ranges};
use crate::advise::engine::quietly;
use crate::finding::migration::MigrationFinding;
use crate::migration::locks::{Effect, Known, effects};
use crate::migration::state::State;
use crate::migration::{At, Direction, File, Part, Wrapping};
use crate::rule::migration::{
    Context, End, FileEnd, MigrationNeed, MigrationRule, MigrationSink, Step, TransactionState,
};
use crate::source::Span;
use crate::sql::ddl::{Action, Setting, Statement, Transaction};
use crate::threads;

/// So many files make the rules' last look worth threads.
const MANY_FILES: usize = 200;

/// A rule at work.
struct Running<'a> {
    rule: &'a dyn MigrationRule,
    sink: MigrationSink,
    outcome: Option<MigrationOutcome>,
    found: usize,
}

/// What is remembered from file to file.
struct Walk<'a> {
    input: CheckInput<'a>,
    rules: Vec<Running<'a>>,
    state: State,
    /// The file at hand is judged here; others only change the state.
    judges: bool,
    transaction: TransactionState,
    findings: Vec<MigrationFinding>,
    locked: Vec<(At, Span, Vec<Effect>)>,
    all_locked: Vec<Locked>,
    statements: usize,
    replayed: usize,
}

/// A statement that took locks: the number of its file, its place, its effects.
type Locked = (usize, At, Span, Vec<Effect>);

/// What came of the files that one thread judged.
struct Walked<'a> {
    rules: Vec<Running<'a>>,
    findings: Vec<MigrationFinding>,
    /// For each database that has files here its number, its locks, and the
    /// schema where its last file is here.
    databases: Vec<(usize, Vec<Locked>, Option<State>)>,
    statements: usize,
    replayed: usize,
}

/// Replays the history from that state and asks the rules.
///
/// Down parts are looked at with the state after their file's up parts, and
/// change nothing. Rules keep nothing from statement to statement, so that a
/// long history is judged in several ranges of files at once: each thread
/// replays what stands before its range.
pub fn check(input: CheckInput<'_>, state: State) -> Checked {
    let all = 0..input.context.history.files.len();
    check_files(input, state, all)
}

/// The same for a range of files only, which ends where a database does.
pub fn check_files(input: CheckInput<'_>, state: State, files: Range<usize>) -> Checked {
    let mut state = state;
    state.set_major(input.context.server.major);
    let own = input.context.history.files.get(files.clone());
    let own = own.unwrap_or_default();
    let databases = ranges::databases(own);
    let mine = ranges::cut(own, &databases, input.context.history.options.threads);
    let shift = |ranges: Vec<Range<usize>>| -> Vec<Range<usize>> {
        let from = files.start;
        let shifted = ranges.into_iter();
        shifted
            .map(|own| own.start + from..own.end + from)
            .collect()
    };
    let (databases, mine) = (shift(databases), shift(mine));
    let walked = threads::each(mine, |range| walk(input, &databases, range, &state));
    done(input, walked, &databases, state)
}

/// A history that begins with changes to tables that it does not make is a part
/// of a longer one.
fn makes_tables(files: &[File]) -> bool {
    files
        .iter()
        .flat_map(|file| &file.parts)
        .flat_map(|part| &part.statements)
        .any(|statement| matches!(statement.action, Action::CreateTable(_)))
}

fn running(input: CheckInput<'_>) -> Vec<Running<'_>> {
    input
        .rules
        .iter()
        .map(|rule| {
            let meta = rule.meta();
            Running {
                rule: *rule,
                sink: MigrationSink::new(meta, NOWHERE, no_span()),
                outcome: outcome_before(input, meta),
                found: 0,
            }
        })
        .collect()
}

const NOWHERE: At = At {
    file: 0,
    part: 0,
    statement: 0,
    inner: 0,
};

fn no_span() -> Span {
    Span::new(crate::source::SourceId(0), 0..0)
}

/// Judges a range of files.
fn walk<'a>(
    input: CheckInput<'a>,
    databases: &[Range<usize>],
    mine: Range<usize>,
    initial: &State,
) -> Walked<'a> {
    let mut walk = Walk {
        input,
        rules: running(input),
        state: State::empty(),
        judges: false,
        transaction: TransactionState::default(),
        findings: Vec::new(),
        locked: Vec::new(),
        all_locked: Vec::new(),
        statements: 0,
        replayed: 0,
    };
    let mut ended = Vec::new();
    for (number, database) in databases.iter().enumerate() {
        if database.end <= mine.start || database.start >= mine.end {
            continue;
        }
        // What one database holds says nothing of the next.
        walk.state = initial.clone();
        walk.transaction = TransactionState::default();
        let files = &input.context.history.files;
        if !makes_tables(files.get(database.clone()).unwrap_or_default()) {
            walk.state.begin_in_the_middle();
        }
        let files = files.iter().enumerate();
        for (number, file) in files.take(database.end.min(mine.end)).skip(database.start) {
            walk.judges = file.new && mine.contains(&number);
            let before = walk.replayed;
            walk.file(number, file);
            if !mine.contains(&number) {
                walk.replayed = before;
            }
        }
        let locked = std::mem::take(&mut walk.all_locked);
        let after = (database.end <= mine.end).then(|| std::mem::take(&mut walk.state));
        ended.push((number, locked, after));
    }
    Walked {
        rules: walk.rules,
        findings: walk.findings,
        databases: ended,
        statements: walk.statements,
        replayed: walk.replayed,
    }
}

/// Asks for what is seen only at the end of each database, and puts together
/// what the threads found.
fn done<'a>(
    input: CheckInput<'a>,
    walked: Vec<Walked<'a>>,
    databases: &[Range<usize>],
    state: State,
) -> Checked {
    let mut rules = running(input);
    let mut findings = Vec::new();
    let mut ended: Vec<(Vec<Locked>, State)> = Vec::new();
    ended.resize_with(databases.len(), Default::default);
    let (mut statements, mut replayed) = (0, 0);
    for mut one in walked {
        for (rule, own) in rules.iter_mut().zip(one.rules) {
            rule.found += own.found;
            if rule.outcome.is_none() {
                rule.outcome = own.outcome;
            }
        }
        findings.append(&mut one.findings);
        for (number, mut locked, after) in one.databases {
            if let Some(database) = ended.get_mut(number) {
                database.0.append(&mut locked);
                if let Some(after) = after {
                    database.1 = after;
                }
            }
        }
        statements += one.statements;
        replayed += one.replayed;
    }
    ask_at_end(input, &mut rules, &ended, databases, &mut findings);
    for finding in &mut findings {
        if let Some(level) = input.options.choice.levels.get(finding.rule) {
            finding.level = *level;
        }
        if finding
            .effect
            .as_ref()
            .is_some_and(|effect| effect.known == Known::Traced)
        {
            finding.known = Known::Traced;
        }
    }
    super::sort(&mut findings);
    // A rule that looks at all files at the end is asked once for each database.
    findings.dedup();
    Checked {
        findings,
        outcomes: rules
            .into_iter()
            .map(|running| {
                let outcome = running.outcome.unwrap_or(MigrationOutcome::Ran {
                    findings: running.found,
                });
                (running.rule.meta().id, outcome)
            })
            .collect(),
        // Without any file the schema is what it was.
        after: ended.pop().map_or(state, |(_, after)| after),
        statements,
        replayed,
    }
}

/// Asks for what is seen only behind the last file of each database; where
/// there are many files, some rules on each thread.
fn ask_at_end(
    input: CheckInput<'_>,
    rules: &mut [Running<'_>],
    ended: &[(Vec<Locked>, State)],
    databases: &[Range<usize>],
    findings: &mut Vec<MigrationFinding>,
) {
    let ask_some = |rules: &mut [Running<'_>]| {
        let mut findings = Vec::new();
        for ((locked, after), files) in ended.iter().zip(databases) {
            let end = End {
                context: input.context,
                after,
                files: (files.start, files.end),
                locked,
            };
            ask(rules, &mut findings, NOWHERE, no_span(), |rule, sink| {
                rule.end(&end, sink);
            });
        }
        findings
    };
    let threads = input.context.history.options.threads;
    if threads < 2 || input.context.history.files.len() < MANY_FILES {
        findings.append(&mut ask_some(rules));
        return;
    }
    let share = rules.len().div_ceil(threads).max(1);
    for mut found in threads::each(rules.chunks_mut(share), ask_some) {
        findings.append(&mut found);
    }
}

/// Why a rule does not run at all.
fn outcome_before(
    input: CheckInput<'_>,
    meta: &crate::rule::migration::MigrationMeta,
) -> Option<MigrationOutcome> {
    let asked = input.options.on.iter().any(|id| id == meta.id)
        || input.options.choice.levels.contains_key(meta.id);
    if input.options.choice.off.contains(meta.id) || !(meta.on || asked) {
        return Some(MigrationOutcome::Off);
    }
    let missing: Vec<&'static str> = meta
        .needs
        .iter()
        .filter(|need| match need {
            MigrationNeed::Sizes => !input.context.sized,
            MigrationNeed::Workload => input.context.workload.is_none(),
        })
        .map(|need| need.remedy())
        .collect();
    (!missing.is_empty()).then_some(MigrationOutcome::Skipped { missing })
}

impl<'a> Walk<'a> {
    fn context(&self) -> Context<'a> {
        self.input.context
    }

    fn file(&mut self, number: usize, file: &'a File) {
        for (at, part) in file.parts.iter().enumerate() {
            self.part(number, file, at, part);
        }
        if self.judges {
            let end = FileEnd {
                context: self.input.context,
                file,
                number,
                after: &self.state,
                locked: &self.locked,
            };
            let at = At {
                file: number,
                part: 0,
                statement: 0,
                inner: 0,
            };
            let span = file.parts.first().map_or_else(
                || Span::new(file.source, 0..0),
                |part| {
                    part.statements
                        .first()
                        .map_or(part.span, |statement| statement.span)
                },
            );
            ask(
                &mut self.rules,
                &mut self.findings,
                at,
                span,
                |rule, sink| {
                    rule.file(&end, sink);
                },
            );
            for (at, span, effects) in self.locked.drain(..) {
                self.all_locked.push((number, at, span, effects));
            }
        }
    }

    fn part(&mut self, number: usize, file: &'a File, at: usize, part: &'a Part) {
        if part.direction == Direction::Down && !self.judges {
            return;
        }
        if part.wrapping != Wrapping::PerRun {
            self.transaction.open = false;
            self.transaction.earlier.clear();
        }
        let wraps = match part.wrapping {
            Wrapping::PerFile | Wrapping::PerRun => true,
            Wrapping::OneMessage => part.statements.len() > 1,
            Wrapping::None => false,
        };
        if wraps {
            self.transaction.open = true;
            self.transaction.explicit = false;
            self.transaction.assumed = part.sureness == crate::migration::Sureness::Assumed;
        }
        // A new part is a new session for most runners; settings are kept only
        // within it.
        self.transaction.lock_timeout = None;
        self.transaction.statement_timeout = None;
        let down = part.direction == Direction::Down;
        self.state.new_session();
        self.state
            .expect_rollback(part.statements.iter().any(|statement| {
                matches!(
                    statement.action,
                    Action::Transaction(Transaction::Rollback | Transaction::RollbackToSavepoint)
                )
            }));
        // A down part is judged against the schema that its up part left, and
        // what it changes is taken back.
        let mark = down.then(|| self.state.mark());
        for (index, statement) in part.statements.iter().enumerate() {
            let place = At {
                file: number,
                part: at,
                statement: index,
                inner: 0,
            };
            self.statement(file, part, place, statement, None);
        }
        if let Some(mark) = mark {
            self.state.back_to(mark);
        }
        if part.wrapping != Wrapping::PerRun {
            self.transaction.open = false;
            self.transaction.earlier.clear();
        }
    }

    fn statement(
        &mut self,
        file: &'a File,
        part: &'a Part,
        at: At,
        statement: &'a Statement,
        within: Option<&'a Statement>,
    ) {
        if self.judges {
            self.statements += 1;
            let found = self
                .input
                .options
                .traced
                .get(&at)
                .filter(|_| within.is_none())
                .cloned()
                .unwrap_or_else(|| effects(statement, &self.state, self.context().server));
            let step = Step {
                context: self.input.context,
                file,
                part,
                at,
                statement,
                within,
                before: &self.state,
                effects: &found,
                transaction: &self.transaction,
                found: &OnceCell::new(),
            };
            let in_use: Vec<Effect> = step.effects_in_use().cloned().collect();
            ask(
                &mut self.rules,
                &mut self.findings,
                at,
                statement.span,
                |rule, sink| rule.step(&step, sink),
            );
            if !in_use.is_empty() {
                if part.direction == Direction::Up {
                    self.locked.push((at, statement.span, in_use.clone()));
                }
                if self.transaction.open {
                    self.transaction.earlier.push((at, statement.span, in_use));
                }
            }
        } else if !file.new {
            self.replayed += 1;
        }
        self.control(statement);
        if let Action::Do(body) = &statement.action {
            for (number, inner) in body.statements.iter().enumerate() {
                let at = At {
                    inner: number + 1,
                    ..at
                };
                self.statement(file, part, at, inner, Some(statement));
            }
        }
        self.state.apply(statement, at);
    }

    /// Follows BEGIN, COMMIT and the timeouts.
    fn control(&mut self, statement: &Statement) {
        match &statement.action {
            Action::Transaction(Transaction::Begin) => {
                self.transaction.open = true;
                self.transaction.explicit = true;
                self.transaction.assumed = false;
            }
            Action::Transaction(
                Transaction::Commit | Transaction::Rollback | Transaction::Prepare,
            ) => {
                self.transaction.open = false;
                self.transaction.explicit = false;
                self.transaction.earlier.clear();
            }
            Action::Set(setting) => self.setting(setting),
            _ => {}
        }
    }

    fn setting(&mut self, setting: &Setting) {
        let value = setting
            .value
            .clone()
            .filter(|value| value != "0" && !value.is_empty());
        match setting.name.as_str() {
            "lock_timeout" => self.transaction.lock_timeout = value,
            "statement_timeout" => self.transaction.statement_timeout = value,
            "all" => {
                self.transaction.lock_timeout = None;
                self.transaction.statement_timeout = None;
            }
            _ => {}
        }
    }
}

/// Asks every rule that runs; one that panics is left out from then on.
///
/// All are asked under one guard, as there are many rules and statements: after
/// a panic the rules behind the one that panicked are asked under another.
fn ask(
    rules: &mut [Running<'_>],
    findings: &mut Vec<MigrationFinding>,
    at: At,
    span: Span,
    question: impl Fn(&dyn MigrationRule, &mut MigrationSink),
) {
    let mut asked = 0;
    while asked < rules.len() {
        let ended = quietly(|| {
            for running in rules.iter_mut().skip(asked) {
                if running.outcome.is_none() {
                    running.sink.move_to(at, span);
                    question(running.rule, &mut running.sink);
                    running.found += running.sink.give(findings);
                }
                asked += 1;
            }
        });
        if let Err(message) = ended
            && let Some(running) = rules.get_mut(asked)
        {
            running.outcome = Some(MigrationOutcome::Crashed { message });
            running.found += running.sink.give(findings);
            asked += 1;
        }
    }
}

#[cfg(test)]
mod tests;
