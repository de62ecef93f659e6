//! What the formats have in common: their names, and what they are told about
//! the place that they write to.

use std::io::{self, Write};

use super::model::Report;

/// What a format is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a choice of its own, and none excludes another"
)]
pub struct Options {
    /// Escape sequences for colours may be written.
    pub color: bool,
    /// Columns to fill at most.
    pub width: usize,
    /// Every node of large plans, every rule that was skipped.
    pub detailed: bool,
    /// Findings only: no plan, no account of what was checked.
    pub brief: bool,
    /// Troubles that belong to no statement are to be written out; they are
    /// only counted where they are shown elsewhere.
    pub problems: bool,
    /// Bytes that the whole may have, where the place has a limit; what matters
    /// least is left out, and counted. Only Markdown can do that.
    pub max_bytes: Option<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            color: false,
            width: 100,
            detailed: false,
            brief: false,
            problems: true,
            max_bytes: None,
        }
    }
}

/// A format.
pub type Render = fn(&Report, &mut dyn Write, &Options) -> io::Result<()>;

/// Every format by the name that `--format` takes. A new one is a file and a
/// line here.
pub const FORMATS: &[(&str, Render)] = &[
    ("text", super::text::render),
    ("json", super::json::render),
    ("markdown", super::markdown::render),
    ("html", super::html::render),
];
