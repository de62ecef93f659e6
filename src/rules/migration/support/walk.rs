//! The statements of a file with the transaction and the timeouts that they
//! run under, for rules that look at a file as a whole.

use crate::migration::locks::Effect;
use crate::migration::state::Qualified;
use crate::migration::{At, Direction, File, Part, Sureness, Wrapping};
use crate::rule::migration::{End, FileEnd};
use crate::source::Span;
use crate::sql::ddl::{
    Action, AlterKind, ConstraintKind, Persistence, Setting, Statement, Transaction,
};

/// A statement of an up part.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// Where it stands.
    pub(crate) at: At,
    /// Its part.
    pub(crate) part: &'a Part,
    /// The statement.
    pub(crate) statement: &'a Statement,
    /// The number of its transaction; `None` when it is its own.
    pub(crate) transaction: Option<usize>,
    /// `lock_timeout` is in force.
    pub(crate) lock_timeout: bool,
}

/// The runner opens a transaction around the part's statements.
pub(crate) fn is_wrapped(part: &Part) -> bool {
    match part.wrapping {
        Wrapping::PerFile | Wrapping::PerRun => true,
        Wrapping::OneMessage => part.statements.len() > 1,
        Wrapping::None => false,
    }
}

/// Statements of the up parts of a file, in order; those in DO blocks are part
/// of their DO.
pub(crate) fn statements(number: usize, file: &File) -> Vec<Place<'_>> {
    let mut found = Vec::new();
    let mut transactions = 0;
    for (part_number, part) in file.parts.iter().enumerate() {
        if part.direction != Direction::Up {
            continue;
        }
        transactions += 1;
        let mut open = is_wrapped(part).then_some(transactions);
        let mut session = false;
        let mut local = false;
        for (index, statement) in part.statements.iter().enumerate() {
            found.push(Place {
                at: At {
                    file: number,
                    part: part_number,
                    statement: index,
                    inner: 0,
                },
                part,
                statement,
                transaction: open,
                lock_timeout: session || local,
            });
            match &statement.action {
                Action::Transaction(Transaction::Begin) => {
                    transactions += 1;
                    open = Some(transactions);
                }
                Action::Transaction(
                    Transaction::Commit | Transaction::Rollback | Transaction::Prepare,
                ) => {
                    open = None;
                    local = false;
                }
                Action::Set(setting) => follow(setting, &mut session, &mut local),
                _ => {}
            }
        }
    }
    found
}

fn follow(setting: &Setting, session: &mut bool, local: &mut bool) {
    let set = setting
        .value
        .as_deref()
        .is_some_and(|value| !is_zero(value));
    match setting.name.as_str() {
        "lock_timeout" if setting.local => *local = set,
        "lock_timeout" | "all" => {
            *session = set && setting.name != "all";
            *local = false;
        }
        _ => {}
    }
}

/// `0`, `0s`, `0ms` and nothing: no timeout.
fn is_zero(value: &str) -> bool {
    let digits: String = value
        .trim()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    value.trim().is_empty() || (!digits.is_empty() && digits.chars().all(|digit| digit == '0'))
}

/// The statement at that place (for one in a DO block, the DO).
pub(crate) fn find<'p, 'a>(places: &'p [Place<'a>], at: At) -> Option<&'p Place<'a>> {
    let outer = At { inner: 0, ..at };
    places
        .binary_search_by(|place| place.at.cmp(&outer))
        .ok()
        .and_then(|index| places.get(index))
}

/// The statement at that place; one in a DO block as well.
pub(crate) fn statement<'a>(places: &[Place<'a>], at: At) -> Option<&'a Statement> {
    let place = find(places, at)?;
    match (&place.statement.action, at.inner.checked_sub(1)) {
        (_, None) => Some(place.statement),
        (Action::Do(body), Some(inner)) => body.statements.get(inner),
        _ => None,
    }
}

/// What the statements of a file lock, as [`each_file`] gives it.
pub(crate) fn locked<'a>(end: &FileEnd<'a>) -> Vec<(At, Span, &'a Vec<Effect>)> {
    end.locked
        .iter()
        .map(|(at, span, effects)| (*at, *span, effects))
        .collect()
}

/// Each new file that locks something in use, with what it locks, for rules
/// that look at all new files as one change.
pub(crate) fn each_file<'a>(
    end: &End<'a>,
    mut look: impl FnMut(&FileEnd<'a>, &[(At, Span, &'a Vec<Effect>)]),
) {
    let mut rest = end.locked;
    while let Some((number, ..)) = rest.first() {
        let length = rest.iter().take_while(|(file, ..)| file == number).count();
        let (here, next) = rest.split_at(length);
        rest = next;
        let Some(file) = end.context.history.files.get(*number) else {
            continue;
        };
        let file = FileEnd {
            context: end.context,
            file,
            number: *number,
            after: end.after,
            locked: &[],
        };
        let here: Vec<_> = here
            .iter()
            .map(|(_, at, span, effects)| (*at, *span, effects))
            .collect();
        look(&file, &here);
    }
}

/// Whether a timeout for the transaction alone reaches the statement. With the
/// SET before it a statement is no longer the only one of its message, which
/// is then one transaction.
pub(crate) fn is_local(place: &Place<'_>) -> bool {
    let known = place.part.sureness == Sureness::Known;
    match place.transaction {
        Some(_) => known || !is_wrapped(place.part),
        None => known && place.part.wrapping == Wrapping::OneMessage,
    }
}

/// Sets a `lock_timeout` before the statement, for its transaction alone where
/// it has one.
pub(crate) fn set_timeout(place: &Place<'_>) -> &'static str {
    if is_local(place) {
        "SET LOCAL lock_timeout = '5s'"
    } else {
        super::lock::SET_TIMEOUT
    }
}

/// Whether a relation was there before the change that a file belongs to, and
/// may hold rows.
pub(crate) fn is_in_use(end: &FileEnd<'_>, relation: &Qualified) -> bool {
    let Some(table) = end.after.known(relation) else {
        return true;
    };
    let made_now = table.created.is_some_and(|created| {
        created.file == end.number
            || end.context.one_change
                && end
                    .context
                    .history
                    .files
                    .get(created.file)
                    .is_some_and(|file| file.new && !file.edited)
    });
    !made_now && !table.is_known_empty() && table.persistence != Persistence::Temporary
}

/// The statement only adds foreign keys from a table that is not in use: what
/// it locks is the table that they reference.
pub(crate) fn references_from_new_table(
    end: &FileEnd<'_>,
    statement: &Statement,
    effects: &[Effect],
) -> bool {
    match &statement.action {
        Action::CreateTable(table) => table.partition_of.is_none(),
        Action::Alter(alter) => {
            let table = end.after.qualify(&alter.relation.name);
            alter.commands.iter().any(|command| {
                matches!(&command.kind, AlterKind::AddConstraint(constraint)
                    if matches!(constraint.kind, ConstraintKind::ForeignKey { .. }))
            }) && !effects.iter().any(|effect| effect.relation == table)
        }
        _ => false,
    }
}
