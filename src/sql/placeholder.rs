//! The text that the server is sent: placeholders of all drivers as `$n`,
//! psql variables and template pieces replaced, with a map back.
//!
//! Nothing is guessed about values; a placeholder stays one.

use std::collections::HashMap;

use super::scan::{Token, TokenKind, is_type_word};
use super::{OffsetMap, Placeholder};
use crate::source::{SourceId, Span};

/// A statement's text for the server.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) server_text: String,
    pub(super) offsets: OffsetMap,
    pub(super) placeholders: Vec<Placeholder>,
}

/// Words after which a template piece stands for a name, not a value.
const BEFORE_NAME: &[&str] = &["from", "join", "into", "update", "only", "table", "as"];

struct Writer<'a> {
    text: &'a str,
    source: SourceId,
    out: String,
    pieces: Vec<(usize, usize, bool)>,
    /// Up to where the source has been written.
    done: usize,
    numbers: HashMap<String, u32>,
    next_number: u32,
    placeholders: Vec<Placeholder>,
}

impl Writer<'_> {
    fn copy_to(&mut self, at: usize) {
        if at > self.done {
            self.pieces.push((self.out.len(), self.done, true));
            self.out
                .push_str(self.text.get(self.done..at).unwrap_or(""));
            self.done = at;
        }
    }

    fn replace(&mut self, start: usize, end: usize, by: &str) {
        self.copy_to(start);
        self.pieces.push((self.out.len(), start, false));
        self.out.push_str(by);
        self.done = end;
    }

    /// Takes back what was written for the source from that byte on.
    fn back_to(&mut self, start: usize) {
        if self.done <= start {
            self.copy_to(start);
            return;
        }
        while let Some(&(from, to, verbatim)) = self.pieces.last() {
            if to >= start {
                self.out.truncate(from);
                self.pieces.pop();
            } else {
                if verbatim {
                    self.out.truncate(from + (start - to));
                }
                break;
            }
        }
        self.done = start;
    }

    fn number(&mut self, name: Option<&str>) -> u32 {
        if let Some(name) = name
            && let Some(&number) = self.numbers.get(name)
        {
            return number;
        }
        let number = self.next_number;
        self.next_number += 1;
        if let Some(name) = name {
            self.numbers.insert(name.to_owned(), number);
        }
        number
    }

    fn placeholder(&mut self, start: usize, end: usize, number: u32) {
        self.placeholders.push(Placeholder {
            span: Span::new(self.source, start..end),
            text: self.text.get(start..end).unwrap_or("").to_owned(),
            number,
        });
    }
}

/// The name in a placeholder, without what surrounds it.
fn bare_name(text: &str) -> &str {
    text.trim_start_matches([':', '@', '#', '$', '%', '?'])
        .trim_start_matches(['(', '{', '\'', '"'])
        .trim_end_matches(['}', '\'', '"'])
        .trim_end_matches(")s")
        .trim_end_matches(")d")
        .trim_end_matches(")f")
        .trim()
}

/// An identifier out of a template piece: `{{ ref('orders') }}` is `orders`.
pub(super) fn identifier_of(text: &str) -> String {
    let inner = text
        .trim_start_matches(['{', '$', '#', '%', '(', ':'])
        .trim_end_matches(['}', ')']);
    let quoted = inner.split(['\'', '"']).collect::<Vec<_>>();
    let name = match quoted.as_slice() {
        [.., name, _] if quoted.len() >= 3 && quoted.len() % 2 == 1 => name,
        _ => inner.split('|').next().unwrap_or(inner),
    };
    let mut clean: String = name
        .trim()
        .chars()
        .map(|c| {
            if c.is_alphanumeric() || c == '_' {
                c.to_ascii_lowercase()
            } else {
                '_'
            }
        })
        .collect();
    if !clean.starts_with(|c: char| c.is_alphabetic() || c == '_') {
        clean.insert(0, '_');
    }
    clean
}

/// Where the type before a placeholder begins: `interval $1` and
/// `timestamp with time zone $1`, as `pg_stat_statements` prints constants.
fn type_before(text: &str, before: &[Token]) -> Option<usize> {
    let word = |back: usize, word: &str| {
        before
            .len()
            .checked_sub(back)
            .and_then(|at| before.get(at))
            .is_some_and(|token| token.is_word(text, word))
    };
    let last = before.last()?;
    if before
        .len()
        .checked_sub(2)
        .and_then(|at| before.get(at))
        .is_some_and(|token| matches!(token.text(text), "::" | "."))
    {
        return None;
    }
    if last.kind == TokenKind::Word && is_type_word(last.text(text)) {
        return Some(last.start);
    }
    if word(1, "zone") && word(2, "time") && (word(3, "with") || word(3, "without")) {
        let at = before.len().checked_sub(4)?;
        let first = before.get(at)?;
        let is_type = first.is_word(text, "timestamp") || first.is_word(text, "time");
        return is_type.then_some(first.start);
    }
    None
}

/// Writes the server's text of the tokens of one statement.
pub(super) fn prepare(source: SourceId, text: &str, tokens: &[Token]) -> Prepared {
    let start = tokens.first().map_or(0, |token| token.start);
    let end = tokens.last().map_or(start, |token| token.end);
    let own_numbers = tokens
        .iter()
        .filter(|token| token.kind == TokenKind::Numbered)
        .filter_map(|token| token.text(text).get(1..)?.parse::<u32>().ok())
        .max()
        .unwrap_or(0);
    // With psycopg's placeholders a percent sign is doubled everywhere.
    let percent = tokens.iter().any(|token| {
        token.kind == TokenKind::PercentS
            || token.kind == TokenKind::Named && token.text(text).starts_with('%')
    });
    let mut writer = Writer {
        text,
        source,
        out: String::with_capacity(end.saturating_sub(start)),
        pieces: Vec::new(),
        done: start,
        numbers: HashMap::new(),
        next_number: own_numbers.saturating_add(1),
        placeholders: Vec::new(),
    };
    let mut behind_call = 0;
    for (at, token) in tokens.iter().enumerate() {
        let before = tokens.get(..at).unwrap_or(&[]);
        if at < behind_call {
            continue;
        }
        if let Some(end) = sqlc(&mut writer, tokens.get(at..).unwrap_or(&[]), before) {
            behind_call = at + end;
            continue;
        }
        write_token(&mut writer, token, before, tokens.get(at + 1), percent);
    }
    writer.copy_to(end);
    writer.pieces.push((writer.out.len(), end, true));
    writer
        .placeholders
        .sort_by_key(|placeholder| (placeholder.number, placeholder.span.start));
    Prepared {
        server_text: writer.out,
        offsets: OffsetMap {
            pieces: writer.pieces,
        },
        placeholders: writer.placeholders,
    }
}

/// A call of sqlc's: `sqlc.arg(name)`, `sqlc.narg('name')` and
/// `sqlc.slice(names)` stand for a value, `sqlc.embed(table)` for its columns.
/// How many tokens it has.
fn sqlc(writer: &mut Writer<'_>, tokens: &[Token], before: &[Token]) -> Option<usize> {
    let text = writer.text;
    let [first, dot, function, open, name, close, ..] = tokens else {
        return None;
    };
    if !(first.is_word(text, "sqlc")
        && dot.is(text, ".")
        && open.is(text, "(")
        && close.is(text, ")"))
    {
        return None;
    }
    let bare = name.text(text).trim_matches(['\'', '"']);
    if function.is_word(text, "embed") {
        writer.replace(first.start, close.end, &format!("{}.*", name.text(text)));
    } else if ["arg", "narg", "slice"]
        .iter()
        .any(|word| function.is_word(text, word))
    {
        let whole = Token {
            end: close.end,
            ..*first
        };
        let number = writer.number(Some(bare));
        value(writer, &whole, before, number);
    } else {
        return None;
    }
    Some(6)
}

fn write_token(
    writer: &mut Writer<'_>,
    token: &Token,
    before: &[Token],
    after: Option<&Token>,
    percent: bool,
) {
    let text = writer.text;
    let own = token.text(text);
    match token.kind {
        TokenKind::Numbered => {
            let number = own.get(1..).and_then(|digits| digits.parse().ok());
            value(writer, token, before, number.unwrap_or(u32::MAX));
        }
        TokenKind::Question if own.len() == 1 => {
            let number = writer.number(None);
            value(writer, token, before, number);
        }
        TokenKind::PercentS => {
            let number = writer.number(None);
            value(writer, token, before, number);
        }
        TokenKind::Named | TokenKind::Template | TokenKind::Question => {
            template(writer, token, before, after);
        }
        TokenKind::PsqlIdentifier => {
            let name = own.trim_start_matches(':').to_owned();
            writer.replace(token.start, token.end, &name);
        }
        TokenKind::TemplateTag | TokenKind::Backslash => {
            writer.replace(token.start, token.end, " ");
        }
        TokenKind::DoubledQuestion => {
            let single = own.replacen("??", "?", 1);
            writer.replace(token.start, token.end, &single);
        }
        TokenKind::Text if whole_template(own) => {
            let number = writer.number(Some(own));
            value(writer, token, before, number);
        }
        TokenKind::Text | TokenKind::Operator if percent && own.contains("%%") => {
            let mut at = token.start;
            for part in own.split_inclusive("%%") {
                if part.ends_with("%%") {
                    writer.replace(at + part.len() - 1, at + part.len(), "");
                }
                at += part.len();
            }
        }
        TokenKind::Word if own.eq_ignore_ascii_case("from") => {
            // `extract($1 from x)`, as pg_stat_statements prints it, is not
            // SQL; the function behind it takes the field as an argument.
            if let [.., function, open, field] = before
                && field.kind == TokenKind::Numbered
                && open.is(text, "(")
                && function.is_word(text, "extract")
            {
                let (start, middle) = (function.start, function.end);
                let field_number = field.text(text).to_owned();
                let (field_start, field_end, open_end) = (field.start, field.end, open.end);
                writer.back_to(start);
                writer.replace(start, middle, "date_part");
                writer.copy_to(open_end);
                writer.copy_to(field_start);
                writer.replace(field_start, field_end, &field_number);
                writer.replace(token.start, token.end, ",");
            }
        }
        _ => {}
    }
}

/// `'{{ x }}'`, `'${x}'`: a literal that a template fills as a whole.
fn whole_template(literal: &str) -> bool {
    let Some(inner) = literal
        .strip_prefix('\'')
        .and_then(|rest| rest.strip_suffix('\''))
    else {
        return false;
    };
    let inner = inner.trim();
    let filled = |open: &str, close: &str| {
        inner.starts_with(open)
            && inner.ends_with(close)
            && inner.matches(open).count() == 1
            && !inner.contains('\'')
    };
    filled("{{", "}}") || filled("${", "}")
}

/// A placeholder for a value.
fn value(writer: &mut Writer<'_>, token: &Token, before: &[Token], number: u32) {
    writer.placeholder(token.start, token.end, number);
    if let Some(start) = type_before(writer.text, before) {
        let last = before.last().map_or(token.start, |token| token.end);
        let type_name = writer.text.get(start..last).unwrap_or("").to_owned();
        writer.back_to(start);
        writer.replace(start, token.end, &format!("${number}::{type_name}"));
    } else if before
        .last()
        .is_some_and(|last| last.is_word(writer.text, "in"))
        && writer
            .text
            .get(token.end..)
            .is_some_and(|rest| !rest.trim_start().starts_with('('))
    {
        // A driver writes the parentheses that SQL wants with the list.
        writer.replace(token.start, token.end, &format!("(${number})"));
    } else if writer.text.get(token.start..token.end) != Some(format!("${number}").as_str()) {
        writer.replace(token.start, token.end, &format!("${number}"));
        // `?AND` is two tokens to a driver but not to the server.
        let next = writer
            .text
            .get(token.end..)
            .and_then(|rest| rest.chars().next());
        if next.is_some_and(char::is_alphanumeric) {
            writer.out.push(' ');
        }
    }
}

/// A placeholder with a name, for a value where one is expected and for a
/// name elsewhere.
fn template(writer: &mut Writer<'_>, token: &Token, before: &[Token], after: Option<&Token>) {
    let text = writer.text;
    let own = token.text(text);
    let previous = before.last();
    let touches_before = previous.is_some_and(|previous| {
        previous.end == token.start
            && (matches!(
                previous.kind,
                TokenKind::Word | TokenKind::Template | TokenKind::Named
            ) || previous.is(text, "."))
    });
    let touches_after = after.is_some_and(|after| {
        after.start == token.end
            && (matches!(after.kind, TokenKind::Word | TokenKind::Template) || after.is(text, "."))
    });
    let after_name_word = previous.is_some_and(|previous| {
        previous.kind == TokenKind::Word
            && BEFORE_NAME
                .iter()
                .any(|word| previous.text(text).eq_ignore_ascii_case(word))
    });
    // `extract(year from :d)`, `is distinct from :x`: a value after FROM.
    let value_after_from = previous.is_some_and(|previous| previous.is_word(text, "from"))
        && (is_distinct(text, before) || in_function_from(text, before));
    let braces = own.starts_with("{{") || own.starts_with("${") || own.starts_with("#{");
    let name_like = braces || own.starts_with(':');
    let name =
        name_like && (touches_before || touches_after || after_name_word && !value_after_from);
    if name {
        writer.replace(token.start, token.end, &identifier_of(own));
    } else if token.operand_expected
        || !own.starts_with("{{")
        || type_before(text, before).is_some()
    {
        let key = bare_name(own).to_owned();
        let number = writer.number(Some(&key));
        value(writer, token, before, number);
    } else {
        // A piece after a complete operand (`order by x {{ direction }}`)
        // can be anything; without it the statement is most likely whole.
        writer.replace(token.start, token.end, " ");
    }
}

fn is_distinct(text: &str, before: &[Token]) -> bool {
    match before {
        [.., is, distinct, _] => {
            distinct.is_word(text, "distinct")
                && (is.is_word(text, "is") || is.is_word(text, "not"))
        }
        _ => false,
    }
}

/// The last FROM belongs to `extract(… from`, `substring(… from`, `trim(…
/// from` or `overlay(… from`.
fn in_function_from(text: &str, before: &[Token]) -> bool {
    let mut depth = 0_usize;
    let mut tokens = before.iter().rev();
    while let Some(token) = tokens.next() {
        if token.is(text, ")") {
            depth += 1;
        } else if token.is(text, "(") {
            if depth == 0 {
                return tokens.next().is_some_and(|function| {
                    ["extract", "substring", "trim", "overlay"]
                        .iter()
                        .any(|name| function.is_word(text, name))
                });
            }
            depth -= 1;
        } else if depth == 0 && token.is_word(text, "select") {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::scan::Scanner;

    fn prepared(text: &str) -> Prepared {
        let tokens: Vec<Token> = Scanner::new(text, 0)
            .filter(|token| token.kind != TokenKind::Comment)
            .collect();
        let prepared = prepare(SourceId(0), text, &tokens);
        // Every word that was not replaced maps back to itself.
        let pieces = &prepared.offsets.pieces;
        for token in Scanner::new(&prepared.server_text, 0) {
            let at = pieces.partition_point(|piece| piece.0 <= token.start);
            let (_, _, verbatim) = pieces[at - 1];
            let whole = pieces.get(at).is_none_or(|next| token.end <= next.0);
            if token.kind == TokenKind::Word && verbatim && whole {
                let at = prepared.offsets.source_offset(token.start);
                let word = token.text(&prepared.server_text);
                assert_eq!(text.get(at..at + word.len()), Some(word), "{text}");
            }
        }
        prepared
    }

    fn server(text: &str) -> String {
        prepared(text).server_text
    }

    #[test]
    fn a_text_without_placeholders_stays_as_it_is() {
        let text = "select a /* ? */ from t -- :x\n where b % 2 = 1";
        assert_eq!(server(text), text);
    }

    #[test]
    fn named_placeholders_share_a_number_and_own_numbers_stay() {
        assert_eq!(
            server("where a = :x and b = :y and c = :x"),
            "where a = $1 and b = $2 and c = $1"
        );
        assert_eq!(server("where a = $2 and b = :y"), "where a = $2 and b = $3");
        assert_eq!(
            server("where a=? and b in (?,?)"),
            "where a=$1 and b in ($2,$3)"
        );
        assert_eq!(
            server("where a = %(x)s and b = %s and c like 'a%%' and d %% 2 = 0"),
            "where a = $1 and b = $2 and c like 'a%' and d % 2 = 0"
        );
    }

    #[test]
    fn normalised_typed_constants_become_casts() {
        assert_eq!(
            server(
                "where a > date $1 and b < now() - interval $2 and c = timestamp with time zone $3"
            ),
            "where a > $1::date and b < now() - $2::interval and c = $3::timestamp with time zone"
        );
        assert_eq!(
            server("select extract($1 from d), $2 from t"),
            "select date_part($1 , d), $2 from t"
        );
    }

    #[test]
    fn template_pieces_are_values_or_names_by_where_they_stand() {
        assert_eq!(
            server("select * from {{ ref('orders') }} o where o.d >= '{{ ds }}' and o.c = {{ c }}"),
            "select * from orders o where o.d >= $1 and o.c = $2"
        );
        assert_eq!(
            server("{% if x %} select a from ${schema}.t_{{ y }} where k = #{k} {% endif %}")
                .trim(),
            "select a from schema.t_y where k = $1"
        );
        assert_eq!(
            server("select a from t order by a {{ dir }} limit 3"),
            "select a from t order by a   limit 3"
        );
        assert_eq!(
            server("select :'v', :\"c\" from :tbl where extract(year from :d) > 1"),
            "select $1, \"c\" from tbl where extract(year from $2) > 1"
        );
    }

    #[test]
    fn placeholders_know_where_they_stand() {
        let text = "select a from t where b = :name";
        let prepared = prepared(text);
        let placeholder = prepared.placeholders.first().unwrap();
        assert_eq!(text.get(placeholder.span.range()), Some(":name"));
        assert_eq!(placeholder.number, 1);
        assert_eq!(
            prepared.offsets.source_offset(prepared.server_text.len()),
            text.len()
        );
    }
}
