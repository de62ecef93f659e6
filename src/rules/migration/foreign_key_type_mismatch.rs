//! Foreign keys between columns of different types.

use crate::declare_migration_rule;
use crate::rule::migration::{End, MigrationRule, MigrationSink};
use std::collections::BTreeSet;

use super::support::{around, evidence, keys};
use crate::catalog::ident::quote;
use crate::finding::Level;
use crate::finding::migration::Remedy;
use crate::migration::At;
use crate::migration::Direction;
use crate::migration::state::{Qualified, Table};
use crate::sql::ddl::{Action, AlterKind, ConstraintKind, TypeName};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds foreign keys that new migrations add, or whose columns they
    /// alter, where the referencing column has another type than the
    /// referenced one after the last migration: `integer` to `bigint`, or
    /// types that PostgreSQL cannot compare, where the statement fails. The
    /// other way round, a wider column than needed, is a note.
    ///
    /// ## Why it matters
    ///
    /// A narrower column cannot hold all the keys: INSERTs fail on the day
    /// that the keys of the other table pass its largest value. Comparing a
    /// numeric with an integer column may keep joins from using an index.
    ///
    /// ## When it is wrong
    ///
    /// When the keys never grow that far.
    ///
    /// ## References
    ///
    /// - [Foreign keys](https://www.postgresql.org/docs/current/ddl-constraints.html#DDL-CONSTRAINTS-FK)
    /// - [Numeric types](https://www.postgresql.org/docs/current/datatype-numeric.html)
    pub struct ForeignKeyTypeMismatch = {
        id: "foreign-key-type-mismatch",
        summary: "a foreign key joins columns of different types",
        level: Warning,
        category: Performance,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for ForeignKeyTypeMismatch {
    fn end(&self, end: &End<'_>, sink: &mut MigrationSink) {
        let history = end.context.history;
        let changed = changed(end);
        for table in end.after.tables() {
            for (constraint, to, referenced) in keys::foreign_keys(table) {
                if constraint.inherited > 0 {
                    continue;
                }
                let Some(parent) = end.after.known(to) else {
                    continue;
                };
                let referenced = match (referenced.is_empty(), parent.primary_key()) {
                    (false, _) => referenced,
                    (true, Some(key)) => key.columns.as_slice(),
                    (true, None) => continue,
                };
                for (column, target) in constraint.columns.iter().zip(referenced) {
                    let is_new = constraint
                        .added
                        .filter(|added| around::is_new(history, Some(*added)));
                    let place = is_new
                        .or_else(|| place_of(&changed, &table.name, column))
                        .or_else(|| place_of(&changed, to, target));
                    let (Some(at), Some(own), Some(theirs)) =
                        (place, type_of(table, column), type_of(parent, target))
                    else {
                        continue;
                    };
                    let Some((level, why)) = verdict(own, theirs, end.after.is_partial()) else {
                        continue;
                    };
                    let Some(statement) = around::statement_at(history, at) else {
                        continue;
                    };
                    let span = keys::written(statement, &constraint.columns, |kind| {
                        matches!(kind, ConstraintKind::ForeignKey { .. })
                    })
                    .map_or(statement.span, |written| written.span);
                    let draft = sink.report(
                        format!(
                            "{column} of {} is {}, and {target} of {to}, which it references, is {}",
                            table.name, own.text, theirs.text
                        ),
                        why,
                        evidence::of(statement),
                    );
                    let draft = draft
                        .at(at, span)
                        .level(level)
                        .relation(&table.name)
                        .object(column.as_str());
                    let remedy = Remedy::new(format!("give both the type {}", theirs.text));
                    draft.remedy(if around::is_new(history, table.created) {
                        remedy.then(format!(
                            "ALTER TABLE {} ALTER COLUMN {} TYPE {}",
                            table.name.sql(),
                            quote(column),
                            theirs.text
                        ))
                    } else {
                        remedy.note("Changing the type of a column rewrites the table: add a column of the right type, fill it in batches, and exchange the two.")
                    });
                }
            }
        }
    }
}

/// Columns whose type new migrations change.
fn changed(end: &End<'_>) -> Vec<(Qualified, String, At)> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for (number, file) in end.numbered() {
        for (part_number, part) in file.parts.iter().enumerate() {
            if !file.new || part.direction == Direction::Down {
                continue;
            }
            for (at, statement) in part.statements.iter().enumerate() {
                let Action::Alter(alter) = &statement.action else {
                    continue;
                };
                for command in &alter.commands {
                    if let AlterKind::SetType { column, .. } = &command.kind {
                        let table = end.after.qualify(&alter.relation.name);
                        if seen.insert((table.clone(), column.clone())) {
                            found.push((
                                table,
                                column.clone(),
                                At {
                                    file: number,
                                    part: part_number,
                                    statement: at,
                                    inner: 0,
                                },
                            ));
                        }
                    }
                }
            }
        }
    }
    found.sort();
    found
}

fn place_of(changed: &[(Qualified, String, At)], table: &Qualified, column: &str) -> Option<At> {
    let start =
        changed.partition_point(|(name, known, _)| (name, known.as_str()) < (table, column));
    changed
        .get(start)
        .filter(|(name, known, _)| name == table && known == column)
        .map(|(_, _, at)| *at)
}

fn type_of<'a>(table: &'a Table, column: &str) -> Option<&'a TypeName> {
    table.column(column)?.type_name.as_ref()
}

/// Types that can be compared with each other, and how wide they are.
fn family(type_name: &TypeName) -> Option<(&'static str, u8)> {
    if type_name.array || type_name.base.schema.is_some() {
        return None;
    }
    Some(match type_name.base.name.as_str() {
        "int2" => ("number", 2),
        "int4" => ("number", 4),
        "int8" => ("number", 8),
        "numeric" => ("numeric", 0),
        "float4" | "float8" => ("float", 0),
        "text" | "varchar" => ("text", 0),
        "bpchar" => ("character", 0),
        "uuid" => ("uuid", 0),
        "date" | "timestamp" | "timestamptz" => ("time", 0),
        "bool" => ("boolean", 0),
        "bytea" => ("bytes", 0),
        _ => return None,
    })
}

fn verdict(own: &TypeName, theirs: &TypeName, partial: bool) -> Option<(Level, String)> {
    let (own_family, own_width) = family(own)?;
    let (their_family, their_width) = family(theirs)?;
    if own_family != their_family {
        let pair = [own_family, their_family];
        let incompatible = pair
            .iter()
            .any(|family| matches!(*family, "uuid" | "boolean" | "bytes" | "time"))
            || (pair.contains(&"text")
                && pair
                    .iter()
                    .any(|family| matches!(*family, "number" | "numeric" | "float")))
            || (own_family == "numeric" && their_family == "number");
        // With parts of the history missing, what it references may be another
        // column by then.
        return (incompatible && !partial).then(|| {
            (
                Level::Warning,
                "PostgreSQL has no operator that compares the two, so that the foreign key cannot be made".to_owned(),
            )
        });
    }
    match own_width.cmp(&their_width) {
        std::cmp::Ordering::Less => Some((
            Level::Warning,
            format!(
                "INSERTs fail once a key passes {}",
                if own_width == 2 {
                    "32,767"
                } else {
                    "2,147,483,647"
                }
            ),
        )),
        std::cmp::Ordering::Greater => Some((
            Level::Note,
            "it is wider than any key can be: the referenced column fills up first".to_owned(),
        )),
        std::cmp::Ordering::Equal => None,
    }
}
