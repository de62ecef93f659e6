//! What files would look like with some fixes.

use std::collections::{BTreeMap, BTreeSet};

use super::moving::{comments_above, movable, stays_apart, with_end};
use super::naming::{self, Taken};
use crate::finding::Edit;
use crate::finding::migration::{Fix, MigrationFinding};
use crate::migration::locks::refuses_transaction;
use crate::migration::{Direction, File, Framework, History, Part, Server, Wrapping};
use crate::source::{Sources, Span};
use crate::sql::ddl::{Action, Statement};

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

/// One fix of a file, or what a fix of several files does to one of them.
pub(super) struct Wanted<'a> {
    number: usize,
    fix: &'a Fix,
    edits: Vec<Edit>,
    pub(super) part: &'a Part,
    pub(super) statement: &'a Statement,
    /// The table that it is about.
    pub(super) relation: Option<&'a str>,
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
            Some((file, part, part.statements.get(finding.at.statement)?))
        });
        match place {
            Some((file, part, statement)) if part.direction == Direction::Up => {
                let mut here = Vec::new();
                for edit in &fix.edits {
                    if edit.span.source == file.source {
                        here.push(edit.clone());
                    } else if let Some((other, part, statement)) = place_of(history, edit.span) {
                        by_file.entry(other).or_default().push(Wanted {
                            number: *number,
                            fix,
                            edits: vec![edit.clone()],
                            part,
                            statement,
                            relation: None,
                        });
                    }
                }
                by_file.entry(finding.at.file).or_default().push(Wanted {
                    number: *number,
                    fix,
                    edits: here,
                    part,
                    statement,
                    relation: finding
                        .relation
                        .as_ref()
                        .map(|relation| relation.name.as_str()),
                });
            }
            _ => plan
                .refused
                .push((*number, "only what moves forward is fixed".to_owned())),
        }
    }
    let mut taken = Taken::new();
    for (number, wanted) in by_file {
        if let Some(file) = history.files.get(number) {
            let of = Of {
                sources,
                history,
                number,
                file,
            };
            one_file(of, &wanted, &mut taken, &mut plan);
        }
    }
    plan.applied.sort_unstable();
    plan.applied.dedup();
    plan.refused.sort();
    plan
}

/// The statement that an edit is before or in.
fn place_of(history: &History, span: Span) -> Option<(usize, &Part, &Statement)> {
    let number = history
        .files
        .iter()
        .position(|file| file.source == span.source)?;
    let parts = &history.files.get(number)?.parts;
    parts.iter().find_map(|part| {
        let statement = part.statements.iter().find(|statement| {
            statement.span.start <= span.start && span.end <= statement.span.end
        })?;
        Some((number, part, statement))
    })
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

/// The file that is worked at.
#[derive(Clone, Copy)]
pub(super) struct Of<'a> {
    sources: &'a Sources,
    pub(super) history: &'a History,
    pub(super) number: usize,
    pub(super) file: &'a File,
}

impl<'a> Of<'a> {
    pub(super) fn text(self, file: &File) -> &'a str {
        self.sources
            .get(file.source)
            .map_or("", crate::source::Text::text)
    }
}

fn one_file<'a>(of: Of<'a>, wanted: &[Wanted<'_>], taken: &mut Taken<'a>, plan: &mut Plan) {
    let file = of.file;
    let text = of.text(file);
    let mut work = Work::default();
    let outside: BTreeSet<usize> = wanted
        .iter()
        .filter(|one| one.fix.outside_transaction)
        .map(|one| one.statement.span.start)
        .collect();
    for one in wanted {
        if overlaps(&work.edits, &one.edits) {
            plan.refused.push((
                one.number,
                "another fix changes the same place: run it again".to_owned(),
            ));
            continue;
        }
        let before = taken.len();
        match apply(of, one, &outside, taken, &mut work) {
            Ok(()) => work.applied.push(one.number),
            Err(why) => {
                taken.truncate(before);
                plan.refused.push((one.number, why));
            }
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
fn apply<'a>(
    of: Of<'a>,
    one: &Wanted<'_>,
    outside: &BTreeSet<usize>,
    taken: &mut Taken<'a>,
    work: &mut Work,
) -> Result<(), String> {
    let file = of.file;
    let text = of.text(file);
    let mut edits = one.edits.clone();
    if file.framework == Framework::Drizzle {
        // What drizzle sends to the server at a time is one statement.
        for edit in &mut edits {
            if edit.text.ends_with(";\n") {
                edit.text.push_str("--> statement-breakpoint\n");
            }
        }
    }
    let mut added = Vec::new();
    if one.fix.outside_transaction {
        match way(file, one, outside)? {
            Way::Stays => {}
            Way::Marker => {
                work.marked.insert(one.part.span.start);
            }
            Way::Moves => {
                let word = movable(one.statement)?;
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
                added.push((sql, "concurrently", true, word));
            }
        }
    }
    if !one.fix.follow_up.is_empty() {
        let mut sql = String::new();
        for statement in &one.fix.follow_up {
            sql.push_str(statement);
            sql.push_str(";\n");
        }
        let word = one
            .fix
            .follow_up
            .first()
            .and_then(|statement| statement.split_whitespace().next_back())
            .map(|word| word.trim_matches('"').to_owned())
            .unwrap_or_default();
        added.push((sql, "validate", false, word));
    }
    let mut texts = Texts::new();
    for (sql, what, outside, word) in added {
        if file.framework == Framework::Liquibase {
            stays_apart(of, one, &word, false)?;
            let end = one.part.span.end;
            let before = text.get(..one.part.span.start).unwrap_or("");
            let taken = work
                .edits
                .iter()
                .filter(|edit| edit.span.start == end && edit.span.end == end);
            let number = taken.count() + edits.iter().filter(|edit| edit.span.start == end).count();
            let changeset = naming::changeset(before, text, what, number, &sql, outside)
                .ok_or("it takes a second changeset, and the name of its own cannot be read")?;
            let ended = text.get(..end).is_some_and(|text| text.ends_with('\n'));
            edits.push(Edit {
                span: Span::new(file.source, end..end),
                text: format!(
                    "{}{changeset}{}",
                    if ended { "" } else { "\n" },
                    if end < text.len() { "\n" } else { "" }
                ),
            });
            continue;
        }
        if matches!(
            file.framework,
            Framework::Drizzle
                | Framework::Rails
                | Framework::Alembic
                | Framework::Django
                | Framework::GraphileMigrate
                | Framework::Sqitch
        ) {
            return Err(format!(
                "it takes a second migration, and only {} itself can add one",
                file.framework.name()
            ));
        }
        if file.framework == Framework::NodePgMigrate {
            return Err(
                "it takes a second migration, and node-pg-migrate runs all that are pending in one transaction"
                    .to_owned(),
            );
        }
        let next = naming::next_path(of.history, of.number, file, what, taken).ok_or(
            "it takes a second migration, and the names of files do not say which is next",
        )?;
        stays_apart(of, one, &word, next.last)?;
        let path = next.path;
        taken.push((file.database.as_deref(), path.clone()));
        if outside && file.framework == Framework::Diesel {
            texts.insert(
                naming::diesel_settings(&path),
                (None, "run_in_transaction = false\n".to_owned()),
            );
        }
        if let Some(down) = naming::down_beside(of.history, file, &path) {
            texts.insert(down, (None, naming::nothing(file.framework).to_owned()));
        }
        texts.insert(path, (None, naming::frame(file, &sql, outside)));
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
        | Framework::NodePgMigrate
        | Framework::GraphileMigrate
        | Framework::Plain => Err(format!(
            "{} runs it in a transaction, and the file cannot say otherwise",
            file.framework.name()
        )),
        Framework::Goose
        | Framework::SqlMigrate
        | Framework::Atlas
        | Framework::Liquibase
        | Framework::Yoyo
            if alone =>
        {
            Ok(Way::Marker)
        }
        // Flyway finds out by itself.
        Framework::Flyway if alone => Ok(Way::Stays),
        // What has no transaction is sent as one message, and several
        // statements of a message are one transaction.
        Framework::Sqlx | Framework::Dbmate | Framework::Diesel | Framework::PostgresMigrations
            if single =>
        {
            Ok(Way::Marker)
        }
        Framework::Prisma
        | Framework::GolangMigrate
        | Framework::Supabase
        | Framework::Postgrator
            if single =>
        {
            Ok(Way::Stays)
        }
        _ => Ok(Way::Moves),
    }
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
        Framework::PostgresMigrations => at(0, "-- postgres-migrations disable-transaction\n"),
        Framework::Yoyo => at(0, "-- transactional: false\n"),
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

/// A text with its edits, those of one place in the order given; lines that are
/// added end and are indented as those around.
fn edited(text: &str, edits: &mut [Edit]) -> String {
    edits.sort_by_key(|edit| edit.span.start);
    let windows = text.contains("\r\n");
    let mut after = String::with_capacity(text.len() + 64);
    let mut from = 0;
    for edit in edits.iter() {
        let before = text.get(from..edit.span.start).unwrap_or("");
        after.push_str(before);
        let mut added = edit.text.clone();
        let line = text.get(..edit.span.start).unwrap_or("");
        let indent = line.rsplit('\n').next().unwrap_or("");
        if edit.text.ends_with('\n') && !indent.is_empty() && indent.trim().is_empty() {
            let last = added.len() - 1;
            added = added.split_at(last).0.replace('\n', &format!("\n{indent}"));
            added.push('\n');
            added.push_str(indent);
        }
        if windows {
            added = added.replace("\r\n", "\n").replace('\n', "\r\n");
        }
        after.push_str(&added);
        from = edit.span.end.max(from);
    }
    after.push_str(text.get(from..).unwrap_or(""));
    after
}
