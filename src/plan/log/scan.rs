//! The records in a piece of a log, which begins where one may begin and ends
//! where one may end (see [`super::split`]).

use super::{DURATION, Record, Tally, Wrap, csvlog, duration, jsonlog, prefix};

/// Rows of a csvlog that may run to the end of the piece before the rest of it
/// is given up: each costs a look at the whole piece.
const MOST_RUNAWAYS: u32 = 8;

/// Gives every record of a piece to `sink`, in order. `last` says that the file
/// ends with the piece.
pub fn scan<'a>(piece: &'a [u8], last: bool, mut sink: impl FnMut(Record<'a>)) -> Tally {
    let mut tally = Tally::default();
    let mut at = 0;
    let mut runaways = 0;
    // Rows of a csvlog follow each other.
    let mut in_csv = false;
    while at < piece.len() {
        let rest = piece.get(at..).unwrap_or_default();
        match rest.first() {
            Some(b'\t') => {
                // It goes on with a message that is none of ours, or with one
                // whose beginning is elsewhere.
                tally.damaged += u64::from(at == 0);
                at = continuation_end(piece, at);
                continue;
            }
            Some(b'2' | b'1') if csvlog::begins_row(rest) => {
                in_csv = true;
                if let Some(row) = (runaways < MOST_RUNAWAYS)
                    .then(|| csvlog::row(rest, at))
                    .flatten()
                {
                    tally.messages += 1;
                    tally.durations += u64::from(row.duration);
                    if let Some(record) = row.record {
                        sink(record);
                    }
                    at += row.len;
                } else {
                    // Its quotes do not fit: go on with the next line that
                    // begins a row.
                    runaways += 1;
                    if let Some(record) = unended(rest, at, last) {
                        tally.messages += 1;
                        sink(record);
                    } else {
                        tally.damaged += 1;
                    }
                    at += csvlog::next_row(rest);
                }
                continue;
            }
            Some(b'{') => {
                let len = line_len(rest);
                let line = rest.get(..len).unwrap_or_default();
                match jsonlog::line(trim(line), at) {
                    Some(line) => {
                        tally.messages += 1;
                        tally.durations += u64::from(line.duration);
                        if let Some(record) = line.record {
                            sink(record);
                        }
                    }
                    None => tally.damaged += 1,
                }
                at += len;
                in_csv = false;
                continue;
            }
            _ if in_csv || is_row_tail(rest, at) => {
                // The rest of a row whose beginning is elsewhere.
                let skipped = csvlog::next_row(rest);
                if skipped == rest.len() && !in_csv {
                    in_csv = false;
                } else {
                    if !trim(rest.get(..skipped).unwrap_or_default()).is_empty() {
                        tally.damaged += 1;
                    }
                    at += skipped;
                    continue;
                }
            }
            _ => {}
        }
        let len = line_len(rest);
        let line = trim(rest.get(..len).unwrap_or_default());
        if line.is_empty() {
            at += len;
            continue;
        }
        tally.messages += 1;
        let Some((word, ms)) = duration(line).filter(|(word, _)| is_head(line, *word)) else {
            let begin = line.get(..512).unwrap_or(line);
            tally.durations += u64::from(has_duration(begin));
            at += len;
            continue;
        };
        let from = at + len;
        let end = continuation_end(piece, from);
        let told = prefix::read(line.get(..word).unwrap_or_default());
        let body = piece.get(from..end).unwrap_or_default();
        sink(Record {
            at,
            duration_ms: ms,
            body: trim(body),
            wrap: Wrap::Tabs,
            time: told.time,
            user: told.user,
            database: told.database,
            application: told.application,
            // A server ends every message with a line break.
            cut_off: last && end == piece.len() && !piece.ends_with(b"\n"),
        });
        at = end;
    }
    tally
}

/// The line without its break.
fn trim(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The length of a line with its break.
fn line_len(text: &[u8]) -> usize {
    memchr::memchr(b'\n', text).map_or(text.len(), |end| end + 1)
}

/// Where the lines that begin with a tab end.
fn continuation_end(piece: &[u8], from: usize) -> usize {
    if piece.get(from) != Some(&b'\t') {
        return from;
    }
    let rest = piece.get(from..).unwrap_or_default();
    for end in memchr::memchr_iter(b'\n', rest) {
        if rest.get(end + 1) != Some(&b'\t') {
            return from + end + 1;
        }
    }
    piece.len()
}

/// Whether a piece begins within a row of a csvlog: its first lines are none of
/// any log, and rows follow.
fn is_row_tail(rest: &[u8], at: usize) -> bool {
    if at > 0 {
        return false;
    }
    let skipped = csvlog::next_row(rest);
    let tail = trim(rest.get(..skipped).unwrap_or_default());
    skipped < rest.len() && memchr::memmem::find(tail, b"\",").is_some()
}

/// The record of a row that the file's end cuts off within its message.
fn unended(rest: &[u8], at: usize, last: bool) -> Option<Record<'_>> {
    if !last || csvlog::next_row(rest) < rest.len() {
        return None;
    }
    let head = memchr::memmem::find(rest, b",\"duration: ")?;
    let message = rest.get(head + 2..)?;
    let first = memchr::memchr(b'\n', message)?;
    let (_, ms) = duration(trim(message.get(..first)?))?;
    Some(Record {
        at,
        duration_ms: ms,
        body: message.get(first + 1..).unwrap_or_default(),
        wrap: Wrap::Csv,
        time: rest.split(|byte| *byte == b',').next(),
        user: None,
        database: None,
        application: None,
        cut_off: true,
    })
}

/// Whether what stands before the duration is a prefix and a severity, and not
/// another message that quotes a record.
fn is_head(line: &[u8], word: usize) -> bool {
    let before = line.get(..word).unwrap_or_default();
    if before.is_empty() {
        return true;
    }
    // `LOG:  `, with the SQLSTATE behind it under log_error_verbosity = verbose.
    let text = before.trim_ascii_end();
    if text.len() == before.len() || text.last() != Some(&b':') {
        return false;
    }
    [
        b"statement: ".as_slice(),
        b"execute ",
        b"parse ",
        b"bind ",
        DURATION,
    ]
    .iter()
    .all(|other| {
        memchr::memmem::find(before, other).is_none_or(|at| {
            // It may stand in the application's name, before the severity.
            memchr::memmem::find(before.get(..at).unwrap_or_default(), b":  ").is_none()
        })
    })
}

/// Whether a line has a duration behind its severity.
fn has_duration(line: &[u8]) -> bool {
    memchr::memmem::find(line, DURATION).is_some_and(|at| {
        line.get(..at).is_some_and(|before| {
            before.is_empty() || before.trim_ascii_end().last() == Some(&b':')
        })
    })
}
