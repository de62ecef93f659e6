//! Statements in the logs of libraries: Rails, `SQLAlchemy`, Hibernate, Django,
//! Prisma, Sequelize, knex, Drizzle, `TypeORM`, GORM, Go's slog (pgx) and Ecto;
//! and of psql.

use super::log::{Form, Head};
use super::values::{self, Values};

/// Words that a statement begins with.
const FIRST: [&str; 23] = [
    "select",
    "insert",
    "update",
    "delete",
    "with",
    "merge",
    "values",
    "table",
    "begin",
    "start",
    "commit",
    "rollback",
    "savepoint",
    "release",
    "set",
    "reset",
    "show",
    "create",
    "alter",
    "drop",
    "truncate",
    "copy",
    "call",
];

/// Words that a statement does not end with.
const OPEN: [&str; 28] = [
    "select",
    "from",
    "where",
    "and",
    "or",
    "on",
    "by",
    "set",
    "values",
    "into",
    "join",
    "not",
    "in",
    "as",
    "is",
    "like",
    "between",
    "having",
    "limit",
    "offset",
    "returning",
    "union",
    "all",
    "distinct",
    "then",
    "else",
    "when",
    "using",
];

/// Words that go on with a statement on a line of their own.
const MORE: [&str; 28] = [
    "from",
    "where",
    "and",
    "or",
    "order",
    "group",
    "left",
    "right",
    "inner",
    "full",
    "cross",
    "join",
    "limit",
    "offset",
    "returning",
    "set",
    "values",
    "on",
    "having",
    "union",
    "except",
    "intersect",
    "window",
    "for",
    "using",
    "select",
    "end",
    "when",
];

/// The statement of a line. `after_ecto` says that the line before announced
/// one.
pub(super) fn head(line: &str, after_ecto: bool) -> Option<Head> {
    let found = |start: usize, form: Form, ms: Option<f64>| Some(Head { start, form, ms });
    if let Some(at) = line.find("sqlalchemy.engine") {
        let rest = line.get(at..)?;
        let name = rest.find([' ', ':', ']']).unwrap_or(rest.len());
        let sql = rest
            .get(name..)?
            .trim_start_matches([' ', ':', ']', '-', '\t']);
        return begins(sql)
            .then(|| found(line.len() - sql.len(), Form::Sqlalchemy, None))
            .flatten();
    }
    if let Some(at) = line.find("Hibernate: ").or_else(|| {
        let end = line.trim_end();
        end.ends_with("Hibernate:")
            .then(|| end.len() - "Hibernate:".len())
    }) {
        return found(
            (at + "Hibernate: ".len()).min(line.len()),
            Form::Hibernate,
            None,
        );
    }
    if let Some(at) = line.find("org.hibernate.SQL") {
        let sql = line
            .get(at + "org.hibernate.SQL".len()..)?
            .trim_start_matches([' ', ':', ']', '-', '\t']);
        return found(line.len() - sql.len(), Form::Hibernate, None);
    }
    for (mark, form) in [
        ("prisma:query ", Form::Line),
        ("knex:query ", Form::Knex),
        ("knex:client ", Form::Knex),
    ] {
        if let Some(at) = line.find(mark) {
            let sql = line.get(at + mark.len()..)?.trim_start();
            return begins(sql)
                .then(|| found(line.len() - sql.len(), form, None))
                .flatten();
        }
    }
    for mark in ["Executing (", "Executed ("] {
        if let Some(at) = line.find(mark) {
            let end = line.get(at..)?.find("): ")?;
            return found(at + end + "): ".len(), Form::Line, None);
        }
    }
    let trimmed = line.trim_start();
    if let Some(rest) = trimmed.strip_prefix("sql: ")
        && rest.starts_with(['\'', '"', '`'])
    {
        return found(line.len() - rest.len(), Form::Quoted, None);
    }
    for mark in ["query: ", "Query: ", "query failed: ", "query is slow: "] {
        if let Some(at) = line.find(mark) {
            let sql = line.get(at + mark.len()..)?;
            if begins(sql) {
                return found(at + mark.len(), Form::Line, None);
            }
        }
    }
    // Pairs of a name and a quoted value, as Go's slog and logrus write them.
    for mark in [" sql=", " query=", " statement=", " db.statement="] {
        if let Some(at) = line.find(mark) {
            let value = line.get(at + mark.len()..)?;
            if value.starts_with(['"', '\'']) && begins(without_escapes(value.get(1..)?)) {
                return found(at + mark.len(), Form::Quoted, None);
            }
        }
    }
    if let Some(at) = line.find("sqlx::query") {
        return sqlx(line, at);
    }
    // psql with ECHO_HIDDEN, and in the file of --log-file.
    let bare = trimmed.trim_end().trim_matches('/');
    if bare.starts_with("*****") && bare.contains(" QUERY ") && bare.ends_with("*****") {
        return found(line.len(), Form::Psql, None);
    }
    if after_ecto && begins(trimmed) {
        return found(line.len() - trimmed.len(), Form::Ecto, None);
    }
    timed(line)
}

/// Without the line breaks, as escapes, at its beginning.
fn without_escapes(text: &str) -> &str {
    text.trim_start_matches("\\n").trim_start()
}

/// The statement of a line of Rust's sqlx: in its summary, where that is not
/// cut off, and in older versions before `; rows`.
fn sqlx(line: &str, at: usize) -> Option<Head> {
    let mark = " summary=";
    let (start, form) = if let Some(at) = line.find(mark) {
        (at + mark.len(), Form::Quoted)
    } else {
        let rest = line.get(at + "sqlx::query".len()..)?;
        let sql = rest.trim_start_matches([':', ']', ' ']);
        (line.len() - sql.len(), Form::Sqlx)
    };
    let text = line.get(start..)?.trim_start_matches('"');
    let cut = text
        .find(['…', '"'])
        .is_some_and(|end| text.get(end..).is_some_and(|rest| rest.starts_with('…')));
    (begins(text) && !cut).then_some(Head {
        start,
        form,
        ms: None,
    })
}

/// A statement behind a time in parentheses, as Rails and Django write it, or
/// behind a number of rows, as GORM does.
fn timed(line: &str) -> Option<Head> {
    for (at, _) in line.match_indices(')') {
        let before = line.get(..at)?;
        let open = before.rfind('(')?;
        let inside = before.get(open + 1..)?;
        let sql = line.get(at + 1..)?.trim_start();
        if !begins(sql) {
            continue;
        }
        let start = line.len() - sql.len();
        let name = before.get(..open)?.trim_end();
        if let Some(ms) = inside.strip_suffix("ms") {
            // What comes from a cache is not sent.
            if name.split_whitespace().any(|word| word == "CACHE") {
                return None;
            }
            let ms: f64 = ms.trim().parse().ok()?;
            return Some(Head {
                start,
                form: Form::Rails,
                ms: Some(ms),
            });
        }
        let seconds = inside.trim_end_matches('s');
        if seconds.contains('.')
            && let Ok(seconds) = seconds.parse::<f64>()
        {
            return Some(Head {
                start,
                form: Form::Django,
                ms: Some(seconds * 1000.0),
            });
        }
    }
    let at = line.find("[rows:")?;
    let end = at + line.get(at..)?.find(']')?;
    let sql = line.get(end + 1..)?.trim_start();
    begins(sql).then(|| Head {
        start: line.len() - sql.len(),
        form: Form::Line,
        ms: None,
    })
}

/// Whether a text begins as a statement does.
fn begins(text: &str) -> bool {
    let mut text = text.trim_start_matches(['(', ' ']);
    // Comments that say which part of a program sent it.
    while let Some(rest) = text.strip_prefix("/*") {
        let Some((_, rest)) = rest.split_once("*/") else {
            return false;
        };
        text = rest.trim_start();
    }
    let word: String = text
        .chars()
        .take_while(char::is_ascii_alphabetic)
        .collect::<String>()
        .to_ascii_lowercase();
    let behind = text.get(word.len()..).and_then(|rest| rest.chars().next());
    FIRST.contains(&word.as_str())
        && behind
            .is_none_or(|next| next.is_whitespace() || matches!(next, ';' | '(' | '"' | '*' | '\\'))
}

/// Whether the next line of a log of Ecto's is a statement.
pub(super) fn is_ecto(line: &str) -> bool {
    line.contains("QUERY OK") || line.contains("QUERY ERROR")
}

/// Whether a line goes on with a statement that `SQLAlchemy` logs.
pub(super) fn is_more_of_sqlalchemy(line: &str) -> bool {
    let trimmed = line.trim();
    let bytes = line.as_bytes();
    let dated = bytes.len() > 10
        && bytes.iter().take(4).all(u8::is_ascii_digit)
        && bytes.get(4) == Some(&b'-');
    !(trimmed.is_empty()
        || dated
        || trimmed.starts_with('[')
        || ["INFO", "DEBUG", "WARNING", "ERROR", "Traceback"]
            .iter()
            .any(|level| trimmed.starts_with(level)))
}

/// Whether a line goes on with a statement that is not complete.
pub(super) fn is_more(text: &str, line: &str) -> bool {
    let next = line.trim();
    if next.is_empty() {
        return false;
    }
    let end = text.trim_end();
    if end.ends_with(';') {
        return false;
    }
    let last = end
        .rsplit(|character: char| !(character.is_alphanumeric() || character == '_'))
        .next()
        .unwrap_or("")
        .to_ascii_lowercase();
    if end.ends_with([',', '(', '=', '+', '<', '>', '|']) || OPEN.contains(&last.as_str()) {
        return true;
    }
    let first: String = next
        .chars()
        .take_while(char::is_ascii_alphabetic)
        .collect::<String>();
    // In most logs a line that begins with such a word in capitals, or is
    // indented, is no message.
    if MORE.contains(&first.to_ascii_lowercase().as_str())
        && (line.starts_with([' ', '\t']) || first.chars().all(|c| c.is_ascii_uppercase()))
    {
        return true;
    }
    let (opened, closed) = (text.matches('(').count(), text.matches(')').count());
    opened > closed
}

/// The statement without what a library writes behind it.
pub(super) fn without_tail(form: Form, text: &str) -> String {
    let text = text.trim_end();
    let cut = |at: Option<usize>| text.get(..at.unwrap_or(text.len())).unwrap_or(text);
    match form {
        Form::Rails => {
            let binds = text.ends_with(']').then(|| text.rfind("  [")).flatten();
            cut(binds).to_owned()
        }
        Form::Django => cut(text.rfind("; args=")).to_owned(),
        Form::Ecto => {
            let parameters = text.ends_with(']').then(|| text.rfind(" [")).flatten();
            cut(parameters).to_owned()
        }
        Form::Knex => {
            let mut words: Vec<&str> = text.split(' ').collect();
            while let Some(last) = words.last() {
                let time = last.starts_with('+') && last.ends_with('s');
                let transaction = *last == "undefined" || last.starts_with("trx");
                if !(time || transaction || last.is_empty()) {
                    break;
                }
                words.pop();
            }
            words.join(" ")
        }
        Form::Quoted => unquoted(text),
        Form::Sqlx => cut(text.find("; rows")).to_owned(),
        Form::Line => {
            let tail = [
                "; Elapsed time",
                " Elapsed time:",
                " -- PARAMETERS: ",
                " -- params: ",
            ]
            .iter()
            .filter_map(|mark| text.rfind(mark))
            .min();
            cut(tail).to_owned()
        }
        _ => text.to_owned(),
    }
}

/// The values that a library writes behind its statement.
pub(super) fn values_behind(form: Form, text: &str) -> Option<Values> {
    let text = text.trim_end();
    match form {
        Form::Rails => values::of_rails(text.get(text.rfind("  [[")?..)?),
        Form::Ecto => values::of_list(text.get(text.rfind(" [")?..)?),
        Form::Line => {
            let mark = [" -- PARAMETERS: ", " -- params: "]
                .into_iter()
                .find(|mark| text.contains(mark))?;
            let (_, rest) = text.rsplit_once(mark)?;
            values::of_list(rest)
        }
        _ => None,
    }
}

/// The values on a line behind a statement: `[generated in 0.1s] (1, 'x')` of
/// `SQLAlchemy`, `Params: [1]` of Prisma, `knex:bindings [ 1 ]`.
pub(super) fn values(line: &str) -> Option<Values> {
    if line.contains("sqlalchemy.engine") {
        for mark in ["[generated in ", "[cached since ", "[no key ", "[raw sql] "] {
            if let Some((_, rest)) = line.split_once(mark) {
                let rest = rest.split_once("] ").map_or(rest, |(_, rest)| rest);
                return values::of_list(rest);
            }
        }
        // Before version 1.4 the values stand alone on the line.
        let (_, rest) = line.split_once("sqlalchemy.engine")?;
        let start = rest.find(['(', '{'])?;
        return values::of_list(rest.get(start..)?);
    }
    for mark in ["Params: ", "params: ", "knex:bindings "] {
        if let Some((before, rest)) = line.split_once(mark)
            && (mark.starts_with("knex") || before.trim().is_empty())
        {
            let end = rest.rfind(']')? + 1;
            return values::of_list(rest.get(..end)?);
        }
    }
    None
}

/// The value of one placeholder, as Hibernate logs each on a line: `binding
/// parameter (1:BIGINT) <- [42]`, and in older versions `[1] as [BIGINT] -
/// [42]`.
pub(super) fn binding(line: &str) -> Option<(usize, Option<String>)> {
    let (_, rest) = line.split_once("binding parameter ")?;
    let digits: String = rest
        .trim_start_matches(['(', '['])
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    let (_, value) = rest.split_once("<- ").or_else(|| rest.split_once("] - "))?;
    Some((digits.parse().ok()?, values::of_hibernate(value)?.0))
}

/// What a string of JavaScript stands for.
fn unquoted(text: &str) -> String {
    let mut characters = text.chars();
    let Some(quote) = characters.next() else {
        return String::new();
    };
    let mut out = String::new();
    while let Some(character) = characters.next() {
        if character == quote {
            break;
        }
        if character != '\\' {
            out.push(character);
            continue;
        }
        match characters.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => {}
            Some(other) => out.push(other),
            None => break,
        }
    }
    out
}
