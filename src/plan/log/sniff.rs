//! Telling a log from a plan that somebody pasted.

use super::{csvlog, duration};

/// Lines that are looked at.
const MOST_LINES: usize = 400;

/// Whether the beginning of a text is that of a server's log.
pub fn looks_like_log(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let mut messages = 0_usize;
    let mut others = 0_usize;
    let mut record = false;
    for (at, line) in head
        .split(|byte| *byte == b'\n')
        .take(MOST_LINES)
        .enumerate()
    {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if record && line.first() == Some(&b'\t') {
            return true;
        }
        record = false;
        match line.first() {
            // Lines that go on, or are blank.
            None | Some(b'\t') => {}
            Some(b' ') => others += usize::from(at > 0),
            Some(b'{') if is_json_message(line) => return true,
            _ if csvlog::begins_row(line) => return true,
            _ => {
                record = duration(line).is_some();
                if record || has_severity(line) {
                    messages += 1;
                } else {
                    others += 1;
                }
            }
        }
    }
    messages > 0 && messages >= others
}

/// An object on one line with a message in it.
fn is_json_message(line: &[u8]) -> bool {
    let has = |text: &[u8]| memchr::memmem::find(line, text).is_some();
    has(b"\"error_severity\"")
        || has(b" ms  plan:\\n")
        || has(b"\"message\":") && (has(b"\"timestamp\":") || has(b"\"log_time\":"))
        || has(b"\"textPayload\":") && has(b"\"timestamp\":")
}

/// A line with a severity, in any language: a word in capitals (or in letters
/// that have none), a colon and two blanks, behind a prefix that begins with a
/// time or a number, or at the line's beginning.
fn has_severity(line: &[u8]) -> bool {
    let line = line.get(..512).unwrap_or(line);
    let Some(colon) = memchr::memmem::find(line, b":  ") else {
        return false;
    };
    let before = line.get(..colon).unwrap_or_default().trim_ascii_end();
    let word = before
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || **byte >= 0x80)
        .count();
    let prefix = before
        .get(..before.len().saturating_sub(word))
        .unwrap_or_default();
    word >= 3
        && (prefix.is_empty() || prefix.iter().any(u8::is_ascii_digit) || !prefix.ends_with(b" "))
}
