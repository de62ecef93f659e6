//! Rows of a csvlog.

use super::{Record, Wrap, duration, is_time};

/// Fields before the message.
const MESSAGE: usize = 13;
/// Fields before the application's name.
const APPLICATION: usize = 22;
/// Fewest and most fields of a row, from version 9.0 on.
const FIELDS: std::ops::RangeInclusive<usize> = 23..=26;

/// A row that was read.
pub(super) struct Row<'a> {
    /// Bytes of it, with the line break.
    pub(super) len: usize,
    /// The record of `auto_explain`, if it is one.
    pub(super) record: Option<Record<'a>>,
    /// It has a duration and no plan.
    pub(super) duration: bool,
}

/// Whether a line begins as a row does: a time stamp with a zone, the user and
/// the database in quotes or left out, and the number of the process. A prefix
/// with commas does not.
pub(super) fn begins_row(line: &[u8]) -> bool {
    /// Names are shorter, and quotes in them are rare.
    const MOST: usize = 512;
    if !is_time(line) {
        return false;
    }
    let zone = line.iter().skip(19).take(40);
    let len = zone
        .take_while(|byte| **byte != b',' && **byte != b'\n')
        .count();
    let mut at = 19 + len;
    for _ in 0..2 {
        at = match line.get(at..at + 2) {
            Some(b",,") => at + 1,
            Some(b",\"") => {
                let name = line.get(at + 2..).unwrap_or_default();
                let name = name.get(..MOST).unwrap_or(name);
                match memchr::memmem::find(name, b"\",") {
                    Some(end) => at + 3 + end,
                    None => return false,
                }
            }
            _ => return false,
        };
    }
    line.get(at) == Some(&b',') && line.get(at + 1).is_some_and(u8::is_ascii_digit)
}

/// Bytes before the next line that begins a row; all, where there is none.
pub(super) fn next_row(text: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', text)
        .map(|end| end + 1)
        .find(|next| text.get(*next..).is_some_and(begins_row))
        .unwrap_or(text.len())
}

/// Bytes before the first line that begins a row; all, where there is none.
pub(super) fn first_row(text: &[u8]) -> usize {
    if begins_row(text) { 0 } else { next_row(text) }
}

/// A field, without its quotes, and where the next one begins; `None` when a
/// quoted one has no end.
fn field(text: &[u8], from: usize) -> Option<(std::ops::Range<usize>, usize)> {
    let rest = text.get(from..)?;
    if rest.first() == Some(&b'"') {
        let mut at = from + 1;
        loop {
            at += memchr::memchr(b'"', text.get(at..)?)?;
            if text.get(at + 1) == Some(&b'"') {
                at += 2;
            } else {
                return Some((from + 1..at, at + 1));
            }
        }
    }
    let len = memchr::memchr2(b',', b'\n', rest).unwrap_or(rest.len());
    Some((from..from + len, from + len))
}

/// Reads the row at the beginning of a text that goes on behind it. `None` when
/// it is none, or has no end.
pub(super) fn row(text: &[u8], offset: usize) -> Option<Row<'_>> {
    let mut at = 0;
    let mut fields = 0;
    let mut found = Record {
        at: offset,
        duration_ms: 0.0,
        body: &[],
        wrap: Wrap::Csv,
        time: None,
        user: None,
        database: None,
        application: None,
        cut_off: false,
    };
    let mut message: &[u8] = &[];
    loop {
        let (range, next) = field(text, at)?;
        let value = text.get(range).unwrap_or_default();
        let named = (!value.is_empty()).then_some(value);
        match fields {
            0 => found.time = named,
            1 => found.user = named,
            2 => found.database = named,
            MESSAGE => message = value,
            APPLICATION => found.application = named,
            _ => {}
        }
        fields += 1;
        match text.get(next) {
            Some(b',') => at = next + 1,
            Some(b'\r') if text.get(next + 1) == Some(&b'\n') => {
                at = next + 2;
                break;
            }
            Some(b'\n') => {
                at = next + 1;
                break;
            }
            None => {
                at = next;
                break;
            }
            // Text behind a closing quote.
            Some(_) => return None,
        }
    }
    if !FIELDS.contains(&fields) {
        return None;
    }
    let first = memchr::memchr(b'\n', message).unwrap_or(message.len());
    let line = message.get(..first).unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let record = duration(line)
        .filter(|(at, _)| *at == 0)
        .map(|(_, ms)| Record {
            duration_ms: ms,
            body: message.get(first + 1..).unwrap_or_default(),
            ..found
        });
    Some(Row {
        len: at,
        duration: record.is_none() && line.starts_with(super::DURATION),
        record,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_told_from_prefixes_with_commas() {
        for row in [
            "2026-11-21 18:24:18.406 UTC,,,13617,,6b01e1d2.3531,1,,2026",
            "2026-11-21 18:24:30.738 +05:30,\"app\",\"a\"\"b, c\",13920,\"[local]\",6b",
        ] {
            assert!(begins_row(row.as_bytes()), "{row}");
        }
        for line in [
            "2026-11-21 18:24:18.406 UTC,,,LOG:  duration: 1.000 ms  plan:",
            "2026-11-21 18:24:18.406 UTC,app,shop,7 LOG:  duration: 1.000 ms  plan:",
            "2026-11-21 18:24:18.406 UTC [7] LOG:  a, \"b\",",
            "2026-11-21 18:24:18.406 UTC,\"",
        ] {
            assert!(!begins_row(line.as_bytes()), "{line}");
        }
    }
}
