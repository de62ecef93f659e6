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

/// Whether a line begins as a row does: a time stamp with a zone, and a comma.
pub(super) fn begins_row(line: &[u8]) -> bool {
    if !is_time(line) {
        return false;
    }
    let zone = line.iter().skip(19).take(32);
    let len = zone
        .take_while(|byte| {
            byte.is_ascii_alphanumeric()
                || matches!(**byte, b'.' | b' ' | b'+' | b'-' | b':' | b'/' | b'_')
        })
        .count();
    line.get(19 + len) == Some(&b',') && matches!(line.get(20 + len), Some(b'"' | b','))
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
