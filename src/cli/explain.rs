//! `pgadvise explain`: reads the inputs, asks for plans and advice, and writes
//! the report.

use super::Exit;
use super::args::{ExplainArgs, Format, Global, ServerArgs};
use super::env::Environment;
use super::failure::{Failure, Kind};
use super::inputs::{Inputs, is_planned};
use super::logs;
use super::planner::{self, Choice};
use super::redact;
use super::settings::Settings;
use super::ui::{Ui, Written};
use super::what_if::{self, Changes};
use crate::advise::explain::{AdviceOptions, analyse};
use crate::advise::suppress::ConfiguredSuppression;
use crate::advise::what_if::Tried;
use crate::advise::{Analysis, Outcome, belongs};

use crate::plan::resources::Server;
use crate::report::{self, FORMATS, Render, model};
use crate::verify::Planner;

/// Bytes of Markdown unless the user says otherwise: a comment on GitHub may
/// have 65,536 characters.
const COMMENT_BYTES: usize = 65_000;

/// Runs the command.
pub(super) fn run(
    args: &ExplainArgs,
    global: &Global,
    environment: &Environment,
    ui: &mut Ui,
) -> Result<Exit, Failure> {
    run_with(args, global, environment, ui, |args| {
        check_stdin(args)?;
        let mut inputs = Inputs::read(&args.files);
        if let Some(plan) = &args.plan {
            inputs.give_plans(plan)?;
        }
        Ok(inputs)
    })
}

/// Explains what `read` gives.
pub(super) fn run_with(
    args: &ExplainArgs,
    global: &Global,
    environment: &Environment,
    ui: &mut Ui,
    read: impl FnOnce(&ExplainArgs) -> Result<Inputs, Failure>,
) -> Result<Exit, Failure> {
    let settings = match Settings::new(args, global, environment) {
        Ok(settings) => settings,
        Err(failure) => return fail(failure, args, ui),
    };
    ui.prefer_color(settings.color);
    ui.limit(args.advice.max_bytes.map_or(COMMENT_BYTES, |most| {
        usize::try_from(most).unwrap_or(usize::MAX)
    }));
    if settings.format == Format::Html && args.advice.output.is_none() && Ui::writes_to_terminal() {
        return Err(
            Failure::new(Kind::Usage, "a page is for a browser, not for a terminal")
                .hint("write it to a file: -o review.html"),
        );
    }
    let report = match report(args, &settings, environment, ui, read) {
        Ok(report) => report,
        Err(failure) => return fail(failure, args, ui),
    };
    let shown_here = settings.format.name() == "text" && args.advice.output.is_none();
    for problem in &report.problems {
        ui.problem(problem);
    }
    for statement in &report.statements {
        for problem in statement.problems.iter().filter(|_| !shown_here) {
            ui.problem(problem);
        }
    }
    if !report.statements.is_empty() || report.log.is_some() || !shown_here {
        let render = renderer(settings.format.name())?;
        if ui.report(&report, render, args.advice.output.as_deref())? == Written::ReaderLeft {
            return Ok(Exit::Fine);
        }
    }
    if shown_here && report.totals.failed > 0 {
        // Errors of statements stand in the report; who sends it elsewhere is
        // told all the same.
        ui.failed_statements(report.totals.failed, report.totals.statements);
    }
    Ok(if report.incomplete() {
        Exit::Failed
    } else if settings.fails(report.worst()) {
        Exit::Found
    } else {
        Exit::Fine
    })
}

/// A failure of the whole run: on standard error, and in a report for programs
/// as well.
fn fail(failure: Failure, args: &ExplainArgs, ui: &Ui) -> Result<Exit, Failure> {
    let format = args.advice.asked_format().map_or("text", Format::name);
    if format == "text" {
        return Err(failure);
    }
    let report = report::build(
        &[],
        &crate::source::Sources::default(),
        vec![failure.problem()],
    );
    ui.failure(&failure);
    ui.report(&report, renderer(format)?, args.advice.output.as_deref())?;
    Ok(Exit::Failed)
}

/// What writes the format of that name.
pub(super) fn renderer(name: &str) -> Result<Render, Failure> {
    FORMATS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, render)| *render)
        .ok_or_else(|| Failure::new(Kind::Internal, format!("there is no format {name}")))
}

fn report(
    args: &ExplainArgs,
    settings: &Settings,
    environment: &Environment,
    ui: &Ui,
    read: impl FnOnce(&ExplainArgs) -> Result<Inputs, Failure>,
) -> Result<model::Report, Failure> {
    let mut inputs = {
        let _progress = ui.progress("reading");
        read(args)?
    };
    let redaction = match args.advice.redact {
        None => None,
        Some(_) if args.planner.is_given() || args.analyze || !args.what_if.is_empty() => {
            return Err(redact::no_planner());
        }
        Some(what) => Some(inputs.redact(what.into())?),
    };
    let changes = Changes::read(&args.what_if, &mut inputs.sources)?;
    let mut analyses = Vec::new();
    let mut tried = None;
    if !inputs.files.is_empty() {
        match advise(args, settings, environment, &mut inputs, &changes, ui) {
            Ok(done) => (analyses, tried) = done,
            Err(failure) => inputs.problems.push(failure.problem()),
        }
    }
    let nothing_checked = !analyses.is_empty()
        && analyses.iter().all(|analysis| {
            analysis.plan.is_none()
                && !analysis.failed
                && !analysis
                    .outcomes
                    .iter()
                    .any(|(_, outcome)| matches!(outcome, Outcome::Ran { .. }))
        });
    if nothing_checked && inputs.problems.is_empty() {
        let failure = Failure::new(
            Kind::Usage,
            "nothing could be checked: there is no plan, and no planner to ask for one",
        )
        .hint("name a file that creates the tables with --schema, a database with -d, a snapshot with --snapshot, or a plan with --plan");
        inputs.problems.push(failure.problem());
    }
    let mut report = report::build(&analyses, &inputs.sources, inputs.problems);
    logs::link(&mut report, inputs.log);
    report::resources::attach(&mut report, &analyses, &server(&args.advice.server));
    if let Some(tried) = tried {
        report::what_if::attach(&mut report, &tried, &changes.spans, &inputs.sources);
    }
    if let Some(redaction) = redaction {
        let shown =
            serde_json::to_value(&report).map_err(|error| Failure::new(Kind::Internal, error))?;
        redact::refuse_leaks(&redaction, &shown, redact::is_prose)?;
    }
    Ok(report)
}

/// What is known about the server that is to carry the statements.
fn server(given: &ServerArgs) -> Server {
    Server {
        cores: given.cores,
        rate: given.rate,
        memory_bytes: given.memory,
        read_bytes_per_second: given.read_bandwidth,
    }
}

/// Standard input can be read once.
fn check_stdin(args: &ExplainArgs) -> Result<(), Failure> {
    let named = args
        .files
        .iter()
        .chain(&args.plan)
        .filter(|path| path.as_os_str() == "-")
        .count()
        + args.what_if.iter().filter(|text| *text == "@-").count();
    if named > 1 {
        return Err(
            Failure::new(Kind::Usage, "standard input (-) is named more than once")
                .hint("write one of them to a file"),
        );
    }
    Ok(())
}

/// Which planner is asked. Nothing is started for plans alone.
fn choose(
    args: &ExplainArgs,
    settings: &Settings,
    environment: &Environment,
    inputs: &Inputs,
) -> Result<Choice, Failure> {
    if args.advice.redact.is_some() {
        // What is configured or in the environment knows the true names only.
        return Ok(Choice::None);
    }
    if let Some(conninfo) = &args.planner.dbname {
        return Ok(Choice::Database {
            conninfo: Some(conninfo.clone()),
            engine: settings.engine.clone(),
            on_twin: !args.what_if.is_empty(),
        });
    }
    if let Some(file) = &settings.snapshot {
        return Ok(Choice::Snapshot {
            file: file.clone(),
            engine: settings.engine.clone(),
        });
    }
    if !settings.schema.is_empty() {
        return Ok(Choice::Schema(settings.schema.clone()));
    }
    let waiting = inputs
        .files
        .iter()
        .any(|input| input.plans.is_empty() && input.statements.iter().any(is_planned));
    if waiting && let Some(variable) = environment.names_database() {
        tracing::info!("{variable} is set: asking that database");
        return Ok(Choice::Database {
            conninfo: None,
            engine: settings.engine.clone(),
            on_twin: !args.what_if.is_empty(),
        });
    }
    if args.analyze {
        return Err(
            Failure::new(Kind::Usage, "--analyze needs something to execute on")
                .hint("name a database with -d, or a file that creates the tables with --schema"),
        );
    }
    Ok(Choice::None)
}

fn advise(
    args: &ExplainArgs,
    settings: &Settings,
    environment: &Environment,
    inputs: &mut Inputs,
    changes: &Changes,
    ui: &Ui,
) -> Result<(Vec<Analysis>, Option<Tried>), Failure> {
    let choice = choose(args, settings, environment, inputs)?;
    if choice == Choice::None && !changes.is_empty() {
        return Err(what_if::no_planner());
    }
    let mut note = None;
    let mut planner = match planner::start(
        &choice,
        settings.timeout,
        environment,
        &mut inputs.sources,
        ui,
    ) {
        Ok(started) => {
            inputs.problems.extend(started.problems);
            note = started.note;
            started.planner.map(|planner| planner.0)
        }
        Err(failure) => {
            // Plans that were given can be looked at all the same.
            inputs.problems.push(failure.problem());
            inputs.files.retain(|input| !input.plans.is_empty());
            None
        }
    };
    let progress = ui.progress("planning");
    let mut analyses = analyse_inputs(settings, inputs, planner.as_deref_mut(), |what| {
        progress.say(what);
    });
    let mut tried = None;
    if let (Some(planner), false) = (&mut planner, changes.is_empty()) {
        progress.say("planning with the change");
        match what_if::run(changes, &analyses, planner.as_mut()) {
            Ok(done) => tried = Some(done),
            Err(failure) => inputs.problems.push(failure.problem()),
        }
    }
    for analysis in &mut analyses {
        // What could not be read, and was not planned, was not advised on.
        analysis.failed |= analysis.plan.is_none()
            && analysis.statement.as_ref().is_some_and(|statement| {
                statement.query.is_none() && !statement.problems.is_empty()
            });
    }
    if let Some(note) = note {
        for engine in analyses
            .iter_mut()
            .flat_map(|analysis| &mut analysis.engine)
        {
            engine.notes.insert(0, note.clone());
        }
    }
    Ok((analyses, tried))
}

/// Looks at each statement with its plan, and tries what is suggested where
/// there is a planner.
pub(super) fn analyse_inputs(
    settings: &Settings,
    inputs: &mut Inputs,
    mut planner: Option<&mut (dyn Planner + 'static)>,
    progress: impl Fn(String),
) -> Vec<Analysis> {
    let catalog = if inputs
        .files
        .iter()
        .any(|input| !input.plans.is_empty() && !input.statements.is_empty())
    {
        reborrow(&mut planner).and_then(|planner| planner.catalog().ok())
    } else {
        None
    };

    let mut analyses = Vec::new();
    let files = inputs.files.len();
    for (at, input) in std::mem::take(&mut inputs.files).into_iter().enumerate() {
        progress(format!("planning {} ({} of {files})", input.name, at + 1));
        let options = AdviceOptions {
            suppressions: suppressions(settings, &input.name),
            ..settings.advice.clone()
        };
        if input.plans.is_empty() || input.statements.is_empty() {
            analyses.extend(analyse(
                input.statements,
                input.plans.into(),
                reborrow(&mut planner),
                &options,
            ));
            continue;
        }
        let mut plans = input.plans;
        for statement in input.statements {
            let plan = if is_planned(&statement) {
                plans.pop_front()
            } else {
                None
            };
            let doubted = plan.as_ref().filter(|_| !input.stood_together);
            let problem = doubted.and_then(|given| {
                belongs::mismatch(&statement, &given.plan, &given.name, catalog.as_ref())
            });
            if let Some(problem) = problem {
                // A plan of another query is looked at by itself.
                let given = plan.into_iter().collect();
                for mut analysis in analyse(Vec::new(), given, None, &options) {
                    analysis.statement = Some(statement.clone());
                    analysis.problems.push(problem.clone());
                    analysis.failed = true;
                    analyses.push(analysis);
                }
            } else {
                analyses.extend(analyse(
                    vec![statement],
                    plan.into_iter().collect(),
                    reborrow(&mut planner),
                    &options,
                ));
            }
        }
    }
    analyses
}

/// Lends the planner for one call.
fn reborrow<'a>(
    planner: &'a mut Option<&mut (dyn Planner + 'static)>,
) -> Option<&'a mut dyn Planner> {
    match planner {
        Some(planner) => Some(&mut **planner),
        None => None,
    }
}

/// The configuration's suppressions that are about that file.
fn suppressions(settings: &Settings, file: &str) -> Vec<ConfiguredSuppression> {
    settings
        .config
        .suppressions
        .iter()
        .filter(|suppression| suppression.concerns_file(file))
        .map(|suppression| ConfiguredSuppression {
            rule: suppression.rule.clone(),
            relation: suppression.relation.clone(),
            reason: suppression.reason.clone(),
        })
        .collect()
}
