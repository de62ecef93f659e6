//! ALTER DOMAIN that reads tables.

use super::support::{lock, names, size};
use crate::catalog::ident::quote;
use crate::declare_migration_rule;
use crate::finding::Level;
use crate::finding::migration::Remedy;
use crate::migration::locks::{Effect, Work};
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::{Action, AlterDomainKind};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `ALTER DOMAIN … ADD CONSTRAINT` without `NOT VALID`, and `ALTER
    /// DOMAIN … SET NOT NULL`, where a table that was there before the change
    /// uses the domain.
    ///
    /// ## Why it matters
    ///
    /// Every table that has a column of the domain is read as a whole, locked in
    /// SHARE mode, so that writes to it wait. Added `NOT VALID` the constraint
    /// holds for new values at once and locks no table.
    ///
    /// ## When it is wrong
    ///
    /// When nobody uses the table while the migration runs, or it is small. With
    /// sizes (`--snapshot`) small tables give a note only.
    ///
    /// ## References
    ///
    /// - [ALTER DOMAIN](https://www.postgresql.org/docs/current/sql-alterdomain.html)
    pub struct DomainConstraintScansTables = {
        id: "domain-constraint-scans-tables",
        summary: "a constraint of a domain reads every table that uses it",
        level: Critical,
        category: Locks,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for DomainConstraintScansTables {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let Action::AlterDomain(alter) = &step.statement.action else {
            return;
        };
        if !lock::is_judged(step) {
            return;
        }
        let domain = alter.name.name.sql();
        let validate =
            |name: &str| format!("ALTER DOMAIN {domain} VALIDATE CONSTRAINT {}", quote(name));
        let remedy = match &alter.kind {
            AlterDomainKind::AddConstraint {
                constraint,
                not_valid: false,
            } => {
                let text = step.text(step.statement.span);
                let name = constraint
                    .clone()
                    .unwrap_or_else(|| names::object(&alter.name.name.name, &[], "check"));
                Remedy::new("add it NOT VALID, and validate it in a migration of its own")
                    .then(format!("{text} NOT VALID"))
                    .then_apart(validate(&name))
            }
            AlterDomainKind::SetNotNull => {
                let name = names::object(&alter.name.name.name, &[], "not_null");
                Remedy::new("forbid NULL by a CHECK that is NOT VALID, and validate it apart")
                    .then(format!(
                        "ALTER DOMAIN {domain} ADD CONSTRAINT {} CHECK (VALUE IS NOT NULL) NOT \
                         VALID",
                        quote(&name)
                    ))
                    .then_apart(validate(&name))
            }
            _ => return,
        };
        let effect = step
            .effects_in_use()
            .filter(|effect| effect.work >= Work::Scan && effect.mode.blocks_writes())
            .max_by(|a, b| {
                let pages = |effect: &Effect| size::pages(step, &effect.relation).unwrap_or(0.0);
                pages(a).total_cmp(&pages(b))
            });
        let Some(effect) = effect else {
            return;
        };
        let tables: Vec<String> = step
            .effects_in_use()
            .filter(|effect| effect.work >= Work::Scan)
            .map(|effect| effect.relation.to_string())
            .collect();
        lock::report(
            step,
            sink,
            effect,
            Level::Critical,
            format!(
                "the constraint of domain {} reads all of {}",
                alter.name.name,
                tables.join(", ")
            ),
            lock::why_long(effect),
        )
        .object(alter.name.name.to_string())
        .remedy(remedy);
    }
}
