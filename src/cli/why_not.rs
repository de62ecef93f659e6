//! `pgadvise why-not`: why the planner does not use an index.

use std::time::Duration;

use super::Exit;
use super::args::{Format, Global, PlannerArgs, WhyNotArgs};
use super::env::Environment;
use super::failure::{Failure, Kind};
use super::inputs::{Inputs, is_planned};
use super::planner::{self, Choice, Engine};
use super::ui::{Ui, Written};
use crate::advise::why_not::{WhyNotError, why_not};
use crate::input::config::{self, Config};
use crate::report::model::{Severity, WhyNotReport};
use crate::report::why_not as answers;
use crate::source::Problem;
use crate::sql;
use crate::verify::PlanError;

/// Seconds for a statement unless the user says otherwise.
const TIMEOUT_SECONDS: u64 = 60;

/// Runs the command.
pub(super) fn run(
    args: &WhyNotArgs,
    global: &Global,
    environment: &Environment,
    ui: &mut Ui,
) -> Result<Exit, Failure> {
    let format = args.format.map_or("text", Format::name);
    if args.format == Some(Format::Html) {
        return Err(Failure::new(Kind::Usage, "there is no page for why-not")
            .hint("its formats are text, json and markdown"));
    }
    let report = match report(args, global, environment, ui) {
        Ok(report) => report,
        Err(failure) if format == "text" => return Err(failure),
        Err(failure) => {
            ui.failure(&failure);
            answers::report(&args.index, Vec::new(), vec![failure.problem()])
        }
    };
    for problem in &report.problems {
        ui.problem(problem);
    }
    if (!report.answers.is_empty() || format != "text") && show(&report, format, ui)? {
        return Ok(Exit::Fine);
    }
    let incomplete = report
        .problems
        .iter()
        .any(|problem| problem.severity == Severity::Error)
        || report.answers.iter().any(|answer| answer.failed);
    Ok(if incomplete { Exit::Failed } else { Exit::Fine })
}

/// Writes the report; whether its reader left.
fn show(report: &WhyNotReport, format: &str, ui: &Ui) -> Result<bool, Failure> {
    let mut bytes = Vec::new();
    answers::render(report, format, &mut bytes, &ui.options())
        .map_err(|error| Failure::new(Kind::Internal, error))?;
    Ok(Ui::write(&bytes)? == Written::ReaderLeft)
}

fn report(
    args: &WhyNotArgs,
    global: &Global,
    environment: &Environment,
    ui: &Ui,
) -> Result<WhyNotReport, Failure> {
    let config = configuration(global, environment)?;
    let choice = choose(&args.planner, &config, environment)?;
    let mut inputs = Inputs::read(std::slice::from_ref(&args.file));
    if inputs
        .files
        .iter()
        .any(|input| !input.plans.is_empty() && input.statements.is_empty())
    {
        return Err(
            Failure::new(Kind::Input, "a plan is given, and a query is needed")
                .hint("why-not asks the planner what else it could do: give it the SQL"),
        );
    }
    let statements: Vec<_> = inputs
        .files
        .iter_mut()
        .flat_map(|input| std::mem::take(&mut input.statements))
        .collect();
    if statements.is_empty() {
        return Ok(answers::report(&args.index, Vec::new(), inputs.problems));
    }
    let timeout = Duration::from_secs(args.timeout.or(config.timeout).unwrap_or(TIMEOUT_SECONDS));
    let started = planner::start(&choice, timeout, environment, &mut inputs.sources, ui)?;
    inputs.problems.extend(started.problems);
    let Some(mut planner) = started.planner.map(|planner| planner.0) else {
        return Err(nothing_to_ask());
    };
    let catalog = planner
        .catalog()
        .map_err(|error| Failure::new(Kind::Database, error))?;
    let progress = ui.progress("planning");
    let mut given = Vec::new();
    for mut statement in statements {
        progress.say(format!(
            "asking about {}",
            inputs.sources.place(statement.span)
        ));
        if !is_planned(&statement) && statement.problems.is_empty() {
            continue;
        }
        let mut problems = statement.problems.clone();
        problems.extend(sql::resolve(&mut statement, &catalog));
        given.push(match why_not(&statement, &args.index, &mut *planner) {
            Ok(answer) => {
                let mut engine = planner.engine().with_tried(planner.what_if_engine());
                engine.notes.splice(0..0, started.note.clone());
                let mut shown = answers::answered(&statement, &answer, &engine, &inputs.sources);
                shown.problems.extend(problems.iter().map(|problem| {
                    crate::report::build::problem(problem, Severity::Warning, &inputs.sources)
                }));
                shown
            }
            Err(WhyNotError::NotFound(missing)) => {
                let hints = missing.hints.clone();
                let mut failure = Failure::new(Kind::Input, missing);
                failure.hints.extend(hints);
                return Err(failure);
            }
            Err(WhyNotError::Plan(error)) => {
                if let PlanError::Lost { .. } = error {
                    return Err(Failure::new(Kind::Database, error));
                }
                if problems.is_empty() {
                    let mut problem = Problem::at(statement.span, error.to_string());
                    if let PlanError::Refused { hint, .. } = error {
                        problem.hint = hint;
                    }
                    problems.push(problem);
                }
                answers::failed(&statement, &problems, &inputs.sources)
            }
        });
    }
    Ok(answers::report(&args.index, given, inputs.problems))
}

/// Which planner is asked.
fn choose(
    args: &PlannerArgs,
    config: &Config,
    environment: &Environment,
) -> Result<Choice, Failure> {
    let engine = Engine::new(args, config);
    let (snapshot, schema) = if args.is_given() {
        (&args.snapshot, &args.schema)
    } else {
        (&config.snapshot, &config.schema)
    };
    if let Some(file) = snapshot {
        return Ok(Choice::Snapshot {
            file: file.clone(),
            engine,
        });
    }
    if !schema.is_empty() {
        return Ok(Choice::Schema(schema.clone()));
    }
    let conninfo = args.dbname.clone();
    if conninfo.is_none() {
        let Some(variable) = environment.names_database() else {
            return Err(nothing_to_ask());
        };
        tracing::info!("{variable} is set: asking that database");
    }
    Ok(Choice::Database {
        conninfo,
        engine,
        on_twin: false,
    })
}

/// The configuration, which may say where plans come from.
fn configuration(global: &Global, environment: &Environment) -> Result<Config, Failure> {
    let path = global
        .config
        .clone()
        .or_else(|| config::find(environment.folder.as_deref()?));
    Ok(match path {
        Some(path) => config::load(&path, &super::rules::names())?,
        None => Config::default(),
    })
}

fn nothing_to_ask() -> Failure {
    Failure::new(Kind::Usage, "there is no planner to ask")
        .hint("name a database with -d, a snapshot with --snapshot, or a file that creates the tables with --schema")
}
