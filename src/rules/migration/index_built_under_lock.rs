//! CREATE INDEX without CONCURRENTLY on a table in use.

use super::support::{lock, names, partitions, safe};
use crate::declare_migration_rule;
use crate::finding::migration::{Fix, Remedy};
use crate::finding::{Edit, Level};
use crate::migration::locks::Work;
use crate::migration::state::Table;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::source::Span;
use crate::sql::ddl::{Action, CreateIndex};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `CREATE INDEX` without `CONCURRENTLY` on a table that was there
    /// before the change.
    ///
    /// ## Why it matters
    ///
    /// The table is locked in SHARE mode until the index is built: it can be
    /// read, but every INSERT, UPDATE and DELETE waits, for as long as the
    /// table is large. `CREATE INDEX CONCURRENTLY` lets them through. It takes
    /// longer, cannot run inside a transaction, and leaves an invalid index
    /// behind when it fails.
    ///
    /// A partitioned table cannot be indexed with `CONCURRENTLY` as a whole:
    /// the index is made `ON ONLY` it, then concurrently on each partition,
    /// and these are attached.
    ///
    /// ## When it is wrong
    ///
    /// When nobody writes to the table while the migration runs, or it is
    /// small. With sizes (`--snapshot`) small tables give a note only.
    ///
    /// ## References
    ///
    /// - [Building indexes concurrently](https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY)
    pub struct IndexBuiltUnderLock = {
        id: "index-built-under-lock",
        summary: "an index is built while writes to the table wait",
        level: Critical,
        category: Locks,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for IndexBuiltUnderLock {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let Action::CreateIndex(index) = &step.statement.action else {
            return;
        };
        if index.concurrently || !lock::is_judged(step) {
            return;
        }
        let table = step.before.qualify(&index.table.name);
        let state = step.before.known(&table);
        if !step.is_in_use(&table) {
            return;
        }
        // Of a partitioned table the partitions are what is read and locked.
        let Some(effect) = step
            .effects_in_use()
            .filter(|effect| effect.work >= Work::IndexBuild && effect.mode.blocks_writes())
            .max_by_key(|effect| effect.relation == table)
        else {
            return;
        };
        let partitioned = state.is_some_and(Table::is_partitioned);
        let name = named(index, &table.name);
        let why = format!("{}{}", lock::why_long(effect), lock::and_held(step, effect));
        let remedy = if partitioned {
            partitioned_remedy(step, index, state, name.clone())
        } else {
            remedy(step, index)
        };
        lock::report(
            step,
            sink,
            effect,
            Level::Critical,
            format!("index {name} is built on {table} while writes to it wait"),
            why,
        )
        .relation(&table)
        .object(name)
        .remedy(remedy);
    }
}

fn named(index: &CreateIndex, table: &str) -> String {
    index
        .name
        .clone()
        .unwrap_or_else(|| names::object(table, &columns(index), "idx"))
}

fn columns(index: &CreateIndex) -> Vec<String> {
    index
        .keys
        .iter()
        .map(|key| key.column.clone().unwrap_or_else(|| "expr".to_owned()))
        .collect()
}

fn remedy(step: &Step<'_>, index: &CreateIndex) -> Remedy {
    let span = step.statement.span;
    let at = index.after_index;
    let before = step.text(Span { end: at, ..span });
    let after = step.text(Span { start: at, ..span });
    let mut remedy = Remedy::new("build the index CONCURRENTLY")
        .then_outside(format!("{before} CONCURRENTLY{after}"));
    if step.within.is_some() {
        remedy =
            remedy.note("CONCURRENTLY cannot run in a DO block: take the statement out of it.");
    }
    if step.transaction.open && step.transaction.explicit {
        remedy = remedy.note("Take the statement out of BEGIN … COMMIT.");
    }
    if let Some(name) = &index.name {
        remedy = remedy.note(format!(
            "When it fails it leaves an invalid index: DROP INDEX CONCURRENTLY {} before trying \
             again.",
            crate::catalog::ident::quote(name)
        ));
    }
    if safe::can_leave_transaction(step) {
        remedy = remedy.fix(Fix {
            edits: vec![Edit {
                span: Span {
                    start: at,
                    end: at,
                    ..span
                },
                text: " CONCURRENTLY".to_owned(),
            }],
            follow_up: Vec::new(),
            outside_transaction: true,
        });
    }
    safe::outside(step, remedy)
}

fn partitioned_remedy(
    step: &Step<'_>,
    index: &CreateIndex,
    state: Option<&Table>,
    name: String,
) -> Remedy {
    let tail = step.text(Span {
        start: index.table.span.end,
        ..step.statement.span
    });
    let remedy = partitions::build(
        Remedy::new("build the index partition by partition, CONCURRENTLY"),
        step,
        &partitions::Wanted {
            name,
            unique: index.unique,
            table: index.table.name.sql(),
            tail: tail.to_owned(),
            columns: columns(index),
            state,
        },
    );
    safe::outside(step, remedy)
}
