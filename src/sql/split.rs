//! Statements of a text: where each begins and ends, with its tokens and the
//! comments that belong to it.
//!
//! psql's commands and COPY data are left out. Nothing is parsed here.

use super::scan::{Scanner, Token, TokenKind};

/// Statements longer than this many bytes are not parsed.
pub(super) const MAX_STATEMENT: usize = 1_000_000;

/// So many tokens are kept of longer ones, which say what they are.
const HEAD: usize = 200;

/// A statement as found.
#[derive(Debug, Default)]
pub(super) struct Piece {
    /// Tokens other than comments; past [`MAX_STATEMENT`] the first few.
    pub(super) tokens: Vec<Token>,
    /// Comments before and in it.
    pub(super) comments: Vec<Token>,
    /// First byte of the first token.
    pub(super) start: usize,
    /// One past the last token.
    pub(super) end: usize,
    /// It is longer than [`MAX_STATEMENT`].
    pub(super) too_long: bool,
    /// A NUL byte that stands in it.
    pub(super) nul: Option<usize>,
}

impl Piece {
    fn is_empty(&self) -> bool {
        self.end == self.start
    }

    fn push(&mut self, token: Token) {
        if self.is_empty() {
            self.start = token.start;
        }
        self.end = token.end;
        if self.too_long {
            return;
        }
        if self.end - self.start > MAX_STATEMENT {
            self.too_long = true;
            self.tokens.truncate(HEAD);
            self.tokens.shrink_to_fit();
        } else {
            self.tokens.push(token);
        }
    }
}

/// Gives the statements of a text in order.
#[derive(Debug)]
pub(super) struct Splitter<'a> {
    text: &'a str,
    scanner: Scanner<'a>,
    /// A token read ahead.
    ahead: Option<Token>,
}

impl<'a> Splitter<'a> {
    /// Starts at a byte (after a byte order mark).
    pub(super) fn new(text: &'a str, at: usize) -> Self {
        Self {
            text,
            scanner: Scanner::new(text, at),
            ahead: None,
        }
    }

    fn token(&mut self) -> Option<Token> {
        self.ahead.take().or_else(|| self.scanner.next())
    }

    /// Skips the data of `COPY … FROM stdin` up to `\.` on a line of its own.
    fn skip_copy_data(&mut self) {
        let from = self.scanner.position();
        let rest = self.text.get(from..).unwrap_or("");
        let mut at = from;
        for (number, line) in rest.split_inclusive('\n').enumerate() {
            at += line.len();
            // The rest of the line with the semicolon is no data.
            if number > 0 && line.trim_end() == "\\." {
                break;
            }
        }
        self.scanner.jump(at);
    }

    fn is_copy_from_stdin(&self, tokens: &[Token]) -> bool {
        let mut words = tokens
            .iter()
            .filter(|token| token.kind == TokenKind::Word)
            .map(|token| token.text(self.text));
        words
            .next()
            .is_some_and(|word| word.eq_ignore_ascii_case("copy"))
            && tokens.windows(2).any(|pair| match pair {
                [from, stdin] => {
                    from.is_word(self.text, "from") && stdin.is_word(self.text, "stdin")
                }
                _ => false,
            })
    }

    /// Comments on the line where a statement ended belong to it.
    fn trailing_comments(&mut self, piece: &mut Piece, ended: usize) {
        while let Some(token) = self.token() {
            let same_line = self
                .text
                .get(ended..token.start)
                .is_some_and(|gap| !gap.contains('\n'));
            if token.kind == TokenKind::Comment && same_line {
                piece.comments.push(token);
            } else {
                self.ahead = Some(token);
                break;
            }
        }
    }
}

/// psql commands that send what was typed before them.
fn sends(command: &str) -> bool {
    let name: String = command
        .chars()
        .skip(1)
        .take_while(char::is_ascii_alphabetic)
        .collect();
    matches!(
        name.as_str(),
        "g" | "gx" | "gset" | "gexec" | "gdesc" | "watch" | "crosstabview" | "bind" | "parse"
    ) || command.starts_with("\\;")
}

impl Iterator for Splitter<'_> {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        let mut piece = Piece::default();
        // Within BEGIN ATOMIC … END: open BEGINs and CASEs.
        let mut atomic = 0_usize;
        let mut previous: Option<Token> = None;
        let mut creates = false;
        // A rule's actions stand in parentheses with semicolons between them.
        let mut rule = false;
        let mut depth = 0_usize;
        while let Some(token) = self.token() {
            match token.kind {
                TokenKind::Comment => {
                    if piece.comments.len() < 1000 {
                        piece.comments.push(token);
                    }
                    continue;
                }
                TokenKind::Backslash => {
                    let command = token.text(self.text);
                    if sends(command) && !piece.is_empty() {
                        return Some(piece);
                    }
                    if command.starts_with("\\copy")
                        && command.to_ascii_lowercase().contains("from stdin")
                    {
                        self.skip_copy_data();
                    }
                    continue;
                }
                TokenKind::Punctuation
                    if token.is(self.text, ";") && atomic == 0 && !(rule && depth > 0) =>
                {
                    if piece.is_empty() {
                        // Comments before a lone semicolon say nothing about
                        // the next statement.
                        piece.comments.clear();
                        continue;
                    }
                    if self.is_copy_from_stdin(&piece.tokens) {
                        self.skip_copy_data();
                    } else {
                        self.trailing_comments(&mut piece, token.end);
                    }
                    return Some(piece);
                }
                TokenKind::Word => {
                    if piece.is_empty() {
                        creates = token.is_word(self.text, "create");
                    }
                    rule |= creates && depth == 0 && token.is_word(self.text, "rule");
                    if atomic > 0 {
                        if token.is_word(self.text, "case") {
                            atomic += 1;
                        } else if token.is_word(self.text, "end") {
                            atomic -= 1;
                        }
                    } else if creates
                        && token.is_word(self.text, "atomic")
                        && previous.is_some_and(|before| before.is_word(self.text, "begin"))
                    {
                        atomic = 1;
                    }
                }
                TokenKind::Punctuation if token.is(self.text, "(") => depth += 1,
                TokenKind::Punctuation if token.is(self.text, ")") => {
                    depth = depth.saturating_sub(1);
                }
                TokenKind::Other if token.text(self.text) == "\0" && piece.nul.is_none() => {
                    piece.nul = Some(token.start);
                }
                _ => {}
            }
            // Lone template tags are no statement.
            if token.kind == TokenKind::TemplateTag && piece.is_empty() {
                continue;
            }
            previous = Some(token);
            piece.push(token);
        }
        (!piece.is_empty()).then_some(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statements(text: &str) -> Vec<&str> {
        Splitter::new(text, 0)
            .map(|piece| text.get(piece.start..piece.end).unwrap())
            .collect()
    }

    #[test]
    fn semicolons_in_function_bodies_do_not_split() {
        let text = "create function f() returns int begin atomic select case when true then 1 end; select 2; end; select 3";
        assert_eq!(statements(text).len(), 2);
        let rule =
            "create rule r as on delete to t do also (delete from u; delete from v); select 1";
        assert_eq!(statements(rule).len(), 2);
        assert_eq!(
            statements("create function f() as $$ a; b $$; select ';'; "),
            ["create function f() as $$ a; b $$", "select ';'"]
        );
    }

    #[test]
    fn transactions_are_no_function_bodies() {
        assert_eq!(statements("begin; select 1; end; select 2").len(), 4);
    }

    #[test]
    fn psql_commands_and_copy_data_are_left_out() {
        let text = "\\timing on\nselect 1 \\gset\n\\d t\ncopy t from stdin;\n1\tselect 'x\n\\.\nselect 2;\n";
        assert_eq!(
            statements(text),
            ["select 1", "copy t from stdin", "select 2"]
        );
    }

    #[test]
    fn comments_alone_are_no_statement() {
        assert!(statements("-- a\n/* b; */ ;; \n").is_empty());
    }

    #[test]
    fn a_comment_after_the_semicolon_belongs_to_the_statement() {
        let text = "select 1; -- one\n-- two\nselect 2";
        let pieces: Vec<Piece> = Splitter::new(text, 0).collect();
        assert_eq!(
            pieces.iter().map(|p| p.comments.len()).collect::<Vec<_>>(),
            [1, 1]
        );
    }
}
