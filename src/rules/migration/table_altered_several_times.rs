//! Several ALTER TABLE that each read or write the table.

use std::collections::BTreeMap;

use super::support::{evidence, walk};
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::migration::locks::Work;
use crate::migration::state::Qualified;
use crate::rule::migration::{FileEnd, MigrationRule, MigrationSink};
use crate::sql::ddl::Action;

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds the second `ALTER TABLE` of a file that reads or writes anew all of
    /// a table that was there before the change. One finding a file and table.
    ///
    /// ## Why it matters
    ///
    /// Commands of one `ALTER TABLE` share one pass over the table; as statements
    /// of their own each makes its own, and each waits for its lock anew.
    ///
    /// ## When it is wrong
    ///
    /// When they are apart on purpose, to keep each lock short.
    ///
    /// ## References
    ///
    /// - [ALTER TABLE](https://www.postgresql.org/docs/current/sql-altertable.html)
    pub struct TableAlteredSeveralTimes = {
        id: "table-altered-several-times",
        summary: "several ALTER TABLE read or write one table again and again",
        level: Note,
        category: Locks,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for TableAlteredSeveralTimes {
    fn file(&self, end: &FileEnd<'_>, sink: &mut MigrationSink) {
        if end.locked.len() < 2 {
            return;
        }
        let places = walk::statements(end.number, end.file);
        let mut passes: BTreeMap<&Qualified, usize> = BTreeMap::new();
        for (at, span, effects) in end.locked {
            let Some(Action::Alter(alter)) =
                walk::statement(&places, *at).map(|statement| &statement.action)
            else {
                continue;
            };
            let table = end.after.qualify(&alter.relation.name);
            let Some(effect) = effects
                .iter()
                .filter(|effect| {
                    effect.relation == table
                        && effect.mode.blocks_reads()
                        && matches!(effect.work, Work::Scan | Work::Rewrite)
                })
                .max_by_key(|effect| effect.work)
            else {
                continue;
            };
            let count = passes.entry(&effect.relation).or_default();
            *count += 1;
            if *count != 2 {
                continue;
            }
            sink.report(
                format!("{table} is read or written as a whole a second time"),
                "commands of one ALTER TABLE share one pass over the table",
                evidence::lock_at(*span, effect),
            )
            .at(*at, *span)
            .effect(effect)
            .remedy(Remedy::new(
                "put the commands into one ALTER TABLE, with commas between",
            ));
        }
    }
}
