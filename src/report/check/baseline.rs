//! The file of a baseline: sorted, one entry a line, so that diffs of it can
//! be read.

use serde::Deserialize;

use super::super::model::check::{BaselineEntry, CheckReport};

/// The version of the file's format.
const VERSION: u32 = 1;

/// What stands in the file.
#[derive(Debug, Deserialize)]
struct File {
    schema_version: u32,
    findings: Vec<BaselineEntry>,
}

/// Why a baseline cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// It is not JSON of that form.
    #[error("it is no baseline of pgadvise")]
    Form(#[source] serde_json::Error),
    /// It is of a version that this program does not know.
    #[error("it has the version {0}, and this program reads version {VERSION}")]
    Version(u32),
}

/// Reads the text of a baseline.
pub fn read(text: &str) -> Result<Vec<BaselineEntry>, BaselineError> {
    let file: File = serde_json::from_str(text).map_err(BaselineError::Form)?;
    if file.schema_version == VERSION {
        Ok(file.findings)
    } else {
        Err(BaselineError::Version(file.schema_version))
    }
}

/// The text of a baseline with everything that counts in the report, or is in
/// its baseline already.
pub fn write(report: &CheckReport<'_>) -> String {
    use super::super::model::check::CheckSuppressedBy;
    let known = report
        .suppressed
        .iter()
        .filter(|suppressed| suppressed.by == CheckSuppressedBy::Baseline)
        .map(|suppressed| suppressed.finding.clone());
    let mut entries: Vec<BaselineEntry> = report
        .findings
        .iter()
        .chain(known)
        .map(|finding| BaselineEntry {
            file: finding.place.file.to_owned(),
            rule: finding.rule.to_owned(),
            fingerprint: finding.fingerprint.to_owned(),
            message: finding.message.to_owned(),
        })
        .collect();
    entries.sort();
    entries.dedup();
    let mut text = format!("{{\n  \"schema_version\": {VERSION},\n  \"findings\": [");
    for (at, entry) in entries.iter().enumerate() {
        text.push_str(if at == 0 { "\n    " } else { ",\n    " });
        text.push_str(&serde_json::to_string(entry).unwrap_or_default());
    }
    text.push_str(if entries.is_empty() {
        "]\n}\n"
    } else {
        "\n  ]\n}\n"
    });
    text
}
