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
pub use github::beyond as beyond_annotations;
pub use json::schema;
pub use markdown::MARKER;

/// Where the program is at home: `repository` of the package, which may have
/// none. An address that leads nowhere would be worse than no address.
pub const INFORMATION: &str = env!("CARGO_PKG_REPOSITORY");

/// The address of a rule's page, where the pages are published: under `pages`,
/// or in the package's repository. `{rule}` in it stands for the rule's name;
/// without, `/RULE.md` is appended.
pub fn page(pages: Option<&str>, rule: &str) -> Option<String> {
    match pages {
        Some(pages) if pages.contains("{rule}") => Some(pages.replace("{rule}", rule)),
        Some(pages) => Some(format!("{}/{rule}.md", pages.trim_end_matches('/'))),
        None if INFORMATION.is_empty() => None,
        None => Some(format!("{INFORMATION}/blob/main/docs/rules/{rule}.md")),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_where_they_are_said_to_be() {
        assert_eq!(
            page(Some("https://a.example/rules/"), "x").as_deref(),
            Some("https://a.example/rules/x.md")
        );
        assert_eq!(
            page(Some("https://a.example/r?name={rule}#top"), "x").as_deref(),
            Some("https://a.example/r?name=x#top")
        );
        assert_eq!(page(None, "x").is_some(), !INFORMATION.is_empty());
    }
}
