//! The statements around the one that is looked at, and what a statement is
//! about.

use crate::migration::state::Qualified;
use crate::migration::{At, Direction, History};
use crate::rule::migration::Step;
use crate::rules::support::show;
use crate::sql::ddl::{Action, Alter, AlterKind, Body, Command, Name, ObjectKind, Statement};

/// How many statements are looked at before or behind one, so that the cost
/// stays linear in files of many thousands.
const LOOK: usize = 2_000;

/// A statement, and those of its body if it is a DO.
fn with_body(statement: &Statement) -> impl Iterator<Item = &Statement> {
    let body: &[Statement] = match &statement.action {
        Action::Do(Body { statements, .. }) => statements,
        _ => &[],
    };
    std::iter::once(statement).chain(body)
}

/// Statements that run behind this one in the same change, nearest first.
pub(crate) fn behind<'a>(step: &Step<'a>) -> impl Iterator<Item = &'a Statement> {
    let inner: &'a [Statement] = match step.within.map(|within| &within.action) {
        Some(Action::Do(body)) => body.statements.get(step.at.inner..).unwrap_or_default(),
        _ => &[],
    };
    let parts = step
        .file
        .parts
        .get(step.at.part + 1..)
        .unwrap_or_default()
        .iter()
        .filter(|part| part.direction == step.part.direction)
        .flat_map(|part| &part.statements);
    let files = step.context.history.files.as_slice();
    let files = files
        .get(step.at.file + 1..)
        .filter(|_| step.context.one_change)
        .unwrap_or_default();
    let database = &step.file.database;
    let others = files
        .iter()
        .filter(move |file| file.new && file.database == *database)
        .flat_map(|file| &file.parts)
        .filter(|part| part.direction == Direction::Up)
        .flat_map(|part| &part.statements);
    inner
        .iter()
        .chain(
            step.rest()
                .iter()
                .chain(parts)
                .chain(others)
                .flat_map(with_body),
        )
        .take(LOOK)
}

/// Statements that ran before this one in the same part, nearest first.
pub(crate) fn ahead<'a>(step: &Step<'a>) -> impl Iterator<Item = &'a Statement> {
    let inner: &'a [Statement] = match step.within.map(|within| &within.action) {
        Some(Action::Do(body)) => body
            .statements
            .get(..step.at.inner.saturating_sub(1))
            .unwrap_or_default(),
        _ => &[],
    };
    inner
        .iter()
        .rev()
        .chain(
            step.part
                .statements
                .get(..step.at.statement)
                .unwrap_or_default()
                .iter()
                .rev()
                .flat_map(with_body),
        )
        .take(LOOK)
}

/// The statement at that place.
pub(crate) fn statement_at(history: &History, at: At) -> Option<&Statement> {
    let statement = history
        .files
        .get(at.file)?
        .parts
        .get(at.part)?
        .statements
        .get(at.statement)?;
    match (&statement.action, at.inner.checked_sub(1)) {
        (_, None) => Some(statement),
        (Action::Do(body), Some(inner)) => body.statements.get(inner),
        _ => None,
    }
}

/// Whether something was made by a file that is new.
pub(crate) fn is_new(history: &History, at: Option<At>) -> bool {
    at.and_then(|at| history.files.get(at.file))
        .is_some_and(|file| file.new)
}

/// The relation that a statement of an up part names, if it was there before
/// the change. `IF EXISTS` on what a complete history does not know does
/// nothing.
pub(crate) fn in_use(step: &Step<'_>, name: &Name, if_exists: bool) -> Option<Qualified> {
    if step.part.direction == Direction::Down {
        return None;
    }
    let relation = step.before.qualify(name);
    let absent = step.before.known(&relation).is_none() && !step.before.is_partial();
    (!(absent && if_exists) && step.is_in_use(&relation)).then_some(relation)
}

/// The table that a statement of an up part alters, if it was there before the
/// change, and its commands.
pub(crate) fn altered<'a>(step: &Step<'a>) -> Option<(&'a Alter, Qualified)> {
    let Action::Alter(alter) = &step.statement.action else {
        return None;
    };
    if !matches!(alter.object, ObjectKind::Table | ObjectKind::ForeignTable) {
        return None;
    }
    let table = in_use(step, &alter.relation.name, alter.if_exists)?;
    Some((alter, table))
}

/// Commands on that table, by an ALTER TABLE.
pub(crate) fn commands_on<'a>(
    step: &Step<'_>,
    statement: &'a Statement,
    table: &Qualified,
) -> &'a [Command] {
    match &statement.action {
        Action::Alter(alter) if is(step, &alter.relation.name, table) => &alter.commands,
        _ => &[],
    }
}

/// Whether a name is that relation's.
pub(crate) fn is(step: &Step<'_>, name: &Name, relation: &Qualified) -> bool {
    name.name == relation.name && step.before.qualify(name) == *relation
}

/// Whether a statement drops that relation.
pub(crate) fn drops(step: &Step<'_>, statement: &Statement, relation: &Qualified) -> bool {
    match &statement.action {
        Action::Drop(drop) => {
            matches!(
                drop.object,
                ObjectKind::Table
                    | ObjectKind::ForeignTable
                    | ObjectKind::View
                    | ObjectKind::MaterializedView
            ) && drop
                .names
                .iter()
                .any(|place| is(step, &place.name, relation))
        }
        _ => false,
    }
}

/// Whether a statement makes a relation of that name: by CREATE, or by
/// renaming another.
pub(crate) fn makes(step: &Step<'_>, statement: &Statement, relation: &Qualified) -> bool {
    let named = |name: &Name| is(step, name, relation);
    match &statement.action {
        Action::CreateTable(create) => named(&create.table.name),
        Action::CreateView(create) => named(&create.name.name),
        Action::Alter(alter) => alter.commands.iter().any(|command| {
            matches!(&command.kind, AlterKind::RenameTo { name } if *name == relation.name)
        }),
        _ => false,
    }
}

/// What a relation holds, where sizes are known: ` (14 GB, 12 million rows)`.
pub(crate) fn size(step: &Step<'_>, relation: &Qualified) -> String {
    step.before
        .known(relation)
        .map_or_else(String::new, |table| {
            let parts: Vec<String> = [
                table.pages.map(|pages| show::bytes(pages * 8192.0)),
                table.rows.map(|rows| format!("{} rows", show::count(rows))),
            ]
            .into_iter()
            .flatten()
            .collect();
            if parts.is_empty() {
                String::new()
            } else {
                format!(" ({})", parts.join(", "))
            }
        })
}

/// `a`, `a and b`, `a, b and c`; of more than five the first four.
pub(crate) fn listed<T: std::fmt::Display>(items: &[T]) -> String {
    let shown: Vec<String> = match items.len() {
        0..=5 => items.iter().map(ToString::to_string).collect(),
        many => items
            .iter()
            .take(4)
            .map(ToString::to_string)
            .chain([format!("{} more", many - 4)])
            .collect(),
    };
    match shown.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

/// Columns as SQL, with commas.
pub(crate) fn columns_sql<T: AsRef<str>>(columns: &[T]) -> String {
    columns
        .iter()
        .map(|column| crate::catalog::ident::quote(column.as_ref()))
        .collect::<Vec<_>>()
        .join(", ")
}
