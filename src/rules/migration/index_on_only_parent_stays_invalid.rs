//! CREATE INDEX ON ONLY that is never completed.

use super::support::around::{self, listed};
use super::support::evidence;
use crate::catalog::ident::quote;
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::migration::state::Qualified;
use crate::rule::migration::{End, MigrationRule, MigrationSink};
use crate::sql::ddl::Action;

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds indexes that new migrations make `ON ONLY` a partitioned table,
    /// while after the last migration not every partition has an index
    /// attached to it.
    ///
    /// ## Why it matters
    ///
    /// The index is invalid until an index of each partition is attached: the
    /// planner does not use it for partitions that have none, it does not
    /// make anything unique, and a primary key cannot be made of it.
    ///
    /// ## When it is wrong
    ///
    /// When the partitions get their indexes with the next release: then this
    /// is a reminder.
    ///
    /// ## References
    ///
    /// - [Partition maintenance](https://www.postgresql.org/docs/current/ddl-partitioning.html#DDL-PARTITIONING-DECLARATIVE-MAINTENANCE)
    pub struct IndexOnOnlyParentStaysInvalid = {
        id: "index-on-only-parent-stays-invalid",
        summary: "an index ON ONLY a partitioned table stays invalid",
        level: Warning,
        category: Performance,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for IndexOnOnlyParentStaysInvalid {
    fn end(&self, end: &End<'_>, sink: &mut MigrationSink) {
        let history = end.context.history;
        for table in end.after.tables() {
            if !table.is_partitioned() {
                continue;
            }
            for index in &table.indexes {
                let Some(at) = index
                    .created
                    .filter(|at| !index.valid && around::is_new(history, Some(*at)))
                else {
                    continue;
                };
                let Some(statement) = around::statement_at(history, at) else {
                    continue;
                };
                if !matches!(&statement.action, Action::CreateIndex(create) if create.only) {
                    continue;
                }
                let parent = Qualified::new(&table.name.schema, &index.name);
                let without: Vec<&Qualified> = table
                    .children
                    .iter()
                    .filter(|child| {
                        end.after.known(child).is_some_and(|child| {
                            !child
                                .indexes
                                .iter()
                                .any(|own| own.valid && own.parent.as_ref() == Some(&parent))
                        })
                    })
                    .collect();
                if without.is_empty() {
                    continue;
                }
                let mut remedy = Remedy::new("index each partition, and attach the indexes");
                for child in without.iter().take(3) {
                    let own =
                        Qualified::new(&child.schema, format!("{}_{}", child.name, index.name));
                    let columns: Vec<String> = index
                        .keys
                        .iter()
                        .map(|key| match &key.column {
                            Some(column) => quote(column),
                            None => format!("({})", key.text),
                        })
                        .collect();
                    remedy = remedy
                        .then_outside(format!(
                            "CREATE {}INDEX CONCURRENTLY {} ON {} USING {} ({})",
                            if index.unique { "UNIQUE " } else { "" },
                            quote(&own.name),
                            child.sql(),
                            index.method,
                            columns.join(", ")
                        ))
                        .then_apart(format!(
                            "ALTER INDEX {} ATTACH PARTITION {}",
                            parent.sql(),
                            own.sql()
                        ));
                }
                sink.report(
                    format!(
                        "{} is made ON ONLY {}, and {} attached",
                        index.name,
                        table.name,
                        if without.len() == 1 {
                            format!("the index of its partition {} is not", listed(&without))
                        } else {
                            format!("the indexes of its partitions {} are not", listed(&without))
                        }
                    ),
                    "it stays invalid until an index of each partition is attached",
                    evidence::of(statement),
                )
                .at(at, statement.span)
                .relation(&table.name)
                .object(index.name.as_str())
                .remedy(remedy);
            }
        }
    }
}
