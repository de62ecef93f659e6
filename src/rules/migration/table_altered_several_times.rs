//! Several ALTER TABLE that each read or write the table.

use std::collections::BTreeMap;

use super::support::{evidence, walk};
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::migration::locks::Work;
use crate::migration::state::Qualified;
use crate::rule::migration::{FileEnd, MigrationRule, MigrationSink};
use crate::sql::ddl::{Action, ObjectKind, Statement};

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
        // How often the second statement could have been one with the first:
        // nothing stands between that it may depend on.
        let mut passes: BTreeMap<&Qualified, (usize, usize)> = BTreeMap::new();
        let mut rest = places.iter();
        let mut barriers = 0;
        for (at, span, effects) in end.locked {
            while let Some(place) = rest.as_slice().first().filter(|place| place.at <= *at) {
                barriers += usize::from(!is_passed(place.statement));
                rest.next();
            }
            let Some(Action::Alter(alter)) = walk::statement(&places, *at)
                .filter(|_| at.inner == 0)
                .map(|statement| &statement.action)
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
            let (behind, count) = passes.entry(&effect.relation).or_default();
            if *behind != barriers {
                (*behind, *count) = (barriers, 0);
            }
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

/// Whether an ALTER TABLE behind the statement can be moved before it: it
/// writes no rows and makes nothing that a command could need.
fn is_passed(statement: &Statement) -> bool {
    match &statement.action {
        Action::Alter(alter) => alter.object == ObjectKind::Table,
        Action::CreateIndex(_) | Action::Set(_) | Action::Comment { .. } => true,
        _ => false,
    }
}
