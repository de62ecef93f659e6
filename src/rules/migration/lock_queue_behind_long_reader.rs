//! CONCURRENTLY that waits for the runner of the migrations itself.

use super::support::{evidence, walk};
use crate::declare_migration_rule;
use crate::finding::Level;
use crate::finding::migration::Remedy;
use crate::migration::framework::Framework;
use crate::rule::migration::{End, MigrationRule, MigrationSink};
use crate::sql::ddl::{Action, ObjectKind, Statement};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `CREATE INDEX CONCURRENTLY`, `DROP INDEX CONCURRENTLY` and
    /// `REINDEX CONCURRENTLY` in migrations of runners that hold a
    /// transaction, or let others wait in one, while they run. It speaks once,
    /// of the first such statement of a history, and not where an earlier
    /// migration has one:
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
    fn end(&self, end: &End<'_>, sink: &mut MigrationSink) {
        // The first of each database: what runs it is the same for all.
        let mut seen: Vec<&Option<String>> = Vec::new();
        for (number, file) in end.numbered() {
            if seen.contains(&&file.database) || told(file.framework).is_none() {
                continue;
            }
            let Some(place) = walk::statements(number, file)
                .into_iter()
                .find(|place| place.transaction.is_none() && waits(place.statement))
            else {
                continue;
            };
            seen.push(&file.database);
            // Where it was done before, it has gone well.
            if let Some((level, message, why, remedy)) = told(file.framework).filter(|_| file.new) {
                sink.report(message, why, evidence::of(place.statement))
                    .at(place.at, place.statement.span)
                    .level(level)
                    .remedy(remedy);
            }
        }
    }
}

/// A statement that waits for transactions of others.
fn waits(statement: &Statement) -> bool {
    match &statement.action {
        Action::CreateIndex(create) => create.concurrently,
        Action::Drop(drop) => drop.concurrently && drop.object == ObjectKind::Index,
        Action::Reindex { concurrently, .. } => *concurrently,
        _ => false,
    }
}

/// What the runner does meanwhile.
fn told(framework: Framework) -> Option<(Level, &'static str, &'static str, Remedy)> {
    match framework {
        Framework::Flyway => Some((
            Level::Warning,
            "Flyway keeps a transaction open, which CONCURRENTLY waits for",
            "with Flyway's default it hangs until somebody ends it",
            Remedy::new("set flyway.postgresql.transactional.lock=false")
                .note("Flyway then locks by an advisory lock of the session."),
        )),
        Framework::GolangMigrate | Framework::Sqlx => Some((
            Level::Note,
            "a second instance that waits to migrate is waited for by CONCURRENTLY",
            "the two wait for each other, PostgreSQL cancels one, and an index may stay behind INVALID",
            Remedy::new("let one instance migrate, before the others start"),
        )),
        _ => None,
    }
}
