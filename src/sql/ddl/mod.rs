//! Statements that define or change a database, as values: what a migration
//! does, read from its text alone.
//!
//! Names are folded as PostgreSQL folds them (`Users` is `users`, `"Users"`
//! stays), and keep whether a schema was written. Every part that somebody can
//! point at has its [`Span`] in the user's text.

mod action;
mod alter;
mod body;
mod code;
mod dml;
mod expression;
mod index;
mod object;
mod others;
mod piece;
mod reader;
mod setting;
mod table;
mod text;
mod tree;
mod type_name;
mod types;

pub use others::{
    AlterDomain, AlterDomainKind, AlterType, AlterTypeKind, Body, CreateDomain, CreateFunction,
    CreateTrigger, CreateView, Dml, DmlKind, Setting, Transaction,
};
pub use types::{
    Action, Alter, AlterKind, ColumnDefinition, Command, Constraint, ConstraintKind, CreateIndex,
    CreateTable, CreateType, Drop, Expression, Generated, IndexKey, Name, ObjectKind, PartitionBy,
    PartitionOf, Persistence, Place, Referential, Statement, TypeName, TypeShape, Which,
};

use crate::source::{Problem, SourceId};
use crate::sql::split::Splitter;

/// Statements of one text that are read.
const MAX_STATEMENTS: usize = 200_000;

/// Reads the statements of a text, in order.
///
/// A statement that cannot be read is there as [`Action::Unreadable`], with
/// one problem; the others are read all the same. psql's commands, `COPY`
/// data and pieces of templates are tolerated.
pub fn read(source: SourceId, text: &str) -> (Vec<Statement>, Vec<Problem>) {
    let start = if text.starts_with('\u{feff}') { 3 } else { 0 };
    read_range(source, text, start..text.len())
}

/// The same for a part of a text, with places in the whole of it.
pub fn read_range(
    source: SourceId,
    text: &str,
    range: std::ops::Range<usize>,
) -> (Vec<Statement>, Vec<Problem>) {
    let start = range.start;
    let text = text.get(..range.end).unwrap_or(text);
    let mut statements = Vec::new();
    let mut problems = Vec::new();
    for piece in Splitter::new(text, start) {
        if statements.len() >= MAX_STATEMENTS {
            problems.push(
                Problem::at(
                    crate::source::Span::new(source, piece.start..piece.end),
                    format!("the text holds more than {MAX_STATEMENTS} statements"),
                )
                .with_hint("the statements from here on are not read; split the file"),
            );
            break;
        }
        piece::read(source, text, &piece, &mut statements, &mut problems);
    }
    (statements, problems)
}

#[cfg(test)]
mod tests;
