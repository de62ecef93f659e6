//! `pgadvise snapshot`: takes, shows and verifies snapshots.

use super::Exit;
use super::args::{Global, SnapshotArgs};
use super::env::Environment;
use super::failure::{Failure, Kind};
use super::ui::Ui;

/// Runs the command.
pub(super) fn run(
    _args: &SnapshotArgs,
    _global: &Global,
    _environment: &Environment,
    _ui: &mut Ui,
) -> Result<Exit, Failure> {
    Err(Failure::new(
        Kind::Internal,
        "this command is being written",
    ))
}
