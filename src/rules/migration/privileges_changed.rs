//! REVOKE and OWNER TO.

use super::support::around::in_use;
use super::support::evidence;
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::{Action, AlterKind};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `REVOKE` on tables that were there before the change, and `OWNER
    /// TO`.
    ///
    /// ## Why it matters
    ///
    /// Running programs that log in as another role may lose a right that
    /// they use.
    ///
    /// ## When it is wrong
    ///
    /// When the rights are managed by migrations on purpose. The rule is off
    /// unless it is asked for.
    ///
    /// ## References
    ///
    /// - [Privileges](https://www.postgresql.org/docs/current/ddl-priv.html)
    pub struct PrivilegesChanged = {
        id: "privileges-changed",
        summary: "privileges are taken away, or a table gets another owner",
        level: Note,
        category: Compatibility,
        on: false,
        since: "0.1.0",
    }
}

impl MigrationRule for PrivilegesChanged {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let remedy = || Remedy::new("check first which roles the running programs log in as");
        match &step.statement.action {
            Action::Grant {
                revoke: true,
                relations,
            } => {
                for name in relations {
                    let Some(table) = in_use(step, name, false) else {
                        continue;
                    };
                    sink.report(
                        format!("privileges on {table} are taken away"),
                        "programs that use them fail from then on",
                        evidence::statement(step),
                    )
                    .relation(&table)
                    .remedy(remedy());
                }
            }
            Action::Alter(alter) => {
                for command in &alter.commands {
                    if !matches!(command.kind, AlterKind::OwnerTo) {
                        continue;
                    }
                    let Some(table) = in_use(step, &alter.relation.name, alter.if_exists) else {
                        continue;
                    };
                    sink.report(
                        format!("{table} gets another owner"),
                        "the old owner loses all rights that it was not granted, and the right to alter it",
                        evidence::statement(step),
                    )
                    .span(command.span)
                    .relation(&table)
                    .remedy(remedy());
                }
            }
            _ => {}
        }
    }
}
