//! One connection, used from code that waits: read-only transactions, time
//! limits, one statement a message.

use std::future::Future as _;
use std::path::Path;
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, NoTls, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::connect::{Connected, connect};
use super::conninfo::{ConnectOptions, Place, Server, Ssl, SslMode};
use super::error::{Error, Refusal, reason};

/// How long anything may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Reaching one server, unless the connection string says.
    pub connect: Duration,
    /// One statement.
    pub statement: Duration,
    /// Waiting for a lock.
    pub lock: Duration,
    /// Sitting in a transaction without asking for anything.
    pub idle_in_transaction: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            statement: Duration::from_mins(1),
            lock: Duration::from_secs(2),
            idle_in_transaction: Duration::from_mins(1),
        }
    }
}

/// How much longer than the server's own limit an answer is waited for.
const GRACE: Duration = Duration::from_secs(2);

/// What kind of server is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Someone's: read-only transactions, always rolled back.
    Live,
    /// A cluster that pgadvise made and will throw away.
    ThrowAway,
}

/// A connection with its own single-threaded runtime.
pub struct Session {
    /// `None` once the connection is lost.
    client: Option<Client>,
    task: JoinHandle<Result<(), tokio_postgres::Error>>,
    tls: Option<MakeRustlsConnect>,
    target: String,
    limits: Limits,
    kind: Kind,
    /// A transaction is open.
    open: bool,
    version_num: u32,
    version: String,
    notes: Vec<String>,
    runtime: Runtime,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("target", &self.target)
            .field("kind", &self.kind)
            .field("version_num", &self.version_num)
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}

/// Columns with their types, and the types of parameters.
type Described = (Vec<(String, Type)>, Vec<Type>);

impl Session {
    /// Connects to a user's server.
    pub fn connect(options: &ConnectOptions, limits: Limits) -> Result<Self, Error> {
        Self::start(options, limits, Kind::Live)
    }

    /// Connects, over a socket, to a cluster that pgadvise made for itself and
    /// will throw away. Only there can [`Session::execute_script`] be used.
    pub fn throw_away(
        socket_folder: &Path,
        port: u16,
        user: &str,
        database: &str,
        limits: Limits,
    ) -> Result<Self, Error> {
        Self::throw_away_with(socket_folder, port, user, database, limits, None)
    }

    /// The same, with options of the server's command line (`-c name=value`),
    /// which no setting of the role or the database overrides.
    pub(super) fn throw_away_with(
        socket_folder: &Path,
        port: u16,
        user: &str,
        database: &str,
        limits: Limits,
        settings: Option<&str>,
    ) -> Result<Self, Error> {
        let options = ConnectOptions {
            servers: vec![Server {
                place: Place::Unix(socket_folder.to_owned()),
                port,
                password: None,
            }],
            user: user.to_owned(),
            database: database.to_owned(),
            ssl: Ssl {
                mode: SslMode::Disable,
                roots: None,
                client: None,
                direct: false,
            },
            channel_binding: super::conninfo::ChannelBinding::Prefer,
            connect_timeout: None,
            options: settings.map(str::to_owned),
            application_name: None,
            session_attributes: super::conninfo::SessionAttributes::Any,
            notes: Vec::new(),
        };
        Self::start(&options, limits, Kind::ThrowAway)
    }

    fn start(options: &ConnectOptions, limits: Limits, kind: Kind) -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| Error::Runtime { source })?;
        let limit = options.connect_timeout.unwrap_or(Some(limits.connect));
        let Connected { client, task, tls } = runtime.block_on(connect(options, limit))?;
        let mut session = Self {
            client: Some(client),
            task,
            tls,
            target: options.target().to_string(),
            limits,
            kind,
            open: false,
            version_num: 0,
            version: String::new(),
            notes: options.notes.clone(),
            runtime,
        };
        session.look_around()?;
        Ok(session)
    }

    /// Learns the version, and the server's own time limits for this role: a
    /// lower one stays in force.
    fn look_around(&mut self) -> Result<(), Error> {
        let rows = self.read_only(|session| {
            session.query(
                "SELECT pg_catalog.current_setting('server_version_num')::int4, \
                 pg_catalog.current_setting('server_version'), \
                 (SELECT s.reset_val FROM pg_catalog.pg_settings AS s WHERE s.name = 'statement_timeout'), \
                 (SELECT s.reset_val FROM pg_catalog.pg_settings AS s WHERE s.name = 'lock_timeout')",
                &[],
            )
        })?;
        let row = rows.first().ok_or_else(|| Error::Answer {
            reason: "no version".to_owned(),
        })?;
        let unreadable = |error: tokio_postgres::Error| Error::Answer {
            reason: reason(&error),
        };
        let number: i32 = row.try_get(0).map_err(unreadable)?;
        self.version_num = u32::try_from(number).unwrap_or(0);
        self.version = row.try_get(1).map_err(unreadable)?;
        if self.version_num < 130_000 {
            return Err(Error::TooOld {
                version: self.version.clone(),
            });
        }
        if self.kind == Kind::Live {
            let lower = |at: usize, ours: Duration| -> Duration {
                row.try_get::<_, Option<String>>(at)
                    .ok()
                    .flatten()
                    .and_then(|text| text.parse::<u64>().ok())
                    .filter(|&ms| ms > 0)
                    .map_or(ours, |ms| ours.min(Duration::from_millis(ms)))
            };
            self.limits.statement = lower(2, self.limits.statement);
            self.limits.lock = lower(3, self.limits.lock);
        }
        Ok(())
    }

    /// `server_version_num`.
    pub fn version_num(&self) -> u32 {
        self.version_num
    }

    /// `server_version`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What is connected to, without secrets: `shop on db:5432 as app`.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Whether the connection is encrypted.
    pub fn encrypted(&self) -> bool {
        self.tls.is_some()
    }

    /// Things that the user should know about the connection, as sentences.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Whether the connection is gone, so that only a new one helps.
    pub fn is_lost(&self) -> bool {
        self.client.is_none() || self.task.is_finished()
    }

    /// The time limits in force.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Changes the time limit of each statement that follows.
    pub fn set_statement_limit(&mut self, limit: Duration) {
        self.limits.statement = limit;
    }

    /// Executes one statement (or several, separated by semicolons) in a
    /// throw-away cluster.
    pub fn execute_script(&mut self, sql: &str) -> Result<(), Error> {
        if self.kind != Kind::ThrowAway {
            return Err(Error::NotThrowAway);
        }
        let Some(client) = &self.client else {
            return Err(self.gone());
        };
        let limit = self.limits.statement + GRACE;
        let outcome = self
            .runtime
            .block_on(async { tokio::time::timeout(limit, client.batch_execute(sql)).await });
        self.settle(outcome)?;
        if let Some(open) = opens_transaction(sql) {
            self.open = open;
        }
        Ok(())
    }

    /// In a throw-away cluster: sends statements over the extended protocol, so
    /// that each stays one statement, all at once, and gives their outcomes in
    /// order. Outside a transaction each is one of its own.
    pub(super) fn pipeline(
        &mut self,
        statements: &[&str],
    ) -> Result<Vec<Result<(), Error>>, Error> {
        let outcomes = self.pipeline_rows(statements)?;
        Ok(outcomes
            .into_iter()
            .map(|outcome| outcome.map(drop))
            .collect())
    }

    /// The same, with the rows that each gave.
    pub(super) fn pipeline_rows(
        &mut self,
        statements: &[&str],
    ) -> Result<Vec<Result<Vec<Row>, Error>>, Error> {
        if self.kind != Kind::ThrowAway {
            return Err(Error::NotThrowAway);
        }
        let Some(client) = &self.client else {
            return Err(self.gone());
        };
        let limit = self.limits.statement + GRACE;
        let outcomes = self.runtime.block_on(async {
            listen().await;
            let mut waiting: Vec<_> = statements
                .iter()
                .map(|sql| Box::pin(client.query_typed(sql, &[])))
                .collect();
            let mut outcomes: Vec<_> = statements.iter().map(|_| None).collect();
            // The first poll of each sends it.
            std::future::poll_fn(|context| {
                for (one, outcome) in waiting.iter_mut().zip(&mut outcomes) {
                    if let Poll::Ready(result) = one.as_mut().poll(context) {
                        *outcome = Some(Ok(result));
                    }
                }
                Poll::Ready(())
            })
            .await;
            // Answers come in order, so each has its own time limit.
            for (one, outcome) in waiting.iter_mut().zip(&mut outcomes) {
                if outcome.is_none() {
                    let result = tokio::time::timeout(limit, one).await;
                    let late = result.is_err();
                    *outcome = Some(result);
                    if late {
                        break;
                    }
                }
            }
            outcomes
        });
        let mut settled = Vec::with_capacity(outcomes.len());
        for outcome in outcomes {
            // After one that is late nothing is known of the rest.
            let Some(outcome) = outcome else { break };
            settled.push(self.settle(outcome));
        }
        while settled.len() < statements.len() {
            settled.push(Err(Error::TimedOut {
                seconds: self.limits.statement.as_secs().max(1),
            }));
        }
        Ok(settled)
    }

    /// In a throw-away cluster: begins a transaction, does the work, and rolls
    /// back whatever came of it. Plans asked for in between see what the work
    /// did so far.
    pub fn and_roll_back<T, E: From<Error>>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        if self.kind != Kind::ThrowAway {
            return Err(Error::NotThrowAway.into());
        }
        self.within("BEGIN", false, work)
    }

    /// Whether a transaction is open.
    pub(super) fn in_transaction(&self) -> bool {
        self.open
    }

    /// Does the work in a read-only transaction, which is rolled back. In a
    /// transaction that is open already it is only part of that.
    pub(super) fn read_only<T, E: From<Error>>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        if self.open {
            return work(self);
        }
        self.within(
            "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",
            true,
            work,
        )
    }

    /// Does the work in a transaction that may write, which is rolled back.
    pub(super) fn writable<T, E: From<Error>>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        if self.open {
            return work(self);
        }
        self.within(
            "BEGIN TRANSACTION ISOLATION LEVEL READ COMMITTED READ WRITE",
            false,
            work,
        )
    }

    fn within<T, E: From<Error>>(
        &mut self,
        begin: &str,
        read_only: bool,
        work: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        self.begin(begin, read_only)?;
        let result = work(self);
        self.open = false;
        // A connection that is lost has rolled back by itself.
        if self.client.is_some() {
            let rolled_back = self.query("ROLLBACK", &[]);
            if result.is_ok() {
                rolled_back?;
            }
        }
        result
    }

    /// Begins a transaction and sets its limits. Both messages are sent at
    /// once, which saves a round trip; nothing else is sent before both have
    /// been answered.
    fn begin(&mut self, begin: &str, read_only: bool) -> Result<(), Error> {
        let ms = |limit: Duration| limit.as_millis().clamp(1, 2_147_483_647).to_string();
        let limits = [
            ms(self.limits.statement),
            ms(self.limits.lock),
            ms(self.limits.idle_in_transaction),
        ];
        let parameters: Vec<(&(dyn ToSql + Sync), Type)> = limits
            .iter()
            .map(|text| (text as &(dyn ToSql + Sync), Type::TEXT))
            .collect();
        let begun = self.both(
            (begin, &[]),
            (
                "SELECT pg_catalog.set_config('statement_timeout', $1, true), \
                 pg_catalog.set_config('lock_timeout', $2, true), \
                 pg_catalog.set_config('idle_in_transaction_session_timeout', $3, true), \
                 pg_catalog.current_setting('transaction_read_only')",
                &parameters,
            ),
        );
        let rows = match begun {
            Ok(rows) => rows,
            Err(error) => {
                if self.client.is_some() {
                    drop(self.query("ROLLBACK", &[]));
                }
                return Err(error);
            }
        };
        self.open = true;
        let is_read_only = rows
            .first()
            .and_then(|row| row.try_get::<_, String>(3).ok())
            .is_some_and(|value| value == "on");
        if read_only && !is_read_only {
            // A pooler that gives each statement another connection.
            self.open = false;
            drop(self.query("ROLLBACK", &[]));
            return Err(Error::NotReadOnly);
        }
        Ok(())
    }

    /// Sends one statement over the extended protocol, which takes no second
    /// one.
    pub(super) fn query(
        &mut self,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, Error> {
        let Some(client) = &self.client else {
            return Err(self.gone());
        };
        let limit = self.limits.statement + GRACE;
        let outcome = self.runtime.block_on(async {
            listen().await;
            tokio::time::timeout(limit, client.query_typed(sql, parameters)).await
        });
        self.settle(outcome)
    }

    /// The columns that a statement gives and the types that it takes, without
    /// executing it.
    pub(super) fn columns(&mut self, sql: &str) -> Result<Described, Error> {
        let Some(client) = &self.client else {
            return Err(self.gone());
        };
        let limit = self.limits.statement + GRACE;
        let outcome = self.runtime.block_on(async {
            listen().await;
            tokio::time::timeout(limit, client.prepare(sql)).await
        });
        let prepared = self.settle(outcome)?;
        let columns = prepared
            .columns()
            .iter()
            .map(|column| (column.name().to_owned(), column.type_().clone()))
            .collect();
        Ok((columns, prepared.params().to_vec()))
    }

    /// Sends two statements at once, each in its own message, and gives the
    /// second's answer if both succeed.
    fn both(
        &mut self,
        first: (&str, &[(&(dyn ToSql + Sync), Type)]),
        second: (&str, &[(&(dyn ToSql + Sync), Type)]),
    ) -> Result<Vec<Row>, Error> {
        let Some(client) = &self.client else {
            return Err(self.gone());
        };
        let limit = self.limits.statement + GRACE;
        let outcome = self.runtime.block_on(async {
            listen().await;
            tokio::time::timeout(limit, async {
                // In this order, as the first is polled first.
                let (one, two) = tokio::join!(
                    biased;
                    client.query_typed(first.0, first.1),
                    client.query_typed(second.0, second.1),
                );
                one.and(two)
            })
            .await
        });
        self.settle(outcome)
    }

    /// Does a part of a transaction's work whose failure leaves the rest as it
    /// was; what it did is undone in any case.
    pub(super) fn undone<T, E: From<Error>>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        self.query("SAVEPOINT pgadvise_part", &[])?;
        let result = work(self);
        if self.client.is_some() {
            let undone = self.both(
                ("ROLLBACK TO SAVEPOINT pgadvise_part", &[]),
                ("RELEASE SAVEPOINT pgadvise_part", &[]),
            );
            if result.is_ok() {
                undone?;
            }
        }
        result
    }

    /// Turns an answer, or the want of one, into a result.
    fn settle<T>(
        &mut self,
        outcome: Result<Result<T, tokio_postgres::Error>, tokio::time::error::Elapsed>,
    ) -> Result<T, Error> {
        match outcome {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(self.failure(&error)),
            Err(_) => {
                self.cancel();
                Err(Error::TimedOut {
                    seconds: self.limits.statement.as_secs().max(1),
                })
            }
        }
    }

    /// Stops the statement that runs. A server that does not stop is given up.
    fn cancel(&mut self) {
        let Some(client) = &self.client else { return };
        let token = client.cancel_token();
        let tls = self.tls.clone();
        let stopped = self.runtime.block_on(async {
            tokio::time::timeout(GRACE, async {
                let sent = match tls {
                    Some(tls) => token.cancel_query(tls).await,
                    None => token.cancel_query(NoTls).await,
                };
                // Any answer, even a refusal, shows that the server listens
                // again.
                sent.is_ok()
                    && match client.query_typed("SELECT 1", &[]).await {
                        Ok(_) => true,
                        Err(error) => error.as_db_error().is_some(),
                    }
            })
            .await
        });
        if !matches!(stopped, Ok(true)) {
            self.client = None;
            self.open = false;
            self.task.abort();
        }
    }

    fn failure(&mut self, error: &tokio_postgres::Error) -> Error {
        let Some(refused) = error.as_db_error() else {
            let broken = error.is_closed()
                || error.to_string().starts_with("error communicating")
                || self.task.is_finished();
            return if broken {
                self.lost(error)
            } else {
                Error::Answer {
                    reason: reason(error),
                }
            };
        };
        let refusal = Refusal::from(refused);
        match refusal.sqlstate.as_str() {
            "57014" => Error::TimedOut {
                seconds: self.limits.statement.as_secs().max(1),
            },
            // Shut down, crashed, idle too long: the server ends the
            // connection after saying so.
            "57P01" | "57P02" | "57P03" | "57P05" | "25P03" => {
                self.client = None;
                self.open = false;
                Error::Lost {
                    target: self.target.clone(),
                    reason: refusal.message,
                }
            }
            "42501" => Error::PermissionDenied {
                message: refusal.message,
            },
            _ => Error::Refused(Box::new(refusal)),
        }
    }

    /// The connection broke: the task that moved its bytes knows why.
    fn lost(&mut self, error: &tokio_postgres::Error) -> Error {
        self.client = None;
        self.open = false;
        let task = &mut self.task;
        let ended = self
            .runtime
            .block_on(async { tokio::time::timeout(Duration::from_millis(500), task).await });
        let reason = match ended {
            Ok(Ok(Err(why))) => reason(&why),
            _ => reason(error),
        };
        Error::Lost {
            target: self.target.clone(),
            reason,
        }
    }

    fn gone(&self) -> Error {
        Error::Lost {
            target: self.target.clone(),
            reason: "it ended earlier".to_owned(),
        }
    }
}

/// Lets the connection's task read what has arrived since the last statement:
/// a server that ended the connection said why.
async fn listen() {
    for _ in 0..2 {
        tokio::task::yield_now().await;
    }
}

/// Whether a statement leaves a transaction open, where it says anything about
/// that: schema files have transactions of their own.
fn opens_transaction(sql: &str) -> Option<bool> {
    let mut words = sql
        .split(|c: char| c.is_whitespace() || c == ';')
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_uppercase);
    let first = words.next()?;
    let rest: Vec<String> = words.collect();
    let has = |word: &str| rest.iter().any(|other| other == word);
    match first.as_str() {
        "BEGIN" => Some(true),
        "START" if has("TRANSACTION") => Some(true),
        "COMMIT" | "END" | "ROLLBACK" | "ABORT" if !has("TO") && !has("PREPARED") => {
            Some(has("CHAIN") && !has("NO"))
        }
        _ => None,
    }
}

impl Drop for Session {
    /// Says goodbye, so that the server does not log a broken connection.
    fn drop(&mut self) {
        if self.client.take().is_some() {
            let task = &mut self.task;
            let _ended: Result<_, _> = self
                .runtime
                .block_on(async { tokio::time::timeout(Duration::from_millis(500), task).await });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transactions_of_a_schema_file_are_noticed() {
        assert_eq!(opens_transaction("BEGIN;"), Some(true));
        assert_eq!(
            opens_transaction("start transaction read write"),
            Some(true)
        );
        assert_eq!(opens_transaction("commit"), Some(false));
        assert_eq!(opens_transaction("COMMIT AND CHAIN"), Some(true));
        assert_eq!(opens_transaction("ROLLBACK AND NO CHAIN"), Some(false));
        assert_eq!(opens_transaction("ROLLBACK TO SAVEPOINT a"), None);
        assert_eq!(opens_transaction("CREATE TABLE begin (a int)"), None);
    }
}
