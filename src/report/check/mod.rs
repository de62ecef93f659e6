//! What `pgadvise check` says: one [`CheckReport`], written in one file a
//! format.

pub mod baseline;
pub mod build;
mod github;
mod gitlab;
mod json;
mod junit;
mod markdown;
mod notes;
mod prose;
mod sarif;
mod text;
pub mod workload;

use std::io::{self, Write};

use super::model::check::CheckReport;
use super::render::Options;

pub use build::build;
pub use json::schema;
pub use markdown::MARKER;

/// Where the program is at home.
pub const INFORMATION: &str = "https://github.com/pgadvise/pgadvise";
/// Where the pages of rules are.
pub const PAGES: &str = "https://github.com/pgadvise/pgadvise/blob/main/docs/rules";

/// The address of a rule's page.
pub fn page(rule: &str) -> String {
    format!("{PAGES}/{rule}.md")
}

/// A format.
pub type Render = fn(&CheckReport<'_>, &mut dyn Write, &Options) -> io::Result<()>;

/// Every format by the name that `--format` takes.
pub const FORMATS: &[(&str, Render)] = &[
    ("text", text::render),
    ("json", json::render),
    ("github", github::render),
    ("sarif", sarif::render),
    ("gitlab", gitlab::render),
    ("junit", junit::render),
    ("markdown", markdown::render),
];

/// The format of that name.
pub fn format(name: &str) -> Option<Render> {
    FORMATS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, render)| *render)
}
