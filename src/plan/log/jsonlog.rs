//! Lines of a jsonlog: one object a line. The keys are PostgreSQL's own, or
//! those under which operators and clouds pass its messages on, at any depth.

use std::ops::Range;

use super::{HEAD_END, Record, Wrap, duration, prefix};

/// A line that was read.
pub(super) struct Line<'a> {
    /// The record of `auto_explain`, if it is one.
    pub(super) record: Option<Record<'a>>,
    /// It has a duration and no plan.
    pub(super) duration: bool,
}

/// A string, without its quotes, and where the text goes on; `None` when it has
/// no end.
fn string(text: &[u8], quote: usize) -> Option<(Range<usize>, usize)> {
    let mut at = quote + 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        if text.get(at) == Some(&b'"') {
            return Some((quote + 1..at, at + 1));
        }
        at += 2;
    }
}

/// Reads a line, which begins with a brace. `None` when it ends too early.
pub(super) fn line(text: &[u8], offset: usize) -> Option<Line<'_>> {
    if memchr::memmem::find(text, super::DURATION).is_none() {
        return text.ends_with(b"}").then_some(Line {
            record: None,
            duration: false,
        });
    }
    let mut found = Record {
        at: offset,
        duration_ms: 0.0,
        body: &[],
        wrap: Wrap::Json,
        time: None,
        user: None,
        database: None,
        application: None,
        cut_off: false,
    };
    let mut message: Option<&[u8]> = None;
    let mut key: &[u8] = &[];
    let mut at = 0;
    let mut whole = true;
    while let Some(quote) = text.get(at..).and_then(|rest| memchr::memchr(b'"', rest)) {
        let Some((range, next)) = string(text, at + quote) else {
            // The rest of a line that was cut off.
            if matches!(key, b"message" | b"msg" | b"textPayload" | b"log") {
                message = text.get(at + quote + 1..);
            }
            whole = false;
            break;
        };
        let value = text.get(range).unwrap_or_default();
        at = next;
        let blanks = text
            .iter()
            .skip(at)
            .take_while(|byte| **byte == b' ')
            .count();
        if text.get(at + blanks) == Some(&b':') {
            key = value;
            at += blanks + 1;
            continue;
        }
        let named = (!value.is_empty()).then_some(value);
        match key {
            // The innermost, or the first that has a plan.
            b"message" | b"msg" | b"textPayload" | b"log"
                if message.is_none_or(|found| memchr::memmem::find(found, HEAD_END).is_none()) =>
            {
                message = Some(value);
            }
            b"timestamp" | b"log_time" => found.time = named,
            b"time" | b"ts" => found.time = found.time.or(named),
            b"user" | b"user_name" => found.user = named,
            b"dbname" | b"database_name" => found.database = named,
            b"application_name" => found.application = named,
            _ => {}
        }
    }
    if whole && !text.ends_with(b"}") {
        whole = false;
    }
    let Some(message) = message else {
        return whole.then_some(Line {
            record: None,
            duration: false,
        });
    };
    let first = memchr::memmem::find(message, b"\\n").unwrap_or(message.len());
    let line = message.get(..first).unwrap_or_default();
    let record = duration(line).map(|(at, ms)| {
        // A whole line of a stderr log in a string has its prefix with it.
        let told = prefix::read(line.get(..at).unwrap_or_default());
        Record {
            duration_ms: ms,
            body: message.get(first + 2..).unwrap_or_default(),
            time: found.time.or(told.time),
            user: found.user.or(told.user),
            database: found.database.or(told.database),
            application: found.application.or(told.application),
            cut_off: !whole,
            ..found
        }
    });
    if record.is_none() && !whole {
        return None;
    }
    Some(Line {
        duration: record.is_none() && memchr::memmem::find(line, super::DURATION).is_some(),
        record,
    })
}
