//! What a condition in a plan says, as far as its text tells.
//!
//! The server deparses conditions with every nested operation in parentheses,
//! so a few rules about parentheses and quotes are enough to take one apart.
//! This is no SQL parser: what does not fit is kept as text.

/// One part of a condition, between its ANDs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Conjunct<'a> {
    /// The whole part, without the parentheses around it.
    pub(crate) text: &'a str,
    /// Left of the operator.
    pub(crate) left: &'a str,
    /// The operator: `=`, `<>`, `~~`, `IS NULL`, `= ANY`; empty when the part
    /// is not an operation.
    pub(crate) operator: &'a str,
    /// Right of the operator; empty when there is nothing.
    pub(crate) right: &'a str,
}

/// The parts of a condition.
pub(crate) fn conjuncts(text: &str) -> Vec<Conjunct<'_>> {
    let text = strip(text);
    let parts = split(text, " AND ");
    if parts.len() > 1 {
        return parts.into_iter().flat_map(conjuncts).collect();
    }
    if split(text, " OR ").len() > 1 || text.starts_with("NOT ") {
        return vec![whole(text)];
    }
    for suffix in [" IS NOT NULL", " IS NULL", " IS NOT TRUE", " IS TRUE"] {
        if let Some(left) = text.strip_suffix(suffix) {
            return vec![Conjunct {
                text,
                left: left.trim(),
                operator: suffix.trim(),
                right: "",
            }];
        }
    }
    vec![operation(text).unwrap_or_else(|| whole(text))]
}

/// Whether the whole is an OR.
pub(crate) fn is_or(text: &str) -> bool {
    split(strip(text), " OR ").len() > 1
}

fn whole(text: &str) -> Conjunct<'_> {
    Conjunct {
        text,
        left: text,
        operator: "",
        right: "",
    }
}

fn operation(text: &str) -> Option<Conjunct<'_>> {
    let mut start = None;
    for (at, character, top) in walk(text) {
        let sign = top && "=<>!~@#&|%^*+-/?".contains(character);
        match (start, sign) {
            (None, true) if text.get(..at)?.ends_with(' ') => start = Some(at),
            (Some(from), false) => {
                if character != ' ' {
                    return None;
                }
                let mut operator_end = at;
                for word in [" ANY", " ALL"] {
                    if text.get(at..)?.starts_with(word) {
                        operator_end = at + word.len();
                    }
                }
                return Some(Conjunct {
                    text,
                    left: text.get(..from)?.trim(),
                    operator: text.get(from..operator_end)?,
                    right: text.get(operator_end..)?.trim(),
                });
            }
            _ => {}
        }
    }
    None
}

/// Characters with their byte offsets, and whether each stands outside of all
/// parentheses, brackets and quotes.
fn walk(text: &str) -> impl Iterator<Item = (usize, char, bool)> {
    let mut depth = 0_i32;
    let mut quote = None;
    text.char_indices().map(move |(at, character)| {
        if let Some(open) = quote {
            if character == open {
                quote = None;
            }
            return (at, character, false);
        }
        match character {
            '\'' | '"' => {
                quote = Some(character);
                (at, character, false)
            }
            '(' | '[' => {
                depth += 1;
                (at, character, false)
            }
            ')' | ']' => {
                depth -= 1;
                (at, character, false)
            }
            _ => (at, character, depth == 0),
        }
    })
}

/// Splits at a separator that stands outside of parentheses and quotes.
fn split<'a>(text: &'a str, separator: &str) -> Vec<&'a str> {
    let mut parts = Vec::new();
    let mut from = 0;
    for (at, _, top) in walk(text) {
        if top
            && at >= from
            && text
                .get(at..)
                .is_some_and(|rest| rest.starts_with(separator))
        {
            parts.push(text.get(from..at).unwrap_or("").trim());
            from = at + separator.len();
        }
    }
    parts.push(text.get(from..).unwrap_or("").trim());
    parts
}

/// Without the parentheses around the whole.
pub(crate) fn strip(text: &str) -> &str {
    let mut text = text.trim();
    loop {
        let inner = text
            .strip_prefix('(')
            .and_then(|rest| rest.strip_suffix(')'));
        let Some(inner) = inner else { return text };
        // `(a) = (b)` starts and ends with parentheses that are no pair.
        let mut depth = 0_i32;
        let mut quote = None;
        for character in inner.chars() {
            match (quote, character) {
                (Some(open), _) if open == character => quote = None,
                (Some(_), _) => {}
                (None, '\'' | '"') => quote = Some(character),
                (None, '(') => depth += 1,
                (None, ')') => depth -= 1,
                _ => {}
            }
            if depth < 0 {
                return text;
            }
        }
        text = inner.trim();
    }
}

/// Without the casts at the end: `(status)::text` is `status`.
fn strip_casts(text: &str) -> &str {
    let mut text = strip(text);
    while let Some((inner, _)) = last_cast(text) {
        text = strip(inner);
    }
    text
}

/// The types of the casts at the end, outermost first.
pub(crate) fn casts(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut text = strip(text);
    while let Some((inner, name)) = last_cast(text) {
        found.push(name);
        text = strip(inner);
    }
    found
}

/// What is cast, and to which type.
fn last_cast(text: &str) -> Option<(&str, &str)> {
    let at = walk(text)
        .filter(|(at, character, top)| {
            *top && *character == ':' && text.get(*at..).is_some_and(|rest| rest.starts_with("::"))
        })
        .map(|(at, _, _)| at)
        .last()?;
    Some((text.get(..at)?, text.get(at + 2..)?.trim()))
}

/// The column that an expression is, casts aside: (qualifier, name), unquoted.
pub(crate) fn column(text: &str) -> Option<(Option<String>, String)> {
    let mut parts = Vec::new();
    let mut rest = strip_casts(text);
    loop {
        let (name, after) = identifier(rest)?;
        parts.push(name);
        match after.strip_prefix('.') {
            Some(next) => rest = next,
            None if after.is_empty() => break,
            None => return None,
        }
    }
    let name = parts.pop()?;
    let constant =
        parts.is_empty() && matches!(name.as_str(), "true" | "false" | "null" | "CURRENT_DATE");
    (!constant).then(|| (parts.pop(), name))
}

fn identifier(text: &str) -> Option<(String, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        let mut name = String::new();
        let mut characters = quoted.char_indices().peekable();
        while let Some((at, character)) = characters.next() {
            if character != '"' {
                name.push(character);
            } else if characters.next_if(|(_, next)| *next == '"').is_some() {
                name.push('"');
            } else {
                return Some((name, quoted.get(at + 1..)?));
            }
        }
        return None;
    }
    let end = text
        .find(|character: char| !(character.is_alphanumeric() || "_$".contains(character)))
        .unwrap_or(text.len());
    let name = text.get(..end)?;
    let starts_well = name
        .chars()
        .next()
        .is_some_and(|first| first.is_alphabetic() || first == '_');
    starts_well.then(|| (name.to_owned(), text.get(end..).unwrap_or("")))
}

/// Every identifier in a text that could be a column: not a function's name,
/// not a type after `::`, not within a string.
pub(crate) fn names(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    identifiers(text, |name, after, before| {
        let qualifies = after.starts_with('.');
        let calls = after.starts_with('(');
        if !qualifies && !calls && before != ':' && !found.contains(&name) {
            found.push(name);
        }
    });
    found
}

/// Calls back for every identifier outside of strings, with the text after it
/// and the character before it.
fn identifiers(text: &str, mut each: impl FnMut(String, &str, char)) {
    let mut rest = text;
    let mut before = ' ';
    while let Some(first) = rest.chars().next() {
        if first == '\'' {
            let body = rest.get(1..).unwrap_or("");
            let end = body.find('\'').map_or(body.len(), |at| at + 1);
            rest = body.get(end..).unwrap_or("");
            before = '\'';
            continue;
        }
        let starts_name = first == '"' || first.is_alphabetic() || first == '_';
        if starts_name && let Some((name, after)) = identifier(rest) {
            each(name, after, before);
            rest = if before == ':' {
                after_type(after)
            } else {
                after
            };
            before = 'a';
            continue;
        }
        if first.is_ascii_digit() {
            // `1e5` is no name, and neither is the `1` of `$1`.
            let end = rest
                .find(|character: char| !character.is_alphanumeric())
                .unwrap_or(rest.len());
            rest = rest.get(end..).unwrap_or("");
            before = '0';
            continue;
        }
        rest = rest.get(first.len_utf8()..).unwrap_or("");
        before = first;
    }
}

/// What follows the further words of a type: `timestamp(3) with time zone`.
fn after_type(text: &str) -> &str {
    let mut rest = text;
    loop {
        let next = rest.trim_start();
        if let Some(inside) = next.strip_prefix('(')
            && let Some((size, after)) = inside.split_once(')')
            && size.chars().all(|c| c.is_ascii_digit() || c == ',')
        {
            rest = after;
            continue;
        }
        match identifier(next) {
            Some((word, after))
                if matches!(
                    word.as_str(),
                    "with" | "without" | "time" | "zone" | "precision" | "varying"
                ) =>
            {
                rest = after;
            }
            _ => return rest,
        }
    }
}

/// Every qualifier in a text: the `o` of `o.id`.
pub(crate) fn qualifiers(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    identifiers(text, |name, after, _| {
        if after.starts_with('.') && !found.contains(&name) {
            found.push(name);
        }
    });
    found
}

/// The condition only tests what a subquery gave, which no index of the table
/// serves.
pub(crate) fn only_subplans(text: &str) -> bool {
    conjuncts(text).iter().all(|part| {
        let bare = part.text.trim_start_matches("NOT ").trim();
        let bare = strip(bare);
        bare.starts_with("SubPlan ")
            || bare.starts_with("hashed SubPlan ")
            || bare.starts_with("alternatives:")
            || bare.starts_with("ANY (") && bare.contains("SubPlan ")
            || part.operator.ends_with("ANY") && part.right.contains("SubPlan ")
            || part.left.contains("(SubPlan ")
            || part.right.contains("(SubPlan ")
    })
}

/// The column whose text a condition searches for patterns without a fixed
/// beginning, where the condition tests nothing else that an index could find.
pub(crate) fn searched_inside(text: &str) -> Option<String> {
    let mut found = None;
    for part in conjuncts(text) {
        let pattern = strip(part.right).strip_prefix('\'')?;
        match part.operator {
            "~~" if pattern.starts_with(['%', '_']) => {}
            "~~*" => {}
            _ => return None,
        }
        let (_, name) = column(part.left)?;
        found = found.or(Some(name));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn triples(text: &str) -> Vec<(&str, &str, &str)> {
        conjuncts(text)
            .into_iter()
            .map(|part| (part.left, part.operator, part.right))
            .collect()
    }

    #[test]
    fn conditions_are_taken_apart_at_their_ands() {
        assert_eq!(
            triples("((a = 1) AND ((b)::text <> 'x AND y'::text) AND (c IS NULL))"),
            [
                ("a", "=", "1"),
                ("(b)::text", "<>", "'x AND y'::text"),
                ("c", "IS NULL", ""),
            ]
        );
        assert_eq!(
            triples("(status = ANY ('{a,b}'::text[]))"),
            [("status", "= ANY", "('{a,b}'::text[])")]
        );
        assert_eq!(
            triples("((a = 1) OR (b = 2))"),
            [("(a = 1) OR (b = 2)", "", "")]
        );
        assert_eq!(
            triples("((lower(o.email) = 'x'::text) AND ((a + b) > $1))"),
            [("lower(o.email)", "=", "'x'::text"), ("(a + b)", ">", "$1")]
        );
    }

    #[test]
    fn columns_are_seen_through_casts_and_quotes() {
        let named = |text| column(text).map(|(_, name)| name);
        assert_eq!(named("(status)::text").as_deref(), Some("status"));
        assert_eq!(named("o.\"Odd \"\"name\""), Some("Odd \"name".to_owned()));
        assert_eq!(named("lower(email)"), None);
        assert_eq!(named("'x'::text"), None);
        assert_eq!(named("$1"), None);
        assert_eq!(
            column("o.total").and_then(|(qualifier, _)| qualifier),
            Some("o".to_owned())
        );
    }

    #[test]
    fn names_leave_out_functions_types_and_strings() {
        assert_eq!(
            names("((lower(o.email) = 'total'::text) AND (a > $1))"),
            ["email", "AND", "a"]
        );
        assert_eq!(
            names("(date_trunc('day'::text, at) = '2024-01-01'::timestamp(3) with time zone)"),
            ["at"]
        );
        assert_eq!(names("((x)::double precision > y)"), ["x", "y"]);
    }

    #[test]
    fn a_pattern_without_a_beginning_is_known_unless_another_part_may_have_an_index() {
        let column = |text| searched_inside(text);
        assert_eq!(
            column("((o.code)::text ~~ '%99'::text)").as_deref(),
            Some("code")
        );
        assert_eq!(column("(code ~~* 'ab'::text)").as_deref(), Some("code"));
        assert_eq!(column("(code ~~ 'ab%'::text)"), None);
        assert_eq!(column("(code !~~ '%ab'::text)"), None);
        assert_eq!(column("((code ~~ '%ab'::text) AND (customer = 5))"), None);
        assert_eq!(
            column("((code ~~ '%ab'::text) OR (code ~~ '%cd'::text))"),
            None
        );
        assert_eq!(column("(lower(code) ~~ '%ab'::text)"), None);
    }

    #[test]
    fn a_condition_on_a_subquery_is_known() {
        assert!(only_subplans("(NOT (hashed SubPlan 1))"));
        assert!(only_subplans("(total > (SubPlan 1))"));
        assert!(!only_subplans("((a = 1) AND (NOT (hashed SubPlan 1)))"));
    }
}
