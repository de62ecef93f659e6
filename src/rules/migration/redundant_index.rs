//! Indexes that begin another one.

use super::support::{around, evidence, keys};
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::finding::{Evidence, Origin, Value};
use crate::migration::state::{Owner, Qualified};
use crate::rule::migration::{End, MigrationRule, MigrationSink};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds B-tree indexes that are not unique and whose keys are the first
    /// keys of another valid index of the table, with the same operator
    /// classes, order and predicate, where a new migration made one of the
    /// two.
    ///
    /// ## Why it matters
    ///
    /// The wider index serves every search that the narrow one serves. Each
    /// INSERT, and most UPDATEs, write both.
    ///
    /// ## When it is wrong
    ///
    /// When the narrow one is much smaller and searched very often, or the
    /// wider one has large keys.
    ///
    /// ## References
    ///
    /// - [Multicolumn indexes](https://www.postgresql.org/docs/current/indexes-multicolumn.html)
    pub struct RedundantIndex = {
        id: "redundant-index",
        summary: "an index is the beginning of another one",
        level: Note,
        category: Performance,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for RedundantIndex {
    fn end(&self, end: &End<'_>, sink: &mut MigrationSink) {
        let history = end.context.history;
        for table in end.after.tables() {
            for narrow in &table.indexes {
                if narrow.parent.is_some() || narrow.owner != Owner::Index {
                    continue;
                }
                let Some(wide) = table
                    .indexes
                    .iter()
                    .filter(|wide| wide.name != narrow.name && keys::is_prefix(narrow, wide))
                    .min_by_key(|wide| wide.keys.len())
                else {
                    continue;
                };
                let place = [narrow.created, wide.created]
                    .into_iter()
                    .flatten()
                    .filter(|at| around::is_new(history, Some(*at)))
                    .max();
                let Some(at) = place else {
                    continue;
                };
                let Some(statement) = around::statement_at(history, at) else {
                    continue;
                };
                let subject = if narrow.created == Some(at) {
                    narrow
                } else {
                    wide
                };
                sink.report(
                    format!(
                        "{} of {} is the beginning of {}",
                        narrow.name, table.name, wide.name
                    ),
                    "the wider index serves its searches, too, and each INSERT writes both",
                    evidence::of(statement),
                )
                .at(at, keys::place_of_index(statement, subject))
                .relation(&table.name)
                .object(narrow.name.as_str())
                .evidence(Evidence::new(
                    "the wider index",
                    Value::Text(wide.name.clone()),
                    Origin::Catalog(wide.name.clone()),
                ))
                .remedy(
                    Remedy::new(format!("leave {} out, or drop it", narrow.name)).then_outside(
                        format!(
                            "DROP INDEX CONCURRENTLY {}",
                            Qualified::new(&table.name.schema, &narrow.name).sql()
                        ),
                    ),
                );
            }
        }
    }
}
