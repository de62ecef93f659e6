//! The report of `check` as SARIF 2.1.0, for code scanning.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::sync::Arc;

use super::{INFORMATION, prose};
use crate::report::model::check::{
    CheckFinding, CheckOutcome, CheckPlace, CheckReport, CheckRule, CheckSuppressed,
    CheckSuppressedBy,
};
use crate::report::model::rooted::Rooted;
use crate::report::model::sarif::{
    Artifact, ArtifactChange, ArtifactLocation, Configuration, Driver, Fix, Help, Invocation,
    Location, Log, Message, Notification, PhysicalLocation, Region, Replacement,
    ReportingDescriptor, RuleProperties, Run, SarifResult, Streamed, Suppression, Tool,
};
use crate::report::model::{Level, Severity};
use crate::report::render::Options;

/// Where the standard's schema is.
const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// Writes the report as SARIF.
pub(super) fn render(
    report: &CheckReport<'_>,
    out: &mut dyn Write,
    _options: &Options,
) -> io::Result<()> {
    let rules: Vec<&CheckRule<'_>> = report
        .rules
        .iter()
        .filter(|rule| rule.outcome != CheckOutcome::Off)
        .collect();
    let maker = Arc::new(Maker {
        rules: rules
            .iter()
            .enumerate()
            .map(|(at, rule)| (rule.name, at))
            .collect(),
        files: report
            .files
            .iter()
            .enumerate()
            .map(|(at, file)| (file.path, at))
            .collect(),
        rooted: &report.rooted,
    });
    let log = Log {
        schema: SCHEMA,
        version: "2.1.0",
        runs: [Run {
            tool: Tool {
                driver: Driver {
                    name: &report.tool.name,
                    version: &report.tool.version,
                    semantic_version: &report.tool.version,
                    information_uri: Some(INFORMATION).filter(|address| !address.is_empty()),
                    rules: rules.into_iter().map(descriptor).collect(),
                },
            },
            invocations: [invocation(report)],
            artifacts: Streamed(Box::new(|| {
                Box::new(report.files.iter().map(|file| Artifact {
                    location: ArtifactLocation {
                        uri: uri(&report.rooted.path(file.path)),
                        index: None,
                    },
                }))
            })),
            results: Streamed(Box::new(|| {
                let (first, second) = (Arc::clone(&maker), Arc::clone(&maker));
                Box::new(
                    report
                        .findings
                        .iter()
                        .map(move |finding| first.result(&finding, Vec::new()))
                        .chain(
                            report
                                .suppressed
                                .iter()
                                .map(move |suppressed| second.suppressed(suppressed)),
                        ),
                )
            })),
            column_kind: "unicodeCodePoints",
        }],
    };
    serde_json::to_writer_pretty(&mut *out, &log).map_err(io::Error::from)?;
    out.write_all(b"\n")
}

/// What is looked up for each result.
struct Maker<'a> {
    rules: HashMap<&'a str, usize>,
    files: HashMap<&'a str, usize>,
    rooted: &'a Rooted,
}

impl Maker<'_> {
    fn suppressed<'b>(&self, suppressed: &'b CheckSuppressed<'b>) -> SarifResult<'b> {
        let (kind, justification) = match suppressed.by {
            CheckSuppressedBy::Comment => ("inSource", suppressed.reason),
            CheckSuppressedBy::Configuration => ("external", suppressed.reason),
            CheckSuppressedBy::Baseline => ("external", Some("in the baseline")),
        };
        self.result(
            &suppressed.finding,
            vec![Suppression {
                kind,
                status: "accepted",
                justification,
            }],
        )
    }

    fn result<'b>(
        &self,
        finding: &CheckFinding<'b>,
        suppressions: Vec<Suppression<'b>>,
    ) -> SarifResult<'b> {
        let edits = finding
            .remedy
            .as_ref()
            .map_or(&[][..], |remedy| remedy.edits.as_slice());
        let fixes = finding
            .remedy
            .iter()
            .filter(|_| !edits.is_empty())
            .map(|remedy| Fix {
                description: Message {
                    text: Cow::Borrowed(remedy.title),
                },
                artifact_changes: [ArtifactChange {
                    artifact_location: self.artifact(finding.place.file),
                    replacements: edits
                        .iter()
                        .map(|edit| Replacement {
                            deleted_region: region(&edit.place),
                            inserted_content: Message {
                                text: Cow::Borrowed(edit.text),
                            },
                        })
                        .collect(),
                }],
            })
            .collect();
        SarifResult {
            rule_id: finding.rule,
            rule_index: self.rules.get(finding.rule).copied(),
            level: level(finding.level),
            message: Message {
                text: Cow::Owned(prose::plain(finding)),
            },
            locations: [Location {
                physical_location: PhysicalLocation {
                    artifact_location: self.artifact(finding.place.file),
                    region: Region {
                        snippet: Some(Message {
                            text: Cow::Borrowed(finding.source),
                        })
                        .filter(|_| finding.place.line == finding.place.end_line),
                        ..region(&finding.place)
                    },
                },
            }],
            // The first is what GitHub follows a finding by when lines move.
            partial_fingerprints: BTreeMap::from([
                ("primaryLocationLineHash", finding.fingerprint),
                ("pgadviseFinding/v1", finding.fingerprint),
            ]),
            suppressions,
            fixes,
        }
    }

    fn artifact(&self, file: &str) -> ArtifactLocation {
        ArtifactLocation {
            uri: uri(&self.rooted.path(file)),
            index: self.files.get(file).copied(),
        }
    }
}

fn region<'a>(place: &CheckPlace<'a>) -> Region<'a> {
    Region {
        start_line: place.line,
        start_column: place.column,
        end_line: place.end_line,
        end_column: place.end_column,
        snippet: None,
    }
}

fn descriptor<'a>(rule: &'a CheckRule<'a>) -> ReportingDescriptor<'a> {
    let docs: Vec<&str> = rule
        .docs
        .lines()
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect();
    let docs = docs.join("\n");
    ReportingDescriptor {
        id: rule.name,
        short_description: Message {
            text: Cow::Borrowed(rule.summary),
        },
        help: Help {
            text: match &rule.page {
                Some(page) => format!("{}\n{page}", docs.trim()),
                None => docs.trim().to_owned(),
            },
            markdown: match &rule.page {
                Some(page) => format!("{}\n\n[{}]({page})", docs.trim(), rule.name),
                None => docs.trim().to_owned(),
            },
        },
        help_uri: rule.page.as_deref(),
        default_configuration: Configuration {
            level: level(rule.level),
        },
        properties: RuleProperties {
            tags: [rule.category, "postgresql"],
        },
    }
}

/// What could not be done or checked, told where consumers look for it.
fn invocation<'a>(report: &'a CheckReport<'_>) -> Invocation<'a> {
    let problems = report.problems.iter().map(|problem| Notification {
        level: match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        message: Message {
            text: Cow::Borrowed(&problem.message),
        },
    });
    let skipped = report.skipped.iter().map(|skipped| Notification {
        level: "note",
        message: Message {
            text: Cow::Owned(format!("not checked: {}: {}", skipped.what, skipped.why)),
        },
    });
    Invocation {
        execution_successful: !report.incomplete(),
        tool_execution_notifications: problems.chain(skipped).collect(),
    }
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Critical => "error",
        Level::Warning => "warning",
        Level::Note => "note",
    }
}

/// A path as a relative URI, or as one of a file where it is absolute.
fn uri(path: &str) -> String {
    const PLAIN: &[u8] = b"-._~/!$&'()*+,;=@";
    let path = path.strip_prefix("./").unwrap_or(path);
    let mut uri = String::with_capacity(path.len());
    if path.starts_with('/') {
        uri.push_str("file://");
    }
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || PLAIN.contains(&byte) {
            uri.push(byte as char);
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_uris() {
        assert_eq!(uri("./db/a b.sql"), "db/a%20b.sql");
        assert_eq!(uri("/srv/é.sql"), "file:///srv/%C3%A9.sql");
        assert_eq!(uri("c:x#1.sql"), "c%3Ax%231.sql");
    }
}
