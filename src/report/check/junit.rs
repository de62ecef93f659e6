//! The report of `check` as the XML of `JUnit`, which most systems for CI show: a
//! suite for each file, a failed test for each finding that fails the run.

use std::collections::HashMap;
use std::io::{self, Write};

use super::prose;
use crate::report::model::check::{CheckFinding, CheckReport, CheckSuppressed, CheckSuppressedBy};
use crate::report::render::Options;

/// Writes the report as the XML of `JUnit`.
pub(super) fn render(
    report: &CheckReport<'_>,
    out: &mut dyn Write,
    _options: &Options,
) -> io::Result<()> {
    let mut findings: HashMap<&str, Vec<CheckFinding<'_>>> = HashMap::new();
    for finding in report.findings.iter() {
        findings
            .entry(finding.place.file)
            .or_default()
            .push(finding);
    }
    let mut suppressed: HashMap<&str, Vec<&CheckSuppressed<'_>>> = HashMap::new();
    for silenced in &report.suppressed {
        suppressed
            .entry(silenced.finding.place.file)
            .or_default()
            .push(silenced);
    }
    let mut suites = Vec::new();
    for file in &report.files {
        let findings = findings.remove(file.path).unwrap_or_default();
        let suppressed = suppressed.remove(file.path).unwrap_or_default();
        suites.push((file, findings, suppressed));
    }
    let failing = |findings: &[CheckFinding<'_>]| {
        findings
            .iter()
            .filter(|finding| report.fails(finding.level))
            .count()
    };
    let tests = |findings: usize, suppressed: usize| (findings + suppressed).max(1);
    let mut all = report.skipped.len() + report.problems.len();
    let mut failed = 0;
    for (_, findings, suppressed) in &suites {
        all += tests(findings.len(), suppressed.len());
        failed += failing(findings);
    }
    writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    writeln!(
        out,
        r#"<testsuites name="pgadvise check" tests="{all}" failures="{failed}" errors="{}">"#,
        report.problems.len()
    )?;
    for (file, findings, suppressed) in &suites {
        writeln!(
            out,
            r#"  <testsuite name="{}" tests="{}" failures="{}" errors="0" skipped="{}">"#,
            escape(file.path),
            tests(findings.len(), suppressed.len()),
            failing(findings),
            suppressed.len(),
        )?;
        properties(report, file.framework, out)?;
        if findings.is_empty() && suppressed.is_empty() {
            writeln!(
                out,
                r#"    <testcase name="nothing found" classname="{}"/>"#,
                escape(file.path)
            )?;
        }
        for finding in findings {
            let text = escape(&prose::plain(finding));
            case(finding, out)?;
            if report.fails(finding.level) {
                writeln!(
                    out,
                    r#"      <failure type="{}" message="{}">{text}</failure>"#,
                    finding.level.name(),
                    attribute(finding.message),
                )?;
            } else {
                writeln!(out, "      <system-out>{text}</system-out>")?;
            }
            writeln!(out, "    </testcase>")?;
        }
        for silenced in suppressed {
            let reason = match silenced.by {
                CheckSuppressedBy::Baseline => "in the baseline",
                CheckSuppressedBy::Comment | CheckSuppressedBy::Configuration => {
                    silenced.reason.unwrap_or("suppressed without a reason")
                }
            };
            case(&silenced.finding, out)?;
            writeln!(out, r#"      <skipped message="{}"/>"#, attribute(reason))?;
            writeln!(out, "    </testcase>")?;
        }
        writeln!(out, "  </testsuite>")?;
    }
    rest(report, out)?;
    writeln!(out, "</testsuites>")
}

/// What could not be checked, and what could not be done at all.
fn rest(report: &CheckReport<'_>, out: &mut dyn Write) -> io::Result<()> {
    let skipped = report.skipped.len();
    let errors = report.problems.len();
    if skipped + errors == 0 {
        return Ok(());
    }
    writeln!(
        out,
        r#"  <testsuite name="the whole run" tests="{}" failures="0" errors="{errors}" skipped="{skipped}">"#,
        skipped + errors
    )?;
    for skipped in &report.skipped {
        writeln!(
            out,
            r#"    <testcase name="{}" classname="not checked">"#,
            attribute(&skipped.what)
        )?;
        writeln!(
            out,
            r#"      <skipped message="{}"/>"#,
            attribute(&skipped.why)
        )?;
        writeln!(out, "    </testcase>")?;
    }
    for problem in &report.problems {
        writeln!(
            out,
            r#"    <testcase name="{}" classname="problem">"#,
            attribute(&problem.message)
        )?;
        writeln!(
            out,
            r#"      <error type="problem" message="{}">{}</error>"#,
            attribute(&problem.message),
            escape(&problem.hints.join("\n"))
        )?;
        writeln!(out, "    </testcase>")?;
    }
    writeln!(out, "  </testsuite>")
}

fn properties(report: &CheckReport<'_>, framework: &str, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "    <properties>")?;
    writeln!(
        out,
        r#"      <property name="postgresql" value="{}"/>"#,
        report.server.major
    )?;
    writeln!(
        out,
        r#"      <property name="framework" value="{}"/>"#,
        escape(framework)
    )?;
    writeln!(out, "    </properties>")
}

fn case(finding: &CheckFinding<'_>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        r#"    <testcase name="{}:{}: {}" classname="{}">"#,
        finding.place.line,
        finding.place.column,
        finding.rule,
        escape(finding.place.file),
    )
}

/// A text on one line.
fn attribute(text: &str) -> String {
    escape(&text.replace(['\r', '\n', '\t'], " "))
}

/// XML has no place for most control characters, in whatever spelling.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\n' | '\t' => escaped.push(c),
            '\r' => escaped.push_str("&#13;"),
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => {
                escaped.push(char::REPLACEMENT_CHARACTER);
            }
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_xml_has_no_place_for_is_written() {
        assert_eq!(
            escape("a<b>&\"\u{1b}[0m\u{ffff}"),
            "a&lt;b&gt;&amp;&quot;\u{fffd}[0m\u{fffd}"
        );
        assert_eq!(attribute("a\nb"), "a b");
    }
}
