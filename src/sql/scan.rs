//! Tokens of SQL text as people keep it: with placeholders of many drivers,
//! template pieces and psql commands among them.
//!
//! It knows where literals, comments and identifiers end, and whether an
//! operand is expected, which is what tells the placeholder `?` from the
//! operator `?`. It does not know the grammar.

/// Kinds of token. White space gives none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// A keyword or an identifier without quotes.
    Word,
    /// `"…"`, `U&"…"`.
    Quoted,
    /// A string constant of any spelling.
    Text,
    /// A number.
    Number,
    /// `$1`.
    Numbered,
    /// `?` or `?1` where an operand is expected.
    Question,
    /// The operator `?`, `?|` or `?&` as JDBC doubles it: `??`, `??|`, `??&`.
    DoubledQuestion,
    /// `:name`, `:'name'`, `@name`, `%(name)s`, `#{x}`, `${x}`.
    Named,
    /// `%s`.
    PercentS,
    /// psql's `:"name"`.
    PsqlIdentifier,
    /// `{{ … }}`.
    Template,
    /// `{% … %}` and `{# … #}`.
    TemplateTag,
    /// An operator.
    Operator,
    /// `( ) [ ] , ; . : {` and `}`, one byte.
    Punctuation,
    /// `-- …` or `/* … */`.
    Comment,
    /// A psql command with its arguments, or `\;`.
    Backslash,
    /// A literal or comment that never ends; it reaches to the end.
    Unterminated,
    /// Anything else: one character.
    Other,
}

/// One token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// An operand was expected where it stands.
    pub(crate) operand_expected: bool,
}

impl Token {
    /// The characters of the token.
    pub(crate) fn text<'a>(&self, text: &'a str) -> &'a str {
        text.get(self.start..self.end).unwrap_or("")
    }

    /// Whether it is that keyword, in any case of letters.
    pub(crate) fn is_word(&self, text: &str, word: &str) -> bool {
        self.kind == TokenKind::Word && self.text(text).eq_ignore_ascii_case(word)
    }

    /// Whether it is that punctuation.
    pub(crate) fn is(&self, text: &str, punctuation: &str) -> bool {
        self.kind == TokenKind::Punctuation && self.text(text) == punctuation
    }
}

/// Words after which an operand follows.
const BEFORE_OPERAND: &[&str] = &[
    "all",
    "and",
    "any",
    "array",
    "as",
    "between",
    "by",
    "case",
    "distinct",
    "else",
    "escape",
    "except",
    "exists",
    "first",
    "for",
    "from",
    "having",
    "ilike",
    "in",
    "insert",
    "intersect",
    "into",
    "is",
    "isolation",
    "join",
    "like",
    "limit",
    "next",
    "not",
    "offset",
    "on",
    "only",
    "or",
    "over",
    "returning",
    "select",
    "set",
    "similar",
    "some",
    "table",
    "then",
    "to",
    "union",
    "update",
    "using",
    "values",
    "variadic",
    "when",
    "where",
    "with",
    "zone",
    "symmetric",
    "passing",
    "placing",
    "call",
    "execute",
];

/// Words that can be a type in front of a constant (`date '2024-01-01'`), as
/// well as a column.
const TYPE_WORDS: &[&str] = &[
    "bool",
    "boolean",
    "cidr",
    "date",
    "float",
    "inet",
    "int",
    "integer",
    "interval",
    "json",
    "jsonb",
    "numeric",
    "text",
    "time",
    "timestamp",
    "timestamptz",
    "timetz",
    "uuid",
];

/// Whether the word can be a type in front of a constant.
pub(crate) fn is_type_word(word: &str) -> bool {
    TYPE_WORDS
        .iter()
        .any(|known| word.eq_ignore_ascii_case(known))
}

fn is_operator_byte(byte: u8) -> bool {
    b"+-*/<>=~!@#%^&|`?".contains(&byte)
}

fn is_word_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn is_word_byte(byte: u8) -> bool {
    is_word_start(byte) || byte.is_ascii_digit() || byte == b'$'
}

/// Reads tokens one after the other, so that a large text needs no memory.
#[derive(Debug)]
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// The last token ends an operand.
    operand_ended: bool,
    /// The last token is a word that can be a type.
    after_type: bool,
    last_word_array: bool,
    /// Open brackets: whether each is an ARRAY constructor's.
    brackets: Vec<bool>,
}

impl<'a> Scanner<'a> {
    /// Starts at a byte.
    pub(crate) fn new(text: &'a str, at: usize) -> Self {
        Self {
            text,
            at,
            operand_ended: false,
            after_type: false,
            last_word_array: false,
            brackets: Vec::new(),
        }
    }

    /// Where the next token is looked for.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Goes on at a byte further on, as after COPY data.
    pub(crate) fn jump(&mut self, at: usize) {
        self.at = at;
        self.statement_ended();
    }

    fn statement_ended(&mut self) {
        self.operand_ended = false;
        self.after_type = false;
        self.last_word_array = false;
        self.brackets.clear();
    }

    fn byte(&self, at: usize) -> u8 {
        self.text.as_bytes().get(at).copied().unwrap_or(0)
    }

    fn rest(&self, at: usize) -> &'a str {
        self.text.get(at..).unwrap_or("")
    }

    fn search(&self, from: usize, what: &str) -> Option<usize> {
        self.rest(from).find(what).map(|at| from + at)
    }

    fn word_end(&self, mut at: usize) -> usize {
        while is_word_byte(self.byte(at)) {
            at += 1;
        }
        at
    }

    fn line_end(&self, from: usize) -> usize {
        self.search(from, "\n").unwrap_or(self.text.len())
    }

    /// End of a quoted piece whose quote opens at `at`; `None` if it never
    /// ends.
    fn quoted_end(&self, at: usize, quote: u8, backslash: bool) -> Option<usize> {
        let bytes = self.text.as_bytes();
        let mut at = at + 1;
        while let Some(&byte) = bytes.get(at) {
            if byte == b'\\' && backslash {
                at += 2;
            } else if byte == quote {
                if self.byte(at + 1) == quote {
                    at += 2;
                } else {
                    return Some(at + 1);
                }
            } else {
                at += 1;
            }
        }
        None
    }

    fn block_comment_end(&self, start: usize) -> Option<usize> {
        let bytes = self.text.as_bytes();
        let mut depth = 0_usize;
        let mut at = start;
        while at < bytes.len() {
            match (self.byte(at), self.byte(at + 1)) {
                (b'/', b'*') => {
                    depth += 1;
                    at += 2;
                }
                (b'*', b'/') => {
                    depth -= 1;
                    at += 2;
                    if depth == 0 {
                        return Some(at);
                    }
                }
                _ => at += 1,
            }
        }
        None
    }

    /// `$tag$…$tag$`: the end, or `Err` when it opens and never ends.
    fn dollar_end(&self, at: usize) -> Option<Result<usize, ()>> {
        let mut tag_end = at + 1;
        if is_word_start(self.byte(tag_end)) {
            while is_word_byte(self.byte(tag_end)) && self.byte(tag_end) != b'$' {
                tag_end += 1;
            }
        }
        if self.byte(tag_end) != b'$' {
            return None;
        }
        let tag = self.text.get(at..=tag_end)?;
        Some(
            self.search(tag_end + 1, tag)
                .map(|end| end + tag.len())
                .ok_or(()),
        )
    }

    fn number_end(&self, mut at: usize) -> usize {
        if self.byte(at) == b'0' && matches!(self.byte(at + 1) | 0x20, b'x' | b'o' | b'b') {
            at += 2;
            while self.byte(at).is_ascii_hexdigit() || self.byte(at) == b'_' {
                at += 1;
            }
            return at;
        }
        let digits = |mut at: usize| {
            while self.byte(at).is_ascii_digit()
                || (self.byte(at) == b'_' && self.byte(at + 1).is_ascii_digit())
            {
                at += 1;
            }
            at
        };
        at = digits(at);
        // `1..2` is how PL/pgSQL writes a range.
        if self.byte(at) == b'.' && self.byte(at + 1) != b'.' {
            at = digits(at + 1);
        }
        if matches!(self.byte(at), b'e' | b'E') {
            let sign = usize::from(matches!(self.byte(at + 1), b'+' | b'-'));
            if self.byte(at + 1 + sign).is_ascii_digit() {
                at = digits(at + 1 + sign);
            }
        }
        at
    }

    /// `{…}` after `#` or `$`, on one line.
    fn braces_end(&self, open: usize) -> Option<usize> {
        self.rest(open)
            .bytes()
            .take(200)
            .take_while(|byte| *byte != b'\n')
            .position(|byte| byte == b'}')
            .map(|length| open + length + 1)
    }

    /// `%(name)s` and its kin.
    fn percent_name_end(&self, at: usize) -> Option<usize> {
        let inner = at + 2;
        let end = self.word_end(inner);
        (end > inner && self.byte(end) == b')' && matches!(self.byte(end + 1), b's' | b'd' | b'f'))
            .then_some(end + 2)
    }

    /// A placeholder that starts with an operator's byte, at `at`, where an
    /// operand is expected.
    fn operator_placeholder(&self, at: usize) -> Option<(TokenKind, usize)> {
        let next = self.byte(at + 1);
        match self.byte(at) {
            b'#' if next == b'{' => self.braces_end(at + 1).map(|end| (TokenKind::Named, end)),
            b'%' if next == b'(' => self.percent_name_end(at).map(|end| (TokenKind::Named, end)),
            b'%' if next == b's' && !is_word_byte(self.byte(at + 2)) => {
                Some((TokenKind::PercentS, at + 2))
            }
            b'@' if is_word_start(next) => Some((TokenKind::Named, self.word_end(at + 1))),
            b'?' => {
                let mut end = at + 1;
                while self.byte(end).is_ascii_digit() {
                    end += 1;
                }
                Some((TokenKind::Question, end))
            }
            _ => None,
        }
    }

    /// After a word such as `date`, `?` is an operator only when an operand
    /// follows it.
    fn operand_follows(&self, at: usize) -> bool {
        let rest = self.rest(at).trim_start();
        let byte = rest.bytes().next().unwrap_or(0);
        if byte == b'\'' || byte == b'?' || byte == b'$' || byte == b'"' {
            return true;
        }
        let word: String = rest
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        word.eq_ignore_ascii_case("array")
    }

    fn operator(&self, start: usize) -> (TokenKind, usize) {
        let expected = !self.operand_ended;
        if (expected || (self.after_type && !self.operand_follows(start + 1)))
            && let Some(found) = self.operator_placeholder(start)
        {
            return found;
        }
        // These can be nothing else, even after an operand.
        if matches!(
            (self.byte(start), self.byte(start + 1)),
            (b'#', b'{') | (b'%', b'(')
        ) && let Some(found) = self.operator_placeholder(start)
        {
            return found;
        }
        if self.rest(start).starts_with("??") {
            let end = start + 2;
            let more = usize::from(matches!(self.byte(end), b'|' | b'&'));
            return (TokenKind::DoubledQuestion, end + more);
        }
        let mut end = start;
        while is_operator_byte(self.byte(end)) {
            let two = (self.byte(end), self.byte(end + 1));
            if two == (b'-', b'-') || two == (b'/', b'*') {
                break;
            }
            if end > start {
                let before = self.text.get(start..end).unwrap_or("");
                // `=?`, `=@name`, `=%s`: drivers do not need the space that
                // PostgreSQL does.
                let placeholder = self.operator_placeholder(end).is_some();
                let splits = match self.byte(end) {
                    b'?' => !matches!(before, "@" | "?"),
                    b'@' => matches!(
                        before,
                        "=" | "<" | ">" | "<=" | ">=" | "<>" | "!=" | "+" | "*" | "/" | "||"
                    ),
                    _ => true,
                };
                if placeholder && splits {
                    break;
                }
            }
            end += 1;
        }
        // PostgreSQL's rule: an operator ends in + or - only when it has one
        // of these characters, so that `=-1` is two tokens.
        let run = self.text.get(start..end).unwrap_or("");
        if run.len() > 1 && !run.bytes().any(|byte| b"~!@#%^&|`?".contains(&byte)) {
            let kept = run.trim_end_matches(['+', '-']).len().max(1);
            end = start + kept;
        }
        (TokenKind::Operator, end.max(start + 1))
    }

    fn colon(&self, start: usize) -> (TokenKind, usize) {
        let next = self.byte(start + 1);
        if next == b':' || next == b'=' {
            return (TokenKind::Operator, start + 2);
        }
        // `a[1:n]` and `a[:n]` are slices; `ARRAY[:a, :b]` holds placeholders.
        let slice = self.brackets.last() == Some(&false);
        let name = is_word_byte(next) && next != b'$';
        if !slice && name && (!self.operand_ended || self.after_type) {
            return (TokenKind::Named, self.word_end(start + 1));
        }
        if !slice {
            let quoted = match next {
                b'\'' => Some(TokenKind::Named),
                b'"' => Some(TokenKind::PsqlIdentifier),
                _ => None,
            };
            if let Some(kind) = quoted
                && let Some(end) = self.quoted_end(start + 1, next, false)
                && is_word_byte(self.byte(start + 2))
            {
                return (kind, end);
            }
        }
        (TokenKind::Punctuation, start + 1)
    }

    fn read(&mut self, start: usize) -> (TokenKind, usize) {
        let length = self.text.len();
        let ended = |end: Option<usize>, kind| match end {
            Some(end) => (kind, end.min(length)),
            None => (TokenKind::Unterminated, length),
        };
        let byte = self.byte(start);
        let next = self.byte(start + 1);
        match byte {
            b'-' if next == b'-' => (TokenKind::Comment, self.line_end(start)),
            b'/' if next == b'*' => ended(self.block_comment_end(start), TokenKind::Comment),
            b'\'' => ended(self.quoted_end(start, b'\'', false), TokenKind::Text),
            b'"' => ended(self.quoted_end(start, b'"', false), TokenKind::Quoted),
            b'e' | b'E' if next == b'\'' => {
                ended(self.quoted_end(start + 1, b'\'', true), TokenKind::Text)
            }
            b'b' | b'B' | b'x' | b'X' | b'n' | b'N' if next == b'\'' => {
                ended(self.quoted_end(start + 1, b'\'', false), TokenKind::Text)
            }
            b'u' | b'U' if next == b'&' && self.byte(start + 2) == b'\'' => {
                ended(self.quoted_end(start + 2, b'\'', false), TokenKind::Text)
            }
            b'u' | b'U' if next == b'&' && self.byte(start + 2) == b'"' => {
                ended(self.quoted_end(start + 2, b'"', false), TokenKind::Quoted)
            }
            b'$' if next.is_ascii_digit() => {
                let mut end = start + 1;
                while self.byte(end).is_ascii_digit() {
                    end += 1;
                }
                (TokenKind::Numbered, end)
            }
            b'$' if next == b'{' => match self.braces_end(start + 1) {
                Some(end) => (TokenKind::Named, end),
                None => (TokenKind::Other, start + 1),
            },
            b'$' => match self.dollar_end(start) {
                Some(end) => ended(end.ok(), TokenKind::Text),
                None => (TokenKind::Other, start + 1),
            },
            b'{' if next == b'{' => ended(
                self.search(start, "}}").map(|at| at + 2),
                TokenKind::Template,
            ),
            b'{' if next == b'%' => ended(
                self.search(start, "%}").map(|at| at + 2),
                TokenKind::TemplateTag,
            ),
            b'{' if next == b'#' => ended(
                self.search(start, "#}").map(|at| at + 2),
                TokenKind::TemplateTag,
            ),
            b'\\' if next == b';' => (TokenKind::Backslash, start + 2),
            b'\\' => (TokenKind::Backslash, self.line_end(start)),
            b'.' if next.is_ascii_digit() && !self.operand_ended => {
                (TokenKind::Number, self.number_end(start))
            }
            b':' => self.colon(start),
            b'(' | b')' | b'[' | b']' | b',' | b';' | b'.' | b'{' | b'}' => {
                (TokenKind::Punctuation, start + 1)
            }
            _ if byte.is_ascii_digit() => (TokenKind::Number, self.number_end(start)),
            _ if is_operator_byte(byte) => self.operator(start),
            _ if is_word_start(byte) => (TokenKind::Word, self.word_end(start)),
            _ => {
                let width = self.rest(start).chars().next().map_or(1, char::len_utf8);
                (TokenKind::Other, start + width)
            }
        }
    }

    fn remember(&mut self, token: Token) {
        let text = token.text(self.text);
        if token.kind == TokenKind::Punctuation {
            match text {
                "[" => self.brackets.push(
                    self.last_word_array
                        || self.brackets.last() == Some(&true) && !self.operand_ended,
                ),
                "]" => {
                    self.brackets.pop();
                }
                ";" => {
                    self.statement_ended();
                    return;
                }
                _ => {}
            }
        }
        self.after_type = token.kind == TokenKind::Word && is_type_word(text);
        self.last_word_array = token.kind == TokenKind::Word && text.eq_ignore_ascii_case("array");
        self.operand_ended = match token.kind {
            TokenKind::Word => !BEFORE_OPERAND
                .iter()
                .any(|word| text.eq_ignore_ascii_case(word)),
            TokenKind::Operator | TokenKind::DoubledQuestion => false,
            TokenKind::Punctuation => matches!(text, ")" | "]" | "}"),
            _ => true,
        };
    }
}

impl Iterator for Scanner<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) || self.byte(self.at) == 0x0b
        {
            self.at += 1;
        }
        let start = self.at;
        bytes.get(start)?;
        let (kind, end) = self.read(start);
        let token = Token {
            kind,
            start,
            end: end.max(start + 1),
            operand_expected: !self.operand_ended,
        };
        self.at = token.end;
        if !matches!(
            kind,
            TokenKind::Comment | TokenKind::TemplateTag | TokenKind::Backslash
        ) {
            self.remember(token);
        }
        Some(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<(TokenKind, &str)> {
        Scanner::new(text, 0)
            .map(|token| (token.kind, token.text(text)))
            .collect()
    }

    fn placeholders(text: &str) -> Vec<&str> {
        kinds(text)
            .into_iter()
            .filter(|(kind, _)| {
                matches!(
                    kind,
                    TokenKind::Question
                        | TokenKind::Named
                        | TokenKind::Numbered
                        | TokenKind::PercentS
                )
            })
            .map(|(_, text)| text)
            .collect()
    }

    #[test]
    fn a_question_mark_is_a_placeholder_only_where_an_operand_is_expected() {
        assert_eq!(
            placeholders("select a ? b where c=? and d in (?,?)").len(),
            3
        );
        assert_eq!(
            placeholders("where m ? 'k' and m ?| ? and m ?& array['a']"),
            ["?"]
        );
        assert_eq!(placeholders("where m @? '$.a' and m ?? 'k' limit ?"), ["?"]);
        assert_eq!(placeholders("where d > date ? and j.date ? 'k'"), ["?"]);
        assert_eq!(placeholders("where x between ?1 and ?2"), ["?1", "?2"]);
    }

    #[test]
    fn colons_of_casts_and_slices_are_no_placeholders() {
        assert_eq!(
            placeholders("select a::int, b[1:n], c[:n], array[:x, :y] where d = :id::int"),
            [":x", ":y", ":id"]
        );
        assert_eq!(
            placeholders("where a = :'v' and b=@p and @ c > 1"),
            [":'v'", "@p"]
        );
    }

    #[test]
    fn percent_signs_can_be_modulo() {
        assert_eq!(
            placeholders("where a % s = %s and b%s = %(n)s"),
            ["%s", "%(n)s"]
        );
    }

    #[test]
    fn quotes_of_all_kinds_hide_what_they_hold() {
        let text = r#"select 'a?;', E'\'?', $t$ ? ; $$ $t$, U&"?" , "x""?" /* ? /* ; */ ? */ -- ?"#;
        assert_eq!(placeholders(text), Vec::<&str>::new());
        assert!(kinds(text).iter().all(|(_, text)| *text != ";"));
    }

    #[test]
    fn what_never_ends_reaches_to_the_end() {
        for text in [
            "select 'a",
            "select \"a",
            "select $$a",
            "select /* a",
            "select {{ a",
        ] {
            assert_eq!(
                kinds(text).last().map(|t| t.0),
                Some(TokenKind::Unterminated),
                "{text}"
            );
        }
    }

    #[test]
    fn minus_after_an_operator_is_a_sign() {
        let text = "a=-1";
        assert_eq!(kinds(text).get(1), Some(&(TokenKind::Operator, "=")));
        assert_eq!(
            kinds("a ->> 'b'").get(1),
            Some(&(TokenKind::Operator, "->>"))
        );
    }
}
