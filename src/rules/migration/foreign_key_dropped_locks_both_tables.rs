//! Foreign keys dropped.

use std::collections::BTreeSet;

use super::support::around::listed;
use super::support::together::{self, Found};
use super::support::{evidence, lock, walk};
use crate::catalog::RelationKind;
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::migration::At;
use crate::migration::locks::Effect;
use crate::migration::state::{Qualified, State};
use crate::rule::migration::{End, FileEnd, MigrationRule, MigrationSink};
use crate::source::Span;
use crate::sql::ddl::{Action, AlterKind, ObjectKind, Statement};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds statements that drop a foreign key (`DROP CONSTRAINT`, `DROP
    /// COLUMN`, `DROP TABLE`) and lock the table that it references in ACCESS
    /// EXCLUSIVE mode along with its own. One finding a change names them all;
    /// tables that the change locks so by statements of their own are left out.
    /// Silent where a `lock_timeout` is in force.
    ///
    /// ## Why it matters
    ///
    /// The referenced table is often the busier one. The lock is held only
    /// briefly, but waits for every query that uses the table, and while it waits
    /// all later ones queue behind it. Two tables locked one after the other can
    /// also deadlock with transactions that use them the other way round.
    ///
    /// ## When it is wrong
    ///
    /// When no long transactions use the referenced table.
    ///
    /// ## References
    ///
    /// - [Explicit locking](https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES)
    /// - [lock_timeout](https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-LOCK-TIMEOUT)
    pub struct ForeignKeyDroppedLocksBothTables = {
        id: "foreign-key-dropped-locks-both-tables",
        summary: "dropping a foreign key locks the referenced table, too",
        level: Note,
        category: Locks,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for ForeignKeyDroppedLocksBothTables {
    fn file(&self, end: &FileEnd<'_>, sink: &mut MigrationSink) {
        together::file(end, sink, collect, report);
    }

    fn end(&self, end: &End<'_>, sink: &mut MigrationSink) {
        together::end(end, sink, collect, report);
    }
}

fn collect<'a>(
    end: &FileEnd<'a>,
    locked: &[(At, Span, &'a Vec<Effect>)],
    found: &mut Vec<Found<'a>>,
    seen: &mut BTreeSet<&'a Qualified>,
) {
    let places = walk::statements(end.number, end.file);
    let mut direct: BTreeSet<&Qualified> = BTreeSet::new();
    let mut here: Vec<Found<'a>> = Vec::new();
    for (at, span, effects) in locked {
        let (Some(place), Some(statement)) =
            (walk::find(&places, *at), walk::statement(&places, *at))
        else {
            continue;
        };
        let named = named(end.after, statement);
        if place.lock_timeout || named.is_empty() {
            continue;
        }
        let drops = drops(statement);
        for effect in effects.iter().filter(|effect| effect.mode.blocks_reads()) {
            if named.contains(&effect.relation) {
                direct.insert(&effect.relation);
            } else if drops && is_other_end(end.after, &effect.relation, &named, statement) {
                here.push(Found {
                    at: *at,
                    span: *span,
                    effect,
                    sql: walk::set_timeout(place),
                });
            }
        }
    }
    for one in here {
        let relation = &one.effect.relation;
        if !direct.contains(relation) && seen.insert(relation) {
            found.push(one);
        }
    }
}

/// The tables that the statement names.
fn named(state: &State, statement: &Statement) -> Vec<Qualified> {
    match &statement.action {
        Action::Drop(drop) if drop.object == ObjectKind::Table => drop
            .names
            .iter()
            .map(|place| state.qualify(&place.name))
            .collect(),
        Action::Alter(alter) => vec![state.qualify(&alter.relation.name)],
        _ => Vec::new(),
    }
}

/// Foreign keys go with what it drops, if there are any.
fn drops(statement: &Statement) -> bool {
    match &statement.action {
        Action::Drop(_) => true,
        Action::Alter(alter) => alter.commands.iter().any(|command| {
            matches!(
                command.kind,
                AlterKind::DropConstraint { .. } | AlterKind::DropColumn { .. }
            )
        }),
        _ => false,
    }
}

/// Another table that is locked, too, and neither for a partition that goes
/// nor as a child of the table that is changed: the other end of a foreign
/// key, either way round.
fn is_other_end(
    state: &State,
    relation: &Qualified,
    named: &[Qualified],
    statement: &Statement,
) -> bool {
    let Some(table) = state.known(relation) else {
        return false;
    };
    if matches!(
        table.kind,
        RelationKind::View | RelationKind::MaterializedView
    ) || (table.is_partitioned() && matches!(statement.action, Action::Drop(_)))
    {
        return false;
    }
    let mut parents: Vec<&Qualified> = table.parents.iter().collect();
    let mut seen = 0;
    while let Some(parent) = parents.get(seen).copied() {
        if named.contains(parent) {
            return false;
        }
        seen += 1;
        if let Some(parent) = state.known(parent).filter(|_| parents.len() < 64) {
            parents.extend(&parent.parents);
        }
    }
    true
}

fn report(found: &[Found<'_>], sink: &mut MigrationSink) {
    let Some(first) = found.first() else {
        return;
    };
    let tables: Vec<&Qualified> = found.iter().map(|one| &one.effect.relation).collect();
    let message = match tables.as_slice() {
        [table] => format!("dropping the foreign key locks {table} as well"),
        _ => format!("dropping foreign keys locks {} as well", listed(&tables)),
    };
    sink.report(
        message,
        lock::why_brief(first.effect),
        evidence::lock_at(first.span, first.effect),
    )
    .at(first.at, first.span)
    .effect(first.effect)
    .remedy(
        Remedy::new("drop the foreign key alone, with a short lock_timeout")
            .then(first.sql)
            .note("Try again when the timeout strikes."),
    );
}
