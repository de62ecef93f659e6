//! Opening the twin of a snapshot: the file, the server, and what is kept for
//! the next run.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::args::EngineChoice;
use super::env::Environment;
use super::failure::{Failure, Kind};
use super::planner::{PlannerBox, Started};
use super::ui::Ui;
use crate::input;
use crate::pg::cluster::ClusterError;
use crate::pg::cluster::programs::Search;
use crate::pg::twin::TwinError;
use crate::pg::twin::cache::{self, EngineWish, OpenOptions};
use crate::pg::twin::planner::TwinPlanner;
use crate::report::model;
use crate::snapshot::file::{Decoded, content_hash};

/// Opens the twin of a snapshot.
pub(super) fn start(
    file: &Path,
    engine: EngineChoice,
    pg_bin: Option<PathBuf>,
    timeout: Duration,
    environment: &Environment,
    ui: &Ui,
) -> Result<Started, Failure> {
    let shown = ui.progress(format!("reading {}", file.display()));
    let Decoded { snapshot, notes } = input::read_snapshot(file)?;
    let hash = content_hash(&snapshot);
    let snapshot = Arc::new(snapshot);
    let program = std::env::current_exe().map_err(|error| {
        Failure::new(Kind::Internal, error)
            .hint("the program must be able to find itself, to start its servers")
    })?;
    let options = OpenOptions {
        snapshot: Arc::clone(&snapshot),
        hash,
        engine: match engine {
            EngineChoice::Auto => EngineWish::Auto,
            EngineChoice::Embedded => EngineWish::Embedded,
            EngineChoice::Native => EngineWish::Native,
        },
        search: Search {
            pg_bin,
            path: environment.path.clone(),
        },
        cache: environment.cache.clone(),
        temp: std::env::temp_dir(),
        program,
        load_limit: timeout.max(Duration::from_mins(5)),
        statement_limit: timeout,
    };
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
