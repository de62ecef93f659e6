//! The migrations of a run: which files, and which of them are new.

use std::ops::Range;
use std::path::PathBuf;

use super::settings::Settings;
use crate::cli::args::CheckArgs;
use crate::cli::failure::Failure;
use crate::input::InputError;
use crate::input::migrations::{self, ReadOptions};
use crate::migration::assemble::Outline;
use crate::report::model::Problem;
use crate::source::Sources;

/// What was read.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) sources: Sources,
    pub(super) outline: Outline,
    /// The files whose statements were not read yet.
    pub(super) unread: Range<usize>,
    /// Only some of the files are new: they are one change.
    pub(super) one_change: bool,
    pub(super) problems: Vec<Problem>,
}

/// Reads the migrations.
pub(super) fn read(args: &CheckArgs, settings: &Settings) -> Result<Read, Failure> {
    let mut sources = Sources::default();
    let changed = changed(args)?;
    let options = ReadOptions {
        framework: settings.framework,
        since: args.since.clone(),
        changed,
        ..ReadOptions::default()
    };
    let one_change = options.since.is_some() || options.changed.is_some();
    let (outline, unread) = migrations::outline(&settings.paths, &options, &mut sources)?;
    Ok(Read {
        sources,
        outline,
        unread,
        one_change,
        problems: Vec::new(),
    })
}

/// The files that are new, as the command line names them.
fn changed(args: &CheckArgs) -> Result<Option<Vec<PathBuf>>, Failure> {
    let mut changed = args.changed.clone();
    let Some(list) = &args.changed_from else {
        return Ok((!changed.is_empty()).then_some(changed));
    };
    match migrations::changed_from(list) {
        Ok(listed) => changed.extend(listed),
        // Nothing has changed.
        Err(InputError::Empty { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(Some(changed))
}
