//! What `diff` says, as data and in every format.

mod build;
mod html;
mod markdown;
mod rows;
mod text;
mod words;

use std::io::{self, Write};

use super::model::diff::DiffReport;
use super::render::Options;

pub use build::{Compared, Given, comparison, report, same_words, unpaired};

/// The JSON Schema of the report.
pub fn schema() -> String {
    let schema = schemars::schema_for!(DiffReport);
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

/// Writes the report in the format of that name.
pub fn render(
    report: &DiffReport,
    format: &str,
    out: &mut dyn Write,
    options: &Options,
) -> io::Result<()> {
    match format {
        "json" => {
            serde_json::to_writer_pretty(&mut *out, report)?;
            writeln!(out)
        }
        "markdown" => markdown::render(report, out, options),
        "html" => html::render(report, out),
        _ => text::render(report, out, options),
    }
}
