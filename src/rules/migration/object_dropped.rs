//! DROP of what is neither a table, an index nor a column.

use super::support::around::{self, in_use};
use super::support::evidence;
use crate::declare_migration_rule;
use crate::finding::Level;
use crate::finding::migration::Remedy;
use crate::migration::Direction;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::{Action, AlterTypeKind, Drop, Name, ObjectKind, Place, Statement};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `DROP` of a view, materialised view, function, procedure, type,
    /// domain, sequence, schema, extension or database that was there before
    /// the change. Silent when the change makes another of the same name, and
    /// for functions that return `trigger`: nothing but a trigger can call them.
    /// One finding a statement.
    ///
    /// Dropping a schema or a database is critical; dropping a sequence or an
    /// aggregate is a note.
    ///
    /// ## Why it matters
    ///
    /// Running programs that use it fail from then on, and so does the code
    /// of functions that names it by text.
    ///
    /// ## When it is wrong
    ///
    /// When no program and no function uses it any more.
    ///
    /// ## References
    ///
    /// - [DROP VIEW](https://www.postgresql.org/docs/current/sql-dropview.html)
    /// - [DROP SCHEMA](https://www.postgresql.org/docs/current/sql-dropschema.html)
    pub struct ObjectDropped = {
        id: "object-dropped",
        summary: "a view, function, type, sequence, schema, extension or database is dropped",
        level: Warning,
        category: Compatibility,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for ObjectDropped {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        if step.part.direction == Direction::Down {
            return;
        }
        let drop = match &step.statement.action {
            Action::Drop(drop) => drop,
            Action::Other {
                kind: ObjectKind::Database,
            } if step.statement.verb.starts_with("DROP") => {
                sink.report(
                    "a database is dropped",
                    "all that it holds is lost",
                    evidence::statement(step),
                )
                .level(Level::Critical)
                .remedy(Remedy::new("take a dump first: pg_dump -Fc"));
                return;
            }
            _ => return,
        };
        let Some((kind, level)) = kind(drop.object) else {
            return;
        };
        let names: Vec<&Place> = drop
            .names
            .iter()
            .filter(|place| !is_quiet(step, drop, place))
            .collect();
        if let Some(place) = names.first() {
            let why = match drop.object {
                ObjectKind::Schema | ObjectKind::Database => {
                    "all that it holds is lost, and programs that use it fail from then on"
                }
                ObjectKind::Extension => {
                    "its functions and types are gone, and programs that use them fail from then on"
                }
                _ => "programs and functions that still use it fail from then on",
            };
            let draft = sink
                .report(
                    match names.len() {
                        1 => format!("{kind} {} is dropped", place.name),
                        2 => format!("{kind} {} is dropped, and one more", place.name),
                        count => {
                            format!("{kind} {} is dropped, and {} more", place.name, count - 1)
                        }
                    },
                    why,
                    evidence::statement(step),
                )
                .level(level)
                .span(place.span)
                .object(place.name.to_string())
                .remedy(Remedy::new(
                    "drop it one release after the last program stopped using it",
                ));
            if matches!(drop.object, ObjectKind::View | ObjectKind::MaterializedView) {
                draft.relation(&step.before.qualify(&place.name));
            }
        }
    }
}

fn kind(object: ObjectKind) -> Option<(&'static str, Level)> {
    Some(match object {
        ObjectKind::View => ("view", Level::Warning),
        ObjectKind::MaterializedView => ("materialised view", Level::Warning),
        ObjectKind::Function => ("function", Level::Warning),
        ObjectKind::Procedure => ("procedure", Level::Warning),
        ObjectKind::Aggregate => ("aggregate", Level::Note),
        // What has a column of it is not dropped with it: PostgreSQL refuses.
        ObjectKind::Type => ("type", Level::Note),
        ObjectKind::Domain => ("domain", Level::Note),
        ObjectKind::Sequence => ("sequence", Level::Note),
        ObjectKind::Schema => ("schema", Level::Critical),
        ObjectKind::Database => ("database", Level::Critical),
        ObjectKind::Extension => ("extension", Level::Warning),
        ObjectKind::Owned => ("all that is owned by", Level::Critical),
        _ => return None,
    })
}

/// Whether it is made and dropped by this change, replaced by it, or was never
/// there.
fn is_quiet(step: &Step<'_>, drop: &Drop, place: &Place) -> bool {
    let name = &place.name;
    let makes = |statement: &Statement| makes(statement, drop.object, name);
    // A replacement may also have been made before the old one is dropped, as
    // another overload of a function.
    if around::ahead(step).any(makes) || around::behind(step).any(makes) {
        return true;
    }
    let absent = drop.if_exists && !step.before.is_partial();
    match drop.object {
        ObjectKind::View | ObjectKind::MaterializedView => {
            in_use(step, name, drop.if_exists).is_none()
        }
        ObjectKind::Type => {
            let known = step.before.enumeration(name);
            // The old type of a replacement: it was renamed out of the way.
            let moved = around::ahead(step).any(|statement| {
                matches!(&statement.action, Action::AlterType(alter)
                    if matches!(&alter.kind, AlterTypeKind::RenameTo { name: to } if *to == name.name))
            });
            moved
                || known
                    .and_then(|known| known.created)
                    .is_some_and(|created| step.is_same_change(created))
        }
        ObjectKind::Domain => step.before.domain(name).map_or(absent, |known| {
            known
                .created
                .is_some_and(|created| step.is_same_change(created))
        }),
        ObjectKind::Function | ObjectKind::Procedure => {
            step.before.is_trigger_function(&name.name)
                || (absent && step.before.volatility(&name.name).is_none())
        }
        _ => false,
    }
}

fn makes(statement: &Statement, object: ObjectKind, name: &Name) -> bool {
    match (&statement.action, object) {
        (Action::CreateView(create), ObjectKind::View | ObjectKind::MaterializedView) => {
            create.name.name.name == name.name
        }
        (Action::CreateTable(create), ObjectKind::View | ObjectKind::MaterializedView) => {
            create.table.name.name == name.name
        }
        (
            Action::CreateFunction(create),
            ObjectKind::Function | ObjectKind::Procedure | ObjectKind::Aggregate,
        ) => create.name.name == name.name,
        (Action::CreateType(create), ObjectKind::Type | ObjectKind::Domain) => {
            create.name.name == name.name
        }
        (Action::CreateDomain(create), ObjectKind::Type | ObjectKind::Domain) => {
            create.name.name == name.name
        }
        (Action::CreateSequence { name: made, .. }, ObjectKind::Sequence) => made.name == name.name,
        (Action::CreateSchema { name: made, .. }, ObjectKind::Schema) => *made == name.name,
        (Action::CreateExtension { name: made, .. }, ObjectKind::Extension) => *made == name.name,
        _ => false,
    }
}
