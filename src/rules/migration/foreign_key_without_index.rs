//! Foreign keys of new migrations that no index covers.

use super::support::around::{self, columns_sql, listed};
use super::support::{evidence, keys};
use crate::catalog::RelationKind;
use crate::catalog::ident::quote;
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::finding::{Evidence, Level, Origin, Value};
use crate::migration::state::Table;
use crate::rule::migration::{End, MigrationRule, MigrationSink};
use crate::rules::support::show;
use crate::sql::ddl::ConstraintKind;

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds foreign keys that new migrations add and that, after the last
    /// migration, no index of the referencing table covers: no valid index
    /// begins with the key's columns, in any order. An index with a predicate
    /// counts only where it says no more than `column IS NOT NULL`; those of
    /// primary keys and UNIQUE constraints count.
    ///
    /// The index may stand in any file: the schema after the last one is
    /// judged. An index that covers an older foreign key and is dropped is
    /// told by `index-dropped-that-is-needed`.
    ///
    /// ## Why it matters
    ///
    /// PostgreSQL makes an index for the referenced columns, not for the
    /// referencing ones. Each DELETE of a referenced row, and each UPDATE of
    /// its key, looks for rows that refer to it: without an index by a scan
    /// of the whole referencing table, once for each row. Joins from the one
    /// table to the other are without an index, too.
    ///
    /// ## When it is wrong
    ///
    /// When rows of the referenced table are never deleted, their keys never
    /// updated, and no query looks for the rows of one; or when the
    /// referencing table stays small.
    ///
    /// ## References
    ///
    /// - [Foreign keys](https://www.postgresql.org/docs/current/ddl-constraints.html#DDL-CONSTRAINTS-FK)
    pub struct ForeignKeyWithoutIndex = {
        id: "foreign-key-without-index",
        summary: "a foreign key has no index on its own columns",
        level: Warning,
        category: Performance,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for ForeignKeyWithoutIndex {
    fn end(&self, end: &End<'_>, sink: &mut MigrationSink) {
        let history = end.context.history;
        for table in end.after.tables() {
            for (constraint, to, _) in keys::foreign_keys(table) {
                let Some(at) = constraint
                    .added
                    .filter(|added| around::is_new(history, Some(*added)))
                else {
                    continue;
                };
                let columns = &constraint.columns;
                if constraint.inherited > 0 || keys::is_covered(table, columns) {
                    continue;
                }
                let Some(statement) = around::statement_at(history, at) else {
                    continue;
                };
                let written = keys::written(statement, columns, |kind| {
                    matches!(kind, ConstraintKind::ForeignKey { .. })
                });
                if written.is_some_and(|written| written.not_enforced) {
                    continue;
                }
                let span = written.map_or(statement.span, |written| written.span);
                let text = end.context.sources.slice(span).to_lowercase();
                let also = if text.contains("on delete cascade") {
                    ", to delete them, too,"
                } else if text.contains("on delete set") {
                    ", to change them,"
                } else {
                    ""
                };
                let size = table.pages.map_or_else(String::new, |pages| {
                    format!(" ({})", show::bytes(pages * 8192.0))
                });
                let near = keys::nearly(table, columns)
                    .map(|why| format!("; {why}"))
                    .unwrap_or_default();
                let draft = sink
                    .report(
                        format!(
                            "no index covers the foreign key on {} of {} to {to}",
                            listed(columns),
                            table.name
                        ),
                        format!(
                            "each DELETE from {to}, and each UPDATE of its key, looks for the rows that refer to it{also} by a scan of {}{size}{near}",
                            table.name
                        ),
                        evidence::of(statement),
                    )
                    .at(at, span)
                    .relation(&table.name)
                    .object(constraint.name.as_str())
                    .remedy(index_on(end, table, columns));
                let draft = match table.pages {
                    Some(pages) => draft.evidence(Evidence::new(
                        "size of the referencing table",
                        Value::Blocks(pages),
                        Origin::Catalog(table.name.to_string()),
                    )),
                    None => draft,
                };
                // A few pages are read as quickly as an index.
                if table.pages.is_some_and(|pages| pages <= 8.0)
                    && table
                        .created
                        .is_none_or(|at| !around::is_new(history, Some(at)))
                {
                    draft.level(Level::Note);
                }
            }
        }
    }
}

fn index_on(end: &End<'_>, table: &Table, columns: &[String]) -> Remedy {
    let name = keys::free_name(end.after, table, columns);
    let partitioned = table.kind == RelationKind::PartitionedTable;
    let is_new = around::is_new(end.context.history, table.created);
    let sql = |concurrently: &str| {
        format!(
            "CREATE INDEX {concurrently}{} ON {} ({})",
            quote(&name),
            table.name.sql(),
            columns_sql(columns)
        )
    };
    let remedy = Remedy::new("index the foreign key's columns");
    if partitioned || is_new {
        let remedy = remedy.then(sql(""));
        if is_new {
            remedy.note("As long as the table is new, the index costs nothing: put it into the migration that creates the table. Otherwise build it CONCURRENTLY, outside a transaction.")
        } else {
            remedy.note("CONCURRENTLY is not possible on a partitioned table: build the index ON ONLY it, CONCURRENTLY on each partition, and ATTACH them.")
        }
    } else {
        remedy.then_outside(sql("CONCURRENTLY "))
    }
}
