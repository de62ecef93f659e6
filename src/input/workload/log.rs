//! Logs with statements in them: of PostgreSQL (`log_statement`,
//! `log_min_duration_statement`, `auto_explain`) and of libraries that talk to
//! it. A log may hold several kinds, line by line.

use std::collections::BTreeMap;

use serde_json::Value;

use super::export::Lines;
use super::server::Message;
use super::values::Values;
use super::{Met, orm, places, server};
use crate::source::Anchor;
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
    /// Older versions of sqlx, with what it did behind.
    Sqlx,
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

/// Whether a text is a log that PostgreSQL writes as JSON.
pub(super) fn is_jsonlog(text: &str) -> bool {
    text.lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .is_some_and(|line| line.starts_with('{') && line.contains("\"error_severity\":"))
}

/// The statements of a log; equal ones are one.
pub(super) fn queries(text: &str) -> (Vec<Met>, Vec<String>) {
    let mut log = Log::default();
    if server::is_csvlog(text) {
        for message in server::csvlog_messages(text) {
            log.message(&message);
        }
    } else if text.trim_start().starts_with('{') && is_json_lines(text) {
        for (above, line) in text.lines().enumerate() {
            if let Ok(value) = serde_json::from_str::<Value>(line.trim())
                && let Some(message) = json_message(&value)
            {
                let mut place = Lines::new(line);
                place.line = above;
                log.message(&Message {
                    anchors: place.of(message),
                    text: message.to_owned(),
                    detail: value
                        .get("detail")
                        .and_then(Value::as_str)
                        .map(str::to_owned),
                });
            }
        }
    } else {
        log.lines(text, &[]);
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
    /// The statement that ended last, for the values that follow it.
    last: Option<usize>,
    /// Values that stand on lines of their own, one a line.
    listed: Vec<Option<String>>,
}

/// A statement whose end was not seen yet.
struct Open {
    head: Head,
    text: String,
    anchors: Vec<Anchor>,
    lines: usize,
    /// The values of the call, where they stand within it.
    values: Option<Values>,
}

impl Log {
    /// One message of a log that has them whole.
    fn message(&mut self, message: &Message) {
        let text = message.text.as_str();
        match server::statement(text) {
            Some((start, form, ms)) => {
                let head = Head { start, form, ms };
                self.finish(Open {
                    head,
                    anchors: places::behind(&message.anchors, text, start),
                    text: text.get(start..).unwrap_or("").to_owned(),
                    lines: 1,
                    values: message.detail.as_deref().and_then(server::parameters),
                });
            }
            None => self.lines(text, &message.anchors),
        }
    }

    /// Lines of text; `anchors` say where they stand in the file, where they
    /// are not the file.
    fn lines(&mut self, text: &str, anchors: &[Anchor]) {
        let mut open: Option<Open> = None;
        let mut after_ecto = false;
        let mut passed = 0;
        for (at, line) in text.lines().enumerate() {
            let begin = passed;
            passed += line.len() + 1;
            let line = without_colours(line);
            let place = |start: usize| {
                if anchors.is_empty() {
                    return vec![Anchor {
                        at: 0,
                        line: at + 1,
                        column: 1 + line.get(..start).map_or(0, |head| head.chars().count()),
                    }];
                }
                let mut here = places::behind(anchors, text, begin + start);
                here.truncate(1);
                here
            };
            let head = head(&line, after_ecto);
            after_ecto = orm::is_ecto(&line);
            if let Some(head) = head {
                if let Some(open) = open.take() {
                    self.finish(open);
                }
                self.listed.clear();
                open = Some(Open {
                    head,
                    text: line.get(head.start..).unwrap_or("").to_owned(),
                    anchors: place(head.start),
                    lines: 1,
                    values: None,
                });
                continue;
            }
            let goes_on = open
                .as_ref()
                .is_some_and(|open| open.lines < MOST_LINES && continues(open, &line));
            if goes_on && let Some(open) = &mut open {
                if open.values.is_none() && open.head.form == Form::Plan {
                    open.values = server::parameters_of_line(&line);
                }
                let more = match open.head.form {
                    Form::Server | Form::Plan => line.strip_prefix('\t').unwrap_or(&line),
                    _ => &line,
                };
                open.text.push('\n');
                let mut here = place(line.len() - more.len());
                for anchor in &mut here {
                    anchor.at = open.text.len();
                }
                open.anchors.append(&mut here);
                open.text.push_str(more);
                open.lines += 1;
                continue;
            }
            if let Some(open) = open.take() {
                self.finish(open);
            }
            self.values(&line);
        }
        if let Some(open) = open {
            self.finish(open);
        }
        self.listed.clear();
    }

    /// A line behind a statement, which may have the values of the call.
    fn values(&mut self, line: &str) {
        let values = match orm::binding(line) {
            Some((number, value)) => {
                if number != self.listed.len() + 1 {
                    self.listed.clear();
                    return;
                }
                self.listed.push(value);
                Some(Values::Listed(self.listed.clone()))
            }
            None => server::parameters_of_line(line).or_else(|| orm::values(line)),
        };
        let of_last = self.last.and_then(|at| self.met.get_mut(at));
        if let (Some(values), Some(met)) = (values, of_last) {
            met.sample(values);
        }
    }

    fn finish(&mut self, open: Open) {
        self.last = None;
        let (whole, start, more) = match open.head.form {
            Form::Plan => {
                let text = server::query_text(&open.text);
                let start = open.text.find(&text).unwrap_or(0);
                (text, start, Vec::new())
            }
            Form::Quoted => {
                let first = open.anchors.first();
                let place = first.map_or((1, 1), |first| (first.line, first.column + 1));
                let quote = open.text.chars().next().unwrap_or('"');
                let rest = open.text.get(quote.len_utf8()..).unwrap_or("");
                let anchors = places::of_escaped(rest, quote, place);
                (orm::without_tail(Form::Quoted, &open.text), 0, anchors)
            }
            form => (orm::without_tail(form, &open.text), 0, Vec::new()),
        };
        let begin = whole.len() - whole.trim_start().len();
        let text = whole.trim().trim_end_matches(';').trim_end();
        if text.is_empty() {
            return;
        }
        let values = open
            .values
            .or_else(|| orm::values_behind(open.head.form, &open.text));
        self.normal.clear();
        fingerprint::normalize(text.as_bytes(), &mut self.normal, |_| false);
        let mark = fingerprint::hash(&self.normal);
        if let Some(at) = self.by_fingerprint.get(&mark).copied()
            && let Some(known) = self.met.get_mut(at)
        {
            self.last = Some(at);
            known.calls += 1.0;
            known.total_ms = match (known.total_ms, open.head.ms) {
                (None, ms) | (ms, None) => ms,
                (Some(sum), Some(ms)) => Some(sum + ms),
            };
            if let Some(values) = values {
                known.sample(values);
            }
            return;
        }
        if self.met.len() >= MOST_KEPT {
            return;
        }
        let anchors = if more.is_empty() {
            places::behind(&open.anchors, &open.text, start + begin)
        } else {
            places::behind(&more, &whole, begin)
        };
        self.by_fingerprint.insert(mark, self.met.len());
        self.last = Some(self.met.len());
        self.met.push(Met {
            text: text.to_owned(),
            anchors,
            calls: 1.0,
            total_ms: open.head.ms,
            values: values.into_iter().collect(),
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
