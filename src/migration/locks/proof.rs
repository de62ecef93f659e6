//! Constraints that prove what a statement would otherwise check by reading
//! the table.

use crate::migration::state::{Constrains, Qualified, State, Table};

/// A validated CHECK says `column IS NOT NULL`, alone or joined to others by
/// AND. Source: `NotNullImpliedByRelConstraints` and `predicate_implied_by`.
pub(super) fn not_null_is_proven(table: &Table, column: &str) -> bool {
    table.constraints.iter().any(|constraint| {
        let Constrains::Check { expression } = &constraint.kind else {
            return false;
        };
        constraint.validated
            && conjuncts(&expression.text)
                .iter()
                .any(|part| is_not_null(part, column))
    })
}

/// A valid CHECK of a table to be attached proves the bound of a range, or of
/// a list of one value, over one column.
pub(super) fn bound_is_proven(
    state: &State,
    parent: &Qualified,
    child: &Qualified,
    bound: &str,
) -> bool {
    let (Some(parent), Some(child)) = (state.known(parent), state.known(child)) else {
        return false;
    };
    let Some((_, keys)) = &parent.partition_by else {
        return false;
    };
    let [key] = keys.as_slice() else {
        return false;
    };
    let key = squeeze(key);
    let wanted: Option<Vec<String>> = needed(&key, bound);
    let Some(mut wanted) = wanted else {
        return false;
    };
    // The implicit constraint of a partition says that its key is not null.
    let not_null =
        child.column(&key).is_some_and(|column| column.not_null) || not_null_is_proven(child, &key);
    if !not_null {
        return false;
    }
    for constraint in &child.constraints {
        if let Constrains::Check { expression } = &constraint.kind
            && constraint.validated
        {
            for part in conjuncts(&expression.text) {
                let part = squeeze(&part);
                wanted.retain(|one| *one != part);
            }
        }
    }
    wanted.is_empty()
}

/// The comparisons that a bound stands for.
fn needed(key: &str, bound: &str) -> Option<Vec<String>> {
    let bound = squeeze(bound);
    let bound = bound.strip_prefix("forvalues").unwrap_or(&bound);
    if let Some(range) = bound.strip_prefix("from(") {
        let (from, to) = range.strip_suffix(')')?.split_once(")to(")?;
        let mut wanted = Vec::new();
        if from != "minvalue" {
            wanted.push(format!("{key}>={from}"));
        }
        if to != "maxvalue" {
            wanted.push(format!("{key}<{to}"));
        }
        return Some(wanted);
    }
    let list = bound.strip_prefix("in(")?.strip_suffix(')')?;
    (!list.contains(',') && list != "null").then(|| vec![format!("{key}={list}")])
}

/// Without spaces, quotes of names, and casts of constants, in lower case
/// outside of strings.
fn squeeze(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut quoted, mut cast) = (false, false);
    for letter in text.chars() {
        if letter == '\'' {
            quoted = !quoted;
        }
        if quoted {
            out.push(letter);
            continue;
        }
        // `::text` behind a constant says what it is anyway.
        if cast {
            if letter.is_alphanumeric() || matches!(letter, '_' | ' ' | '"' | '.') {
                continue;
            }
            cast = false;
        }
        if letter == ':' && out.ends_with("':") {
            out.pop();
            cast = true;
        } else if !letter.is_whitespace() && letter != '"' {
            out.extend(letter.to_lowercase());
        }
    }
    out
}

/// The parts of an expression joined by AND at the top.
fn conjuncts(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut waiting = vec![text.to_owned()];
    while let Some(next) = waiting.pop() {
        let next = strip(&next);
        let parts = split(next);
        if parts.len() > 1 {
            waiting.extend(parts);
        } else {
            found.push(next.to_owned());
        }
    }
    found
}

/// Without parentheses around the whole.
fn strip(text: &str) -> &str {
    let mut text = text.trim();
    loop {
        let Some(inner) = text
            .strip_prefix('(')
            .and_then(|rest| rest.strip_suffix(')'))
        else {
            return text;
        };
        let mut depth = 0_i64;
        let mut quoted = false;
        for letter in inner.chars() {
            match letter {
                '\'' => quoted = !quoted,
                '(' if !quoted => depth += 1,
                ')' if !quoted => depth -= 1,
                _ => {}
            }
            if depth < 0 {
                return text;
            }
        }
        text = inner.trim();
    }
}

/// Splits at AND outside of parentheses and strings; one part when there is an
/// OR beside it, or a BETWEEN or CASE, whose AND is another.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut word = String::new();
    let (mut depth, mut quoted) = (0_i64, false);
    for letter in text.chars().chain([' ']) {
        if !quoted && (letter.is_alphanumeric() || letter == '_') {
            word.push(letter);
            continue;
        }
        if depth == 0 && !quoted {
            match word.to_ascii_lowercase().as_str() {
                "or" | "between" | "case" => return vec![text.to_owned()],
                "and" => {
                    word.clear();
                    parts.push(String::new());
                }
                _ => {}
            }
        }
        if let Some(last) = parts.last_mut() {
            last.push_str(&word);
            last.push(letter);
        }
        word.clear();
        match letter {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            _ => {}
        }
    }
    parts
}

/// `column IS NOT NULL`.
fn is_not_null(part: &str, column: &str) -> bool {
    let mut words = part.split_whitespace();
    let name = words
        .next()
        .map(|name| name.trim_matches(['(', ')', '"']))
        .unwrap_or_default();
    let rest: Vec<String> = words.map(str::to_ascii_lowercase).collect();
    let rest: Vec<&str> = rest.iter().map(|word| word.trim_matches(')')).collect();
    (name == column || name.to_lowercase() == column)
        && (rest == ["is", "not", "null"] || rest == ["notnull"])
}

#[cfg(test)]
mod tests {
    use super::{conjuncts, is_not_null, needed};

    #[test]
    fn parts_joined_by_and_are_found_through_parentheses() {
        let parts = conjuncts("((a IS NOT NULL) AND (b > 0 AND (c = 'x and y')))");
        assert_eq!(parts.len(), 3);
        assert!(parts.iter().any(|part| is_not_null(part, "a")));
        assert!(parts.contains(&"c = 'x and y'".to_owned()));
        assert_eq!(conjuncts("a IS NOT NULL OR b > 0").len(), 1);
        assert_eq!(conjuncts("a BETWEEN 1 AND 2").len(), 1);
        assert!(!is_not_null("a IS NULL", "a"));
    }

    #[test]
    fn a_bound_is_comparisons() {
        assert_eq!(
            needed("id", "FOR VALUES FROM (200) TO (MAXVALUE)"),
            Some(vec!["id>=200".to_owned()])
        );
        assert_eq!(
            needed("k", "FOR VALUES IN ('A b')"),
            Some(vec!["k='A b'".to_owned()])
        );
        assert_eq!(needed("k", "DEFAULT"), None);
    }
}
