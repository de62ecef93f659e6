//! Queries that differ in their values alone, told by one text: literals and
//! parameters become `?`, lists of them `...`, and blanks, comments and the case
//! of words go.
//!
//! It works on bytes and on any text, valid or not, in one pass and without a
//! syntax tree: a log holds millions of queries, few of them different.

/// What ends a query, and how its text was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    /// Bytes of the text that belong to the query.
    pub end: usize,
    /// Something else follows, as asked for.
    pub stopped: bool,
    /// A string, a quoted name or a comment has no end.
    pub unclosed: bool,
}

/// What the token before was: it decides on the blank between two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    Start,
    /// A keyword that no function is called: a parenthesis stands apart, a sign
    /// belongs to the number.
    Keyword,
    Word,
    Value,
    Operator,
    /// `(` or `[`.
    Open,
    /// `)` or `]`.
    Close,
    Comma,
    Semicolon,
    /// `.`
    Dot,
    /// `::` or a single colon.
    Cast,
}

/// What stands between a pair of parentheses or brackets.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is seen by itself while the text goes by"
)]
struct Inside {
    /// Where the text continues after the opening one.
    from: usize,
    /// A list whose elements are only counted: after IN or ARRAY, or within
    /// such a list.
    list: bool,
    /// Only values so far.
    simple: bool,
    /// There is something in it.
    filled: bool,
    /// A row of VALUES.
    row: bool,
}

/// Words before a parenthesis that is no function call.
const APART: &[&[u8]] = &[
    b"all",
    b"and",
    b"any",
    b"array",
    b"as",
    b"between",
    b"by",
    b"case",
    b"distinct",
    b"else",
    b"except",
    b"exists",
    b"filter",
    b"from",
    b"group",
    b"having",
    b"ilike",
    b"in",
    b"intersect",
    b"into",
    b"is",
    b"join",
    b"lateral",
    b"like",
    b"limit",
    b"not",
    b"offset",
    b"on",
    b"or",
    b"order",
    b"over",
    b"returning",
    b"select",
    b"set",
    b"some",
    b"then",
    b"union",
    b"using",
    b"values",
    b"when",
    b"where",
    b"with",
    b"within",
];

/// Writes the query without its values, on one line, to `out`.
///
/// `stop` is asked at the beginning of every line that is not within a string
/// or comment, with the rest of the text: whether the query ended before it.
pub fn normalize(text: &[u8], out: &mut Vec<u8>, stop: impl FnMut(&[u8]) -> bool) -> Read {
    let mut reader = Reader {
        text,
        at: 0,
        out,
        last: Last::Start,
        inside: Vec::new(),
        word: (0, 0),
        rows: None,
        unclosed: false,
        cast: false,
    };
    let from = reader.out.len();
    let stopped = reader.run(stop);
    let (end, unclosed) = (reader.at.min(text.len()), reader.unclosed);
    while out.len() > from && matches!(out.last(), Some(b';' | b' ')) {
        out.pop();
    }
    Read {
        end,
        stopped,
        unclosed,
    }
}

/// A number for a normalized text. It is the same for ever and everywhere.
pub fn hash(bytes: &[u8]) -> u64 {
    const A: u64 = 0x9e37_79b9_7f4a_7c15;
    const B: u64 = 0xd1b5_4a32_d192_ed03;
    let fold = |left: u64, right: u64| {
        let product = u128::from(left) * u128::from(right);
        (product as u64) ^ ((product >> 64) as u64)
    };
    let mut hash = A ^ (bytes.len() as u64).wrapping_mul(B);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        hash = fold(hash ^ u64::from_le_bytes(*word), A);
    }
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    hash = fold(hash ^ u64::from_le_bytes(last), B);
    fold(hash ^ B, A)
}

struct Reader<'a, 'o> {
    text: &'a [u8],
    at: usize,
    out: &'o mut Vec<u8>,
    last: Last,
    inside: Vec<Inside>,
    /// The last word, in `out`.
    word: (usize, usize),
    /// The depth at which rows of VALUES stand, where the text of the first one
    /// ends, and whether there are more.
    rows: Option<(usize, usize, bool)>,
    unclosed: bool,
    /// Between `::` and the end of a type's name.
    cast: bool,
}

impl Reader<'_, '_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn rest(&self) -> &[u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn run(&mut self, mut stop: impl FnMut(&[u8]) -> bool) -> bool {
        let mut fresh = true;
        while let Some(&byte) = self.text.get(self.at) {
            if fresh && !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') && stop(self.rest()) {
                return true;
            }
            fresh = false;
            match byte {
                b'\n' => {
                    self.at += 1;
                    fresh = true;
                }
                b' ' | b'\t' | b'\r' | 0x0b | 0x0c => self.at += 1,
                b'-' if self.peek(1) == b'-' => {
                    self.at += memchr::memchr(b'\n', self.rest()).unwrap_or(self.rest().len());
                }
                b'/' if self.peek(1) == b'*' => self.comment(),
                b'\'' => self.string(false),
                b'"' => self.quoted(),
                b'$' => self.dollar(),
                b'0'..=b'9' => self.number(),
                b'.' if self.peek(1).is_ascii_digit() && self.last != Last::Word => self.number(),
                b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. => self.name(),
                b'(' | b'[' => self.open(byte),
                b')' | b']' => self.close(byte),
                b',' => {
                    self.at += 1;
                    self.cast = false;
                    self.out.push(b',');
                    self.last = Last::Comma;
                }
                b';' => {
                    self.at += 1;
                    self.put(b";", Last::Semicolon);
                }
                b'.' => {
                    self.at += 1;
                    self.out.push(b'.');
                    self.last = Last::Dot;
                }
                b':' => {
                    let len = if matches!(self.peek(1), b':' | b'=') {
                        2
                    } else {
                        1
                    };
                    let cast = len == 2 && self.peek(1) == b':';
                    let token: &[u8] = match (len, cast) {
                        (1, _) => b":",
                        (_, true) => b"::",
                        _ => b":=",
                    };
                    self.at += len;
                    if cast || len == 1 {
                        self.out.extend_from_slice(token);
                        self.last = Last::Cast;
                        self.cast = cast;
                    } else {
                        self.put(token, Last::Operator);
                    }
                }
                byte if is_operator(byte) => self.operator(),
                _ => {
                    // Nothing that SQL has: kept as it stands.
                    self.at += 1;
                    self.put(&[byte], Last::Word);
                }
            }
        }
        false
    }

    /// Writes a token, with a blank before it where one belongs.
    fn put(&mut self, token: &[u8], what: Last) {
        if !matches!(self.last, Last::Start | Last::Open | Last::Dot | Last::Cast)
            && what != Last::Semicolon
        {
            self.out.push(b' ');
        }
        self.out.extend_from_slice(token);
        self.last = what;
        if let Some(inside) = self.inside.last_mut() {
            inside.filled = true;
            if !matches!(what, Last::Value) && !self.cast {
                inside.simple = false;
            }
        }
        if what != Last::Word {
            self.cast = false;
        }
    }

    fn value(&mut self) {
        self.cast = false;
        self.put(b"?", Last::Value);
    }

    fn comment(&mut self) {
        let mut depth = 1;
        self.at += 2;
        while depth > 0 {
            let Some(found) = memchr::memchr2(b'*', b'/', self.rest()) else {
                self.at = self.text.len();
                self.unclosed = true;
                return;
            };
            self.at += found;
            match (self.peek(0), self.peek(1)) {
                (b'*', b'/') => {
                    depth -= 1;
                    self.at += 2;
                }
                (b'/', b'*') => {
                    depth += 1;
                    self.at += 2;
                }
                _ => self.at += 1,
            }
        }
    }

    /// A string from its quote on.
    fn string(&mut self, escapes: bool) {
        self.at += 1;
        loop {
            let found = if escapes {
                memchr::memchr2(b'\'', b'\\', self.rest())
            } else {
                memchr::memchr(b'\'', self.rest())
            };
            let Some(found) = found else {
                self.at = self.text.len();
                self.unclosed = true;
                break;
            };
            self.at += found;
            if self.peek(0) == b'\\' || self.peek(1) == b'\'' {
                self.at += 2;
            } else {
                self.at += 1;
                break;
            }
        }
        self.value();
    }

    fn quoted(&mut self) {
        let from = self.at;
        self.at += 1;
        loop {
            let Some(found) = memchr::memchr(b'"', self.rest()) else {
                self.at = self.text.len();
                self.unclosed = true;
                break;
            };
            self.at += found + 1;
            if self.peek(0) != b'"' {
                break;
            }
            self.at += 1;
        }
        let name = self.text.get(from..self.at).unwrap_or_default();
        self.put(name, Last::Word);
    }

    /// `$1`, `$$…$$`, `$tag$…$tag$`.
    fn dollar(&mut self) {
        if self.peek(1).is_ascii_digit() {
            self.at += 2;
            while self.peek(0).is_ascii_digit() {
                self.at += 1;
            }
            self.value();
            return;
        }
        let tag = self
            .rest()
            .iter()
            .skip(1)
            .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_' || **byte >= 0x80)
            .count();
        if self.peek(tag + 1) != b'$' {
            self.at += 1;
            self.put(b"$", Last::Operator);
            return;
        }
        let fence = self.rest().get(..tag + 2).unwrap_or_default();
        let body = self.rest().get(tag + 2..).unwrap_or_default();
        if let Some(found) = memchr::memmem::find(body, fence) {
            self.at += 2 * (tag + 2) + found;
        } else {
            self.at = self.text.len();
            self.unclosed = true;
        }
        self.value();
    }

    fn number(&mut self) {
        loop {
            match self.peek(0) {
                b'e' | b'E'
                    if matches!(self.peek(1), b'+' | b'-') && self.peek(2).is_ascii_digit() =>
                {
                    self.at += 2;
                }
                b'.' if self.peek(1) == b'.' => break,
                b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'.' => self.at += 1,
                _ => break,
            }
        }
        self.value();
    }

    fn name(&mut self) {
        let len = self
            .rest()
            .iter()
            .take_while(|byte| {
                byte.is_ascii_alphanumeric() || matches!(**byte, b'_' | b'$' | 0x80..)
            })
            .count();
        let name = self.text.get(self.at..self.at + len).unwrap_or_default();
        // E'…', B'…', X'…', N'…' and U&'…' are strings; U&"…" is a name.
        if let [letter] = name {
            let letter = letter.to_ascii_lowercase();
            if self.peek(1) == b'\'' && matches!(letter, b'e' | b'b' | b'x' | b'n') {
                self.at += 1;
                self.string(letter == b'e');
                return;
            }
            if letter == b'u' && self.peek(1) == b'&' && self.peek(2) == b'\'' {
                self.at += 2;
                self.string(false);
                return;
            }
        }
        self.at += len;
        let cast = self.cast;
        let (simple, filled) = self
            .inside
            .last()
            .map_or((false, false), |inside| (inside.simple, inside.filled));
        self.put(name, Last::Word);
        self.cast = cast;
        let from = self.out.len() - len;
        self.word = (from, self.out.len());
        let Some(word) = self.out.get_mut(from..) else {
            return;
        };
        word.make_ascii_lowercase();
        if cast {
            return;
        }
        if matches!(&*word, b"null" | b"true" | b"false" | b"default") {
            // Values, but for the words' sake kept apart from the others.
            if let Some(inside) = self.inside.last_mut() {
                inside.simple = simple || !filled;
            }
        } else if APART.binary_search(&&*word).is_ok() {
            self.last = Last::Keyword;
        }
    }

    fn open(&mut self, byte: u8) {
        self.at += 1;
        let (from, to) = self.word;
        let word: &[u8] = match self.last {
            Last::Keyword => self.out.get(from..to).unwrap_or_default(),
            _ => b"",
        };
        let in_list = self.inside.last().is_some_and(|inside| inside.list)
            && matches!(self.last, Last::Open | Last::Comma);
        let list = match byte {
            b'(' => word == b"in",
            _ => word == b"array",
        } || in_list;
        // The length of a type belongs to the type: numeric(10, 2).
        let of_type = self.cast;
        let row = byte == b'('
            && (word == b"values"
                || matches!(self.rows, Some((depth, _, _)) if depth == self.inside.len())
                    && self.last == Last::Comma);
        if word == b"values" {
            self.rows = None;
        }
        let apart = match self.last {
            Last::Start | Last::Open | Last::Dot | Last::Cast | Last::Word => false,
            Last::Close | Last::Value => byte == b'(',
            _ => byte == b'(' || self.last != Last::Keyword,
        };
        if apart {
            self.out.push(b' ');
        }
        if let Some(outer) = self.inside.last_mut() {
            outer.filled = true;
            if !(in_list || of_type) {
                outer.simple = false;
            }
        }
        self.out.push(byte);
        self.last = Last::Open;
        self.inside.push(Inside {
            from: self.out.len(),
            list,
            simple: list || of_type,
            filled: false,
            row,
        });
        self.cast = false;
    }

    fn close(&mut self, byte: u8) {
        self.at += 1;
        self.cast = false;
        let inside = self.inside.pop();
        if let Some(inside) = &inside {
            if inside.list && inside.simple && inside.filled {
                self.out.truncate(inside.from);
                self.out.extend_from_slice(b"...");
            } else if inside.list
                && let Some(outer) = self.inside.last_mut()
            {
                outer.simple = false;
            }
        }
        self.out.push(byte);
        self.last = Last::Close;
        if let Some(Inside { row: true, .. }) = inside {
            match &mut self.rows {
                // One row of any number stands for all of them.
                Some((_, end, more)) => {
                    if *more {
                        self.out.truncate(*end);
                    } else {
                        self.out.truncate(*end);
                        self.out.extend_from_slice(b", ...");
                        *end = self.out.len();
                        *more = true;
                    }
                }
                None => self.rows = Some((self.inside.len(), self.out.len(), false)),
            }
        }
    }

    fn operator(&mut self) {
        let run = self.rest();
        let mut len = run.iter().take_while(|byte| is_operator(**byte)).count();
        // A comment may begin within.
        let comment = run
            .windows(2)
            .take(len)
            .position(|pair| matches!(pair, b"--" | b"/*"));
        if let Some(comment) = comment {
            len = comment.max(1);
        }
        // A sign at the end is an operator of its own, but in operators that have
        // one of these.
        let head = |len: usize| run.get(..len).unwrap_or_default();
        if !head(len).iter().any(|byte| {
            matches!(
                byte,
                b'~' | b'!' | b'@' | b'#' | b'%' | b'^' | b'&' | b'|' | b'`' | b'?'
            )
        }) {
            while len > 1 && matches!(head(len).last(), Some(b'+' | b'-')) {
                len -= 1;
            }
        }
        let token = head(len);
        let sign = matches!(token, b"-" | b"+")
            && matches!(
                self.last,
                Last::Start | Last::Open | Last::Comma | Last::Operator | Last::Keyword
            );
        let after = run.get(len..).unwrap_or_default();
        let next = after.iter().position(|byte| !byte.is_ascii_whitespace());
        let number = next.is_some_and(|at| {
            after.get(at).is_some_and(u8::is_ascii_digit)
                || after.get(at) == Some(&b'.') && after.get(at + 1).is_some_and(u8::is_ascii_digit)
        });
        if sign && number {
            // A negative number is a value as well.
            self.at += len;
            return;
        }
        let token = token.to_vec();
        self.at += len;
        self.put(&token, Last::Operator);
    }
}

fn is_operator(byte: u8) -> bool {
    matches!(
        byte,
        b'+' | b'-'
            | b'*'
            | b'/'
            | b'<'
            | b'>'
            | b'='
            | b'~'
            | b'!'
            | b'@'
            | b'#'
            | b'%'
            | b'^'
            | b'&'
            | b'|'
            | b'`'
            | b'?'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(text: &str) -> String {
        let mut out = Vec::new();
        normalize(text.as_bytes(), &mut out, |_| false);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn values_blanks_comments_and_case_do_not_count() {
        let expected = "select count(*), x from t where a = ? and b <> ? or c >= ?";
        for text in [
            "select count(*), x from t where a = 5 and b <> 'x' or c >= 1.5e-3",
            "SELECT Count( * ),x\nFROM t -- it's\nWHERE a=-5 AND b<>E'it\\'s' OR c>=$1;",
            "select /* a 'comment /* in */ one */ count(*) , x from t where a=+0x1F and b<>$q$it's$q$ or c >=.5 ; ",
        ] {
            assert_eq!(normal(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_value_counts() {
        let texts = [
            "select a from t",
            "select a from t1",
            "select \"A\" from t",
            "select a from s.t",
            "select a + 1 from t",
            "select a - b from t",
            "select a -> 'x' from t",
            "select a from t where b in (select 1)",
            "select a from t where b in (1, c)",
            "select a from t where b in (1)",
        ];
        let mut all: Vec<String> = texts.iter().map(|text| normal(text)).collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), texts.len(), "{all:#?}");
    }

    #[test]
    fn lists_of_any_length_are_one() {
        let expected = "select * from t where a in (...) and b = any (array[...]) limit ?";
        for list in [
            "1",
            "1,2, 3",
            "-1, +2",
            "'a'::text, 'b'::text",
            "$1,$2",
            "null, 1",
        ] {
            assert_eq!(
                normal(&format!(
                    "select * from t where a in ({list}) and b = any (array[{list}]) limit 5"
                )),
                expected,
                "{list}"
            );
        }
        assert_eq!(
            normal("select 1 where (a, b) in ((1,2),(3,4))"),
            "select ? where (a, b) in (...)"
        );
        assert_eq!(
            normal("select x::numeric(10,2) in (1::numeric(5, 1), 2)"),
            "select x::numeric(?, ?) in (...)"
        );
    }

    #[test]
    fn rows_of_values_are_one_or_many() {
        let one = normal("insert into t (a, b) values (1, 'x') returning id");
        assert_eq!(one, "insert into t(a, b) values (?, ?) returning id");
        let many = "insert into t(a, b) values (?, ?), ... on conflict do nothing";
        for rows in ["(1, 2), (3, 4)", "(1,now()),(2, 3) , (f((1)), 4)"] {
            let text = format!("insert into t(a, b) values {rows} on conflict do nothing");
            let found = normal(&text);
            assert_eq!(found.replace("now()", "?"), many, "{text}");
        }
    }

    #[test]
    fn a_query_ends_where_it_is_told_to_but_not_within_a_string() {
        let text = "select 'a\nSeq Scan on x\n', 1 -- that's\nfrom t;\nSeq Scan on t  (cost";
        let mut out = Vec::new();
        let read = normalize(text.as_bytes(), &mut out, |rest| {
            rest.starts_with(b"Seq Scan")
        });
        assert_eq!(out, b"select ?, ? from t");
        assert_eq!(text.get(read.end..), Some("Seq Scan on t  (cost"));
        assert!(read.stopped && !read.unclosed);
        let read = normalize(b"select 'a\nSeq Scan", &mut out, |rest| {
            rest.starts_with(b"Seq Scan")
        });
        assert!(read.unclosed && !read.stopped);
    }

    #[test]
    fn anything_is_read_to_its_end() {
        for text in [
            "", "'", "\"", "/*", "$", "$a", "$a$", "e'\\", "((((", "))]]", "a\u{0}b", "1..2", "::",
            "-", "/",
        ] {
            let mut out = Vec::new();
            let read = normalize(text.as_bytes(), &mut out, |_| false);
            assert_eq!(read.end, text.len(), "{text}");
        }
    }

    /// Fingerprints stand in reports that are compared with older ones.
    #[test]
    fn the_hash_is_the_same_for_ever() {
        assert_ne!(hash(b""), hash(b"\0"));
        assert_ne!(hash(b"abcdefgh"), hash(b"abcdefgh\0"));
        assert_eq!(hash(b"select ?"), hash(b"select ?"));
    }

    #[test]
    fn the_words_are_in_order() {
        assert!(APART.is_sorted());
    }
}
