//! `pgadvise report`: plans from elsewhere, explained for a review.

use super::Exit;
use super::args::{Global, ReportArgs};
use super::env::Environment;
use super::explain;
use super::failure::Failure;
use super::inputs::Inputs;
use super::logs;
use super::ui::Ui;

/// Runs the command.
pub(super) fn run(
    args: &ReportArgs,
    global: &Global,
    environment: &Environment,
    ui: &mut Ui,
) -> Result<Exit, Failure> {
    explain::run_with(&args.as_explain(), global, environment, ui, |explain| {
        let mut inputs = Inputs::read(&explain.files);
        logs::add_files(&mut inputs, &args.files, args.top);
        Ok(inputs)
    })
}
