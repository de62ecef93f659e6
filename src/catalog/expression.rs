//! Telling whether an expression that a user wrote is one that PostgreSQL
//! deparsed for an index or a statistics object.
//!
//! Both are brought to a common spelling, by their tokens. This is for
//! recognising what is there already, not for proving two expressions equal.

use squawk_lexer::TokenKind;

/// The common spelling of an expression: names folded, table qualifiers and
/// parentheses dropped, `CAST(x AS t)`, `date(x)` and `extract(f FROM x)` as
/// `x::t`, `x::date` and `date_part('f', x)`, and casts to text, which
/// PostgreSQL adds to constants and `varchar` columns, dropped.
pub fn normalized(text: &str) -> String {
    let mut tokens: Vec<String> = Vec::new();
    let mut at = 0;
    for token in squawk_lexer::tokenize(text) {
        let start = at;
        at += token.len as usize;
        let Some(piece) = text.get(start..at) else {
            break;
        };
        match token.kind {
            TokenKind::Whitespace
            | TokenKind::LineComment
            | TokenKind::BlockComment { .. }
            | TokenKind::OpenParen
            | TokenKind::CloseParen
            | TokenKind::Eof => {}
            TokenKind::Ident => tokens.push(piece.to_lowercase()),
            TokenKind::QuotedIdent { .. } => tokens.push(super::ident::fold(piece)),
            TokenKind::Dot => {
                // The name before the dot is the qualifier.
                if tokens.last().is_some_and(|last| is_name(last)) {
                    tokens.pop();
                } else {
                    tokens.push(piece.to_owned());
                }
            }
            _ => tokens.push(piece.to_owned()),
        }
    }
    let mut out: Vec<String> = Vec::new();
    let mut rest = tokens.iter().map(String::as_str).peekable();
    while let Some(token) = rest.next() {
        match token {
            "extract" => {
                out.push("date_part".to_owned());
                if let Some(field) = rest.next() {
                    out.push(format!("'{}'", field.trim_matches('\'')));
                }
                if rest.next_if_eq(&"from").is_some() {
                    out.push(",".to_owned());
                }
            }
            "cast" => {}
            "as" => out.extend(["::".to_owned()]),
            "date" if rest.peek().is_some_and(|next| is_name(next)) => {
                if out.last().is_some_and(|last| last == "::") {
                    out.push("date".to_owned());
                } else if let Some(argument) = rest.next() {
                    out.extend([argument.to_owned(), "::".to_owned(), "date".to_owned()]);
                }
            }
            ":" if rest.next_if_eq(&":").is_some() => out.push("::".to_owned()),
            _ => out.push(token.to_owned()),
        }
    }
    let mut spelt = out.join(" ");
    for dropped in [
        " :: text",
        " :: character varying",
        " :: varchar",
        " :: bpchar",
    ] {
        spelt = spelt.replace(dropped, "");
    }
    for (long, short) in [
        (":: timestamp without time zone", ":: timestamp"),
        (":: timestamp with time zone", ":: timestamptz"),
        (":: int4", ":: integer"),
        (":: int8", ":: bigint"),
        ("'UTC'", "'utc'"),
    ] {
        spelt = spelt.replace(long, short);
    }
    spelt
}

/// Whether both spell the same expression.
pub fn same(written: &str, deparsed: &str) -> bool {
    normalized(written) == normalized(deparsed)
}

fn is_name(token: &str) -> bool {
    token
        .chars()
        .next()
        .is_some_and(|first| first.is_alphabetic() || first == '_')
        && token != "and"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_postgresql_deparses_is_recognised() {
        for (written, deparsed) in [
            ("lower(c.email)", "lower((email)::text)"),
            (
                "date_trunc('day', created_at)",
                "date_trunc('day'::text, created_at)",
            ),
            ("o.created_at::date", "((created_at)::date)"),
            ("DATE(created_at)", "date(created_at)"),
            ("date(created_at)", "(created_at)::date"),
            ("CAST(o.created_at AS date)", "(created_at)::date"),
            (
                "extract(year from created_at)",
                "EXTRACT(year FROM created_at)",
            ),
            (
                "extract(year from created_at)",
                "date_part('year'::text, created_at)",
            ),
            ("total * 2", "(total * 2)"),
            ("payload ->> 'k'", "(payload ->> 'k'::text)"),
        ] {
            assert!(
                same(written, deparsed),
                "{written} {deparsed}: {:?} {:?}",
                normalized(written),
                normalized(deparsed)
            );
        }
        assert!(!same("upper(email)", "lower((email)::text)"));
        assert!(!same(
            "date_trunc('day', a)",
            "date_trunc('month'::text, a)"
        ));
    }
}
