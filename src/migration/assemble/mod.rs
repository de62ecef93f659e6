//! From texts to a history: which framework, in which order, in which parts.

mod dumps;
mod files;
mod order;
mod plan;
mod sets;

pub(crate) use files::in_parallel;

use super::framework::Marker;
use super::{Framework, History, Wrapping};
use crate::source::{SourceId, Sources};

/// What the user said about the files, and what stands around them.
#[derive(Debug, Clone, Default)]
pub struct Assembling {
    /// The framework; told from the files when missing.
    pub framework: Option<Framework>,
    /// How files are wrapped whose framework does not say it.
    pub wrapping: Option<Wrapping>,
    /// The files whose findings are reported; all when missing.
    pub new: Option<Vec<SourceId>>,
    /// Files around that say something of the framework.
    pub markers: Vec<Marker>,
    /// Threads that read statements; one when 0.
    pub threads: usize,
}

/// A file that was read, with what else its framework keeps beside it.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// Its text.
    pub source: SourceId,
    /// Its path as shown, `/` between parts.
    pub path: String,
    /// Settings of the migration kept in a file of their own beside it:
    /// Diesel's `metadata.toml`, Flyway's `….sql.conf`.
    pub beside: Option<String>,
    /// It was there before the change that is looked at, and was changed.
    pub edited: bool,
}

/// Puts files in the order of their framework, and splits them into parts.
pub fn assemble(sources: &Sources, files: &[Given], options: &Assembling) -> History {
    let new = files::new_ones(options);
    let looked: Vec<files::Looked<'_>> = in_parallel(files, options.threads, |given| {
        files::look(sources, given, new.as_ref())
    });
    let mut history = History {
        given: files.to_vec(),
        options: options.clone(),
        ..History::default()
    };
    let sets = sets::tell(&looked, options);
    let ordered = order::order(&looked, &sets, &mut history);
    let read = in_parallel(&ordered, options.threads, |entry| {
        files::read(entry, &looked, &sets, options)
    });
    for (entry, one) in ordered.iter().zip(read) {
        history.problems.extend(one.problems);
        history.notes.extend(one.note);
        history.skipped.extend(one.skipped);
        if let Some(set) = history.sets.get_mut(entry.set) {
            set.files += 1;
        }
        history.files.push(one.file);
    }
    order::check(&ordered, &looked, &sets, &mut history);
    history
}
