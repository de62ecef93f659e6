//! What can be had of a record without parsing its plan: the query's text, and
//! a number for the shape of the plan.

use super::Wrap;
use crate::plan::read::Format;

/// The query's text in a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryText<'a> {
    /// This is it.
    Whole(&'a [u8]),
    /// It begins here, and ends before the plan (see [`begins_plan`]):
    /// `FORMAT TEXT` has no other mark.
    Open(&'a [u8]),
    /// It goes on behind what was given.
    Longer,
    /// There is none.
    Absent,
}

/// In which format the record's plan is.
pub fn format(message: &[u8]) -> Option<Format> {
    let message = message.trim_ascii_start();
    match message.first()? {
        b'{' | b'[' => Some(Format::Json),
        b'<' => Some(Format::Xml),
        _ if message.starts_with(b"Query Text: \"") || message.starts_with(b"Plan:") => {
            Some(Format::Yaml)
        }
        _ => Some(Format::Text),
    }
}

/// The query's text in a message, or in the beginning of one, `whole` says
/// which. `buffer` takes it where it has to be put together.
pub fn query_text<'a>(
    message: &'a [u8],
    format: Format,
    whole: bool,
    buffer: &'a mut Vec<u8>,
) -> QueryText<'a> {
    const NEAR: usize = 256;
    buffer.clear();
    let key: &[u8] = match format {
        Format::Json => b"\"Query Text\": \"",
        Format::Yaml => b"Query Text: \"",
        Format::Xml => b"<Query-Text>",
        Format::Text => b"Query Text: ",
    };
    let near = message.get(..NEAR).unwrap_or(message);
    let Some(from) = memchr::memmem::find(near, key).map(|at| at + key.len()) else {
        return QueryText::Absent;
    };
    let rest = message.get(from..).unwrap_or_default();
    match format {
        Format::Text => QueryText::Open(rest),
        Format::Xml => {
            let end = memchr::memmem::find(rest, b"</Query-Text>");
            let Some(end) = end.or(whole.then_some(rest.len())) else {
                return QueryText::Longer;
            };
            let text = rest.get(..end).unwrap_or_default();
            if memchr::memchr(b'&', text).is_none() {
                return QueryText::Whole(text);
            }
            entities(text, buffer);
            QueryText::Whole(buffer)
        }
        Format::Json | Format::Yaml => {
            let end = string_end(rest);
            let Some(end) = end.or(whole.then_some(rest.len())) else {
                return QueryText::Longer;
            };
            let text = rest.get(..end).unwrap_or_default();
            if memchr::memchr(b'\\', text).is_none() {
                return QueryText::Whole(text);
            }
            super::wrap::json_string(text, buffer, usize::MAX);
            QueryText::Whole(buffer)
        }
    }
}

/// The quote that ends a string.
fn string_end(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        if text.get(at) == Some(&b'"') {
            return Some(at);
        }
        at += 2;
    }
}

fn entities(text: &[u8], out: &mut Vec<u8>) {
    const NAMES: [(&[u8], &[u8]); 7] = [
        (b"&lt;", b"<"),
        (b"&gt;", b">"),
        (b"&amp;", b"&"),
        (b"&quot;", b"\""),
        (b"&apos;", b"'"),
        (b"&#x0d;", b"\r"),
        (b"&#xd;", b"\r"),
    ];
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'&', rest) {
        out.extend_from_slice(rest.get(..at).unwrap_or_default());
        rest = rest.get(at..).unwrap_or_default();
        let known = NAMES.iter().find(|(name, _)| rest.starts_with(name));
        let (len, put) = known.map_or((1, b"&".as_slice()), |(name, put)| (name.len(), *put));
        out.extend_from_slice(put);
        rest = rest.get(len..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

/// Whether the text goes on with a plan in `FORMAT TEXT`, or with the parameters
/// that stand before it.
pub fn begins_plan(text: &[u8]) -> bool {
    text.starts_with(b"Query Parameters: ") || begins_root(text)
}

/// Whether the text goes on with the top node of a plan in `FORMAT TEXT`.
pub fn begins_root(text: &[u8]) -> bool {
    if !text.first().is_some_and(u8::is_ascii_uppercase) {
        return false;
    }
    let end = memchr::memchr(b'\n', text).unwrap_or(text.len());
    let line = text.get(..end).unwrap_or_default();
    let Some(at) = memchr::memmem::find(line, COST) else {
        return false;
    };
    let numbers = line.get(at + COST.len()..).unwrap_or_default();
    let cost = numbers
        .iter()
        .take_while(|byte| byte.is_ascii_digit() || **byte == b'.')
        .count();
    let numbers = numbers.get(cost..).unwrap_or_default();
    cost > 0
        && numbers.starts_with(b" rows=")
        && memchr::memmem::find(numbers, b" width=").is_some()
}

/// What stands behind a node's name in `FORMAT TEXT`.
const COST: &[u8] = b"  (cost=";

/// What begins a node's text, or ends its name.
fn mark(format: Format) -> &'static [u8] {
    match format {
        Format::Text => COST,
        Format::Xml => b"<Node-Type>",
        Format::Json | Format::Yaml => b"Node Type",
    }
}

/// How often a query's own text has what marks a node of a plan.
pub fn marks(query: &[u8], format: Format) -> usize {
    memchr::memmem::find_iter(query, mark(format)).count()
}

/// A number for the shape of a record's plan: its nodes with their tables,
/// indexes and depth, without numbers. The first `left` marks are the query's.
/// Shapes of one format alone can be compared.
pub fn shape(raw: &[u8], wrap: Wrap, format: Format, mut left: usize) -> u64 {
    let mut hash = Hash::default();
    let key = mark(format);
    if format == Format::Text {
        for at in memchr::memmem::find_iter(raw, COST) {
            if left > 0 {
                left -= 1;
                continue;
            }
            let before = raw.get(..at).unwrap_or_default();
            hash.line(
                before.get(line_start(before, wrap)..).unwrap_or_default(),
                wrap,
            );
        }
        return hash.0;
    }
    let until: &[u8] = match format {
        Format::Xml => b"<Startup-Cost>",
        _ => b"Startup Cost",
    };
    let start = memchr::memmem::Finder::new(key);
    let end = memchr::memmem::Finder::new(until);
    let mut at = 0;
    while let Some(found) = raw.get(at..).and_then(|rest| start.find(rest)) {
        let from = at + found;
        if left > 0 {
            left -= 1;
            at = from + key.len();
            continue;
        }
        let rest = raw.get(from..).unwrap_or_default();
        // Costs follow soon; what is farther away is another node's.
        let near = rest.get(..4096).unwrap_or(rest);
        let len = end.find(near).unwrap_or(near.len().min(64));
        let depth = raw
            .get(..from)
            .unwrap_or_default()
            .iter()
            .rev()
            .take_while(|byte| matches!(**byte, b' ' | b'"' | b'\\' | b'-'))
            .filter(|byte| **byte == b' ')
            .count();
        hash.number(depth as u64);
        hash.line(rest.get(..len).unwrap_or_default(), wrap);
        at = from + len.max(key.len());
    }
    hash.0
}

/// Where the last line of a text begins.
fn line_start(text: &[u8], wrap: Wrap) -> usize {
    match wrap {
        Wrap::Json => memchr::memmem::rfind(
            text.get(text.len().saturating_sub(4096)..)
                .unwrap_or_default(),
            b"\\n",
        )
        .map_or(text.len(), |at| text.len().saturating_sub(4096) + at + 2),
        Wrap::Tabs | Wrap::Csv => memchr::memrchr(b'\n', text).map_or(0, |at| at + 1),
    }
}

/// Whether the record has the end of its plan, as far as the format tells.
pub fn is_complete(raw: &[u8], format: Format) -> bool {
    let raw = raw.trim_ascii_end();
    match format {
        // The brace that closes the whole stands at the beginning of its line.
        Format::Json => raw
            .strip_suffix(b"}")
            .is_some_and(|before| before.last() != Some(&b' ')),
        Format::Xml => raw.ends_with(b"</explain>"),
        Format::Yaml | Format::Text => true,
    }
}

/// A hash that does not see what wrapping adds: quotes, backslashes, tabs.
#[derive(Default)]
struct Hash(u64);

impl Hash {
    fn number(&mut self, number: u64) {
        let product = u128::from(self.0 ^ number ^ 0x9e37_79b9_7f4a_7c15)
            * u128::from(0xd1b5_4a32_d192_ed03_u64);
        self.0 = (product as u64) ^ ((product >> 64) as u64);
    }

    fn line(&mut self, line: &[u8], wrap: Wrap) {
        let mut word = 0_u64;
        let mut len = 0_u32;
        let mut escaped = false;
        for byte in line {
            // Line breaks are written in two ways, so they do not count either.
            let newline = escaped && *byte == b'n';
            escaped = wrap == Wrap::Json && *byte == b'\\';
            if newline || matches!(byte, b'"' | b'\\' | b'\t' | b'\n' | b'\r') {
                continue;
            }
            word = word << 8 | u64::from(*byte);
            len += 1;
            if len.is_multiple_of(8) {
                self.number(word);
                word = 0;
            }
        }
        self.number(word ^ u64::from(len) << 56);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_begin_where_a_top_node_stands() {
        assert!(begins_plan(
            b"Seq Scan on t  (cost=0.00..1.00 rows=1 width=4) (actual time=1..2 rows=1 loops=1)"
        ));
        assert!(begins_plan(b"Query Parameters: $1 = '3'\nSeq Scan"));
        assert!(begins_root(
            b"Custom Scan (Citus Adaptive)  (cost=0.00..0.00 rows=0 width=0)\n  Task Count: 1"
        ));
        for text in [
            b"  ->  Seq Scan on t  (cost=0.00..1.00 rows=1 width=4)".as_slice(),
            b"SELECT '  (cost=x'",
            b"FROM t\nSeq Scan on t  (cost=0.00..1.00 rows=1 width=4)",
        ] {
            assert!(!begins_plan(text), "{}", String::from_utf8_lossy(text));
        }
    }

    fn text_of(message: &str, format: Format) -> String {
        let mut buffer = Vec::new();
        match query_text(message.as_bytes(), format, true, &mut buffer) {
            QueryText::Whole(text) | QueryText::Open(text) => {
                String::from_utf8_lossy(text).into_owned()
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn the_query_is_found_in_every_format() {
        let query = "select \"a\" < 'b&c'";
        for (message, expected) in [
            (
                "{\n  \"Query Text\": \"select \\\"a\\\" < 'b&c'\",\n  \"Plan\": {",
                Format::Json,
            ),
            (
                "Query Text: \"select \\\"a\\\" < 'b&c'\"\nPlan: ",
                Format::Yaml,
            ),
            (
                "<explain xmlns=\"http://www.postgresql.org/2009/explain\">\n  <Query-Text>select \"a\" &lt; 'b&amp;c'</Query-Text>",
                Format::Xml,
            ),
            ("Query Text: select \"a\" < 'b&c'", Format::Text),
        ] {
            assert_eq!(format(message.as_bytes()), Some(expected));
            assert_eq!(text_of(message, expected), query);
        }
        let mut buffer = Vec::new();
        assert_eq!(
            query_text(
                b"{\n  \"Query Text\": \"sel",
                Format::Json,
                false,
                &mut buffer
            ),
            QueryText::Longer
        );
    }

    #[test]
    fn shapes_differ_by_nodes_and_not_by_numbers_or_wrapping() {
        let plan = |cost: &str, index: &str, depth: &str| {
            format!(
                "{{\n  \"Plan\": {{\n    \"Node Type\": \"Limit\",\n    \"Startup Cost\": {cost},\n    \"Plans\": [\n      {{\n{depth}\"Node Type\": \"Index Scan\",\n        \"Index Name\": \"{index}\",\n        \"Startup Cost\": {cost}\n      }}\n    ]\n  }}\n}}"
            )
        };
        let of = |text: &str, wrap| shape(text.as_bytes(), wrap, Format::Json, 0);
        let one = plan("1.5", "t_pkey", "        ");
        let same = of(&one, Wrap::Tabs);
        assert_eq!(of(&plan("99", "t_pkey", "        "), Wrap::Tabs), same);
        assert_eq!(of(&one.replace('"', "\"\""), Wrap::Csv), same);
        assert_eq!(
            of(&one.replace('"', "\\\"").replace('\n', "\\n"), Wrap::Json),
            same,
            "jsonlog"
        );
        assert_ne!(of(&plan("1.5", "t_a_idx", "        "), Wrap::Tabs), same);
        assert_ne!(of(&plan("1.5", "t_pkey", "          "), Wrap::Tabs), same);
        assert!(is_complete(one.as_bytes(), Format::Json));
        assert!(!is_complete(&one.as_bytes()[..one.len() - 2], Format::Json));
    }
}
