//! Parentheses where the parser's precedence is not PostgreSQL's.
//!
//! The parser takes only what stands directly before BETWEEN, ISNULL or
//! IS JSON as the operand (`a + (1 BETWEEN …)`, `x::` and a BETWEEN without a
//! left side), lets the upper bound of BETWEEN run on over OR and `=`, and
//! groups operators such as `->` from the right. Parentheses say what
//! PostgreSQL reads. Only the parser sees them; offsets lead past them to the
//! source. What cannot be told by tokens is left as it is.

use super::OffsetMap;
use super::scan::{Scanner, Token, TokenKind};

/// A text for the parser alone.
#[derive(Debug)]
pub(super) struct Grouped {
    pub(super) text: String,
    pub(super) offsets: OffsetMap,
}

/// Reserved words that no operand goes across.
const BOUNDARIES: &[&str] = &[
    "all",
    "as",
    "distinct",
    "else",
    "except",
    "fetch",
    "for",
    "from",
    "group",
    "having",
    "intersect",
    "into",
    "join",
    "lateral",
    "limit",
    "offset",
    "on",
    "order",
    "returning",
    "select",
    "then",
    "union",
    "using",
    "variadic",
    "when",
    "where",
    "window",
];

/// An operand that goes on up to the present token.
#[derive(Debug, Clone, Copy, Default)]
struct Run {
    start: Option<usize>,
    /// An operator is in it, so that the parser may take a part for the whole.
    compound: bool,
}

impl Run {
    fn touch(&mut self, at: usize) {
        self.start.get_or_insert(at);
    }
}

#[derive(Debug, Clone, Copy, Default)]
enum Between {
    #[default]
    Outside,
    /// Before its AND. Holds where the left operand starts.
    Lower(usize),
    /// After its AND.
    Upper(usize),
}

/// What is known at one level of parentheses.
#[derive(Debug, Default)]
struct Level {
    /// What a BETWEEN would compare.
    operand: Run,
    /// What an ISNULL would look at: comparisons belong to it.
    comparison: Run,
    between: Between,
    /// The last operator of the operand without a precedence of its own.
    other_operator: Option<String>,
    case: bool,
    /// The parentheses are those of DISTINCT ON, with which no operand starts.
    distinct_on: bool,
}

impl Level {
    fn touch(&mut self, at: usize) {
        self.operand.touch(at);
        self.comparison.touch(at);
    }

    fn compound(&mut self, at: usize) {
        self.touch(at);
        self.operand.compound = true;
        self.comparison.compound = true;
    }

    fn end_operand(&mut self) {
        self.operand = Run::default();
        self.other_operator = None;
    }

    fn end_comparison(&mut self) {
        self.end_operand();
        self.comparison = Run::default();
        self.between = Between::Outside;
    }
}

struct Reader<'a> {
    text: &'a str,
    tokens: &'a [Token],
    levels: Vec<Level>,
    /// Where parentheses go.
    inserted: Vec<(usize, char)>,
}

/// The text with parentheses; `None` where it needs none.
pub(super) fn grouped(text: &str, offsets: &OffsetMap) -> Option<Grouped> {
    let tokens: Vec<Token> = Scanner::new(text, 0)
        .filter(|token| token.kind != TokenKind::Comment)
        .collect();
    let mut reader = Reader {
        text,
        tokens: &tokens,
        levels: vec![Level::default()],
        inserted: Vec::new(),
    };
    for at in 0..tokens.len() {
        reader.token(at);
    }
    let mut inserted = reader.inserted;
    if inserted.is_empty() {
        return None;
    }
    inserted.sort_by_key(|(at, _)| *at);
    Some(write(text, offsets, &inserted))
}

impl Reader<'_> {
    fn word(&self, at: Option<usize>, words: &[&str]) -> bool {
        at.and_then(|at| self.tokens.get(at))
            .is_some_and(|token| words.iter().any(|word| token.is_word(self.text, word)))
    }

    fn token(&mut self, at: usize) {
        let Some(&token) = self.tokens.get(at) else {
            return;
        };
        let before = at.checked_sub(1);
        let previous = before.and_then(|before| self.tokens.get(before)).copied();
        let end = previous.map_or(token.start, |previous| previous.end);
        // After a dot every word is a name.
        let name = previous.is_some_and(|previous| previous.is(self.text, "."));
        match token.kind {
            TokenKind::Punctuation => self.punctuation(at, token),
            TokenKind::Operator | TokenKind::Question => self.operator(token, end),
            TokenKind::Word if !name => self.keyword(at, token, end),
            _ => self.touch(token.start),
        }
    }

    fn touch(&mut self, at: usize) {
        if let Some(level) = self.levels.last_mut() {
            level.touch(at);
        }
    }

    fn close(&mut self, case: bool) {
        if self.levels.len() > 1 && self.levels.last().is_some_and(|level| level.case == case) {
            let closed = self.levels.pop();
            if closed.is_some_and(|closed| closed.distinct_on)
                && let Some(level) = self.levels.last_mut()
            {
                level.end_comparison();
            }
        }
    }

    fn punctuation(&mut self, at: usize, token: Token) {
        match token.text(self.text) {
            "(" | "[" => {
                self.touch(token.start);
                let distinct_on = self.word(at.checked_sub(1), &["on"])
                    && self.word(at.checked_sub(2), &["distinct"]);
                self.levels.push(Level {
                    distinct_on,
                    ..Level::default()
                });
            }
            ")" | "]" => self.close(false),
            "." => self.touch(token.start),
            _ => {
                if let Some(level) = self.levels.last_mut() {
                    level.end_comparison();
                }
            }
        }
    }

    fn around(&mut self, start: usize, end: usize) {
        self.inserted.push((start, '('));
        self.inserted.push((end, ')'));
    }

    /// The BETWEEN that ends here: its upper bound would not for the parser.
    fn close_between(&mut self, end: usize) {
        let between = self.levels.last().map(|level| level.between);
        if let Some(Between::Upper(start)) = between {
            self.around(start, end);
            if let Some(level) = self.levels.last_mut() {
                level.between = Between::Outside;
            }
        }
    }

    fn operator(&mut self, token: Token, end: usize) {
        let own = token.text(self.text);
        match own {
            "=" | "<" | ">" | "<=" | ">=" | "<>" | "!=" => {
                self.close_between(end);
                if let Some(level) = self.levels.last_mut() {
                    level.end_operand();
                    level.comparison.compound = true;
                }
            }
            "=>" | ":=" => {
                if let Some(level) = self.levels.last_mut() {
                    level.end_comparison();
                }
            }
            "+" | "-" | "*" | "/" | "%" | "^" | "::" => {
                if let Some(level) = self.levels.last_mut() {
                    level.compound(token.start);
                }
            }
            _ => self.other_operator(own, token.start, end),
        }
    }

    /// All other operators have one precedence and group from the left.
    fn other_operator(&mut self, own: &str, at: usize, end: usize) {
        let Some(level) = self.levels.last_mut() else {
            return;
        };
        let last = level.other_operator.replace(own.to_owned());
        let start = level.operand.start;
        level.compound(at);
        // Which way `||` is grouped makes no difference, and chains are long.
        if let (Some(last), Some(start)) = (last, start)
            && (last != "||" || own != "||")
        {
            self.around(start, end);
        }
    }

    fn keyword(&mut self, at: usize, token: Token, end: usize) {
        let next = at.checked_add(1);
        let own = token.text(self.text).to_ascii_lowercase();
        match own.as_str() {
            "between" => {
                // Before NOT BETWEEN the operand has been seen to.
                if !self.word(at.checked_sub(1), &["not"]) {
                    self.between(at, token, end);
                }
            }
            "not" if self.word(next, &["between"]) => self.between(at, token, end),
            "or" => {
                self.close_between(end);
                self.end_comparison();
            }
            "and" => {
                if let Some(level) = self.levels.last_mut() {
                    if let Between::Lower(start) = level.between {
                        level.between = Between::Upper(start);
                        level.end_operand();
                    } else {
                        level.end_comparison();
                    }
                }
            }
            "in" | "like" | "ilike" | "similar" => self.end_operand(),
            "not" if self.word(next, &["in", "like", "ilike", "similar"]) => self.end_operand(),
            "isnull" | "notnull" => self.truth(end),
            "is" => {
                let kinds = ["json", "normalized", "nfc", "nfd", "nfkc", "nfkd"];
                let what = match next {
                    Some(next) if self.word(Some(next), &["not"]) => next.checked_add(1),
                    other => other,
                };
                if self.word(what, &kinds) {
                    self.truth(end);
                }
                self.end_comparison();
            }
            "case" => {
                self.touch(token.start);
                self.levels.push(Level {
                    case: true,
                    ..Level::default()
                });
            }
            "end" => self.close(true),
            "not" => self.end_comparison(),
            "by" if self.word(at.checked_sub(1), &["order", "group", "partition"]) => {
                self.end_comparison();
            }
            "at" | "collate" | "operator" => {
                if let Some(level) = self.levels.last_mut() {
                    level.compound(token.start);
                }
            }
            word if BOUNDARIES.contains(&word) => self.end_comparison(),
            _ => self.touch(token.start),
        }
    }

    fn end_operand(&mut self) {
        if let Some(level) = self.levels.last_mut() {
            level.end_operand();
            level.comparison.compound = true;
            if matches!(level.between, Between::Upper(_)) {
                level.between = Between::Outside;
            }
        }
    }

    fn end_comparison(&mut self) {
        if let Some(level) = self.levels.last_mut() {
            level.end_comparison();
        }
    }

    fn between(&mut self, at: usize, token: Token, end: usize) {
        if self.is_frame(at) {
            return;
        }
        let Some(level) = self.levels.last_mut() else {
            return;
        };
        let operand = level.operand;
        let start = operand.start.unwrap_or(token.start);
        level.between = Between::Lower(start);
        level.end_operand();
        level.comparison.compound = true;
        if operand.compound {
            self.around(start, end);
        }
    }

    /// `ORDER BY x ROWS BETWEEN …` of a window.
    fn is_frame(&self, at: usize) -> bool {
        let before = at.checked_sub(1);
        let start = before.and_then(|before| self.tokens.get(before));
        let operand = self.levels.last().and_then(|level| level.operand.start);
        self.word(before, &["rows", "range", "groups"])
            && start.map(|token| token.start) != operand
            && at
                .checked_sub(2)
                .and_then(|at| self.tokens.get(at))
                .is_some_and(|token| token.kind != TokenKind::Operator && !token.is(self.text, "."))
    }

    /// ISNULL and its kin, which bind less than comparisons.
    fn truth(&mut self, end: usize) {
        let comparison = self.levels.last().map(|level| level.comparison);
        if let Some(Run {
            start: Some(start),
            compound: true,
        }) = comparison
        {
            self.around(start, end);
        }
    }
}

/// Writes the parentheses and a map that knows them.
fn write(text: &str, offsets: &OffsetMap, inserted: &[(usize, char)]) -> Grouped {
    let mut grouped = String::with_capacity(text.len() + inserted.len());
    let mut pieces = Vec::with_capacity(offsets.pieces.len() + 2 * inserted.len());
    let mut rest = offsets.pieces.as_slice();
    let mut verbatim = true;
    let mut done = 0;
    for (count, &(at, parenthesis)) in inserted.iter().enumerate() {
        while let Some((&(from, to, exact), more)) = rest.split_first()
            && from <= at
        {
            pieces.push((from + count, to, exact));
            (verbatim, rest) = (exact, more);
        }
        grouped.push_str(text.get(done..at).unwrap_or(""));
        done = at;
        let here = grouped.len();
        // Inside a replaced piece the source goes on after it.
        let source = match pieces.last() {
            Some(&(from, _, false)) if from < here && !verbatim => rest
                .first()
                .map_or_else(|| offsets.source_offset(at), |piece| piece.1),
            _ => offsets.source_offset(at),
        };
        if pieces.last().is_some_and(|piece| piece.0 == here) {
            pieces.pop();
        }
        pieces.push((here, source, false));
        grouped.push(parenthesis);
        pieces.push((here + 1, source, verbatim));
    }
    grouped.push_str(text.get(done..).unwrap_or(""));
    pieces.extend(
        rest.iter()
            .map(|&(from, to, exact)| (from + inserted.len(), to, exact)),
    );
    Grouped {
        text: grouped,
        offsets: OffsetMap { pieces },
    }
}
