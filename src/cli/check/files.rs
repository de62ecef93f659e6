//! The migrations of a run: which files, and which of them are new.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::settings::Settings;
use crate::cli::args::CheckArgs;
use crate::cli::failure::Failure;
use crate::input;
use crate::migration::History;
use crate::migration::assemble::{Assembling, Given, assemble};
use crate::report::model::Problem;
use crate::source::{Sources, Text};

/// What was read.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) sources: Sources,
    pub(super) history: History,
    /// Only some of the files are new: they are one change.
    pub(super) one_change: bool,
    pub(super) problems: Vec<Problem>,
}

/// Reads the migrations.
pub(super) fn read(args: &CheckArgs, settings: &Settings) -> Result<Read, Failure> {
    let mut sources = Sources::default();
    let mut problems = Vec::new();
    let mut given = Vec::new();
    let mut paths = Vec::new();
    for path in &settings.paths {
        collect(path, &mut paths);
    }
    for path in paths {
        let read = if path == Path::new("-") {
            input::read_stdin().map(|text| (input::STDIN.to_owned(), text))
        } else {
            input::read(&path).map(|text| (path.display().to_string(), text))
        };
        match read {
            Ok((name, text)) => {
                let source = sources.add(Text::new(name.clone(), text));
                given.push(Given {
                    source,
                    path: name,
                    beside: None,
                });
            }
            Err(error) => problems.push(Failure::from(error).problem()),
        }
    }
    let changed = changed(args)?;
    let one_change = changed.is_some();
    let new = changed.map(|changed| {
        given
            .iter()
            .filter(|file| changed.contains(Path::new(&file.path)))
            .map(|file| file.source)
            .collect()
    });
    let history = assemble(
        &sources,
        &given,
        &Assembling {
            framework: settings.framework,
            new,
        },
    );
    Ok(Read {
        sources,
        history,
        one_change,
        problems,
    })
}

/// The files of a path, in the order of their names.
fn collect(path: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(path) else {
        found.push(path.to_owned());
        return;
    };
    let mut entries: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .collect();
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            collect(&entry, found);
        } else if entry
            .extension()
            .is_some_and(|extension| extension == "sql")
        {
            found.push(entry);
        }
    }
}

/// The files that are new, as the command line names them.
fn changed(args: &CheckArgs) -> Result<Option<BTreeSet<PathBuf>>, Failure> {
    let mut changed: BTreeSet<PathBuf> = args.changed.iter().cloned().collect();
    let Some(list) = &args.changed_from else {
        return Ok((!changed.is_empty()).then_some(changed));
    };
    let text = if list.as_os_str() == "-" {
        input::read_stdin()
    } else {
        input::read(list)
    };
    match text {
        Ok(text) => changed.extend(
            text.lines()
                .map(str::trim)
                .filter(|line| !line.is_empty())
                .map(PathBuf::from),
        ),
        // Nothing has changed.
        Err(input::InputError::Empty { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(Some(changed))
}
