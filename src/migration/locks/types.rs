//! Whether a new type of a column needs its rows written anew.
//!
//! Source: `ATColumnChangeRequiresRewrite` in tablecmds.c, and the support
//! functions of the casts that only change a length or precision
//! (`varchar_support`, `numeric_support`, `varbit_support`,
//! `timestamp_support`, `time_support`, `interval_support`).

use crate::migration::Server;
use crate::migration::state::State;
use crate::sql::ddl::{Expression, TypeName};

/// What a change of type needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TypeChange {
    /// Nothing but the catalogues; indexes on the column stay.
    Kept,
    /// The rows stay, but indexes on the column sort by other operators and
    /// are built anew.
    OtherOperators,
    /// Every row is written anew. The words say why.
    Rewrite(String),
}

/// A type with its domains resolved.
struct Resolved {
    base: String,
    modifiers: Vec<String>,
    array: bool,
    text: String,
    /// A domain on the way has constraints.
    constrained: bool,
}

fn resolve(type_name: &TypeName, state: &State) -> Resolved {
    let mut at = type_name;
    let mut constrained = false;
    // A domain can be over a domain; a loop there cannot be made in
    // PostgreSQL, and is cut here.
    for _ in 0..32 {
        if at.array {
            break;
        }
        let Some(domain) = state.domain(&at.base) else {
            break;
        };
        constrained |= domain.not_null || domain.checks;
        let Some(next) = &domain.type_name else { break };
        at = next;
    }
    let mut modifiers = at.modifiers.clone();
    if modifiers.is_empty() && !at.array && matches!(at.text.as_str(), "character" | "bit") {
        modifiers.push("1".to_owned());
    }
    Resolved {
        base: at.base.name.clone(),
        modifiers,
        array: at.array,
        text: at.text.clone(),
        constrained,
    }
}

/// Whether a column of that type is of a domain with constraints.
pub(super) fn is_constrained_domain(type_name: &TypeName, state: &State) -> bool {
    !type_name.array && resolve(type_name, state).constrained
}

/// Whether two types (domains resolved) have the same base.
pub(super) fn same_base(from: &TypeName, to: &TypeName, state: &State) -> bool {
    let (from, to) = (resolve(from, state), resolve(to, state));
    from.base == to.base && from.array == to.array
}

/// What `ALTER COLUMN column TYPE to USING using` needs when the column was of
/// type `from`.
pub fn type_change(
    column: &str,
    from: &TypeName,
    to: &TypeName,
    using: Option<&Expression>,
    state: &State,
    server: &Server,
) -> TypeChange {
    if let Some(using) = using
        && !is_plain(using, column, to)
    {
        return TypeChange::Rewrite("USING computes a new value for every row".to_owned());
    }
    let (old, new) = (resolve(from, state), resolve(to, state));
    if from.base == to.base
        && old.base == new.base
        && old.modifiers == new.modifiers
        && old.array == new.array
        && old.text == new.text
    {
        return TypeChange::Kept;
    }
    if new.constrained {
        return TypeChange::Rewrite(format!(
            "the constraints of the domain {} are checked for every row",
            to.text
        ));
    }
    let rewrite = || {
        TypeChange::Rewrite(format!(
            "{} is stored otherwise than {}",
            to.text, from.text
        ))
    };
    if old.array != new.array {
        return rewrite();
    }
    if old.base == new.base {
        return if keeps_modifiers(&old, &new) {
            TypeChange::Kept
        } else {
            TypeChange::Rewrite(format!(
                "values of {} may not fit into {}",
                from.text, to.text
            ))
        };
    }
    if old.array {
        return rewrite();
    }
    match (old.base.as_str(), new.base.as_str()) {
        ("varchar" | "text" | "xml", "varchar" | "text") => {
            if new.modifiers.is_empty() {
                TypeChange::Kept
            } else {
                TypeChange::Rewrite(format!(
                    "values of {} may not fit into {}",
                    from.text, to.text
                ))
            }
        }
        ("citext", "text" | "varchar") | ("text" | "varchar", "citext")
            if new.modifiers.is_empty() =>
        {
            TypeChange::OtherOperators
        }
        ("cidr", "inet") => TypeChange::Kept,
        ("int4", "oid") | ("oid", "int4") => TypeChange::OtherOperators,
        ("bit", "varbit") | ("varbit", "bit") if new.modifiers.is_empty() => {
            TypeChange::OtherOperators
        }
        ("timestamp", "timestamptz") | ("timestamptz", "timestamp") => {
            if !keeps_modifiers(&old, &new) {
                rewrite()
            } else if is_utc(state, server) {
                TypeChange::OtherOperators
            } else {
                TypeChange::Rewrite(
                    "every value is converted, unless TimeZone is UTC in the session".to_owned(),
                )
            }
        }
        _ => rewrite(),
    }
}

/// `TimeZone` of the session is known to be UTC.
fn is_utc(state: &State, server: &Server) -> bool {
    match state.setting("timezone") {
        Some(zone) => {
            let zone = zone.trim_matches('\'').to_ascii_lowercase();
            let zone = zone.strip_prefix("etc/").unwrap_or(&zone);
            matches!(
                zone,
                "utc" | "gmt" | "uct" | "zulu" | "universal" | "greenwich" | "0" | "gmt0"
            )
        }
        None => server.utc == Some(true),
    }
}

/// The same base type with other modifiers: whether every value stays as it is.
fn keeps_modifiers(old: &Resolved, new: &Resolved) -> bool {
    let number = |one: &Resolved, at: usize| -> Option<i64> {
        one.modifiers
            .get(at)
            .and_then(|text| text.trim().parse().ok())
    };
    if new.base == "interval" {
        return interval(old, new);
    }
    if new.modifiers.is_empty() {
        return true;
    }
    if old.array {
        return old.modifiers == new.modifiers;
    }
    match new.base.as_str() {
        "varchar" | "varbit" => match (number(old, 0), number(new, 0)) {
            (Some(old), Some(new)) => new >= old,
            _ => false,
        },
        "numeric" => match (number(old, 0), number(new, 0)) {
            (Some(was), Some(is)) => {
                is >= was && number(old, 1).unwrap_or(0) == number(new, 1).unwrap_or(0)
            }
            _ => false,
        },
        "timestamp" | "timestamptz" | "time" | "timetz" => match (number(old, 0), number(new, 0)) {
            (_, Some(new)) if new >= 6 => true,
            (Some(old), Some(new)) => new >= old,
            _ => false,
        },
        _ => old.modifiers == new.modifiers,
    }
}

/// `interval_support`: neither precision nor the finest field may be lost.
fn interval(old: &Resolved, new: &Resolved) -> bool {
    let precision = |one: &Resolved| -> i64 {
        one.modifiers
            .iter()
            .find_map(|text| text.trim().parse().ok())
            .unwrap_or(6)
            .min(6)
    };
    let finest = |one: &Resolved| -> usize {
        let text = one.text.to_ascii_lowercase();
        let words: Vec<&str> = text
            .split(|c: char| !c.is_ascii_alphabetic())
            .filter(|word| !word.is_empty())
            .collect();
        words
            .last()
            .and_then(|word| {
                ["year", "month", "day", "hour", "minute", "second"]
                    .iter()
                    .position(|field| field == word)
            })
            .unwrap_or(5)
    };
    finest(new) >= finest(old) && precision(new) >= precision(old)
}

/// `USING column` or `USING column::type`, which is what happens anyway.
fn is_plain(using: &Expression, column: &str, to: &TypeName) -> bool {
    if !using.functions.is_empty()
        || using.columns.len() != 1
        || using.columns.first().is_none_or(|one| one != column)
        || !using.strings.is_empty()
    {
        return false;
    }
    let squeezed: String = using
        .text
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '"')
        .flat_map(char::to_lowercase)
        .collect();
    let column = column.to_lowercase();
    let inner = squeezed
        .strip_prefix("cast(")
        .and_then(|rest| rest.strip_suffix(')'))
        .and_then(|rest| rest.strip_prefix(column.as_str()))
        .and_then(|rest| rest.strip_prefix("as"));
    let cast = match inner {
        Some(cast) => cast,
        None => match squeezed.strip_prefix(column.as_str()) {
            Some("") => return true,
            Some(rest) => match rest.strip_prefix("::") {
                Some(cast) => cast,
                None => return false,
            },
            None => return false,
        },
    };
    // One cast, to the type itself.
    let modifiers: String = to.modifiers.concat();
    let digits: String = cast
        .split_once('(')
        .map_or("", |(_, rest)| rest)
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    !cast.contains("::")
        && !cast.contains(['+', '-', '*', '/', '|', '<', '>', '='])
        && using.casts.len() == 1
        && using
            .casts
            .first()
            .is_some_and(|cast| cast.name == to.base.name)
        && digits == modifiers
        && cast.contains("[]") == to.array
}
