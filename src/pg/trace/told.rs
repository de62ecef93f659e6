//! What is known of statements and refusals without asking the server.

use std::collections::BTreeSet;

use crate::migration::locks::{Effect, Known, LockMode, Work};
use crate::migration::state::Qualified;
use crate::pg::Error;
use crate::sql::ddl::{Action, AlterKind, AlterTypeKind, ObjectKind};

/// What each part begins with: a runner opens a session of its own.
pub(super) const FRESH: [&str; 4] = [
    "RESET SESSION AUTHORIZATION",
    "RESET ROLE",
    "RESET ALL",
    "SET client_min_messages = error",
];
pub(super) const TRANSACTION_LOST: &str = "the rest of its transaction was not run";
pub(super) const GOES_ON: &str = "the statements after it were run";

/// The words and quoted names of a statement, in lower case.
pub(super) fn names(sql: &str) -> BTreeSet<String> {
    sql.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// Refusals because something is not there, or is there already.
pub(super) fn is_about_existence(sqlstate: &str) -> bool {
    matches!(
        sqlstate,
        "42P01"
            | "42703"
            | "42704"
            | "42883"
            | "3F000"
            | "42P07"
            | "42701"
            | "42710"
            | "42P06"
            | "42723"
    )
}

/// What a refusal is about: the first name that it quotes, without its schema.
pub(super) fn subject(message: &str) -> Option<String> {
    let name = match message.split('"').nth(1) {
        Some(name) => name,
        None => message.strip_prefix("function ")?.split('(').next()?,
    };
    name.rsplit('.').next().map(str::to_lowercase)
}

pub(super) fn effect(
    relation: Qualified,
    mode: LockMode,
    work: Work,
    command: Option<usize>,
) -> Effect {
    Effect {
        relation,
        mode,
        work,
        known: Known::Traced,
        why: None,
        command,
    }
}

/// Statements after which the server is asked: those that can lock or make a
/// relation.
pub(super) fn is_watched(action: &Action) -> bool {
    match action {
        Action::AlterType(alter) => matches!(alter.kind, AlterTypeKind::Attributes { .. }),
        Action::AlterOther { kind, .. } => {
            matches!(
                kind,
                ObjectKind::Trigger | ObjectKind::Rule | ObjectKind::Policy
            )
        }
        // A body in SQL is analysed, and what it names is locked by that.
        Action::CreateFunction(function) => function.body.language == "sql",
        action => !locks_nothing(action),
    }
}

fn locks_nothing(action: &Action) -> bool {
    matches!(
        action,
        Action::Set(_)
            | Action::Grant { .. }
            | Action::CreateSchema { .. }
            | Action::CreateType(_)
            | Action::CreateDomain(_)
            | Action::CreateExtension { .. }
    )
}

/// Statements that need what a throw-away server may lack: roles, rights,
/// extensions.
pub(super) fn is_risky(action: &Action) -> bool {
    match action {
        Action::Grant { .. }
        | Action::CreateExtension { .. }
        | Action::AlterOther { .. }
        | Action::Other { .. }
        | Action::CreatePolicy { .. }
        | Action::AlterPolicy { .. }
        | Action::CreateFunction(_)
        | Action::Comment { .. }
        | Action::Publication { .. }
        | Action::Set(_) => true,
        // The triggers of foreign keys belong to the system.
        Action::Alter(alter) => alter.commands.iter().any(|command| {
            matches!(
                command.kind,
                AlterKind::OwnerTo | AlterKind::EnableTrigger(_) | AlterKind::DisableTrigger(_)
            )
        }),
        // What the system keeps for itself.
        Action::Dml(dml) => dml
            .target
            .as_ref()
            .is_some_and(|place| place.name.name.starts_with("pg_")),
        // Roles are often made by code, if they are not there.
        Action::Do(body) => {
            body.unread
                || !body.dynamic.is_empty()
                || body.statements.iter().any(|one| is_risky(&one.action))
        }
        // Some extensions are made by a role that may more.
        Action::Drop(drop) => drop.object == ObjectKind::Extension,
        _ => false,
    }
}

/// The server refuses because it is not the user's: a right, an extension or a
/// language that is missing.
pub(super) fn wants_more(error: &Error, action: &Action) -> bool {
    match error {
        Error::PermissionDenied { .. } => true,
        Error::Refused(refusal) => {
            (matches!(action, Action::CreateExtension { .. })
                && matches!(
                    refusal.sqlstate.as_str(),
                    "0A000" | "58P01" | "22023" | "55000"
                ))
                || (refusal.message.starts_with("language \"") && refusal.sqlstate == "42704")
                || (refusal.message.starts_with("extension \"") && refusal.sqlstate == "42704")
        }
        _ => false,
    }
}

/// Statements after which the session's settings or role may be others. All
/// that could run code of the user's are among them, but for the triggers of
/// tables.
pub(super) fn is_unsettling(action: &Action) -> bool {
    !matches!(
        action,
        Action::CreateTable(_)
            | Action::Alter(_)
            | Action::CreateIndex(_)
            | Action::Drop(_)
            | Action::CreateType(_)
            | Action::AlterType(_)
            | Action::CreateDomain(_)
            | Action::CreateView(_)
            | Action::CreateFunction(_)
            | Action::CreateTrigger(_)
            | Action::CreatePolicy { .. }
            | Action::CreateSequence { .. }
            | Action::CreateSchema { .. }
            | Action::Comment { .. }
            | Action::Grant { .. }
            | Action::Truncate { .. }
    )
}
