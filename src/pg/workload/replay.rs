//! Replays the older files of a history on an empty throw-away cluster.
//!
//! They were applied before, so that what matters is the schema they leave,
//! not how they get there: each part is sent as one message, and statement by
//! statement only where the server refuses that.

use std::collections::BTreeSet;

use crate::catalog::ident::quote;
use crate::migration::{Direction, File, History, Part};
use crate::pg::cluster::Cluster;
use crate::pg::twin::{Progress, TwinError};
use crate::pg::{Error, Session};
use crate::snapshot::Extension;
use crate::source::{Problem, Sources, Span};
use crate::sql::ddl::{Action, Statement};

/// How many refused statements are told one by one.
const TOLD: usize = 20;
/// What each file begins with: nothing that an earlier one has set.
const FRESH: &str = "RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; \
     SET check_function_bodies = off; SET client_min_messages = error";

/// The extensions that the history creates.
pub(in crate::pg) fn extensions(history: &History) -> Vec<Extension> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for statement in history
        .files
        .iter()
        .flat_map(|file| &file.parts)
        .filter(|part| part.direction == Direction::Up)
        .flat_map(|part| &part.statements)
    {
        if let Action::CreateExtension { name, schema, .. } = &statement.action
            && seen.insert(name.clone())
        {
            found.push(Extension {
                name: name.clone(),
                schema: schema.clone().unwrap_or_else(|| "public".to_owned()),
                version: String::new(),
            });
        }
    }
    found
}

/// Executes the older files of a database. What the server refuses is told, and the rest
/// goes on.
pub(in crate::pg) fn replay(
    cluster: &mut dyn Cluster,
    history: &History,
    database: Option<&str>,
    sources: &Sources,
    problems: &mut Vec<Problem>,
    progress: Progress<'_>,
) -> Result<(), TwinError> {
    let files: Vec<&File> = history
        .files
        .iter()
        .filter(|file| !file.new && file.database.as_deref() == database)
        .collect();
    let mut replay = Replay {
        cluster,
        sources,
        problems,
        refused: 0,
    };
    for (at, file) in files.iter().enumerate() {
        progress("replaying older migrations", at, files.len());
        replay.session()?.execute_script(FRESH)?;
        for part in file
            .parts
            .iter()
            .filter(|part| part.direction == Direction::Up)
        {
            replay.part(part)?;
        }
    }
    let more = replay.refused.saturating_sub(TOLD);
    if more > 0 {
        problems.push(Problem {
            at: None,
            message: format!("{more} more statements of older migrations were refused"),
            hint: None,
        });
    }
    let session = cluster.session()?;
    session.execute_script("RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; DISCARD TEMP")?;
    Ok(())
}

struct Replay<'a> {
    cluster: &'a mut dyn Cluster,
    sources: &'a Sources,
    problems: &'a mut Vec<Problem>,
    refused: usize,
}

impl Replay<'_> {
    fn session(&mut self) -> Result<&mut Session, TwinError> {
        Ok(self.cluster.session()?)
    }

    fn part(&mut self, part: &Part) -> Result<(), TwinError> {
        let runs: Vec<&Statement> = part
            .statements
            .iter()
            .filter(|statement| {
                // A message is a transaction by itself, and the session has to
                // know that none is open behind it.
                is_run(statement, self.sources)
                    && !matches!(statement.action, Action::Transaction(_))
            })
            .collect();
        let mut script = String::new();
        for statement in &runs {
            script.push_str(self.sources.slice(statement.span));
            script.push_str(";\n");
        }
        if script.is_empty() {
            return Ok(());
        }
        match self.session()?.execute_script(&script) {
            Ok(()) => return Ok(()),
            Err(error @ Error::Lost { .. }) => return Err(error.into()),
            Err(_) => {}
        }
        // Nothing of the message is left then, unless a body in it said COMMIT.
        self.session()?.execute_script("ROLLBACK")?;
        for statement in runs {
            self.statement(statement)?;
        }
        Ok(())
    }

    fn statement(&mut self, statement: &Statement) -> Result<(), TwinError> {
        let sql = self.sources.slice(statement.span);
        let mut result = self.session()?.execute_script(sql);
        // A role that belongs to the cluster, not to the database.
        for _ in 0..4 {
            let Some(role) = missing_role(&result) else {
                break;
            };
            let made = self
                .cluster
                .admin()?
                .execute_script(&format!("CREATE ROLE {} NOLOGIN", quote(&role)));
            if made.is_err() {
                break;
            }
            result = self.session()?.execute_script(sql);
        }
        let error = match result {
            Ok(()) => return Ok(()),
            Err(error @ Error::Lost { .. }) => return Err(error.into()),
            Err(error) => error,
        };
        let words: Vec<String> = sql
            .split_whitespace()
            .take(8)
            .map(str::to_lowercase)
            .collect();
        // Rights change no plan, and an extension is there from the start.
        if changes_no_plan(&words) || is_there(&error) {
            return Ok(());
        }
        self.refused += 1;
        if self.refused <= TOLD {
            self.problems.push(Problem {
                at: Some(place(statement.span, sql, &error)),
                message: format!(
                    "the throw-away server refused a statement of an older migration: {error}"
                ),
                hint: Some("queries that need it are planned without it".to_owned()),
            });
        }
        Ok(())
    }
}

/// Whether a statement can be sent: the data of a COPY stands outside of it.
pub(in crate::pg) fn is_run(statement: &Statement, sources: &Sources) -> bool {
    let first = sources.slice(statement.span).split_whitespace().next();
    !first.is_some_and(|word| word.eq_ignore_ascii_case("copy"))
}

/// Whether a statement is about rights and remarks.
fn changes_no_plan(words: &[String]) -> bool {
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    matches!(
        word(0),
        "grant" | "revoke" | "comment" | "set" | "reset" | "security" | "reassign" | "notify"
    ) || matches!(
        (word(0), word(1)),
        (
            "create" | "alter" | "drop",
            "role" | "user" | "group" | "publication" | "subscription" | "event" | "database"
        ) | ("alter", "default" | "system")
    ) || (word(0) == "alter" && words.iter().any(|word| word == "owner"))
}

/// An extension that was created before anything else.
pub(in crate::pg) fn is_there(error: &Error) -> bool {
    matches!(error, Error::Refused(refusal)
        if refusal.sqlstate == "42710" && refusal.message.starts_with("extension "))
}

/// The role that the server misses.
pub(in crate::pg) fn missing_role<T>(result: &Result<T, Error>) -> Option<String> {
    let Err(Error::Refused(refusal)) = result else {
        return None;
    };
    let rest = refusal.message.strip_prefix("role \"")?;
    let name = rest.strip_suffix("\" does not exist")?;
    (refusal.sqlstate == "42704").then(|| name.to_owned())
}

/// Where the server stumbled, in the file.
pub(in crate::pg) fn place(span: Span, sql: &str, error: &Error) -> Span {
    let mut span = span;
    if let Error::Refused(refusal) = error
        && let Some(position) = refusal.position
        && let Some((byte, character)) = sql
            .char_indices()
            .nth((position as usize).saturating_sub(1))
    {
        span.start += byte;
        span.end = span.start + character.len_utf8();
    }
    span
}
