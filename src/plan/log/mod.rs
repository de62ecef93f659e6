//! The records of `auto_explain` in PostgreSQL's logs: stderr logs with any
//! prefix, csvlog and jsonlog, in one text or several.
//!
//! A log is looked at as bytes and piece by piece: [`split::boundary`] says
//! where a piece may end, [`scan::scan`] finds the records of one, and
//! [`body`] reads of a record what can be had without parsing its plan.

pub mod body;
mod csvlog;
mod jsonlog;
mod prefix;
pub mod scan;
pub mod sniff;
pub mod split;
pub mod wrap;

pub use wrap::Wrap;

/// One record of `auto_explain`, as it stands in a log.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Record<'a> {
    /// Where its first line begins in the scanned piece.
    pub at: usize,
    /// The duration that its first line says, in milliseconds.
    pub duration_ms: f64,
    /// What follows the first line, as it stands in the log.
    pub body: &'a [u8],
    /// How the log wraps a message.
    pub wrap: Wrap,
    /// The time stamp, as it is written.
    pub time: Option<&'a [u8]>,
    /// The user.
    pub user: Option<&'a [u8]>,
    /// The database.
    pub database: Option<&'a [u8]>,
    /// The application's name.
    pub application: Option<&'a [u8]>,
    /// The piece ends within the record.
    pub cut_off: bool,
}

/// What else a piece of a log holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Messages, records of `auto_explain` among them.
    pub messages: u64,
    /// Messages with a duration and no plan.
    pub durations: u64,
    /// Pieces of records, and records that could not be read.
    pub damaged: u64,
}

/// The words that end the first line of every record. They are never
/// translated, as messages of extensions are not.
pub(crate) const HEAD_END: &[u8] = b" ms  plan:";

/// The word before the number.
pub(crate) const DURATION: &[u8] = b"duration: ";

/// The duration of a first line (`…duration: 1.234 ms  plan:`), and where its
/// word begins.
pub(crate) fn duration(line: &[u8]) -> Option<(usize, f64)> {
    let line = line.strip_suffix(HEAD_END)?;
    let at = memchr::memmem::rfind(line, DURATION)?;
    let number = line.get(at + DURATION.len()..)?;
    let plain = !number.is_empty()
        && number
            .iter()
            .all(|byte| byte.is_ascii_digit() || *byte == b'.');
    if !plain {
        return None;
    }
    let number: f64 = std::str::from_utf8(number).ok()?.parse().ok()?;
    number.is_finite().then_some((at, number))
}

/// Whether a text begins with a date and a time of day: `2026-11-21 18:24:18`.
pub(crate) fn is_time(text: &[u8]) -> bool {
    const FORM: &[u8; 19] = b"0000-00-00 00:00:00";
    text.len() >= FORM.len()
        && text.iter().zip(FORM).all(|(byte, form)| match form {
            b'0' => byte.is_ascii_digit(),
            b' ' => matches!(byte, b' ' | b'T'),
            form => byte == form,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_from_first_lines_alone() {
        assert_eq!(
            duration(b"LOG:  duration: 12.345 ms  plan:"),
            Some((6, 12.345))
        );
        for line in [
            b"LOG:  duration: 12.345 ms".as_slice(),
            b"LOG:  duration: 12.345 ms  statement: select 1",
            b"LOG:  duration:  ms  plan:",
            b"LOG:  duration: inf ms  plan:",
            b"LOG:  a plan:",
        ] {
            assert_eq!(duration(line), None);
        }
    }
}
