//! Queries within other statements, and the names that files give to queries.

use crate::source::Span;
use crate::sql::scan::{Scanner, Token, TokenKind};

/// The query of a `PREPARE`, `DECLARE … CURSOR`, `COPY (…) TO` or
/// `CREATE TABLE … AS`: where it begins and ends in the text.
pub(super) fn query(text: &str, span: Span) -> Option<(usize, usize)> {
    let tokens: Vec<Token> = Scanner::new(text.get(..span.end)?, span.start)
        .filter(|token| token.kind != TokenKind::Comment)
        .collect();
    let first = tokens.first()?;
    let word = |at: usize, word: &str| tokens.get(at).is_some_and(|one| one.is_word(text, word));
    if first.is_word(text, "copy") {
        let open = tokens.get(1).filter(|token| token.is(text, "("))?;
        let close = closing(text, &tokens, 1)?;
        return Some((open.end, tokens.get(close)?.start));
    }
    let from = if first.is_word(text, "prepare") {
        outside(text, &tokens, "as")?
    } else if first.is_word(text, "declare") {
        let cursor = outside(text, &tokens, "cursor")?;
        cursor + outside(text, tokens.get(cursor..)?, "for")?
    } else if first.is_word(text, "create") {
        let table = outside(text, &tokens, "table")?;
        // CREATE TEMP TABLE, and not CREATE FUNCTION … RETURNS TABLE.
        if table > 2 {
            return None;
        }
        outside(text, &tokens, "as")?
    } else {
        return None;
    };
    let begin = tokens.get(from + 1)?;
    let begins = [
        "select", "with", "values", "table", "insert", "update", "delete", "merge",
    ]
    .iter()
    .any(|word| begin.is_word(text, word))
        || begin.is(text, "(");
    let mut last = tokens.len().checked_sub(1)?;
    // CREATE TABLE … AS … WITH NO DATA.
    if word(last, "data") && (word(last - 1, "with") || word(last - 1, "no")) {
        last -= if word(last - 1, "no") { 3 } else { 2 };
    }
    begins.then_some((begin.start, tokens.get(last)?.end))
}

/// Whether a text begins with no word of a statement.
pub(super) fn is_strange(text: &str) -> bool {
    let word: String = text
        .trim_start_matches('(')
        .chars()
        .take_while(|c| c.is_ascii_alphabetic() || *c == '_')
        .collect();
    !crate::sql::is_command(&word)
}

/// The first such word outside of parentheses.
fn outside(text: &str, tokens: &[Token], word: &str) -> Option<usize> {
    let mut depth = 0_usize;
    tokens.iter().position(|token| {
        if token.is(text, "(") {
            depth += 1;
        } else if token.is(text, ")") {
            depth = depth.saturating_sub(1);
        }
        depth == 0 && token.is_word(text, word)
    })
}

/// The parenthesis that closes the one at `open`.
fn closing(text: &str, tokens: &[Token], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        if token.is(text, "(") {
            depth += 1;
        } else if token.is(text, ")") {
            depth = depth.saturating_sub(1);
            if depth == 0 {
                return Some(at);
            }
        }
    }
    None
}

/// The name that a comment gives to the query behind it: `-- name: GetUser
/// :one` of sqlc, `/* @name GetUser */` of `PgTyped`, `-- :name get-user :?` of
/// `HugSQL`. `gap` is the text before the query, up to the one above it.
pub(super) fn name(gap: &str) -> Option<String> {
    gap.lines().rev().find_map(|line| {
        let line = line
            .trim()
            .trim_start_matches(['-', '/', '*', '#'])
            .trim_start();
        let rest = [":name ", "@name ", "name: ", "name:", "NAME: "]
            .iter()
            .find_map(|mark| line.strip_prefix(mark))?;
        let name = rest
            .split_whitespace()
            .next()?
            .trim_end_matches(['!', '^', '$', '<', '*', '/', ';', ':']);
        let fits = !name.is_empty()
            && name.chars().count() <= 80
            && name
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
        fits.then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SourceId;

    fn within(text: &str) -> Option<&str> {
        let (start, end) = query(text, Span::new(SourceId(0), 0..text.len()))?;
        text.get(start..end)
    }

    #[test]
    fn the_query_of_another_statement_is_found() {
        for (text, wanted) in [
            (
                "PREPARE q (int, numeric(1, 2)) AS SELECT a AS b FROM t WHERE id = $1",
                Some("SELECT a AS b FROM t WHERE id = $1"),
            ),
            (
                "DECLARE c NO SCROLL CURSOR WITH HOLD FOR SELECT a FROM t",
                Some("SELECT a FROM t"),
            ),
            (
                "COPY (SELECT a FROM t WHERE (b)) TO STDOUT WITH (FORMAT csv)",
                Some("SELECT a FROM t WHERE (b)"),
            ),
            ("COPY t FROM '/tmp/x'", None),
            (
                "CREATE TEMP TABLE r AS SELECT a FROM t WITH NO DATA",
                Some("SELECT a FROM t"),
            ),
            ("CREATE TABLE r (a int DEFAULT 1)", None),
            ("CREATE FUNCTION f() RETURNS TABLE (a int) AS 'x'", None),
            ("CREATE VIEW v AS SELECT 1", None),
            ("EXECUTE q(1)", None),
        ] {
            assert_eq!(within(text), wanted, "{text}");
        }
    }

    #[test]
    fn names_are_those_of_the_last_comment_before_a_query() {
        for (gap, wanted) in [
            ("-- name: GetUser :one\n", Some("GetUser")),
            (
                "; -- name: old\n\n--name:new-one!\n-- more\n",
                Some("new-one"),
            ),
            ("/* @name FindByIds */\n", Some("FindByIds")),
            (
                "/*\n  @name Find\n  @param ids -> (...)\n*/\n",
                Some("Find"),
            ),
            ("-- :name user-by-id :? :1\n", Some("user-by-id")),
            ("-- the name: of a thing, and more\n", None),
            ("", None),
        ] {
            assert_eq!(name(gap).as_deref(), wanted, "{gap}");
        }
    }
}
