//! The walk over a history: state, transactions, rules.

use super::{CheckInput, Checked, MigrationOutcome};
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
    /// The state that each database begins with, where there are several.
    initial: Option<State>,
    transaction: TransactionState,
    findings: Vec<MigrationFinding>,
    locked: Vec<(At, Span, Vec<Effect>)>,
    all_locked: Vec<(usize, At, Span, Vec<Effect>)>,
    /// The first file of the database that is walked.
    first: usize,
    statements: usize,
    replayed: usize,
}

/// Replays the history from that state and asks the rules.
///
/// Down parts are looked at with the state after their file's up parts, and
/// change nothing.
pub fn check(input: CheckInput<'_>, state: State) -> Checked {
    let mut state = state;
    state.set_major(input.context.server.major);
    let files = &input.context.history.files;
    let makes_tables = files
        .iter()
        .flat_map(|file| &file.parts)
        .flat_map(|part| &part.statements)
        .any(|statement| matches!(statement.action, Action::CreateTable(_)));
    if !makes_tables {
        state.begin_in_the_middle();
    }
    let several = files
        .iter()
        .zip(files.iter().skip(1))
        .any(|(one, next)| one.database != next.database);
    let mut walk = Walk {
        initial: several.then(|| state.clone()),
        input,
        rules: input
            .rules
            .iter()
            .map(|rule| {
                let meta = rule.meta();
                Running {
                    rule: *rule,
                    sink: MigrationSink::new(
                        meta,
                        At {
                            file: 0,
                            part: 0,
                            statement: 0,
                            inner: 0,
                        },
                        Span::new(crate::source::SourceId(0), 0..0),
                    ),
                    outcome: outcome_before(input, meta),
                    found: 0,
                }
            })
            .collect(),
        state,
        transaction: TransactionState::default(),
        findings: Vec::new(),
        locked: Vec::new(),
        all_locked: Vec::new(),
        first: 0,
        statements: 0,
        replayed: 0,
    };
    for (number, file) in input.context.history.files.iter().enumerate() {
        walk.file(number, file);
    }
    walk.end(input.context.history.files.len());
    walk.done()
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
        if self
            .input
            .context
            .history
            .files
            .get(number.wrapping_sub(1))
            .is_none_or(|before| before.database != file.database)
        {
            self.transaction = TransactionState::default();
            if number > 0
                && let Some(initial) = &self.initial
            {
                // What one database holds says nothing of the next.
                let initial = initial.clone();
                self.end(number);
                self.first = number;
                self.all_locked.clear();
                self.state = initial;
            }
        }
        for (at, part) in file.parts.iter().enumerate() {
            self.part(number, file, at, part);
        }
        if file.new {
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
        if part.direction == Direction::Down && !file.new {
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
        if file.new {
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
        } else {
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
        } else {
            self.state.apply(statement, at);
        }
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

    fn end(&mut self, last: usize) {
        let end = End {
            context: self.input.context,
            after: &self.state,
            files: (self.first, last),
            locked: &self.all_locked,
        };
        let at = At {
            file: 0,
            part: 0,
            statement: 0,
            inner: 0,
        };
        let span = Span::new(crate::source::SourceId(0), 0..0);
        ask(
            &mut self.rules,
            &mut self.findings,
            at,
            span,
            |rule, sink| {
                rule.end(&end, sink);
            },
        );
    }

    fn done(self) -> Checked {
        let mut findings = self.findings;
        for finding in &mut findings {
            if let Some(level) = self.input.options.choice.levels.get(finding.rule) {
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
        findings.sort_by(|a, b| {
            (a.at.file, a.span, a.rule, &a.message).cmp(&(b.at.file, b.span, b.rule, &b.message))
        });
        // A rule that looks at all files at the end is asked once for each database.
        findings.dedup();
        Checked {
            findings,
            outcomes: self
                .rules
                .into_iter()
                .map(|running| {
                    let outcome = running.outcome.unwrap_or(MigrationOutcome::Ran {
                        findings: running.found,
                    });
                    (running.rule.meta().id, outcome)
                })
                .collect(),
            after: self.state,
            statements: self.statements,
            replayed: self.replayed,
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
