//! NOT VALID that nothing validates.

use super::support::{around, evidence, keys};
use crate::catalog::ident::quote;
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::rule::migration::{End, MigrationRule, MigrationSink};
use crate::sql::ddl::{Action, AlterKind};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds constraints that new migrations add `NOT VALID` and that no
    /// migration validates up to the last one.
    ///
    /// ## Why it matters
    ///
    /// New rows are checked, old ones are not: they may break it. The planner
    /// does not rely on a constraint that is not valid (a CHECK does not
    /// spare `SET NOT NULL` its scan, or exclude partitions), a dump that is
    /// restored fails when an old row breaks it, and nobody remembers the
    /// second step later.
    ///
    /// ## When it is wrong
    ///
    /// When the VALIDATE comes with the next release: then this is a
    /// reminder.
    ///
    /// ## References
    ///
    /// - [ALTER TABLE … VALIDATE CONSTRAINT](https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-VALIDATE-CONSTRAINT)
    pub struct ConstraintNeverValidated = {
        id: "constraint-never-validated",
        summary: "a constraint is added NOT VALID, and no migration validates it",
        level: Note,
        category: Performance,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for ConstraintNeverValidated {
    fn end(&self, end: &End<'_>, sink: &mut MigrationSink) {
        let history = end.context.history;
        for table in end.after.tables() {
            for constraint in &table.constraints {
                let Some(at) = constraint
                    .added
                    .filter(|at| !constraint.validated && around::is_new(history, Some(*at)))
                else {
                    continue;
                };
                let Some(statement) = around::statement_at(history, at) else {
                    continue;
                };
                // A partition's copy is told with its parent's.
                let named = match &statement.action {
                    Action::Alter(alter) => end.after.qualify(&alter.relation.name) == table.name,
                    _ => true,
                };
                let not_enforced = matches!(&statement.action, Action::Alter(alter)
                    if alter.commands.iter().any(|command| matches!(&command.kind,
                        AlterKind::AddConstraint(added) if added.not_enforced)));
                if !named || not_enforced {
                    continue;
                }
                let span = keys::written_as(statement, constraint)
                    .map_or(statement.span, |written| written.span);
                sink.report(
                    format!(
                        "{} of {} is added NOT VALID, and no migration validates it",
                        constraint.name, table.name
                    ),
                    "old rows may break it, and the planner does not rely on it",
                    evidence::of(statement),
                )
                .at(at, span)
                .relation(&table.name)
                .object(constraint.name.as_str())
                .remedy(
                    Remedy::new("validate it in a migration of its own").then_apart(format!(
                        "ALTER TABLE {} VALIDATE CONSTRAINT {}",
                        table.name.sql(),
                        quote(&constraint.name)
                    )),
                );
            }
        }
    }
}
