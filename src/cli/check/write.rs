//! Writing the report: to standard output, and to each file that is asked for.

use super::settings::Settings;
use crate::cli::args::{CheckArgs, CheckFormat};
use crate::cli::env::Environment;
use crate::cli::failure::{Failure, Kind};
use crate::cli::ui::{Ui, Written};
use crate::report::check;
use crate::report::model::check::CheckReport;
use crate::report::render::Options;

/// Bytes that Markdown may have unless the user says otherwise: a comment on
/// GitHub has room for them.
const MAX_BYTES: usize = 65_000;
/// Bytes that a job summary may have: GitHub takes 1 MiB of each step.
const SUMMARY_BYTES: usize = 1_000_000;

/// Writes every form that is asked for; standard output last, so that files
/// are there even if its reader leaves.
pub(super) fn write(
    report: &CheckReport<'_>,
    args: &CheckArgs,
    settings: &Settings,
    environment: &Environment,
    ui: &Ui,
) -> Result<Written, Failure> {
    for output in &args.output {
        let bytes = render(report, output.format, ui, true, None)?;
        Ui::document(&bytes, Some(&output.path))?;
    }
    let summary = args.job_summary.as_deref().or_else(|| {
        environment
            .github
            .summary
            .as_deref()
            .filter(|_| settings.format == CheckFormat::Github)
    });
    if let Some(path) = summary {
        let mut bytes = render(report, CheckFormat::Markdown, ui, true, Some(SUMMARY_BYTES))?;
        if settings.format == CheckFormat::Github
            && let Some(rest) = check::beyond_annotations(report)
        {
            bytes.extend(rest.as_bytes());
        }
        Ui::append(&bytes, path)?;
    }
    let (render, options) = renderer(settings.format, ui, false, None)?;
    Ui::stream(|out| render(report, out, &options))
}

fn render(
    report: &CheckReport<'_>,
    format: CheckFormat,
    ui: &Ui,
    to_file: bool,
    most: Option<usize>,
) -> Result<Vec<u8>, Failure> {
    let (render, options) = renderer(format, ui, to_file, most)?;
    let mut bytes = Vec::new();
    render(report, &mut bytes, &options).map_err(|error| Failure::new(Kind::Internal, error))?;
    Ok(bytes)
}

fn renderer(
    format: CheckFormat,
    ui: &Ui,
    to_file: bool,
    most: Option<usize>,
) -> Result<(check::Render, Options), Failure> {
    let mut options = ui.options();
    if to_file {
        options.color = false;
    }
    options.max_bytes = most.or(options.max_bytes).or(Some(MAX_BYTES));
    let render = check::format(format.name())
        .ok_or_else(|| Failure::new(Kind::Internal, format!("no format {}", format.name())))?;
    Ok((render, options))
}
