//! A relation named without its schema.

use super::support::{definitions, evidence};
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::{Action, ObjectKind, Persistence, Place};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds relations that are created, altered or dropped by a name without a
    /// schema.
    ///
    /// ## Why it matters
    ///
    /// Which one is meant depends on `search_path`, which differs by user,
    /// database and session: the migration can change another table than the
    /// one that was meant, or create one where nobody looks.
    ///
    /// ## When it is wrong
    ///
    /// When every session of the project has the same `search_path`.
    ///
    /// ## References
    ///
    /// - [The schema search path](https://www.postgresql.org/docs/current/ddl-schemas.html#DDL-SCHEMAS-PATH)
    pub struct NameNotSchemaQualified = {
        id: "name-not-schema-qualified",
        summary: "a table is named without its schema",
        level: Note,
        category: Style,
        on: false,
        since: "0.1.0",
    }
}

impl MigrationRule for NameNotSchemaQualified {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let places: Vec<&Place> = match &step.statement.action {
            Action::CreateTable(table) if table.persistence != Persistence::Temporary => {
                vec![&table.table]
            }
            Action::CreateIndex(index) => vec![&index.table],
            Action::CreateView(view) => vec![&view.name],
            Action::Alter(alter) => vec![&alter.relation],
            Action::Drop(drop)
                if matches!(
                    drop.object,
                    ObjectKind::Table
                        | ObjectKind::View
                        | ObjectKind::MaterializedView
                        | ObjectKind::Index
                        | ObjectKind::Sequence
                        | ObjectKind::ForeignTable
                ) =>
            {
                drop.names.iter().collect()
            }
            _ => return,
        };
        // A file that sets the path itself says which schema it means.
        let says_path = step
            .part
            .statements
            .iter()
            .take(step.at.statement)
            .any(|before| {
                matches!(&before.action, Action::Set(setting) if setting.name == "search_path")
            });
        if !definitions::is_up(step) || says_path {
            return;
        }
        for place in places.iter().filter(|place| place.name.schema.is_none()) {
            sink.report(
                format!("{} is named without its schema", place.name),
                "which one is meant depends on the search_path of the session",
                evidence::statement(step),
            )
            .span(place.span)
            .object(&place.name.name)
            .remedy(Remedy::new("write the schema before the name"));
        }
    }
}
