//! Conditions as EXPLAIN prints them, brought into one form: sides of a
//! comparison and parts of AND and OR in one order, without casts and
//! parentheses that say nothing.
//!
//! It knows what a word, a constant and a parenthesis are, and no more: what
//! is not understood stays as it is, so that two texts with the same form mean
//! the same.

/// A condition in the form in which it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Form {
    /// With its constants.
    pub(super) text: String,
    /// With `?` for every constant and parameter.
    pub(super) shape: String,
}

/// Parentheses inside one another that are looked into.
const MAX_DEPTH: usize = 50;
/// Longer conditions are compared as they stand.
const MAX_BYTES: usize = 20_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Word,
    Quoted,
    Text,
    Number,
    Parameter,
    Operator,
    Open,
    Close,
    Comma,
    Dot,
    Cast,
}

#[derive(Debug, Clone, Copy)]
struct Token<'a> {
    kind: Kind,
    text: &'a str,
}

/// The form of a condition.
pub(super) fn form(text: &str) -> Form {
    if text.len() > MAX_BYTES {
        return Form {
            text: text.to_owned(),
            shape: text.to_owned(),
        };
    }
    let tokens = without_casts(&tokens(text));
    Form {
        text: canonical(&tokens, false, 0),
        shape: canonical(&tokens, true, 0),
    }
}

/// The parts of a condition that are joined by AND, without the names of
/// relations, with `?` for constants; whether each holds a constant.
pub(super) fn parts(text: &str) -> Vec<(String, bool)> {
    if text.len() > MAX_BYTES {
        return Vec::new();
    }
    let tokens = without_qualifiers(&without_casts(&tokens(text)));
    split(strip(&tokens), "AND")
        .into_iter()
        .map(|part| {
            let constant = part.iter().any(|token| {
                matches!(token.kind, Kind::Text | Kind::Number)
                    || token.kind == Kind::Parameter && token.text != "$0"
            });
            (canonical(part, true, 0), constant)
        })
        .collect()
}

/// The constants and parameters of a condition, in order.
pub(super) fn constants(text: &str) -> Vec<&str> {
    if text.len() > MAX_BYTES {
        return Vec::new();
    }
    tokens(text)
        .into_iter()
        .filter(|token| matches!(token.kind, Kind::Text | Kind::Number | Kind::Parameter))
        .map(|token| token.text)
        .collect()
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let bytes = text.as_bytes();
    let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
    let run = |mut at: usize, goes_on: &dyn Fn(u8) -> bool| {
        while at < bytes.len() && goes_on(byte(at)) {
            at += 1;
        }
        at
    };
    let quoted = |mut at: usize, quote: u8| {
        at += 1;
        while at < bytes.len() {
            if byte(at) != quote {
                at += 1;
            } else if byte(at + 1) == quote {
                at += 2;
            } else {
                return at + 1;
            }
        }
        at
    };
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        let kind = match byte(at) {
            b' ' | b'\t' | b'\n' | b'\r' => {
                at += 1;
                continue;
            }
            b'(' => {
                at += 1;
                Kind::Open
            }
            b')' => {
                at += 1;
                Kind::Close
            }
            b',' => {
                at += 1;
                Kind::Comma
            }
            b'.' => {
                at += 1;
                Kind::Dot
            }
            b'\'' => {
                at = quoted(at, b'\'');
                Kind::Text
            }
            b'E' | b'B' | b'X' if byte(at + 1) == b'\'' => {
                at = quoted(at + 1, b'\'');
                Kind::Text
            }
            b'"' => {
                at = quoted(at, b'"');
                Kind::Quoted
            }
            b'$' => {
                at = run(at + 1, &|byte| byte.is_ascii_digit());
                Kind::Parameter
            }
            b':' if byte(at + 1) == b':' => {
                at += 2;
                Kind::Cast
            }
            first if first.is_ascii_digit() => {
                at = run(at, &|byte| is_word(byte) || byte == b'.');
                Kind::Number
            }
            first if is_word(first) => {
                at = run(at, &|byte| is_word(byte) || byte == b'$');
                Kind::Word
            }
            _ => {
                at = run(at + 1, &|byte| b"+-*/<>=~!@#%^&|`?".contains(&byte));
                Kind::Operator
            }
        };
        if let Some(text) = text.get(start..at) {
            found.push(Token { kind, text });
        }
    }
    found
}

/// Without `::type`, however many words the type has.
fn without_casts<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    let mut kept = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        if token.kind != Kind::Cast {
            kept.push(*token);
            continue;
        }
        let kind = |at: usize| tokens.get(at).map(|token| token.kind);
        let word = |at: usize| {
            tokens
                .get(at)
                .filter(|token| token.kind == Kind::Word)
                .map_or("", |token| token.text)
        };
        let first = word(at);
        at += 1;
        while kind(at) == Some(Kind::Dot) {
            at += 2;
        }
        match (first, word(at)) {
            ("character" | "bit", "varying") | ("double", "precision") => at += 1,
            _ => {}
        }
        if kind(at) == Some(Kind::Open) && kind(at + 1) == Some(Kind::Number) {
            while kind(at).is_some_and(|kind| kind != Kind::Close) {
                at += 1;
            }
            at += 1;
        }
        if matches!(word(at), "with" | "without") && word(at + 1) == "time" {
            at += 3;
        }
        // `[]` stands among the operators.
        while tokens
            .get(at)
            .is_some_and(|token| matches!(token.text, "[" | "]"))
        {
            at += 1;
        }
    }
    kept
}

/// Without `relation.` before a column.
fn without_qualifiers<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    let mut kept: Vec<Token<'a>> = Vec::with_capacity(tokens.len());
    for token in tokens {
        let after_dot = kept.last().is_some_and(|last| last.kind == Kind::Dot);
        if after_dot && matches!(token.kind, Kind::Word | Kind::Quoted) {
            kept.pop();
            if kept
                .last()
                .is_some_and(|last| matches!(last.kind, Kind::Word | Kind::Quoted))
            {
                kept.pop();
            }
        }
        kept.push(*token);
    }
    kept
}

/// Without parentheses around the whole.
fn strip<'a, 'b>(mut tokens: &'b [Token<'a>]) -> &'b [Token<'a>] {
    while let [first, inner @ .., last] = tokens
        && first.kind == Kind::Open
        && last.kind == Kind::Close
        && encloses(tokens)
    {
        tokens = inner;
    }
    tokens
}

/// Whether the first parenthesis closes at the end.
fn encloses(tokens: &[Token<'_>]) -> bool {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Open => depth += 1,
            Kind::Close => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1 == tokens.len();
                }
            }
            _ => {}
        }
    }
    false
}

/// The parts between a word outside of all parentheses.
fn split<'a, 'b>(tokens: &'b [Token<'a>], word: &str) -> Vec<&'b [Token<'a>]> {
    let mut parts = Vec::new();
    let mut depth = 0_usize;
    let mut from = 0;
    for (at, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Open => depth += 1,
            Kind::Close => depth = depth.saturating_sub(1),
            // BETWEEN has an AND of its own, which the server never prints.
            Kind::Word if depth == 0 && token.text == word => {
                parts.extend(tokens.get(from..at));
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.extend(tokens.get(from..));
    parts
}

fn canonical(tokens: &[Token<'_>], shape: bool, depth: usize) -> String {
    let tokens = strip(tokens);
    if depth > MAX_DEPTH {
        return joined(tokens, shape, depth);
    }
    for word in ["OR", "AND"] {
        let parts = split(tokens, word);
        if parts.len() > 1 {
            let mut parts: Vec<String> = parts
                .into_iter()
                .map(|part| canonical(part, shape, depth + 1))
                .collect();
            parts.sort_unstable();
            parts.dedup();
            return format!("({})", parts.join(&format!(" {word} ")));
        }
    }
    if let Some((left, operator, right)) = comparison(tokens) {
        let (left, right) = (side(left, shape, depth + 1), side(right, shape, depth + 1));
        if let Some(other) = commuted(operator)
            && right < left
        {
            return format!("{right} {other} {left}");
        }
        return format!("{left} {operator} {right}");
    }
    joined(tokens, shape, depth)
}

/// A side of an operator, in parentheses where it holds an operator itself.
fn side(tokens: &[Token<'_>], shape: bool, depth: usize) -> String {
    let text = canonical(tokens, shape, depth);
    let mut nested = 0_usize;
    let holds_operator = strip(tokens).iter().any(|token| {
        match token.kind {
            Kind::Open => nested += 1,
            Kind::Close => nested = nested.saturating_sub(1),
            _ => {}
        }
        nested == 0 && token.kind == Kind::Operator
    });
    if holds_operator {
        format!("({text})")
    } else {
        text
    }
}

/// The two sides of the only operator outside of all parentheses.
fn comparison<'a, 'b>(
    tokens: &'b [Token<'a>],
) -> Option<(&'b [Token<'a>], &'a str, &'b [Token<'a>])> {
    let mut depth = 0_usize;
    let mut found = None;
    for (at, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Open => depth += 1,
            Kind::Close => depth = depth.saturating_sub(1),
            Kind::Operator if depth == 0 => {
                if found.is_some() {
                    return None;
                }
                found = Some((at, token.text));
            }
            Kind::Comma if depth == 0 => return None,
            _ => {}
        }
    }
    let (at, operator) = found?;
    let (left, right) = (tokens.get(..at)?, tokens.get(at + 1..)?);
    let quantified = right
        .first()
        .is_some_and(|token| matches!(token.text, "ANY" | "ALL"));
    (!left.is_empty() && !right.is_empty() && !quantified).then_some((left, operator, right))
}

/// The operator with its sides exchanged.
fn commuted(operator: &str) -> Option<&'static str> {
    Some(match operator {
        "=" => "=",
        "<>" => "<>",
        "<" => ">",
        ">" => "<",
        "<=" => ">=",
        ">=" => "<=",
        _ => return None,
    })
}

/// The tokens as text; what stands in parentheses is brought into form too.
fn joined(tokens: &[Token<'_>], shape: bool, depth: usize) -> String {
    let mut text = String::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let constant = matches!(token.kind, Kind::Text | Kind::Number | Kind::Parameter);
        if !text.is_empty() {
            text.push(' ');
        }
        at += 1;
        if token.kind == Kind::Open && depth < MAX_DEPTH {
            let rest = tokens.get(at..).unwrap_or_default();
            if let Some(length) = closing(rest) {
                let inner = rest.get(..length).unwrap_or_default();
                let is_call = text.trim_end().ends_with(|c: char| c.is_alphanumeric());
                let inner = arguments(inner, shape, depth + 1);
                if is_call || inner.contains(' ') {
                    text.push_str(&format!("( {inner} )"));
                } else {
                    text.push_str(&inner);
                }
                at += length + 1;
                continue;
            }
        }
        text.push_str(if constant && shape { "?" } else { token.text });
    }
    text
}

/// Where the parenthesis closes that was opened before.
fn closing(tokens: &[Token<'_>]) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Open => depth += 1,
            Kind::Close if depth == 0 => return Some(at),
            Kind::Close => depth -= 1,
            _ => {}
        }
    }
    None
}

fn arguments(tokens: &[Token<'_>], shape: bool, depth: usize) -> String {
    let mut parts = Vec::new();
    let mut nested = 0_usize;
    let mut from = 0;
    for (at, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Open => nested += 1,
            Kind::Close => nested = nested.saturating_sub(1),
            Kind::Comma if nested == 0 => {
                parts.extend(tokens.get(from..at));
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.extend(tokens.get(from..));
    parts
        .into_iter()
        .map(|part| canonical(part, shape, depth))
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: &str, b: &str) -> bool {
        form(a).text == form(b).text
    }

    #[test]
    fn sides_and_parts_in_another_order_are_the_same_condition() {
        assert!(same("(a.id = b.id)", "(b.id = a.id)"));
        assert!(same("(a < 3)", "(3 > a)"));
        assert!(same("((a = 1) AND (b = 2))", "((b = 2) AND (a = 1))"));
        assert!(same("((a = 1) OR ((b = 2)))", "((b = 2) OR (1 = a))"));
        assert!(!same("(a < 3)", "(a > 3)"));
        assert!(!same("(a - b)", "(b - a)"));
        assert!(!same("((a = 1) AND (b = 2))", "((a = 1) OR (b = 2))"));
        assert!(!same("((a + b) * c)", "(a + (b * c))"));
    }

    #[test]
    fn casts_are_no_part_of_a_condition() {
        assert!(same("((name)::text = 'x'::text)", "(name = 'x')"));
        assert!(same(
            "(at >= '2024-01-01 00:00:00'::timestamp without time zone)",
            "(at >= '2024-01-01 00:00:00'::timestamp(3) with time zone)"
        ));
        assert!(same(
            "(a = ANY ('{1,2}'::integer[]))",
            "(a = ANY ('{1,2}'::bigint[]))"
        ));
        assert!(same(
            "(c = 'x'::character varying(20))",
            "(c = 'x'::pg_catalog.bpchar)"
        ));
    }

    #[test]
    fn other_constants_leave_the_shape() {
        let (one, other) = (form("(a = 'it''s (x)'::text)"), form("(a = $1)"));
        assert_ne!(one.text, other.text);
        assert_eq!(one.shape, other.shape);
        assert_eq!(
            constants("((a = 'x') AND (b > 3.5) AND (c = $2))"),
            ["'x'", "3.5", "$2"]
        );
    }

    #[test]
    fn parts_have_no_qualifiers() {
        assert_eq!(
            parts("((o.status = 'x'::text) AND (o.id = c.id))"),
            [
                ("? = status".to_owned(), true),
                ("id = id".to_owned(), false)
            ]
        );
    }

    #[test]
    fn whatever_is_given_is_no_trouble() {
        for text in [
            "",
            "(",
            ")",
            "((((",
            "a = ",
            "'",
            "::",
            "a::",
            "$",
            "😀 = 'ü'",
            "( , )",
        ] {
            let _form = form(text);
            let _parts = parts(text);
        }
        let deep = format!("{}a{}", "(".repeat(9000), ")".repeat(9000));
        assert_eq!(form(&deep).text, "a");
        let mixed = format!("{}a{}", "(f(".repeat(3000), "))".repeat(3000));
        assert!(!form(&mixed).text.is_empty());
    }
}
