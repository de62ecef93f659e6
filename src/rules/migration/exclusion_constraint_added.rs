//! ADD CONSTRAINT … EXCLUDE.

use super::support::altered::Altered;
use super::support::{lock, safe};
use crate::declare_migration_rule;
use crate::finding::Level;
use crate::finding::migration::Remedy;
use crate::migration::locks::Work;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::ConstraintKind;

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `ADD CONSTRAINT … EXCLUDE`.
    ///
    /// ## Why it matters
    ///
    /// Its index is built from the whole table, and every row is checked against
    /// all others, while ACCESS EXCLUSIVE is held: nobody can even read the table
    /// until it is done. An exclusion constraint can neither be `NOT VALID` nor
    /// use an index that is there already.
    ///
    /// ## When it is wrong
    ///
    /// When nobody uses the table while the migration runs, or it is small. With
    /// sizes (`--snapshot`) small tables give a note only.
    ///
    /// ## References
    ///
    /// - [Exclusion constraints](https://www.postgresql.org/docs/current/ddl-constraints.html#DDL-CONSTRAINTS-EXCLUSION)
    pub struct ExclusionConstraintAdded = {
        id: "exclusion-constraint-added",
        summary: "an exclusion constraint builds its index under lock",
        level: Critical,
        category: Locks,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for ExclusionConstraintAdded {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let Some(altered) = Altered::of(step) else {
            return;
        };
        for (number, command, constraint) in altered.constraints() {
            if !matches!(constraint.kind, ConstraintKind::Exclusion { .. }) {
                continue;
            }
            let Some(effect) = altered.working(number, Work::IndexBuild) else {
                continue;
            };
            let name = safe::constraint_name(&altered.table.name, constraint);
            lock::report(
                step,
                sink,
                effect,
                Level::Critical,
                format!(
                    "the index of the exclusion constraint {name} is built while {} is locked",
                    altered.table
                ),
                lock::why_long(effect),
            )
            .span(command.span)
            .relation(altered.table)
            .object(name)
            .remedy(
                Remedy::new("there is no way without the lock: plan a pause, or move the rows")
                    .note(
                        "Without a pause: create a new table with the constraint, let a trigger \
                         copy every change to it, copy the old rows in batches, then swap the names.",
                    ),
            );
        }
    }
}
