//! The queries of an application before and after the new files of a history
//! of migrations, planned on a throw-away server.
//!
//! Where there is a snapshot, *before* is its twin. Without one the older
//! files are replayed on an empty server, and every table is given a size that
//! is assumed, since plans on empty tables say nothing. *After* is the same
//! twin with the new statements applied, in a transaction that is rolled back:
//! tables are empty while a statement runs, so that rewrites cost nothing, and
//! have their sizes and statistics again when plans are made.

mod assume;
mod functions;
pub(super) mod replay;
mod values;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::twin::cache::{self, EngineWish, OpenOptions, OpenTwin};
use super::twin::planner::TwinPlanner;
use super::twin::{Loaded, Progress, TwinError, lay, load};
use crate::advise::check::statement_at;
use crate::advise::check::workload::{
    CompareOptions, NewStatement, Workload, WorkloadResult, compare as compare_plans,
};
use crate::migration::{At, Direction, History};
use crate::pg::Error;
use crate::pg::cluster::programs::Search;
use crate::pg::cluster::{Cluster, private};
use crate::snapshot::{FORMAT, Origin, Snapshot};
use crate::source::{Problem, Sources};
use crate::sql::ddl::{Action, AlterTypeKind};
use crate::verify::PlanError;

/// The version that is taken where nobody says one: that of the embedded
/// server.
pub(super) const USUAL_MAJOR: u16 = 17;

/// What the schema before the change is known from.
#[derive(Debug, Clone)]
pub enum Basis {
    /// A snapshot.
    Snapshot {
        /// It.
        snapshot: Arc<Snapshot>,
        /// Its content, hashed; see [`OpenOptions::hash`].
        hash: String,
    },
    /// The files that are not new.
    History {
        /// The server's major version, where it is known.
        major: Option<u16>,
    },
}

/// Where throw-away servers come from.
#[derive(Debug, Clone)]
pub struct Servers {
    /// On which kind.
    pub engine: EngineWish,
    /// Where installed ones are.
    pub search: Search,
    /// The folder that twins are kept in.
    pub cache: Option<PathBuf>,
    /// The folder for temporary files.
    pub temp: PathBuf,
    /// The pgadvise program, which is its own server process.
    pub program: PathBuf,
    /// Time for one statement of a migration.
    pub load_limit: Duration,
    /// Time for one plan.
    pub plan_limit: Duration,
}

/// Why the workload was not compared.
#[derive(Debug, thiserror::Error)]
pub enum WorkloadError {
    /// There is no throw-away server.
    #[error(transparent)]
    Twin(#[from] TwinError),
    /// The server cannot be asked any more.
    #[error("the queries could not be planned: {0}")]
    Plan(#[from] PlanError),
    /// There is nothing to compare.
    #[error("{reason}")]
    Nothing {
        /// Why.
        reason: String,
        /// What to do next.
        hint: String,
    },
}

impl From<super::cluster::ClusterError> for WorkloadError {
    fn from(error: super::cluster::ClusterError) -> Self {
        Self::Twin(error.into())
    }
}

/// Plans the workload's queries before and after the new files of a history.
pub fn compare(
    history: &History,
    sources: &Sources,
    workload: &Workload,
    basis: &Basis,
    servers: &Servers,
    options: &CompareOptions,
    progress: Progress<'_>,
) -> Result<WorkloadResult, WorkloadError> {
    if workload.queries.is_empty() {
        return Err(WorkloadError::Nothing {
            reason: "the workload holds no query that can be planned".to_owned(),
            hint: "name files or folders with SELECT, INSERT, UPDATE or DELETE statements"
                .to_owned(),
        });
    }
    let change = new_statements(history, sources);
    let mut problems = Vec::new();
    let mut assumptions = Vec::new();
    let mut planner = match basis {
        Basis::Snapshot { snapshot, hash } => {
            assumptions.push(format!(
                "sizes and statistics are those of the snapshot of {}",
                snapshot.origin.database
            ));
            let twin = cache::open(
                &servers.open(Arc::clone(snapshot), hash.clone(), servers.cache.clone()),
                &mut cache::make,
                progress,
            )?;
            TwinPlanner::new(
                twin.cluster,
                twin.loaded,
                Arc::clone(snapshot),
                servers.plan_limit,
            )?
        }
        Basis::History { major } => {
            if history.files.iter().all(|file| file.new) {
                return Err(WorkloadError::Nothing {
                    reason: "every file is new, so there is no schema that the queries could be \
                             planned on before the change"
                        .to_owned(),
                    hint: "say with --since which files are new, or give a snapshot of the \
                           database with --snapshot"
                        .to_owned(),
                });
            }
            assumptions.push(assume::sentence());
            replayed(history, sources, *major, servers, &mut problems, progress)?
        }
    };
    progress("planning the workload", 0, 1);
    let values = new_values(history, &change);
    let functions = match functions::functions(planner.session()?) {
        Ok(functions) => functions,
        Err(error @ Error::Lost { .. }) => return Err(PlanError::from(error).into()),
        Err(error) => {
            problems.push(Problem::new(format!(
                "the bodies of functions could not be read: {error}"
            )));
            Vec::new()
        }
    };
    let mut planner = values::WithValues::new(&mut planner, values);
    let mut result = compare_plans(&mut planner, workload, change.clone(), options)?;
    result.functions = functions::broken(&mut planner, &functions, &change, options)?;
    if matches!(basis, Basis::History { .. }) {
        let version = result.engine.version_num;
        let kind = if result.engine.description.contains("(embedded") {
            "embedded"
        } else {
            "installed"
        };
        result.engine.description = format!(
            "PostgreSQL {}.{} ({kind}), on the schema that the older migrations make",
            version / 10_000,
            version % 10_000
        );
    }
    let planned_by = result.engine.version_num / 10_000;
    if let Basis::History { major: Some(major) } = basis
        && u32::from(*major) != planned_by
    {
        assumptions.push(format!(
            "PostgreSQL {planned_by} plans, and the database is PostgreSQL {major}: plans and \
             costs can differ between major versions"
        ));
    }
    result.assumptions = assumptions;
    result.problems = problems;
    Ok(result)
}

impl Servers {
    pub(super) fn open(
        &self,
        snapshot: Arc<Snapshot>,
        hash: String,
        cache: Option<PathBuf>,
    ) -> OpenOptions {
        OpenOptions {
            snapshot,
            hash,
            engine: self.engine,
            search: self.search.clone(),
            cache,
            temp: self.temp.clone(),
            program: self.program.clone(),
            load_limit: self.load_limit,
            statement_limit: self.plan_limit,
        }
    }
}

/// The database whose files are looked at, where a project holds several: that
/// of the first new file.
pub(super) fn database(history: &History) -> Option<&str> {
    history
        .files
        .iter()
        .find(|file| file.new)
        .and_then(|file| file.database.as_deref())
}

/// The statements of the new files, in their order.
fn new_statements(history: &History, sources: &Sources) -> Vec<NewStatement> {
    let database = database(history);
    let mut statements = Vec::new();
    for (number, file) in history.files.iter().enumerate() {
        if !file.new || file.database.as_deref() != database {
            continue;
        }
        for (part_number, part) in file.parts.iter().enumerate() {
            if part.direction != Direction::Up {
                continue;
            }
            for (at, statement) in part.statements.iter().enumerate() {
                if matches!(statement.action, Action::Transaction(_)) {
                    continue;
                }
                statements.push(NewStatement {
                    at: At {
                        file: number,
                        part: part_number,
                        statement: at,
                        inner: 0,
                    },
                    span: statement.span,
                    verb: statement.verb.clone(),
                    sql: sources.slice(statement.span).to_owned(),
                    sets: match &statement.action {
                        Action::Set(setting) if is_reset(&setting.name) => {
                            Some(setting.name.clone())
                        }
                        _ => None,
                    },
                });
            }
        }
    }
    statements
}

/// Whether a setting can be reset by its name, and matters to plans.
fn is_reset(name: &str) -> bool {
    !matches!(
        name,
        "all" | "role" | "session_authorization" | "session authorization" | "time zone"
    )
}

/// The statements that add values to enums.
fn new_values(history: &History, change: &[NewStatement]) -> Vec<String> {
    change
        .iter()
        .filter(|statement| {
            statement_at(history, statement.at).is_some_and(|found| {
                matches!(&found.action, Action::AlterType(change)
                    if matches!(change.kind, AlterTypeKind::AddValue { .. }))
            })
        })
        .map(|statement| statement.sql.clone())
        .collect()
}

/// A planner on the schema that the older files make.
fn replayed(
    history: &History,
    sources: &Sources,
    major: Option<u16>,
    servers: &Servers,
    problems: &mut Vec<Problem>,
    progress: Progress<'_>,
) -> Result<TwinPlanner, WorkloadError> {
    let empty = Arc::new(Snapshot {
        format: FORMAT,
        origin: Origin {
            version_num: u32::from(major.unwrap_or(USUAL_MAJOR)) * 10_000,
            encoding: "UTF8".to_owned(),
            locale_provider: "c".to_owned(),
            // Not C, in which LIKE could use any index.
            collate: "C.UTF-8".to_owned(),
            ctype: "C.UTF-8".to_owned(),
            block_size: 8192,
            ..Origin::default()
        },
        extensions: replay::extensions(history),
        ..Snapshot::default()
    });
    let mut made = None;
    let OpenTwin {
        cluster, loaded, ..
    } = cache::open(
        // Without a hash it is not kept; the prepared empty cluster is.
        &servers.open(Arc::clone(&empty), String::new(), servers.cache.clone()),
        &mut |cluster, snapshot, progress| {
            let (loaded, snapshot) = make(cluster, snapshot, history, sources, problems, progress)?;
            made = Some(snapshot);
            Ok(loaded)
        },
        progress,
    )?;
    let snapshot = made.map_or(empty, Arc::new);
    Ok(TwinPlanner::new(
        cluster,
        loaded,
        snapshot,
        servers.plan_limit,
    )?)
}

/// Replays the older files on an empty cluster, and makes it a twin with
/// assumed sizes.
fn make(
    cluster: &mut dyn Cluster,
    empty: &Snapshot,
    history: &History,
    sources: &Sources,
    problems: &mut Vec<Problem>,
    progress: Progress<'_>,
) -> Result<(Loaded, Snapshot), TwinError> {
    let begun = load::begin(cluster, empty, progress)?;
    replay::replay(
        cluster,
        history,
        database(history),
        sources,
        problems,
        progress,
    )?;
    progress("giving tables their sizes", 0, 1);
    let snapshot = assume::snapshot(cluster.session()?)?;
    let mut loaded = load::adopt(cluster, &snapshot, progress)?;
    loaded.refused.extend(begun.refused);
    let (folder, base) = (cluster.folder().to_owned(), cluster.file(""));
    let file = |relative: &str| private::inside(&folder, &base, relative);
    let session = cluster.session()?;
    let files = lay::relation_files(session)?;
    let prepared = lay::prepare(session, &snapshot, &file)?;
    cluster.stop()?;
    lay::lay_all(&file, &files, &snapshot, &prepared)?;
    Ok((loaded, snapshot))
}
