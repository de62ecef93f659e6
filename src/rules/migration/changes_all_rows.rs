//! UPDATE or DELETE without WHERE on a table in use.

use super::support::around::{in_use, size};
use super::support::evidence;
use crate::catalog::ident::quote;
use crate::declare_migration_rule;
use crate::finding::Level;
use crate::finding::migration::Remedy;
use crate::migration::state::{Qualified, Table};
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::{Action, Dml, DmlKind};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `UPDATE` and `DELETE` without WHERE (or with one that is always
    /// true) on a table that was there before the change.
    ///
    /// Where sizes are known, a table of less than 10,000 rows is a note.
    ///
    /// ## Why it matters
    ///
    /// Every row is written anew and locked until the transaction ends, so
    /// that running programs wait on each row that they change, replicas fall
    /// behind, and the table and its indexes grow to twice their size before
    /// VACUUM can clean up. Taken with other statements in one transaction,
    /// their locks are held as long.
    ///
    /// ## When it is wrong
    ///
    /// When the table is small, or nobody writes to it.
    ///
    /// ## References
    ///
    /// - [UPDATE](https://www.postgresql.org/docs/current/sql-update.html)
    /// - [Row-level locks](https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-ROWS)
    pub struct ChangesAllRows = {
        id: "changes-all-rows",
        summary: "every row of a table is changed or deleted in one statement",
        level: Warning,
        category: Compatibility,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for ChangesAllRows {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let Action::Dml(dml) = &step.statement.action else {
            return;
        };
        if !matches!(dml.kind, DmlKind::Update | DmlKind::Delete) || dml.filtered || dml.limited {
            return;
        }
        let Some(table) = dml
            .target
            .as_ref()
            .and_then(|target| in_use(step, &target.name, false))
        else {
            return;
        };
        let known = step.before.known(&table);
        let (message, why) = if dml.kind == DmlKind::Update {
            (
                format!("every row of {table} is updated in one statement"),
                format!(
                    "all its rows{} are written anew and stay locked until the transaction ends",
                    size(step, &table)
                ),
            )
        } else {
            (
                format!("every row of {table} is deleted"),
                format!("all its rows{} are lost", size(step, &table)),
            )
        };
        let draft = sink
            .report(message, why, evidence::statement(step))
            .relation(&table)
            .remedy(batches(step, dml, known, &table));
        if known
            .and_then(|known| known.rows)
            .is_some_and(|rows| rows < 10_000.0)
        {
            draft.level(Level::Note);
        }
    }
}

/// The same in batches over the primary key, where it is one number.
fn batches(step: &Step<'_>, dml: &Dml, known: Option<&Table>, table: &Qualified) -> Remedy {
    if dml.kind == DmlKind::Delete {
        return Remedy::new("keep a copy of the rows, or delete them in batches")
            .note("TRUNCATE is quicker than DELETE for all rows, but takes ACCESS EXCLUSIVE.");
    }
    let remedy = Remedy::new("update in batches, each committed apart");
    let key = known
        .and_then(Table::primary_key)
        .filter(|key| key.columns.len() == 1)
        .and_then(|key| key.columns.first());
    let numeric = key
        .and_then(|key| known?.column(key)?.type_name.as_ref())
        .is_some_and(|type_name| matches!(type_name.base.name.as_str(), "int2" | "int4" | "int8"));
    let only_target = dml
        .reads
        .iter()
        .all(|name| step.before.qualify(name) == *table);
    let (Some(key), true, true) = (key, numeric, only_target) else {
        return remedy.note(
            "Take a range of the key at a time, commit, and go on until no row is left: programs then wait for one batch at most.",
        );
    };
    let key = quote(key);
    let update = step.text(step.statement.span);
    let update = update.trim_end_matches(';').trim_end();
    // A WHERE that is always true, or RETURNING, cannot be added to.
    let lower = update.to_lowercase();
    if lower.contains("where") || lower.contains("returning") || lower.starts_with("with") {
        return remedy;
    }
    remedy
        .then_outside(format!(
            "DO $$\n\
             DECLARE\n  \
               low bigint := (SELECT min({key}) FROM {table});\n  \
               high bigint := (SELECT max({key}) FROM {table});\n\
             BEGIN\n  \
               WHILE low <= high LOOP\n    \
                 {update}\n    \
                 WHERE {key} >= low AND {key} < low + 10000;\n    \
                 COMMIT;\n    \
                 low := low + 10000;\n  \
               END LOOP;\n\
             END $$",
            table = table.sql()
        ))
        .note("COMMIT in a DO block works only outside a transaction.")
}
