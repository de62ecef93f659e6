//! DROP … CASCADE, where something else goes.

use super::support::around::{self, altered, in_use, listed};
use super::support::evidence;
use crate::catalog::RelationKind;
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::finding::{Evidence, Level, Origin, Value};
use crate::migration::Direction;
use crate::migration::state::{Constrains, Qualified, Table};
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::source::Span;
use crate::sql::ddl::{Action, AlterKind, Drop, ObjectKind, Place};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `DROP … CASCADE` and `DROP COLUMN` or `DROP CONSTRAINT …
    /// CASCADE` where the replayed history knows what else goes: foreign keys
    /// of other tables, views, columns of a dropped type, tables of a dropped
    /// schema. It names them.
    ///
    /// Silent when nothing else goes. Where what depends on a thing cannot be
    /// known (extensions, functions) it is a note.
    ///
    /// ## Why it matters
    ///
    /// CASCADE does what nobody wrote down: the next thing that somebody
    /// builds on this one is dropped, too, without a word in the migration.
    ///
    /// ## When it is wrong
    ///
    /// When all that goes is meant to go.
    ///
    /// ## References
    ///
    /// - [Dependency tracking](https://www.postgresql.org/docs/current/ddl-depend.html)
    pub struct DroppedWithCascade = {
        id: "dropped-with-cascade",
        summary: "CASCADE drops other things that are in use",
        level: Warning,
        category: Compatibility,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for DroppedWithCascade {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        if step.part.direction == Direction::Down {
            return;
        }
        if let Action::Drop(drop) = &step.statement.action
            && drop.cascade
        {
            for place in &drop.names {
                dropped(step, drop, place, sink);
            }
        }
        if let Some((alter, table)) = altered(step)
            && let Some(known) = step.before.known(&table)
        {
            for command in &alter.commands {
                let (columns, what) = match &command.kind {
                    AlterKind::DropColumn {
                        column,
                        cascade: true,
                        ..
                    } => (vec![column.clone()], column),
                    AlterKind::DropConstraint {
                        name,
                        cascade: true,
                        ..
                    } => match known.constraint(name) {
                        Some(constraint)
                            if matches!(
                                constraint.kind,
                                Constrains::PrimaryKey | Constrains::Unique
                            ) =>
                        {
                            (constraint.columns.clone(), name)
                        }
                        _ => continue,
                    },
                    _ => continue,
                };
                let is_column = matches!(command.kind, AlterKind::DropColumn { .. });
                let goes: Vec<String> = keys_to(step, known)
                    .into_iter()
                    .filter(|(referenced, _)| {
                        if is_column {
                            referenced.iter().any(|column| columns.contains(column))
                        } else {
                            referenced.len() == columns.len()
                                && referenced.iter().all(|column| columns.contains(column))
                        }
                    })
                    .map(|(_, text)| text)
                    .collect();
                if !goes.is_empty() {
                    report(
                        step,
                        sink,
                        command.span,
                        &format!("{what} of {table}"),
                        &goes,
                    );
                }
            }
        }
    }
}

fn dropped(step: &Step<'_>, drop: &Drop, place: &Place, sink: &mut MigrationSink) {
    let name = &place.name;
    let goes: Vec<String> = match drop.object {
        ObjectKind::Table
        | ObjectKind::ForeignTable
        | ObjectKind::View
        | ObjectKind::MaterializedView => {
            let Some(relation) = in_use(step, name, drop.if_exists) else {
                return;
            };
            let Some(known) = step.before.known(&relation) else {
                return;
            };
            let gone_too = |other: &Qualified| {
                *other == relation
                    || drop
                        .names
                        .iter()
                        .any(|place| around::is(step, &place.name, other))
                    || !step.is_in_use(other)
                    || around::behind(step).any(|statement| {
                        around::drops(step, statement, other)
                            || around::makes(step, statement, other)
                    })
            };
            let mut goes: Vec<String> = step
                .before
                .referencing(&relation)
                .into_iter()
                .filter(|(from, _)| !gone_too(&from.name))
                .map(|(from, key)| format!("the foreign key {} of {}", key.name, from.name))
                .collect();
            goes.extend(
                known
                    .read_by
                    .iter()
                    .filter(|view| !gone_too(view))
                    .map(|view| format!("the view {view}")),
            );
            goes.extend(
                known
                    .children
                    .iter()
                    .filter(|_| known.kind != RelationKind::PartitionedTable)
                    .filter(|child| !gone_too(child))
                    .map(|child| format!("the table {child}")),
            );
            goes
        }
        ObjectKind::Type | ObjectKind::Domain => step
            .before
            .tables()
            .into_iter()
            .filter(|table| step.is_in_use(&table.name))
            .flat_map(|table| {
                table
                    .columns
                    .iter()
                    .filter(|column| {
                        column
                            .type_name
                            .as_ref()
                            .is_some_and(|type_name| type_name.base.name == name.name)
                    })
                    .map(|column| format!("the column {} of {}", column.name, table.name))
                    .collect::<Vec<_>>()
            })
            .collect(),
        ObjectKind::Schema => step
            .before
            .tables()
            .into_iter()
            .filter(|table| table.name.schema == name.name && step.is_in_use(&table.name))
            .map(|table| match table.kind {
                RelationKind::View | RelationKind::MaterializedView => {
                    format!("the view {}", table.name)
                }
                _ => format!("the table {}", table.name),
            })
            .collect(),
        ObjectKind::Extension => {
            sink.report(
                format!("CASCADE drops all that uses {name}"),
                "columns, indexes and functions that use its types and operators go with it",
                evidence::statement(step),
            )
            .level(Level::Note)
            .span(place.span)
            .object(name.to_string())
            .remedy(without_cascade());
            return;
        }
        _ => return,
    };
    if !goes.is_empty() {
        report(step, sink, place.span, &name.to_string(), &goes);
    }
}

/// Foreign keys of other tables, each with the columns that it references.
fn keys_to(step: &Step<'_>, table: &Table) -> Vec<(Vec<String>, String)> {
    step.before
        .referencing(&table.name)
        .into_iter()
        .filter(|(from, _)| step.is_in_use(&from.name))
        .filter_map(|(from, key)| match &key.kind {
            Constrains::ForeignKey { columns, .. } => {
                let referenced = if columns.is_empty() {
                    table.primary_key()?.columns.clone()
                } else {
                    columns.clone()
                };
                Some((
                    referenced,
                    format!("the foreign key {} of {}", key.name, from.name),
                ))
            }
            _ => None,
        })
        .collect()
}

fn without_cascade() -> Remedy {
    Remedy::new("write each DROP, and leave CASCADE out")
        .note("Without CASCADE the statement fails as soon as something unexpected depends on it.")
}

fn report(step: &Step<'_>, sink: &mut MigrationSink, span: Span, what: &str, goes: &[String]) {
    let mut draft = sink
        .report(
            format!("CASCADE on {what} drops {}", listed(goes)),
            "what goes is written nowhere in the migration, and programs that use it fail from then on",
            evidence::statement(step),
        )
        .span(span)
        .object(what.to_owned());
    for thing in goes.iter().take(50) {
        draft = draft.evidence(Evidence::new(
            "dropped by CASCADE",
            Value::Text(thing.clone()),
            Origin::Sql(span),
        ));
    }
    draft.remedy(without_cascade());
}
