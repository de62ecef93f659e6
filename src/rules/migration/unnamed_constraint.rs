//! A constraint without a name.

use super::support::{definitions, evidence};
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::ConstraintKind;

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds constraints that are added to a table without a name.
    ///
    /// ## Why it matters
    ///
    /// PostgreSQL makes one up, with a number where it is taken already. A
    /// later migration that drops or validates it must know that name, which
    /// may differ from database to database.
    ///
    /// ## When it is wrong
    ///
    /// When nothing ever names the constraint.
    ///
    /// ## References
    ///
    /// - [Constraints](https://www.postgresql.org/docs/current/ddl-constraints.html)
    pub struct UnnamedConstraint = {
        id: "unnamed-constraint",
        summary: "a constraint is added without a name",
        level: Note,
        category: Style,
        on: false,
        since: "0.1.0",
    }
}

impl MigrationRule for UnnamedConstraint {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        for (table, constraint) in definitions::constraints(step) {
            if constraint.name.is_some()
                || constraint.using_index.is_some()
                || matches!(constraint.kind, ConstraintKind::NotNull)
            {
                continue;
            }
            sink.report(
                format!("a constraint of {table} has no name"),
                "PostgreSQL makes one up, and later migrations must guess it",
                evidence::statement(step),
            )
            .span(constraint.span)
            .relation(&table)
            .object(constraint.columns.join(","))
            .remedy(Remedy::new("write CONSTRAINT and a name before it"));
        }
    }
}
