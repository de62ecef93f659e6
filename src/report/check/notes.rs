//! What a run took for granted: which tools run the files, and in which
//! transactions.

use std::collections::BTreeSet;

use crate::migration::{Direction, File, History, Set, Sureness, Wrapping};
use crate::report::format::plural;

/// Sets that are named one by one.
const MOST_SETS: usize = 5;
/// Notes of files that are shown.
const MOST_NOTES: usize = 20;
/// Files that are named where the same is to be said of many.
const MOST_NAMES: usize = 3;
/// What is said of a file without a statement.
const EMPTY: &str = " holds no statement";

/// The notes, as sentences without an end.
pub(super) fn notes(history: &History) -> Vec<String> {
    let mut notes = Vec::new();
    let mut more = 0;
    for set in &history.sets {
        let files: Vec<&File> = history
            .files
            .iter()
            .filter(|file| {
                file.new && file.framework == set.framework && file.database == set.database
            })
            .collect();
        if files.is_empty() {
            continue;
        }
        if notes.len() >= MOST_SETS {
            more += 1;
            continue;
        }
        notes.push(of_set(set, &files));
    }
    if more > 0 {
        notes.push(format!(
            "{} of other tools or databases",
            plural(more, "more set of files", "more sets of files")
        ));
    }
    notes.dedup();
    let (empty, others): (Vec<&String>, Vec<&String>) =
        history.notes.iter().partition(|note| note.ends_with(EMPTY));
    let mut of_files = without_statements(&empty);
    of_files.extend(others.into_iter().cloned());
    let all = of_files.len();
    notes.extend(of_files.into_iter().take(MOST_NOTES));
    if let Some(more) = all.checked_sub(MOST_NOTES).filter(|more| *more > 0) {
        notes.push(format!(
            "{} about files",
            plural(more, "more note", "more notes")
        ));
    }
    notes
}

/// Files without a statement, in one note where they are many.
fn without_statements(notes: &[&String]) -> Vec<String> {
    if notes.len() <= MOST_NAMES {
        return notes.iter().map(|note| (*note).clone()).collect();
    }
    let names: Vec<&str> = notes
        .iter()
        .take(MOST_NAMES)
        .map(|note| note.strip_suffix(EMPTY).unwrap_or(note))
        .collect();
    vec![format!(
        "{} hold no statement: {} and {} more",
        plural(notes.len(), "file", "files"),
        names.join(", "),
        notes.len() - names.len()
    )]
}

fn of_set(set: &Set, files: &[&File]) -> String {
    let wrappings: BTreeSet<Wrapping> = files
        .iter()
        .flat_map(|file| &file.parts)
        .filter(|part| part.direction == Direction::Up)
        .map(|part| part.wrapping)
        .collect();
    let mut wrappings = wrappings.into_iter();
    let transactions = match (wrappings.next(), wrappings.next()) {
        (Some(only), None) => transactions(only),
        _ => "each file says which transactions it runs in",
    };
    let place = if set.folder.is_empty() {
        String::new()
    } else {
        format!("{}: ", set.folder)
    };
    let assumed = if set.sureness == Sureness::Assumed {
        " (assumed)"
    } else {
        ""
    };
    format!(
        "{place}{} ({}): {transactions}{assumed}",
        set.framework.name(),
        set.by
    )
}

fn transactions(wrapping: Wrapping) -> &'static str {
    match wrapping {
        Wrapping::None => "each statement is a transaction of its own",
        Wrapping::PerFile => "each migration runs in one transaction",
        Wrapping::PerRun => "all pending migrations run in one transaction",
        Wrapping::OneMessage => {
            "each file is sent as one message, which is one transaction where it holds several \
             statements"
        }
    }
}
