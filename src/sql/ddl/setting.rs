//! `SET`, `RESET`, `set_config` and transaction control.

use super::expression;
use super::text;
use super::tree::{Node, SyntaxKind};
use super::{Action, Setting, Transaction};

fn value(node: Node<'_>) -> String {
    match node.kind() {
        SyntaxKind::LITERAL => {
            text::string(node).unwrap_or_else(|| node.text().to_ascii_lowercase())
        }
        // Names in a list of values: `"$user"`, `public`, `on`.
        SyntaxKind::CONFIG_VALUE_NAME => text::simple(node),
        _ => node.text().to_owned(),
    }
}

fn is_value(kind: SyntaxKind) -> bool {
    matches!(
        kind,
        SyntaxKind::LITERAL
            | SyntaxKind::CONFIG_VALUE_NAME
            | SyntaxKind::PREFIX_EXPR
            | SyntaxKind::CAST_EXPR
            | SyntaxKind::ROLE_REF
    )
}

/// `DEFAULT` is a literal to the parser.
fn is_default(node: Node<'_>) -> bool {
    node.text().eq_ignore_ascii_case("default")
}

fn values(node: Node<'_>) -> Option<String> {
    let values: Vec<String> = node
        .nodes()
        .filter(|child| is_value(child.kind()) && !is_default(*child))
        .map(value)
        .collect();
    (!values.is_empty()).then(|| values.join(", "))
}

/// Name and value of `name = value`, of SET and of functions.
pub(super) fn assignment(node: Node<'_>) -> Option<(String, Option<String>)> {
    let name = text::parts(node.child(SyntaxKind::CONFIG_PARAMETER_REF)?).join(".");
    let value = node.child(SyntaxKind::TO_CONFIG_VALUE).and_then(values);
    Some((name.to_ascii_lowercase(), value))
}

/// `SET`, `RESET` and their kin.
pub(super) fn set(node: Node<'_>) -> Option<Action> {
    let local = node.has(SyntaxKind::LOCAL_SCOPE);
    let setting = |name: &str, value: Option<String>| {
        Some(Action::Set(Setting {
            name: name.to_owned(),
            value,
            local,
        }))
    };
    match node.kind() {
        SyntaxKind::SET_ROLE => setting(
            "role",
            node.nodes()
                .find(|child| {
                    child.kind() != SyntaxKind::LOCAL_SCOPE
                        && child.kind() != SyntaxKind::SESSION_SCOPE
                })
                .map(|role| text::string(role).unwrap_or_else(|| text::simple(role))),
        ),
        SyntaxKind::RESET_ROLE => setting("role", None),
        SyntaxKind::RESET_SESSION_AUTH => setting("session_authorization", None),
        SyntaxKind::SET_SESSION_AUTH => setting("session_authorization", values(node)),
        SyntaxKind::SET_TRANSACTION => {
            if node.has(SyntaxKind::SESSION_CHARACTERISTICS) {
                setting("session characteristics", None)
            } else {
                Some(Action::Transaction(Transaction::Options))
            }
        }
        SyntaxKind::RESET => {
            if let Some(name) = node.child(SyntaxKind::CONFIG_PARAMETER_REF) {
                setting(&text::parts(name).join("."), None)
            } else if node.has(SyntaxKind::ALL) {
                setting("all", None)
            } else if node.has(SyntaxKind::RESET_TIME_ZONE) {
                setting("timezone", None)
            } else {
                setting("transaction_isolation", None)
            }
        }
        SyntaxKind::SET => {
            let target = node.nodes().find(|child| {
                !matches!(
                    child.kind(),
                    SyntaxKind::LOCAL_SCOPE | SyntaxKind::SESSION_SCOPE
                )
            })?;
            match target.kind() {
                SyntaxKind::SET_CONFIG => {
                    let (name, value) = assignment(target)?;
                    setting(&name, value)
                }
                SyntaxKind::SET_TIME_ZONE => setting("timezone", values(target)),
                SyntaxKind::SET_SCHEMA_VALUE => setting("search_path", values(target)),
                SyntaxKind::SET_XML_OPTION => setting("xmloption", None),
                _ => setting("catalog", values(target)),
            }
        }
        _ => None,
    }
}

/// `SELECT set_config('name', 'value', local)` and nothing else.
pub(super) fn set_config(select: Node<'_>) -> Option<Action> {
    let mut clauses = select.nodes();
    let clause = clauses.next()?;
    if clauses.next().is_some() || clause.kind() != SyntaxKind::SELECT_CLAUSE {
        return None;
    }
    let mut targets = clause.child(SyntaxKind::TARGET_LIST)?.nodes();
    let call = targets.next()?.child(SyntaxKind::CALL_EXPR)?;
    if targets.next().is_some() {
        return None;
    }
    let name = expression::dotted(call.nodes().next()?)?;
    let known = name
        .schema
        .as_ref()
        .is_none_or(|schema| schema == "pg_catalog");
    if !known || name.name != "set_config" {
        return None;
    }
    let arguments: Vec<Node<'_>> = call
        .child(SyntaxKind::ARG_LIST)?
        .nodes()
        .filter_map(expression::first)
        .collect();
    let [name, value, local] = arguments.as_slice() else {
        return None;
    };
    Some(Action::Set(Setting {
        name: text::string(*name)?.to_ascii_lowercase(),
        value: text::string(*value),
        local: local.text().eq_ignore_ascii_case("true"),
    }))
}

/// Transaction control.
pub(super) fn transaction(node: Node<'_>) -> Option<Transaction> {
    Some(match node.kind() {
        SyntaxKind::BEGIN => Transaction::Begin,
        SyntaxKind::COMMIT_TRANSACTION => Transaction::Commit,
        SyntaxKind::ROLLBACK_TRANSACTION => Transaction::Rollback,
        SyntaxKind::SAVEPOINT_CREATE => Transaction::Savepoint,
        SyntaxKind::RELEASE_SAVEPOINT => Transaction::ReleaseSavepoint,
        SyntaxKind::ROLLBACK_TO_SAVEPOINT => Transaction::RollbackToSavepoint,
        SyntaxKind::PREPARE_TRANSACTION => Transaction::Prepare,
        SyntaxKind::SET_CONSTRAINTS => Transaction::Options,
        _ => return None,
    })
}
