//! One file: what its content says, and its statements.

use std::collections::BTreeSet;
use std::ops::Range;

use super::order::Entry;
use super::sets::FileSet;
use super::{Assembling, Given};
use crate::migration::framework::names::Class;
use crate::migration::framework::{Hints, cut, parts};
use crate::migration::locks::refuses_transaction;
use crate::migration::{File, Framework, Part, Server, Sureness, Wrapping};
use crate::source::{Problem, SourceId, Sources, Span, Text};
use crate::sql::Suppression;
use crate::sql::ddl;

/// A file with what its content says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Looked<'a> {
    pub(super) source: SourceId,
    pub(super) path: &'a str,
    pub(super) text: &'a str,
    pub(super) beside: Option<&'a str>,
    pub(super) hints: Hints,
    /// It was there before, and was changed.
    pub(super) edited: bool,
    /// Its findings are reported.
    pub(super) new: bool,
}

/// Which files are reported, for many questions.
pub(super) fn new_ones(options: &Assembling) -> Option<BTreeSet<SourceId>> {
    options
        .new
        .as_ref()
        .map(|new| new.iter().copied().collect())
}

pub(super) fn look<'a>(
    sources: &'a Sources,
    given: &'a Given,
    new: Option<&BTreeSet<SourceId>>,
) -> Looked<'a> {
    let text = sources.get(given.source).map_or("", Text::text);
    Looked {
        source: given.source,
        path: &given.path,
        text,
        beside: given.beside.as_deref(),
        hints: Hints::of(text),
        edited: given.edited,
        new: new.is_none_or(|new| new.contains(&given.source)),
    }
}

impl<'a> Looked<'a> {
    /// A file whose content was looked at before.
    pub(super) fn again(sources: &'a Sources, given: &'a Given, hints: Hints) -> Self {
        Self {
            source: given.source,
            path: &given.path,
            text: sources.get(given.source).map_or("", Text::text),
            beside: given.beside.as_deref(),
            hints,
            edited: given.edited,
            // Reading does not ask.
            new: false,
        }
    }
}

/// A file at its place, before its statements are read.
pub(super) fn unread(file: &Looked<'_>, entry: &Entry, sets: &[FileSet]) -> File {
    let set = sets.get(entry.set);
    File {
        source: file.source,
        path: file.path.to_owned(),
        version: entry.named.version.clone(),
        framework: set.map_or(Framework::Plain, |set| set.told.framework),
        database: set.and_then(|set| set.database.clone()),
        new: file.new,
        edited: file.edited,
        parts: Vec::new(),
        suppressions: Vec::new(),
    }
}

/// What came of one file.
pub(super) struct Read {
    pub(super) framework: Framework,
    pub(super) parts: Vec<Part>,
    pub(super) suppressions: Vec<Suppression>,
    pub(super) problems: Vec<Problem>,
    /// It holds no statement, and there is nothing wrong with it.
    pub(super) nothing: bool,
    pub(super) skipped: Option<(String, String)>,
}

/// Reads the statements of a file.
pub(super) fn read(
    entry: &Entry,
    file: Looked<'_>,
    sets: &[FileSet],
    options: &Assembling,
) -> Read {
    let (told, sureness) = sets
        .get(entry.set)
        .map_or((Framework::Plain, Sureness::Assumed), |set| {
            (set.told.framework, set.told.sureness)
        });
    let asked = options.framework.is_some();
    let (framework, sureness) = own_framework(told, sureness, asked, entry, file.hints);
    let split = parts::split(file.text, framework, file.hints, &entry.named, file.beside);
    let mut problems = Vec::new();
    if !file.hints.empty {
        problems.extend(
            split
                .wrong
                .into_iter()
                .map(|wrong| wrong_at(file.source, wrong)),
        );
    }
    let mut ends = Vec::new();
    let mut read = Vec::with_capacity(split.parts.len());
    for raw in split.parts {
        let mut statements = Vec::new();
        for piece in &raw.pieces {
            let (found, wrong) = piece_of(file.source, file.text, piece);
            statements.extend(found);
            problems.extend(wrong);
        }
        // Histories are kept whole: what is not needed is given back.
        statements.shrink_to_fit();
        let wrapping = wrapping(raw.wrapping, framework, &statements, sureness, options);
        let part = Part {
            direction: raw.direction,
            wrapping,
            sureness,
            span: Span::new(file.source, raw.range()),
            statements,
        };
        if problems.is_empty() {
            let spans: Vec<Range<usize>> = part
                .statements
                .iter()
                .map(|statement| statement.span.range())
                .collect();
            let place = part.span.range();
            ends.extend(cut::cut(
                file.text,
                framework,
                &place,
                &spans,
                &split.blocks,
            ));
        }
        if framework == Framework::Supabase {
            read.extend(messages(part));
        } else {
            read.push(part);
        }
    }
    if problems.is_empty() {
        problems.extend(ends.into_iter().map(|wrong| wrong_at(file.source, wrong)));
    }
    let mut skipped = None;
    if !problems.is_empty()
        && let Some(dialect) = dialect(file.text)
    {
        problems = vec![
            Problem::at(
                Span::new(file.source, 0..0),
                format!("it is written for {dialect}, and is not checked"),
            )
            .with_hint("leave the file out, or name the folder of the PostgreSQL migrations"),
        ];
        skipped = Some((file.path.to_owned(), format!("it is written for {dialect}")));
        for part in &mut read {
            part.statements.clear();
        }
    }
    let nothing = problems.is_empty() && read.iter().all(|part| part.statements.is_empty());
    Read {
        framework,
        parts: read,
        suppressions: suppressions(&file),
        problems,
        nothing,
        skipped,
    }
}

/// A file of another tool among the others, and one that the tool does not run,
/// unless it was `asked` for.
fn own_framework(
    told: Framework,
    sureness: Sureness,
    asked: bool,
    entry: &Entry,
    hints: Hints,
) -> (Framework, Sureness) {
    let own = if hints.goose {
        Some(Framework::Goose)
    } else if hints.sql_migrate {
        Some(Framework::SqlMigrate)
    } else if hints.dbmate {
        Some(Framework::Dbmate)
    } else if hints.liquibase {
        Some(Framework::Liquibase)
    } else {
        None
    };
    match own {
        Some(own) => (own, Sureness::Known),
        None if entry.named.key.class == Class::Unmatched && !asked => {
            (Framework::Plain, Sureness::Assumed)
        }
        None => (told, sureness),
    }
}

fn wrong_at(source: SourceId, wrong: parts::Wrong) -> Problem {
    Problem::at(Span::new(source, wrong.at), wrong.message).with_hint(wrong.hint)
}

/// The messages that Supabase's tool makes of a file: each statement that
/// refuses a transaction alone, and those between them together. A file that
/// begins and ends transactions itself is sent statement by statement.
fn messages(part: Part) -> Vec<Part> {
    let server = Server::default();
    let refuses = |statement: &ddl::Statement| refuses_transaction(statement, &server).is_some();
    if part.statements.len() < 2 {
        return vec![part];
    }
    if part
        .statements
        .iter()
        .any(|statement| matches!(statement.action, ddl::Action::Transaction(_)))
    {
        return vec![Part {
            wrapping: Wrapping::None,
            ..part
        }];
    }
    if !part.statements.iter().any(refuses) {
        return vec![part];
    }
    let mut messages: Vec<Part> = Vec::new();
    let mut alone = true;
    let mut from = part.span.start;
    for statement in part.statements {
        let own = refuses(&statement);
        let end = statement.span.end;
        match messages.last_mut().filter(|_| !alone && !own) {
            Some(last) => {
                last.span.end = end;
                last.statements.push(statement);
            }
            None => messages.push(Part {
                direction: part.direction,
                wrapping: if own { Wrapping::None } else { part.wrapping },
                sureness: part.sureness,
                span: Span {
                    start: from,
                    end,
                    ..part.span
                },
                statements: vec![statement],
            }),
        }
        alone = own;
        from = end;
    }
    if let Some(last) = messages.last_mut() {
        last.span.end = part.span.end;
    }
    messages
}

/// Flyway finds out by itself which statements refuse a transaction; where the
/// tool is not known, the user's word counts.
fn wrapping(
    told: Wrapping,
    framework: Framework,
    statements: &[ddl::Statement],
    sureness: Sureness,
    options: &Assembling,
) -> Wrapping {
    let refuses = || {
        let server = Server::default();
        statements
            .iter()
            .any(|statement| refuses_transaction(statement, &server).is_some())
    };
    if framework == Framework::Flyway && told == Wrapping::PerFile && refuses() {
        return Wrapping::None;
    }
    match options.wrapping {
        Some(wrapping) if sureness == Sureness::Assumed || framework == Framework::Plain => {
            wrapping
        }
        _ => told,
    }
}

/// Statements of a piece, with places in the whole text.
fn piece_of(
    source: SourceId,
    text: &str,
    piece: &Range<usize>,
) -> (Vec<ddl::Statement>, Vec<Problem>) {
    if *piece == (0..text.len()) {
        return ddl::read(source, text);
    }
    let own = text.get(piece.clone()).unwrap_or("");
    if own.trim().is_empty() {
        return (Vec::new(), Vec::new());
    }
    ddl::read_range(source, text, piece.clone())
}

/// Another database's dialect, told by what PostgreSQL has no word for.
fn dialect(text: &str) -> Option<&'static str> {
    let upper = text.to_ascii_uppercase();
    let has = |words: &[&str]| words.iter().any(|word| upper.contains(word));
    if has(&[
        "ENGINE=INNODB",
        "ENGINE = INNODB",
        "AUTO_INCREMENT",
        "DEFAULT CHARSET",
        "UNSIGNED NOT NULL",
    ]) {
        Some("MySQL")
    } else if has(&["AUTOINCREMENT", "PRAGMA ", "WITHOUT ROWID"]) {
        Some("SQLite")
    } else if has(&["NVARCHAR(", "IDENTITY(1,1)", "[DBO]."]) {
        Some("SQL Server")
    } else if upper.matches('`').count() >= 4 {
        Some("MySQL")
    } else {
        None
    }
}

/// `-- pgadvise: ignore-file RULE[, RULE] (reason)`.
fn suppressions(file: &Looked<'_>) -> Vec<Suppression> {
    if !file.hints.ignores {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut at = 0;
    for line in file.text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let own = line.trim();
        let Some(rest) = own
            .strip_prefix("--")
            .map(str::trim_start)
            .and_then(|comment| comment.strip_prefix("pgadvise:"))
            .and_then(|rest| rest.trim_start().strip_prefix("ignore-file"))
            .filter(|rest| rest.is_empty() || rest.starts_with([' ', '\t', ':', '(']))
        else {
            continue;
        };
        let (names, reason) = match rest.split_once('(') {
            Some((names, reason)) => {
                let reason = reason.trim().trim_end_matches(')').trim();
                (names, (!reason.is_empty()).then(|| reason.to_owned()))
            }
            None => (rest, None),
        };
        let indent = line.len() - line.trim_start().len();
        found.push(Suppression {
            span: Span::new(file.source, start + indent..start + indent + own.len()),
            rules: names
                .split([',', ' ', '\t', ':'])
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
            reason,
        });
    }
    found
}
