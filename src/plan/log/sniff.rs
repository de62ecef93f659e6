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
    // Without a prefix it may as well be psql that shows a notice.
    word >= 3
        && (before == b"LOG"
            || prefix.iter().any(u8::is_ascii_digit)
            || !prefix.is_empty() && !prefix.ends_with(b" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_told_from_what_people_paste() {
        for log in [
            "2026-11-21 18:24:18.406 UTC [13617] LOG:  starting PostgreSQL 17.10\n",
            "2026-11-21 18:24:18.406 CET [7] app@shop \u{421}\u{41e}\u{41e}\u{411}\u{429}\u{415}\u{41d}\u{418}\u{415}:  duration: 1.000 ms  plan:\n\tQuery Text: select 1\n",
            "shop|psql|ERROR:  syntax error\n\tmore\n",
            "LOG:  duration: 12.000 ms  plan:\r\n\t{\r\n",
            "2026-11-21 18:24:18.406 UTC,,,13617,,6b01e1d2.3531,1,,2026-11-21 18:24:18 UTC,,0,LOG,00000,\"ready\"\n",
            "{\"timestamp\":\"2026-11-21 18:24:18.406 UTC\",\"pid\":1,\"error_severity\":\"LOG\",\"message\":\"ready\"}\n",
            "{\"level\":\"info\",\"record\":{\"log_time\":\"x\",\"message\":\"ready\"}}\n",
            // The log was rotated within a message.
            "\t  Filter: (a = 1)\n2026-11-21 18:24:18.406 UTC [7] LOG:  ready\n",
        ] {
            assert!(looks_like_log(log.as_bytes()), "{log}");
        }
        for other in [
            "",
            "Seq Scan on t  (cost=0.00..1.00 rows=1 width=4)\n  Filter: (a = 1)\n",
            "NOTICE:  table \"t\" does not exist, skipping\n QUERY PLAN\n----\n Seq Scan on t\n",
            "[\n  {\n    \"Plan\": {\n",
            "{\"Plan\": {\"Node Type\": \"Seq Scan\", \"message\": 1}}",
            "select 1;\n-- LOG:  nothing\nselect 2;",
            "shop=# explain select 1;\n Result  (cost=0.00..0.01 rows=1 width=4)\nLOG:  duration: 0.010 ms  plan:\nQuery Text: select 1\n",
        ] {
            assert!(!looks_like_log(other.as_bytes()), "{other}");
        }
    }
}
