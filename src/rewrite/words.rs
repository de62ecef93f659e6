//! Words of a piece of SQL text: what stands between two places that the
//! query's structure names, and where a clause begins and ends.

use squawk_lexer::TokenKind;

/// A token with its place in the text that was cut.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word<'a> {
    /// Its first byte.
    pub(super) start: usize,
    /// One past its last byte.
    pub(super) end: usize,
    /// As written.
    pub(super) text: &'a str,
    /// Parentheses and brackets open before it.
    pub(super) depth: usize,
    /// An unquoted identifier or keyword.
    pub(super) is_name: bool,
    /// A comment.
    pub(super) is_comment: bool,
}

impl Word<'_> {
    /// Whether it is that keyword.
    pub(super) fn is(&self, keyword: &str) -> bool {
        self.is_name && self.text.eq_ignore_ascii_case(keyword)
    }
}

/// The tokens of a text without white space; comments are kept, marked.
pub(super) fn words(text: &str) -> Vec<Word<'_>> {
    let mut at = 0;
    let mut depth = 0_usize;
    let mut found = Vec::new();
    for token in squawk_lexer::tokenize(text) {
        let start = at;
        at += token.len as usize;
        let Some(piece) = text.get(start..at) else {
            break;
        };
        if matches!(token.kind, TokenKind::Whitespace | TokenKind::Eof) {
            continue;
        }
        if matches!(token.kind, TokenKind::CloseParen | TokenKind::CloseBracket) {
            depth = depth.saturating_sub(1);
        }
        found.push(Word {
            start,
            end: at,
            text: piece,
            depth,
            is_name: token.kind == TokenKind::Ident,
            is_comment: matches!(
                token.kind,
                TokenKind::LineComment | TokenKind::BlockComment { .. }
            ),
        });
        if matches!(token.kind, TokenKind::OpenParen | TokenKind::OpenBracket) {
            depth += 1;
        }
    }
    found
}

/// The tokens without comments.
pub(super) fn code(text: &str) -> Vec<Word<'_>> {
    let mut found = words(text);
    found.retain(|word| !word.is_comment);
    found
}

/// The texts of the tokens without comments, names in lower case.
pub(super) fn folded(text: &str) -> Vec<String> {
    code(text)
        .iter()
        .map(|word| {
            if word.is_name {
                word.text.to_lowercase()
            } else {
                word.text.to_owned()
            }
        })
        .collect()
}

/// The comments of a text, ready to stand before what replaces the text:
/// empty when there are none.
pub(super) fn comments(text: &str) -> String {
    let mut kept = String::new();
    for word in words(text).iter().filter(|word| word.is_comment) {
        kept.push_str(word.text.trim_end());
        kept.push(if word.text.starts_with("--") {
            '\n'
        } else {
            ' '
        });
    }
    kept
}

/// Where the clauses of one query level stand, as byte offsets of its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clauses {
    /// One past `SELECT`, and past `DISTINCT` or `ALL` after it.
    pub(super) list: usize,
    /// One past `SELECT` itself.
    pub(super) select: usize,
    /// The last byte of the FROM clause's text, one past.
    pub(super) from_end: usize,
    /// The WHERE keyword: first byte and one past.
    pub(super) filter: Option<(usize, usize)>,
    /// One past the last byte of the WHERE clause, or of FROM without one.
    pub(super) filter_end: usize,
    /// `GROUP BY`, `HAVING`, `WINDOW`, `LIMIT`, `OFFSET`, `FETCH`, `FOR`, or a
    /// set operation follows.
    pub(super) has_more: bool,
    /// `OFFSET`: first byte and one past its last.
    pub(super) offset: Option<(usize, usize)>,
}

/// Finds the clauses of a level that starts with SELECT, given its text from
/// that keyword to its last token. `None` for `WITH`, `VALUES`, `TABLE`, and
/// for what has no FROM.
pub(super) fn clauses(text: &str) -> Option<Clauses> {
    let words = code(text);
    let first = words.first()?;
    if !first.is("select") {
        return None;
    }
    let list = match words.get(1) {
        Some(word) if word.is("distinct") || word.is("all") => word.end,
        _ => first.end,
    };
    let mut from = false;
    let mut filter = None;
    let mut from_end = None;
    let mut filter_end = None;
    let mut has_more = false;
    let mut offset: Option<(usize, Option<usize>)> = None;
    let mut previous: Option<&Word<'_>> = None;
    let mut last = first.end;
    for word in &words {
        if word.depth == 0 && word.is_name {
            let after_distinct = previous.is_some_and(|word| word.is("distinct"));
            let after_dot = previous.is_some_and(|word| word.text == "." || word.is("as"));
            if after_dot {
                // A column or an alias that is spelt like a keyword.
            } else if word.is("from") && !from && !after_distinct {
                from = true;
            } else if from && filter.is_none() && from_end.is_none() && word.is("where") {
                filter = Some((word.start, word.end));
                from_end = Some(last);
            } else if from && STOPS.iter().any(|stop| word.is(stop)) {
                from_end.get_or_insert(last);
                filter_end.get_or_insert(last);
                has_more |= !word.is("order");
                if let Some((_, end @ None)) = &mut offset {
                    *end = Some(last);
                }
                if word.is("offset") {
                    offset = Some((word.start, None));
                }
            }
        }
        last = word.end;
        previous = Some(word);
    }
    if !from {
        return None;
    }
    Some(Clauses {
        list,
        select: first.end,
        from_end: from_end.unwrap_or(last),
        filter,
        filter_end: filter_end.unwrap_or(last),
        has_more,
        offset: offset.map(|(start, end)| (start, end.unwrap_or(last))),
    })
}

/// Keywords that end a FROM or WHERE clause; all are reserved words.
const STOPS: &[&str] = &[
    "group",
    "having",
    "window",
    "order",
    "limit",
    "offset",
    "fetch",
    "for",
    "union",
    "intersect",
    "except",
    "returning",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn part(text: &str, range: (usize, usize)) -> &str {
        text.get(range.0..range.1).unwrap()
    }

    #[test]
    fn clauses_are_found_at_their_own_level() {
        let text = "select extract(year from x), (select 1 from b where c) from t /* where */ \
                    where a is distinct from b and z.\"where\" > 1 order by y";
        let found = clauses(text).unwrap();
        assert_eq!(part(text, (0, found.list)), "select");
        let filter = found.filter.unwrap();
        assert_eq!(part(text, filter), "where");
        assert!(part(text, (0, filter.0)).ends_with("/* where */ "));
        assert!(part(text, (0, found.from_end)).ends_with(" t"));
        assert!(part(text, (0, found.filter_end)).ends_with("> 1"));
        assert!(!found.has_more);
    }

    #[test]
    fn a_level_without_where_ends_its_from() {
        let text = "select distinct a from t join u on t.x = u.x limit 5 offset 10";
        let found = clauses(text).unwrap();
        assert_eq!(part(text, (0, found.list)), "select distinct");
        assert!(part(text, (0, found.from_end)).ends_with("u.x"));
        assert_eq!(found.from_end, found.filter_end);
        assert!(found.has_more);
        assert_eq!(part(text, found.offset.unwrap()), "offset 10");
        assert!(clauses("with a as (select 1) select 1 from a").is_none());
        assert!(clauses("select 1").is_none());
    }

    #[test]
    fn comments_keep_their_line() {
        assert_eq!(comments("a /* x */ = -- y\n 1"), "/* x */ -- y\n");
    }
}
