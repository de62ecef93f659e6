//! Queries in the bodies of functions.
//!
//! A body is a text to the server: a column that it names can be dropped, and
//! nothing fails before the function is called. Its statements are taken out
//! with parameters in place of variables. Whatever is misunderstood is no
//! query, which the server says before the change: such a one is left out.

use std::collections::BTreeMap;

use super::Cause;
use crate::catalog::ident::fold;
use crate::sql::scan::{Scanner, Token, TokenKind};

/// Statements of one function that are looked at.
const MOST_QUERIES: usize = 200;
/// Words that a query begins with.
const FIRST: [&str; 7] = [
    "select", "with", "insert", "update", "delete", "merge", "perform",
];
/// What stands before a statement of PL/pgSQL.
const BEFORE: [&str; 7] = ["begin", "then", "else", "loop", "query", "in", "for"];

/// A function as the catalogue has it.
#[derive(Debug, Clone, Default)]
pub struct FunctionCode {
    /// With the types of its arguments: `shop.total(bigint)`.
    pub signature: String,
    /// Its name alone.
    pub name: String,
    /// It is in PL/pgSQL, and else in SQL.
    pub plpgsql: bool,
    /// Its body.
    pub code: String,
    /// Names and types of its arguments.
    pub arguments: Vec<(String, String)>,
    /// The table whose rows a trigger calls it for.
    pub table: Option<String>,
}

/// A query in a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionQuery {
    /// Its line in the body, from 1.
    pub line: usize,
    /// As the body has it.
    pub written: String,
    /// As the server plans it.
    pub sql: String,
}

/// A query in a function that the server refuses after the change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenFunction {
    /// The function with its arguments.
    pub signature: String,
    /// It is called by a trigger.
    pub trigger: bool,
    /// Where the query stands in its body.
    pub line: usize,
    /// The query.
    pub written: String,
    /// The server's words.
    pub message: String,
    /// SQLSTATE of these.
    pub sqlstate: String,
    /// The statement that did it.
    pub cause: Cause,
}

/// What a name in a body stands for.
enum Variable {
    /// A value of that type.
    Typed(String),
    /// A value or a row of a type that is not written there.
    Untyped,
}

/// The queries of a function.
pub fn queries(function: &FunctionCode) -> Vec<FunctionQuery> {
    let text = function.code.as_str();
    let tokens: Vec<Token> = Scanner::new(text, 0)
        .filter(|token| token.kind != TokenKind::Comment)
        .collect();
    let body = Body {
        function,
        text,
        tokens: &tokens,
        variables: variables(function, text, &tokens),
    };
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() && found.len() < MOST_QUERIES {
        let Some(end) = body.query_at(at) else {
            at += 1;
            continue;
        };
        if let (Some(first), Some(last)) = (tokens.get(at), tokens.get(end - 1)) {
            found.push(FunctionQuery {
                line: 1 + text
                    .get(..first.start)
                    .map_or(0, |head| head.matches('\n').count()),
                written: text.get(first.start..last.end).unwrap_or("").to_owned(),
                sql: body.sql(at, end),
            });
        }
        at = end;
    }
    found
}

/// The arguments and declared variables.
fn variables(function: &FunctionCode, text: &str, tokens: &[Token]) -> BTreeMap<String, Variable> {
    let mut found = BTreeMap::new();
    for (name, kind) in &function.arguments {
        let variable = if kind.starts_with("any") || kind == "record" {
            Variable::Untyped
        } else {
            Variable::Typed(kind.clone())
        };
        found.insert(name.clone(), variable);
    }
    if !function.plpgsql {
        return found;
    }
    found.insert("found".to_owned(), Variable::Typed("boolean".to_owned()));
    for name in ["tg_op", "tg_table_name", "tg_name"] {
        found.insert(name.to_owned(), Variable::Typed("text".to_owned()));
    }
    let mut declaring = false;
    for (at, token) in tokens.iter().enumerate() {
        if token.is_word(text, "declare") {
            declaring = true;
        } else if token.is_word(text, "begin") {
            declaring = false;
        }
        let begins = at
            .checked_sub(1)
            .and_then(|at| tokens.get(at))
            .is_some_and(|before| before.is(text, ";") || before.is_word(text, "declare"));
        if !(declaring && begins && token.kind == TokenKind::Word) {
            continue;
        }
        let mut rest = tokens.get(at + 1..).unwrap_or(&[]).iter().peekable();
        rest.next_if(|token| token.is_word(text, "constant"));
        let kind: Vec<&Token> = rest
            .take_while(|token| {
                !(matches!(token.text(text), ";" | ":=" | "=" | ":")
                    || token.is_word(text, "default")
                    || token.is_word(text, "not"))
            })
            .collect();
        let (Some(first), Some(last)) = (kind.first(), kind.last()) else {
            continue;
        };
        let kind = text.get(first.start..last.end).unwrap_or("");
        let variable = if kind.contains('%') || kind.eq_ignore_ascii_case("record") {
            Variable::Untyped
        } else {
            Variable::Typed(kind.to_owned())
        };
        found.insert(fold(token.text(text)), variable);
    }
    found
}

struct Body<'a> {
    function: &'a FunctionCode,
    text: &'a str,
    tokens: &'a [Token],
    variables: BTreeMap<String, Variable>,
}

impl Body<'_> {
    fn is_word(&self, at: usize, word: &str) -> bool {
        self.tokens
            .get(at)
            .is_some_and(|token| token.is_word(self.text, word))
    }

    fn is(&self, at: usize, what: &str) -> bool {
        self.tokens
            .get(at)
            .is_some_and(|token| token.is(self.text, what))
    }

    /// One past the query that begins with this token.
    fn query_at(&self, at: usize) -> Option<usize> {
        let first = FIRST.iter().any(|word| self.is_word(at, word));
        let before = at.checked_sub(1);
        let begins = before.is_none_or(|before| {
            self.is(before, ";")
                || self.function.plpgsql && BEFORE.iter().any(|word| self.is_word(before, word))
        });
        if !(first && begins) {
            return None;
        }
        let of_loop = before.is_some_and(|before| self.is_word(before, "in"));
        let mut depth = 0_usize;
        let mut end = at;
        while end < self.tokens.len() {
            if self.is(end, "(") {
                depth += 1;
            } else if self.is(end, ")") {
                depth = depth.checked_sub(1)?;
            } else if depth == 0 && (self.is(end, ";") || of_loop && self.is_word(end, "loop")) {
                break;
            }
            end += 1;
        }
        (end > at).then_some(end)
    }

    /// The query with parameters in place of variables, and without the
    /// targets of INTO.
    fn sql(&self, from: usize, end: usize) -> String {
        let mut out = String::new();
        let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
        let mut done = self.tokens.get(from).map_or(0, |token| token.start);
        let (mut at, mut depth) = (from, 0_usize);
        while at < end {
            let Some(token) = self.tokens.get(at) else {
                break;
            };
            if token.is(self.text, "(") {
                depth += 1;
            } else if token.is(self.text, ")") {
                depth = depth.saturating_sub(1);
            }
            let (by, next) = if at == from && token.is_word(self.text, "perform") {
                (Some("SELECT".to_owned()), at + 1)
            } else if depth == 0 && self.is_into(at, from) {
                (Some(String::new()), self.behind_targets(at, end))
            } else {
                self.value(at, &mut numbers)
            };
            if let (Some(by), Some(last)) = (by, self.tokens.get(next - 1)) {
                out.push_str(self.text.get(done..token.start).unwrap_or(""));
                out.push_str(&by);
                done = last.end;
            }
            at = next;
        }
        let last = end.checked_sub(1).and_then(|at| self.tokens.get(at));
        out.push_str(
            last.and_then(|last| self.text.get(done..last.end))
                .unwrap_or(""),
        );
        out
    }

    /// The INTO of PL/pgSQL, not that of INSERT.
    fn is_into(&self, at: usize, from: usize) -> bool {
        self.function.plpgsql
            && self.is_word(at, "into")
            && at > from
            && !self.is_word(at - 1, "insert")
            && !self.is_word(at - 1, "merge")
    }

    /// The token behind the targets of an INTO.
    fn behind_targets(&self, into: usize, end: usize) -> usize {
        let mut at = into + 1;
        if self.is_word(at, "strict") {
            at += 1;
        }
        loop {
            at += 1;
            while self.is(at, ".") {
                at += 2;
            }
            if !self.is(at, ",") {
                return at.min(end);
            }
            at += 1;
        }
    }

    /// What stands in place of a token, and which is the next.
    fn value(&self, at: usize, numbers: &mut BTreeMap<String, usize>) -> (Option<String>, usize) {
        let mut parameter = |key: String, kind: Option<&str>| {
            let next = numbers.len() + 1;
            let number = *numbers.entry(key).or_insert(next);
            Some(match kind {
                Some(kind) => format!("CAST(${number} AS {kind})"),
                None => format!("${number}"),
            })
        };
        let Some(token) = self.tokens.get(at) else {
            return (None, at + 1);
        };
        let own = token.text(self.text);
        if token.kind == TokenKind::Numbered {
            let argument = own
                .get(1..)
                .and_then(|digits| digits.parse::<usize>().ok())
                .and_then(|number| self.function.arguments.get(number.checked_sub(1)?));
            let by = argument.and_then(|(_, kind)| {
                let kind = (!kind.starts_with("any")).then_some(kind.as_str());
                parameter(own.to_owned(), kind)
            });
            return (by, at + 1);
        }
        let behind = at
            .checked_sub(1)
            .is_some_and(|before| self.is(before, ".") || self.is_word(before, "as"));
        if token.kind != TokenKind::Word || behind || self.is(at + 1, "(") {
            return (None, at + 1);
        }
        let name = fold(own);
        let field = self.is(at + 1, ".");
        if matches!(name.as_str(), "new" | "old")
            && let (true, Some(table)) = (self.function.plpgsql, &self.function.table)
        {
            return (Some(format!("(NULL::{table})")), at + 1);
        }
        match self.variables.get(&name) {
            Some(Variable::Typed(kind)) if field => (Some(format!("(NULL::{kind})")), at + 1),
            Some(Variable::Typed(kind)) => (parameter(name, Some(kind)), at + 1),
            Some(Variable::Untyped) if field => {
                let end = at + 3;
                let column = self
                    .tokens
                    .get(at + 2)
                    .map_or("", |token| token.text(self.text));
                (parameter(format!("{name}.{column}"), None), end)
            }
            Some(Variable::Untyped) => (parameter(name, None), at + 1),
            None => (None, at + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_of_bodies_are_taken_out_with_parameters_for_variables() {
        let code = "
DECLARE
  v_note text := 'x';
  r record;
BEGIN
  -- SELECT nothing
  UPDATE carts SET at = now() WHERE id = NEW.cart_id;
  SELECT note, b INTO STRICT v_note, r.b FROM orders WHERE id = p_id FOR UPDATE;
  IF found THEN PERFORM f(1) FROM t WHERE a = v_note; END IF;
  FOR r IN SELECT id FROM items WHERE k = $2 LOOP
    INSERT INTO log (a) VALUES (r.id) RETURNING a INTO v_note;
  END LOOP;
  EXECUTE 'SELECT 1';
  RETURN QUERY SELECT 1 FROM t;
END";
        let function = FunctionCode {
            plpgsql: true,
            code: code.to_owned(),
            arguments: vec![
                ("p_id".to_owned(), "bigint".to_owned()),
                ("k".to_owned(), "anyelement".to_owned()),
            ],
            table: Some("items".to_owned()),
            ..FunctionCode::default()
        };
        let found = queries(&function);
        let told: Vec<(usize, String)> = found
            .iter()
            .map(|query| {
                let words: Vec<&str> = query.sql.split_whitespace().collect();
                (query.line, words.join(" "))
            })
            .collect();
        let wanted = [
            (
                7,
                "UPDATE carts SET at = now() WHERE id = (NULL::items).cart_id",
            ),
            (
                8,
                "SELECT note, b FROM orders WHERE id = CAST($1 AS bigint) FOR UPDATE",
            ),
            (9, "SELECT f(1) FROM t WHERE a = CAST($1 AS text)"),
            (10, "SELECT id FROM items WHERE $1 = $2"),
            (11, "INSERT INTO log (a) VALUES ($1) RETURNING a"),
            (14, "SELECT 1 FROM t"),
        ];
        let wanted: Vec<(usize, String)> = wanted
            .iter()
            .map(|(line, sql)| (*line, (*sql).to_owned()))
            .collect();
        assert_eq!(told, wanted);
    }
}
