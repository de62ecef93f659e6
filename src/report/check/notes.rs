//! What a run took for granted: which tools run the files, and in which
//! transactions.

use std::collections::BTreeSet;

use crate::migration::{Direction, File, History, Set, Sureness, Wrapping};
use crate::report::format::plural;

/// Sets that are named one by one.
const MOST_SETS: usize = 5;
/// Notes of files that are shown.
const MOST_NOTES: usize = 20;

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
    notes.extend(history.notes.iter().take(MOST_NOTES).cloned());
    if let Some(more) = history
        .notes
        .len()
        .checked_sub(MOST_NOTES)
        .filter(|more| *more > 0)
    {
        notes.push(format!(
            "{} about files",
            plural(more, "more note", "more notes")
        ));
    }
    notes
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
