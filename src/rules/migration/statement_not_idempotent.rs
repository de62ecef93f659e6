//! A statement that fails when it is run again.

use super::support::{definitions, evidence};
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::{Action, AlterKind};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds CREATE and DROP without `IF [NOT] EXISTS`, and ADD or DROP COLUMN
    /// without it, where no transaction takes back what was done before a
    /// failure.
    ///
    /// ## Why it matters
    ///
    /// When a later statement of the file fails, the earlier ones stay. The
    /// next run begins at the top, and fails at the first of them.
    ///
    /// ## When it is wrong
    ///
    /// When the statement is the only one of its file.
    ///
    /// ## References
    ///
    /// - [CREATE INDEX](https://www.postgresql.org/docs/current/sql-createindex.html)
    /// - [Transactions](https://www.postgresql.org/docs/current/tutorial-transactions.html)
    pub struct StatementNotIdempotent = {
        id: "statement-not-idempotent",
        summary: "a statement outside a transaction cannot be run again after a failure",
        level: Note,
        category: Style,
        on: false,
        since: "0.1.0",
    }
}

impl MigrationRule for StatementNotIdempotent {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        if step.transaction.open
            || step.within.is_some()
            || !definitions::is_up(step)
            || step.part.statements.len() < 2
        {
            return;
        }
        let words = match &step.statement.action {
            Action::CreateTable(table) if !table.if_not_exists => "IF NOT EXISTS",
            Action::CreateIndex(index) if !index.if_not_exists => "IF NOT EXISTS",
            Action::CreateView(view) if !(view.or_replace || view.if_not_exists) => {
                if view.materialized {
                    "IF NOT EXISTS"
                } else {
                    "OR REPLACE"
                }
            }
            Action::CreateSequence {
                if_not_exists: false,
                ..
            }
            | Action::CreateSchema {
                if_not_exists: false,
                ..
            }
            | Action::CreateExtension {
                if_not_exists: false,
                ..
            } => "IF NOT EXISTS",
            Action::Drop(drop) if !drop.if_exists => "IF EXISTS",
            Action::Alter(alter) => {
                let missing = alter
                    .commands
                    .iter()
                    .find_map(|command| match &command.kind {
                        AlterKind::AddColumn {
                            if_not_exists: false,
                            ..
                        } => Some("IF NOT EXISTS"),
                        AlterKind::DropColumn {
                            if_exists: false, ..
                        } => Some("IF EXISTS"),
                        _ => None,
                    });
                let Some(words) = missing else { return };
                words
            }
            _ => return,
        };
        let draft = sink.report(
            format!(
                "{} has no {words}, and no transaction takes it back",
                step.statement.verb
            ),
            "when a later statement fails, the next run fails here",
            evidence::statement(step),
        );
        let remedy = Remedy::new(format!("write {words}"));
        // An index left invalid by a failure is there, too.
        draft.remedy(match &step.statement.action {
            Action::CreateIndex(index) if index.concurrently => remedy.note(
                "An index that failed to build stays behind invalid: drop it first with DROP \
                 INDEX CONCURRENTLY IF EXISTS.",
            ),
            _ => remedy,
        });
    }
}
