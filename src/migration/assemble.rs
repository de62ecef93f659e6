//! From texts to a history: which framework, in which order, in which parts.

use super::{Direction, File, Framework, History, Part, Sureness, Wrapping};
use crate::source::{SourceId, Sources, Span};
use crate::sql::ddl;

/// What the user said about the files.
#[derive(Debug, Clone, Default)]
pub struct Assembling {
    /// The framework; told from the files when missing.
    pub framework: Option<Framework>,
    /// The files whose findings are reported; all when missing.
    pub new: Option<Vec<SourceId>>,
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
}

/// Puts files in the order of their framework, and splits them into parts.
pub fn assemble(sources: &Sources, files: &[Given], options: &Assembling) -> History {
    let mut history = History::default();
    for given in files {
        let text = sources
            .get(given.source)
            .map_or("", crate::source::Text::text);
        let (statements, problems) = ddl::read(given.source, text);
        history.problems.extend(problems);
        history.files.push(File {
            source: given.source,
            path: given.path.clone(),
            version: None,
            framework: options.framework.unwrap_or_default(),
            database: None,
            new: options
                .new
                .as_ref()
                .is_none_or(|new| new.contains(&given.source)),
            parts: vec![Part {
                direction: Direction::Up,
                wrapping: Wrapping::None,
                sureness: Sureness::Assumed,
                span: Span::new(given.source, 0..text.len()),
                statements,
            }],
            suppressions: Vec::new(),
        });
    }
    history
}
