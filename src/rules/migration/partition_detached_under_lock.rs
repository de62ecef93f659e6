//! DETACH PARTITION without CONCURRENTLY.

use super::support::altered::Altered;
use super::support::{around, lock, safe};
use crate::declare_migration_rule;
use crate::finding::Level;
use crate::finding::migration::Remedy;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::AlterKind;

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `DETACH PARTITION` without `CONCURRENTLY`, which exists from
    /// PostgreSQL 14.
    ///
    /// ## Why it matters
    ///
    /// The partitioned table is locked in ACCESS EXCLUSIVE mode. The lock is held
    /// only briefly, but waits for every query of any partition that was planned
    /// through the table, and while it waits all later ones queue behind it.
    ///
    /// ## When it is wrong
    ///
    /// When no long transactions use the table. `CONCURRENTLY` cannot be used
    /// while the table has a default partition.
    ///
    /// ## References
    ///
    /// - [Table partitioning](https://www.postgresql.org/docs/current/ddl-partitioning.html#DDL-PARTITIONING-DECLARATIVE-MAINTENANCE)
    pub struct PartitionDetachedUnderLock = {
        id: "partition-detached-under-lock",
        summary: "a partition is detached under ACCESS EXCLUSIVE on the partitioned table",
        level: Warning,
        category: Locks,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for PartitionDetachedUnderLock {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let Some(altered) = Altered::of(step) else {
            return;
        };
        // What is emptied before it is dropped serves nobody any more.
        if around::behind(step).any(|statement| around::drops(step, statement, altered.table)) {
            return;
        }
        for (number, command) in altered.commands() {
            let AlterKind::DetachPartition {
                partition,
                concurrently: false,
                finalize: false,
            } = &command.kind
            else {
                continue;
            };
            let Some(effect) = altered
                .effect(number)
                .filter(|effect| effect.mode.blocks_reads())
            else {
                continue;
            };
            let has_default = altered.state.is_some_and(|table| {
                table.children.iter().any(|child| {
                    step.before
                        .known(child)
                        .and_then(|child| child.partition_bound.as_deref())
                        .is_some_and(|bound| bound.trim().eq_ignore_ascii_case("default"))
                })
            });
            let plain = format!(
                "ALTER TABLE {} DETACH PARTITION {}",
                altered.sql,
                partition.name.sql()
            );
            let remedy = if step.major() >= 14 && !has_default {
                safe::outside(
                    step,
                    Remedy::new("detach it CONCURRENTLY")
                        .then_outside(format!("{plain} CONCURRENTLY")),
                )
            } else {
                // A timeout is all that helps here, and it is there already.
                if step.transaction.lock_timeout.is_some() {
                    continue;
                }
                Remedy::new("bound the wait, and try again when the timeout strikes")
                    .then(format!("{};\n{plain}", lock::SET_TIMEOUT))
                    .note(if has_default {
                        "CONCURRENTLY is refused while the table has a default partition."
                    } else {
                        "CONCURRENTLY exists from PostgreSQL 14."
                    })
            };
            lock::report(
                step,
                sink,
                effect,
                Level::Warning,
                format!(
                    "detaching {} locks all of {}",
                    partition.name, altered.table
                ),
                lock::why_brief(effect),
            )
            .span(command.span)
            .relation(altered.table)
            .object(partition.name.name.clone())
            .remedy(remedy);
        }
    }
}
