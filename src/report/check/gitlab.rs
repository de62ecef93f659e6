//! The report of `check` as a code quality report of GitLab.

use std::io::{self, Write};

use serde::Serializer as _;

use crate::report::model::Level;
use crate::report::model::check::{CheckFinding, CheckReport};
use crate::report::model::gitlab::{Content, Issue, Lines, Location};
use crate::report::render::Options;

/// Writes the report as a code quality report. It has no place for what is
/// silenced or was not checked.
pub(super) fn render(
    report: &CheckReport<'_>,
    out: &mut dyn Write,
    _options: &Options,
) -> io::Result<()> {
    serde_json::Serializer::pretty(&mut *out)
        .collect_seq(
            report
                .findings
                .iter()
                .map(|finding| issue(report, &finding)),
        )
        .map_err(io::Error::from)?;
    out.write_all(b"\n")
}

fn issue<'a>(report: &CheckReport<'_>, finding: &CheckFinding<'a>) -> Issue<'a> {
    Issue {
        description: super::prose::sentence(finding),
        check_name: finding.rule,
        fingerprint: finding.fingerprint,
        severity: match finding.level {
            Level::Critical => "critical",
            Level::Warning => "major",
            Level::Note => "info",
        },
        categories: [if finding.rule.starts_with("suppression-") {
            "Style"
        } else {
            "Bug Risk"
        }],
        content: Content {
            body: super::prose::markdown(finding),
        },
        location: Location {
            path: report.rooted.path(finding.place.file),
            lines: Lines {
                begin: finding.place.line,
                end: finding.place.end_line,
            },
        },
    }
}
