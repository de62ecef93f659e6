//! The statement that stands before a plan in a paste, and whether a text is
//! SQL at all. Only words are looked at: plans know no SQL.

use super::frame;
use super::lines::Line;

/// Words that a statement begins with.
const STATEMENTS: [&str; 34] = [
    "select", "with", "insert", "update", "delete", "merge", "values", "table", "explain",
    "create", "alter", "drop", "set", "begin", "commit", "rollback", "copy", "do", "grant",
    "revoke", "comment", "analyze", "vacuum", "truncate", "prepare", "execute", "declare", "start",
    "call", "refresh", "show", "reset", "lock", "call",
];

/// The first word of a text, in lower case.
fn first_word(text: &str) -> String {
    text.trim_start_matches(|letter: char| letter.is_whitespace() || letter == '(')
        .chars()
        .take_while(char::is_ascii_alphabetic)
        .take(12)
        .collect::<String>()
        .to_ascii_lowercase()
}

/// Whether the text begins as a statement does.
pub(super) fn begins(text: &str) -> bool {
    let word = first_word(text);
    STATEMENTS.contains(&word.as_str())
}

/// A text without the comments and blanks that it begins with.
pub(super) fn without_comments(text: &str) -> &str {
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    loop {
        if let Some(comment) = rest.strip_prefix("--") {
            rest = comment
                .split_once('\n')
                .map_or("", |(_, after)| after)
                .trim_start();
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment
                .split_once("*/")
                .map_or("", |(_, after)| after)
                .trim_start();
        } else {
            return rest;
        }
    }
}

/// The statement at the end of the lines before a plan.
pub(super) fn before(lines: &[Line<'_>]) -> Option<String> {
    // A statement is rarely longer, and the search must not see all lines
    // before each of many plans.
    let from = lines.len().saturating_sub(2_000);
    let mut found: Option<Vec<&str>> = None;
    let mut ended = false;
    for line in lines.get(from..)? {
        let trimmed = line.text.trim();
        let typed = frame::prompted(trimmed);
        let text = typed.unwrap_or(&line.text);
        let begins_here =
            begins(text) && (found.is_none() || ended || first_word(text) == "explain");
        if begins_here {
            found = Some(vec![text]);
        } else if let Some(statement) = &mut found
            && !ended
            && trimmed != "QUERY PLAN"
            && !trimmed.starts_with("```")
            && !(trimmed.starts_with('\\') && typed.is_none())
        {
            statement.push(text);
        } else {
            continue;
        }
        ended = text.trim_end().ends_with(';');
    }
    let statement = found?.join("\n");
    let statement = statement.trim().trim_end_matches(';').trim_end();
    let plain = without_explain(statement).trim();
    let word = first_word(plain);
    let planned = matches!(
        word.as_str(),
        "select"
            | "with"
            | "insert"
            | "update"
            | "delete"
            | "merge"
            | "values"
            | "table"
            | "create"
            | "execute"
            | "declare"
            | "refresh"
    );
    // Prose may begin with such a word, and has no end.
    let explained = plain.len() < statement.len();
    (planned && (explained || ended) && !plain.is_empty()).then(|| plain.to_owned())
}

/// Without `EXPLAIN (…)` or `EXPLAIN ANALYZE VERBOSE`.
fn without_explain(statement: &str) -> &str {
    let Some(mut rest) = strip_word(statement, "explain") else {
        return statement;
    };
    rest = without_comments(rest);
    if let Some(options) = rest.strip_prefix('(') {
        // `EXPLAIN (SELECT …)` has no options, but a statement in parentheses.
        let word = first_word(options);
        if matches!(word.as_str(), "select" | "with" | "values" | "table") {
            return rest;
        }
        return options.split_once(')').map_or("", |(_, after)| after);
    }
    for word in ["analyze", "analyse", "verbose"] {
        if let Some(after) = strip_word(rest, word) {
            rest = without_comments(after);
        }
    }
    rest
}

fn strip_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let text = text.trim_start();
    let (head, rest) = text.split_at_checked(word.len())?;
    (head.eq_ignore_ascii_case(word)
        && !rest.starts_with(|letter: char| letter.is_alphanumeric() || letter == '_'))
    .then_some(rest)
}

/// Follows SQL line by line, to know which lines stand in comments and quotes.
#[derive(Debug, Default)]
pub(super) struct Lexer<'a> {
    comment: usize,
    quote: Option<char>,
    dollar: Option<&'a str>,
}

impl<'a> Lexer<'a> {
    /// Whether the next line begins outside of comments and quotes.
    pub(super) fn is_plain(&self) -> bool {
        self.comment == 0 && self.quote.is_none() && self.dollar.is_none()
    }

    /// Reads a line.
    pub(super) fn feed(&mut self, line: &'a str) {
        let mut rest = line;
        while let Some(letter) = rest.chars().next() {
            let after = rest.get(letter.len_utf8()..).unwrap_or_default();
            if self.comment > 0 {
                if let Some(after) = rest.strip_prefix("*/") {
                    self.comment -= 1;
                    rest = after;
                    continue;
                }
                if let Some(after) = rest.strip_prefix("/*") {
                    self.comment += 1;
                    rest = after;
                    continue;
                }
            } else if let Some(tag) = self.dollar {
                if let Some(after) = rest.strip_prefix(tag) {
                    self.dollar = None;
                    rest = after;
                    continue;
                }
            } else if let Some(quote) = self.quote {
                if letter == quote {
                    self.quote = None;
                }
            } else if let Some(after) = rest.strip_prefix("/*") {
                self.comment = 1;
                rest = after;
                continue;
            } else if rest.starts_with("--") {
                return;
            } else if matches!(letter, '\'' | '"') {
                self.quote = Some(letter);
            } else if letter == '$'
                && let Some(end) = after.find('$')
                && let Some(tag) = rest.get(..end + 2)
                && after.get(..end).is_some_and(|name| {
                    name.chars()
                        .all(|letter| letter.is_alphanumeric() || letter == '_')
                })
                && !after.starts_with(|digit: char| digit.is_ascii_digit())
            {
                self.dollar = Some(tag);
                rest = rest.get(tag.len()..).unwrap_or_default();
                continue;
            }
            rest = after;
        }
    }
}
