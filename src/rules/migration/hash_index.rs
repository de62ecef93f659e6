//! A hash index.

use super::support::{definitions, evidence};
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::Action;

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds new indexes of the hash method.
    ///
    /// ## Why it matters
    ///
    /// A hash index answers `=` alone: no ranges, no ordering, no uniqueness,
    /// no second key, no index-only scan. A B-tree answers `=` nearly as fast.
    ///
    /// ## When it is wrong
    ///
    /// For long values that are only compared with `=`: a hash index keeps four
    /// bytes of each.
    ///
    /// ## References
    ///
    /// - [Hash indexes](https://www.postgresql.org/docs/current/hash-index.html)
    pub struct HashIndex = {
        id: "hash-index",
        summary: "a hash index is built, where a B-tree can do more",
        level: Note,
        category: Design,
        on: false,
        since: "0.1.0",
    }
}

impl MigrationRule for HashIndex {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let Action::CreateIndex(index) = &step.statement.action else {
            return;
        };
        if index.method != "hash" || !definitions::is_up(step) {
            return;
        }
        let table = step.before.qualify(&index.table.name);
        sink.report(
            format!("the new index on {table} is a hash index"),
            "it answers = alone: no ranges, no ordering, no uniqueness, no index-only scan",
            evidence::statement(step),
        )
        .relation(&table)
        .object(index.name.clone().unwrap_or_default())
        .remedy(Remedy::new("use a B-tree, the default method"));
    }
}
