//! Comments that speak to pgadvise: `-- pgadvise: ignore RULE (reason)`.

use std::ops::Range;

use crate::source::{SourceId, Span};
use crate::sql::Suppression;

/// What a comment asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asks {
    /// Silence for a statement.
    Statement,
    /// Silence for the file.
    File,
    /// Nothing that there is.
    Nothing,
}

/// A comment that speaks to pgadvise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Directive {
    /// What it asks for.
    pub(crate) asks: Asks,
    /// The word that says so, as written.
    pub(crate) word: String,
    /// The comment, its rules and its reason.
    pub(crate) suppression: Suppression,
}

/// What every such comment begins with.
const MARK: &str = "pgadvise:";

/// The comments of a text that speak to pgadvise, in order.
pub(crate) fn directives(source: SourceId, text: &str) -> Vec<Directive> {
    memchr::memmem::find_iter(text.as_bytes(), MARK)
        .filter_map(|at| directive(source, text, at))
        .collect()
}

fn directive(source: SourceId, text: &str, at: usize) -> Option<Directive> {
    let before = text.get(..at)?;
    let line = before.rfind('\n').map_or(0, |end| end + 1);
    let head = text.get(line..at)?.trim_end();
    let rest = text.get(at + MARK.len()..)?;
    let (start, inner) = if let Some(head) = head.strip_suffix("--") {
        (line + head.len(), rest.lines().next().unwrap_or_default())
    } else if let Some(head) = head.strip_suffix("/*") {
        let inner = rest.split("*/").next().unwrap_or_default();
        (line + head.len(), inner.lines().next().unwrap_or_default())
    } else {
        return None;
    };
    let end = at + MARK.len() + inner.trim_end().len();
    Some(parse(source, start..end, inner))
}

fn parse(source: SourceId, span: Range<usize>, inner: &str) -> Directive {
    let inner = inner.trim();
    let word_end = inner
        .find(|c: char| c.is_whitespace() || c == '(' || c == ':')
        .unwrap_or(inner.len());
    let (word, rest) = inner.split_at_checked(word_end).unwrap_or((inner, ""));
    let (names, reason) = match rest.split_once('(') {
        Some((names, reason)) => {
            let reason = reason.trim().trim_end_matches(')').trim();
            (names, (!reason.is_empty()).then(|| reason.to_owned()))
        }
        None => (rest, None),
    };
    Directive {
        asks: match word {
            "ignore" => Asks::Statement,
            "ignore-file" => Asks::File,
            _ => Asks::Nothing,
        },
        word: word.to_owned(),
        suppression: Suppression {
            span: Span::new(source, span),
            rules: names
                .split([',', ' ', '\t', ':'])
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
            reason,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Directive> {
        directives(SourceId(0), text)
    }

    #[test]
    fn comments_of_both_kinds_are_read_and_texts_are_not() {
        let text = "-- pgadvise: ignore a-b, c (why not)\nselect 'pgadvise: ignore x';\n\
                    /* pgadvise: ignore-file d (x) */ --pgadvise:ignroe e";
        let found = read(text);
        let told: Vec<_> = found
            .iter()
            .map(|directive| {
                (
                    directive.asks,
                    directive.suppression.rules.join("+"),
                    directive.suppression.reason.as_deref(),
                    text.get(directive.suppression.span.range()).unwrap_or("?"),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                (
                    Asks::Statement,
                    "a-b+c".to_owned(),
                    Some("why not"),
                    "-- pgadvise: ignore a-b, c (why not)"
                ),
                (
                    Asks::File,
                    "d".to_owned(),
                    Some("x"),
                    "/* pgadvise: ignore-file d (x)"
                ),
                (Asks::Nothing, "e".to_owned(), None, "--pgadvise:ignroe e"),
            ]
        );
    }
}
