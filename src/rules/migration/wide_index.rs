//! An index with many keys.

use super::support::{definitions, evidence};
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::Action;

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds new indexes with more than three keys.
    ///
    /// ## Why it matters
    ///
    /// Only conditions on the first keys narrow the search in a B-tree; further
    /// keys make it larger, and every write slower.
    ///
    /// ## When it is wrong
    ///
    /// When queries compare all of the keys, or the index enforces uniqueness.
    ///
    /// ## References
    ///
    /// - [Multicolumn indexes](https://www.postgresql.org/docs/current/indexes-multicolumn.html)
    pub struct WideIndex = {
        id: "wide-index",
        summary: "an index has more than three key columns",
        level: Note,
        category: Design,
        on: false,
        since: "0.1.0",
    }
}

/// So many keys are taken to be meant.
const MOST: usize = 3;

impl MigrationRule for WideIndex {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let Action::CreateIndex(index) = &step.statement.action else {
            return;
        };
        // Other access methods take any key alone, and a unique index needs
        // all of its own.
        if index.keys.len() <= MOST
            || index.unique
            || index.method != "btree"
            || !definitions::is_up(step)
        {
            return;
        }
        let table = step.before.qualify(&index.table.name);
        sink.report(
            format!("the new index on {table} has {} keys", index.keys.len()),
            "only conditions on its first keys narrow a search; the others make it larger and \
             writes slower",
            evidence::statement(step),
        )
        .relation(&table)
        .object(index.name.clone().unwrap_or_default())
        .remedy(
            Remedy::new("keep the keys that queries compare, the most selective first")
                .note("Columns that are only read can stand in INCLUDE."),
        );
    }
}
