//! What a statement defines: columns, constraints and names.

use crate::migration::Direction;
use crate::migration::state::Qualified;
use crate::rule::migration::Step;
use crate::source::Span;
use crate::sql::ddl::{Action, AlterKind, ColumnDefinition, Constraint, Persistence};

/// The statement moves the schema forward.
pub(crate) fn is_up(step: &Step<'_>) -> bool {
    step.part.direction == Direction::Up
}

/// Columns that a statement defines on tables that stay, with their table.
pub(crate) fn columns<'a>(step: &Step<'a>) -> Vec<(Qualified, &'a ColumnDefinition)> {
    if !is_up(step) {
        return Vec::new();
    }
    match &step.statement.action {
        Action::CreateTable(table) if table.persistence != Persistence::Temporary => {
            let name = step.before.qualify(&table.table.name);
            table
                .columns
                .iter()
                .map(|column| (name.clone(), column))
                .collect()
        }
        Action::Alter(alter) => {
            let name = step.before.qualify(&alter.relation.name);
            alter
                .commands
                .iter()
                .filter_map(|command| match &command.kind {
                    AlterKind::AddColumn { column, .. } => Some((name.clone(), &**column)),
                    _ => None,
                })
                .collect()
        }
        _ => Vec::new(),
    }
}

/// Constraints that a statement defines on tables that stay: those of columns
/// and those of tables.
pub(crate) fn constraints<'a>(step: &Step<'a>) -> Vec<(Qualified, &'a Constraint)> {
    let mut found: Vec<(Qualified, &'a Constraint)> = Vec::new();
    for (name, column) in columns(step) {
        for constraint in &column.constraints {
            found.push((name.clone(), constraint));
        }
    }
    if !is_up(step) {
        return found;
    }
    match &step.statement.action {
        Action::CreateTable(table) if table.persistence != Persistence::Temporary => {
            let name = step.before.qualify(&table.table.name);
            for constraint in &table.constraints {
                found.push((name.clone(), constraint));
            }
        }
        Action::Alter(alter) => {
            let name = step.before.qualify(&alter.relation.name);
            for command in &alter.commands {
                if let AlterKind::AddConstraint(constraint) = &command.kind {
                    found.push((name.clone(), constraint));
                }
            }
        }
        _ => {}
    }
    found
}

/// Names that a statement gives: what sort of thing, the name, and where.
pub(crate) fn names<'a>(step: &Step<'a>) -> Vec<(&'static str, &'a str, Span)> {
    if !is_up(step) {
        return Vec::new();
    }
    let statement = step.statement;
    let mut found: Vec<(&'static str, &'a str, Span)> = Vec::new();
    match &statement.action {
        Action::CreateTable(table) => {
            found.push(("table", &table.table.name.name, table.table.span));
        }
        Action::CreateView(view) => found.push(("view", &view.name.name.name, view.name.span)),
        Action::CreateIndex(index) => {
            if let Some(name) = &index.name {
                found.push(("index", name, statement.span));
            }
        }
        Action::CreateTrigger(trigger) => found.push(("trigger", &trigger.name, statement.span)),
        Action::CreateFunction(function) => {
            found.push(("function", &function.name.name, statement.span));
        }
        Action::CreateSequence { name, .. } => {
            found.push(("sequence", &name.name, statement.span));
        }
        Action::CreateType(made) => found.push(("type", &made.name.name, statement.span)),
        Action::Alter(alter) => {
            for command in &alter.commands {
                match &command.kind {
                    AlterKind::RenameTo { name } => {
                        found.push(("relation", name, command.span));
                    }
                    AlterKind::RenameColumn { to, .. } => found.push(("column", to, command.span)),
                    AlterKind::RenameConstraint { to, .. } => {
                        found.push(("constraint", to, command.span));
                    }
                    _ => {}
                }
            }
        }
        _ => {}
    }
    for (_, column) in columns(step) {
        found.push(("column", &column.name, column.name_span));
    }
    for (_, constraint) in constraints(step) {
        if let Some(name) = &constraint.name {
            found.push(("constraint", name, constraint.span));
        }
    }
    found
}
