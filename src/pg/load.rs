//! Executing a schema in the embedded cluster, statement by statement.

use super::Error as SessionError;
use super::Session;
use super::cluster::server::{extension_names, has_extension};
use super::embedded::{EmbeddedOptions, show};
use crate::catalog::ident::quote;
use crate::source::Problem;

/// Hands in what the session counted (since version 15).
const FLUSH: &str = "SELECT pg_catalog.pg_stat_force_next_flush()";

/// Executes the schema, one statement at a time.
pub(super) fn load(session: &mut Session, options: &EmbeddedOptions, problems: &mut Vec<Problem>) {
    let mut aborted = false;
    for statement in &options.schema {
        // A session hands in its counts of changed rows late: those of before
        // would then be counted as changes since this ANALYZE.
        if is_analyze(&statement.text) {
            drop(session.execute_script(FLUSH));
        }
        let mut result = session.execute_script(&statement.text);
        // A dump names roles that only its own cluster has.
        for _ in 0..4 {
            let Some(role) = missing_role(&result) else {
                break;
            };
            if session
                .execute_script(&format!("CREATE ROLE {}", quote(&role)))
                .is_err()
            {
                break;
            }
            result = session.execute_script(&statement.text);
        }
        let Err(error) = result else {
            aborted = false;
            continue;
        };
        if let SessionError::Refused(refusal) = &error
            && refusal.sqlstate == "25P02"
        {
            if !aborted {
                problems.push(Problem::at(
                    statement.span,
                    "the transaction of the schema file was aborted by the error before",
                ));
            }
            aborted = true;
            continue;
        }
        let mut span = statement.span;
        if let SessionError::Refused(refusal) = &error
            && let Some(position) = refusal.position
            && let Some((byte, _)) = statement
                .text
                .char_indices()
                .nth((position as usize).saturating_sub(1))
        {
            span.start += byte;
            span.end = span.start.max(span.start + 1).min(statement.span.end);
        }
        let mut hint = error.hint();
        if let Some(name) = extension_of(&statement.text)
            && !has_extension(&name)
        {
            hint = Some(format!(
                "the embedded server does not have the extension {name}; it has {}",
                extension_names().join(", ")
            ));
        }
        if let SessionError::Refused(refusal) = &error
            && refusal.message.starts_with("collation ")
        {
            hint = Some(
                "the embedded server has the collations C, POSIX and ucs_basic only; ask a \
                 database with -d where others matter"
                    .to_owned(),
            );
        }
        let fatal = matches!(
            error,
            SessionError::Lost { .. } | SessionError::TimedOut { .. }
        );
        problems.push(Problem {
            at: Some(span),
            message: format!("the embedded server refused a statement of the schema: {error}"),
            hint,
        });
        if fatal {
            return;
        }
    }
    // An open transaction would hide everything from the next; a dump leaves
    // an empty search_path behind, with which no statement finds its tables.
    let tidy = session
        .execute_script("COMMIT")
        .and_then(|()| session.execute_script(FLUSH))
        .and_then(|()| show(session, "search_path").map_err(|_| SessionError::NotThrowAway))
        .and_then(|path| {
            if path.trim().trim_matches('"').is_empty() {
                session.execute_script("RESET search_path")
            } else {
                Ok(())
            }
        });
    drop(tidy);
}

fn is_analyze(sql: &str) -> bool {
    sql.get(..7)
        .is_some_and(|word| word.eq_ignore_ascii_case("analyze"))
        || sql
            .get(..6)
            .is_some_and(|word| word.eq_ignore_ascii_case("vacuum"))
}

/// The extension that a statement creates.
pub(super) fn extension_of(sql: &str) -> Option<String> {
    let mut words = sql.split_whitespace();
    let mut next = || words.next().map(str::to_lowercase);
    if next()? != "create" || next()? != "extension" {
        return None;
    }
    let mut name = next()?;
    if name == "if" {
        next()?;
        next()?;
        name = next()?;
    }
    Some(name.trim_matches(|c| matches!(c, '"' | ';')).to_owned())
}

fn missing_role(result: &Result<(), SessionError>) -> Option<String> {
    let Err(SessionError::Refused(refusal)) = result else {
        return None;
    };
    let rest = refusal.message.strip_prefix("role \"")?;
    let name = rest.strip_suffix("\" does not exist")?;
    (refusal.sqlstate == "42704").then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_of_a_statement_is_found() {
        assert_eq!(
            extension_of("CREATE EXTENSION IF NOT EXISTS \"uuid-ossp\" WITH SCHEMA public")
                .as_deref(),
            Some("uuid-ossp")
        );
        assert_eq!(
            extension_of("create extension pg_trgm;").as_deref(),
            Some("pg_trgm")
        );
        assert_eq!(extension_of("create table extension (a int)"), None);
    }
}
