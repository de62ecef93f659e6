//! Opening the twin of a snapshot: the file, the server, and what is kept for
//! the next run.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::args::EngineChoice;
use super::env::Environment;
use super::failure::{Failure, Kind};
use super::planner::{Engine, PlannerBox, Started};
use super::ui::Ui;
use crate::input;
use crate::pg::cluster::ClusterError;
use crate::pg::cluster::private::in_memory;
use crate::pg::cluster::programs::Search;
use crate::pg::live_twin::Opener;
use crate::pg::twin::TwinError;
use crate::pg::twin::cache::{self, EngineWish, OpenOptions};
use crate::pg::twin::planner::TwinPlanner;
use crate::pg::workload::Servers;
use crate::report::model;
use crate::snapshot::Snapshot;
use crate::snapshot::file::{Decoded, content_hash};

/// Opens the twin of a snapshot.
pub(super) fn start(
    file: &Path,
    engine: &Engine,
    timeout: Duration,
    environment: &Environment,
    ui: &Ui,
) -> Result<Started, Failure> {
    let shown = ui.progress(format!("reading {}", file.display()));
    let Decoded { snapshot, notes } = input::read_snapshot(file)?;
    let hash = content_hash(&snapshot);
    let snapshot = Arc::new(snapshot);
    let options = options(&snapshot, hash, engine, timeout, environment)
        .map_err(|why| Failure::new(Kind::Internal, why))?;
    let twin = cache::open(&options, &mut cache::make, &mut |what, done, all| {
        shown.say(if all > 1 {
            format!("{what} ({done} of {all})")
        } else {
            what.to_owned()
        });
    })
    .map_err(not_opened)?;
    let problems = notes
        .into_iter()
        .map(|note| warning(note, None))
        .chain(twin.loaded.refused.iter().map(|refused| {
            warning(
                format!("the twin lacks {}", refused.object),
                Some(refused.message.clone()),
            )
        }))
        .collect();
    let origin = format!(
        "it has the schema, statistics and sizes of {} (PostgreSQL {}), from {}",
        snapshot.origin.database,
        snapshot.origin.version,
        file.display()
    );
    let planner = TwinPlanner::new(twin.cluster, twin.loaded, snapshot, timeout)
        .map_err(|error| not_opened(error.into()))?;
    Ok(Started {
        planner: Some(PlannerBox(Box::new(planner))),
        problems,
        note: Some(origin),
    })
}

/// How to open the twin of a snapshot; one without a hash is not kept.
fn options(
    snapshot: &Arc<Snapshot>,
    hash: String,
    engine: &Engine,
    timeout: Duration,
    environment: &Environment,
) -> Result<OpenOptions, String> {
    let program = std::env::current_exe().map_err(|error| {
        format!(
            "the program must be able to find itself, to start its servers, and cannot: {error}"
        )
    })?;
    Ok(OpenOptions {
        snapshot: Arc::clone(snapshot),
        hash,
        engine: match engine.choice {
            EngineChoice::Auto => EngineWish::Auto,
            EngineChoice::Embedded => EngineWish::Embedded,
            EngineChoice::Native => EngineWish::Native,
        },
        search: Search {
            pg_bin: engine.pg_bin.clone(),
            path: environment.path.clone(),
        },
        cache: environment.cache.clone(),
        temp: temp(environment, snapshot),
        program,
        load_limit: timeout.max(Duration::from_mins(5)),
        statement_limit: timeout,
    })
}

/// Where the throw-away servers of `check` come from.
pub(super) fn servers(
    snapshot: Option<&Snapshot>,
    engine: &Engine,
    timeout: Duration,
    environment: &Environment,
) -> Result<Servers, Failure> {
    let empty = Snapshot::default();
    let snapshot = Arc::new(snapshot.cloned().unwrap_or(empty));
    let options = options(&snapshot, String::new(), engine, timeout, environment)
        .map_err(|why| Failure::new(Kind::Internal, why))?;
    Ok(Servers {
        engine: options.engine,
        search: options.search,
        cache: options.cache,
        temp: options.temp,
        program: options.program,
        load_limit: options.load_limit,
        plan_limit: options.statement_limit,
    })
}

/// Opens the twin of a live server, of a snapshot in memory. It is thrown away
/// with the run.
pub(super) fn opener(engine: &Engine, timeout: Duration, environment: &Environment) -> Opener {
    let (engine, environment) = (engine.clone(), environment.clone());
    Box::new(move |snapshot| {
        let snapshot = Arc::new(snapshot);
        let options = options(&snapshot, String::new(), &engine, timeout, &environment)?;
        let twin = cache::open(&options, &mut cache::make, &mut |what, done, all| {
            tracing::debug!("{what} ({done} of {all})");
        })
        .map_err(|error| with_causes(&error))?;
        TwinPlanner::new(twin.cluster, twin.loaded, snapshot, timeout)
            .map_err(|error| with_causes(&error))
    })
}

/// An error with what it comes from.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// Bytes of an empty cluster.
const CLUSTER_BYTES: u64 = 64 << 20;
/// Bytes that a relation takes with its entries in the catalogue.
const RELATION_BYTES: u64 = 48 << 10;

/// The folder for the twin's files: in memory where there is room, unless the
/// user chose another.
fn temp(environment: &Environment, snapshot: &Snapshot) -> PathBuf {
    let relations: usize = snapshot
        .relations
        .iter()
        .map(|relation| 2 + relation.indexes.len())
        .sum();
    let bytes = CLUSTER_BYTES + RELATION_BYTES * relations as u64;
    environment
        .temp
        .clone()
        .or_else(|| in_memory(bytes))
        .unwrap_or_else(std::env::temp_dir)
}

fn warning(message: String, hint: Option<String>) -> model::Problem {
    let mut problem = Failure::new(Kind::Input, message).problem();
    problem.severity = model::Severity::Warning;
    problem.hints.extend(hint);
    problem
}

fn not_opened(error: TwinError) -> Failure {
    let not_found = matches!(error, TwinError::Cluster(ClusterError::NotFound { .. }));
    let failure = Failure::new(Kind::Internal, error);
    if not_found {
        failure
            .hint("name the folder of initdb and postgres with --pg-bin, or use --engine embedded")
    } else {
        failure
    }
}
