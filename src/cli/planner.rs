//! Which planner answers: the embedded server on schema files, a database, or
//! none. The one place where planners are made.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum as _;

use super::Exit;
use super::args::{EngineChoice, PlannerArgs};
use super::env::Environment;
use super::failure::{Failure, Kind};
use super::ui::Ui;
use crate::input::config::Config;
use crate::pg::{self, ConnectOptions, Error, Limits, LivePlanner, LiveWithTwin};
use crate::report::model;
use crate::source::Sources;
use crate::verify::Planner;

/// Where plans come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Choice {
    /// The embedded server, after it executed these files.
    Schema(Vec<PathBuf>),
    /// A database.
    Database {
        /// What the user gave for it; the environment says the rest.
        conninfo: Option<String>,
        /// Where what it cannot suppose is supposed.
        engine: Engine,
        /// Whether everything is supposed there: changes of any kind are asked
        /// for.
        on_twin: bool,
    },
    /// A throw-away server with what a snapshot knows of another.
    Snapshot {
        /// The snapshot's file.
        file: PathBuf,
        /// On which server.
        engine: Engine,
    },
    /// None is at hand.
    None,
}

/// On which server a twin runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Engine {
    /// Which kind.
    pub(super) choice: EngineChoice,
    /// Where an installed server's programs are.
    pub(super) pg_bin: Option<PathBuf>,
}

impl Engine {
    /// What the command line says, or else the configuration.
    pub(super) fn new(args: &PlannerArgs, config: &Config) -> Self {
        let configured = config
            .engine
            .as_deref()
            .and_then(|name| EngineChoice::from_str(name, false).ok());
        Self {
            choice: args.engine.or(configured).unwrap_or_default(),
            pg_bin: args.pg_bin.clone().or_else(|| config.pg_bin.clone()),
        }
    }
}

impl PlannerArgs {
    /// Whether the command line says where plans come from.
    pub(super) fn is_given(&self) -> bool {
        self.dbname.is_some() || self.snapshot.is_some() || !self.schema.is_empty()
    }
}

/// A planner that is up, with trouble on the way that did not stop it.
#[derive(Debug, Default)]
pub(super) struct Started {
    pub(super) planner: Option<PlannerBox>,
    pub(super) problems: Vec<model::Problem>,
    /// What to say beside its name.
    pub(super) note: Option<String>,
}

/// A planner behind its trait.
pub(super) struct PlannerBox(pub(super) Box<dyn Planner>);

impl std::fmt::Debug for PlannerBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PlannerBox").field(&self.0.engine()).finish()
    }
}

/// Starts the chosen planner.
pub(super) fn start(
    choice: &Choice,
    timeout: Duration,
    environment: &Environment,
    sources: &mut Sources,
    ui: &Ui,
) -> Result<Started, Failure> {
    match choice {
        Choice::Schema(files) => {
            let _progress = ui.progress("executing the schema on the embedded PostgreSQL");
            embedded::start(files, timeout, sources)
        }
        Choice::Database {
            conninfo,
            engine,
            on_twin,
        } => {
            let _progress = ui.progress("connecting to the database");
            live(conninfo.as_deref(), engine, *on_twin, timeout, environment)
        }
        Choice::Snapshot { file, engine } => {
            super::twin::start(file, engine, timeout, environment, ui)
        }
        Choice::None => Ok(Started::default()),
    }
}

fn live(
    conninfo: Option<&str>,
    engine: &Engine,
    on_twin: bool,
    timeout: Duration,
    environment: &Environment,
) -> Result<Started, Failure> {
    let known = pg::Environment {
        vars: environment.pg.clone(),
        home: environment.home.clone(),
        user: environment.user.clone(),
    };
    let options = ConnectOptions::new(conninfo, &known).map_err(|error| refused(error.into()))?;
    let limits = Limits {
        statement: timeout,
        ..Limits::default()
    };
    let planner = LivePlanner::connect(&options, limits).map_err(refused)?;
    let target = planner.session().target().to_owned();
    tracing::info!("connected to {target}");
    Ok(Started {
        planner: Some(PlannerBox(Box::new(
            LiveWithTwin::new(planner, super::twin::opener(engine, timeout, environment))
                .without_hypopg(on_twin),
        ))),
        problems: Vec::new(),
        note: Some(format!("the database asked: {target}")),
    })
}

/// What the user is told of a server's refusal.
pub(super) fn refused(error: Error) -> Failure {
    let hint = error.hint();
    let kind = match error {
        Error::Conninfo(_) => Kind::Usage,
        _ => Kind::Database,
    };
    let mut failure = Failure::new(kind, error);
    failure.hints.extend(hint);
    failure
}

/// Runs the embedded server in this process, which was started for it.
pub(super) fn serve(args: &[std::ffi::OsString]) -> Result<Exit, Failure> {
    embedded::serve(args)
}

/// Keeps an installed server in this process, which was started for it.
pub(super) fn serve_native(args: &[std::ffi::OsString]) -> Result<Exit, Failure> {
    pg::cluster::keeper::serve(args)
        .map(|()| Exit::Fine)
        .map_err(|message| Failure::new(Kind::Internal, message))
}

#[cfg(feature = "embedded")]
mod embedded {
    use std::ffi::OsString;
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    use super::super::Exit;
    use super::super::failure::{Failure, Kind};
    use super::{PlannerBox, Started};
    use crate::input;
    use crate::pg::cluster::server as cluster;
    use crate::pg::embedded::{EmbeddedOptions, EmbeddedPlanner, SchemaStatement};
    use crate::report::{build, model};
    use crate::source::{Sources, Text};
    use crate::sql;

    pub(super) fn start(
        files: &[PathBuf],
        timeout: Duration,
        sources: &mut Sources,
    ) -> Result<Started, Failure> {
        let mut schema = Vec::new();
        let mut problems = Vec::new();
        for file in files {
            let text = input::read(file)?;
            let source = sources.add(Text::new(file.display().to_string(), text));
            let text = sources.get(source).map_or("", Text::text);
            // PostgreSQL judges the statements; here they are only told apart.
            let (statements, _) = sql::read(source, text);
            schema.extend(statements.into_iter().map(|statement| SchemaStatement {
                text: statement.text,
                span: statement.span,
            }));
        }
        let program = std::env::current_exe().map_err(|error| {
            Failure::new(Kind::Internal, error)
                .hint("the program must be able to find itself, to start its embedded server")
        })?;
        let mut planner = EmbeddedPlanner::start(EmbeddedOptions {
            program,
            schema,
            load_limit: timeout.max(Duration::from_mins(5)),
            statement_limit: timeout,
        })
        .map_err(|error| Failure::new(Kind::Internal, error))?;
        // Without a refused statement the rest may still plan as it should;
        // where it does not, the statements say so.
        problems.extend(
            planner
                .take_problems()
                .iter()
                .map(|problem| build::problem(problem, model::Severity::Warning, sources)),
        );
        Ok(Started {
            planner: Some(PlannerBox(Box::new(planner))),
            problems,
            note: Some(format!(
                "its tables and data are those of {}",
                files
                    .iter()
                    .map(|file| file.display().to_string())
                    .collect::<Vec<_>>()
                    .join(", ")
            )),
        })
    }

    pub(super) fn serve(args: &[OsString]) -> Result<Exit, Failure> {
        let Some((folder, wanted)) = args.split_first() else {
            return Err(Failure::new(
                Kind::Usage,
                "the folder of the server is missing",
            ));
        };
        let wanted: Vec<String> = wanted
            .iter()
            .filter_map(|name| name.to_str().map(str::to_owned))
            .collect();
        cluster::serve(Path::new(folder), &wanted)
            .map(|()| Exit::Fine)
            .map_err(|message| Failure::new(Kind::Internal, message))
    }
}

#[cfg(not(feature = "embedded"))]
mod embedded {
    use std::ffi::OsString;
    use std::path::PathBuf;
    use std::time::Duration;

    use super::super::Exit;
    use super::super::failure::{Failure, Kind};
    use super::Started;
    use crate::source::Sources;

    pub(super) fn start(
        _files: &[PathBuf],
        _timeout: Duration,
        _sources: &mut Sources,
    ) -> Result<Started, Failure> {
        Err(missing())
    }

    pub(super) fn serve(_args: &[OsString]) -> Result<Exit, Failure> {
        Err(missing())
    }

    fn missing() -> Failure {
        Failure::new(
            Kind::Usage,
            "this program was built without its embedded PostgreSQL, which --schema needs",
        )
        .hint("ask a database with -d, give a plan with --plan, or build with the feature \"embedded\"")
    }
}
