//! `pgadvise snapshot`: takes, shows and verifies snapshots.

mod summary;
mod take;
mod verify;
mod write;

use super::Exit;
use super::args::{Global, SnapshotArgs};
use super::env::Environment;
use super::failure::Failure;
use super::ui::{Ui, Written};
use crate::input;
use crate::report::model;
use crate::snapshot::file::{Form, encode};

/// Runs the command.
pub(super) fn run(
    args: &SnapshotArgs,
    _global: &Global,
    environment: &Environment,
    ui: &mut Ui,
) -> Result<Exit, Failure> {
    if let Some(path) = &args.show {
        show(path, ui)
    } else if let Some(path) = &args.verify {
        verify::run(path, args, environment, ui)
    } else {
        take::run(args, environment, ui)
    }
}

/// Prints a snapshot's plain form, for `git diff` and for eyes.
fn show(path: &std::path::Path, ui: &Ui) -> Result<Exit, Failure> {
    let decoded = input::read_snapshot(path)?;
    let written = Ui::write(&encode(&decoded.snapshot, Form::Plain))?;
    if written == Written::All {
        for sentence in decoded.notes {
            ui.problem(&note(&sentence));
        }
    }
    Ok(Exit::Fine)
}

/// A sentence as a warning.
fn note(sentence: &str) -> model::Problem {
    model::Problem {
        kind: model::ProblemKind::Input,
        severity: model::Severity::Warning,
        message: sentence.trim_end_matches('.').to_owned(),
        causes: Vec::new(),
        place: None,
        hints: Vec::new(),
    }
}

fn counted(number: usize, one: &str, more: &str) -> String {
    if number == 1 {
        format!("1 {one}")
    } else {
        format!("{number} {more}")
    }
}
