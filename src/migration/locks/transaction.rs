//! Statements that refuse to run in a transaction.

use crate::migration::Server;
use crate::sql::ddl::{Action, AlterKind, ObjectKind, Statement};

/// Why a statement cannot run inside a transaction block; `None` when it can.
pub fn refuses_transaction(statement: &Statement, server: &Server) -> Option<&'static str> {
    let _ = server;
    match &statement.action {
        Action::CreateIndex(index) if index.concurrently => {
            Some("CREATE INDEX CONCURRENTLY cannot run inside a transaction block")
        }
        Action::Drop(drop) => match drop.object {
            ObjectKind::Index if drop.concurrently => {
                Some("DROP INDEX CONCURRENTLY cannot run inside a transaction block")
            }
            ObjectKind::Database => Some("DROP DATABASE cannot run inside a transaction block"),
            ObjectKind::Tablespace => Some("DROP TABLESPACE cannot run inside a transaction block"),
            _ => None,
        },
        Action::Reindex {
            kind, concurrently, ..
        } => {
            if *concurrently {
                Some("REINDEX CONCURRENTLY cannot run inside a transaction block")
            } else {
                matches!(kind, ObjectKind::Schema | ObjectKind::Database).then_some(
                    "REINDEX of a schema or database cannot run inside a transaction block",
                )
            }
        }
        Action::Alter(alter) => alter
            .commands
            .iter()
            .find_map(|command| match command.kind {
                AlterKind::DetachPartition {
                    concurrently: true, ..
                } => Some("DETACH PARTITION CONCURRENTLY cannot run inside a transaction block"),
                _ => None,
            }),
        Action::Vacuum { .. } => Some("VACUUM cannot run inside a transaction block"),
        Action::Cluster {
            table,
            concurrently,
        } => {
            if *concurrently {
                Some("REPACK CONCURRENTLY cannot run inside a transaction block")
            } else {
                table
                    .is_none()
                    .then_some("CLUSTER of all tables cannot run inside a transaction block")
            }
        }
        Action::Other { .. } => by_verb(&statement.verb),
        _ => None,
    }
}

fn by_verb(verb: &str) -> Option<&'static str> {
    let starts = |words: &str| {
        verb.get(..words.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(words))
    };
    if starts("CREATE DATABASE") {
        Some("CREATE DATABASE cannot run inside a transaction block")
    } else if starts("CREATE TABLESPACE") {
        Some("CREATE TABLESPACE cannot run inside a transaction block")
    } else if starts("ALTER SYSTEM") {
        Some("ALTER SYSTEM cannot run inside a transaction block")
    } else {
        None
    }
}
