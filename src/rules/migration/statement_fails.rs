//! Statements that PostgreSQL refuses in the state that the history leaves.

use super::support::evidence;
use crate::catalog::RelationKind;
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::migration::state::{Owner, Qualified, Table};
use crate::migration::{Direction, Framework};
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::source::Span;
use crate::sql::ddl::{Action, Alter, AlterKind, Name, ObjectKind};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds statements of new migrations that cannot run on the schema that
    /// the earlier ones leave: that drop, alter, rename or validate a column,
    /// constraint or index that does not exist, add one that exists, or drop
    /// the index of a constraint, without `IF [NOT] EXISTS`.
    ///
    /// Tables that the history does not create are left alone, and so is
    /// everything in and behind DO blocks with conditions about them.
    ///
    /// ## Why it matters
    ///
    /// The migration stops there, in a deployment, with whatever ran before
    /// it in place.
    ///
    /// ## When it is wrong
    ///
    /// When the database was changed by hand besides the migrations.
    ///
    /// ## References
    ///
    /// - [ALTER TABLE](https://www.postgresql.org/docs/current/sql-altertable.html)
    pub struct StatementFails = {
        id: "statement-fails",
        summary: "a statement fails on the schema that the migrations before it make",
        level: Warning,
        category: Failure,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for StatementFails {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        if step.part.direction == Direction::Down
            || step.within.is_some()
            || step.statement.templated
            || step.before.is_partial()
            || !is_run(step)
        {
            return;
        }
        match &step.statement.action {
            Action::Alter(alter) if alter.object == ObjectKind::Table => {
                if let Some(table) = certain(step, &alter.relation.name) {
                    of_alter(step, sink, alter, table);
                }
            }
            Action::CreateIndex(create) if !create.if_not_exists => {
                if let Some(table) = certain(step, &create.table.name) {
                    for key in &create.keys {
                        if let Some(column) = &key.column {
                            missing(step, sink, table, column, step.statement.span);
                        }
                    }
                    if let Some(name) = &create.name {
                        let name = Name::qualified(table.name.schema.as_str(), name.as_str());
                        if let Some((other, _)) = step.before.index(&name) {
                            report(
                                step,
                                sink,
                                step.statement.span,
                                &table.name,
                                format!(
                                    "there is an index {} already, on {}",
                                    name.name, other.name
                                ),
                                "write IF NOT EXISTS, or another name",
                            );
                        }
                    }
                }
            }
            Action::Drop(drop) if drop.object == ObjectKind::Index => {
                for place in &drop.names {
                    if let Some((table, index)) = step.before.index(&place.name)
                        && let Owner::Constraint(constraint) = &index.owner
                    {
                        report(
                            step,
                            sink,
                            place.span,
                            &table.name,
                            format!(
                                "{} cannot be dropped: it is the index of the constraint {constraint} of {}",
                                index.name, table.name
                            ),
                            "drop the constraint: its index goes with it",
                        );
                    }
                }
            }
            _ => {}
        }
    }
}

/// Whether the project's tool runs the file: one whose name or journal keeps it
/// from that cannot fail.
fn is_run(step: &Step<'_>) -> bool {
    step.file.framework != Framework::Plain
        || !step
            .context
            .history
            .sets
            .iter()
            .any(|set| set.framework != Framework::Plain && set.database == step.file.database)
}

/// A table whose columns are all known: the history created it, and not from a
/// query or other tables.
fn certain<'a>(step: &Step<'a>, name: &Name) -> Option<&'a Table> {
    let table = step.before.table(name)?;
    let plain = matches!(
        table.kind,
        RelationKind::Table | RelationKind::PartitionedTable
    );
    let whole = table.created.is_some_and(|at| at.inner == 0)
        && table.parents.is_empty()
        && table.columns_known
        && !table.columns.is_empty()
        && table.columns.iter().all(|column| {
            column.type_name.is_some() && column.added.is_some_and(|at| at.inner == 0)
        });
    (plain && whole).then_some(table)
}

fn of_alter(step: &Step<'_>, sink: &mut MigrationSink, alter: &Alter, table: &Table) {
    let added = |name: &str| {
        alter.commands.iter().any(|command| {
            matches!(&command.kind, AlterKind::AddColumn { column, .. } if column.name == name)
        })
    };
    let dropped = |name: &str| {
        alter.commands.iter().any(|command| {
            matches!(&command.kind, AlterKind::DropColumn { column, .. } if column == name)
        })
    };
    let constraint_dropped = |constraint: &str| {
        alter.commands.iter().any(|command| {
            matches!(&command.kind, AlterKind::DropConstraint { name, .. } if name == constraint)
        })
    };
    for command in &alter.commands {
        let span = command.span;
        match &command.kind {
            AlterKind::AddColumn {
                column,
                if_not_exists: false,
            } if table.column(&column.name).is_some() && !dropped(&column.name) => report(
                step,
                sink,
                span,
                &table.name,
                format!("{} has a column {} already", table.name, column.name),
                "write IF NOT EXISTS, or leave it out",
            ),
            AlterKind::DropColumn {
                column,
                if_exists: false,
                ..
            } => missing(step, sink, table, column, span),
            AlterKind::SetType { column, .. }
            | AlterKind::SetNotNull { column }
            | AlterKind::DropNotNull { column }
            | AlterKind::SetDefault { column, .. }
            | AlterKind::DropDefault { column }
                if !added(column) =>
            {
                missing(step, sink, table, column, span);
            }
            AlterKind::RenameColumn { from, to } => {
                missing(step, sink, table, from, span);
                if table.column(to).is_some() {
                    report(
                        step,
                        sink,
                        span,
                        &table.name,
                        format!("{} has a column {to} already", table.name),
                        "choose another name",
                    );
                }
            }
            AlterKind::DropConstraint {
                name,
                if_exists: false,
                ..
            }
            | AlterKind::ValidateConstraint { name }
                if table.constraint(name).is_none() && !adds_constraint(alter, name) =>
            {
                report(
                    step,
                    sink,
                    span,
                    &table.name,
                    format!("{} has no constraint {name}", table.name),
                    "name the constraint that is meant, or write IF EXISTS",
                );
            }
            AlterKind::AddConstraint(constraint) => {
                if let Some(name) = &constraint.name
                    && table.constraint(name).is_some()
                    && !constraint_dropped(name)
                {
                    report(
                        step,
                        sink,
                        span,
                        &table.name,
                        format!("{} has a constraint {name} already", table.name),
                        "drop the old one first, or choose another name",
                    );
                }
            }
            _ => {}
        }
    }
}

fn adds_constraint(alter: &Alter, name: &str) -> bool {
    alter.commands.iter().any(|command| {
        matches!(&command.kind, AlterKind::AddConstraint(constraint)
            if constraint.name.as_deref().is_none_or(|added| added == name))
    })
}

/// Columns that every table has.
const OF_THE_SYSTEM: &[&str] = &["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"];

fn missing(step: &Step<'_>, sink: &mut MigrationSink, table: &Table, column: &str, span: Span) {
    if table.column(column).is_some() || OF_THE_SYSTEM.contains(&column) {
        return;
    }
    report(
        step,
        sink,
        span,
        &table.name,
        format!("{} has no column {column}", table.name),
        "name the column that is meant, or write IF EXISTS where it can be written",
    );
}

fn report(
    step: &Step<'_>,
    sink: &mut MigrationSink,
    span: Span,
    table: &Qualified,
    message: String,
    cure: &str,
) {
    sink.report(
        message,
        "the statement fails on the schema that the migrations before it make",
        evidence::statement(step),
    )
    .span(span)
    .relation(table)
    .object(step.text(span).chars().take(80).collect::<String>())
    .remedy(Remedy::new(cure));
}
