//! Expressions that EXPLAIN prints, and statements that people write, token by
//! token.

use super::{Kind, Redaction, words};
use crate::sql::scan::{Scanner, Token, TokenKind};

/// Who wrote a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// EXPLAIN: keywords have capital letters, names have none without quotes.
    Server,
    /// Somebody.
    User,
}

/// A text while it is read.
struct Reader<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    by: By,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, by: By) -> Self {
        Self {
            text,
            tokens: Scanner::new(text, 0)
                .filter(|token| {
                    !matches!(
                        token.kind,
                        TokenKind::Comment | TokenKind::TemplateTag | TokenKind::Backslash
                    )
                })
                .collect(),
            by,
        }
    }

    fn of(&self, at: usize) -> &'a str {
        self.tokens
            .get(at)
            .map_or("", |token| token.text(self.text))
    }

    fn before(&self, at: usize, steps: usize) -> &'a str {
        at.checked_sub(steps).map_or("", |at| self.of(at))
    }

    fn is_before(&self, at: usize, words: &[&str]) -> bool {
        let before = self.before(at, 1);
        words.iter().any(|word| before.eq_ignore_ascii_case(word))
    }

    /// The type in a cast that follows, in small letters, with `[]`.
    fn cast(&self, at: usize) -> String {
        if self.of(at + 1) != "::" {
            return String::new();
        }
        let mut at = at + 2;
        while self.of(at + 1) == "." {
            at += 2;
        }
        let mut cast = self.of(at).trim_matches('"').to_ascii_lowercase();
        while words::is_type(self.of(at + 1)) {
            at += 1;
        }
        if self.of(at + 1) == "(" {
            while !matches!(self.of(at), ")" | "") {
                at += 1;
            }
        }
        if self.of(at + 1) == "[" {
            cast.push_str("[]");
        }
        cast
    }

    /// The constant is a pattern of LIKE.
    fn is_pattern(&self, at: usize) -> bool {
        matches!(self.before(at, 1), "~~" | "!~~" | "~~*" | "!~~*")
            || self.is_before(at, &["like", "ilike"])
    }

    /// Within a cast's type, or behind a word of SQL after which a type stands.
    fn is_type_place(&self, at: usize) -> bool {
        let mut at = at;
        loop {
            match self.before(at, 1) {
                "::" => return true,
                "." if at >= 2 => at -= 2,
                word if words::is_type(&word.to_ascii_lowercase()) && at >= 1 => at -= 1,
                ")" => return false,
                _ => return false,
            }
        }
    }
}

/// The content of a text constant, and what stands around it.
fn content(text: &str) -> (&str, String, &'static str) {
    if let Some(rest) = text.strip_prefix('$') {
        let tag = rest.split('$').next().map_or(0, str::len) + 2;
        let inner = text
            .get(tag..text.len().saturating_sub(tag).max(tag))
            .unwrap_or_default();
        return ("'", inner.to_owned(), "'");
    }
    let start = text.find('\'').unwrap_or(0);
    let inner = text
        .get(start + 1..text.len().saturating_sub(1))
        .unwrap_or_default();
    let prefix = text.get(..start).unwrap_or_default();
    let plain = if prefix.eq_ignore_ascii_case("e") {
        inner.replace("\\\\", "\\")
    } else {
        inner.to_owned()
    };
    ("'", plain.replace("''", "'"), "'")
}

/// Words behind which a number is no constant of a condition: counts of rows
/// show in the plan anyway.
const BEFORE_COUNT: &[&str] = &["limit", "offset", "first", "next", "subplan", "initplan"];
/// Words that end a list of what is sorted or grouped by.
const AFTER_BY: &[&str] = &[
    "limit",
    "offset",
    "having",
    "window",
    "union",
    "from",
    "where",
    "select",
    "for",
    "fetch",
    "rows",
    "range",
    "intersect",
    "except",
    "order",
];

impl Redaction {
    /// An expression as EXPLAIN prints it.
    pub(super) fn expression(&mut self, text: &str) -> String {
        self.text(text, By::Server)
    }

    /// A statement. Comments are left out: they may say anything.
    pub fn sql(&mut self, text: &str) -> String {
        self.text(text, By::User)
    }

    fn text(&mut self, text: &str, by: By) -> String {
        let reader = Reader::new(text, by);
        let mut out = String::with_capacity(text.len());
        let mut end = 0;
        let mut depth = 0_usize;
        // Depth of the list behind BY; numbers in it are places of columns.
        let mut list: Option<usize> = None;
        // Within the parentheses of a type's name.
        let mut modifier = false;
        for (at, token) in reader.tokens.iter().enumerate() {
            let gap = text.get(end..token.start).unwrap_or_default();
            // Where a comment was, a blank stands.
            if gap.trim().is_empty() {
                out.push_str(gap);
            } else {
                out.push(' ');
            }
            end = token.end;
            let word = token.text(text);
            match word {
                "(" => {
                    depth += 1;
                    modifier = words::is_type(&reader.before(at, 1).to_ascii_lowercase())
                        && reader
                            .tokens
                            .get(at + 1)
                            .is_some_and(|next| next.kind == TokenKind::Number);
                }
                ")" => {
                    depth = depth.saturating_sub(1);
                    modifier = false;
                }
                _ => {}
            }
            if list.is_some_and(|list| depth < list)
                || AFTER_BY.iter().any(|end| word.eq_ignore_ascii_case(end))
            {
                list = None;
            }
            if word.eq_ignore_ascii_case("by") {
                list = Some(depth);
            }
            let is_place = by == By::User
                && list == Some(depth)
                && (reader.is_before(at, &["by"]) || reader.before(at, 1) == ",");
            let kept_number = modifier || is_place || reader.is_before(at, BEFORE_COUNT);
            out.push_str(&self.token(&reader, at, *token, kept_number));
        }
        out
    }

    fn token(&mut self, reader: &Reader<'_>, at: usize, token: Token, kept_number: bool) -> String {
        let text = token.text(reader.text);
        match token.kind {
            TokenKind::Word => self.word(reader, at, text),
            TokenKind::Quoted => {
                let inner = text
                    .find('"')
                    .and_then(|start| text.get(start + 1..text.len().saturating_sub(1)))
                    .unwrap_or_default()
                    .replace("\"\"", "\"");
                if reader.is_before(at, &["collate"]) {
                    return match inner.as_str() {
                        "C" | "POSIX" | "default" => text.to_owned(),
                        _ => self.quoted(Kind::Collation, &inner, text),
                    };
                }
                if inner == "char" && reader.is_type_place(at) {
                    return text.to_owned();
                }
                let kind = Self::kind(reader, at);
                self.quoted(kind, &inner, text)
            }
            TokenKind::Text => self.constant(reader, at, text),
            TokenKind::Number => {
                if kept_number || !self.what.literals() {
                    text.to_owned()
                } else {
                    self.literals.number(text)
                }
            }
            TokenKind::Unterminated => {
                // Whatever it is, nobody knows where it ends.
                if self.what == super::What::Names && text.starts_with('\'') {
                    text.to_owned()
                } else {
                    "'cut'".to_owned()
                }
            }
            TokenKind::Named | TokenKind::PsqlIdentifier => {
                let is_name = |c: char| c.is_alphanumeric() || c == '_';
                let start = text.find(is_name).unwrap_or(0);
                let rest = text.get(start..).unwrap_or_default();
                let length = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
                let name = rest.get(..length).unwrap_or_default();
                let stand_in = self.name(Kind::Parameter, name);
                format!(
                    "{}{stand_in}{}",
                    text.get(..start).unwrap_or_default(),
                    rest.get(length..)
                        .filter(|tail| tail.len() <= 2)
                        .unwrap_or_default()
                )
            }
            TokenKind::Template if self.what.names() => "{{ param }}".to_owned(),
            _ => text.to_owned(),
        }
    }

    fn quoted(&mut self, kind: Kind, inner: &str, text: &str) -> String {
        let stand_in = self.name(kind, inner);
        if stand_in == inner {
            text.to_owned()
        } else {
            stand_in
        }
    }

    fn constant(&mut self, reader: &Reader<'_>, at: usize, text: &str) -> String {
        if !self.what.literals() && !self.what.names() {
            return text.to_owned();
        }
        if matches!(text.as_bytes().first(), Some(b'b' | b'B' | b'x' | b'X')) {
            // Bits keep their number.
            return text
                .chars()
                .enumerate()
                .map(|(at, c)| {
                    if at > 0 && c.is_ascii_hexdigit() && self.what.literals() {
                        '0'
                    } else {
                        c
                    }
                })
                .collect();
        }
        let (open, inner, close) = content(text);
        let cast = reader.cast(at);
        if cast.starts_with("reg") && !cast.ends_with("[]") {
            // The name of a table, a type, a function.
            let names: Vec<String> = inner
                .split('.')
                .map(|part| self.name(Kind::Table, part.trim_matches('"')))
                .collect();
            return format!("'{}'", names.join("."));
        }
        if !self.what.literals() {
            return text.to_owned();
        }
        let stand_in = self.literals.text(&inner, &cast, reader.is_pattern(at));
        if stand_in == inner {
            return text.to_owned();
        }
        format!("{open}{}{close}", stand_in.replace('\'', "''"))
    }

    /// What a word or a quoted name is a name of, by what stands around it.
    fn kind(reader: &Reader<'_>, at: usize) -> Kind {
        let next = reader.of(at + 1);
        if next == "." {
            return if reader.is_type_place(at) {
                Kind::Schema
            } else {
                Kind::Alias
            };
        }
        if reader.is_type_place(at) {
            return Kind::Type;
        }
        if next == "(" && reader.by == By::Server {
            return Kind::Function;
        }
        if reader.by == By::User && reader.is_before(at, &["from", "join", "into", "update"]) {
            return Kind::Table;
        }
        if reader.by == By::User && next == "(" {
            return Kind::Function;
        }
        Kind::Column
    }

    fn word(&mut self, reader: &Reader<'_>, at: usize, text: &str) -> String {
        let name = text.to_lowercase();
        if self.is_own(reader, at, text, &name) {
            return text.to_owned();
        }
        let kind = Self::kind(reader, at);
        let stand_in = self.name(kind, &name);
        if stand_in == name {
            text.to_owned()
        } else {
            stand_in
        }
    }

    /// Whether a word is PostgreSQL's own there.
    fn is_own(&self, reader: &Reader<'_>, at: usize, text: &str, name: &str) -> bool {
        let (previous, next) = (reader.before(at, 1), reader.of(at + 1));
        let qualified = previous == "." || next == ".";
        if reader.is_type_place(at) {
            return words::is_type(name) && previous != ".";
        }
        // `EXTRACT(year FROM …)`
        if previous == "(" && reader.before(at, 2).eq_ignore_ascii_case("extract") {
            return true;
        }
        if reader.by == By::Server {
            if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
                return true;
            }
            if qualified {
                return previous == "." && reader.before(at, 2) == "pg_catalog";
            }
            return next == "(" && words::is_function(name) || words::is_explained(name);
        }
        if qualified {
            return reader.before(at, 2).eq_ignore_ascii_case("pg_catalog");
        }
        let is_call = next == "(";
        if self.knows(name) && !is_call && !words::is_reserved(name) {
            return false;
        }
        if words::is_reserved(name) || words::is_syntax(name) {
            return true;
        }
        if is_call {
            return words::is_function(name) && !reader.is_before(at, &["into", "from", "join"])
                || words::is_function(name) && !self.knows(name);
        }
        // `date '2024-01-01'`, `CAST(x AS date)`
        let before_constant = reader
            .tokens
            .get(at + 1)
            .is_some_and(|next| next.kind == TokenKind::Text);
        words::is_type(name) && (before_constant || reader.is_before(at, &["as"]) && next == ")")
            || words::is_explained(name)
    }
}
