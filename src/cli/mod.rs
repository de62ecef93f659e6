//! The command line: arguments and environment in, a report and an exit code
//! out. It wires the other modules together and decides nothing about queries.

pub mod args;
mod check;
mod compare_args;
mod diff;
pub mod docs;
pub mod env;
pub mod explain;
pub mod failure;
mod inputs;
mod logs;
mod planner;
mod redact;
mod report;
mod rules;
mod serve;
mod settings;
mod snapshot;
mod twin;
mod ui;
mod what_if;
mod why_not;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use args::{Cli, Command};
use env::Environment;
use failure::{Failure, Kind};
use ui::{Ui, Written};

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Nothing to complain about; also when the reader of the output left.
    Fine,
    /// Something was found at or above `--fail-on`.
    Found,
    /// Some of the work could not be done.
    Failed,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Fine => Self::SUCCESS,
            Exit::Found => Self::from(1),
            Exit::Failed => Self::from(2),
        }
    }
}

/// Runs the program; the exit code says how it ended.
pub fn run() -> ExitCode {
    let environment = Environment::read();
    let cli = match Cli::try_parse_from(redact::join_values(std::env::args_os())) {
        Ok(cli) => cli,
        Err(error) => {
            ui::arguments(&error);
            return if error.use_stderr() {
                Exit::Failed.into()
            } else {
                Exit::Fine.into()
            };
        }
    };
    let mut ui = Ui::new(&cli.global, &environment);
    match &cli.command {
        Command::Serve(args) => ui.start_server_logs(args.log_format),
        _ => ui.start_logs(),
    }
    let ended = match cli.command {
        Command::Explain(args) => explain::run(&args, &cli.global, &environment, &mut ui),
        Command::Check(args) => check::run(&args, &cli.global, &environment, &mut ui),
        Command::Snapshot(args) => snapshot::run(&args, &cli.global, &environment, &mut ui),
        Command::WhyNot(args) => why_not::run(&args, &cli.global, &environment, &mut ui),
        Command::Report(args) => report::run(&args, &cli.global, &environment, &mut ui),
        Command::Redact(args) => redact::run(&args, &ui),
        Command::Diff(args) => diff::run(&args, &ui),
        Command::Serve(args) => serve::run(&args, &cli.global, &environment, &mut ui),
        Command::Rules(args) => rules::run(&args, &ui),
        Command::Completions { shell } => completions(shell),
        Command::Man { command } => man(command.as_deref()),
        Command::EmbeddedServer { args } => planner::serve(&args),
        Command::NativeServer { args } => planner::serve_native(&args),
    };
    ended
        .unwrap_or_else(|failure| {
            ui.failure(&failure);
            Exit::Failed
        })
        .into()
}

/// All was written, or the reader left: both are fine.
fn written(_: Written) -> Exit {
    Exit::Fine
}

fn completions(shell: clap_complete::Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "pgadvise", &mut script);
    Ui::write(&script).map(written)
}

fn man(name: Option<&str>) -> Result<Exit, Failure> {
    let mut program = Cli::command();
    program.build();
    let command = match name {
        None => program,
        Some(name) => {
            let names: Vec<&str> = program
                .get_subcommands()
                .filter(|command| !command.is_hide_set())
                .map(clap::Command::get_name)
                .collect();
            let failure = || {
                let failure = Failure::new(Kind::Usage, format!("there is no command {name}"));
                match crate::advise::suppress::nearest(name, &names) {
                    Some(near) => failure.hint(format!("did you mean {near}?")),
                    None => failure.hint(format!("commands: {}", names.join(", "))),
                }
            };
            program
                .find_subcommand(name)
                .filter(|command| !command.is_hide_set())
                .ok_or_else(failure)?
                .clone()
        }
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut page)
        .map_err(|error| Failure::new(Kind::Internal, error))?;
    Ui::write(&page).map(written)
}
