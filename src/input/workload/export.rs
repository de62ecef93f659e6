//! Exports of `pg_stat_statements`: CSV with a header, JSON arrays and JSON
//! lines, of any version and from any tool, by the names of their columns.

use serde_json::Value;

use super::Met;
use super::places;
use super::values::{self, Values};
use crate::source::Anchor;

/// Names of the column with the query.
const QUERY: [&str; 5] = ["query", "sql", "statement", "query_text", "querytext"];
/// Names of the column with the number of calls.
const CALLS: [&str; 5] = ["calls", "count", "executions", "exec_count", "call_count"];
/// Names of the column with the time of all calls, in milliseconds: since
/// version 13 and before it, and as tools call it.
const TOTAL: [&str; 4] = [
    "total_exec_time",
    "total_time",
    "total_ms",
    "total_exec_time_ms",
];
/// Names of the column with the time of one call.
const MEAN: [&str; 5] = [
    "mean_exec_time",
    "mean_time",
    "mean_ms",
    "avg_time",
    "avg_ms",
];

/// Names of the field with the values of a call.
const ARGUMENTS: [&str; 5] = ["args", "params", "parameters", "bindings", "values"];

/// What stands in place of the query where the role may not see it.
const HIDDEN: &str = "<insufficient privilege>";

/// Whether a text begins with a header that has a query in it.
pub(super) fn is_csv(text: &str) -> bool {
    let Some(line) = text.lines().next() else {
        return false;
    };
    let Some(delimiter) = delimiter(line) else {
        return false;
    };
    fields(line, delimiter)
        .iter()
        .any(|name| QUERY.contains(&name.as_str()))
}

/// The delimiter of a header line.
fn delimiter(line: &str) -> Option<u8> {
    let count = |mark: char| line.matches(mark).count();
    [',', ';', '\t', '|']
        .into_iter()
        .map(|mark| (count(mark), mark))
        .filter(|(count, _)| *count > 0)
        .max_by_key(|(count, _)| *count)
        .and_then(|(_, mark)| u8::try_from(mark).ok())
        // A single column has none.
        .or_else(|| {
            let name = line.trim().trim_matches('"').to_ascii_lowercase();
            QUERY.contains(&name.as_str()).then_some(b',')
        })
}

fn fields(line: &str, delimiter: u8) -> Vec<String> {
    line.split(char::from(delimiter))
        .map(|name| name.trim().trim_matches('"').trim().to_ascii_lowercase())
        .collect()
}

/// The queries of a CSV export, and what is wrong with it.
pub(super) fn csv(name: &str, text: &str) -> (Vec<Met>, Vec<String>) {
    let whole = text.trim_start_matches('\u{feff}');
    let text = whole;
    let mut problems = Vec::new();
    let Some(delimiter) = text.trim_start().lines().next().and_then(delimiter) else {
        return (Vec::new(), problems);
    };
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .flexible(true)
        .from_reader(text.as_bytes());
    let columns: Vec<String> = match reader.headers() {
        Ok(header) => header
            .iter()
            .map(|name| name.trim().to_ascii_lowercase())
            .collect(),
        Err(error) => return (Vec::new(), vec![format!("{name}: {error}")]),
    };
    let column = |names: &[&str]| {
        names
            .iter()
            .find_map(|name| columns.iter().position(|column| column == name))
    };
    let (query, calls, total, mean) = (
        column(&QUERY),
        column(&CALLS),
        column(&TOTAL),
        column(&MEAN),
    );
    let mut met = Vec::new();
    let mut hidden = 0;
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                problems.push(format!("{name}: {error}"));
                continue;
            }
        };
        let number = |at: Option<usize>| at.and_then(|at| record.get(at)).and_then(number);
        let Some(text) = query.and_then(|at| record.get(at)) else {
            continue;
        };
        if text.trim() == HIDDEN {
            hidden += 1;
            continue;
        }
        let anchors = record
            .position()
            .zip(query)
            .map_or_else(Vec::new, |(at, field)| {
                let from = usize::try_from(at.byte()).unwrap_or(usize::MAX);
                let line = usize::try_from(at.line()).unwrap_or(usize::MAX);
                places::of_csv(whole, from, line, delimiter, field)
            });
        met.extend(row(
            text,
            anchors,
            [number(calls), number(total), number(mean)],
            None,
        ));
    }
    tell_hidden(name, hidden, &mut problems);
    (met, problems)
}

fn tell_hidden(name: &str, hidden: usize, problems: &mut Vec<String>) {
    if hidden > 0 {
        problems.push(format!(
            "{name}: the texts of {hidden} queries were hidden from the role that exported them \
             (pg_read_all_stats sees all)"
        ));
    }
}

/// A number as exports write it, with blanks or commas between thousands.
fn number(text: &str) -> Option<f64> {
    let text: String = text
        .trim()
        .chars()
        .filter(|character| !matches!(character, ',' | '_' | ' '))
        .collect();
    let number: f64 = text.parse().ok()?;
    (number.is_finite() && number >= 0.0).then_some(number)
}

fn row(
    text: &str,
    anchors: Vec<Anchor>,
    [calls, total, mean]: [Option<f64>; 3],
    values: Option<Values>,
) -> Option<Met> {
    if text.trim().is_empty() {
        return None;
    }
    let calls = calls.unwrap_or(1.0);
    Some(Met {
        text: plannable(text),
        anchors,
        calls,
        total_ms: total.or_else(|| mean.map(|mean| mean * calls)),
        values: values.into_iter().collect(),
    })
}

/// Types before whose constants their name may stand.
const TYPES: [&str; 6] = [
    "interval",
    "timestamptz",
    "timestamp",
    "date",
    "time",
    "timetz",
];

/// `pg_stat_statements` puts `$1` in place of every constant, also where the
/// grammar takes none: `interval $1` is what was `interval '1 day'`.
fn plannable(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut out = String::with_capacity(text.len() + 16);
    let mut from = 0;
    for (at, _) in lower.match_indices('$') {
        let digits = lower.get(at + 1..).map_or(0, |rest| {
            rest.bytes().take_while(u8::is_ascii_digit).count()
        });
        let before = lower.get(..at).unwrap_or("");
        let words = before.trim_end();
        if digits == 0 || words.len() == before.len() {
            continue;
        }
        let Some(name) = TYPES.iter().find(|name| {
            words.strip_suffix(**name).is_some_and(|head| {
                head.chars()
                    .next_back()
                    .is_none_or(|last| !(last.is_alphanumeric() || matches!(last, '_' | '.' | '"')))
            })
        }) else {
            continue;
        };
        let start = words.len() - name.len();
        if let (true, Some(head)) = (start >= from, text.get(from..start)) {
            out.push_str(head);
            let end = at + 1 + digits;
            out.push_str("CAST(");
            out.push_str(text.get(at..end).unwrap_or(""));
            out.push_str(" AS ");
            out.push_str(name);
            out.push(')');
            from = end;
        }
    }
    out.push_str(text.get(from..).unwrap_or(""));
    out
}

/// Whether a text begins as JSON does, and not as an array or a braced log.
pub(super) fn is_json(text: &str) -> bool {
    let begin = text.get(..text.len().min(4096)).or_else(|| {
        text.char_indices()
            .take(1024)
            .last()
            .and_then(|(end, _)| text.get(..end))
    });
    let begin = begin.unwrap_or("");
    let opens = begin.starts_with('{') || begin.starts_with('[');
    opens
        && QUERY
            .iter()
            .any(|name| begin.contains(&format!("\"{name}\"")))
}

/// The queries of JSON: an array of objects or of texts, an object with such
/// an array in it, or an object a line.
pub(super) fn json(name: &str, text: &str) -> (Vec<Met>, Vec<String>) {
    let text = text.trim_start_matches('\u{feff}');
    let mut problems = Vec::new();
    let mut met = Vec::new();
    let mut hidden = 0;
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        let mut finder = Lines::new(text);
        for item in items(&value) {
            hidden += usize::from(!object(item, &mut finder, &mut met));
        }
    } else {
        for (at, whole) in text.lines().enumerate() {
            let line = whole.trim();
            if line.is_empty() {
                continue;
            }
            match serde_json::from_str::<Value>(line) {
                Ok(value) => {
                    let mut finder = Lines::new(whole);
                    finder.line = at;
                    hidden += usize::from(!object(&value, &mut finder, &mut met));
                }
                Err(error) => problems.push(format!("{name}:{}: not JSON: {error}", at + 1)),
            }
        }
    }
    tell_hidden(name, hidden, &mut problems);
    (met, problems)
}

/// The rows of a document: itself, or the longest array in it.
fn items(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(map) => {
            let inner = map
                .values()
                .filter_map(Value::as_array)
                .max_by_key(|items| items.len());
            match inner {
                Some(items) if !map.keys().any(|key| is_query(key)) => items.iter().collect(),
                _ => vec![value],
            }
        }
        _ => Vec::new(),
    }
}

fn is_query(key: &str) -> bool {
    QUERY.contains(&key.to_ascii_lowercase().as_str())
}

/// Adds the query of an object; whether it was to be seen.
fn object(value: &Value, lines: &mut Lines<'_>, met: &mut Vec<Met>) -> bool {
    let of = |names: &[&str]| -> Option<&Value> {
        let map = value.as_object()?;
        names.iter().find_map(|name| {
            map.iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value)
        })
    };
    let text = match value {
        Value::String(text) => Some(text.as_str()),
        _ => of(&QUERY).and_then(Value::as_str),
    };
    let Some(text) = text else { return true };
    if text.trim() == HIDDEN {
        return false;
    }
    let number_of = |names: &[&str]| match of(names) {
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => number(text),
        _ => None,
    };
    let anchors = lines.of(text);
    let values = of(&ARGUMENTS).and_then(values::of_json);
    met.extend(row(
        text,
        anchors,
        [number_of(&CALLS), number_of(&TOTAL), number_of(&MEAN)],
        values,
    ));
    true
}

/// Where strings of a document stand, asked for in their order.
pub(super) struct Lines<'a> {
    text: &'a str,
    at: usize,
    pub(super) line: usize,
    column: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            line: 0,
            column: 1,
        }
    }

    /// The place of the next string that has this value.
    pub(super) fn of(&mut self, value: &str) -> Vec<Anchor> {
        // Up to the first character that a string may write otherwise.
        let plain: String = value
            .chars()
            .take_while(|character| {
                !matches!(character, '"' | '\\' | '/') && !character.is_control()
            })
            .collect();
        let rest = self.text.get(self.at..).unwrap_or("");
        if plain.trim().is_empty() {
            return places::of_escaped("", '"', (self.line + 1, self.column));
        }
        // As a value: behind a quote.
        let quoted = format!("\"{plain}");
        let found = rest
            .find(&quoted)
            .map(|at| at + 1)
            .or_else(|| rest.find(&plain));
        if let Some(found) = found {
            let passed = rest.get(..found).unwrap_or("");
            match passed.rsplit_once('\n') {
                Some((above, behind)) => {
                    self.line += above.matches('\n').count() + 1;
                    self.column = 1 + behind.chars().count();
                }
                None => self.column += passed.chars().count(),
            }
            self.at += found;
        }
        let rest = self.text.get(self.at..).unwrap_or("");
        places::of_escaped(rest, '"', (self.line + 1, self.column))
    }
}
