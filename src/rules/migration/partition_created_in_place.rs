//! CREATE TABLE … PARTITION OF a table in use.

use super::support::{lock, partitions};
use crate::declare_migration_rule;
use crate::finding::Level;
use crate::finding::migration::Remedy;
use crate::migration::locks::Work;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::{Action, CreateTable, PartitionOf};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `CREATE TABLE … PARTITION OF` a table that was there before the
    /// change.
    ///
    /// ## Why it matters
    ///
    /// The partitioned table is locked in ACCESS EXCLUSIVE mode, so that every
    /// query of it waits, SELECT included; where there is a default partition,
    /// that is read as well, to see whether it holds rows that belong into the
    /// new one. A table created apart and attached needs only SHARE UPDATE
    /// EXCLUSIVE, which lets reads and writes through.
    ///
    /// ## When it is wrong
    ///
    /// When no long transactions use the table; with a `lock_timeout` in force,
    /// and no default partition to be read, the finding is a note.
    ///
    /// ## References
    ///
    /// - [Table partitioning](https://www.postgresql.org/docs/current/ddl-partitioning.html#DDL-PARTITIONING-DECLARATIVE-MAINTENANCE)
    pub struct PartitionCreatedInPlace = {
        id: "partition-created-in-place",
        summary: "CREATE TABLE … PARTITION OF locks the partitioned table in ACCESS EXCLUSIVE mode",
        level: Warning,
        category: Locks,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for PartitionCreatedInPlace {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let Action::CreateTable(table) = &step.statement.action else {
            return;
        };
        let Some(of) = table
            .partition_of
            .as_ref()
            .filter(|_| lock::is_judged(step))
        else {
            return;
        };
        let parent = step.before.qualify(&of.parent.name);
        let Some(effect) = step
            .effect_of(0, &parent)
            .filter(|effect| effect.mode.blocks_reads())
        else {
            return;
        };
        let scanned = step
            .effects_in_use()
            .find(|effect| effect.work >= Work::Scan && effect.relation != parent);
        let remedy = remedy(step, table, of);
        let name = &table.table.name;
        match scanned {
            Some(scanned) => lock::report(
                step,
                sink,
                scanned,
                Level::Critical,
                format!(
                    "creating the partition {name} reads the default partition {} while {parent} \
                     is locked",
                    scanned.relation
                ),
                format!(
                    "{} while the whole default partition is read",
                    lock::waits(effect.mode, &parent)
                ),
            ),
            None => lock::report(
                step,
                sink,
                effect,
                if step.transaction.lock_timeout.is_some() {
                    Level::Note
                } else {
                    Level::Warning
                },
                format!("creating the partition {name} locks all of {parent}"),
                lock::why_brief(effect),
            ),
        }
        .relation(&parent)
        .object(name.name.clone())
        .remedy(remedy);
    }
}

fn remedy(step: &Step<'_>, table: &CreateTable, of: &PartitionOf) -> Remedy {
    let name = table.table.name.sql();
    let parent = of.parent.name.sql();
    let state = step.before.table(&of.parent.name);
    let generated = state.is_some_and(|table| {
        table
            .columns
            .iter()
            .any(|column| column.generated_stored || column.generated_virtual)
    });
    let by = table
        .partition_by
        .as_ref()
        .map(|by| {
            format!(
                " PARTITION BY {} ({})",
                by.strategy.to_uppercase(),
                by.keys.join(", ")
            )
        })
        .unwrap_or_default();
    let more = if generated {
        " INCLUDING GENERATED"
    } else {
        ""
    };
    let mut remedy = Remedy::new("create the table apart, then attach it")
        .then(format!(
            "CREATE TABLE {name} (LIKE {parent} INCLUDING DEFAULTS INCLUDING CONSTRAINTS{more}){by}"
        ))
        .then(format!(
            "ALTER TABLE {parent} ATTACH PARTITION {name} {}",
            of.bound
        ));
    let default = state
        .into_iter()
        .flat_map(|parent| &parent.children)
        .find(|child| {
            step.before
                .known(child)
                .and_then(|child| child.partition_bound.as_deref())
                .is_some_and(|bound| bound.trim().eq_ignore_ascii_case("default"))
        });
    if let Some(default) = default {
        let condition = state.and_then(|parent| partitions::condition(parent, &of.bound));
        remedy = remedy.note(format!(
            "The default partition is read unless a validated CHECK of it rules the new bound \
             out: ALTER TABLE {} ADD CHECK ({}) NOT VALID, then VALIDATE.",
            default.sql(),
            condition.map_or_else(
                || "not what the bound means".to_owned(),
                |condition| format!("NOT ({condition})")
            )
        ));
    }
    remedy
}
