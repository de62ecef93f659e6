//! What `pgadvise check` says: one [`CheckReport`], written in one file a
//! format.

pub mod baseline;
pub mod build;
mod json;
mod text;
pub mod workload;

use std::io::{self, Write};

use super::model::check::CheckReport;
use super::render::Options;

pub use build::build;
pub use json::schema;

/// Where the pages of rules are.
pub const PAGES: &str = "https://github.com/pgadvise/pgadvise/blob/main/docs/rules";

/// The address of a rule's page.
pub fn page(rule: &str) -> String {
    format!("{PAGES}/{rule}.md")
}

/// A format.
pub type Render = fn(&CheckReport<'_>, &mut dyn Write, &Options) -> io::Result<()>;

/// Every format by the name that `--format` takes.
pub const FORMATS: &[(&str, Render)] = &[("text", text::render), ("json", json::render)];

/// The format of that name.
pub fn format(name: &str) -> Option<Render> {
    FORMATS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, render)| *render)
}
