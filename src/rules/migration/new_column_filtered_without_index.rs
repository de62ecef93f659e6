//! New columns that queries compare, without an index.

use super::support::around::{self};
use super::support::{keys, workload};
use crate::catalog::RelationKind;
use crate::catalog::ident::quote;
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::finding::{Evidence, Level, Origin, Value};
use crate::migration::state::{Qualified, Table};
use crate::rule::migration::{End, MigrationRule, MigrationSink};
use crate::rules::support::show;

declare_migration_rule! {
    /// ## What it does
    ///
    /// With `--workload`: finds columns that new migrations add to tables
    /// that were there before, that queries of the workload compare with a
    /// value or join on, while after the last migration no index begins with
    /// them and no other column of the condition has one.
    ///
    /// ## Why it matters
    ///
    /// The queries of the new release read the whole table, which nobody
    /// notices while it is small.
    ///
    /// ## When it is wrong
    ///
    /// When the table stays small, or the other conditions of the queries
    /// leave few rows.
    ///
    /// ## References
    ///
    /// - [Indexes](https://www.postgresql.org/docs/current/indexes-intro.html)
    pub struct NewColumnFilteredWithoutIndex = {
        id: "new-column-filtered-without-index",
        summary: "queries compare a new column that no index begins with",
        level: Warning,
        category: Performance,
        on: true,
        needs: [Workload],
        since: "0.1.0",
    }
}

impl MigrationRule for NewColumnFilteredWithoutIndex {
    fn end(&self, end: &End<'_>, sink: &mut MigrationSink) {
        let history = end.context.history;
        let Some(queries) = end.context.workload else {
            return;
        };
        // Columns of a query that stand beside one with an index are found
        // through that one.
        let mut found: std::collections::BTreeMap<(Qualified, String), Vec<usize>> =
            std::collections::BTreeMap::new();
        for (number, query) in queries.iter().enumerate() {
            let compared = workload::compared(query, end.after);
            for (name, column) in &compared {
                let Some(table) = end.after.known(name) else {
                    continue;
                };
                let served = compared
                    .iter()
                    .filter(|(other, _)| other == name)
                    .any(|(_, column)| has_index(table, column));
                let added = table.column(column).and_then(|column| column.added);
                let same_statement = added == table.created;
                if !served && !same_statement && around::is_new(history, added) {
                    found
                        .entry((name.clone(), column.clone()))
                        .or_default()
                        .push(number);
                }
            }
        }
        for ((name, column), numbers) in found {
            let Some(table) = end.after.known(&name) else {
                continue;
            };
            let Some(at) = table.column(&column).and_then(|column| column.added) else {
                continue;
            };
            let same_change = table.created.is_some_and(|created| {
                created.file == at.file
                    || (end.context.one_change && around::is_new(history, Some(created)))
            });
            let (Some(statement), Some(query)) = (
                around::statement_at(history, at),
                numbers.first().and_then(|number| queries.get(*number)),
            ) else {
                continue;
            };
            if same_change || table.kind == RelationKind::View {
                continue;
            }
            let size = table.pages.map_or_else(String::new, |pages| {
                format!(" ({})", show::bytes(pages * 8192.0))
            });
            let draft = sink
                .report(
                    format!(
                        "{column} is new in {name}, {} it, and no index begins with it",
                        show::plural(
                            numbers.len() as f64,
                            "query of the workload compares",
                            "queries of the workload compare"
                        )
                    ),
                    format!(
                        "{} the whole table{size}",
                        if numbers.len() == 1 {
                            "it reads"
                        } else {
                            "they read"
                        }
                    ),
                    Evidence::new(
                        "query",
                        Value::Text(
                            end.context
                                .sources
                                .slice(query.span)
                                .chars()
                                .take(200)
                                .collect(),
                        ),
                        Origin::Sql(query.span),
                    ),
                )
                .at(at, keys::place_of_column(statement, &column))
                .relation(&name)
                .object(column.as_str())
                .remedy(
                    Remedy::new("index the column, before the queries run").then_outside(format!(
                        "CREATE INDEX CONCURRENTLY {} ON {} ({})",
                        quote(&keys::free_name(
                            end.after,
                            table,
                            std::slice::from_ref(&column)
                        )),
                        name.sql(),
                        quote(&column)
                    )),
                );
            if table.pages.is_some_and(|pages| pages <= 8.0) {
                draft.level(Level::Note);
            }
        }
    }
}

fn has_index(table: &Table, column: &str) -> bool {
    table.indexes.iter().any(|index| {
        index.valid && index.keys.first().and_then(|key| key.column.as_deref()) == Some(column)
    })
}
