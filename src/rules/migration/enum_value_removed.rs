//! An enum type replaced by one with fewer values.

use super::support::around::{self, listed};
use super::support::evidence;
use crate::catalog::ident::{literal, quote};
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::migration::Direction;
use crate::migration::state::EnumState;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::{Action, AlterTypeKind, Name, ObjectKind, TypeShape};

declare_migration_rule! {
    /// ## What it does
    ///
    /// PostgreSQL cannot remove a value of an enum type, so that migrations
    /// make a new type, convert the columns and drop the old one. This finds
    /// such a replacement, by renaming or by `DROP TYPE` and `CREATE TYPE`,
    /// when values of the old type are missing in the new one.
    ///
    /// ## Why it matters
    ///
    /// The conversion fails if a row still has one of the values, and running
    /// programs that write one fail from then on. Converting the column
    /// rewrites the table under ACCESS EXCLUSIVE.
    ///
    /// ## When it is wrong
    ///
    /// When no row has the value and no program writes it.
    ///
    /// ## References
    ///
    /// - [Enumerated types](https://www.postgresql.org/docs/current/datatype-enum.html)
    /// - [ALTER TYPE](https://www.postgresql.org/docs/current/sql-altertype.html)
    pub struct EnumValueRemoved = {
        id: "enum-value-removed",
        summary: "an enum type is replaced by one that lacks values",
        level: Warning,
        category: Compatibility,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for EnumValueRemoved {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        if step.part.direction == Direction::Down {
            return;
        }
        match &step.statement.action {
            // The new type takes the name that the old one had before.
            Action::AlterType(alter) => {
                let AlterTypeKind::RenameTo { name } = &alter.kind else {
                    return;
                };
                let old = around::ahead(step).find_map(|statement| match &statement.action {
                    Action::AlterType(earlier) if earlier.name.name == *name => {
                        match &earlier.kind {
                            AlterTypeKind::RenameTo { name: to } => Some(Name {
                                schema: earlier.name.schema.clone(),
                                name: to.clone(),
                            }),
                            _ => None,
                        }
                    }
                    _ => None,
                });
                let old = old.and_then(|old| step.before.enumeration(&old));
                let new = step.before.enumeration(&alter.name);
                if let (Some(old), Some(new)) = (old, new) {
                    let left: Vec<&str> =
                        new.values.iter().map(|(value, _)| value.as_str()).collect();
                    report(step, sink, name, old, &left);
                }
            }
            Action::Drop(drop) if drop.object == ObjectKind::Type => {
                for place in &drop.names {
                    let Some(old) = step.before.enumeration(&place.name) else {
                        continue;
                    };
                    let new = around::behind(step).find_map(|statement| match &statement.action {
                        Action::CreateType(create) if create.name.name == place.name.name => {
                            match &create.shape {
                                TypeShape::Enum(values) => Some(values),
                                TypeShape::Other => None,
                            }
                        }
                        _ => None,
                    });
                    if let Some(new) = new {
                        let left: Vec<&str> = new.iter().map(String::as_str).collect();
                        report(step, sink, &place.name.name, old, &left);
                    }
                }
            }
            _ => {}
        }
    }
}

fn report(step: &Step<'_>, sink: &mut MigrationSink, name: &str, old: &EnumState, left: &[&str]) {
    let same_change = |at| step.is_same_change(at);
    if old.created.is_some_and(same_change) {
        return;
    }
    let gone: Vec<String> = old
        .values
        .iter()
        .filter(|(value, added)| !left.contains(&value.as_str()) && !added.is_some_and(same_change))
        .map(|(value, _)| literal(value))
        .collect();
    if gone.is_empty() {
        return;
    }
    let mut remedy = Remedy::new("change the rows and the programs first, one release before");
    for table in step.before.tables() {
        for column in &table.columns {
            let of_type = column.type_name.as_ref().is_some_and(|type_name| {
                !type_name.array
                    && (type_name.base.name == old.name.name || type_name.base.name == name)
            });
            if of_type && remedy.steps.len() < 5 {
                remedy = remedy.then_apart(format!(
                    "SELECT count(*) FROM {} WHERE {}::text IN ({})",
                    table.name.sql(),
                    quote(&column.name),
                    gone.join(", ")
                ));
            }
        }
    }
    if !remedy.steps.is_empty() {
        remedy = remedy.note("The counts must be 0 before the values can go.");
    }
    sink.report(
        format!("the type {name} loses {}", listed(&gone)),
        "the conversion fails where a row has such a value, and programs that write one fail from then on",
        evidence::statement(step),
    )
    .object(name)
    .remedy(remedy);
}
