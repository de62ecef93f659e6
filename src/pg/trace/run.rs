//! Runs the statements, and turns what the server says into effects.

use std::collections::{BTreeMap, BTreeSet};

use super::observe::{self, Relation, Seen};
use super::told::{
    FRESH, GOES_ON, TRANSACTION_LOST, effect, is_about_existence, is_risky, is_unsettling,
    is_watched, names, subject, wants_more,
};
use super::{Disagreement, Failure, Objects, Trace};
use crate::catalog::ident::quote;
use crate::migration::locks::{Effect, Known, LockMode, Work, effects, refuses_transaction};
use crate::migration::state::{Qualified, State};
use crate::migration::{At, Direction, History, Part, Server, Wrapping};
use crate::pg::Error;
use crate::pg::cluster::{Cluster, ClusterKind};
use crate::pg::twin::{Progress, TwinError};
use crate::pg::workload::replay;
use crate::source::{Sources, Span};
use crate::sql::ddl::{Action, Statement, Transaction};

struct Run<'a> {
    cluster: &'a mut dyn Cluster,
    sources: &'a Sources,
    server: &'a Server,
    state: State,
    trace: &'a mut Trace,
    /// The question after each statement.
    question: String,
    /// All relations, as they were last seen.
    known: BTreeMap<u32, Relation>,
    /// Modes that the open transaction held before the statement.
    held: BTreeMap<u32, BTreeSet<LockMode>>,
    /// A transaction is open.
    open: bool,
    /// The open transaction failed: its statements are left out.
    failed: bool,
    /// Scans that were counted before the open transaction.
    flushed: bool,
    /// Statements that ran in the open transaction.
    pending: Vec<Span>,
    /// Names in statements that did not run, or whose transaction was lost.
    lost: BTreeSet<String>,
    /// What is sent ahead of the next statement: the beginning of a session
    /// and of its transaction.
    ahead: Vec<&'static str>,
    /// A statement may have changed settings or the role of the session.
    unsettled: bool,
    /// The state before the open transaction, which a failure brings back.
    saved: Option<State>,
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
                self.skip(
                    statement,
                    format!("the throw-away server cannot do it: {error}"),
                );
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
                if !self.open {
                    self.saved = Some(self.state.clone());
                }
                self.open = true;
                self.held.clear();
                self.pending.clear();
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

    /// What a statement did, by what is seen after it.
    fn observed(&mut self, statement: &Statement, at: At, seen: &Seen) {
        let expected = effects(statement, &self.state, self.server);
        let taken = self.modes_taken(seen, &expected);
        let mut traced = self.told(&taken);
        self.add_work(statement, seen, &mut traced);
        for effect in &expected {
            // Rows of empty tables show nothing.
            if effect.work == Work::Rows
                && let Some((_, work)) = traced.get_mut(&effect.relation)
            {
                *work = (*work).max(Work::Rows);
            }
        }
        let objects = self.remember(seen);
        if !objects.created.is_empty() || !objects.dropped.is_empty() {
            self.trace.objects.insert(at, objects);
        }
        self.conclude(statement, at, &expected, traced);
    }

    /// The strongest mode that the statement took on each relation.
    fn modes_taken(&self, seen: &Seen, expected: &[Effect]) -> BTreeMap<u32, LockMode> {
        let mut taken = BTreeMap::new();
        for (oid, (modes, _)) in &seen.relations {
            let Some(known) = self.known.get(oid) else {
                continue;
            };
            let held = self.held.get(oid);
            let new = modes
                .iter()
                .filter(|mode| held.is_none_or(|held| !held.contains(mode)))
                .max()
                .copied();
            // What the transaction holds already does not show again.
            let again = expected
                .iter()
                .filter(|effect| effect.relation == known.name)
                .map(|effect| effect.mode)
                .filter(|mode| held.is_some_and(|held| held.contains(mode)))
                .max();
            if let Some(mode) = new.max(again) {
                taken.insert(*oid, mode);
            }
        }
        taken
    }

    /// Leaves out reading, and what follows from the lock on a table.
    fn told(&self, taken: &BTreeMap<u32, LockMode>) -> BTreeMap<Qualified, (LockMode, Work)> {
        taken
            .iter()
            .filter(|(_, mode)| **mode > LockMode::AccessShare)
            .filter_map(|(oid, mode)| {
                let known = self.known.get(oid)?;
                let owner = known.table.and_then(|table| taken.get(&table));
                (known.is_told() && owner.is_none_or(|table| mode > table))
                    .then(|| (known.name.clone(), (*mode, Work::None)))
            })
            .collect()
    }

    fn add_work(
        &self,
        statement: &Statement,
        seen: &Seen,
        traced: &mut BTreeMap<Qualified, (LockMode, Work)>,
    ) {
        // A relation that is emptied gets a new file, and nothing is written.
        let truncates = matches!(
            statement.action,
            Action::Truncate { .. } | Action::Refresh { no_data: true, .. }
        );
        let own = match &statement.action {
            Action::Alter(alter) => Some(self.state.qualify(&alter.relation.name)),
            _ => None,
        };
        for (oid, (_, now)) in &seen.relations {
            let Some(now) = now else { continue };
            let (table, work) = if now.is_index() {
                let Some(table) = now.table else { continue };
                let old: Vec<&Relation> = self
                    .known
                    .values()
                    .filter(|one| one.is_index() && one.table == Some(table))
                    .collect();
                if now.file.is_none() || old.iter().any(|one| one.file == now.file) {
                    continue;
                }
                let again = old.iter().any(|one| one.name == now.name);
                let work = if again {
                    Work::IndexRebuild
                } else {
                    Work::IndexBuild
                };
                (table, work)
            } else {
                let Some(then) = self.known.get(oid) else {
                    continue;
                };
                let work = if then.file != now.file && matches!(now.kind, 'r' | 'm') && !truncates {
                    Work::Rewrite
                } else if now.scans > then.scans || (now.scans < then.scans && now.scans > 0) {
                    Work::Scan
                } else {
                    continue;
                };
                (*oid, work)
            };
            let Some(name) = self.known.get(&table).map(|table| &table.name) else {
                continue;
            };
            if !traced.contains_key(name) && work == Work::IndexRebuild {
                // An index is moved by itself, and its table left alone.
                if let Some((_, most)) = traced.get_mut(&now.name) {
                    *most = Work::Rewrite;
                }
                continue;
            }
            let Some((mode, most)) = traced.get_mut(name) else {
                continue;
            };
            // What a foreign key references is looked up, or joined: that is
            // not what the statement is about.
            let looked_up = own.as_ref().is_some_and(|own| own != name)
                && *mode <= LockMode::ShareRowExclusive
                && !self.is_below(own.as_ref(), name);
            if work == Work::Scan && (*mode < LockMode::ShareUpdateExclusive || looked_up) {
                continue;
            }
            if !truncates {
                *most = (*most).max(work);
            }
        }
    }

    /// A partition or child of the relation, at any depth.
    fn is_below(&self, own: Option<&Qualified>, name: &Qualified) -> bool {
        let mut at = name.clone();
        for _ in 0..64 {
            let Some(parent) = self
                .state
                .known(&at)
                .and_then(|table| table.parents.first())
            else {
                return false;
            };
            if Some(parent) == own {
                return true;
            }
            at = parent.clone();
        }
        false
    }

    /// Takes over what is seen.
    fn remember(&mut self, seen: &Seen) -> Objects {
        let mut objects = Objects::default();
        for (oid, (modes, now)) in &seen.relations {
            match now {
                Some(now) => {
                    if self.known.insert(*oid, now.clone()).is_none() && now.is_told() {
                        objects.created.push(now.name.to_string());
                    }
                }
                None => {
                    if let Some(gone) = self.known.remove(oid)
                        && gone.is_told()
                    {
                        objects.dropped.push(gone.name.to_string());
                    }
                }
            }
            self.held.insert(*oid, modes.clone());
        }
        objects.created.sort();
        objects.dropped.sort();
        objects
    }

    /// Compares with what the text says, and keeps what the server says.
    fn conclude(
        &mut self,
        statement: &Statement,
        at: At,
        expected: &[Effect],
        traced: BTreeMap<Qualified, (LockMode, Work)>,
    ) {
        if let Action::Do(body) = &statement.action {
            // Its statements are judged one by one; only what is put together
            // at run time is not among them.
            if !body.dynamic.is_empty() || body.unread {
                let mut state = self.state.clone();
                let mut inner = BTreeSet::new();
                for one in &body.statements {
                    inner.extend(
                        effects(one, &state, self.server)
                            .into_iter()
                            .map(|effect| effect.relation),
                    );
                    state.apply(one, at);
                }
                let rest: Vec<Effect> = traced
                    .into_iter()
                    .filter(|(relation, _)| !inner.contains(relation))
                    .map(|(relation, (mode, work))| effect(relation, mode, work, None))
                    .collect();
                if !rest.is_empty() {
                    self.trace.effects.insert(at, rest);
                }
            }
            return;
        }
        let mut merged: BTreeMap<&Qualified, (LockMode, Work)> = BTreeMap::new();
        for one in expected {
            let entry = merged
                .entry(&one.relation)
                .or_insert((one.mode, Work::None));
            entry.0 = entry.0.max(one.mode);
            entry.1 = entry.1.max(one.work);
        }
        let commands = match &statement.action {
            Action::Alter(alter) if alter.commands.len() == 1 => Some(0),
            _ => None,
        };
        // Where a statement before it had no effect, the text and the server
        // speak of different schemas.
        let doubtful = merged
            .keys()
            .copied()
            .chain(traced.keys())
            .any(|relation| self.lost.contains(&relation.name.to_lowercase()));
        if doubtful
            && merged
                .keys()
                .any(|relation| !traced.contains_key(*relation))
        {
            return;
        }
        let mut found = Vec::new();
        let mut disagreements = Vec::new();
        for (relation, (mode, work)) in &traced {
            if merged.get(relation) == Some(&(*mode, *work)) {
                found.extend(
                    expected
                        .iter()
                        .filter(|one| one.relation == *relation)
                        .map(|one| Effect {
                            known: Known::Traced,
                            ..one.clone()
                        }),
                );
                continue;
            }
            let new = effect(relation.clone(), *mode, *work, commands);
            disagreements.push(Disagreement {
                at,
                span: statement.span,
                expected: merged
                    .get(relation)
                    .map(|(mode, work)| effect(relation.clone(), *mode, *work, None)),
                traced: Some(new.clone()),
            });
            if merged
                .get(relation)
                .is_some_and(|(most, claimed)| mode <= most && work <= claimed)
            {
                // Less than the text says: each command did no more than that.
                found.extend(
                    expected
                        .iter()
                        .filter(|one| one.relation == *relation)
                        .map(|one| Effect {
                            mode: one.mode.min(*mode),
                            work: one.work.min(*work),
                            why: None,
                            known: Known::Traced,
                            ..one.clone()
                        }),
                );
            } else {
                found.push(new);
            }
        }
        // What rows set off, as foreign keys and triggers do, depends on them;
        // here there are few or none.
        let by_rows = |mode: LockMode| {
            matches!(statement.action, Action::Dml(_) | Action::CreateFunction(_))
                && mode <= LockMode::RowExclusive
        };
        disagreements.retain(|one| {
            one.traced
                .as_ref()
                .is_none_or(|effect| one.expected.is_some() || !by_rows(effect.mode))
        });
        for (relation, (mode, work)) in merged {
            if !traced.contains_key(relation) && relation.schema != "pg_temp" && !by_rows(mode) {
                disagreements.push(Disagreement {
                    at,
                    span: statement.span,
                    expected: Some(effect(relation.clone(), mode, work, None)),
                    traced: None,
                });
            }
        }
        if !doubtful {
            self.trace.disagreements.append(&mut disagreements);
        }
        self.trace.effects.insert(at, found);
    }
}
