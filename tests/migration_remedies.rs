//! The SQL that remedies give runs on real servers, and leaves the schema that
//! the statement it stands for would have left.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use pgadvise::finding::migration::MigrationFinding;
use pgadvise::rules::migration;
use pgadvise::source::SourceId;
use pgadvise::sql::ddl;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::migration_state::dump::OF_SERVER;
use crate::support::migration_fixture::{self, Section};
use crate::support::server::{Server, every_version};

const PORT: u16 = 5432;

/// Remedies that do not stand in place of the statement, or that say that they
/// end elsewhere: the rule, the section (empty for all), and why.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("brief-exclusive-lock", "", "a timeout before the statement"),
    (
        "collation-change-rebuilds-indexes",
        "",
        "the index is made anew as its owner wrote it",
    ),
    (
        "column-type-change-rewrites",
        "",
        "the old column goes one release later",
    ),
    ("column-type-narrowed", "", "a check before the statement"),
    (
        "constrained-domain-column-added",
        "",
        "the domain's base type with its check",
    ),
    ("constraint-dropped", "", "the way back"),
    ("constraint-never-validated", "", "follows the statement"),
    (
        "domain-constraint-scans-tables",
        "NOT NULL",
        "a check in place of NOT NULL",
    ),
    ("duplicate-index", "", "follows the statement"),
    (
        "enum-value-used-in-its-transaction",
        "",
        "a migration before this one",
    ),
    (
        "foreign-key-dropped-locks-both-tables",
        "",
        "a timeout before the statement",
    ),
    ("foreign-key-type-mismatch", "", "follows the statement"),
    ("foreign-key-without-index", "", "follows the statement"),
    (
        "index-dropped-that-is-needed",
        "",
        "another index before the statement",
    ),
    (
        "index-dropped-under-lock",
        "two at once",
        "each index has its finding",
    ),
    (
        "index-on-only-parent-stays-invalid",
        "",
        "follows the statement",
    ),
    ("lock-without-timeout", "", "a timeout before the statement"),
    (
        "new-column-filtered-without-index",
        "",
        "follows the statement",
    ),
    (
        "object-renamed",
        "",
        "the old name is kept beside the new one",
    ),
    (
        "partition-detached-under-lock",
        "",
        "CONCURRENTLY leaves the bounds as a check",
    ),
    (
        "primary-key-dropped",
        "",
        "another key before the statement",
    ),
    ("redundant-index", "", "follows the statement"),
    (
        "replica-identity-lost",
        "",
        "another identity before the statement",
    ),
    ("row-security-changed", "", "a policy before the statement"),
    (
        "serial-or-identity-column-added",
        "identity, and its unique index",
        "a default from a sequence",
    ),
    (
        "stored-generated-column-added",
        "",
        "a trigger fills the column",
    ),
    (
        "table-created-with-reference",
        "",
        "a timeout before the statement",
    ),
    ("table-truncated", "", "a copy before the statement"),
    (
        "trigger-changed-on-busy-table",
        "",
        "a timeout before the statement",
    ),
    (
        "unique-constraint-builds-index",
        "a partitioned table",
        "an index in place of the constraint",
    ),
];

/// One connection, on which each statement is sent by itself.
pub(crate) struct Connection {
    runtime: tokio::runtime::Runtime,
    client: Client,
}

impl Connection {
    pub(crate) fn new(server: &Server, port: u16) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let client = runtime.block_on(async {
            let (client, connection) = tokio_postgres::Config::new()
                .host_path(server.folder())
                .port(port)
                .user("postgres")
                .dbname("remedies")
                .connect(tokio_postgres::NoTls)
                .await
                .unwrap();
            drop(tokio::spawn(connection));
            client
        });
        Self { runtime, client }
    }

    pub(crate) fn rows(&self, sql: &str) -> Result<BTreeSet<String>, String> {
        let messages = self
            .runtime
            .block_on(self.client.simple_query(sql))
            .map_err(|error| {
                error
                    .as_db_error()
                    .map_or_else(|| error.to_string(), |db| db.message().to_owned())
            })?;
        Ok(messages
            .into_iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            })
            .collect())
    }

    /// Runs a script statement by statement.
    pub(crate) fn script(&self, sql: &str) -> Result<(), String> {
        let (statements, _) = ddl::read(SourceId(0), sql);
        for statement in statements {
            let text = sql.get(statement.span.range()).unwrap();
            self.rows(text)
                .map_err(|error| format!("{error}: {text}"))?;
        }
        Ok(())
    }

    /// A database as it was new.
    pub(crate) fn clear(&self) {
        drop(self.rows("ROLLBACK"));
        self.rows("DISCARD ALL").unwrap();
        let schemas = self
            .rows(
                "SELECT format('DROP SCHEMA %I CASCADE', nspname) FROM pg_namespace \
                 WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema' \
                 UNION ALL SELECT format('DROP PUBLICATION %I', pubname) FROM pg_publication",
            )
            .unwrap();
        for schema in schemas {
            self.rows(&schema).unwrap();
        }
        self.rows("CREATE SCHEMA public").unwrap();
    }

    /// The schema as lines.
    pub(crate) fn schema(&self) -> BTreeSet<String> {
        drop(self.rows("ROLLBACK"));
        self.rows("RESET ALL").unwrap();
        self.rows(OF_SERVER)
            .unwrap()
            .into_iter()
            .map(|line| without_position(&line))
            .collect()
    }
}

/// The line of a column without its number: a column that is added to replace
/// another stands behind the rest.
fn without_position(line: &str) -> String {
    let is_column = line.starts_with("column|");
    let fields: Vec<&str> = line.split('|').collect();
    let kept = fields
        .iter()
        .enumerate()
        .filter(|(number, _)| !is_column || *number != 5);
    kept.map(|(_, field)| *field).collect::<Vec<_>>().join("|")
}

/// The finding's statement in the new file, with what stands before and after.
fn around(section: &Section, finding: &MigrationFinding) -> Option<(String, String, String)> {
    let (statements, _) = ddl::read(SourceId(0), &section.sql);
    if section.sql.contains("-- file:") || finding.at.inner > 0 {
        return None;
    }
    let statement = statements.iter().find(|statement| {
        statement.span.start <= finding.span.start && finding.span.end <= statement.span.end
    })?;
    let sql = &section.sql;
    Some((
        sql.get(..statement.span.range().start)?.to_owned(),
        sql.get(statement.span.range())?.to_owned(),
        sql.get(statement.span.range().end..)?.to_owned(),
    ))
}

/// A database for each server, and what was tried and found.
struct Trial {
    connection: Connection,
    major: u32,
    tried: usize,
    wrong: String,
}

impl Trial {
    /// Runs scripts on a database with the history; the schema that they leave.
    fn schema_after(&self, history: &str, scripts: &[&str]) -> Result<BTreeSet<String>, String> {
        self.connection.clear();
        self.connection.script(history)?;
        for script in scripts {
            self.connection.script(script)?;
        }
        Ok(self.connection.schema())
    }

    /// The steps run in place of the statement and end where it does; those
    /// that are meant otherwise run in its place, before it or behind it.
    fn remedy(&mut self, name: &str, section: &Section, finding: &MigrationFinding) {
        let Some(remedy) = &finding.remedy else {
            return;
        };
        let Some((before, statement, after)) = around(section, finding) else {
            return;
        };
        let steps: Vec<&str> = remedy.steps.iter().map(|step| step.sql.as_str()).collect();
        let steps = steps.join(";\n");
        // A value that only the user knows is written as an ellipsis.
        if steps.is_empty() || steps.contains('…') {
            return;
        }
        let history = section.history.as_str();
        let (before, statement, after) = (before.as_str(), statement.as_str(), after.as_str());
        let Ok(expected) = self.schema_after(history, &[before, statement, after]) else {
            // The example is about a statement that fails, or is not complete.
            return;
        };
        self.tried += 1;
        let place = format!("{}: {name}, {}", self.major, section.title);
        let elsewhere = ELSEWHERE
            .iter()
            .any(|(rule, title, _)| *rule == name && section.title.contains(title));
        let found = self.schema_after(history, &[before, &steps, after]);
        if elsewhere {
            if let Err(error) = found
                .or_else(|_| self.schema_after(history, &[before, &steps, statement, after]))
                .or_else(|_| self.schema_after(history, &[before, statement, &steps, after]))
                .or_else(|_| self.schema_after(history, &[&steps, statement, after]))
                .or_else(|_| self.schema_after(history, &[before, statement, after, &steps]))
            {
                let _ = writeln!(self.wrong, "{place}: {error}\n  of {steps}");
            }
            return;
        }
        match found {
            Err(error) => {
                let _ = writeln!(self.wrong, "{place}: {error}\n  of {steps}");
            }
            Ok(found) => {
                for line in expected.difference(&found) {
                    let _ = writeln!(self.wrong, "{place}: lacks {line}\n  after {steps}");
                }
                for line in found.difference(&expected) {
                    let _ = writeln!(self.wrong, "{place}: has {line}\n  after {steps}");
                }
            }
        }
    }
}

/// The version that a section is for.
fn is_for(section: &Section, major: u32) -> bool {
    let version = section
        .options
        .lines()
        .filter_map(|line| line.split_once('='))
        .find(|(key, _)| key.trim() == "version");
    // Without one, what is said holds from the oldest to the newest.
    version.is_none_or(|(_, version)| version.trim().parse() == Ok(major))
}

#[test]
fn steps_of_remedies_run_and_end_where_the_statement_does() {
    for (major, bin) in every_version() {
        if major != 16 && major != 18 {
            continue;
        }
        let server = Server::of_version(&bin, &[], PORT).unwrap();
        drop(server.database("remedies", ""));
        let mut trial = Trial {
            connection: Connection::new(&server, PORT),
            major,
            tried: 0,
            wrong: String::new(),
        };
        for fixture in migration_fixture::all() {
            let rule = migration::find(&fixture.name).unwrap();
            let bad = |section: &&Section| section.bad && is_for(section, major);
            for section in fixture.sections.iter().filter(bad) {
                let (checked, _) = section.check(&[rule]);
                for finding in &checked.findings {
                    trial.remedy(&fixture.name, section, finding);
                }
            }
        }
        assert!(trial.wrong.is_empty(), "\n{}", trial.wrong);
        assert!(trial.tried > 80, "{major}: only {} were tried", trial.tried);
    }
}
