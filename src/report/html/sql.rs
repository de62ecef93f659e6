//! The statement with its words coloured and the findings marked where they
//! are, each mark a link to its finding.

use squawk_lexer::{LiteralKind, TokenKind};

use super::page::Html;
use super::text;
use crate::report::model::{Level, Place, Statement};

/// Bytes of a statement that are shown.
const MOST: usize = 200_000;
/// Characters of one word of it: literals can be of any length.
const LONGEST_WORD: usize = 2_000;

/// A finding's place in the text, in bytes.
struct Mark {
    start: usize,
    end: usize,
    number: usize,
    level: Level,
}

/// The statement's text.
pub(super) fn draw(statement: &Statement, sql: &str, prefix: &str) -> Html {
    let whole = sql.len();
    let mut end = whole.min(MOST);
    while !sql.is_char_boundary(end) {
        end -= 1;
    }
    let sql = sql.get(..end).unwrap_or(sql);
    let marks = marks(statement, sql);
    let mut writer = Writer {
        out: String::with_capacity(sql.len() * 2),
        prefix,
        statement,
        marks: &marks,
        line: statement.place.as_ref().map_or(1, |place| place.line),
        in_mark: None,
        at_line_start: true,
        of_line: Vec::new(),
    };
    let mut at = 0;
    for token in squawk_lexer::tokenize(sql) {
        let next = at + token.len as usize;
        let Some(piece) = sql.get(at..next) else {
            break;
        };
        writer.word(piece, at, class(token.kind, piece));
        at = next;
    }
    if let Some(rest) = sql.get(at..).filter(|rest| !rest.is_empty()) {
        writer.word(rest, at, "");
    }
    writer.end_line();
    let mut out = writer.out;
    if end < whole {
        out.push_str(&format!(
            "<em>… {} more bytes are not shown</em>",
            whole - end
        ));
    }
    Html::trusted(out)
}

/// SQL that is no one's place: suggestions, changes.
pub(super) fn plain(sql: &str) -> Html {
    let mut out = String::with_capacity(sql.len() * 2);
    let mut at = 0;
    for token in squawk_lexer::tokenize(sql) {
        let next = at + token.len as usize;
        let Some(piece) = sql.get(at..next) else {
            break;
        };
        push_word(&mut out, piece, class(token.kind, piece));
        at = next;
    }
    text::push(&mut out, sql.get(at..).unwrap_or_default());
    Html::trusted(out)
}

/// A unified diff, its lines marked as gone or new.
pub(super) fn diff(diff: &str) -> Html {
    let mut out = String::with_capacity(diff.len() * 2);
    for line in diff.lines() {
        let class = match line.as_bytes().first() {
            Some(b'+') => "new",
            Some(b'-') => "gone",
            Some(b'@') => "at",
            _ => "same",
        };
        out.push_str(&format!("<span class={class}>"));
        text::push(&mut out, line);
        out.push_str("</span>\n");
    }
    Html::trusted(out)
}

struct Writer<'a> {
    out: String,
    prefix: &'a str,
    statement: &'a Statement,
    marks: &'a [Mark],
    line: usize,
    in_mark: Option<usize>,
    at_line_start: bool,
    /// Findings that begin in this line.
    of_line: Vec<usize>,
}

impl Writer<'_> {
    /// Writes a word, in pieces where a line or a mark ends within.
    fn word(&mut self, word: &str, start: usize, class: &str) {
        let mut at = start;
        let mut rest = word;
        while !rest.is_empty() {
            let mut next = at + rest.find('\n').unwrap_or(rest.len());
            for mark in self.marks {
                for edge in [mark.start, mark.end] {
                    if edge > at && edge < next {
                        next = edge;
                    }
                }
            }
            let (piece, after) = rest.split_at_checked(next - at).unwrap_or((rest, ""));
            let piece = if after.starts_with('\n') {
                piece.strip_suffix('\r').unwrap_or(piece)
            } else {
                piece
            };
            if !piece.is_empty() {
                self.piece(piece, at, class);
            }
            at = next;
            rest = after;
            if let Some(after) = rest.strip_prefix('\n') {
                self.end_line();
                self.out.push('\n');
                at += 1;
                rest = after;
            }
        }
    }

    fn piece(&mut self, piece: &str, at: usize, class: &str) {
        if std::mem::take(&mut self.at_line_start) {
            self.out
                .push_str(&format!("<span class=ln data-n={}></span>", self.line));
        }
        // Of marks within each other, the smallest says most.
        let inside = self
            .marks
            .iter()
            .enumerate()
            .filter(|(_, mark)| mark.start <= at && at < mark.end)
            .min_by_key(|(_, mark)| mark.end - mark.start)
            .map(|(at, _)| at);
        if inside != self.in_mark {
            self.close_mark();
        }
        for mark in self.marks.iter().filter(|mark| mark.start == at) {
            self.out.push_str(&format!(
                "<span id=\"{}m{}\"></span>",
                self.prefix, mark.number
            ));
            self.of_line.push(mark.number);
        }
        if inside != self.in_mark
            && let Some(mark) = inside.and_then(|inside| self.marks.get(inside))
        {
            self.out.push_str(&format!(
                "<a class=\"m {}\" href=\"#{}x{}\" title=\"",
                mark.level.name(),
                self.prefix,
                mark.number
            ));
            let message = self.message(mark.number);
            text::push(&mut self.out, &message);
            self.out.push_str("\">");
            self.in_mark = inside;
        }
        push_word(&mut self.out, piece, class);
    }

    fn message(&self, number: usize) -> String {
        self.statement
            .findings
            .get(number.wrapping_sub(1))
            .map_or_else(String::new, |finding| {
                text::shorten(&finding.message, 500).0.to_owned()
            })
    }

    fn close_mark(&mut self) {
        if self.in_mark.take().is_some() {
            self.out.push_str("</a>");
        }
    }

    /// Ends the line; what was found in it is told at its end.
    fn end_line(&mut self) {
        if std::mem::take(&mut self.at_line_start) {
            self.out
                .push_str(&format!("<span class=ln data-n={}></span>", self.line));
        }
        self.close_mark();
        for number in std::mem::take(&mut self.of_line) {
            let level = self
                .statement
                .findings
                .get(number.wrapping_sub(1))
                .map_or(Level::Note, |finding| finding.level);
            self.out.push_str(&format!(
                " <a class=\"flag {}\" href=\"#{}x{number}\"><span class=tip>",
                level.name(),
                self.prefix
            ));
            let message = self.message(number);
            text::push(&mut self.out, &message);
            self.out
                .push_str(&format!("</span><span class=nr>{number}</span></a>"));
        }
        self.line += 1;
        self.at_line_start = true;
    }
}

fn push_word(out: &mut String, word: &str, class: &str) {
    let (kept, lost) = text::shorten(word, LONGEST_WORD);
    if !class.is_empty() {
        out.push_str(&format!("<span class={class}>"));
    }
    text::push(out, kept);
    if lost > 0 {
        out.push_str(&format!("<em>… {lost} more characters …</em>"));
    }
    if !class.is_empty() {
        out.push_str("</span>");
    }
}

/// The places of the findings as ranges of the text.
fn marks(statement: &Statement, sql: &str) -> Vec<Mark> {
    let Some(own) = &statement.place else {
        return Vec::new();
    };
    let mut starts = vec![0];
    starts.extend(sql.match_indices('\n').map(|(at, _)| at + 1));
    let offset = |line: usize, column: usize| -> Option<usize> {
        let index = line.checked_sub(own.line)?;
        let start = *starts.get(index)?;
        let columns = if index == 0 {
            column.checked_sub(own.column)?
        } else {
            column.checked_sub(1)?
        };
        let rest = sql.get(start..)?;
        let within = rest
            .char_indices()
            .nth(columns)
            .map_or(rest.len(), |(at, _)| at);
        Some(start + within)
    };
    let range = |place: &Place| -> Option<(usize, usize)> {
        if place.file != own.file {
            return None;
        }
        let start = offset(place.line, place.column)?;
        let end = offset(place.end_line, place.end_column).unwrap_or(sql.len());
        (start < end && end <= sql.len()).then_some((start, end))
    };
    statement
        .findings
        .iter()
        .enumerate()
        .filter_map(|(at, finding)| {
            let (start, end) = range(finding.place.as_ref()?)?;
            Some(Mark {
                start,
                end,
                number: at + 1,
                level: finding.level,
            })
        })
        .collect()
}

/// The numbers of the findings that are marked in the text.
pub(super) fn marked(statement: &Statement, sql: &str) -> Vec<usize> {
    marks(statement, sql)
        .iter()
        .map(|mark| mark.number)
        .collect()
}

fn class(kind: TokenKind, word: &str) -> &'static str {
    match kind {
        TokenKind::Ident if is_keyword(word) => "kw",
        TokenKind::LineComment | TokenKind::BlockComment { .. } => "cm",
        TokenKind::PositionalParam { .. } => "pa",
        TokenKind::Literal {
            kind: LiteralKind::Int { .. } | LiteralKind::Numeric { .. },
        } => "nu",
        TokenKind::Literal { .. } => "st",
        _ => "",
    }
}

/// Words that are coloured: those that give a statement its shape.
const KEYWORDS: &[&str] = &[
    "all",
    "alter",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "begin",
    "between",
    "by",
    "cascade",
    "case",
    "cast",
    "collate",
    "column",
    "commit",
    "concurrently",
    "conflict",
    "constraint",
    "create",
    "cross",
    "cube",
    "current",
    "default",
    "delete",
    "desc",
    "distinct",
    "do",
    "drop",
    "else",
    "end",
    "except",
    "execute",
    "exists",
    "explain",
    "extension",
    "false",
    "fetch",
    "filter",
    "first",
    "following",
    "for",
    "from",
    "full",
    "function",
    "group",
    "grouping",
    "having",
    "if",
    "ilike",
    "in",
    "include",
    "index",
    "inner",
    "insert",
    "intersect",
    "interval",
    "into",
    "is",
    "join",
    "last",
    "lateral",
    "left",
    "like",
    "limit",
    "local",
    "materialized",
    "merge",
    "natural",
    "not",
    "nothing",
    "null",
    "nulls",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "outer",
    "over",
    "partition",
    "preceding",
    "prepare",
    "primary",
    "range",
    "recursive",
    "references",
    "reset",
    "returning",
    "right",
    "rollup",
    "row",
    "rows",
    "select",
    "set",
    "sets",
    "similar",
    "some",
    "statistics",
    "table",
    "then",
    "ties",
    "to",
    "true",
    "unbounded",
    "union",
    "unique",
    "update",
    "using",
    "values",
    "view",
    "when",
    "where",
    "window",
    "with",
    "within",
];

fn is_keyword(word: &str) -> bool {
    word.len() <= 12
        && KEYWORDS
            .binary_search(&word.to_ascii_lowercase().as_str())
            .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_in_order_for_the_search() {
        assert!(KEYWORDS.is_sorted());
    }

    #[test]
    fn words_are_coloured_and_stay_text() {
        let html = plain("SELECT '</b>' -- <i>\n, $1");
        assert_eq!(
            html.as_str(),
            "<span class=kw>SELECT</span> <span class=st>&#39;&lt;/b&gt;&#39;</span> \
             <span class=cm>-- &lt;i&gt;</span>\n, <span class=pa>$1</span>"
        );
    }
}
