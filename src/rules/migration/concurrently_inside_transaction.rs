//! Statements that refuse to run inside a transaction, inside one.

use super::support::{evidence, safe};
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::migration::locks;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds statements that PostgreSQL refuses to run inside a transaction
    /// (`CREATE INDEX CONCURRENTLY`, `VACUUM`, `CREATE DATABASE`, …) where one
    /// is open: because of `BEGIN`, of a `DO` block, or because the tool that
    /// runs the migrations opens one around each file.
    ///
    /// ## Why it matters
    ///
    /// The migration fails.
    ///
    /// ## When it is wrong
    ///
    /// When the tool was not recognised, or is set not to use transactions:
    /// `--framework` and the configuration say which it is. Findings that stand
    /// on an assumption say so.
    ///
    /// ## References
    ///
    /// - [CREATE INDEX](https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY)
    pub struct ConcurrentlyInsideTransaction = {
        id: "concurrently-inside-transaction",
        summary: "a statement that cannot run inside a transaction is inside one",
        level: Critical,
        category: Failure,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for ConcurrentlyInsideTransaction {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        if !step.transaction.open && step.within.is_none() {
            return;
        }
        let Some(why) = locks::refuses_transaction(step.statement, step.context.server) else {
            return;
        };
        let framework = step.file.framework.name();
        let (who, title) = if step.within.is_some() {
            (
                "it stands in a DO block".to_owned(),
                "take it out of the DO block, to a place without a transaction".to_owned(),
            )
        } else if step.transaction.explicit {
            (
                "BEGIN opened one before it".to_owned(),
                "take it out of BEGIN … COMMIT".to_owned(),
            )
        } else if step.transaction.assumed {
            (
                "the file is taken to run in one".to_owned(),
                "run it outside a transaction".to_owned(),
            )
        } else {
            (
                format!("{framework} runs the file in one"),
                "run it outside a transaction".to_owned(),
            )
        };
        let mut remedy = Remedy::new(title);
        if step.within.is_none() && !step.transaction.explicit {
            remedy = remedy.note(safe::outside_note(step));
        }
        sink.report(
            format!(
                "{} cannot run inside a transaction, and {who}",
                step.statement.verb
            ),
            format!("the migration fails: {why}"),
            evidence::statement(step),
        )
        .assumed(
            (step.within.is_none() && !step.transaction.explicit && step.transaction.assumed).then(
                || {
                    "the statements of the file run in one transaction (nothing says which tool \
                     runs them)"
                        .to_owned()
                },
            ),
        )
        .remedy(remedy);
    }
}
