//! The embedded cluster: a child process of pgadvise that serves PostgreSQL
//! compiled to WebAssembly; see [`super::server`].
//!
//! It has one backend, which lives as long as its connection: to disconnect is
//! to stop the server, to connect is to start it. `statement_timeout` does not
//! fire in it, so that a statement without end is ended by killing the child.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use super::copy::{self, Copied};
use super::private::{self, PrivateFolder};
use super::server::{PORT, READY, has_extension};
use super::{Cluster, ClusterError, ClusterKind};
use crate::catalog::ident::quote;
use crate::pg::{Limits, Session};

/// How many lines of a server that did not come up are told.
const LAST_WORDS: usize = 3;
/// The superuser, and the database.
const SUPERUSER: &str = "postgres";
/// `SSLRequest` of the protocol, which the server refuses without starting a
/// backend; it does so only after the connection before has ended.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// How to start an embedded cluster.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// The pgadvise program, which is its own server process.
    pub program: PathBuf,
    /// The folder for temporary files.
    pub temp: PathBuf,
    /// Extensions that can be created; those without a file of their own in
    /// the server are passed over.
    pub extensions: Vec<String>,
    /// Those that exist already, in a stored folder.
    pub created: Vec<String>,
    /// Settings at the start, beside the usual ones.
    pub settings: Vec<(String, String)>,
    /// Time for one statement.
    pub statement_limit: Duration,
}

impl ServerOptions {
    /// The settings of a twin: little memory to fill at the start, and
    /// catalogues and files that can be changed.
    pub fn twin_settings() -> Vec<(String, String)> {
        [
            ("shared_buffers", "8MB"),
            ("allow_system_table_mods", "on"),
            ("allow_in_place_tablespaces", "on"),
            // Nobody else writes what a killed server has not written.
            ("synchronous_commit", "on"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }
}

/// An embedded cluster.
#[derive(Debug)]
pub struct Embedded {
    // Dropped first: the server waits for its client before it ends.
    session: Option<Session>,
    server: Option<Server>,
    folder: PrivateFolder,
    options: ServerOptions,
    /// The server's runtime is unpacked into the private folder.
    own_cache: bool,
    /// Extensions that exist. The others are made by the server itself with
    /// every connection, and dropped again.
    created: Vec<String>,
    version_num: u32,
    version: String,
    copied: Copied,
    /// No backend runs, and all is written.
    stopped: bool,
}

impl Embedded {
    /// Starts a cluster; where the server's unpacked runtime cannot be kept in
    /// the user's cache folder, it is unpacked into the private one, which
    /// takes longer.
    pub fn start(options: ServerOptions) -> Result<Self, ClusterError> {
        Self::begin(options, None)?.finish()
    }

    /// Starts a cluster on a copy of a data folder that a stopped one left.
    pub fn start_on(options: ServerOptions, stored: &Path) -> Result<Self, ClusterError> {
        Self::begin(options, Some(stored))?.finish()
    }

    /// Starts the server's process without waiting for it.
    pub fn begin(
        mut options: ServerOptions,
        stored: Option<&Path>,
    ) -> Result<Starting, ClusterError> {
        private::sweep(&options.temp);
        options
            .extensions
            .retain(|name| has_extension(name) && name != "plpgsql");
        options.extensions.sort_unstable();
        options.extensions.dedup();
        let folder = PrivateFolder::create(&options.temp, None)?;
        let mut copied = Copied::default();
        if let Some(stored) = stored {
            copied =
                copy::unpack(stored, &private::data(folder.path()), None).map_err(|source| {
                    ClusterError::Folder {
                        what: "unpack",
                        folder: stored.to_owned(),
                        source,
                    }
                })?;
        }
        let server = Server::spawn(&options, folder.path(), false)?;
        Ok(Starting {
            cluster: Self {
                session: None,
                server: Some(server),
                folder,
                created: options.created.clone(),
                options,
                own_cache: false,
                copied,
                stopped: false,
                version_num: 0,
                version: String::new(),
            },
        })
    }

    /// Changes the time limit of each statement that follows.
    pub fn set_statement_limit(&mut self, limit: Duration) {
        self.options.statement_limit = limit;
        if let Some(session) = &mut self.session {
            session.set_statement_limit(limit);
        }
    }

    /// The session, while there is one.
    pub fn connected(&mut self) -> Option<&mut Session> {
        self.session.as_mut()
    }

    /// `server_version`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What was copied from the stored folder that it was started on.
    pub fn copied(&self) -> Copied {
        self.copied
    }

    /// The extensions that existed when it was stopped last.
    pub fn created(&self) -> &[String] {
        &self.created
    }

    fn connect(&self) -> Result<Session, ClusterError> {
        let limits = Limits {
            connect: Duration::from_mins(1),
            statement: self.options.statement_limit,
            ..Limits::default()
        };
        let mut session =
            Session::throw_away(self.folder.path(), PORT, SUPERUSER, SUPERUSER, limits)?;
        let mut script = String::new();
        for name in &self.options.extensions {
            if !self.created.contains(name) {
                script.push_str(&format!("DROP EXTENSION IF EXISTS {};", quote(name)));
            }
        }
        // What a server has by default; the embedded one starts without
        // workers.
        script.push_str(
            "SET max_parallel_workers = 8; SET max_parallel_workers_per_gather = 2; SET jit = off",
        );
        session.execute_script(&script)?;
        Ok(session)
    }

    /// Learns which of the server's extensions exist.
    fn look_at_extensions(&mut self) -> Result<(), ClusterError> {
        if self.options.extensions.is_empty() {
            return Ok(());
        }
        let session = self.session()?;
        let rows = session.query("SELECT extname::text FROM pg_catalog.pg_extension", &[])?;
        self.created = rows
            .iter()
            .filter_map(|row| row.try_get::<_, String>(0).ok())
            .collect();
        Ok(())
    }

    /// Starts the child again on the same folder, after it ended.
    fn come_back(&mut self) -> Result<(), ClusterError> {
        self.session = None;
        self.server = None;
        drop(std::fs::remove_file(
            self.folder.path().join(format!(".s.PGSQL.{PORT}")),
        ));
        let mut server = Server::spawn(&self.options, self.folder.path(), self.own_cache)?;
        server.wait()?;
        self.server = Some(server);
        Ok(())
    }
}

/// An embedded cluster whose process has been started.
#[derive(Debug)]
pub struct Starting {
    cluster: Embedded,
}

impl Starting {
    /// Waits until the server is up.
    pub fn finish(self) -> Result<Embedded, ClusterError> {
        let mut cluster = self.cluster;
        let up = match &mut cluster.server {
            Some(server) => server.wait(),
            None => Ok(()),
        };
        if up.is_err() {
            // Its cache folder may not be writable.
            cluster.server = None;
            cluster.own_cache = true;
            cluster.come_back()?;
        }
        let session = cluster.connect()?;
        cluster.version_num = session.version_num();
        session.version().clone_into(&mut cluster.version);
        cluster.session = Some(session);
        Ok(cluster)
    }
}

impl Cluster for Embedded {
    fn kind(&self) -> ClusterKind {
        ClusterKind::Embedded
    }

    fn version_num(&self) -> u32 {
        self.version_num
    }

    fn description(&self) -> String {
        format!("PostgreSQL {} (embedded)", self.version)
    }

    fn session(&mut self) -> Result<&mut Session, ClusterError> {
        let session = match self.session.take() {
            Some(session) if !session.is_lost() => session,
            _ => self.connect()?,
        };
        self.stopped = false;
        Ok(self.session.insert(session))
    }

    fn admin(&mut self) -> Result<&mut Session, ClusterError> {
        self.session()
    }

    fn file(&self, relative: &str) -> PathBuf {
        let root = private::data(self.folder.path()).join("tmp/pglite/base");
        private::inside(self.folder.path(), &root, relative)
    }

    fn stop(&mut self) -> Result<(), ClusterError> {
        if self.stopped {
            return Ok(());
        }
        self.look_at_extensions()?;
        // A backend that ends writes its buffers, but an error on the way
        // would go unnoticed.
        self.session()?.execute_script("CHECKPOINT")?;
        self.session = None;
        // Connections are served one after the other: an answer shows that
        // the backend has ended.
        let ended = UnixStream::connect(self.folder.path().join(format!(".s.PGSQL.{PORT}")))
            .and_then(|mut stream| {
                stream.set_read_timeout(Some(Duration::from_secs(30)))?;
                stream.write_all(&SSL_REQUEST)?;
                stream.read_exact(&mut [0])
            });
        ended.map_err(|error| ClusterError::NotUp {
            what: "embedded server".to_owned(),
            message: format!("it does not end its backend: {error}"),
        })?;
        self.stopped = true;
        Ok(())
    }

    fn start(&mut self) -> Result<(), ClusterError> {
        self.session().map(|_| ())
    }

    fn kill_and_restart(&mut self) -> Result<(), ClusterError> {
        self.come_back()?;
        Cluster::start(self)
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn has_extension(&mut self, name: &str) -> bool {
        has_extension(name)
    }
}

/// The child process; dropping it ends it.
#[derive(Debug)]
struct Server {
    child: Child,
    /// Closing it ends the child, and removes the folder.
    _alive: Option<ChildStdin>,
    out: Option<ChildStdout>,
    words: Option<JoinHandle<VecDeque<String>>>,
}

impl Server {
    fn spawn(
        options: &ServerOptions,
        folder: &Path,
        own_cache: bool,
    ) -> Result<Self, ClusterError> {
        let mut command = Command::new(&options.program);
        command
            .arg("__embedded-server")
            .arg(folder)
            .args(
                options
                    .settings
                    .iter()
                    .map(|(name, value)| format!("{name}={value}")),
            )
            .args(&options.extensions)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if own_cache {
            command
                .env("HOME", folder)
                .env("XDG_CACHE_HOME", folder.join("cache"));
        }
        // Its own process group: an interrupt at the terminal ends pgadvise,
        // and the child sees its standard input close and tidies up.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().map_err(|source| ClusterError::Program {
            program: options.program.clone(),
            source,
        })?;
        Ok(Self {
            _alive: child.stdin.take(),
            out: child.stdout.take(),
            words: child.stderr.take().map(listen),
            child,
        })
    }

    /// Waits until it is up.
    fn wait(&mut self) -> Result<(), ClusterError> {
        let mut line = String::new();
        if let Some(out) = self.out.take() {
            // The child writes this one line and nothing more.
            drop(BufReader::new(out).read_line(&mut line));
        }
        if line.trim() == READY {
            return Ok(());
        }
        drop(self.child.kill());
        drop(self.child.wait());
        let last = self
            .words
            .take()
            .and_then(|words| words.join().ok())
            .map(Vec::from)
            .unwrap_or_default();
        Err(ClusterError::NotUp {
            what: "embedded server".to_owned(),
            message: if last.is_empty() {
                "it ended without a word".to_owned()
            } else {
                last.join("; ")
            },
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing in the cluster is worth a clean end.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Reads what the child says to the end, or a server with much to say would
/// wait for a reader; keeps the last of it.
fn listen(err: ChildStderr) -> JoinHandle<VecDeque<String>> {
    std::thread::spawn(move || {
        let mut last: VecDeque<String> = VecDeque::new();
        for line in BufReader::new(err).lines().map_while(Result::ok) {
            if line.trim().is_empty() {
                continue;
            }
            if last.len() == LAST_WORDS {
                last.pop_front();
            }
            last.push_back(line.trim().to_owned());
        }
        last
    })
}
