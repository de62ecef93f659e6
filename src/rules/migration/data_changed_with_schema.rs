//! A large change of data in the transaction of a change of the schema.

use super::support::around::{in_use, size};
use super::support::evidence;
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::migration::Wrapping;
use crate::migration::state::Qualified;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::{Action, AlterKind, DmlKind, Statement};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `UPDATE`, `DELETE`, `MERGE` and `INSERT … SELECT` on a table that
    /// was there before the change, in a transaction that changes the schema of
    /// another table in use behind it. Silent for `INSERT … VALUES`, for tables
    /// of the same change, and where other rules say more: for statements
    /// without WHERE, behind a strong lock, and before a change of the table
    /// itself.
    ///
    /// ## Why it matters
    ///
    /// Rows stay locked, and what was written stays invisible, until the
    /// schema's change is through, too; if that has to wait for its lock or
    /// fails, all the work is done again. Moving data and changing the schema
    /// have different speeds, and different ways back.
    ///
    /// ## When it is wrong
    ///
    /// When few rows are written.
    ///
    /// ## References
    ///
    /// - [Populating a database](https://www.postgresql.org/docs/current/populate.html)
    /// - [Row-level locks](https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-ROWS)
    pub struct DataChangedWithSchema = {
        id: "data-changed-with-schema",
        summary: "many rows are written in the transaction that changes the schema",
        level: Note,
        category: Compatibility,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for DataChangedWithSchema {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let Action::Dml(dml) = &step.statement.action else {
            return;
        };
        let large = match dml.kind {
            DmlKind::Update | DmlKind::Delete => dml.filtered && !is_by_constant(step),
            DmlKind::Merge => true,
            DmlKind::Insert => !dml.values && !dml.reads.is_empty(),
            _ => false,
        };
        if !large || dml.limited || !step.transaction.open {
            return;
        }
        let Some(table) = dml
            .target
            .as_ref()
            .and_then(|target| in_use(step, &target.name, false))
        else {
            return;
        };
        let few = step
            .before
            .known(&table)
            .and_then(|known| known.rows)
            .is_some_and(|rows| rows < 10_000.0);
        let locked = step
            .transaction
            .earlier
            .iter()
            .any(|(_, _, effects)| effects.iter().any(|effect| effect.mode.blocks_writes()));
        if few || locked {
            return;
        }
        let explicit = step.part.wrapping == Wrapping::None || step.transaction.explicit;
        let Some(change) = step
            .rest()
            .iter()
            .take(200)
            .take_while(|statement| {
                !(explicit && matches!(statement.action, Action::Transaction(_)))
            })
            .find(|statement| changes_schema(step, statement, &table))
        else {
            return;
        };
        sink.report(
            format!("rows of {table} are written in the transaction that changes the schema"),
            format!(
                "the rows{} stay locked until {} is through, too",
                size(step, &table),
                change.verb
            ),
            evidence::statement(step),
        )
        .relation(&table)
        .remedy(
            Remedy::new("move data in a migration of its own, in batches")
                .note("First what makes the new place for the data, then the data, then what takes the old place away."),
        );
    }
}

/// `WHERE key = 'value'` and nothing else: a few rows.
fn is_by_constant(step: &Step<'_>) -> bool {
    let text = step.text(step.statement.span).to_lowercase();
    let Some((_, condition)) = text.rsplit_once("where") else {
        return false;
    };
    let mut parts = condition.split('=');
    let (Some(column), Some(value), None) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let value = value.trim();
    let name = column.trim();
    name.chars()
        .all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '"'))
        && (value.parse::<f64>().is_ok()
            || (value.starts_with('\'') && value.matches('\'').count() == 2))
}

/// Whether a statement changes another table that was there before the change.
fn changes_schema(step: &Step<'_>, statement: &Statement, written: &Qualified) -> bool {
    let other = |name| in_use(step, name, false).is_some_and(|table| table != *written);
    match &statement.action {
        Action::Alter(alter) => {
            other(&alter.relation.name)
                && alter
                    .commands
                    .iter()
                    .any(|command| !matches!(command.kind, AlterKind::OwnerTo | AlterKind::Other))
        }
        Action::CreateIndex(index) => other(&index.table.name),
        _ => false,
    }
}
