//! The same statement in all formats, on all versions of the server, and out
//! of all frames of psql.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use pgadvise::plan::PlanGraph;
use pgadvise::plan::read::{self, Format};

use super::agree::differences;
use super::queries::{SCHEMA, cases};
use crate::support::server::{Server, every_version};

/// psql, which ships with every server and client.
fn psql() -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> = std::env::var_os("PATH")
        .iter()
        .flat_map(std::env::split_paths)
        .collect();
    folders.extend(every_version().into_iter().map(|(_, bin)| bin));
    let found = folders
        .into_iter()
        .map(|folder| folder.join("psql"))
        .find(|file| file.is_file());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "no psql for the tests");
        println!("did nothing: no psql");
    }
    found
}

/// What psql prints for a script.
fn printed(
    psql: &PathBuf,
    server: &Server,
    database: &str,
    arguments: &[&str],
    script: &str,
) -> String {
    let mut child = Command::new(psql)
        .args([
            "-X",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "postgres",
            "-d",
            database,
        ])
        .arg("-h")
        .arg(server.folder())
        .args(["-p", "5432"])
        .args(arguments)
        .env("PGCLIENTENCODING", "UTF8")
        .env("LC_ALL", "C.UTF-8")
        .env_remove("PAGER")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let text = script.to_owned();
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn only(text: &str, format: Format, what: &str) -> PlanGraph {
    let mut reading = read::read(text);
    assert_eq!(
        reading.plans.len(),
        1,
        "{what}\n{text}\n{:?}",
        reading.problems
    );
    assert_eq!(reading.problems, [], "{what}\n{text}");
    assert!(read::looks_like_plan(text), "{what}\n{text}");
    let plan = reading.plans.remove(0);
    assert_eq!(plan.format, format, "{what}\n{text}");
    assert_eq!(plan.incomplete, None, "{what}\n{text}");
    plan.plan
}

#[test]
fn every_format_of_an_execution_gives_the_same_graph() {
    let Some(psql) = psql() else { return };
    let versions = every_version();
    let missing: Vec<u32> = (13..=18)
        .filter(|major| !versions.iter().any(|(known, _)| known == major))
        .collect();
    if !missing.is_empty() {
        println!("not looked at, for want of a server: {missing:?}");
    }
    for (major, bin) in versions {
        let server = Server::of_version(
            &bin,
            &["jit=off", "wal_level=minimal", "max_wal_senders=0"],
            5432,
        )
        .unwrap();
        drop(server.database("formats", ""));
        printed(&psql, &server, "formats", &["-At"], SCHEMA);
        let cases = cases(u64::from(major), 60, major);
        let formats = [Format::Json, Format::Text, Format::Yaml, Format::Xml];
        let mut script = String::new();
        for case in &cases {
            // The first run fills the cache and sets hint bits.
            let warm = if case.options.contains("ANALYZE") {
                format!(
                    "BEGIN;\n{};\n\\o /dev/null\n{};\n\\o\nROLLBACK;\n",
                    case.settings, case.query
                )
            } else {
                String::new()
            };
            script.push_str(&warm);
            for format in formats {
                let comma = if case.options.is_empty() { "" } else { ", " };
                script.push_str(&format!(
                    "BEGIN;\n{};\nEXPLAIN (FORMAT {}{comma}{}) {};\nROLLBACK;\n\\echo ####\n",
                    case.settings,
                    format.name(),
                    case.options,
                    case.query
                ));
            }
        }
        let output = printed(&psql, &server, "formats", &["-At"], &script);
        let mut outputs = output.split("####\n");
        for case in &cases {
            let mut plans = formats.map(|format| {
                let text = outputs.next().unwrap();
                let what = format!("{major}: EXPLAIN ({}) {}", case.options, case.query);
                (format, text, only(text, format, &what))
            });
            let [(_, json, reference), others @ ..] = &mut plans;
            for (format, text, plan) in others {
                let found = differences(plan, reference);
                assert!(
                    found.is_empty(),
                    "{major}, {format:?}, EXPLAIN ({}) {}\n{}\n{text}\n{json}",
                    case.options,
                    case.query,
                    found.join("\n")
                );
            }
        }
    }
}

/// A query whose plan has names, a literal of several lines, and some depth.
const FRAMED: &str = r#"SELECT c.name, x."we""ird -> x" FROM customers c
    JOIN "odd (cost=0.00..1.00 rows=1 width=1)" x ON x."a b" = c.id
    JOIN orders o ON o.customer_id = c.id
    WHERE c.name <> E'two\n  ->  Seq Scan on lines\n' AND o.placed < '2025-06-01'"#;

#[test]
fn every_frame_of_psql_is_taken_off() {
    let Some(psql) = psql() else { return };
    let Some((_, bin)) = every_version().pop() else {
        return;
    };
    let server = Server::of_version(&bin, &[], 5432).unwrap();
    drop(server.database("frames", ""));
    printed(&psql, &server, "frames", &["-At"], SCHEMA);
    let explain = |format: &str| format!("EXPLAIN (VERBOSE, FORMAT {format}) {FRAMED};\n");
    let reference = only(
        &printed(&psql, &server, "frames", &["-At"], &explain("JSON")),
        Format::Json,
        "reference",
    );
    let mut frames = Vec::new();
    for border in 0..=2 {
        for style in ["ascii", "old-ascii", "unicode"] {
            for expanded in ["off", "on"] {
                for lines in ["single", "double"] {
                    if lines == "double" && style != "unicode" {
                        continue;
                    }
                    frames.push(format!(
                        "\\pset border {border}\n\\pset linestyle {style}\n\\pset expanded {expanded}\n\\pset unicode_border_linestyle {lines}\n\\pset unicode_header_linestyle {lines}\n\\pset unicode_column_linestyle {lines}\n"
                    ));
                }
            }
        }
    }
    let mut settings: Vec<String> = frames
        .iter()
        .map(|frame| format!("\\pset format aligned\n{frame}"))
        .collect();
    settings.extend(
        frames
            .iter()
            // The old style has no marks at the ends of a single column's lines.
            .filter(|frame| !frame.contains("old-ascii"))
            .map(|frame| format!("\\pset format wrapped\n\\pset columns 60\n{frame}")),
    );
    for more in [
        "\\pset format unaligned\n",
        "\\pset format unaligned\n\\pset expanded on\n",
        "\\pset format unaligned\n\\pset tuples_only on\n",
        "\\pset format aligned\n\\pset tuples_only on\n",
        "\\pset format csv\n",
        "\\pset format unaligned\n\\pset footer off\n\\timing on\n",
    ] {
        settings.push(more.to_owned());
    }
    let formats = [Format::Text, Format::Json, Format::Yaml, Format::Xml];
    // One client for all: what is set is set back.
    let back = "\\pset format aligned\n\\pset border 1\n\\pset linestyle ascii\n\\pset expanded off\n\\pset tuples_only off\n\\pset footer on\n\\timing off\n\\pset columns 0\n";
    let mut script = String::from("\\pset pager off\n");
    for setting in &settings {
        for format in formats {
            script.push_str(&format!(
                "{setting}{}{back}\\echo ####\n",
                explain(format.name())
            ));
        }
    }
    let output = printed(&psql, &server, "frames", &[], &script);
    let mut outputs = output.split("####\n");
    let mut wrong = Vec::new();
    for setting in &settings {
        for format in formats {
            let text = outputs.next().unwrap();
            let reading = read::read(text);
            let found = match reading.plans.as_slice() {
                [plan] => differences(&plan.plan, &reference),
                plans => vec![format!("{} plans, {:?}", plans.len(), reading.problems)],
            };
            if !found.is_empty() {
                wrong.push(format!("{setting}{format:?}: {}\n{text}", found.join("\n")));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} wrong, for one:\n{}",
        wrong.len(),
        settings.len() * formats.len(),
        wrong.join("\n").chars().take(60_000).collect::<String>()
    );
}
