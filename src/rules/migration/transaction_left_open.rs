//! BEGIN without COMMIT.

use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::finding::{Evidence, Origin, Value};
use crate::migration::{At, Direction, Sureness, Wrapping};
use crate::rule::migration::{FileEnd, MigrationRule, MigrationSink};
use crate::sql::ddl::{Action, Transaction};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds BEGIN without a COMMIT or ROLLBACK behind it in the file.
    ///
    /// ## Why it matters
    ///
    /// Nothing of it stays: the server takes the transaction back when the
    /// session ends. Until then its locks are held.
    ///
    /// ## When it is wrong
    ///
    /// When the runner sends several files through one session, and the next
    /// one commits.
    ///
    /// ## References
    ///
    /// - [BEGIN](https://www.postgresql.org/docs/current/sql-begin.html)
    /// - [COMMIT](https://www.postgresql.org/docs/current/sql-commit.html)
    pub struct TransactionLeftOpen = {
        id: "transaction-left-open",
        summary: "a file begins a transaction and does not end it",
        level: Warning,
        category: Failure,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for TransactionLeftOpen {
    fn file(&self, end: &FileEnd<'_>, sink: &mut MigrationSink) {
        for (part_number, part) in end.file.parts.iter().enumerate() {
            if part.direction == Direction::Down {
                continue;
            }
            // The COMMIT of a runner that wraps the file ends it.
            if matches!(part.wrapping, Wrapping::PerFile | Wrapping::PerRun)
                && part.sureness == Sureness::Known
            {
                continue;
            }
            let mut open = None;
            for (index, statement) in part.statements.iter().enumerate() {
                match statement.action {
                    Action::Transaction(Transaction::Begin) => open = Some((index, statement)),
                    Action::Transaction(
                        Transaction::Commit | Transaction::Rollback | Transaction::Prepare,
                    ) => open = None,
                    // It may be the COMMIT.
                    Action::Unreadable => open = None,
                    _ => {}
                }
            }
            let Some((index, statement)) = open else {
                continue;
            };
            sink.report(
                "the transaction begun here is never committed",
                "the server takes all of it back when the session ends, and holds its locks \
                 until then",
                Evidence::new(
                    "statement",
                    Value::Text(statement.verb.clone()),
                    Origin::Sql(statement.span),
                ),
            )
            .at(
                At {
                    file: end.number,
                    part: part_number,
                    statement: index,
                    inner: 0,
                },
                statement.span,
            )
            .remedy(Remedy::new("end it with COMMIT"));
        }
    }
}
