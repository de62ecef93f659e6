//! VACUUM FULL and CLUSTER.

use super::support::{evidence, lock};
use crate::declare_migration_rule;
use crate::finding::Level;
use crate::finding::migration::Remedy;
use crate::migration::locks::Work;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::Action;

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `VACUUM FULL` and `CLUSTER`.
    ///
    /// ## Why it matters
    ///
    /// The whole table and all its indexes are written anew while ACCESS
    /// EXCLUSIVE is held: nobody can even read it until that is done.
    ///
    /// ## When it is wrong
    ///
    /// When nobody uses the table while the migration runs, or it is small. With
    /// sizes (`--snapshot`) small tables give a note only.
    ///
    /// ## References
    ///
    /// - [VACUUM](https://www.postgresql.org/docs/current/sql-vacuum.html)
    /// - [CLUSTER](https://www.postgresql.org/docs/current/sql-cluster.html)
    pub struct VacuumFullOrCluster = {
        id: "vacuum-full-or-cluster",
        summary: "VACUUM FULL or CLUSTER writes a table anew under ACCESS EXCLUSIVE",
        level: Critical,
        category: Locks,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for VacuumFullOrCluster {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let (what, named) = match &step.statement.action {
            Action::Vacuum { full: true, tables } => ("VACUUM FULL", !tables.is_empty()),
            Action::Cluster {
                table,
                concurrently: false,
            } => ("CLUSTER", table.is_some()),
            _ => return,
        };
        if !lock::is_judged(step) {
            return;
        }
        let remedy = Remedy::new("give space back without the lock")
            .note("VACUUM makes the space usable again, and lets reads and writes through.")
            .note("pg_repack writes a table anew, in the order of an index too, with brief locks.");
        if !named {
            sink.report(
                format!("{what} without a table writes every table anew, one by one"),
                "every query of the table that is being written waits, SELECT included",
                evidence::statement(step),
            )
            .remedy(remedy);
            return;
        }
        for effect in step.effects_in_use() {
            if effect.work < Work::IndexBuild || !effect.mode.blocks_reads() {
                continue;
            }
            lock::report(
                step,
                sink,
                effect,
                Level::Critical,
                format!("{what} writes all of {} anew", effect.relation),
                lock::why_long(effect),
            )
            .object(effect.relation.to_string())
            .remedy(remedy.clone());
        }
    }
}
