//! CREATE INDEX CONCURRENTLY IF NOT EXISTS.

use super::support::walk::{self, Place};
use super::support::{evidence, safe};
use crate::catalog::ident::quote;
use crate::declare_migration_rule;
use crate::finding::Level;
use crate::finding::migration::Remedy;
use crate::migration::Direction;
use crate::migration::state::Qualified;
use crate::rule::migration::{End, FileEnd, MigrationRule, MigrationSink};
use crate::source::Span;
use crate::sql::ddl::{Action, CreateIndex, Name, ObjectKind, Statement};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `CREATE INDEX CONCURRENTLY IF NOT EXISTS` that nothing makes sure
    /// to start from nothing: no `DROP INDEX IF EXISTS` of that name stands
    /// before it. One finding a change, at the first; a warning where the index
    /// is known to be invalid.
    ///
    /// ## Why it matters
    ///
    /// When `CREATE INDEX CONCURRENTLY` fails (a timeout, a deadlock, a
    /// duplicate key), the index stays behind, invalid: it is kept up to date
    /// by every write and used by no query. Run again, `IF NOT EXISTS` finds
    /// the name taken, does nothing, and the migration counts as applied.
    ///
    /// ## When it is wrong
    ///
    /// When somebody looks for invalid indexes after a failure.
    ///
    /// ## References
    ///
    /// - [Building indexes concurrently](https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY)
    pub struct InvalidIndexLeftBehind = {
        id: "invalid-index-left-behind",
        summary: "IF NOT EXISTS hides an invalid index of a failed try",
        level: Note,
        category: Failure,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for InvalidIndexLeftBehind {
    fn file(&self, end: &FileEnd<'_>, sink: &mut MigrationSink) {
        if !end.context.one_change {
            let mut found = Vec::new();
            collect(end, &mut found);
            report(&found, sink);
        }
    }

    fn end(&self, end: &End<'_>, sink: &mut MigrationSink) {
        if !end.context.one_change {
            return;
        }
        let mut found = Vec::new();
        for (number, file) in end.numbered() {
            if file.new {
                let file = FileEnd {
                    context: end.context,
                    file,
                    number,
                    after: end.after,
                    locked: &[],
                };
                collect(&file, &mut found);
            }
        }
        report(&found, sink);
    }
}

/// A statement that an invalid index hides from.
struct Found<'a> {
    end: FileEnd<'a>,
    place: Place<'a>,
    index: &'a CreateIndex,
    name: &'a str,
    table: Qualified,
    /// The index is there, and invalid.
    invalid: bool,
}

fn collect<'a>(end: &FileEnd<'a>, found: &mut Vec<Found<'a>>) {
    let is_there = end.file.parts.iter().any(|part| {
        part.direction == Direction::Up
            && part
                .statements
                .iter()
                .any(|statement| hiding(statement).is_some())
    });
    if !is_there {
        return;
    }
    for place in walk::statements(end.number, end.file) {
        // Inside a transaction it fails, which another rule says.
        let Some((index, name)) = hiding(place.statement).filter(|_| place.transaction.is_none())
        else {
            continue;
        };
        let table = end.after.qualify(&index.table.name);
        if walk::is_in_use(end, &table) && !is_dropped_before(&place, name) {
            let invalid = end
                .after
                .index(&Name::qualified(&table.schema, name))
                .is_some_and(|(_, index)| !index.valid);
            found.push(Found {
                end: *end,
                place,
                index,
                name,
                table,
                invalid,
            });
        }
    }
}

/// `CREATE INDEX CONCURRENTLY IF NOT EXISTS name`.
fn hiding(statement: &Statement) -> Option<(&CreateIndex, &str)> {
    match &statement.action {
        Action::CreateIndex(index) if index.concurrently && index.if_not_exists => {
            Some((index, index.name.as_deref()?))
        }
        _ => None,
    }
}

fn report(found: &[Found<'_>], sink: &mut MigrationSink) {
    let Some(first) = found
        .iter()
        .find(|one| one.invalid)
        .or_else(|| found.first())
    else {
        return;
    };
    let name = first.name;
    let more = match found.len() - 1 {
        0 => String::new(),
        1 => "; so it is with one more index of the change".to_owned(),
        more => format!("; so it is with {more} more indexes of the change"),
    };
    let dropped = match &first.index.table.name.schema {
        Some(schema) => format!("{}.{}", quote(schema), quote(name)),
        None => quote(name),
    };
    let statement = first.place.statement;
    let remedy = Remedy::new("drop what a failed try may have left, then build")
        .then_outside(format!("DROP INDEX CONCURRENTLY IF EXISTS {dropped}"))
        .then_outside(without_if_not_exists(first))
        .note(safe::outside_note_of(
            first.end.file.framework,
            first.place.part.sureness,
        ));
    sink.report(
        format!("IF NOT EXISTS takes an invalid index {name} of a failed try for done"),
        format!(
            "a failed CREATE INDEX CONCURRENTLY leaves its index behind, invalid; the next try \
             finds the name taken and does nothing{more}"
        ),
        evidence::of(statement),
    )
    .at(first.place.at, statement.span)
    .level(if first.invalid {
        Level::Warning
    } else {
        Level::Note
    })
    .relation(&first.table)
    .object(name)
    .remedy(remedy);
}

/// The file drops an index of that name before.
fn is_dropped_before(place: &Place<'_>, name: &str) -> bool {
    place
        .part
        .statements
        .iter()
        .take(place.at.statement)
        .rev()
        .take(100)
        .any(|statement| {
            matches!(&statement.action, Action::Drop(drop)
                if drop.object == ObjectKind::Index
                    && drop.names.iter().any(|place| place.name.name == name))
        })
}

fn without_if_not_exists(found: &Found<'_>) -> String {
    let span = found.place.statement.span;
    let sources = found.end.context.sources;
    let head = sources.slice(Span {
        end: found.index.after_index,
        ..span
    });
    let tail = sources.slice(Span {
        start: found.index.table.span.start,
        ..span
    });
    let only = if found.index.only { "ONLY " } else { "" };
    format!("{head} CONCURRENTLY {} ON {only}{tail}", quote(found.name))
}
