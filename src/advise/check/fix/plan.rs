//! What files would look like with some fixes.

use std::collections::{BTreeMap, BTreeSet};

use super::naming;
use crate::finding::Edit;
use crate::finding::migration::{Fix, MigrationFinding};
use crate::migration::locks::refuses_transaction;
use crate::migration::{Direction, File, Framework, History, Part, Server, Wrapping};
use crate::source::{Sources, Span};
use crate::sql::ddl::{Action, ObjectKind, Statement};

/// Texts by path: before, where there was one, and after.
pub(super) type Texts = BTreeMap<String, (Option<String>, String)>;

/// Files, and which findings they settle.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) files: Texts,
    pub(super) applied: Vec<usize>,
    pub(super) refused: Vec<(usize, String)>,
    pub(super) notes: Vec<String>,
}

/// One fix of a file.
struct Wanted<'a> {
    number: usize,
    fix: &'a Fix,
    part: &'a Part,
    statement: &'a Statement,
}

/// How a statement gets out of its transaction.
enum Way {
    /// It is in none.
    Stays,
    /// The framework is told.
    Marker,
    /// It goes into a migration of its own.
    Moves,
}

/// Plans the chosen fixes.
pub(super) fn plan(
    sources: &Sources,
    history: &History,
    findings: &[MigrationFinding],
    chosen: &[usize],
) -> Plan {
    let mut plan = Plan::default();
    let mut by_file: BTreeMap<usize, Vec<Wanted<'_>>> = BTreeMap::new();
    for number in chosen {
        let Some(finding) = findings.get(*number) else {
            continue;
        };
        let Some(fix) = finding
            .remedy
            .as_ref()
            .and_then(|remedy| remedy.fix.as_ref())
        else {
            continue;
        };
        let place = history.files.get(finding.at.file).and_then(|file| {
            let part = file.parts.get(finding.at.part)?;
            Some((part, part.statements.get(finding.at.statement)?))
        });
        match place {
            Some((part, statement)) if part.direction == Direction::Up => {
                by_file.entry(finding.at.file).or_default().push(Wanted {
                    number: *number,
                    fix,
                    part,
                    statement,
                });
            }
            _ => plan
                .refused
                .push((*number, "only what moves forward is fixed".to_owned())),
        }
    }
    let mut last: BTreeMap<Option<&str>, Option<String>> = BTreeMap::new();
    for (number, wanted) in by_file {
        if let Some(file) = history.files.get(number) {
            let last = last.entry(file.database.as_deref()).or_default();
            one_file(sources, history, file, &wanted, last, &mut plan);
        }
    }
    plan.applied.sort_unstable();
    plan.refused.sort();
    plan
}

/// The edits of a file, and the files that come with it.
#[derive(Default)]
struct Work {
    edits: Vec<Edit>,
    /// Statements and parts that get the framework's marker.
    marked: BTreeSet<usize>,
    applied: Vec<usize>,
    texts: Texts,
}

fn one_file(
    sources: &Sources,
    history: &History,
    file: &File,
    wanted: &[Wanted<'_>],
    last: &mut Option<String>,
    plan: &mut Plan,
) {
    let text = sources
        .get(file.source)
        .map_or("", crate::source::Text::text);
    let mut work = Work::default();
    let outside: BTreeSet<usize> = wanted
        .iter()
        .filter(|one| one.fix.outside_transaction)
        .map(|one| one.statement.span.start)
        .collect();
    for one in wanted {
        if overlaps(&work.edits, &one.fix.edits) {
            plan.refused.push((
                one.number,
                "another fix changes the same place: run it again".to_owned(),
            ));
            continue;
        }
        let mut next = last.clone();
        match apply(history, file, text, one, &outside, &mut next, &mut work) {
            Ok(()) => {
                *last = next;
                work.applied.push(one.number);
            }
            Err(why) => plan.refused.push((one.number, why)),
        }
    }
    if work.applied.is_empty() {
        return;
    }
    for start in std::mem::take(&mut work.marked) {
        mark(file, text, start, &mut work);
    }
    let after = edited(text, &mut work.edits);
    plan.files
        .insert(file.path.clone(), (Some(text.to_owned()), after));
    if file.framework == Framework::Atlas {
        plan.notes
            .push("Run atlas migrate hash: atlas.sum holds the sums of the files.".to_owned());
    }
    if file.framework == Framework::Flyway && !outside.is_empty() {
        plan.notes.push(
            "Set flyway.postgresql.transactional.lock=false: the lock that Flyway holds in a \
             transaction of its own would let CONCURRENTLY wait for ever."
                .to_owned(),
        );
    }
    plan.files.append(&mut work.texts);
    plan.applied.append(&mut work.applied);
}

fn overlaps(taken: &[Edit], edits: &[Edit]) -> bool {
    edits.iter().any(|edit| {
        taken
            .iter()
            .any(|other| edit.span.start < other.span.end && other.span.start < edit.span.end)
    })
}

/// Adds one fix to the work, or says why it cannot be.
fn apply(
    history: &History,
    file: &File,
    text: &str,
    one: &Wanted<'_>,
    outside: &BTreeSet<usize>,
    last: &mut Option<String>,
    work: &mut Work,
) -> Result<(), String> {
    let mut edits = one.fix.edits.clone();
    let mut added = Vec::new();
    if one.fix.outside_transaction {
        match way(file, one, outside)? {
            Way::Stays => {}
            Way::Marker => {
                work.marked.insert(one.part.span.start);
            }
            Way::Moves => {
                let later = one
                    .part
                    .statements
                    .iter()
                    .filter(|other| other.span.start > one.statement.span.start);
                let word = movable(one.statement)?;
                for other in later {
                    if mentions(text.get(other.span.range()).unwrap_or(""), &word) {
                        return Err(format!(
                            "it cannot move into a migration of its own: {} behind it names {word}",
                            other.verb
                        ));
                    }
                }
                let span = one.statement.span;
                let own = text.get(span.range()).unwrap_or("");
                let mut moved: Vec<Edit> = edits
                    .iter()
                    .map(|edit| Edit {
                        span: Span {
                            start: edit.span.start.saturating_sub(span.start),
                            end: edit.span.end.saturating_sub(span.start),
                            ..span
                        },
                        text: edit.text.clone(),
                    })
                    .collect();
                let lead = comments_above(text, one.part, span);
                let comments = text.get(lead..span.start).unwrap_or("");
                let sql = format!("{comments}{};\n", edited(own, &mut moved));
                edits = vec![Edit {
                    span: with_end(
                        text,
                        Span {
                            start: lead,
                            ..span
                        },
                    ),
                    text: String::new(),
                }];
                if overlaps(&work.edits, &edits) {
                    return Err("another fix changes the same statement: run it again".to_owned());
                }
                added.push((sql, "concurrently", true));
            }
        }
    }
    if !one.fix.follow_up.is_empty() {
        let mut sql = String::new();
        for statement in &one.fix.follow_up {
            sql.push_str(statement);
            sql.push_str(";\n");
        }
        added.push((sql, "validate", false));
    }
    let mut texts = Texts::new();
    for (sql, what, outside) in added {
        if file.framework == Framework::Liquibase {
            let end = one.part.span.end;
            let before = text.get(..one.part.span.start).unwrap_or("");
            let taken = work
                .edits
                .iter()
                .filter(|edit| edit.span.start == end && edit.span.end == end);
            let number = taken.count() + edits.iter().filter(|edit| edit.span.start == end).count();
            let changeset = naming::changeset(before, what, number, &sql, outside)
                .ok_or("it takes a second changeset, and the name of its own cannot be read")?;
            let ended = text.get(..end).is_some_and(|text| text.ends_with('\n'));
            edits.push(Edit {
                span: Span::new(file.source, end..end),
                text: format!("{}{changeset}", if ended { "" } else { "\n" }),
            });
            continue;
        }
        if matches!(
            file.framework,
            Framework::Drizzle | Framework::Rails | Framework::Alembic | Framework::Django
        ) {
            return Err(format!(
                "it takes a second migration, and only {} itself can add one",
                file.framework.name()
            ));
        }
        let path = naming::next_path(history, file, what, last).ok_or(
            "it takes a second migration, and the names of files do not say which is next",
        )?;
        if outside && file.framework == Framework::Diesel {
            texts.insert(
                naming::diesel_settings(&path),
                (None, "run_in_transaction = false\n".to_owned()),
            );
        }
        if let Some(down) = naming::down_beside(history, file, &path) {
            texts.insert(
                down,
                (
                    None,
                    "-- Nothing: the migration before takes back what both did.\n".to_owned(),
                ),
            );
        }
        texts.insert(path, (None, naming::frame(file.framework, &sql, outside)));
    }
    work.edits.append(&mut edits);
    work.texts.append(&mut texts);
    Ok(())
}

/// How the statement can run outside a transaction.
fn way(file: &File, one: &Wanted<'_>, outside: &BTreeSet<usize>) -> Result<Way, String> {
    let part = one.part;
    if part
        .statements
        .iter()
        .any(|statement| matches!(statement.action, Action::Transaction(_)))
    {
        return Err("it stands in a file with BEGIN and COMMIT: take it out by hand".to_owned());
    }
    if part.wrapping == Wrapping::None {
        return Ok(Way::Stays);
    }
    let server = Server::default();
    // Where each such statement needs a file of its own, the first may keep
    // this one.
    let single = part.statements.iter().all(|statement| {
        outside.contains(&statement.span.start) || refuses_transaction(statement, &server).is_some()
    }) && part
        .statements
        .first()
        .is_some_and(|first| first.span.start == one.statement.span.start);
    let alone = part.statements.iter().all(|statement| {
        outside.contains(&statement.span.start)
            || matches!(statement.action, Action::Set(_))
            || refuses_transaction(statement, &server).is_some()
    });
    match file.framework {
        Framework::Drizzle
        | Framework::Rails
        | Framework::Alembic
        | Framework::Django
        | Framework::Plain => Err(format!(
            "{} runs it in a transaction, and the file cannot say otherwise",
            file.framework.name()
        )),
        Framework::Goose | Framework::SqlMigrate | Framework::Atlas | Framework::Liquibase
            if alone =>
        {
            Ok(Way::Marker)
        }
        // Flyway finds out by itself.
        Framework::Flyway if alone => Ok(Way::Stays),
        // What has no transaction is sent as one message, and several
        // statements of a message are one transaction.
        Framework::Sqlx | Framework::Dbmate | Framework::Diesel if single => Ok(Way::Marker),
        Framework::Prisma | Framework::GolangMigrate | Framework::Supabase if single => {
            Ok(Way::Stays)
        }
        _ => Ok(Way::Moves),
    }
}

/// The name of the index that a statement builds or drops, which can as well
/// be done in a later migration.
fn movable(statement: &Statement) -> Result<String, String> {
    match &statement.action {
        Action::CreateIndex(index) => index.name.clone().ok_or_else(|| {
            "it cannot move into a migration of its own: the index has no name".to_owned()
        }),
        Action::Drop(drop) if drop.object == ObjectKind::Index => match drop.names.as_slice() {
            [index] => Ok(index.name.name.clone()),
            _ => Err("it drops several indexes: drop them one by one".to_owned()),
        },
        _ => Err(
            "other statements of the file need the transaction: put it into a migration of its own"
                .to_owned(),
        ),
    }
}

/// Whether a text holds that word, in any case.
fn mentions(text: &str, word: &str) -> bool {
    text.split(|character: char| !(character.is_alphanumeric() || character == '_'))
        .any(|other| other.eq_ignore_ascii_case(word))
}

/// Where the comments begin that stand directly above a statement and speak of
/// it; those of the framework and of whole files stay.
fn comments_above(text: &str, part: &Part, span: Span) -> usize {
    let floor = part
        .statements
        .iter()
        .map(|other| other.span.end)
        .filter(|end| *end <= span.start)
        .max()
        .unwrap_or(part.span.start);
    let mut at = span.start;
    while let Some(head) = text.get(floor..at).and_then(|head| head.strip_suffix('\n')) {
        let start = head
            .rfind('\n')
            .map_or(floor, |newline| floor + newline + 1);
        let line = text.get(start..at).unwrap_or("").trim();
        if !is_about_statement(line) {
            break;
        }
        at = start;
    }
    at
}

fn is_about_statement(line: &str) -> bool {
    const OTHERS: &[&str] = &[
        "+",
        ">",
        "migrate:",
        "changeset",
        "liquibase",
        "rollback",
        "precondition",
        "atlas:",
        "no-transaction",
        "pgadvise: ignore-file",
    ];
    line.strip_prefix("--").is_some_and(|comment| {
        let comment = comment.trim_start();
        !OTHERS.iter().any(|other| comment.starts_with(other))
    })
}

/// A statement with its semicolon, the rest of an empty line, and the empty
/// line before, where another follows.
fn with_end(text: &str, span: Span) -> Span {
    let mut start = span.start;
    let mut end = span.end;
    let rest = text.get(end..).unwrap_or("");
    let blank = rest.len() - rest.trim_start().len();
    if rest.trim_start().starts_with(';') {
        end += blank + 1;
    }
    let rest = text.get(end..).unwrap_or("");
    let line = rest.len() - rest.trim_start_matches([' ', '\t', '\r']).len();
    if rest.get(line..).is_some_and(|rest| rest.starts_with('\n')) {
        end += line + 1;
        let rest = text.get(end..).unwrap_or("");
        let before = text.get(..start).unwrap_or("");
        if before.ends_with("\n\n") && (rest.is_empty() || rest.starts_with('\n')) {
            start -= 1;
        }
    }
    Span { start, end, ..span }
}

/// Tells the framework that the part beginning there has no transaction.
fn mark(file: &File, text: &str, part: usize, work: &mut Work) {
    let at = |offset: usize, text: &str| Edit {
        span: Span::new(file.source, offset..offset),
        text: text.to_owned(),
    };
    // The line before the part is the one that opens it.
    let before = text.get(..part).unwrap_or("");
    let opening = before.trim_end_matches(['\n', '\r']).len();
    let edit = match file.framework {
        Framework::Goose => {
            let line = before
                .get(..opening)
                .and_then(|before| before.rfind('\n'))
                .map_or(0, |at| at + 1);
            at(line, "-- +goose NO TRANSACTION\n")
        }
        Framework::Sqlx => at(0, "-- no-transaction\n"),
        Framework::Atlas => at(0, "-- atlas:txmode none\n\n"),
        Framework::Dbmate => at(opening, " transaction:false"),
        Framework::SqlMigrate => at(opening, " notransaction"),
        Framework::Liquibase => at(opening, " runInTransaction:false"),
        Framework::Diesel => {
            work.texts.insert(
                naming::diesel_settings(&file.path),
                (None, "run_in_transaction = false\n".to_owned()),
            );
            return;
        }
        _ => return,
    };
    // Nothing is local where there is no transaction.
    for other in &mut work.edits {
        other.text = other.text.replace("SET LOCAL ", "SET ");
    }
    work.edits.insert(0, edit);
}

/// A text with its edits, those of one place in the order given.
fn edited(text: &str, edits: &mut [Edit]) -> String {
    edits.sort_by_key(|edit| edit.span.start);
    let mut after = String::with_capacity(text.len() + 64);
    let mut from = 0;
    for edit in edits.iter() {
        after.push_str(text.get(from..edit.span.start).unwrap_or(""));
        after.push_str(&edit.text);
        from = edit.span.end.max(from);
    }
    after.push_str(text.get(from..).unwrap_or(""));
    after
}
