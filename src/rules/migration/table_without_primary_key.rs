//! A table without a primary key.

use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::finding::{Evidence, Origin, Value};
use crate::migration::{At, Direction};
use crate::rule::migration::{FileEnd, MigrationRule, MigrationSink};
use crate::sql::ddl::{Action, Persistence};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds tables that a migration creates and leaves without a primary key.
    ///
    /// ## Why it matters
    ///
    /// Rows cannot be told apart, so that two equal ones can be neither changed
    /// nor deleted alone; logical replication refuses UPDATE and DELETE on such
    /// a table unless it has another replica identity.
    ///
    /// ## When it is wrong
    ///
    /// For tables of facts that are only appended to, and for partitions, which
    /// have their parent's.
    ///
    /// ## References
    ///
    /// - [Primary keys](https://www.postgresql.org/docs/current/ddl-constraints.html#DDL-CONSTRAINTS-PRIMARY-KEYS)
    /// - [Replica identity](https://www.postgresql.org/docs/current/logical-replication-publication.html)
    pub struct TableWithoutPrimaryKey = {
        id: "table-without-primary-key",
        summary: "a table is created without a primary key",
        level: Note,
        category: Design,
        on: false,
        since: "0.1.0",
    }
}

impl MigrationRule for TableWithoutPrimaryKey {
    fn file(&self, end: &FileEnd<'_>, sink: &mut MigrationSink) {
        for (part_number, part) in end.file.parts.iter().enumerate() {
            if part.direction == Direction::Down {
                continue;
            }
            for (index, statement) in part.statements.iter().enumerate() {
                let Action::CreateTable(table) = &statement.action else {
                    continue;
                };
                if table.persistence == Persistence::Temporary
                    || table.foreign
                    || table.partition_of.is_some()
                    || !table.inherits.is_empty()
                {
                    continue;
                }
                let name = end.after.qualify(&table.table.name);
                // Dropped, or renamed, since.
                let Some(after) = end.after.known(&name) else {
                    continue;
                };
                if after.primary_key().is_some() {
                    continue;
                }
                sink.report(
                    format!("{name} has no primary key"),
                    "equal rows cannot be told apart, and logical replication refuses to change \
                     rows of it",
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
                    table.table.span,
                )
                .relation(&name)
                .remedy(Remedy::new("give it a primary key"));
            }
        }
    }
}
