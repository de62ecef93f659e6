//! How a log wraps the lines of a message, and back.

/// How a log wraps the lines of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wrap {
    /// stderr: every line but the first begins with a tab.
    Tabs,
    /// csvlog: quotes are doubled.
    Csv,
    /// jsonlog: a JSON string.
    Json,
}

impl Wrap {
    /// Writes the message to `out`, as the server made it; of a long one at
    /// least so many bytes. Whether that was all.
    pub fn unwrap(self, raw: &[u8], out: &mut Vec<u8>, at_least: usize) -> bool {
        match self {
            Self::Tabs => tabs(raw, out, at_least),
            Self::Csv => csv(raw, out, at_least),
            Self::Json => json_string(raw, out, at_least),
        }
    }
}

fn tabs(raw: &[u8], out: &mut Vec<u8>, at_least: usize) -> bool {
    let mut rest = raw;
    while !rest.is_empty() {
        if out.len() >= at_least {
            return false;
        }
        let end = memchr::memchr(b'\n', rest);
        let (line, after) = match end {
            Some(end) => (
                rest.get(..end).unwrap_or_default(),
                rest.get(end + 1..).unwrap_or_default(),
            ),
            None => (rest, &[][..]),
        };
        let line = line.strip_prefix(b"\t").unwrap_or(line);
        out.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        if end.is_some() {
            out.push(b'\n');
        }
        rest = after;
    }
    true
}

fn csv(raw: &[u8], out: &mut Vec<u8>, at_least: usize) -> bool {
    let mut rest = raw;
    while !rest.is_empty() {
        if out.len() >= at_least {
            return false;
        }
        let Some(end) = memchr::memchr(b'"', rest) else {
            out.extend_from_slice(rest);
            break;
        };
        out.extend_from_slice(rest.get(..=end).unwrap_or_default());
        rest = rest.get(end + 1..).unwrap_or_default();
        rest = rest.strip_prefix(b"\"").unwrap_or(rest);
    }
    true
}

/// Writes what a JSON string stands for, given without its quotes. Escapes that
/// are none are kept as they stand.
pub(crate) fn json_string(raw: &[u8], out: &mut Vec<u8>, at_least: usize) -> bool {
    let mut rest = raw;
    while !rest.is_empty() {
        if out.len() >= at_least {
            return false;
        }
        let Some(at) = memchr::memchr(b'\\', rest) else {
            out.extend_from_slice(rest);
            break;
        };
        out.extend_from_slice(rest.get(..at).unwrap_or_default());
        rest = rest.get(at..).unwrap_or_default();
        let byte = match rest.get(1) {
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'r') => b'\r',
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(byte @ (b'"' | b'\\' | b'/')) => *byte,
            Some(b'u') => {
                let (character, len) = code_unit(rest);
                let mut buffer = [0; 4];
                out.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
                rest = rest.get(len..).unwrap_or_default();
                continue;
            }
            _ => {
                out.push(b'\\');
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
        };
        out.push(byte);
        rest = rest.get(2..).unwrap_or_default();
    }
    true
}

/// The character of `\uXXXX`, or of two that belong together, and its length in
/// the text.
fn code_unit(text: &[u8]) -> (char, usize) {
    let unit = |from: usize| -> Option<u32> {
        if text.get(from..from + 2)? != b"\\u" {
            return None;
        }
        let digits = std::str::from_utf8(text.get(from + 2..from + 6)?).ok()?;
        u32::from_str_radix(digits, 16).ok()
    };
    let Some(first) = unit(0) else {
        return (char::REPLACEMENT_CHARACTER, 2);
    };
    if let Some(character) = char::from_u32(first) {
        return (character, 6);
    }
    let second = unit(6).filter(|second| (0xdc00..0xe000).contains(second));
    let pair = second
        .filter(|_| first < 0xdc00)
        .and_then(|second| char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)));
    match pair {
        Some(character) => (character, 12),
        None => (char::REPLACEMENT_CHARACTER, 6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unwrapped(wrap: Wrap, raw: &[u8]) -> String {
        let mut out = Vec::new();
        assert!(wrap.unwrap(raw, &mut out, usize::MAX));
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn every_wrapping_is_undone() {
        let message = "Query Text: select \"a\\b\"\n\tindented é\nSeq Scan";
        assert_eq!(
            unwrapped(
                Wrap::Tabs,
                "\tQuery Text: select \"a\\b\"\r\n\t\tindented é\n\tSeq Scan".as_bytes()
            ),
            message
        );
        assert_eq!(
            unwrapped(
                Wrap::Csv,
                "Query Text: select \"\"a\\b\"\"\n\tindented é\nSeq Scan".as_bytes()
            ),
            message
        );
        assert_eq!(
            unwrapped(
                Wrap::Json,
                r#"Query Text: select \"a\\b\"\n\tindented \u00e9\nSeq Scan"#.as_bytes()
            ),
            message
        );
    }

    #[test]
    fn odd_escapes_are_no_trouble() {
        assert_eq!(
            unwrapped(Wrap::Json, br"\ud83d\ude00 \ud83d \q \u12"),
            "😀 \u{fffd} \\q \u{fffd}12"
        );
        assert_eq!(unwrapped(Wrap::Json, b"a\\"), "a\\");
    }

    #[test]
    fn no_more_than_asked_for_is_unwrapped() {
        let raw = b"\tone\n\ttwo\n\tthree";
        let mut out = Vec::new();
        assert!(!Wrap::Tabs.unwrap(raw, &mut out, 3));
        assert_eq!(out, b"one\n");
    }
}
