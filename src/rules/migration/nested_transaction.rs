//! BEGIN and COMMIT within the runner's transaction.

use super::support::evidence;
use crate::declare_migration_rule;
use crate::finding::Level;
use crate::finding::migration::Remedy;
use crate::migration::locks::refuses_transaction;
use crate::migration::{Sureness, Wrapping};
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::{Action, Transaction};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds BEGIN where a transaction is open already, and COMMIT or ROLLBACK
    /// that ends the one that the migration's runner has opened.
    ///
    /// ## Why it matters
    ///
    /// A second BEGIN does nothing but warn. The COMMIT then ends the runner's
    /// transaction: what follows runs without one and is not taken back when it
    /// fails, and the runner's own note that the migration was applied may be
    /// lost.
    ///
    /// ## When it is wrong
    ///
    /// When the runner is configured not to open a transaction: say so, with
    /// the framework's own marker in the file.
    ///
    /// ## References
    ///
    /// - [BEGIN](https://www.postgresql.org/docs/current/sql-begin.html)
    pub struct NestedTransaction = {
        id: "nested-transaction",
        summary: "BEGIN or COMMIT in a migration that its runner wraps in a transaction",
        level: Warning,
        category: Failure,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for NestedTransaction {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let Action::Transaction(control) = &step.statement.action else {
            return;
        };
        let transaction = step.transaction;
        if !transaction.open || step.within.is_some() {
            return;
        }
        // Only of runners that are known: an assumed transaction is none that
        // the file's own BEGIN could stand in.
        let runners = !transaction.explicit
            && !transaction.assumed
            && step.part.sureness == Sureness::Known
            && matches!(step.part.wrapping, Wrapping::PerFile | Wrapping::PerRun);
        let (message, why) = match control {
            Transaction::Begin if transaction.explicit => (
                "BEGIN within a transaction that the file has begun already",
                "the second BEGIN only warns, and the first COMMIT ends all",
            ),
            Transaction::Begin if runners => (
                "BEGIN within the transaction that the runner has opened",
                "it only warns; the COMMIT to it ends the runner's transaction",
            ),
            Transaction::Commit | Transaction::Rollback | Transaction::Prepare if runners => (
                "this ends the transaction that the runner has opened",
                "what follows is not taken back when it fails, and the runner may not note that \
                 the migration was applied",
            ),
            _ => return,
        };
        // Ended on purpose, for what cannot run inside a transaction: it works,
        // but is not taken back as a whole.
        let deliberate = !matches!(control, Transaction::Begin)
            && step
                .rest()
                .iter()
                .take_while(|next| !matches!(next.action, Action::Transaction(_)))
                .any(|next| refuses_transaction(next, step.context.server).is_some());
        let level = if deliberate {
            Level::Note
        } else {
            Level::Warning
        };
        sink.report(message, why, evidence::statement(step))
            .level(level)
            .remedy(
                Remedy::new("leave BEGIN and COMMIT to the runner")
                    .note("Or mark the file as one that runs without a transaction."),
            );
    }
}
