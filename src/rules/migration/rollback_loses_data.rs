//! Up without the down that other migrations have, or with one that cannot bring rows back.

use super::support::around::listed;
use super::support::evidence;
use crate::catalog::ident::quote;
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::migration::{At, Direction, File};
use crate::rule::migration::{End, MigrationRule, MigrationSink};
use crate::source::Sources;
use crate::sql::ddl::{Action, AlterKind, ObjectKind, Statement};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Once for each new file: finds migrations that change the schema and
    /// have no down part although nearly all of the ten files before them have
    /// one (nor a comment in its place that says why), and
    /// down parts that make a table or a column again which the up part
    /// dropped with its values.
    ///
    /// ## Why it matters
    ///
    /// After a rollback the schema looks as it did, but what the up part
    /// dropped is empty: restoring it takes a backup, or a copy that was
    /// kept.
    ///
    /// ## When it is wrong
    ///
    /// When rolling back means restoring a backup, or going forward by
    /// another migration.
    ///
    /// ## References
    ///
    /// - [Backup and restore](https://www.postgresql.org/docs/current/backup.html)
    pub struct RollbackLosesData = {
        id: "rollback-loses-data",
        summary: "the way back is missing, or brings the schema back without its data",
        level: Note,
        category: Compatibility,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for RollbackLosesData {
    fn end(&self, end: &End<'_>, sink: &mut MigrationSink) {
        let files = &end.context.history.files;
        let has_up = |file: &File| changes(file, Direction::Up).next().is_some();
        // A down part of the same file, or the file behind it that has only
        // one.
        let down_of = |number: usize| -> Option<&File> {
            let file = files.get(number)?;
            let has_down = |file: &File| {
                file.parts
                    .iter()
                    .any(|part| part.direction == Direction::Down)
            };
            if has_down(file) {
                return Some(file);
            }
            let next = files.get(number + 1)?;
            (has_down(next)
                && next
                    .parts
                    .iter()
                    .all(|part| part.direction == Direction::Down)
                && next.version == file.version)
                .then_some(next)
        };
        let up: Vec<usize> = end
            .numbered()
            .filter(|(_, file)| has_up(file))
            .map(|(number, _)| number)
            .collect();
        let with_down: Vec<bool> = up
            .iter()
            .map(|number| {
                down_of(*number).is_some_and(|down| changes(down, Direction::Down).next().is_some())
            })
            .collect();
        if !with_down.contains(&true) {
            return;
        }
        for (place_in_order, number) in up.into_iter().enumerate() {
            let Some(file) = files.get(number).filter(|file| file.new) else {
                continue;
            };
            let down = down_of(number);
            let mut back: Vec<&Statement> = Vec::new();
            if let Some(down) = down {
                back.extend(changes(down, Direction::Down).map(|(_, _, statement)| statement));
            }
            let Some((part, at, first)) = changes(file, Direction::Up).next() else {
                continue;
            };
            if back.is_empty() {
                if is_usual(&with_down, place_in_order)
                    && !down.is_some_and(|down| says_why(down, end.context.sources))
                {
                    sink.report(
                        "there is no way back, though the migrations before have one",
                        "a rollback of the release leaves the schema as it is",
                        evidence::of(first),
                    )
                    .at(place(number, part, at), first.span)
                    .remedy(Remedy::new(
                        "write the down part, or say in it why there is none",
                    ));
                }
                continue;
            }
            lost(number, file, &back, sink);
        }
    }
}

/// Whether nearly all of the files before that one have a down part: what they
/// did years ago is no habit.
fn is_usual(with_down: &[bool], number: usize) -> bool {
    const RECENT: usize = 10;
    let before = with_down
        .get(number.saturating_sub(RECENT)..number)
        .unwrap_or_default();
    let with = before.iter().filter(|has| **has).count();
    !before.is_empty() && with * 5 >= before.len() * 4
}

/// A down part without statements that has a comment in words: there is none
/// on purpose.
fn says_why(down: &File, sources: &Sources) -> bool {
    down.parts
        .iter()
        .filter(|part| part.direction == Direction::Down)
        .flat_map(|part| sources.slice(part.span).lines())
        .map(str::trim_start)
        .filter_map(|line| line.strip_prefix("--").or_else(|| line.strip_prefix("/*")))
        .map(str::trim_start)
        // Markers of the tools: `-- +goose Down`, `-- migrate:down`.
        .filter(|comment| !comment.starts_with('+') && !comment.starts_with("migrate:"))
        .any(|comment| comment.split_whitespace().count() > 2)
}

fn place(file: usize, part: usize, statement: usize) -> At {
    At {
        file,
        part,
        statement,
        inner: 0,
    }
}

/// Statements that change the schema, in parts of that direction.
fn changes(file: &File, direction: Direction) -> impl Iterator<Item = (usize, usize, &Statement)> {
    file.parts
        .iter()
        .enumerate()
        .filter(move |(_, part)| part.direction == direction)
        .flat_map(|(part, of)| {
            of.statements
                .iter()
                .enumerate()
                .map(move |(at, statement)| (part, at, statement))
        })
        .filter(|(_, _, statement)| {
            !matches!(
                statement.action,
                Action::Transaction(_)
                    | Action::Set(_)
                    | Action::Unreadable
                    | Action::Comment { .. }
            )
        })
}

/// What the up part drops and the down part makes again, without its values.
fn lost(number: usize, file: &File, back: &[&Statement], sink: &mut MigrationSink) {
    let mut gone = Vec::new();
    let mut copies = Vec::new();
    let mut first = None;
    let mut made: Vec<&str> = Vec::new();
    for (part, at, statement) in changes(file, Direction::Up) {
        match &statement.action {
            Action::CreateTable(create) => made.push(&create.table.name.name),
            Action::Drop(drop) if drop.object == ObjectKind::Table => {
                for name in drop.names.iter().map(|place| &place.name) {
                    let again = back.iter().any(|statement| {
                        matches!(&statement.action, Action::CreateTable(create)
                            if create.table.name.name == name.name && create.query.is_none())
                    });
                    if again && !made.contains(&name.name.as_str()) {
                        first.get_or_insert((part, at, statement));
                        gone.push(name.to_string());
                        copies.push(format!(
                            "CREATE TABLE {} AS TABLE {}",
                            quote(&format!("{}_before", name.name)),
                            name.sql()
                        ));
                    }
                }
            }
            Action::Alter(alter) => {
                for command in &alter.commands {
                    let AlterKind::DropColumn { column, .. } = &command.kind else {
                        continue;
                    };
                    let name = &alter.relation.name;
                    let again = back.iter().any(|statement| {
                        matches!(&statement.action, Action::Alter(other)
                        if other.relation.name.name == name.name
                            && other.commands.iter().any(|command| {
                                matches!(&command.kind, AlterKind::AddColumn { column: added, .. }
                                    if added.name == *column)
                            }))
                    });
                    if again && !made.contains(&name.name.as_str()) {
                        first.get_or_insert((part, at, statement));
                        gone.push(format!("{column} of {name}"));
                    }
                }
            }
            _ => {}
        }
    }
    let Some((part, at, statement)) = first else {
        return;
    };
    let mut remedy = Remedy::new("keep a copy until no rollback is wanted any more");
    for copy in copies.into_iter().take(5) {
        remedy = remedy.then(copy);
    }
    sink.report(
        format!(
            "the down part makes {} again, without values",
            listed(&gone)
        ),
        "after a rollback the schema is as before, and the data is not",
        evidence::of(statement),
    )
    .at(place(number, part, at), statement.span)
    .remedy(remedy);
}
