//! Logs with statements in them: of PostgreSQL (`log_statement`,
//! `log_min_duration_statement`, `auto_explain`) and of libraries that talk to
//! it. A log may hold several kinds, line by line.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Met;
use super::{orm, server};
use crate::sql::fingerprint;

/// Lines that are looked at to tell whether a text is a log.
const LOOKED_AT: usize = 400;
/// Lines that one statement has at most.
const MOST_LINES: usize = 2_000;
/// Different statements that are kept of one log.
const MOST_KEPT: usize = 50_000;

/// The line that a statement begins on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Head {
    /// Where its text begins in the line.
    pub(super) start: usize,
    /// Who wrote the line.
    pub(super) form: Form,
    /// How long it took, where the line says so.
    pub(super) ms: Option<f64>,
}

/// Who wrote a line, as far as its statement ends differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// PostgreSQL: further lines begin with a tab.
    Server,
    /// PostgreSQL's `auto_explain`: the query stands on the lines that follow.
    Plan,
    /// `SQLAlchemy`: further lines follow as they are.
    Sqlalchemy,
    /// Hibernate: further lines are indented.
    Hibernate,
    /// Rails, with its binds behind.
    Rails,
    /// Django, with its arguments behind.
    Django,
    /// knex, with a time behind.
    Knex,
    /// A string of JavaScript.
    Quoted,
    /// Ecto, with its parameters behind.
    Ecto,
    /// psql: the lines up to one of asterisks.
    Psql,
    /// The rest of the line.
    Line,
}

/// Whether a text has a statement in one of its first lines.
pub(super) fn is_log(text: &str) -> bool {
    if text.trim_start().starts_with('{') || server::is_csvlog(text) {
        return !queries(first_lines(text)).0.is_empty();
    }
    let mut after_ecto = false;
    text.lines().take(LOOKED_AT).any(|line| {
        let line = without_colours(line);
        let found = head(&line, after_ecto).is_some();
        after_ecto = orm::is_ecto(&line);
        found
    })
}

fn first_lines(text: &str) -> &str {
    let end = text
        .match_indices('\n')
        .nth(LOOKED_AT)
        .map_or(text.len(), |(at, _)| at);
    text.get(..end).unwrap_or(text)
}

fn head(line: &str, after_ecto: bool) -> Option<Head> {
    server::head(line).or_else(|| orm::head(line, after_ecto))
}

/// The statements of a log; equal ones are one.
pub(super) fn queries(text: &str) -> (Vec<Met>, Vec<String>) {
    let mut log = Log::default();
    if server::is_csvlog(text) {
        for (above, message) in server::csvlog_messages(text) {
            log.message(&message, above);
        }
    } else if text.trim_start().starts_with('{') && is_json_lines(text) {
        for (above, line) in text.lines().enumerate() {
            if let Ok(value) = serde_json::from_str::<Value>(line.trim())
                && let Some(message) = json_message(&value)
            {
                log.message(message, above);
            }
        }
    } else {
        log.lines(text, 0);
    }
    (log.met, Vec::new())
}

fn is_json_lines(text: &str) -> bool {
    text.lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .is_some_and(|line| serde_json::from_str::<Value>(line).is_ok())
}

/// The message of a line of a log of JSON objects.
fn json_message(value: &Value) -> Option<&str> {
    ["message", "msg", "log", "event", "text"]
        .iter()
        .find_map(|name| value.get(name).and_then(Value::as_str))
}

#[derive(Default)]
struct Log {
    met: Vec<Met>,
    by_fingerprint: BTreeMap<u64, usize>,
    normal: Vec<u8>,
}

/// A statement whose end was not seen yet.
struct Open {
    head: Head,
    text: String,
    above: usize,
    lines: usize,
}

impl Log {
    /// One message of a log that has them whole.
    fn message(&mut self, message: &str, above: usize) {
        match server::statement(message) {
            Some((start, form, ms)) => {
                let head = Head { start, form, ms };
                self.finish(&Open {
                    head,
                    text: message.get(start..).unwrap_or("").to_owned(),
                    above,
                    lines: 1,
                });
            }
            None => self.lines(message, above),
        }
    }

    fn lines(&mut self, text: &str, above: usize) {
        let mut open: Option<Open> = None;
        let mut after_ecto = false;
        for (at, line) in text.lines().enumerate() {
            let line = without_colours(line);
            let head = head(&line, after_ecto);
            after_ecto = orm::is_ecto(&line);
            if let Some(head) = head {
                if let Some(open) = open.take() {
                    self.finish(&open);
                }
                open = Some(Open {
                    head,
                    text: line.get(head.start..).unwrap_or("").to_owned(),
                    above: above + at,
                    lines: 1,
                });
                continue;
            }
            let goes_on = open
                .as_ref()
                .is_some_and(|open| open.lines < MOST_LINES && continues(open, &line));
            if goes_on && let Some(open) = &mut open {
                open.text.push('\n');
                open.text.push_str(match open.head.form {
                    Form::Server | Form::Plan => line.strip_prefix('\t').unwrap_or(&line),
                    _ => &line,
                });
                open.lines += 1;
            } else if let Some(open) = open.take() {
                self.finish(&open);
            }
        }
        if let Some(open) = open {
            self.finish(&open);
        }
    }

    fn finish(&mut self, open: &Open) {
        let text = match open.head.form {
            Form::Plan => server::query_text(&open.text),
            form => orm::without_tail(form, &open.text),
        };
        let text = text.trim().trim_end_matches(';').trim_end();
        if text.is_empty() {
            return;
        }
        self.normal.clear();
        fingerprint::normalize(text.as_bytes(), &mut self.normal, |_| false);
        let mark = fingerprint::hash(&self.normal);
        if let Some(known) = self
            .by_fingerprint
            .get(&mark)
            .and_then(|at| self.met.get_mut(*at))
        {
            known.calls += 1.0;
            known.total_ms = match (known.total_ms, open.head.ms) {
                (None, ms) | (ms, None) => ms,
                (Some(sum), Some(ms)) => Some(sum + ms),
            };
            return;
        }
        if self.met.len() >= MOST_KEPT {
            return;
        }
        self.by_fingerprint.insert(mark, self.met.len());
        self.met.push(Met {
            text: text.to_owned(),
            above: open.above,
            calls: 1.0,
            total_ms: open.head.ms,
        });
    }
}

/// Whether a line that begins no statement belongs to the one before it.
fn continues(open: &Open, line: &str) -> bool {
    let indented = line.starts_with([' ', '\t']) && !line.trim().is_empty();
    match open.head.form {
        Form::Server | Form::Plan => line.starts_with('\t'),
        Form::Sqlalchemy => orm::is_more_of_sqlalchemy(line),
        Form::Hibernate => indented,
        Form::Quoted => false,
        Form::Psql => !line.trim_start_matches('/').starts_with("*****"),
        _ => orm::is_more(&open.text, line),
    }
}

/// The line without the escape sequences that colour it.
fn without_colours(line: &str) -> std::borrow::Cow<'_, str> {
    if !line.contains('\u{1b}') {
        return line.into();
    }
    let mut out = String::with_capacity(line.len());
    let mut rest = line.chars();
    while let Some(character) = rest.next() {
        if character != '\u{1b}' {
            out.push(character);
            continue;
        }
        if rest.next() == Some('[') {
            // Parameters and intermediates up to a final byte.
            for character in rest.by_ref() {
                if ('\u{40}'..='\u{7e}').contains(&character) {
                    break;
                }
            }
        }
    }
    out.into()
}
