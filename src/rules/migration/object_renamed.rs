//! RENAME of what is neither a table nor a column.

use super::support::around::{self, in_use};
use super::support::evidence;
use crate::catalog::RelationKind;
use crate::catalog::ident::{literal, quote};
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::migration::Direction;
use crate::migration::state::Qualified;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::{
    Action, Alter, AlterDomainKind, AlterKind, AlterTypeKind, Name, ObjectKind, Statement,
};

/// What is renamed, and how to do it without breaking programs.
struct Renamed {
    kind: &'static str,
    from: String,
    to: String,
    relation: Option<Qualified>,
    remedy: Remedy,
}

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `RENAME` of a schema, view, materialised view, type, domain,
    /// enum value, function or procedure that was there before the change,
    /// and tables, views and types that move to another schema.
    ///
    /// Silent when another object takes the old name in the same change.
    ///
    /// ## Why it matters
    ///
    /// From the commit on, every running program that uses the old name
    /// fails. Code of functions written in PL/pgSQL names things by text, and
    /// fails when it runs next.
    ///
    /// ## When it is wrong
    ///
    /// When no program and no function uses the name.
    ///
    /// ## References
    ///
    /// - [ALTER TYPE](https://www.postgresql.org/docs/current/sql-altertype.html)
    /// - [ALTER SCHEMA](https://www.postgresql.org/docs/current/sql-alterschema.html)
    pub struct ObjectRenamed = {
        id: "object-renamed",
        summary: "a schema, view, type, enum value or function gets another name",
        level: Warning,
        category: Compatibility,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for ObjectRenamed {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        if step.part.direction == Direction::Down {
            return;
        }
        let found = match &step.statement.action {
            Action::Alter(alter) => relation(step, alter),
            Action::AlterType(alter) => of_type(step, &alter.name, &alter.kind),
            Action::AlterDomain(alter) => domain(step, &alter.name.name, &alter.kind),
            Action::AlterOther {
                kind,
                name: Some(name),
                rename_to: Some(to),
            } => other(step, *kind, name, to),
            _ => None,
        };
        let Some(found) = found else {
            return;
        };
        let draft = sink
            .report(
                format!("{} {} becomes {}", found.kind, found.from, found.to),
                "programs and functions that use the old name fail from then on",
                evidence::statement(step),
            )
            .object(found.from)
            .remedy(found.remedy);
        if let Some(relation) = found.relation {
            draft.relation(&relation);
        }
    }
}

fn relation(step: &Step<'_>, alter: &Alter) -> Option<Renamed> {
    if matches!(alter.object, ObjectKind::Index | ObjectKind::Sequence) {
        return None;
    }
    let relation = in_use(step, &alter.relation.name, alter.if_exists)?;
    let known = step.before.known(&relation);
    let is_view = known.map_or(
        matches!(
            alter.object,
            ObjectKind::View | ObjectKind::MaterializedView
        ),
        |known| {
            matches!(
                known.kind,
                RelationKind::View | RelationKind::MaterializedView
            )
        },
    );
    let kind = if is_view { "view" } else { "table" };
    alter
        .commands
        .iter()
        .find_map(|command| match &command.kind {
            AlterKind::RenameTo { name } if is_view => {
                let taken =
                    around::behind(step).any(|statement| around::makes(step, statement, &relation));
                (!taken).then(|| Renamed {
                    kind,
                    from: relation.to_string(),
                    to: name.clone(),
                    remedy: Remedy::new("leave a view with the old name until no program uses it")
                        .then(format!(
                            "CREATE VIEW {} AS SELECT * FROM {}",
                            relation.sql(),
                            Qualified::new(&relation.schema, name).sql()
                        ))
                        .note("In the transaction of the renaming."),
                    relation: Some(relation.clone()),
                })
            }
            AlterKind::SetSchema { schema } => {
                let to = Qualified::new(schema, &relation.name);
                let taken =
                    around::behind(step).any(|statement| around::makes(step, statement, &relation));
                (!taken).then(|| Renamed {
                    kind,
                    from: relation.to_string(),
                    to: format!("{schema}.{}", relation.name),
                    remedy: Remedy::new("leave a view in the old schema until no program uses it")
                        .then(format!(
                            "CREATE VIEW {}.{} AS SELECT * FROM {}",
                            quote(&relation.schema),
                            quote(&relation.name),
                            to.sql()
                        ))
                        .note("In the transaction of the move."),
                    relation: Some(relation.clone()),
                })
            }
            _ => None,
        })
}

fn of_type(step: &Step<'_>, name: &Name, kind: &AlterTypeKind) -> Option<Renamed> {
    let known = step.before.enumeration(name);
    if known
        .and_then(|known| known.created)
        .is_some_and(|created| step.is_same_change(created))
        || around::ahead(step).any(|statement| creates_type(statement, name))
    {
        return None;
    }
    match kind {
        AlterTypeKind::RenameValue { from, to } => {
            let added = known.and_then(|known| {
                known
                    .values
                    .iter()
                    .find(|(value, _)| value == from)
                    .and_then(|(_, added)| *added)
            });
            if added.is_some_and(|added| step.is_same_change(added)) {
                return None;
            }
            Some(Renamed {
                kind: "value",
                from: format!("{} of {name}", literal(from)),
                to: literal(to),
                relation: None,
                remedy: Remedy::new("add the new value, change the rows, keep the old value")
                    .then(format!(
                        "ALTER TYPE {} ADD VALUE {} AFTER {}",
                        name.sql(),
                        literal(to),
                        literal(from)
                    ))
                    .note("Release programs that read both, then those that write the new one, and then UPDATE the rows in batches. A value cannot be dropped: the old one stays, unused."),
            })
        }
        AlterTypeKind::RenameTo { name: to } if !type_name_is_taken(step, name) => Some(Renamed {
            kind: "type",
            from: name.to_string(),
            to: to.clone(),
            relation: None,
            remedy: Remedy::new("release programs that do not name the type first").note(
                "Casts such as $1::type and drivers that look types up by name use the old one.",
            ),
        }),
        AlterTypeKind::SetSchema { schema } => Some(Renamed {
            kind: "type",
            from: name.to_string(),
            to: format!("{schema}.{}", name.name),
            relation: None,
            remedy: Remedy::new("release programs that do not name the type first"),
        }),
        _ => None,
    }
}

fn creates_type(statement: &Statement, name: &Name) -> bool {
    match &statement.action {
        Action::CreateType(create) => create.name.name == name.name,
        Action::CreateDomain(create) => create.name.name == name.name,
        _ => false,
    }
}

/// Whether another type takes the name in the same change.
fn type_name_is_taken(step: &Step<'_>, name: &Name) -> bool {
    around::behind(step).any(|statement| match &statement.action {
        Action::AlterType(alter) => {
            matches!(&alter.kind, AlterTypeKind::RenameTo { name: to } if *to == name.name)
        }
        _ => creates_type(statement, name),
    })
}

fn domain(step: &Step<'_>, name: &Name, kind: &AlterDomainKind) -> Option<Renamed> {
    let AlterDomainKind::RenameTo { name: to } = kind else {
        return None;
    };
    let same_change = step
        .before
        .domain(name)
        .and_then(|known| known.created)
        .is_some_and(|created| step.is_same_change(created));
    if same_change || type_name_is_taken(step, name) {
        return None;
    }
    Some(Renamed {
        kind: "domain",
        from: name.to_string(),
        to: to.clone(),
        relation: None,
        remedy: Remedy::new("release programs that do not name the domain first"),
    })
}

fn other(step: &Step<'_>, kind: ObjectKind, name: &Name, to: &str) -> Option<Renamed> {
    let kind = match kind {
        ObjectKind::Schema => "schema",
        ObjectKind::Function => "function",
        ObjectKind::Procedure => "procedure",
        ObjectKind::Aggregate => "aggregate",
        ObjectKind::Database => "database",
        _ => return None,
    };
    let made_here = around::ahead(step).any(|statement| match &statement.action {
        Action::CreateFunction(create) => create.name.name == name.name,
        Action::CreateSchema { name: schema, .. } => *schema == name.name,
        _ => false,
    });
    let taken = around::behind(step).any(|statement| match &statement.action {
        Action::CreateFunction(create) => create.name.name == name.name,
        Action::CreateSchema { name: schema, .. } => *schema == name.name,
        _ => false,
    });
    if made_here || taken {
        return None;
    }
    let remedy = match kind {
        "function" | "procedure" => {
            Remedy::new("leave a function of the old name that calls the new one")
        }
        "schema" => Remedy::new("move the objects one by one, each with a view in the old schema"),
        _ => Remedy::new("release programs that use the new name first"),
    };
    Some(Renamed {
        kind,
        from: name.to_string(),
        to: to.to_owned(),
        relation: None,
        remedy,
    })
}
