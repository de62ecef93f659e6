//! The safe way of doing things, as ready SQL.

use crate::catalog::ident::quote;
use crate::finding::Edit;
use crate::finding::migration::{Fix, Remedy};
use crate::migration::{Framework, Sureness};
use crate::rule::migration::Step;
use crate::source::Span;
use crate::sql::ddl::{Constraint, ConstraintKind};

use super::names;

/// Adds how the framework is told to run a file outside a transaction, where
/// a step of the remedy needs that.
pub(crate) fn outside(step: &Step<'_>, remedy: Remedy) -> Remedy {
    if !remedy.steps.iter().any(|step| step.outside_transaction) {
        return remedy;
    }
    remedy.note(outside_note(step))
}

/// How the framework is told to run a file outside a transaction.
pub(crate) fn outside_note(step: &Step<'_>) -> String {
    outside_note_of(step.file.framework, step.part.sureness)
}

/// The same, of a framework.
pub(crate) fn outside_note_of(framework: Framework, sureness: Sureness) -> String {
    match framework.no_transaction() {
        Some(how) => {
            let mut letters = how.chars();
            let how: String = letters
                .next()
                .into_iter()
                .flat_map(char::to_uppercase)
                .chain(letters)
                .collect();
            if sureness == Sureness::Known {
                format!("{how} ({}).", framework.name())
            } else {
                format!("{how}.")
            }
        }
        None => format!(
            "{} runs every migration in a transaction: run the statement by hand first, and let \
             the migration say IF NOT EXISTS.",
            framework.name()
        ),
    }
}

/// Whether edits of the user's text are safe to offer for the statement.
pub(crate) fn is_editable(step: &Step<'_>) -> bool {
    step.within.is_none() && !step.statement.templated
}

/// Whether the statement can be made one that runs outside a transaction by an
/// edit of its own text.
pub(crate) fn can_leave_transaction(step: &Step<'_>) -> bool {
    is_editable(step) && !(step.transaction.open && step.transaction.explicit)
}

/// SQL that batches a backfill.
pub(crate) fn backfill(table: &str, column: &str, value: &str) -> String {
    let column = quote(column);
    format!(
        "UPDATE {table} SET {column} = {value}\nWHERE ctid = ANY (ARRAY(SELECT ctid FROM {table} \
         WHERE {column} IS NULL LIMIT 10000))"
    )
}

/// What to know about [`backfill`].
pub(crate) const BACKFILL_NOTE: &str =
    "Repeat the UPDATE until it changes no row, each run in a transaction of its own.";

/// Steps that make a column NOT NULL without a scan under ACCESS EXCLUSIVE.
pub(crate) fn not_null(
    mut remedy: Remedy,
    major: u16,
    table: &str,
    table_name: &str,
    column: &str,
) -> Remedy {
    let quoted = quote(column);
    let columns = [column.to_owned()];
    if major >= 18 {
        let name = quote(&names::object(table_name, &columns, "not_null"));
        remedy = remedy
            .then(format!(
                "ALTER TABLE {table} ADD CONSTRAINT {name} NOT NULL {quoted} NOT VALID"
            ))
            .then_apart(format!("ALTER TABLE {table} VALIDATE CONSTRAINT {name}"));
    } else {
        // Not the name that newer servers give to NOT NULL itself.
        let name = quote(&names::object(table_name, &columns, "not_null_check"));
        remedy = remedy
            .then(format!(
                "ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({quoted} IS NOT NULL) NOT VALID"
            ))
            .then_apart(format!("ALTER TABLE {table} VALIDATE CONSTRAINT {name}"))
            .then_apart(format!(
                "ALTER TABLE {table} ALTER COLUMN {quoted} SET NOT NULL;\nALTER TABLE {table} \
                 DROP CONSTRAINT {name}"
            ));
    }
    remedy
}

/// The name of a constraint: its own, or the one that PostgreSQL would give.
pub(crate) fn constraint_name(table_name: &str, constraint: &Constraint) -> String {
    constraint.name.clone().unwrap_or_else(|| {
        let (columns, suffix): (&[String], &str) = match &constraint.kind {
            ConstraintKind::NotNull => (&constraint.columns, "not_null"),
            ConstraintKind::PrimaryKey => (&[], "pkey"),
            ConstraintKind::Unique { .. } => (&constraint.columns, "key"),
            // PostgreSQL names the column only where the expression has one.
            ConstraintKind::Check { .. } if constraint.columns.len() != 1 => (&[], "check"),
            ConstraintKind::Check { .. } => (&constraint.columns, "check"),
            ConstraintKind::ForeignKey { .. } => (&constraint.columns, "fkey"),
            ConstraintKind::Exclusion { .. } => (&constraint.columns, "excl"),
        };
        names::object(table_name, columns, suffix)
    })
}

/// The text of a constraint behind its name: `CHECK (…)`, `FOREIGN KEY (…)
/// REFERENCES …`. A constraint of a column becomes one of the table.
pub(crate) fn constraint_text(step: &Step<'_>, constraint: &Constraint) -> String {
    let text = step.text(constraint.span).trim();
    let upper = text.to_ascii_uppercase();
    let from = |word: &str| {
        upper
            .find(word)
            .and_then(|start| text.get(start..))
            .unwrap_or(text)
            .to_owned()
    };
    match &constraint.kind {
        ConstraintKind::Check { expression } => format!("CHECK ({})", expression.text),
        ConstraintKind::ForeignKey { .. } => format!(
            "FOREIGN KEY ({}) {}",
            columns(&constraint.columns),
            from("REFERENCES")
        ),
        ConstraintKind::Unique {
            nulls_not_distinct: true,
        } => format!(
            "UNIQUE NULLS NOT DISTINCT ({})",
            columns(&constraint.columns)
        ),
        ConstraintKind::Unique { .. } => format!("UNIQUE ({})", columns(&constraint.columns)),
        ConstraintKind::PrimaryKey => format!("PRIMARY KEY ({})", columns(&constraint.columns)),
        ConstraintKind::NotNull => format!("NOT NULL {}", columns(&constraint.columns)),
        ConstraintKind::Exclusion { .. } => from("EXCLUDE"),
    }
}

/// Column names as a list in SQL.
pub(crate) fn columns(names: &[String]) -> String {
    names
        .iter()
        .map(|name| quote(name))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Steps that add a CHECK or FOREIGN KEY without a scan under its lock.
pub(crate) fn not_valid(
    remedy: Remedy,
    step: &Step<'_>,
    table: &str,
    table_name: &str,
    constraint: &Constraint,
) -> Remedy {
    let name = quote(&constraint_name(table_name, constraint));
    let text = constraint_text(step, constraint);
    remedy
        .then(format!(
            "ALTER TABLE {table} ADD CONSTRAINT {name} {text} NOT VALID"
        ))
        .then_apart(format!("ALTER TABLE {table} VALIDATE CONSTRAINT {name}"))
}

/// Adds the edits that make a constraint NOT VALID, where the user's text can
/// be edited: validated by a second migration, for which it needs a name.
pub(crate) fn with_not_valid_fix(
    remedy: Remedy,
    step: &Step<'_>,
    table: &str,
    name: &str,
    constraint: &Constraint,
) -> Remedy {
    if !is_editable(step) {
        return remedy;
    }
    let span = constraint.span;
    let mut edits = Vec::new();
    if constraint.name.is_none() {
        edits.push(Edit {
            span: Span {
                end: span.start,
                ..span
            },
            text: format!("CONSTRAINT {} ", quote(name)),
        });
    }
    edits.push(Edit {
        span: Span {
            start: span.end,
            ..span
        },
        text: " NOT VALID".to_owned(),
    });
    remedy.fix(Fix {
        edits,
        follow_up: vec![format!(
            "ALTER TABLE {table} VALIDATE CONSTRAINT {}",
            quote(name)
        )],
        outside_transaction: false,
    })
}

/// Steps that add a UNIQUE or PRIMARY KEY over an index built CONCURRENTLY.
pub(crate) fn using_index(
    remedy: Remedy,
    table: &str,
    table_name: &str,
    constraint: &Constraint,
) -> Remedy {
    let name = quote(&constraint_name(table_name, constraint));
    let columns = columns(&constraint.columns);
    let (keyword, distinct) = match &constraint.kind {
        ConstraintKind::PrimaryKey => ("PRIMARY KEY", ""),
        ConstraintKind::Unique {
            nulls_not_distinct: true,
        } => ("UNIQUE", " NULLS NOT DISTINCT"),
        _ => ("UNIQUE", ""),
    };
    let deferrable = if constraint.deferrable {
        " DEFERRABLE"
    } else {
        ""
    };
    remedy
        .then_outside(format!(
            "CREATE UNIQUE INDEX CONCURRENTLY {name} ON {table} ({columns}){distinct}"
        ))
        .then_apart(format!(
            "ALTER TABLE {table} ADD CONSTRAINT {name} {keyword} USING INDEX {name}{deferrable}"
        ))
}
