//! The embedded cluster as a planner: a throw-away PostgreSQL that executes
//! schema files and then plans, with what-if indexes that are really built.
//!
//! An index is built once and then hidden (`indisvalid`), so that trying
//! another set costs one plan, not one build; the tables' statistics are put
//! back after each build. The server runs in a child process, killed when a
//! statement takes too long; see [`super::cluster::server`].

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::cluster::server::{PORT, READY, has_extension};
use super::explain::RawText;
use super::load::{extension_of, load};
use super::{Error as SessionError, Limits, Session};
use crate::catalog::Catalog;
use crate::catalog::ident::{literal, quote};
use crate::finding::IndexSpec;
use crate::plan::PlanGraph;
use crate::source::{Problem, Span};
use crate::verify::{
    Engine, PlanError, PlanOptions, Planned, Planner, SupposedIndex, Supposition, WhatIf,
};

/// How often a statement is executed to measure it.
const RUNS: usize = 3;
/// Extensions that suggestions may need though the schema does not.
const FOR_SUGGESTIONS: &[&str] = &["pg_trgm"];

/// How many lines of a server that did not come up are told.
const LAST_WORDS: usize = 3;
/// How to start the cluster.
#[derive(Debug, Clone)]
pub struct EmbeddedOptions {
    /// The pgadvise program, which is its own server process.
    pub program: PathBuf,
    /// The schema, statement by statement, in order.
    pub schema: Vec<SchemaStatement>,
    /// Time for one statement of the schema.
    pub load_limit: Duration,
    /// Time for one plan (and its execution, where asked for).
    pub statement_limit: Duration,
}

/// One statement of a schema file.
#[derive(Debug, Clone)]
pub struct SchemaStatement {
    /// Its text as PostgreSQL takes it.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

/// Why there is no embedded cluster.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// The private folder could not be made.
    #[error("no temporary folder for the embedded server in {}", folder.display())]
    Folder {
        /// Where it was tried.
        folder: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The child process could not be started.
    #[error("the embedded server could not be started")]
    Start {
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The child process ended before it was up.
    #[error("the embedded server did not come up: {message}")]
    NotUp {
        /// Its last words.
        message: String,
    },
    /// The cluster is up, but cannot be talked to.
    #[error("the embedded server does not answer")]
    Session(#[from] SessionError),
}

/// An index that was built once.
#[derive(Debug, Clone)]
struct Built {
    /// Size of the main fork, partitions summed.
    bytes: Option<f64>,
    /// Why the server would not build it.
    refused: Option<String>,
    /// Names of its partitions' indexes.
    parts: Vec<String>,
    /// The planner can see it now.
    shown: bool,
}

/// A planner on an embedded cluster.
#[derive(Debug)]
pub struct EmbeddedPlanner {
    options: EmbeddedOptions,
    running: Option<Running>,
    catalog: Option<Catalog>,
    built: BTreeMap<IndexSpec, Built>,
    problems: Vec<Problem>,
    calls: usize,
}

/// The child process with its folder; dropping it ends both.
#[derive(Debug)]
struct Running {
    // Dropped first: the server waits for its client before it ends.
    session: Session,
    child: Child,
    folder: tempfile::TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        // Nothing in the cluster is worth a clean end.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl EmbeddedPlanner {
    /// Starts a cluster and executes the schema. Statements that the server
    /// refuses are problems, and the others go on.
    pub fn start(options: EmbeddedOptions) -> Result<Self, EmbeddedError> {
        let mut planner = Self {
            options,
            running: None,
            catalog: None,
            built: BTreeMap::new(),
            problems: Vec::new(),
            calls: 0,
        };
        planner.problems = planner.come_up()?;
        Ok(planner)
    }

    /// Statements of the schema that were refused.
    pub fn take_problems(&mut self) -> Vec<Problem> {
        std::mem::take(&mut self.problems)
    }

    /// What to know about the plans: those of a schema without rows say little.
    fn notes(&self) -> Vec<String> {
        let empty = self.catalog.as_ref().is_some_and(|catalog| {
            !catalog.relations.is_empty()
                && catalog
                    .relations
                    .iter()
                    .all(|relation| relation.pages <= 0.0)
        });
        if empty {
            vec![
                "its tables hold no rows, so that every statement is cheap and no index can \
                 help: let the schema file load data and ANALYZE, or ask a database"
                    .to_owned(),
            ]
        } else {
            Vec::new()
        }
    }

    /// The cluster's private folder, while it runs.
    pub fn folder(&self) -> Option<&std::path::Path> {
        self.running.as_ref().map(|running| running.folder.path())
    }

    fn come_up(&mut self) -> Result<Vec<Problem>, EmbeddedError> {
        self.built.clear();
        let mut running = start(&self.options)?;
        let mut problems = Vec::new();
        load(&mut running.session, &self.options, &mut problems);
        running
            .session
            .set_statement_limit(self.options.statement_limit);
        self.running = Some(running);
        Ok(problems)
    }

    /// The session, after a restart where the last statement had to be killed.
    fn session(&mut self) -> Result<&mut Session, PlanError> {
        if self.running.is_none() {
            self.come_up().map_err(|error| PlanError::Lost {
                message: error.to_string(),
            })?;
        }
        match &mut self.running {
            Some(running) => Ok(&mut running.session),
            None => Err(PlanError::Lost {
                message: "the embedded server is gone".to_owned(),
            }),
        }
    }

    /// Ends a server that does not answer any more: `statement_timeout` does
    /// not fire in it.
    fn settle<T>(&mut self, result: Result<T, PlanError>) -> Result<T, PlanError> {
        match result {
            Err(PlanError::TimedOut { seconds }) => {
                self.running = None;
                Err(PlanError::TimedOut { seconds })
            }
            Err(PlanError::Lost { message }) => {
                // One statement may crash the server; the next gets a new one.
                self.running = None;
                Err(PlanError::Refused {
                    message: format!("the embedded server ended: {message}"),
                    sqlstate: "57P02".to_owned(),
                    detail: None,
                    hint: None,
                    position: None,
                })
            }
            other => other,
        }
    }

    fn explain(
        &mut self,
        statement: Planned<'_>,
        options: PlanOptions,
    ) -> Result<PlanGraph, PlanError> {
        self.calls += 1;
        let session = self.session()?;
        if !options.analyze {
            return session.explain(statement, options);
        }
        // The embedded server is one process: it can plan for workers, but
        // not start them.
        let workers = show(session, "max_parallel_workers_per_gather")?;
        session.execute_script("SET max_parallel_workers_per_gather = 0")?;
        let plan = session.explain(statement, options);
        if !matches!(
            plan,
            Err(PlanError::TimedOut { .. } | PlanError::Lost { .. })
        ) {
            session.execute_script(&format!(
                "SET max_parallel_workers_per_gather = {}",
                literal(&workers)
            ))?;
        }
        plan
    }

    /// Builds what was not built yet, and shows exactly these indexes.
    fn show_only(&mut self, specs: &[&IndexSpec]) -> Result<(), PlanError> {
        for spec in specs {
            if !self.built.contains_key(*spec) {
                // Another index of this name was built for another statement.
                let stale = self
                    .built
                    .keys()
                    .find(|other| other.schema == spec.schema && other.name == spec.name)
                    .cloned();
                if let Some(stale) = stale {
                    self.built.remove(&stale);
                    self.session()?.execute_script(&format!(
                        "DROP INDEX IF EXISTS {}.{}",
                        quote(&stale.schema),
                        quote(&stale.name)
                    ))?;
                }
                let built = build(self.session()?, spec)?;
                self.built.insert((*spec).clone(), built);
            }
        }
        let mut changes = Vec::new();
        for (spec, built) in &mut self.built {
            let wanted = specs.contains(&spec) && built.refused.is_none();
            if built.shown != wanted {
                built.shown = wanted;
                changes.push(set_valid(spec, wanted));
            }
        }
        if !changes.is_empty() {
            self.session()?.execute_script(&changes.join(";"))?;
        }
        Ok(())
    }

    fn try_what_if(
        &mut self,
        statements: &[Planned<'_>],
        suppositions: &[Supposition],
    ) -> Result<WhatIf, PlanError> {
        let specs = Supposition::indexes(suppositions);
        self.show_only(&specs)?;
        let plans = self.supposing(suppositions, |planner| {
            let mut plans = Vec::new();
            for statement in statements {
                match planner.explain(*statement, PlanOptions::default()) {
                    Err(error @ (PlanError::TimedOut { .. } | PlanError::Lost { .. })) => {
                        return Err(error);
                    }
                    other => plans.push(other),
                }
            }
            Ok(plans)
        })?;
        let indexes = specs
            .iter()
            .map(|spec| {
                let built = self.built.get(*spec);
                SupposedIndex {
                    name: spec.name.clone(),
                    parts: built.map(|built| built.parts.clone()).unwrap_or_default(),
                    bytes: built.and_then(|built| built.bytes),
                    how: "built in the embedded cluster",
                    refused: built.and_then(|built| built.refused.clone()),
                }
            })
            .collect();
        self.show_only(&[])?;
        Ok(WhatIf {
                plans,
                indexes,
                changes: Vec::new(),
            })
    }

    /// Does the work with the supposed statistics in place, and puts the old
    /// ones back: the rows of `pg_statistic` by rolling back, those of
    /// `pg_class` by hand, since ANALYZE writes them in place.
    fn supposing<T>(
        &mut self,
        suppositions: &[Supposition],
        work: impl FnOnce(&mut Self) -> Result<T, PlanError>,
    ) -> Result<T, PlanError> {
        let mut scripts = Vec::new();
        let mut tables = Vec::new();
        for supposition in suppositions {
            if let Supposition::Statistics {
                statements,
                relations,
            } = supposition
            {
                scripts.extend(statements.iter().map(String::as_str));
                tables.extend(relations.iter().cloned());
            }
        }
        if scripts.is_empty() {
            return work(self);
        }
        let saved = saved_sizes(self.session()?, &tables)?;
        self.session()?.execute_script("BEGIN")?;
        let mut result = Ok(());
        for script in scripts {
            result = self
                .session()?
                .execute_script(script)
                .map_err(PlanError::from);
            if result.is_err() {
                break;
            }
        }
        let result = match result {
            Ok(()) => work(self),
            Err(error) => Err(error),
        };
        if self.running.is_some() && !matches!(result, Err(PlanError::TimedOut { .. })) {
            let session = self.session()?;
            session.execute_script("ROLLBACK")?;
            session.execute_script(&saved)?;
        }
        result
    }
}

impl Planner for EmbeddedPlanner {
    fn engine(&self) -> Engine {
        let version = self.running.as_ref().map_or((0, ""), |running| {
            (running.session.version_num(), running.session.version())
        });
        Engine {
            description: format!("PostgreSQL {} (embedded)", version.1),
            version_num: version.0,
            notes: self.notes(),
        }
    }

    fn catalog(&mut self) -> Result<Catalog, PlanError> {
        if let Some(catalog) = &self.catalog {
            return Ok(catalog.clone());
        }
        let read = self.session()?.catalog().map_err(PlanError::from);
        let mut catalog = self.settle(read)?;
        for name in FOR_SUGGESTIONS {
            let known = |other: &String| other == name;
            if !catalog.available_extensions.iter().any(known) {
                catalog.available_extensions.push((*name).to_owned());
            }
        }
        self.catalog = Some(catalog.clone());
        Ok(catalog)
    }

    fn plan(
        &mut self,
        statement: Planned<'_>,
        options: PlanOptions,
    ) -> Result<PlanGraph, PlanError> {
        let plan = self
            .show_only(&[])
            .and_then(|()| self.explain(statement, options));
        self.settle(plan)
    }

    fn what_if(
        &mut self,
        statements: &[Planned<'_>],
        suppositions: &[Supposition],
    ) -> Result<WhatIf, PlanError> {
        let answer = self.try_what_if(statements, suppositions);
        self.settle(answer)
    }

    fn measure(
        &mut self,
        statement: Planned<'_>,
        suppositions: &[Supposition],
    ) -> Result<Option<f64>, PlanError> {
        let specs = Supposition::indexes(suppositions);
        let options = PlanOptions {
            analyze: true,
            allow_writes: false,
        };
        let mut times = Vec::new();
        let result = self.show_only(&specs).and_then(|()| {
            for _ in 0..RUNS {
                times.extend(self.explain(statement, options)?.run.execution_ms);
            }
            self.show_only(&[])
        });
        self.settle(result)?;
        times.sort_by(f64::total_cmp);
        Ok(times.get(times.len() / 2).copied())
    }

    fn calls(&self) -> usize {
        self.calls
    }
}

/// Starts the server; where its unpacked runtime cannot be kept in the user's
/// cache folder, it is unpacked into the private one, which takes longer.
fn start(options: &EmbeddedOptions) -> Result<Running, EmbeddedError> {
    match start_with(options, false) {
        Err(EmbeddedError::NotUp { .. }) => start_with(options, true),
        other => other,
    }
}

fn start_with(options: &EmbeddedOptions, own_cache: bool) -> Result<Running, EmbeddedError> {
    let folder = tempfile::Builder::new()
        .prefix("pgadvise-")
        .tempdir()
        .map_err(|source| EmbeddedError::Folder {
            folder: std::env::temp_dir(),
            source,
        })?;
    let mut wanted: Vec<String> = FOR_SUGGESTIONS
        .iter()
        .map(|name| (*name).to_owned())
        .collect();
    wanted.extend(options.schema.iter().filter_map(|statement| {
        extension_of(&statement.text).filter(|name| has_extension(name) && name != "plpgsql")
    }));
    wanted.sort_unstable();
    wanted.dedup();
    let mut command = Command::new(&options.program);
    command
        .arg("__embedded-server")
        .arg(folder.path())
        .args(&wanted)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if own_cache {
        command
            .env("HOME", folder.path())
            .env("XDG_CACHE_HOME", folder.path().join("cache"));
    }
    // Its own process group: an interrupt at the terminal ends pgadvise, and
    // the child sees its standard input close and tidies up.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command
        .spawn()
        .map_err(|source| EmbeddedError::Start { source })?;
    // Read to the end, or a server with much to say would wait for a reader.
    let words = child.stderr.take().map(|err| {
        std::thread::spawn(move || {
            let mut last: VecDeque<String> = VecDeque::new();
            for line in BufReader::new(err).lines().map_while(Result::ok) {
                if line.trim().is_empty() {
                    continue;
                }
                if last.len() == LAST_WORDS {
                    last.pop_front();
                }
                last.push_back(line.trim().to_owned());
            }
            last
        })
    });
    let mut line = String::new();
    if let Some(out) = child.stdout.take() {
        // The child writes this one line and nothing more.
        drop(BufReader::new(out).read_line(&mut line));
    }
    if line.trim() != READY {
        drop(child.kill());
        drop(child.wait());
        let last = words
            .and_then(|words| words.join().ok())
            .map(Vec::from)
            .unwrap_or_default();
        return Err(EmbeddedError::NotUp {
            message: if last.is_empty() {
                "it ended without a word".to_owned()
            } else {
                last.join("; ")
            },
        });
    }
    let limits = Limits {
        connect: Duration::from_mins(1),
        statement: options.load_limit,
        ..Limits::default()
    };
    let connected = Session::throw_away(folder.path(), PORT, "postgres", "postgres", limits);
    let mut session = match connected {
        Ok(session) => session,
        Err(error) => {
            drop(child.kill());
            drop(child.wait());
            return Err(error.into());
        }
    };
    // The schema creates what it wants itself, in its own schemas.
    for name in &wanted {
        session.execute_script(&format!("DROP EXTENSION IF EXISTS {}", quote(name)))?;
    }
    // What a server has by default; the embedded one starts without workers.
    session.execute_script(
        "SET max_parallel_workers = 8; SET max_parallel_workers_per_gather = 2; SET jit = off",
    )?;
    Ok(Running {
        session,
        child,
        folder,
    })
}

pub(super) fn show(session: &mut Session, name: &str) -> Result<String, PlanError> {
    let rows = session.query(&format!("SHOW {name}"), &[])?;
    Ok(rows
        .first()
        .and_then(|row| row.try_get::<_, String>(0).ok())
        .unwrap_or_default())
}

/// SQL for the object identifiers of an index and of its partitions' indexes.
fn index_oids(spec: &IndexSpec) -> String {
    let name = literal(&format!("{}.{}", quote(&spec.schema), quote(&spec.name)));
    format!("(SELECT {name}::regclass::oid UNION SELECT relid::oid FROM pg_partition_tree({name}))")
}

fn set_valid(spec: &IndexSpec, valid: bool) -> String {
    format!(
        "UPDATE pg_catalog.pg_index SET indisvalid = {valid} WHERE indexrelid IN {}",
        index_oids(spec)
    )
}

/// A script that puts `pg_class`'s sizes of these tables (and partitions) back
/// to what they are now.
fn saved_sizes(session: &mut Session, tables: &[(String, String)]) -> Result<String, PlanError> {
    let mut script = String::new();
    for (schema, table) in tables {
        let name = literal(&format!("{}.{}", quote(schema), quote(table)));
        let rows = session.query(
            &format!(
                "SELECT 'UPDATE pg_catalog.pg_class SET relpages = ' || relpages \
                 || ', reltuples = ' || reltuples || ', relallvisible = ' || relallvisible \
                 || ' WHERE oid = ' || oid || ';' FROM pg_catalog.pg_class \
                 WHERE oid IN (SELECT {name}::regclass::oid \
                 UNION SELECT relid::oid FROM pg_partition_tree({name}))"
            ),
            &[],
        )?;
        for row in rows {
            if let Ok(RawText(line)) = row.try_get(0) {
                script.push_str(&line);
            }
        }
    }
    Ok(script)
}

/// Builds an index and hides it; the table's statistics stay as they were.
fn build(session: &mut Session, spec: &IndexSpec) -> Result<Built, PlanError> {
    if let Some(extension) = &spec.extension {
        session.execute_script(&format!(
            "CREATE EXTENSION IF NOT EXISTS {}",
            quote(extension)
        ))?;
    }
    let tables = [(spec.schema.clone(), spec.table.clone())];
    let sizes = saved_sizes(session, &tables)?;
    if let Err(error) = session.execute_script(&spec.plain_sql()) {
        return match error {
            SessionError::Refused(refusal) => Ok(Built {
                bytes: None,
                refused: Some(refusal.message),
                parts: Vec::new(),
                shown: false,
            }),
            other => Err(other.into()),
        };
    }
    if spec.keys.iter().any(|key| key.is_expression) {
        // An expression's statistics come with the next ANALYZE, as they would
        // in production; the table's own are kept aside meanwhile.
        let name = literal(&format!("{}.{}", quote(&spec.schema), quote(&spec.table)));
        let oids = format!(
            "(SELECT {name}::regclass::oid UNION SELECT relid::oid FROM pg_partition_tree({name}))"
        );
        session.execute_script(&format!(
            "UPDATE pg_catalog.pg_statistic SET starelid = (starelid::int8 + 2000000000)::oid \
             WHERE starelid IN {oids}; \
             ANALYZE {}.{}; \
             DELETE FROM pg_catalog.pg_statistic WHERE starelid IN {oids}; \
             UPDATE pg_catalog.pg_statistic SET starelid = (starelid::int8 - 2000000000)::oid \
             WHERE starelid::int8 - 2000000000 IN (SELECT o.oid::int8 FROM {oids} AS o (oid))",
            quote(&spec.schema),
            quote(&spec.table)
        ))?;
    }
    let rows = session.query(
        &format!(
            "SELECT relname::text, pg_relation_size(oid)::float8 FROM pg_catalog.pg_class \
             WHERE oid IN {} ORDER BY 1",
            index_oids(spec)
        ),
        &[],
    )?;
    let mut bytes = 0.0;
    let mut parts = Vec::new();
    for row in rows {
        bytes += row.try_get::<_, f64>(1).unwrap_or(0.0);
        if let Ok(name) = row.try_get::<_, String>(0)
            && name != spec.name
        {
            parts.push(name);
        }
    }
    session.execute_script(&sizes)?;
    session.execute_script(&set_valid(spec, false))?;
    Ok(Built {
        bytes: Some(bytes),
        refused: None,
        parts,
        shown: false,
    })
}
