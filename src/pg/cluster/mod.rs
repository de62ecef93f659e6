//! Throw-away clusters: PostgreSQL servers that pgadvise starts for itself, in
//! a private folder, on a Unix socket, and removes afterwards.
//!
//! There are two kinds behind one trait: the embedded server (PostgreSQL 17 as
//! WebAssembly, nothing to install) and a native one (a PostgreSQL that is
//! installed on this machine). Neither listens on a network.

pub mod copy;
#[cfg(feature = "embedded")]
pub mod embedded;
pub mod keeper;
pub mod native;
pub mod private;
pub mod programs;
#[cfg(feature = "embedded")]
pub mod server;

use std::path::{Path, PathBuf};

use super::{Error as SessionError, Session};

/// Extensions that suggestions may need though the schema or the snapshot has
/// none.
pub const FOR_SUGGESTIONS: &[&str] = &["pg_trgm"];

/// Which kind of cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ClusterKind {
    /// PostgreSQL compiled to WebAssembly: a sandbox without files or
    /// programs of the machine, with one backend.
    Embedded,
    /// An installed PostgreSQL.
    Native,
}

/// A throw-away cluster. Dropping it ends the server and removes the folder.
pub trait Cluster: std::fmt::Debug {
    /// Which kind.
    fn kind(&self) -> ClusterKind;

    /// `server_version_num`.
    fn version_num(&self) -> u32;

    /// `PostgreSQL 17.5 (embedded)`.
    fn description(&self) -> String;

    /// The session that plans statements and executes what comes from users
    /// and snapshots.
    ///
    /// On a native cluster its role owns the database and has no right
    /// beyond it, so that hostile definitions reach neither files nor
    /// programs. On the embedded one, a sandbox, it is the superuser.
    fn session(&mut self) -> Result<&mut Session, ClusterError>;

    /// The superuser's session, for changes to system catalogues. Nothing that
    /// a user or a snapshot defined may be evaluated in it. On the embedded
    /// cluster, which has one backend, the same as [`Cluster::session`].
    fn admin(&mut self) -> Result<&mut Session, ClusterError>;

    /// The file on this machine that `pg_relation_filepath` names.
    fn file(&self, relative: &str) -> PathBuf;

    /// Ends the server cleanly, with everything written to its files, and
    /// keeps the folder. Files of relations may be changed until
    /// [`Cluster::start`].
    fn stop(&mut self) -> Result<(), ClusterError>;

    /// Starts the server again after [`Cluster::stop`].
    fn start(&mut self) -> Result<(), ClusterError>;

    /// Kills a server that does not answer, and starts it again. What was
    /// committed is still there.
    fn kill_and_restart(&mut self) -> Result<(), ClusterError>;

    /// The private folder.
    fn folder(&self) -> &Path;

    /// Extensions that `CREATE EXTENSION` can make here.
    fn has_extension(&mut self, name: &str) -> bool;
}

/// Why there is no cluster, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The private folder could not be made, copied or removed.
    #[error("cannot {what} the folder {} of the throw-away server", folder.display())]
    Folder {
        /// `make`, `copy`, …
        what: &'static str,
        /// Which.
        folder: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A program of the server could not be started.
    #[error("cannot run {}", program.display())]
    Program {
        /// Which.
        program: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The server did not come up, or ended.
    #[error("the {what} did not come up: {message}")]
    NotUp {
        /// `embedded server`, `PostgreSQL 16 server`.
        what: String,
        /// Its last words.
        message: String,
    },
    /// No installed server of the wanted version was found.
    #[error("no PostgreSQL {wanted} server programs were found (looked in {looked})")]
    NotFound {
        /// The major version, or `server`.
        wanted: String,
        /// Where was looked.
        looked: String,
    },
    /// The server is up, but cannot be talked to.
    #[error("the throw-away server does not answer")]
    Session(#[from] SessionError),
}
