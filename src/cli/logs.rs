//! The inputs of `report`: logs are told from pastes, and the worst queries of
//! the logs become plans to explain.

use std::path::{Path, PathBuf};

use super::failure::{Failure, Kind};
use super::inputs::Inputs;
use crate::advise::explain::GivenPlan;
use crate::input::logs::{
    self, Gathered, Given, LogGroup, LogInput, LogOptions, LogPart, LogRecord,
};
use crate::input::{self, InputError};
use crate::plan::{PlanGraph, compare, read};
use crate::report::model;

/// Reads the files: plans as pastes, and logs, of which so many queries are
/// explained.
pub(super) fn add_files(inputs: &mut Inputs, files: &[PathBuf], top: usize) {
    let mut texts = Vec::new();
    let mut found = Vec::new();
    let mut empty = Vec::new();
    for file in files {
        match sort(file) {
            Ok(Sorted::Text(name, text)) => texts.push((name, text)),
            Ok(Sorted::Log(log)) => found.push(log),
            Err(error @ InputError::Empty { .. }) => empty.push(error),
            Err(error) => inputs.problems.push(Failure::from(error).problem()),
        }
    }
    // A folder of logs has empty ones among them.
    if found.is_empty() {
        for error in empty {
            inputs.problems.push(Failure::from(error).problem());
        }
    }
    if !texts.is_empty() || found.is_empty() {
        inputs.add_plan_texts(texts);
    }
    if !found.is_empty() {
        add_logs(inputs, found, top);
    }
}

enum Sorted {
    Text(String, String),
    Log(LogInput),
}

fn sort(file: &Path) -> Result<Sorted, InputError> {
    Ok(match logs::open(file)? {
        Given::Log(log) => Sorted::Log(log),
        Given::Other(other) => {
            let text = input::read_text(&other.name, other.reader)?;
            Sorted::Text(other.name, text)
        }
    })
}

fn add_logs(inputs: &mut Inputs, files: Vec<LogInput>, top: usize) {
    let mut gathered = logs::read(files, &LogOptions::new(top));
    for file in &mut gathered.files {
        if let Some(source) = file.failed.take() {
            let error = InputError::Io {
                name: file.name.clone(),
                source,
            };
            inputs.problems.push(
                Failure::new(Kind::Input, error)
                    .hint("what was read before counts; the rest is missing")
                    .problem(),
            );
        }
    }
    if gathered.totals.records == 0 {
        inputs.problems.push(nothing_explained(&gathered).problem());
    }
    if gathered.totals.oversized > 0 {
        inputs.problems.push(model::Problem {
            severity: model::Severity::Warning,
            ..Failure::new(
                Kind::Input,
                format!(
                    "{} larger than 32 MiB left out",
                    match gathered.totals.oversized {
                        1 => "1 message is".to_owned(),
                        many => format!("{many} messages are"),
                    }
                ),
            )
            .hint(
                "auto_explain.log_parameter_max_length bounds the parameters that a record repeats",
            )
            .problem()
        });
    }
    let groups = std::mem::take(&mut gathered.groups)
        .into_iter()
        .map(|group| add_group(inputs, group, &gathered))
        .collect();
    inputs.log = Some(model::Log {
        files: gathered
            .files
            .iter()
            .map(|file| model::LogFile {
                name: file.name.clone(),
                bytes: file.bytes,
                records: file.records,
            })
            .collect(),
        totals: totals(&gathered.totals),
        groups,
    });
}

/// A log without plans, and how to get some.
fn nothing_explained(gathered: &Gathered) -> Failure {
    let names: Vec<&str> = gathered
        .files
        .iter()
        .map(|file| file.name.as_str())
        .collect();
    let what = match names.as_slice() {
        [one] => format!("{one} has"),
        many => format!("the {} logs have", many.len()),
    };
    let totals = &gathered.totals;
    let instead = match (totals.messages, totals.durations) {
        (0, _) => String::new(),
        (messages, 0) => format!(", among {messages} messages"),
        (messages, durations) => {
            format!(", among {messages} messages, of which {durations} have a duration and no plan")
        }
    };
    Failure::new(
        Kind::Input,
        format!("{what} no record of auto_explain{instead}"),
    )
    .hint("load it for all sessions: ALTER SYSTEM SET session_preload_libraries = 'auto_explain'; SELECT pg_reload_conf();")
    .hint("say what is logged: auto_explain.log_min_duration = '250ms', log_analyze = on, log_buffers = on, log_timing = on, log_format = json, log_nested_statements = on; docs/logs.md says what each costs")
    .hint("to explain a plan instead, give the output of EXPLAIN")
}

fn totals(from: &logs::LogTotals) -> model::LogTotals {
    model::LogTotals {
        bytes: from.bytes,
        messages: from.messages,
        records: from.records,
        total_ms: from.total_ms,
        groups: from.groups,
        first_seen: from.first.clone(),
        last_seen: from.last.clone(),
        durations_without_plan: from.durations,
        cut_off: from.cut_off,
        damaged: from.damaged,
        oversized: from.oversized,
        evicted_groups: from.evicted_groups,
        evicted_records: from.evicted_records,
        evicted_ms: from.evicted_ms,
    }
}

/// One plan of a query, read.
struct Shape {
    shape: model::LogShape,
    plan: Option<(LogRecord, PlanGraph, read::Format, Option<String>)>,
}

/// Adds the query's slowest plan to the inputs.
fn add_group(inputs: &mut Inputs, group: LogGroup, gathered: &Gathered) -> model::LogGroup {
    let name_of = |record: &LogRecord| {
        let file = gathered.files.get(record.file);
        format!(
            "{}:{}",
            file.map_or("", |file| file.name.as_str()),
            record.line
        )
    };
    let mut shapes: Vec<Shape> = Vec::new();
    let mut unreadable: Option<LogRecord> = None;
    for found in group.shapes {
        let plan = found.record.and_then(|record| {
            let Some(first) = read::read(&record.plan).plans.into_iter().next() else {
                if unreadable
                    .as_ref()
                    .is_none_or(|other| slower(&record, other).is_gt())
                {
                    unreadable = Some(record);
                }
                return None;
            };
            let incomplete = first.incomplete.map(|missing| missing.message);
            Some((record, first.plan, first.format, incomplete))
        });
        let shape = model::LogShape {
            calls: found.calls,
            total_ms: found.total_ms,
            max_ms: found.max_ms,
            shown: false,
        };
        // The same plan in another format has another number.
        let same = plan.as_ref().and_then(|(_, plan, format, _)| {
            shapes.iter_mut().find(|other| {
                other.plan.as_ref().is_some_and(|(_, before, written, _)| {
                    written != format && compare::shape(before) == compare::shape(plan)
                })
            })
        });
        match same {
            Some(same) => {
                same.shape.calls += shape.calls;
                same.shape.total_ms += shape.total_ms;
                same.shape.max_ms = same.shape.max_ms.max(shape.max_ms);
                if let (Some((new, ..)), Some((old, ..))) = (&plan, &same.plan)
                    && slower(new, old).is_gt()
                {
                    same.plan = plan;
                }
            }
            None => shapes.push(Shape { shape, plan }),
        }
    }
    shapes.sort_by(|a, b| b.shape.total_ms.total_cmp(&a.shape.total_ms));
    // The slowest plan that is whole, else the slowest that can be read.
    let best = shapes
        .iter()
        .enumerate()
        .filter_map(|(at, shape)| Some((at, shape.plan.as_ref()?)))
        .max_by(|(_, (a, ..)), (_, (b, ..))| slower(a, b))
        .map(|(at, _)| at);
    let shown = best
        .and_then(|at| shapes.get_mut(at))
        .and_then(|shape| Some((&mut shape.shape, shape.plan.take()?)));
    let (shown_at, shown_ms) = match (shown, unreadable) {
        (Some((shape, (record, plan, _, incomplete))), _) => {
            shape.shown = true;
            let (name, ms) = (name_of(&record), record.ms);
            inputs.add_given(&name, given(record, plan, incomplete, &name));
            (Some(name), Some(ms))
        }
        (None, Some(record)) => {
            // It says why it cannot be read.
            let name = name_of(&record);
            inputs.cannot_read(&name, &record.plan);
            (Some(name), Some(record.ms))
        }
        (None, None) => (None, None),
    };
    model::LogGroup {
        fingerprint: format!("{:016x}", group.fingerprint),
        query: group.query,
        calls: group.calls,
        total_ms: group.total_ms,
        share: if gathered.totals.total_ms > 0.0 {
            group.total_ms / gathered.totals.total_ms
        } else {
            0.0
        },
        mean_ms: group.total_ms / (group.calls.max(1) as f64),
        min_ms: group.min_ms,
        p50_ms: group.p50_ms,
        p95_ms: group.p95_ms,
        p99_ms: group.p99_ms,
        max_ms: group.max_ms,
        first_seen: group.first,
        last_seen: group.last,
        databases: parts(&group.databases),
        users: parts(&group.users),
        applications: parts(&group.applications),
        shapes: shapes.into_iter().map(|shape| shape.shape).collect(),
        more_shapes: group.more_shapes,
        shown_ms,
        shown_at,
        statement: None,
    }
}

/// Which of two records is the better one to show: a whole one, then the slower
/// one.
fn slower(a: &LogRecord, b: &LogRecord) -> std::cmp::Ordering {
    b.cut_off
        .cmp(&a.cut_off)
        .then_with(|| a.ms.total_cmp(&b.ms))
}

fn parts(parts: &[LogPart]) -> Vec<model::LogPart> {
    parts
        .iter()
        .map(|part| model::LogPart {
            name: part.name.clone(),
            calls: part.calls,
            total_ms: part.total_ms,
        })
        .collect()
}

fn given(
    record: LogRecord,
    mut plan: PlanGraph,
    incomplete: Option<String>,
    name: &str,
) -> GivenPlan {
    if let Some(parameters) = record.parameters {
        // Where the other formats have them.
        let key = "Query Parameters";
        plan.run
            .extra
            .entry(key)
            .or_insert_with(|| parameters.clone().into());
        if let Some(document) = plan.document.as_object_mut() {
            document.entry(key).or_insert_with(|| parameters.into());
        }
    }
    GivenPlan {
        plan,
        name: name.to_owned(),
        sql: record.sql,
        incomplete: incomplete
            .or_else(|| record.cut_off.then(|| "the log ends within it".to_owned()))
            .map(|missing| format!("{name}: {missing}")),
    }
}

/// Says of each query which statement of the report shows its plan.
pub(super) fn link(report: &mut model::Report, log: Option<model::Log>) {
    let Some(mut log) = log else { return };
    for group in &mut log.groups {
        group.statement = report.statements.iter().position(|statement| {
            matches!(
                (&statement.plan_from, &group.shown_at),
                (Some(model::PlanFrom::File { file }), Some(name)) if file == name
            )
        });
    }
    report.log = Some(log);
}
