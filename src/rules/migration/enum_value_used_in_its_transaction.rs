//! Enum values used before they are committed.

use std::collections::{BTreeMap, BTreeSet};

use super::support::walk::{self, Place};
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::finding::{Evidence, Level, Origin, Value};
use crate::migration::{Sureness, Wrapping};
use crate::rule::migration::{End, MigrationRule, MigrationSink};
use crate::source::Span;
use crate::sql::ddl::{
    Action, AlterKind, AlterType, AlterTypeKind, ColumnDefinition, ConstraintKind, Name, Statement,
    TypeName,
};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds statements that use a value of an enum type in the transaction in
    /// which `ALTER TYPE … ADD VALUE` adds it.
    ///
    /// ## Why it matters
    ///
    /// It fails with "unsafe use of new value": the value can be used only when
    /// the transaction that added it is committed. Only a type that was created
    /// in the same transaction is free of that.
    ///
    /// ## When it is wrong
    ///
    /// When the text only happens to be the same as the value, which is hard to
    /// tell in long queries.
    ///
    /// ## References
    ///
    /// - [ALTER TYPE](https://www.postgresql.org/docs/current/sql-altertype.html#SQL-ALTERTYPE-NOTES)
    pub struct EnumValueUsedInItsTransaction = {
        id: "enum-value-used-in-its-transaction",
        summary: "an enum value is used in the transaction that adds it",
        level: Critical,
        category: Failure,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for EnumValueUsedInItsTransaction {
    fn end(&self, end: &End<'_>, sink: &mut MigrationSink) {
        let mut added = Added::default();
        for (number, file) in end.numbered() {
            if !file.new {
                continue;
            }
            let mut last = None;
            for place in walk::statements(number, file) {
                // Drizzle runs all files that are pending in one transaction.
                let whole_run = place.part.wrapping == Wrapping::PerRun && end.context.one_change;
                let transaction = place.transaction.map(|transaction| {
                    if whole_run {
                        (0, 0)
                    } else {
                        (number + 1, transaction)
                    }
                });
                if transaction.is_none() || transaction != added.transaction {
                    added = Added {
                        transaction,
                        ..Added::default()
                    };
                }
                if transaction.is_none() {
                    if let Action::Do(body) = &place.statement.action {
                        let mut inside = Added::default();
                        for statement in &body.statements {
                            look(end, sink, &mut inside, place, statement);
                        }
                    }
                    continue;
                }
                match &place.statement.action {
                    Action::Do(body) => {
                        for statement in &body.statements {
                            look(end, sink, &mut added, place, statement);
                        }
                    }
                    _ => look(end, sink, &mut added, place, place.statement),
                }
                last = Some(place.part.wrapping);
            }
            if last != Some(Wrapping::PerRun) || !end.context.one_change {
                added = Added::default();
            }
        }
    }
}

/// What a transaction has added so far.
#[derive(Default)]
struct Added {
    transaction: Option<(usize, usize)>,
    /// Value → the type, and where it was added.
    values: BTreeMap<String, (Name, Span)>,
    /// Types that it created itself.
    created: BTreeSet<String>,
}

fn look(
    end: &End<'_>,
    sink: &mut MigrationSink,
    added: &mut Added,
    place: Place<'_>,
    statement: &Statement,
) {
    match &statement.action {
        Action::CreateType(created) => {
            added.created.insert(created.name.name.clone());
        }
        Action::AlterType(AlterType {
            name,
            kind: AlterTypeKind::AddValue { value, .. },
        }) => {
            if !added.created.contains(&name.name) {
                added
                    .values
                    .insert(value.clone(), (name.clone(), statement.span));
            }
        }
        _ if added.values.is_empty() => {}
        _ => {
            let found = uses(end, statement, &added.values);
            let Some((value, name, span)) = found else {
                return;
            };
            let assumed = place.part.sureness == Sureness::Assumed && walk::is_wrapped(place.part);
            sink.report(
                format!("the value '{value}' of {name} is used in the transaction that adds it"),
                "it fails: PostgreSQL forbids the use of a new enum value before the transaction \
                 that added it is committed",
                Evidence::new(
                    "added by",
                    Value::Text(end.context.sources.slice(span).to_owned()),
                    Origin::Sql(span),
                ),
            )
            .at(place.at, statement.span)
            .object(format!("{name}.{value}"))
            .level(if assumed {
                Level::Warning
            } else {
                Level::Critical
            })
            .assumed(assumed.then(|| {
                "the statements of the file run in one transaction (nothing says which tool runs \
                 them)"
                    .to_owned()
            }))
            .remedy(
                Remedy::new("add the value in a migration of its own, before this one")
                    .then(end.context.sources.slice(span).to_owned())
                    .then_apart(end.context.sources.slice(statement.span).to_owned()),
            );
        }
    }
}

/// The first of the values that the statement uses as one of its type.
fn uses<'v>(
    end: &End<'_>,
    statement: &Statement,
    values: &'v BTreeMap<String, (Name, Span)>,
) -> Option<(&'v str, &'v Name, Span)> {
    let find = |strings: &[String], fits: &dyn Fn(&Name) -> bool| {
        strings.iter().find_map(|text| {
            values
                .get_key_value(text)
                .filter(|(_, (name, _))| fits(name))
                .map(|(value, (name, span))| (value.as_str(), name, *span))
        })
    };
    let is_type = |type_name: Option<&TypeName>, name: &Name| {
        type_name.is_some_and(|type_name| type_name.base.name == name.name)
    };
    let has_column = |table: &Name, name: &Name| {
        end.after.table(table).is_some_and(|table| {
            table
                .columns
                .iter()
                .any(|column| is_type(column.type_name.as_ref(), name))
        })
    };
    let of_column = |column: &ColumnDefinition| {
        column.default.as_ref().and_then(|default| {
            find(&default.strings, &|name| {
                is_type(column.type_name.as_deref(), name)
            })
        })
    };
    match &statement.action {
        Action::Dml(dml) => find(&dml.strings, &|name| {
            dml.target
                .iter()
                .map(|place| &place.name)
                .chain(&dml.reads)
                .any(|table| has_column(table, name))
        }),
        Action::CreateTable(table) => table.columns.iter().find_map(of_column),
        Action::CreateIndex(index) => index.predicate.as_ref().and_then(|predicate| {
            find(&predicate.strings, &|name| {
                has_column(&index.table.name, name)
            })
        }),
        Action::Alter(alter) => {
            let table = &alter.relation.name;
            alter
                .commands
                .iter()
                .find_map(|command| match &command.kind {
                    AlterKind::AddColumn { column, .. } => of_column(column),
                    AlterKind::SetDefault { column, default } => find(&default.strings, &|name| {
                        end.after
                            .table(table)
                            .and_then(|table| table.column(column))
                            .is_some_and(|column| is_type(column.type_name.as_ref(), name))
                    }),
                    AlterKind::AddConstraint(constraint) => match &constraint.kind {
                        ConstraintKind::Check { expression } => {
                            find(&expression.strings, &|name| has_column(table, name))
                        }
                        _ => None,
                    },
                    _ => None,
                })
        }
        _ => None,
    }
}
