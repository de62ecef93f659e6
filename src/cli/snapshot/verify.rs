//! Do the twin and the server plan alike?
use super::super::Exit;
use super::super::args::SnapshotArgs;
use super::super::env::Environment;
use super::super::failure::{Failure, Kind};
use super::super::ui::Ui;

pub(super) fn run(
    _path: &std::path::Path,
    _args: &SnapshotArgs,
    _environment: &Environment,
    _ui: &Ui,
) -> Result<Exit, Failure> {
    Err(Failure::new(Kind::Internal, "being written"))
}
