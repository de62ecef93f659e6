//! DISABLE TRIGGER ALL, and `session_replication_role`.

use super::support::altered::Altered;
use super::support::{evidence, lock};
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::{Action, AlterKind, Which};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `DISABLE TRIGGER ALL` on a table that was there before the change,
    /// and `SET session_replication_role = replica`.
    ///
    /// ## Why it matters
    ///
    /// Foreign keys are checked by triggers: switched off, rows that break them
    /// come in, and enabling the triggers again does not look for them. The
    /// constraint still counts as validated.
    ///
    /// ## When it is wrong
    ///
    /// When the rows written meanwhile are known to be right. `DISABLE TRIGGER
    /// USER` switches off the other triggers only.
    ///
    /// ## References
    ///
    /// - [ALTER TABLE](https://www.postgresql.org/docs/current/sql-altertable.html)
    /// - [session_replication_role](https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-SESSION-REPLICATION-ROLE)
    pub struct ForeignKeyChecksDisabled = {
        id: "foreign-key-checks-disabled",
        summary: "foreign keys are not checked for a while",
        level: Warning,
        category: Compatibility,
        on: true,
        since: "0.1.0",
    }
}

const WHY: &str = "rows that break a foreign key come in, and switching the checks on again does \
                   not look for them";

impl MigrationRule for ForeignKeyChecksDisabled {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        if !lock::is_judged(step) {
            return;
        }
        match &step.statement.action {
            Action::Set(setting)
                if setting.name == "session_replication_role"
                    && setting.value.as_deref() == Some("replica") =>
            {
                sink.report(
                    "triggers and foreign keys of every table are switched off for the session",
                    WHY,
                    evidence::statement(step),
                )
                .remedy(Remedy::new("keep the checks on").note(
                    "For rows that reference each other, DEFERRABLE constraints and SET \
                         CONSTRAINTS ALL DEFERRED check at the end of the transaction.",
                ));
            }
            Action::Alter(_) => {
                let Some(altered) = Altered::of(step) else {
                    return;
                };
                for (_, command) in altered.commands() {
                    if !matches!(command.kind, AlterKind::DisableTrigger(Which::All)) {
                        continue;
                    }
                    sink.report(
                        format!("foreign keys of {} are not checked any more", altered.table),
                        WHY,
                        evidence::statement(step),
                    )
                    .span(command.span)
                    .relation(altered.table)
                    .remedy(
                        Remedy::new("switch off the other triggers only")
                            .then(format!("ALTER TABLE {} DISABLE TRIGGER USER", altered.sql)),
                    );
                }
            }
            _ => {}
        }
    }
}
