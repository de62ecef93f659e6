//! The files of a folder, at any depth.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::source::Problem;

/// Folders that are looked into at most.
const MOST_FOLDERS: usize = 10_000;
/// What files of a workload are called; others in a folder are passed over.
const EXTENSIONS: [&str; 8] = ["sql", "csv", "tsv", "json", "jsonl", "ndjson", "log", "txt"];

/// The files that a path stands for, sorted: itself, or what is below it.
pub(super) fn files(path: &Path) -> (Vec<PathBuf>, Vec<Problem>) {
    if !path.is_dir() {
        // Whether it can be read is seen when it is.
        return (vec![path.to_owned()], Vec::new());
    }
    let mut found = Vec::new();
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        // A link to a folder above would go round for ever.
        let real = std::fs::canonicalize(&folder).unwrap_or_else(|_| folder.clone());
        if !seen.insert(real) {
            continue;
        }
        if seen.len() > MOST_FOLDERS {
            problems.push(problem(format!(
                "{} holds more than {MOST_FOLDERS} folders; the rest is not read",
                path.display()
            )));
            break;
        }
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => {
                problems.push(problem(format!(
                    "cannot read {}: {error}",
                    folder.display()
                )));
                continue;
            }
        };
        for entry in entries.flatten() {
            let path = entry.path();
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            if hidden {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if is_of_workload(&path) {
                found.push(path);
            }
        }
    }
    found.sort();
    if found.is_empty() && problems.is_empty() {
        problems.push(problem(format!(
            "{} holds no file of SQL, CSV, JSON or a log",
            path.display()
        )));
    }
    (found, problems)
}

fn problem(message: String) -> Problem {
    Problem {
        at: None,
        message,
        hint: None,
    }
}

fn is_of_workload(path: &Path) -> bool {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().to_ascii_lowercase())
        .unwrap_or_default();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    name.rsplit_once('.')
        .is_some_and(|(_, extension)| EXTENSIONS.contains(&extension))
}
