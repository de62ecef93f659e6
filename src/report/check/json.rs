//! The report of `check` as JSON, one document with a newline at its end; its
//! schema is `docs/check.schema.json`.

use std::io::{self, Write};
use std::ops::Range;
use std::thread::available_parallelism;

use serde::Serialize as _;
use serde_json::Serializer;
use serde_json::ser::{Formatter as _, PrettyFormatter};

use crate::report::model::check::{CheckFindings, CheckReport};
use crate::report::render::Options;
use crate::threads;

/// Findings that a thread writes at a time.
const WINDOW: usize = 256;
/// More threads than this wait for the reader.
const MOST_THREADS: usize = 4;
/// The list of findings in a report without any: no text has a line that begins
/// like this, as breaks of lines are escaped in it.
const NONE: &[u8] = b"\n  \"findings\": []";

/// Writes the report as JSON.
///
/// There may be many thousand findings: windows of them are written on several
/// threads, and put into the list of a report that has none.
pub(super) fn render(
    report: &CheckReport<'_>,
    out: &mut dyn Write,
    _options: &Options,
) -> io::Result<()> {
    let rest = CheckReport {
        findings: CheckFindings::none(),
        ..report.clone()
    };
    let rest = serde_json::to_vec_pretty(&rest)?;
    let list = memchr::memmem::find(&rest, NONE).filter(|_| !report.findings.is_empty());
    let Some((head, tail)) = list.and_then(|at| rest.split_at_checked(at + NONE.len() - 1)) else {
        out.write_all(&rest)?;
        return out.write_all(b"\n");
    };
    out.write_all(head)?;
    let threads = available_parallelism().map_or(1, |threads| threads.get().min(MOST_THREADS));
    let all = report.findings.len();
    for round in (0..all).step_by(WINDOW * threads) {
        let until = all.min(round + WINDOW * threads);
        let windows = (round..until).step_by(WINDOW);
        let written = threads::each(windows, |from| {
            window(&report.findings, from..until.min(from + WINDOW))
        });
        for bytes in written {
            out.write_all(&bytes?)?;
        }
    }
    out.write_all(b"\n  ")?;
    out.write_all(tail)?;
    out.write_all(b"\n")
}

/// Some findings, as they stand in the list.
fn window(findings: &CheckFindings<'_>, range: Range<usize>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let first = range.start == 0;
    for (number, finding) in findings.range(range).enumerate() {
        let separator: &[u8] = if first && number == 0 {
            b"\n    "
        } else {
            b",\n    "
        };
        bytes.extend_from_slice(separator);
        // Two levels deep: in the list of the report.
        let mut formatter = PrettyFormatter::new();
        formatter.begin_object(&mut io::sink())?;
        formatter.begin_array(&mut io::sink())?;
        finding.serialize(&mut Serializer::with_formatter(&mut bytes, formatter))?;
    }
    Ok(bytes)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migration::{History, Server};
    use crate::report::check::build::{Ingredients, build};
    use crate::report::model::Level;
    use crate::report::model::check::{CheckFinding, CheckPlace};
    use crate::source::Sources;

    fn finding(number: usize) -> CheckFinding<'static> {
        CheckFinding {
            rule: "table-dropped",
            level: Level::Warning,
            message: "it is\n  \"findings\": []",
            why: "",
            place: CheckPlace {
                file: "a.sql",
                line: number + 1,
                column: 1,
                end_line: number + 1,
                end_column: 9,
            },
            source: "drop \"x\"",
            statement: None,
            relation: Some(number.to_string()),
            object: None,
            lock: None,
            traced: false,
            assumed: None,
            evidence: Vec::new(),
            remedy: None,
            fingerprint: "00",
            page: None,
        }
    }

    #[test]
    fn windows_of_findings_are_written_as_one_document_would_be() {
        let history = History::default();
        let sources = Sources::default();
        let server = Server::default();
        let report = build(&Ingredients {
            history: &history,
            sources: &sources,
            server: &server,
            findings: &[],
            prints: &[],
            known: &[],
            silenced: &[],
            baseline: None,
            rules: &[],
            workload: None,
            trace: None,
            skipped: Vec::new(),
            problems: Vec::new(),
            fail_on: None,
            pages: None,
            statements: 0,
            replayed: 0,
        });
        for number in [0, 1, 2, WINDOW, 9 * WINDOW + 7] {
            let levels = vec![Level::Warning; number];
            let report = CheckReport {
                findings: CheckFindings::new(levels, |number| Some(finding(number))),
                ..report.clone()
            };
            let mut written = Vec::new();
            render(&report, &mut written, &Options::default()).unwrap();
            let mut whole = serde_json::to_string_pretty(&report).unwrap();
            whole.push('\n');
            assert_eq!(String::from_utf8(written).unwrap(), whole);
            assert_eq!(whole.matches("table-dropped").count(), number);
        }
    }
}
