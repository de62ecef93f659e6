//! What moves into a migration of its own: whether it may, and what of the text
//! goes with it.

use super::plan::{Of, Wanted};
use crate::migration::{Direction, File, Framework, Part};
use crate::source::Span;
use crate::sql::ddl::{Action, AlterKind, ObjectKind, Statement};

impl<'a> Of<'a> {
    /// The statements that a migration behind the part runs behind: those of
    /// the part behind that statement, and where it goes behind all files, those
    /// of the other files, each with its text.
    fn behind(
        self,
        part: &Part,
        statement: &Statement,
        last: bool,
    ) -> Vec<(&'a Statement, &'a str)> {
        let text = |file: &File, statement: &Statement| {
            self.text(file).get(statement.span.range()).unwrap_or("")
        };
        let mut found: Vec<(&Statement, &str)> = self
            .file
            .parts
            .iter()
            .filter(|other| {
                other.direction == Direction::Up
                    && (other.span == part.span || self.file.framework != Framework::Liquibase)
            })
            .flat_map(|part| &part.statements)
            .filter(|other| other.span.start > statement.span.start)
            .map(|other| (other, text(self.file, other)))
            .collect();
        let others = self
            .history
            .files
            .iter()
            .skip(self.number + 1)
            .filter(|other| last && other.database == self.file.database);
        for file in others {
            let parts = file
                .parts
                .iter()
                .filter(|part| part.direction == Direction::Up);
            found.extend(
                parts
                    .flat_map(|part| &part.statements)
                    .map(|other| (other, text(file, other))),
            );
        }
        found
    }
}

/// Whether what moves into a migration of its own, and is about that word, may
/// run behind what it is moved behind; else why not.
pub(super) fn stays_apart(
    of: Of<'_>,
    one: &Wanted<'_>,
    word: &str,
    last: bool,
) -> Result<(), String> {
    let (table, unique) = match &one.statement.action {
        Action::CreateIndex(index) => (Some(index.table.name.name.as_str()), index.unique),
        Action::Alter(alter) => (Some(alter.relation.name.name.as_str()), false),
        _ => (one.relation, false),
    };
    let drops = matches!(one.statement.action, Action::Drop(_));
    let own = of
        .text(of.file)
        .get(one.statement.span.range())
        .unwrap_or("");
    for (other, text) in of.behind(one.part, one.statement, last) {
        let about = if mentions(text, word) {
            word
        } else if let Some(table) = table.filter(|table| mentions(text, table))
            && (takes_away(other, text, (!drops).then_some(own)) || unique && needs_unique(text))
        {
            table
        } else {
            continue;
        };
        return Err(format!(
            "it cannot move into a migration of its own: {} behind it names {about}",
            other.verb
        ));
    }
    Ok(())
}

/// Whether a statement that names a table removes or renames what that text
/// needs of it; anything of it where there is no text: an index goes with its
/// columns.
fn takes_away(statement: &Statement, text: &str, needed: Option<&str>) -> bool {
    let needed = |column: &str| needed.is_none_or(|text| mentions(text, column));
    match &statement.action {
        Action::Alter(alter) => alter.commands.iter().any(|command| match &command.kind {
            AlterKind::DropColumn { column, .. } | AlterKind::SetType { column, .. } => {
                needed(column)
            }
            AlterKind::RenameColumn { from, .. } => needed(from),
            AlterKind::RenameTo { .. } | AlterKind::SetSchema { .. } => true,
            _ => false,
        }),
        Action::Drop(drop) => matches!(
            drop.object,
            ObjectKind::Table | ObjectKind::MaterializedView | ObjectKind::Schema
        ),
        Action::Do(_) => mentions(text, "drop") || mentions(text, "rename"),
        _ => false,
    }
}

/// Whether a statement may need a unique index: ON CONFLICT, a foreign key, a
/// partition whose index becomes part of its parent's.
fn needs_unique(text: &str) -> bool {
    ["conflict", "references", "attach"]
        .iter()
        .any(|word| mentions(text, word))
}

/// The name of the index that a statement builds or drops, which can as well
/// be done in a later migration.
pub(super) fn movable(statement: &Statement) -> Result<String, String> {
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
pub(super) fn comments_above(text: &str, part: &Part, span: Span) -> usize {
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
        "postgres-migrations",
        "transactional",
        "depends",
        "!",
        "pgadvise: ignore-file",
    ];
    line.strip_prefix("--").is_some_and(|comment| {
        let comment = comment.trim_start();
        !OTHERS.iter().any(|other| comment.starts_with(other))
    })
}

/// A statement with its semicolon, the rest of an empty line, and the empty
/// line before, where another follows.
pub(super) fn with_end(text: &str, span: Span) -> Span {
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
