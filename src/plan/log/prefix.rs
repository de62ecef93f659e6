//! What the prefix of a stderr log's line tells: `log_line_prefix` may be
//! anything, so only what says what it is, is taken.

use super::is_time;

/// What was found in a prefix.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Prefix<'a> {
    pub(super) time: Option<&'a [u8]>,
    pub(super) user: Option<&'a [u8]>,
    pub(super) database: Option<&'a [u8]>,
    pub(super) application: Option<&'a [u8]>,
}

/// Longest part of a line that is looked at.
const LONGEST: usize = 512;

/// Reads the part of a line before the severity.
pub(super) fn read(line: &[u8]) -> Prefix<'_> {
    let line = line.get(..LONGEST).unwrap_or(line);
    let mut found = Prefix {
        time: time(line),
        ..Prefix::default()
    };
    let mut at = 0;
    while let Some(next) = line
        .get(at..)
        .and_then(|rest| memchr::memchr2(b'=', b'@', rest))
    {
        let sign = at + next;
        at = sign + 1;
        let before = line.get(..sign).unwrap_or_default();
        let from = before
            .iter()
            .rposition(|byte| ends_word(*byte))
            .map_or(0, |end| end + 1);
        let word = before.get(from..).unwrap_or_default();
        if line.get(sign) == Some(&b'@') {
            // %u@%d, alone or within db=.
            let from = word
                .iter()
                .rposition(|byte| *byte == b'=')
                .map_or(0, |at| at + 1);
            let user = word.get(from..).unwrap_or_default();
            let database = value(line, at);
            if found.user.is_none() && found.database.is_none() {
                found.user = known(user);
                found.database = known(database);
            }
            continue;
        }
        let into = match word {
            b"user" | b"usr" | b"u" => &mut found.user,
            b"db" | b"database" | b"dbname" | b"d" => &mut found.database,
            b"app" | b"application" | b"application_name" | b"appname" | b"a" => {
                &mut found.application
            }
            _ => continue,
        };
        let value = value(line, at);
        if into.is_none() && !value.contains(&b'@') {
            *into = known(value);
        }
    }
    found
}

fn ends_word(byte: u8) -> bool {
    matches!(
        byte,
        b' ' | b'\t'
            | b','
            | b';'
            | b':'
            | b'|'
            | b'['
            | b']'
            | b'('
            | b')'
            | b'<'
            | b'>'
            | b'/'
            | b'"'
            | b'\''
    )
}

/// From there to the end of the word.
fn value(line: &[u8], from: usize) -> &[u8] {
    let rest = line.get(from..).unwrap_or_default();
    let len = rest
        .iter()
        .position(|byte| ends_word(*byte) || *byte == b'=')
        .unwrap_or(rest.len());
    rest.get(..len).unwrap_or_default()
}

fn known(name: &[u8]) -> Option<&[u8]> {
    (!name.is_empty() && name != b"[unknown]").then_some(name)
}

/// The first time stamp: a date and time with fraction and zone (`%m`, `%t`), or
/// seconds with three digits behind the point (`%n`).
fn time(line: &[u8]) -> Option<&[u8]> {
    let mut at = 0;
    while let Some(digit) = line
        .get(at..)
        .and_then(|rest| rest.iter().position(u8::is_ascii_digit))
    {
        let from = at + digit;
        let rest = line.get(from..).unwrap_or_default();
        if is_time(rest) {
            return rest.get(..time_len(rest));
        }
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let fraction = rest.get(digits) == Some(&b'.')
            && rest
                .get(digits + 1..digits + 4)
                .is_some_and(|three| three.iter().all(u8::is_ascii_digit));
        if digits == 10 && fraction {
            return rest.get(..digits + 4);
        }
        at = from + digits;
    }
    None
}

/// The length of a time stamp with its fraction and its zone.
fn time_len(text: &[u8]) -> usize {
    let mut len = 19;
    if text.get(len) == Some(&b'.') {
        len += 1 + text
            .iter()
            .skip(len + 1)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
    }
    let zone = text.get(len..).unwrap_or_default();
    let apart = usize::from(zone.first() == Some(&b' '));
    let letters = zone
        .iter()
        .skip(apart)
        .take_while(|byte| byte.is_ascii_uppercase())
        .count();
    let offset = match zone.get(apart) {
        Some(b'+' | b'-') => {
            1 + zone
                .iter()
                .skip(apart + 1)
                .take_while(|byte| byte.is_ascii_digit() || **byte == b':')
                .count()
        }
        _ => 0,
    };
    if (2..=5).contains(&letters) {
        len + apart + letters
    } else if offset >= 3 {
        len + apart + offset
    } else {
        len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(part: Option<&[u8]>) -> &str {
        part.map_or("-", |part| std::str::from_utf8(part).unwrap())
    }

    #[test]
    fn usual_prefixes_are_told() {
        for (line, time, user, database, application) in [
            (
                "2026-11-21 18:24:18.406 UTC [13617] ",
                "2026-11-21 18:24:18.406 UTC",
                "-",
                "-",
                "-",
            ),
            (
                "2026-11-21 18:24:18.406 CET [13617] app@shop ",
                "2026-11-21 18:24:18.406 CET",
                "app",
                "shop",
                "-",
            ),
            (
                "2026-11-21 18:24:18 UTC [7]: [3-1] user=app,db=shop,app=web,client=10.0.0.1 ",
                "2026-11-21 18:24:18 UTC",
                "app",
                "shop",
                "web",
            ),
            (
                "2026-11-21 18:24:18 UTC:10.0.0.1(5432):app@shop:[13617]:",
                "2026-11-21 18:24:18 UTC",
                "app",
                "shop",
                "-",
            ),
            (
                "1700000000.123 7 [unknown]@[unknown] ",
                "1700000000.123",
                "-",
                "-",
                "-",
            ),
            (
                "2026-11-21 18:24:18.406 +05:30 db=app@shop ",
                "2026-11-21 18:24:18.406 +05:30",
                "app",
                "shop",
                "-",
            ),
            (
                "<2026-11-21 18:24:18.406 UTC>",
                "2026-11-21 18:24:18.406 UTC",
                "-",
                "-",
                "-",
            ),
            ("shop|psql|", "-", "-", "-", "-"),
            ("", "-", "-", "-", "-"),
        ] {
            let found = read(line.as_bytes());
            assert_eq!(
                (
                    text(found.time),
                    text(found.user),
                    text(found.database),
                    text(found.application)
                ),
                (time, user, database, application),
                "{line}"
            );
        }
    }
}
