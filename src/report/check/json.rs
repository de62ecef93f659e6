//! The report of `check` as JSON, one document with a newline at its end; its
//! schema is `docs/check.schema.json`.

use std::io::{self, Write};

use crate::report::model::check::CheckReport;
use crate::report::render::Options;

/// Bytes that are handed on at once.
const BUFFER: usize = 64 * 1024;

/// Writes the report as JSON.
pub(super) fn render(
    report: &CheckReport<'_>,
    out: &mut dyn Write,
    _options: &Options,
) -> io::Result<()> {
    // A report has a million small pieces: each is put into a buffer of known
    // kind, rather than handed to a writer of any kind.
    let mut out = io::BufWriter::with_capacity(BUFFER, out);
    serde_json::to_writer_pretty(&mut out, report).map_err(io::Error::from)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// The JSON Schema of the report.
pub fn schema() -> String {
    let schema = schemars::generate::SchemaSettings::default()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<CheckReport<'_>>();
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}
