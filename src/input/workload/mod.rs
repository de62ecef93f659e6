//! The queries that an application sends, from wherever they are kept: files
//! of SQL, exports of `pg_stat_statements`, logs of PostgreSQL and of
//! libraries that talk to it.
//!
//! Queries that differ in their values alone are one, with the calls of all.
//! What cannot be read is told, and never stops the rest.

mod export;
mod log;
mod orm;
mod places;
mod server;
mod values;
mod walk;
mod within;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::logs::unpacked;
use super::{InputError, MAX_BYTES};
use crate::advise::check::workload::{Workload, WorkloadQuery};
use crate::source::{Anchor, Problem, SourceId, Sources, Text};
use crate::sql::{self, Statement, StatementKind, fingerprint};
use values::Values;

/// Different queries that are read at most.
const MOST_QUERIES: usize = 20_000;
/// Trouble of one kind that is told at most.
const MOST_PROBLEMS: usize = 20;

/// A query as a source has it.
#[derive(Debug, Clone, PartialEq)]
struct Met {
    /// Its text.
    text: String,
    /// Where it stands in the file.
    anchors: Vec<Anchor>,
    /// How often it ran.
    calls: f64,
    /// How long these took together, in milliseconds.
    total_ms: Option<f64>,
    /// Values of some calls.
    values: Vec<Values>,
}

/// Calls of one query whose values are kept.
const MOST_SAMPLES: usize = 3;

impl Met {
    /// Keeps the values of one more call, where they are others.
    fn sample(&mut self, values: Values) {
        if self.values.len() < MOST_SAMPLES && !self.values.contains(&values) {
            self.values.push(values);
        }
    }
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
        let form = form(name, &text);
        let (met, problems) = match form {
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
        let mut end = 0;
        let mut unread = 0;
        for statement in statements {
            let gap = self
                .sources
                .get(source)
                .and_then(|text| text.text().get(end..statement.span.start));
            let name = gap.and_then(within::name);
            end = statement.span.end;
            // No word that a statement of PostgreSQL begins with.
            let strange =
                statement.kind == StatementKind::Other && within::is_strange(&statement.text);
            if strange {
                unread += 1;
                if unread <= MOST_PROBLEMS {
                    self.problem(Problem {
                        at: Some(statement.span),
                        message: "no statement of PostgreSQL begins like this; it is left out"
                            .to_owned(),
                        hint: None,
                    });
                }
                continue;
            }
            self.add(
                statement,
                Given {
                    name,
                    ..Given::default()
                },
            );
        }
        if unread > MOST_PROBLEMS {
            let more = unread - MOST_PROBLEMS;
            self.problem(Problem::new(format!(
                "{more} more pieces of this file are no statements of PostgreSQL"
            )));
        }
    }

    fn met(&mut self, name: &str, met: Met) {
        // Of a query that is known nothing is kept but its calls and values.
        let mark = self.fingerprint(&met.text);
        if let Some(known) = self.known(mark) {
            count(known, Some(met.calls), met.total_ms);
            add_samples(known, &met.values);
            self.workload.repeated += 1;
            return;
        }
        if self.workload.queries.len() >= MOST_QUERIES {
            self.left_out += 1;
            return;
        }
        // Only what is kept is worth a text of its own.
        let probe = Text::new(name, met.text).anchored(met.anchors);
        let source = self.sources.add(probe);
        let text = self.sources.get(source).map_or("", Text::text);
        let (statements, _) = sql::read(source, text);
        for statement in statements {
            self.add(
                statement,
                Given {
                    calls: Some(met.calls),
                    total_ms: met.total_ms,
                    name: None,
                    logged: true,
                    values: &met.values,
                },
            );
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

    /// The query that stands within another statement.
    fn within(&self, statement: &Statement) -> Option<Statement> {
        let source: SourceId = statement.span.source;
        let text = self.sources.get(source)?.text();
        let (start, end) = within::query(text, statement.span)?;
        sql::read_from(source, text.get(..end)?, start)
            .filter(|inner| inner.kind != StatementKind::Other)
    }

    fn add(&mut self, statement: Statement, given: Given<'_>) {
        let mut statement = statement;
        if statement.kind == StatementKind::Other && statement.query.is_none() {
            let Some(inner) = self.within(&statement) else {
                self.workload.utility += 1;
                return;
            };
            statement = inner;
        }
        if is_own(&statement) {
            self.workload.own += 1;
            return;
        }
        let mark = self.fingerprint(&statement.text);
        if let Some(known) = self.known(mark) {
            count(known, given.calls, given.total_ms);
            add_samples(known, given.values);
            if known.name.is_none() {
                known.name = given.name;
            }
            self.workload.repeated += 1;
            return;
        }
        if self.workload.queries.len() >= MOST_QUERIES {
            self.left_out += 1;
            return;
        }
        self.by_fingerprint
            .insert(mark, self.workload.queries.len());
        let mut query = WorkloadQuery {
            statement,
            fingerprint: mark,
            calls: given.calls,
            total_ms: given.total_ms,
            name: given.name,
            logged: given.logged,
            samples: Vec::new(),
        };
        add_samples(&mut query, given.values);
        self.workload.queries.push(query);
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

/// What is known of a query besides its text.
#[derive(Default)]
struct Given<'a> {
    calls: Option<f64>,
    total_ms: Option<f64>,
    name: Option<String>,
    logged: bool,
    values: &'a [Values],
}

/// Adds the values of calls, each as one for every `$n` of the query. What has
/// more or fewer values than the query has placeholders is of another text.
fn add_samples(query: &mut WorkloadQuery, values: &[Values]) {
    for one in values {
        if query.samples.len() >= MOST_SAMPLES {
            return;
        }
        let Some(sample) = sample(&query.statement, one) else {
            continue;
        };
        if !query.samples.contains(&sample) {
            query.samples.push(sample);
        }
    }
}

fn sample(statement: &Statement, values: &Values) -> Option<Vec<Option<String>>> {
    let wanted = usize::try_from(statement.parameters()).ok()?;
    if wanted == 0 {
        return None;
    }
    match values {
        Values::Listed(values) => (values.len() == wanted).then(|| values.clone()),
        Values::Named(named) => {
            let mut sample = vec![None; wanted];
            for placeholder in &statement.placeholders {
                let name = placeholder
                    .text
                    .trim_start_matches(['%', ':', '@', '(', '$'])
                    .trim_end_matches(['s', 'd'])
                    .trim_end_matches(')');
                let (_, value) = named.iter().find(|(other, _)| {
                    other == name || placeholder.text.trim_start_matches([':', '@']) == other
                })?;
                let at = usize::try_from(placeholder.number).ok()?.checked_sub(1)?;
                sample.get_mut(at)?.clone_from(value);
            }
            Some(sample)
        }
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
    if export::is_json(begin) && !log::is_jsonlog(begin) {
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
