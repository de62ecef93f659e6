//! Opening the twin of a snapshot: the file, the server, and what is kept for
//! the next run.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::args::EngineChoice;
use super::env::Environment;
use super::failure::{Failure, Kind};
use super::planner::{PlannerBox, Started};
use super::ui::Progress;
use crate::input;
use crate::pg::cluster::programs::Search;
use crate::pg::twin::cache::{self, EngineWish, OpenOptions};
use crate::pg::twin::planner::TwinPlanner;
use crate::pg::twin::{TwinError, lay, load};
use crate::report::model;
use crate::snapshot::file::content_hash;

/// Opens the twin of the snapshot in a file.
pub(super) fn start(
    file: &Path,
    engine: EngineChoice,
    pg_bin: Option<PathBuf>,
    timeout: Duration,
    environment: &Environment,
    progress: &Progress,
) -> Result<Started, Failure> {
    let decoded = input::read_snapshot(file)?;
    let snapshot = Arc::new(decoded.snapshot);
    let program = std::env::current_exe().map_err(|error| {
        Failure::new(Kind::Internal, error)
            .hint("the program must be able to find itself, to start its server")
    })?;
    let options = OpenOptions {
        hash: content_hash(&snapshot),
        snapshot: Arc::clone(&snapshot),
        engine: match engine {
            EngineChoice::Auto => EngineWish::Auto,
            EngineChoice::Embedded => EngineWish::Embedded,
            EngineChoice::Native => EngineWish::Native,
        },
        search: Search {
            pg_bin,
            path: Vec::new(),
        },
        cache: environment
            .home
            .as_ref()
            .map(|home| home.join(".cache").join("pgadvise")),
        temp: std::env::temp_dir(),
        program,
        load_limit: timeout.max(Duration::from_mins(5)),
        statement_limit: timeout,
    };
    let opened = cache::open(
        &options,
        &mut |cluster, snapshot, progress| {
            let loaded = load::load(cluster, snapshot, progress)?;
            let paths: Vec<_> = lay::relation_files(cluster.session()?)?;
            let known: std::collections::BTreeMap<String, PathBuf> = paths
                .iter()
                .map(|file| (file.path.clone(), cluster.file(&file.path)))
                .collect();
            let prepared = {
                let base = base_of(&known);
                let place = move |path: &str| base.join(path);
                lay::prepare(cluster.session()?, snapshot, &place)?
            };
            cluster.stop()?;
            lay::lay_all(&|path| cluster.file(path), &paths, snapshot, &prepared)?;
            Ok(loaded)
        },
        &mut |what, done, of| progress.say(format!("{what} ({done} of {of})")),
    )
    .map_err(|error: TwinError| Failure::new(Kind::Database, error))?;
    let planner = TwinPlanner::new(opened.cluster, opened.loaded, snapshot, timeout)
        .map_err(|error| Failure::new(Kind::Database, error))?;
    Ok(Started {
        planner: Some(PlannerBox(Box::new(planner))),
        problems: decoded
            .notes
            .into_iter()
            .map(|message| model::Problem {
                kind: model::ProblemKind::Input,
                severity: model::Severity::Warning,
                message,
                causes: Vec::new(),
                place: None,
                hints: Vec::new(),
            })
            .collect(),
        note: None,
    })
}

/// The folder that `pg_relation_filepath` is relative to.
fn base_of(files: &std::collections::BTreeMap<String, PathBuf>) -> PathBuf {
    files
        .iter()
        .next()
        .and_then(|(relative, path)| {
            let depth = Path::new(relative).components().count();
            path.ancestors().nth(depth)
        })
        .map(Path::to_owned)
        .unwrap_or_default()
}
