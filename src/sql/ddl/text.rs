//! Names and string constants as they are written.

use super::Name;
use super::tree::{Node, SyntaxKind};

/// A name without its quotes, folded to lower case when it has none.
pub(super) fn fold(text: &str) -> String {
    let unicode = text
        .get(..3)
        .is_some_and(|start| start.eq_ignore_ascii_case("u&\""));
    let text = if unicode {
        text.get(2..).unwrap_or(text)
    } else {
        text
    };
    match text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    {
        Some(inner) if inner.contains('"') => inner.replace("\"\"", "\""),
        Some(inner) => inner.to_owned(),
        None => text.to_ascii_lowercase(),
    }
}

/// The name that a node is, where no schema can stand before it.
pub(super) fn simple(node: Node<'_>) -> String {
    fold(node.text())
}

/// The last two parts of the path in a node.
pub(super) fn path(node: Node<'_>) -> Name {
    let mut parts = node.descendants().filter(|part| {
        matches!(
            part.kind(),
            SyntaxKind::PATH_SEGMENT | SyntaxKind::PATH_SEGMENT_REF
        )
    });
    let Some(mut name) = parts.next() else {
        return Name::bare(simple(node));
    };
    let mut schema = None;
    for part in parts {
        schema = Some(name);
        name = part;
    }
    Name {
        schema: schema.map(simple),
        name: simple(name),
    }
}

/// All parts of the path in a node.
pub(super) fn parts(node: Node<'_>) -> Vec<String> {
    node.descendants()
        .filter(|part| {
            matches!(
                part.kind(),
                SyntaxKind::PATH_SEGMENT | SyntaxKind::PATH_SEGMENT_REF
            )
        })
        .map(simple)
        .collect()
}

/// A string constant without quotes and escapes, and from which byte of the
/// constant each piece comes: `(byte of the value, byte of the constant)`.
#[derive(Debug, Default)]
pub(super) struct Decoded {
    pub(super) value: String,
    /// Runs that are the same in both, by where they start.
    pub(super) runs: Vec<(usize, usize)>,
}

impl Decoded {
    fn run(&mut self, from: usize) {
        let at = self.value.len();
        match self.runs.last() {
            Some(&(value, constant)) if from == constant + (at - value) => {}
            _ => self.runs.push((at, from)),
        }
    }

    fn push(&mut self, c: char, from: usize) {
        self.run(from);
        self.value.push(c);
    }
}

/// The value of one string token: `'…'`, `E'…'`, `$$…$$`; nothing for what is
/// none, and for bits.
pub(super) fn decode(token: &str) -> Option<Decoded> {
    let mut result = Decoded::default();
    if token.starts_with('$') {
        let tag = token.get(1..)?.find('$')? + 2;
        let end = token.len().checked_sub(tag)?;
        let inner = token.get(tag..end)?;
        result.run(tag);
        result.value.push_str(inner);
        return Some(result);
    }
    let open = token.find('\'')?;
    let prefix = token.get(..open)?;
    let escapes = match prefix {
        "" | "n" | "N" | "u&" | "U&" => false,
        "e" | "E" => true,
        _ => return None,
    };
    let inner = token.get(open + 1..token.len().checked_sub(1)?)?;
    let base = open + 1;
    if !(inner.contains('\'') || escapes && inner.contains('\\')) {
        result.run(base);
        result.value.push_str(inner);
        return Some(result);
    }
    let mut chars = inner.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\'' => {
                chars.next();
                result.push('\'', base + at);
            }
            '\\' if escapes => {
                let value = escaped(&mut chars);
                if let Some(value) = value {
                    result.push(value, base + at);
                }
            }
            _ => result.push(c, base + at),
        }
    }
    Some(result)
}

/// The character behind a backslash of `E'…'`.
fn escaped(chars: &mut std::iter::Peekable<std::str::CharIndices<'_>>) -> Option<char> {
    let (_, c) = chars.next()?;
    let mut digits = |radix: u32, most: usize, first: u32| {
        let mut value = first;
        for _ in 0..most {
            let Some(digit) = chars.peek().and_then(|(_, c)| c.to_digit(radix)) else {
                break;
            };
            chars.next();
            value = value * radix + digit;
        }
        char::from_u32(value)
    };
    match c {
        'n' => Some('\n'),
        't' => Some('\t'),
        'r' => Some('\r'),
        'b' => Some('\u{8}'),
        'f' => Some('\u{c}'),
        'x' => digits(16, 2, 0),
        'u' => digits(16, 4, 0),
        'U' => digits(16, 7, 0),
        '0'..='7' => digits(8, 2, c.to_digit(8)?),
        other => Some(other),
    }
}

/// Tokens that are a string constant.
pub(super) fn is_string(kind: SyntaxKind) -> bool {
    matches!(
        kind,
        SyntaxKind::STRING
            | SyntaxKind::ESC_STRING
            | SyntaxKind::UNICODE_ESC_STRING
            | SyntaxKind::NATIONAL_STRING
            | SyntaxKind::DOLLAR_QUOTED_STRING
    )
}

/// The value of a literal node that is a string; one constant may be written
/// in several pieces on lines of their own.
pub(super) fn string(literal: Node<'_>) -> Option<String> {
    let mut value: Option<String> = None;
    for token in literal.children().filter(|token| is_string(token.kind())) {
        let piece = decode(token.text())?.value;
        match &mut value {
            Some(value) => value.push_str(&piece),
            None => value = Some(piece),
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fold_unless_quoted() {
        assert_eq!(fold("Users"), "users");
        assert_eq!(fold("\"Users\""), "Users");
        assert_eq!(fold("\"a\"\"b\""), "a\"b");
    }

    #[test]
    fn strings_lose_quotes_and_escapes() {
        let value = |token: &str| decode(token).map(|decoded| decoded.value);
        assert_eq!(value("'it''s'").as_deref(), Some("it's"));
        assert_eq!(value("E'a\\n\\x41\\'\\u00e9'").as_deref(), Some("a\nA'é"));
        assert_eq!(value("$f$ a $$ b $f$").as_deref(), Some(" a $$ b "));
        assert_eq!(value("B'01'"), None);
    }

    #[test]
    fn every_byte_of_a_value_knows_where_it_stood() {
        let decoded = decode("'a''b''c'").unwrap();
        assert_eq!(decoded.value, "a'b'c");
        // `b` is byte 2 of the value, and byte 4 of the constant.
        assert_eq!(decoded.runs, [(0, 1), (2, 4), (4, 7)]);
    }
}
