//! What PostgreSQL itself does with each statement of a history: the new files
//! are run on a throw-away server, statement by statement, in the transactions
//! of their framework, and the server is asked which locks each took, what it
//! wrote anew, read and built.
//!
//! The older files are replayed first; with a snapshot its schema is made
//! instead. Tables are empty, so that rewrites and scans cost nothing, and
//! show all the same: a rewrite changes the file of a relation, and a scan is
//! counted.

mod judge;
mod kept;
mod observe;
mod run;
mod told;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::cluster::Cluster;
use super::twin::cache::{self, OpenTwin};
use super::twin::{Progress, TwinError, load};
use super::workload::{Basis, Servers, USUAL_MAJOR, replay};
use crate::migration::locks::Effect;
use crate::migration::state::State;
use crate::migration::{self, At, History};
use crate::snapshot::{FORMAT, Origin, Snapshot};
use crate::source::{Problem, Sources, Span};

/// A statement that the server refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The statement.
    pub at: At,
    /// Where the server stumbled: a part of it where the server says so.
    pub span: Span,
    /// The server's message.
    pub message: String,
    /// SQLSTATE; empty where the server did not answer in time.
    pub sqlstate: String,
    /// Its detail or hint.
    pub hint: Option<String>,
    /// What became of the rest of its transaction or file.
    pub consequence: &'static str,
}

/// What a statement made and dropped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Objects {
    /// Relations that are new, sorted.
    pub created: Vec<String>,
    /// Relations that are gone, sorted.
    pub dropped: Vec<String>,
}

/// Where the server did something else than the text and the state say.
#[derive(Debug, Clone, PartialEq)]
pub struct Disagreement {
    /// The statement.
    pub at: At,
    /// Its place.
    pub span: Span,
    /// What was expected, of one relation.
    pub expected: Option<Effect>,
    /// What the server did.
    pub traced: Option<Effect>,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// What each statement of the new files did; statements that did not run
    /// are missing.
    pub effects: BTreeMap<At, Vec<Effect>>,
    /// What it made and dropped, where it did.
    pub objects: BTreeMap<At, Objects>,
    /// Statements that were refused, in order; each once.
    pub failures: Vec<Failure>,
    /// Where the text and the server disagree. The server is right.
    pub disagreements: Vec<Disagreement>,
    /// Statements that were left out, and why: `(statement, why)`.
    pub skipped: Vec<(Span, String)>,
    /// Trouble with older files.
    pub problems: Vec<Problem>,
    /// What to know, as sentences.
    pub notes: Vec<String>,
    /// `PostgreSQL 17.5 (embedded)`.
    pub engine: String,
    /// Its major version.
    pub major: u16,
    /// Statements that were run.
    pub statements: usize,
}

/// Runs the new files of a history on a throw-away server.
///
/// `before` is the schema that the history begins with: that of the snapshot
/// where there is one. `server` is what rules assume; only where its version
/// is known is a server of that version asked for.
pub fn trace(
    history: &History,
    sources: &Sources,
    before: &State,
    server: &migration::Server,
    basis: &Basis,
    servers: &Servers,
    progress: Progress<'_>,
) -> Result<Trace, TwinError> {
    let mut trace = Trace::default();
    for (number, database) in databases(history).into_iter().enumerate() {
        if number > 0 && matches!(basis, Basis::Snapshot { .. }) {
            trace.skip_files(
                history,
                database,
                "the file is for another database than the first new file, of which the snapshot is \
                 taken to be",
            );
            continue;
        }
        let mut cluster = open(
            history, sources, database, basis, servers, &mut trace, progress,
        )?;
        trace.engine = cluster.description();
        trace.major = u16::try_from(cluster.version_num() / 10_000).unwrap_or(server.major);
        let server = migration::Server {
            major: trace.major,
            // The throw-away server runs in UTC unless a migration says otherwise.
            utc: Some(true),
            ..server.clone()
        };
        run::run(
            cluster.as_mut(),
            history,
            database,
            sources,
            before.clone(),
            &server,
            &mut trace,
            progress,
        )?;
    }
    if trace.major != server.major && !server.assumed {
        trace.notes.push(format!(
            "traced on {}, while {} is PostgreSQL {}",
            trace.engine, server.known_by, server.major
        ));
    }
    Ok(trace)
}

/// The databases of the new files, each once, in the order of the files.
fn databases(history: &History) -> Vec<Option<&str>> {
    let mut found: Vec<Option<&str>> = Vec::new();
    for file in history.files.iter().filter(|file| file.new) {
        let database = file.database.as_deref();
        if !found.contains(&database) {
            found.push(database);
        }
    }
    if found.is_empty() {
        found.push(None);
    }
    found
}

impl Trace {
    /// Says of the new files of a database why they did not run.
    fn skip_files(&mut self, history: &History, database: Option<&str>, why: &str) {
        for file in &history.files {
            if !file.new || file.database.as_deref() != database {
                continue;
            }
            if let Some(part) = file.parts.first() {
                let span = part
                    .statements
                    .first()
                    .map_or(part.span, |statement| statement.span);
                self.skipped.push((span, why.to_owned()));
            }
        }
    }
}

/// A server with what was there before the new files of a database.
fn open(
    history: &History,
    sources: &Sources,
    database: Option<&str>,
    basis: &Basis,
    servers: &Servers,
    trace: &mut Trace,
    progress: Progress<'_>,
) -> Result<Box<dyn Cluster>, TwinError> {
    let mut problems = Vec::new();
    let OpenTwin {
        cluster, loaded, ..
    } = match basis {
        Basis::Snapshot { snapshot, hash } => {
            // Kept beside the twin that has sizes: here all tables are empty.
            let hash = if hash.is_empty() {
                String::new()
            } else {
                format!("7ace{hash}")
            };
            cache::open(
                &servers.open(Arc::clone(snapshot), hash, servers.cache.clone()),
                &mut |cluster: &mut dyn Cluster, snapshot: &Snapshot, progress: Progress<'_>| {
                    let loaded = load::load(cluster, snapshot, progress)?;
                    count_scans(cluster)?;
                    Ok(loaded)
                },
                progress,
            )?
        }
        Basis::History { major } => {
            let empty = Arc::new(Snapshot {
                format: FORMAT,
                origin: Origin {
                    version_num: u32::from(major.unwrap_or(USUAL_MAJOR)) * 10_000,
                    encoding: "UTF8".to_owned(),
                    locale_provider: "c".to_owned(),
                    collate: "C.UTF-8".to_owned(),
                    ctype: "C.UTF-8".to_owned(),
                    block_size: 8192,
                    ..Origin::default()
                },
                extensions: replay::extensions(history),
                ..Snapshot::default()
            });
            cache::open(
                &servers.open(empty, String::new(), servers.cache.clone()),
                &mut |cluster: &mut dyn Cluster, snapshot: &Snapshot, progress: Progress<'_>| {
                    let loaded = load::begin(cluster, snapshot, progress)?;
                    kept::make(cluster, history, database, sources);
                    replay::replay(cluster, history, database, sources, &mut problems, progress)?;
                    count_scans(cluster)?;
                    Ok(loaded)
                },
                progress,
            )?
        }
    };
    trace.problems.append(&mut problems);
    for note in loaded
        .refused
        .iter()
        .map(|refused| format!("{} could not be made: {}", refused.object, refused.message))
        .chain(loaded.notes)
    {
        if !trace.notes.contains(&note) {
            trace.notes.push(note);
        }
    }
    Ok(cluster)
}

/// Throw-away servers count nothing; scans are told by counters. The role's
/// setting holds from its next session on, and every session begins with it.
fn count_scans(cluster: &mut dyn Cluster) -> Result<(), TwinError> {
    let rows = cluster.session()?.query("SELECT current_user::text", &[])?;
    let role: Option<String> = rows.first().and_then(|row| row.try_get(0).ok());
    if let Some(role) = role {
        cluster.admin()?.execute_script(&format!(
            "ALTER ROLE {} SET track_counts = on",
            crate::catalog::ident::quote(&role)
        ))?;
    }
    Ok(())
}
