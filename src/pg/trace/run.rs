//! Runs the statements, and turns what the server says into effects.

use std::collections::{BTreeMap, BTreeSet};

use super::observe::{self, Relation};
use super::told::{
    FRESH, GOES_ON, TRANSACTION_LOST, is_about_existence, is_risky, is_unsettling, is_watched,
    names, subject, wants_more,
};
use super::{Failure, Objects, Trace};
use crate::catalog::ident::quote;
use crate::migration::locks::{LockMode, refuses_transaction};
use crate::migration::state::State;
use crate::migration::{At, Direction, History, Part, Server, Wrapping};
use crate::pg::Error;
use crate::pg::cluster::{Cluster, ClusterKind};
use crate::pg::twin::{Progress, TwinError};
use crate::pg::workload::replay;
use crate::source::{Sources, Span};
use crate::sql::ddl::{Action, Statement, Transaction};

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about the session"
)]
pub(super) struct Run<'a> {
    pub(super) cluster: &'a mut dyn Cluster,
    pub(super) sources: &'a Sources,
    pub(super) server: &'a Server,
    pub(super) state: State,
    pub(super) trace: &'a mut Trace,
    /// The question after each statement.
    pub(super) question: String,
    /// All relations, as they were last seen.
    pub(super) known: BTreeMap<u32, Relation>,
    /// Modes that the open transaction held before the statement.
    pub(super) held: BTreeMap<u32, BTreeSet<LockMode>>,
    /// A transaction is open.
    pub(super) open: bool,
    /// The open transaction failed: its statements are left out.
    pub(super) failed: bool,
    /// Scans that were counted before the open transaction.
    pub(super) flushed: bool,
    /// Statements that ran in the open transaction.
    pub(super) pending: Vec<Span>,
    /// Names in statements that did not run, or whose transaction was lost.
    pub(super) lost: BTreeSet<String>,
    /// What is sent ahead of the next statement: the beginning of a session
    /// and of its transaction.
    pub(super) ahead: Vec<&'static str>,
    /// A statement may have changed settings or the role of the session.
    pub(super) unsettled: bool,
    /// The state before the open transaction, which a failure brings back.
    pub(super) saved: Option<State>,
}

/// Runs all new files of one database.
#[expect(
    clippy::too_many_arguments,
    reason = "each is another part of what is run and of where"
)]
pub(super) fn run(
    cluster: &mut dyn Cluster,
    history: &History,
    database: Option<&str>,
    sources: &Sources,
    before: State,
    server: &Server,
    trace: &mut Trace,
    progress: Progress<'_>,
) -> Result<(), TwinError> {
    let mut run = Run {
        question: observe::locked(server.major),
        cluster,
        sources,
        server,
        state: before,
        trace,
        known: BTreeMap::new(),
        held: BTreeMap::new(),
        open: false,
        failed: false,
        flushed: server.major >= 15,
        pending: Vec::new(),
        lost: BTreeSet::new(),
        ahead: Vec::new(),
        unsettled: true,
        saved: None,
    };
    run.look_at_all()?;
    let count = history.files.len();
    for (number, file) in history.files.iter().enumerate() {
        progress("tracing migrations", number, count);
        if file.database.as_deref() != database {
            continue;
        }
        for (at, part) in file.parts.iter().enumerate() {
            if part.direction == Direction::Down {
                continue;
            }
            if file.new {
                run.part(number, at, part)?;
            } else {
                run.replay(number, at, part);
            }
        }
    }
    run.end_transaction()
}

impl Run<'_> {
    /// An older part only moves the state.
    fn replay(&mut self, number: usize, at: usize, part: &Part) {
        self.state.new_session();
        for (index, statement) in part.statements.iter().enumerate() {
            let place = At {
                file: number,
                part: at,
                statement: index,
                inner: 0,
            };
            self.apply(statement, place);
        }
    }

    fn apply(&mut self, statement: &Statement, at: At) {
        if let Action::Do(body) = &statement.action {
            for (number, inner) in body.statements.iter().enumerate() {
                self.state.apply(
                    inner,
                    At {
                        inner: number + 1,
                        ..at
                    },
                );
            }
        } else {
            self.state.apply(statement, at);
        }
    }

    fn part(&mut self, number: usize, at: usize, part: &Part) -> Result<(), TwinError> {
        self.state.new_session();
        let wraps = match part.wrapping {
            Wrapping::PerFile | Wrapping::PerRun => true,
            Wrapping::OneMessage => part.statements.len() > 1,
            Wrapping::None => false,
        };
        let goes_on = part.wrapping == Wrapping::PerRun && (self.open || self.failed);
        if !goes_on {
            self.end_transaction()?;
            self.ahead.clear();
            if std::mem::take(&mut self.unsettled) {
                self.ahead.extend(FRESH);
            }
            if wraps {
                self.ahead.push("BEGIN");
            }
            self.open = wraps;
            self.failed = false;
            self.pending.clear();
            self.saved = wraps.then(|| self.state.clone());
        }
        for (index, statement) in part.statements.iter().enumerate() {
            let place = At {
                file: number,
                part: at,
                statement: index,
                inner: 0,
            };
            // The state follows the server: what did not run changes nothing.
            if self.statement(statement, place)? {
                self.apply(statement, place);
            }
        }
        if part.wrapping != Wrapping::PerRun {
            self.end_transaction()?;
        }
        Ok(())
    }

    /// Sends what is to go ahead of the next statement.
    fn begin(&mut self) -> Result<(), TwinError> {
        let ahead = std::mem::take(&mut self.ahead);
        if !ahead.is_empty() {
            for outcome in self.cluster.session()?.pipeline(&ahead)? {
                outcome?;
            }
        }
        Ok(())
    }

    /// COMMIT of the runner's transaction, or the end of a failed one.
    fn end_transaction(&mut self) -> Result<(), TwinError> {
        let open = std::mem::take(&mut self.open);
        self.failed = false;
        let ran = std::mem::take(&mut self.pending);
        let saved = self.saved.take();
        self.held.clear();
        if !open {
            return Ok(());
        }
        if self.ahead.pop_if(|last| *last == "BEGIN").is_some() {
            // Nothing was run in it.
            return Ok(());
        }
        let ended = self
            .cluster
            .session()?
            .pipeline(&["COMMIT"])?
            .into_iter()
            .next();
        match ended {
            Some(Err(error @ Error::Lost { .. })) => Err(error.into()),
            Some(Err(error)) => {
                // A deferred constraint.
                for span in ran {
                    self.lose(span);
                }
                if let Some(saved) = saved {
                    self.state = saved;
                }
                self.trace.notes.push(format!(
                    "the server refused the COMMIT of a migration: {error}"
                ));
                self.look_at_all()
            }
            _ => {
                self.baseline();
                Ok(())
            }
        }
    }

    /// Between transactions the counters begin anew.
    fn baseline(&mut self) {
        if self.flushed {
            for relation in self.known.values_mut() {
                relation.scans = 0;
            }
        }
    }

    /// Reads the whole catalogue: at the start, and after what could not be
    /// watched.
    fn look_at_all(&mut self) -> Result<(), TwinError> {
        let rows = self.cluster.session()?.query(&observe::all(), &[])?;
        self.known = observe::read(&rows)
            .relations
            .into_iter()
            .filter_map(|(oid, (_, relation))| Some((oid, relation?)))
            .collect();
        // What ran unasked has left its counts.
        if self.flushed && !self.open {
            self.cluster
                .session()?
                .execute_script("SELECT pg_catalog.pg_stat_force_next_flush()")?;
            self.baseline();
        }
        Ok(())
    }

    fn skip(&mut self, statement: &Statement, why: impl Into<String>) {
        self.trace.skipped.push((statement.span, why.into()));
        self.lose(statement.span);
    }

    /// Remembers the names in a statement that had no effect.
    fn lose(&mut self, span: Span) {
        self.lost.extend(names(self.sources.slice(span)));
    }

    /// The server misses, or has still, what a statement that had no effect
    /// makes or drops.
    fn is_consequence(&self, error: &Error) -> bool {
        let Error::Refused(refusal) = error else {
            return false;
        };
        is_about_existence(&refusal.sqlstate)
            && subject(&refusal.message).is_some_and(|name| self.lost.contains(&name))
    }

    /// Runs one statement; whether it did what it says.
    fn statement(&mut self, statement: &Statement, at: At) -> Result<bool, TwinError> {
        if let Action::Transaction(what) = &statement.action {
            return self.control(statement, *what, at);
        }
        if self.failed {
            self.lose(statement.span);
            return Ok(false);
        }
        if statement.templated {
            self.skip(statement, "pieces of a template stand in it");
            return Ok(false);
        }
        if !replay::is_run(statement, self.sources) {
            self.skip(statement, "the data of a COPY is not loaded");
            return Ok(false);
        }
        let alone = !self.open && refuses_transaction(statement, self.server).is_some();
        let watched = is_watched(&statement.action) && !alone;
        let risky = is_risky(&statement.action);
        let sources = self.sources;
        let sql = sources.slice(statement.span);
        let question = self.question.clone();
        let mut script: Vec<&str> = std::mem::take(&mut self.ahead);
        self.unsettled |= is_unsettling(&statement.action);
        let own = !self.open && !alone && watched;
        if own {
            script.push("BEGIN");
        }
        if self.open && risky {
            script.push("SAVEPOINT pgadvise_trace");
        }
        let main = script.len();
        script.push(sql);
        if watched {
            script.push(&question);
        }
        if self.open && risky {
            script.push("RELEASE SAVEPOINT pgadvise_trace");
        }
        if own {
            script.push("COMMIT");
        }
        self.trace.statements += 1;
        for _ in 0..4 {
            let mut outcomes = self.cluster.session()?.pipeline_rows(&script)?;
            if outcomes.len() <= main {
                return Ok(false);
            }
            let answer = if watched && outcomes.len() > main + 1 {
                outcomes.remove(main + 1).ok()
            } else {
                None
            };
            let outcome = outcomes.remove(main);
            let committed = outcomes.pop().filter(|_| own);
            if let Some(role) = replay::missing_role(&outcome)
                && (risky || !self.open)
            {
                if self.open {
                    self.undo_statement()?;
                }
                let made = self
                    .cluster
                    .admin()?
                    .execute_script(&format!("CREATE ROLE {} NOLOGIN", quote(&role)));
                if made.is_ok() {
                    self.notice()?;
                    continue;
                }
            }
            return match outcome {
                Ok(_) => {
                    if self.open {
                        self.pending.push(statement.span);
                    }
                    match answer {
                        Some(rows) => self.observed(statement, at, &observe::read(&rows)),
                        None if alone => {
                            let before = std::mem::take(&mut self.known);
                            self.look_at_all()?;
                            self.compare_objects(at, &before);
                        }
                        None => {}
                    }
                    if own {
                        self.held.clear();
                        self.baseline();
                        if let Some(Err(error)) = committed {
                            self.fail(statement, at, &error, GOES_ON);
                            return Ok(false);
                        }
                    }
                    Ok(true)
                }
                Err(error) => {
                    self.refused(statement, at, &error, risky)?;
                    // An extension is there from the start.
                    Ok(replay::is_there(&error) && !self.failed)
                }
            };
        }
        self.skip(statement, "a role that it needs cannot be made");
        Ok(false)
    }

    /// What a statement that could not be watched has made and dropped.
    fn compare_objects(&mut self, at: At, before: &BTreeMap<u32, Relation>) {
        let names = |these: &BTreeMap<u32, Relation>, those: &BTreeMap<u32, Relation>| {
            let mut names: Vec<String> = these
                .iter()
                .filter(|(oid, one)| one.is_told() && !those.contains_key(oid))
                .map(|(_, one)| one.name.to_string())
                .collect();
            names.sort();
            names
        };
        let objects = Objects {
            created: names(&self.known, before),
            dropped: names(before, &self.known),
        };
        if !objects.created.is_empty() || !objects.dropped.is_empty() {
            self.trace.objects.insert(at, objects);
        }
    }

    /// Takes back a statement in the open transaction.
    fn undo_statement(&mut self) -> Result<(), TwinError> {
        for outcome in self.cluster.session()?.pipeline(&[
            "ROLLBACK TO SAVEPOINT pgadvise_trace",
            "RELEASE SAVEPOINT pgadvise_trace",
        ])? {
            outcome?;
        }
        Ok(())
    }

    /// Lets the open transaction see what another session made: a session
    /// looks around when it takes a lock that it does not hold.
    fn notice(&mut self) -> Result<(), TwinError> {
        if self.open {
            drop(self.cluster.session()?.pipeline(&[
                "SAVEPOINT pgadvise_trace",
                "SELECT FROM pg_catalog.pg_roles LIMIT 0",
                "ROLLBACK TO SAVEPOINT pgadvise_trace",
                "RELEASE SAVEPOINT pgadvise_trace",
            ])?);
        }
        Ok(())
    }

    fn refused(
        &mut self,
        statement: &Statement,
        at: At,
        error: &Error,
        risky: bool,
    ) -> Result<(), TwinError> {
        if matches!(error, Error::TimedOut { .. } | Error::Lost { .. }) {
            // The embedded server does not stop by itself.
            if self.cluster.kind() == ClusterKind::Embedded || matches!(error, Error::Lost { .. }) {
                self.cluster.kill_and_restart()?;
            } else {
                self.cluster.session()?.execute_script("ROLLBACK")?;
            }
            let consequence = if self.open { TRANSACTION_LOST } else { GOES_ON };
            self.failed = self.open;
            self.open = false;
            self.take_back();
            self.fail(statement, at, error, consequence);
            return Ok(());
        }
        let harmless = replay::is_there(error) || wants_more(error, &statement.action);
        if harmless && (risky || !self.open) {
            if self.open {
                self.undo_statement()?;
            }
            if !replay::is_there(error) {
                self.skip(statement, cannot(error));
            }
            return Ok(());
        }
        let consequence = if self.open { TRANSACTION_LOST } else { GOES_ON };
        if self.open {
            self.cluster.session()?.execute_script("ROLLBACK")?;
            self.open = false;
            self.failed = true;
            self.take_back();
            self.look_at_all()?;
        }
        self.held.clear();
        self.fail(statement, at, error, consequence);
        Ok(())
    }

    /// What a lost transaction did to the state.
    fn take_back(&mut self) {
        if let Some(saved) = self.saved.take() {
            self.state = saved;
        }
    }

    fn fail(&mut self, statement: &Statement, at: At, error: &Error, consequence: &'static str) {
        let sql = self.sources.slice(statement.span);
        let follows = self.is_consequence(error);
        for span in std::mem::take(&mut self.pending) {
            self.lose(span);
        }
        let mut lost = names(sql);
        if let Error::Refused(refusal) = error
            && is_about_existence(&refusal.sqlstate)
            && !follows
        {
            // Nobody makes it: who needs it next fails by himself.
            let missing = subject(&refusal.message);
            lost.retain(|name| Some(name) != missing.as_ref());
        }
        self.lost.extend(lost);
        if follows {
            self.trace.skipped.push((
                statement.span,
                "it needs what a statement that was refused or left out would have done".to_owned(),
            ));
            return;
        }
        // On an installed server the user's code runs without rights.
        let restricted = self.cluster.kind() != ClusterKind::Embedded;
        if restricted && matches!(error, Error::PermissionDenied { .. }) {
            self.skip(statement, cannot(error));
            return;
        }
        let sqlstate = match error {
            Error::Refused(refusal) => refusal.sqlstate.clone(),
            Error::PermissionDenied { .. } => "42501".to_owned(),
            _ => String::new(),
        };
        self.trace.failures.push(Failure {
            at,
            span: replay::place(statement.span, sql, error),
            message: error.to_string(),
            sqlstate,
            hint: error.hint(),
            consequence,
        });
    }

    /// BEGIN, COMMIT and their like.
    fn control(
        &mut self,
        statement: &Statement,
        what: Transaction,
        at: At,
    ) -> Result<bool, TwinError> {
        let ends = matches!(
            what,
            Transaction::Commit | Transaction::Rollback | Transaction::Prepare
        );
        if self.failed {
            if ends {
                self.failed = false;
            }
            return Ok(false);
        }
        self.begin()?;
        let sql = self.sources.slice(statement.span);
        let outcome = self
            .cluster
            .session()?
            .pipeline(&[sql])?
            .into_iter()
            .next()
            .unwrap_or(Ok(()));
        if let Err(error) = outcome {
            self.refused(statement, at, &error, false)?;
            return Ok(false);
        }
        match what {
            Transaction::Begin => {
                // Within a transaction, an implicit one too, it begins none.
                if !self.open {
                    self.saved = Some(self.state.clone());
                    self.held.clear();
                    self.pending.clear();
                }
                self.open = true;
            }
            Transaction::Commit => {
                self.open = false;
                self.held.clear();
                self.pending.clear();
                self.baseline();
            }
            Transaction::Rollback | Transaction::Prepare => {
                self.open = false;
                self.held.clear();
                self.pending.clear();
                self.look_at_all()?;
            }
            Transaction::RollbackToSavepoint => {
                self.held.clear();
                self.look_at_all()?;
            }
            _ => {}
        }
        if !self.open {
            self.saved = None;
        }
        Ok(true)
    }
}

fn cannot(error: &Error) -> String {
    format!("the throw-away server cannot do it: {error}")
}
