//! ATTACH PARTITION without proof.

use super::support::{lock, names, partitions};
use crate::catalog::ident::quote;
use crate::declare_migration_rule;
use crate::finding::Level;
use crate::finding::migration::Remedy;
use crate::migration::locks::Work;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::{Action, AlterKind, ObjectKind};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `ATTACH PARTITION` where nothing proves yet that the rows of the
    /// table fit into the bound.
    ///
    /// ## Why it matters
    ///
    /// The whole table is read to see whether its rows fit, while ACCESS
    /// EXCLUSIVE is held on it; and the default partition, where there is one, to
    /// see whether it holds rows that belong into the new one. A validated CHECK
    /// that implies the bound is proof: then nothing is read.
    ///
    /// ## When it is wrong
    ///
    /// When nobody uses these tables while the migration runs, or they are small.
    ///
    /// ## References
    ///
    /// - [Table partitioning](https://www.postgresql.org/docs/current/ddl-partitioning.html#DDL-PARTITIONING-DECLARATIVE-MAINTENANCE)
    pub struct PartitionAttachedWithScan = {
        id: "partition-attached-with-scan",
        summary: "a partition is attached by reading it, or the default partition, under lock",
        level: Critical,
        category: Locks,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for PartitionAttachedWithScan {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let Action::Alter(alter) = &step.statement.action else {
            return;
        };
        if !lock::is_judged(step) || alter.object != ObjectKind::Table {
            return;
        }
        for (number, command) in alter.commands.iter().enumerate() {
            let AlterKind::AttachPartition {
                partition, bound, ..
            } = &command.kind
            else {
                continue;
            };
            let table = step.before.qualify(&partition.name);
            let found = step
                .effects_in_use()
                .filter(|effect| {
                    effect.work >= Work::Scan
                        && effect.command.is_none_or(|command| command == number)
                })
                .max_by_key(|effect| (effect.relation == table, effect.work));
            let Some(effect) = found else {
                continue;
            };
            let parent = step.before.table(&alter.relation.name);
            let condition = parent.and_then(|parent| partitions::condition(parent, bound));
            let own = effect.relation == table;
            let checked = if own {
                partition.name.sql()
            } else {
                effect.relation.sql()
            };
            let name = quote(&names::object(&effect.relation.name, &[], "bound"));
            let text = match (&condition, own) {
                (Some(condition), true) => condition.clone(),
                (Some(condition), false) => format!("NOT ({condition})"),
                (None, true) => format!("… what {bound} means …"),
                (None, false) => format!("… not what {bound} means …"),
            };
            let remedy = Remedy::new("prove the bound by a CHECK that is validated first")
                .then(format!(
                    "ALTER TABLE {checked} ADD CONSTRAINT {name} CHECK ({text}) NOT VALID"
                ))
                .then_apart(format!("ALTER TABLE {checked} VALIDATE CONSTRAINT {name}"))
                .then_apart(step.text(step.statement.span))
                .then(format!("ALTER TABLE {checked} DROP CONSTRAINT {name}"));
            lock::report(
                step,
                sink,
                effect,
                Level::Critical,
                if own {
                    format!("attaching {} reads all of it", partition.name)
                } else {
                    format!(
                        "attaching {} reads all of the default partition {}",
                        partition.name, effect.relation
                    )
                },
                lock::why_long(effect),
            )
            .span(command.span)
            .object(partition.name.name.clone())
            .remedy(remedy);
        }
    }
}
