//! `pgadvise why-not`: why the planner does not use an index.

use super::Exit;
use super::args::{Global, WhyNotArgs};
use super::env::Environment;
use super::failure::{Failure, Kind};
use super::ui::Ui;

/// Runs the command.
pub(super) fn run(
    _args: &WhyNotArgs,
    _global: &Global,
    _environment: &Environment,
    _ui: &mut Ui,
) -> Result<Exit, Failure> {
    Err(Failure::new(
        Kind::Internal,
        "this command is being written",
    ))
}
