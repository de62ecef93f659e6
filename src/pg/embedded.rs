//! The embedded cluster as a planner: a throw-away PostgreSQL that executes
//! schema files and then plans, with what-if indexes that are really built.
//!
//! An index is built once and then hidden (`indisvalid`), so that trying
//! another set costs one plan, not one build; the tables' statistics are put
//! back after each build. The server runs in a child process, killed when a
//! statement takes too long; see [`super::cluster::server`].

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::change;
use super::cluster::embedded::{Embedded, ServerOptions};
use super::cluster::{Cluster as _, ClusterError, FOR_SUGGESTIONS};
use super::explain::RawText;
use super::load::{extension_of, load};
use super::{Error as SessionError, Session};
use crate::catalog::Catalog;
use crate::catalog::ident::{literal, quote};
use crate::finding::IndexSpec;
use crate::plan::PlanGraph;
use crate::source::{Problem, Span};
use crate::verify::{
    Engine, PlanError, PlanOptions, Planned, Planner, SupposedChange, SupposedIndex, Supposition,
    WhatIf,
};

/// How often a statement is executed to measure it.
const RUNS: usize = 3;

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
    running: Option<Embedded>,
    catalog: Option<Catalog>,
    built: BTreeMap<IndexSpec, Built>,
    problems: Vec<Problem>,
    calls: usize,
}

impl EmbeddedPlanner {
    /// Starts a cluster and executes the schema. Statements that the server
    /// refuses are problems, and the others go on.
    pub fn start(options: EmbeddedOptions) -> Result<Self, ClusterError> {
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
        self.running.as_ref().map(Embedded::folder)
    }

    fn come_up(&mut self) -> Result<Vec<Problem>, ClusterError> {
        self.built.clear();
        let mut running = start(&self.options)?;
        let mut problems = Vec::new();
        load(running.session()?, &self.options, &mut problems);
        running.set_statement_limit(self.options.statement_limit);
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
        match self.running.as_mut().and_then(Embedded::connected) {
            Some(session) => Ok(session),
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
        let mut changes = Vec::new();
        let plans = self.supposing(suppositions, &mut changes, |planner| {
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
            changes,
        })
    }

    /// Does the work with the supposed statistics and changes in place, and
    /// puts the old ones back: the rows of `pg_statistic` by rolling back,
    /// those of `pg_class` by hand, since ANALYZE and CREATE INDEX write them
    /// in place.
    fn supposing<T>(
        &mut self,
        suppositions: &[Supposition],
        changes: &mut Vec<SupposedChange>,
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
        let sql = change::of(suppositions);
        if scripts.is_empty() && sql.is_empty() {
            return work(self);
        }
        let saved = if sql.is_empty() {
            saved_sizes(self.session()?, &tables)?
        } else {
            change::saved_sizes(self.session()?)?
        };
        // Indexes that were tried before would be in the way of the names of a
        // change.
        let mut begin = "BEGIN".to_owned();
        for (spec, built) in &self.built {
            if !sql.is_empty() && !built.shown && built.refused.is_none() {
                begin.push_str(&format!(
                    "; DROP INDEX {}.{}",
                    quote(&spec.schema),
                    quote(&spec.name)
                ));
            }
        }
        self.session()?.execute_script(&begin)?;
        let mut result = change::make(self.session()?, &sql)
            .map(|made| *changes = made)
            .map_err(PlanError::from);
        for script in scripts {
            if result.is_err() {
                break;
            }
            result = self
                .session()?
                .execute_script(script)
                .map_err(PlanError::from);
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
            (running.version_num(), running.version())
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

    fn plan_with(
        &mut self,
        statement: Planned<'_>,
        settings: &[(&str, &str)],
    ) -> Result<PlanGraph, PlanError> {
        let plan = self.show_only(&[]).and_then(|()| {
            self.calls += 1;
            self.session()?.explain_with(statement, settings)
        });
        self.settle(plan)
    }

    fn calls(&self) -> usize {
        self.calls
    }
}

fn start(options: &EmbeddedOptions) -> Result<Embedded, ClusterError> {
    let mut extensions: Vec<String> = FOR_SUGGESTIONS
        .iter()
        .map(|name| (*name).to_owned())
        .collect();
    extensions.extend(
        options
            .schema
            .iter()
            .filter_map(|statement| extension_of(&statement.text)),
    );
    // The schema creates what it wants itself, in its own schemas.
    Embedded::start(ServerOptions {
        program: options.program.clone(),
        temp: std::env::temp_dir(),
        extensions,
        created: Vec::new(),
        settings: Vec::new(),
        statement_limit: options.load_limit,
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
