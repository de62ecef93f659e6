//! CONCURRENTLY that waits for the runner of the migrations itself.

use super::support::evidence;
use crate::declare_migration_rule;
use crate::finding::Level;
use crate::finding::migration::Remedy;
use crate::migration::Direction;
use crate::migration::framework::Framework;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::{Action, ObjectKind};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `CREATE INDEX CONCURRENTLY`, `DROP INDEX CONCURRENTLY` and
    /// `REINDEX CONCURRENTLY` in migrations of runners that hold a
    /// transaction, or let others wait in one, while they run:
    ///
    /// - Flyway locks its history table in a transaction of another session, unless `flyway.postgresql.transactional.lock` is false.
    /// - golang-migrate and sqlx take an advisory lock. A second instance that waits for it waits in a statement with a snapshot, which CONCURRENTLY waits for in turn: a note.
    ///
    /// ## Why it matters
    ///
    /// CONCURRENTLY waits until every transaction that could still see the
    /// old state has ended. With Flyway's transaction open it waits forever.
    /// When several instances of a program start and migrate at a time,
    /// PostgreSQL finds a deadlock and cancels one: an index that was being
    /// built stays behind INVALID.
    ///
    /// ## When it is wrong
    ///
    /// When Flyway is configured so, or only one instance ever migrates.
    ///
    /// ## References
    ///
    /// - [Building indexes concurrently](https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY)
    /// - [Advisory locks](https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS)
    pub struct LockQueueBehindLongReader = {
        id: "lock-queue-behind-long-reader",
        summary: "CONCURRENTLY waits for a transaction that the runner of the migrations holds open",
        level: Warning,
        category: Failure,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for LockQueueBehindLongReader {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        if step.part.direction == Direction::Down || step.transaction.open {
            return;
        }
        let waits = match &step.statement.action {
            Action::CreateIndex(create) => {
                create.concurrently && step.is_in_use(&step.before.qualify(&create.table.name))
            }
            Action::Drop(drop) => drop.concurrently && drop.object == ObjectKind::Index,
            Action::Reindex { concurrently, .. } => *concurrently,
            _ => false,
        };
        if !waits {
            return;
        }
        let (level, message, why, remedy) = match step.file.framework {
            Framework::Flyway => (
                Level::Warning,
                "Flyway keeps a transaction open, which CONCURRENTLY waits for",
                "with Flyway's default it hangs until somebody ends it",
                Remedy::new("set flyway.postgresql.transactional.lock=false")
                    .note("Flyway then locks by an advisory lock of the session."),
            ),
            Framework::GolangMigrate | Framework::Sqlx => (
                Level::Note,
                "a second instance that waits to migrate is waited for by CONCURRENTLY",
                "the two wait for each other, PostgreSQL cancels one, and an index may stay behind INVALID",
                Remedy::new("let one instance migrate, before the others start"),
            ),
            _ => return,
        };
        sink.report(message, why, evidence::statement(step))
            .level(level)
            .remedy(remedy);
    }
}
