//! The report as JSON, one document with a newline at its end; its schema is
//! `docs/report.schema.json`.

use std::io::{self, Write};

use super::model::Report;
use super::render::Options;

/// Writes the report as JSON.
pub fn render(report: &Report, out: &mut dyn Write, _options: &Options) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, report).map_err(io::Error::from)?;
    out.write_all(b"\n")
}

/// The JSON Schema of the report.
pub fn schema() -> String {
    // What is written: fields that are left out when empty are not required.
    let schema = schemars::generate::SchemaSettings::default()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<Report>();
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}
