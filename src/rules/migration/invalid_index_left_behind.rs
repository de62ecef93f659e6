//! CREATE INDEX CONCURRENTLY IF NOT EXISTS.

use super::support::{evidence, lock, safe};
use crate::catalog::ident::quote;
use crate::declare_migration_rule;
use crate::finding::Level;
use crate::finding::migration::Remedy;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::source::Span;
use crate::sql::ddl::{Action, CreateIndex, Name, ObjectKind};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `CREATE INDEX CONCURRENTLY IF NOT EXISTS` that nothing makes sure
    /// to start from nothing: no `DROP INDEX IF EXISTS` of that name stands
    /// before it.
    ///
    /// ## Why it matters
    ///
    /// When `CREATE INDEX CONCURRENTLY` fails (a timeout, a deadlock, a
    /// duplicate key), the index stays behind, invalid: it is kept up to date
    /// by every write and used by no query. Run again, `IF NOT EXISTS` finds
    /// the name taken, does nothing, and the migration counts as applied.
    ///
    /// ## When it is wrong
    ///
    /// When somebody looks for invalid indexes after a failure.
    ///
    /// ## References
    ///
    /// - [Building indexes concurrently](https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY)
    pub struct InvalidIndexLeftBehind = {
        id: "invalid-index-left-behind",
        summary: "IF NOT EXISTS hides an invalid index of a failed try",
        level: Note,
        category: Failure,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for InvalidIndexLeftBehind {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let Action::CreateIndex(index) = &step.statement.action else {
            return;
        };
        let Some(name) = index
            .name
            .as_ref()
            .filter(|_| index.concurrently && index.if_not_exists)
        else {
            return;
        };
        let table = step.before.qualify(&index.table.name);
        if !lock::is_judged(step) || !step.is_in_use(&table) || is_dropped_before(step, name) {
            return;
        }
        let found = step
            .before
            .index(&Name::qualified(&table.schema, name))
            .filter(|(_, index)| !index.valid);
        let level = if found.is_some() {
            Level::Warning
        } else {
            Level::Note
        };
        let dropped = match &index.table.name.schema {
            Some(schema) => format!("{}.{}", quote(schema), quote(name)),
            None => quote(name),
        };
        let remedy = safe::outside(
            step,
            Remedy::new("drop what a failed try may have left, then build")
                .then_outside(format!("DROP INDEX CONCURRENTLY IF EXISTS {dropped}"))
                .then_outside(without_if_not_exists(step, index)),
        );
        sink.report(
            format!("IF NOT EXISTS takes an invalid index {name} of a failed try for done"),
            "a failed CREATE INDEX CONCURRENTLY leaves its index behind, invalid; the next try \
             finds the name taken and does nothing",
            evidence::statement(step),
        )
        .level(level)
        .relation(&table)
        .object(name.clone())
        .remedy(remedy);
    }
}

/// The file drops an index of that name before.
fn is_dropped_before(step: &Step<'_>, name: &str) -> bool {
    step.part
        .statements
        .iter()
        .take(step.at.statement)
        .rev()
        .take(100)
        .any(|statement| {
            matches!(&statement.action, Action::Drop(drop)
                if drop.object == ObjectKind::Index
                    && drop.names.iter().any(|place| place.name.name == name))
        })
}

fn without_if_not_exists(step: &Step<'_>, index: &CreateIndex) -> String {
    let span = step.statement.span;
    let head = step.text(Span {
        end: index.after_index,
        ..span
    });
    let tail = step.text(Span {
        start: index.table.span.start,
        ..span
    });
    let name = index.name.as_deref().map(quote).unwrap_or_default();
    let only = if index.only { "ONLY " } else { "" };
    format!("{head} CONCURRENTLY {name} ON {only}{tail}")
}
