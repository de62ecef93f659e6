//! From texts to a history: which framework, in which order, in which parts.

mod dumps;
mod elsewhere;
mod files;
mod order;
mod plan;
mod sets;

use std::ops::Range;

use super::framework::{Hints, Marker};
use super::{Framework, History, Wrapping};
use crate::source::{SourceId, Sources};
use crate::threads;

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

/// Puts files in the order of their framework, splits them into parts, and
/// reads all statements.
pub fn assemble(sources: &Sources, files: &[Given], options: &Assembling) -> History {
    let mut outline = Outline::new(sources, files, options);
    outline.read(sources, 0..outline.history.files.len());
    outline.history
}

/// A history whose files stand in their order, and whose statements are read
/// when they are needed: many files are judged with less memory than all their
/// statements take.
#[derive(Debug)]
pub struct Outline {
    /// The history; files that were not read yet have no part.
    pub history: History,
    /// What is to be read for each of its files.
    entries: Vec<(order::Entry, Hints)>,
    sets: Vec<sets::FileSet>,
}

impl Outline {
    /// Puts files in the order of their framework.
    pub fn new(sources: &Sources, files: &[Given], options: &Assembling) -> Self {
        let new = files::new_ones(options);
        let looked: Vec<files::Looked<'_>> = threads::map(files, options.threads, |given| {
            files::look(sources, given, new.as_ref())
        });
        let mut history = History {
            given: files.to_vec(),
            options: options.clone(),
            ..History::default()
        };
        let elsewhere = elsewhere::tell(&looked);
        let sets = sets::tell(&looked, &elsewhere.files, options);
        history.skipped.extend(elsewhere.skipped);
        let ordered = order::order(&looked, &sets, &mut history);
        order::check(&ordered, &looked, &sets, &mut history);
        let mut entries = Vec::with_capacity(ordered.len());
        for entry in ordered {
            let Some(file) = looked.get(entry.file) else {
                continue;
            };
            history.files.push(files::unread(file, &entry, &sets));
            if let Some(set) = history.sets.get_mut(entry.set) {
                set.files += 1;
            }
            entries.push((entry, file.hints));
        }
        Self {
            history,
            entries,
            sets,
        }
    }

    /// Reads the statements of a range of files, which were not read before.
    pub fn read(&mut self, sources: &Sources, range: Range<usize>) {
        let Self {
            history,
            entries,
            sets,
        } = self;
        let numbers: Vec<usize> = range.collect();
        let read = threads::map(&numbers, history.options.threads, |number| {
            let (entry, hints) = entries.get(*number)?;
            let file = files::Looked::again(sources, history.given.get(entry.file)?, *hints);
            Some(files::read(entry, file, sets, &history.options))
        });
        for (number, one) in numbers.into_iter().zip(read) {
            let (Some(one), Some(file)) = (one, history.files.get_mut(number)) else {
                continue;
            };
            file.framework = one.framework;
            file.parts = one.parts;
            file.suppressions = one.suppressions;
            if file.new && one.nothing {
                history
                    .notes
                    .push(format!("{} holds no statement", file.path));
            }
            history.problems.extend(one.problems);
            history.skipped.extend(one.skipped);
        }
    }
}
