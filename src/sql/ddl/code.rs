//! The text of a body, made ready for its parser.
//!
//! What the parser does not take is blanked, byte for byte, so that every
//! place stays where it is: `INTO` with its variables, which PL/pgSQL takes
//! out of statements before SQL sees them, and `DECLARE` said again.

use crate::sql::placeholder::identifier_of;
use crate::sql::scan::{Scanner, Token, TokenKind};

/// A body ready to be parsed.
#[derive(Debug)]
pub(super) struct Code {
    /// As long as the body itself.
    pub(super) text: String,
    /// How deep it nests.
    pub(super) nesting: usize,
    /// Comments that speak to this program.
    pub(super) comments: Vec<Token>,
}

/// Goes through the tokens of a body.
struct Pass<'a> {
    text: &'a str,
    /// Ranges to blank.
    blank: Vec<(usize, usize)>,
    comments: Vec<Token>,
    depth: usize,
    parentheses: usize,
    most: usize,
    prefix: usize,
    /// Within an SQL statement that may have INTO.
    in_sql: bool,
    /// Where a statement can begin.
    at_start: bool,
    declaring: bool,
}

/// Reads the tokens of a body, and blanks what its parser does not take.
pub(super) fn prepare(code: String, plpgsql: bool) -> Code {
    let mut pass = Pass {
        text: &code,
        blank: Vec::new(),
        comments: Vec::new(),
        depth: 0,
        parentheses: 0,
        most: 0,
        prefix: 0,
        in_sql: false,
        at_start: true,
        declaring: false,
    };
    pass.run(plpgsql);
    let Pass {
        blank,
        comments,
        most,
        ..
    } = pass;
    Code {
        nesting: most,
        comments,
        text: if blank.is_empty() {
            code
        } else {
            blanked(&code, &blank)
        },
    }
}

impl<'a> Pass<'a> {
    fn run(&mut self, plpgsql: bool) {
        let mut tokens = Scanner::new(self.text, 0).peekable();
        let mut previous: Option<Token> = None;
        while let Some(token) = tokens.next() {
            match token.kind {
                TokenKind::Comment => {
                    if token.text(self.text).contains("pgadvise:") {
                        self.comments.push(token);
                    }
                    continue;
                }
                TokenKind::Word => {
                    let own = token.text(self.text);
                    if plpgsql && self.takes_into(own, previous) {
                        let end = targets(self.text, &mut tokens, token.end);
                        self.blank.push((token.start, end));
                        previous = Some(token);
                        continue;
                    }
                    self.word(own, &token, previous, plpgsql);
                }
                TokenKind::Punctuation => self.punctuation(token.text(self.text)),
                TokenKind::Operator => {
                    self.prefix += 1;
                    self.at_start = token.text(self.text) == ">>";
                }
                _ => {
                    self.prefix = 0;
                    self.at_start = false;
                }
            }
            self.most = self.most.max(self.depth + self.prefix);
            previous = Some(token);
        }
    }

    fn takes_into(&self, own: &str, previous: Option<Token>) -> bool {
        self.in_sql
            && self.parentheses == 0
            && own.eq_ignore_ascii_case("into")
            && previous.is_none_or(|before| {
                !before.is_word(self.text, "insert") && !before.is_word(self.text, "merge")
            })
    }

    fn word(&mut self, own: &'a str, token: &Token, previous: Option<Token>, plpgsql: bool) {
        let is = |word: &str| own.eq_ignore_ascii_case(word);
        let after_end = previous.is_some_and(|before| before.is_word(self.text, "end"));
        let started = self.at_start && self.parentheses == 0;
        self.at_start = false;
        if is("not") {
            self.prefix += 1;
            return;
        }
        self.prefix = 0;
        match own.len() {
            2 if is("if") => self.depth += usize::from(started),
            3 if is("end") => self.depth = self.depth.saturating_sub(1),
            4 if is("case") => self.depth += usize::from(!after_end),
            4 if is("loop") => {
                self.depth += usize::from(!after_end);
                self.at_start = !after_end;
            }
            5 if is("begin") => {
                self.depth += 1;
                self.at_start = true;
                self.declaring = false;
            }
            4 if is("then") || is("else") => self.at_start = true,
            7 if is("declare") && plpgsql && started => {
                if self.declaring {
                    self.blank.push((token.start, token.end));
                }
                self.declaring = true;
                // The next word may be DECLARE again.
                self.at_start = true;
            }
            5 if is("union") => self.depth += 1,
            6 if is("except") => self.depth += 1,
            9 if is("intersect") => self.depth += 1,
            _ => {}
        }
        if started
            && [
                "select", "with", "insert", "update", "delete", "merge", "values", "table",
            ]
            .iter()
            .any(|word| is(word))
        {
            self.in_sql = true;
        }
    }

    fn punctuation(&mut self, own: &str) {
        self.prefix = 0;
        self.at_start = false;
        match own {
            "(" | "[" => {
                self.depth += 1;
                self.parentheses += 1;
            }
            ")" | "]" => {
                self.depth = self.depth.saturating_sub(1);
                self.parentheses = self.parentheses.saturating_sub(1);
            }
            ";" => {
                // What stood open in a statement ends with it, at the latest.
                self.parentheses = 0;
                self.in_sql = false;
                self.at_start = true;
            }
            _ => {}
        }
    }
}

/// Where the variables behind INTO end.
fn targets(text: &str, tokens: &mut std::iter::Peekable<Scanner<'_>>, into_end: usize) -> usize {
    let mut end = into_end;
    if tokens
        .peek()
        .is_some_and(|token| token.is_word(text, "strict"))
        && let Some(strict) = tokens.next()
    {
        end = strict.end;
    }
    loop {
        let is_name = |token: &Token| {
            matches!(
                token.kind,
                TokenKind::Word | TokenKind::Quoted | TokenKind::Numbered
            )
        };
        let Some(name) = tokens.next_if(is_name) else {
            return end;
        };
        end = name.end;
        while let Some(dot) = tokens.next_if(|token| token.is(text, ".")) {
            end = tokens.next_if(is_name).map_or(dot.end, |name| name.end);
        }
        while tokens.next_if(|token| token.is(text, "[")).is_some() {
            let mut open = 1_usize;
            while open > 0
                && let Some(token) = tokens.next()
            {
                open += usize::from(token.is(text, "["));
                open -= usize::from(token.is(text, "]"));
                end = token.end;
            }
        }
        let Some(comma) = tokens.next_if(|token| token.is(text, ",")) else {
            return end;
        };
        end = comma.end;
    }
}

/// The text with those ranges as spaces.
fn blanked(text: &str, ranges: &[(usize, usize)]) -> String {
    let mut result = String::with_capacity(text.len());
    let mut done = 0_usize;
    for &(start, end) in ranges {
        result.push_str(text.get(done..start).unwrap_or(""));
        result.extend(std::iter::repeat_n(' ', end.saturating_sub(start)));
        done = end;
    }
    result.push_str(text.get(done..).unwrap_or(""));
    result
}

/// `${x}` and `{{ x }}` as names of the same length, so that every byte stays
/// where it is.
pub(super) fn without_templates(code: String, quotes: bool) -> String {
    if !code.contains("${") && !code.contains("{{") {
        return code;
    }
    let mut result = String::with_capacity(code.len());
    let mut rest = code.as_str();
    while let Some(at) = [rest.find("${"), rest.find("{{")]
        .into_iter()
        .flatten()
        .min()
    {
        let (before, piece) = rest.split_at(at);
        let close = if piece.starts_with('$') { "}" } else { "}}" };
        result.push_str(before);
        let end = piece
            .find(close)
            .map(|end| end + close.len())
            // A piece with a quote in it may be two constants.
            .filter(|end| {
                piece
                    .get(..*end)
                    .is_some_and(|tag| !tag.contains('\n') && (quotes || !tag.contains('\'')))
            });
        let end = if let Some(end) = end {
            let piece_end = piece.get(end..).unwrap_or("");
            if quotes && result.ends_with('"') && piece_end.starts_with('"') {
                // `"{{ .Schema "main" }}"` is the name that `{{ … }}` without
                // quotes is, so that both are one relation.
                result.pop();
                let name = identifier_of(piece.get(..end).unwrap_or(""));
                let length = end + 2;
                result.push_str(name.get(..length).unwrap_or(&name));
                result.extend(std::iter::repeat_n(' ', length.saturating_sub(name.len())));
                end + 1
            } else {
                result.extend(std::iter::repeat_n('_', end));
                end
            }
        } else {
            result.push_str(piece.get(..2).unwrap_or(""));
            2
        };
        rest = piece.get(end..).unwrap_or("");
    }
    result.push_str(rest);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_behind_into_are_blanked() {
        let read = |text: &str| prepare(text.to_owned(), true).text;
        assert_eq!(
            read("begin select a into strict x.y, z[1] from t; end"),
            format!("begin select a {} from t; end", " ".repeat(21))
        );
        assert_eq!(
            read("begin insert into t select 1 returning a into b; end"),
            "begin insert into t select 1 returning a       ; end"
        );
        for same in [
            "begin execute 'select 1' into x; end",
            "begin perform f((select 1)); end",
            "begin insert into t values (1); end",
        ] {
            assert_eq!(read(same), same);
        }
    }

    #[test]
    fn declare_may_be_said_again() {
        assert_eq!(
            prepare(
                "declare a int; declare b int; begin null; end".to_owned(),
                true
            )
            .text,
            "declare a int;         b int; begin null; end"
        );
    }

    #[test]
    fn nesting_counts_blocks_and_not_what_follows_each_other() {
        let nesting = |text: &str| prepare(text.to_owned(), true).nesting;
        let once = "if a then drop table if exists t; end if; ";
        assert_eq!(
            nesting(&format!("begin {} end", once.repeat(50))),
            nesting(&format!("begin {once} end"))
        );
        let deep = format!(
            "begin {} null; {} end",
            "if a then ".repeat(300),
            "end if; ".repeat(300)
        );
        assert!(nesting(&deep) >= 300);
    }

    #[test]
    fn template_pieces_keep_their_length() {
        assert_eq!(
            without_templates("alter table ${s}.t set {{ x }}".to_owned(), false),
            "alter table ____.t set _______"
        );
        assert_eq!(
            without_templates("'{{' || x || '}}'".to_owned(), false),
            "'{{' || x || '}}'"
        );
        let quoted = r#"alter table "{{ index .Options "Space" }}".t add a int"#;
        let read = without_templates(quoted.to_owned(), true);
        assert_eq!(read.len(), quoted.len());
        assert_eq!(
            read.split_whitespace().collect::<Vec<_>>(),
            ["alter", "table", "space", ".t", "add", "a", "int"]
        );
    }
}
