//! The queries that an application sends, from wherever they are kept: files
//! of SQL, exports of `pg_stat_statements`, logs of PostgreSQL and of
//! libraries that talk to it.
//!
//! Queries that differ in their values alone are one, with the calls of all.
//! What cannot be read is told, and never stops the rest.

mod export;
mod log;
mod orm;
mod server;
mod walk;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::logs::unpacked;
use super::{InputError, MAX_BYTES};
use crate::advise::check::workload::{Workload, WorkloadQuery};
use crate::source::{Problem, Sources, Text};
use crate::sql::{self, Statement, StatementKind, fingerprint};

/// Different queries that are read at most.
const MOST_QUERIES: usize = 20_000;
/// Trouble of one kind that is told at most.
const MOST_PROBLEMS: usize = 20;

/// A query as a source has it.
#[derive(Debug, Clone, PartialEq)]
struct Met {
    /// Its text.
    text: String,
    /// Lines of the file above it.
    above: usize,
    /// How often it ran.
    calls: f64,
    /// How long these took together, in milliseconds.
    total_ms: Option<f64>,
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Sql,
    Csv,
    Json,
    Log,
}

/// Reads files and folders.
pub fn read(paths: &[PathBuf], sources: &mut Sources) -> Workload {
    let mut reader = Reader {
        sources,
        workload: Workload::default(),
        by_fingerprint: BTreeMap::new(),
        left_out: 0,
        normal: Vec::new(),
    };
    for path in paths {
        let (files, problems) = walk::files(path);
        for problem in problems {
            reader.problem(problem);
        }
        for file in files {
            reader.file(&file);
        }
    }
    reader.done()
}

/// Reads one text, by its name and content.
pub fn read_text(name: &str, text: String, sources: &mut Sources) -> Workload {
    let mut reader = Reader {
        sources,
        workload: Workload::default(),
        by_fingerprint: BTreeMap::new(),
        left_out: 0,
        normal: Vec::new(),
    };
    reader.workload.files = 1;
    reader.text(name, text);
    reader.done()
}

struct Reader<'a> {
    sources: &'a mut Sources,
    workload: Workload,
    by_fingerprint: BTreeMap<u64, usize>,
    /// Different queries beyond the limit.
    left_out: usize,
    normal: Vec<u8>,
}

impl Reader<'_> {
    fn problem(&mut self, problem: Problem) {
        self.workload.problems.push(problem);
    }

    fn file(&mut self, path: &Path) {
        match text_of(path) {
            Ok(text) => {
                self.workload.files += 1;
                self.text(&path.display().to_string(), text);
            }
            // A file without a query is no trouble in a folder of many.
            Err(InputError::Empty { .. }) => self.workload.files += 1,
            Err(error) => {
                let hint = error.hint();
                self.problem(Problem {
                    at: None,
                    message: error.to_string(),
                    hint: Some(hint),
                });
            }
        }
    }

    fn text(&mut self, name: &str, text: String) {
        let (met, problems) = match form(name, &text) {
            Form::Sql => {
                self.sql(name, text);
                return;
            }
            Form::Csv => export::csv(name, &text),
            Form::Json => export::json(name, &text),
            Form::Log => log::queries(&text),
        };
        for message in problems.into_iter().take(MOST_PROBLEMS) {
            self.problem(Problem {
                at: None,
                message,
                hint: None,
            });
        }
        if met.is_empty() {
            self.problem(Problem {
                at: None,
                message: format!("{name} holds no query that could be read"),
                hint: Some(
                    "a workload is SQL, an export of pg_stat_statements as CSV or JSON, or a log \
                     with statements in it"
                        .to_owned(),
                ),
            });
        }
        for one in met {
            self.met(name, one);
        }
    }

    /// A file of SQL: its statements have their places in it.
    fn sql(&mut self, name: &str, text: String) {
        let source = self.sources.add(Text::new(name, text));
        let text = self.sources.get(source).map_or("", Text::text);
        let (statements, problems) = sql::read(source, text);
        // What the parser makes of one statement is for the server to judge.
        for problem in problems {
            let of_one = problem.at.is_none_or(|at| {
                statements
                    .iter()
                    .any(|statement| statement.span.contains(at))
            });
            if !of_one {
                self.problem(problem);
            }
        }
        for statement in statements {
            self.add(statement, None, None);
        }
    }

    fn met(&mut self, name: &str, met: Met) {
        // Of a query that is known nothing is kept but its calls.
        let mark = self.fingerprint(&met.text);
        if let Some(known) = self.known(mark) {
            count(known, Some(met.calls), met.total_ms);
            self.workload.repeated += 1;
            return;
        }
        if self.workload.queries.len() >= MOST_QUERIES {
            self.left_out += 1;
            return;
        }
        // Only what is kept is worth a text of its own.
        let probe = Text::new(name, met.text).below(met.above);
        let (calls, total_ms) = (met.calls, met.total_ms);
        let source = self.sources.add(probe);
        let text = self.sources.get(source).map_or("", Text::text);
        let (statements, _) = sql::read(source, text);
        for statement in statements {
            self.add(statement, Some(calls), total_ms);
        }
    }

    fn fingerprint(&mut self, text: &str) -> u64 {
        self.normal.clear();
        fingerprint::normalize(text.as_bytes(), &mut self.normal, |_| false);
        fingerprint::hash(&self.normal)
    }

    fn known(&mut self, mark: u64) -> Option<&mut WorkloadQuery> {
        let at = self.by_fingerprint.get(&mark)?;
        self.workload.queries.get_mut(*at)
    }

    fn add(&mut self, statement: Statement, calls: Option<f64>, total_ms: Option<f64>) {
        if statement.kind == StatementKind::Other && statement.query.is_none() {
            self.workload.utility += 1;
            return;
        }
        if is_own(&statement) {
            self.workload.own += 1;
            return;
        }
        let mark = self.fingerprint(&statement.text);
        if let Some(known) = self.known(mark) {
            count(known, calls, total_ms);
            self.workload.repeated += 1;
            return;
        }
        if self.workload.queries.len() >= MOST_QUERIES {
            self.left_out += 1;
            return;
        }
        self.by_fingerprint
            .insert(mark, self.workload.queries.len());
        self.workload.queries.push(WorkloadQuery {
            statement,
            fingerprint: mark,
            calls,
            total_ms,
        });
    }

    fn done(mut self) -> Workload {
        if self.left_out > 0 {
            let message = format!(
                "the workload holds more than {MOST_QUERIES} different queries; {} more are left out",
                self.left_out
            );
            self.problem(Problem {
                at: None,
                message,
                hint: Some("give those that take the most time".to_owned()),
            });
        }
        self.workload
    }
}

fn count(query: &mut WorkloadQuery, calls: Option<f64>, total_ms: Option<f64>) {
    if let Some(calls) = calls {
        query.calls = Some(query.calls.unwrap_or(0.0) + calls);
    }
    if let Some(ms) = total_ms {
        query.total_ms = Some(query.total_ms.unwrap_or(0.0) + ms);
    }
}

/// Reads a file as text, packed with gzip or not.
fn text_of(path: &Path) -> Result<String, InputError> {
    let file = super::open(path, MAX_BYTES)?;
    let name = path.display().to_string();
    let reader = unpacked(file).map_err(|source| super::failed(path, source))?;
    super::read_text(&name, reader)
}

/// What a file is, by its name and its beginning.
fn form(name: &str, text: &str) -> Form {
    let name = name.strip_suffix(".gz").unwrap_or(name);
    let extension = Path::new(name)
        .extension()
        .and_then(|extension| extension.to_str())
        .map(str::to_ascii_lowercase);
    if extension.as_deref() == Some("sql") {
        return Form::Sql;
    }
    let begin = text.trim_start_matches('\u{feff}').trim_start();
    if export::is_csv(begin) {
        return Form::Csv;
    }
    if export::is_json(begin) {
        return Form::Json;
    }
    if extension.as_deref() == Some("log") || log::is_log(text) {
        return Form::Log;
    }
    Form::Sql
}

/// A statement of pgadvise's or its kind, or one that asks the system's
/// catalogues alone: no migration changes its plan.
fn is_own(statement: &Statement) -> bool {
    if statement.text.contains("pgadvise") {
        return true;
    }
    let Some(query) = &statement.query else {
        return false;
    };
    let mut any = false;
    for relation in query.selects.iter().flat_map(|select| &select.relations) {
        let sql::RelationRefKind::Table { schema, name, .. } = &relation.kind else {
            continue;
        };
        any = true;
        let of_system = match schema.as_deref() {
            Some(schema) => schema == "pg_catalog" || schema == "information_schema",
            None => name.starts_with("pg_"),
        };
        if !of_system {
            return false;
        }
    }
    any
}
