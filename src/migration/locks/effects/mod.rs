//! What a statement does, by the claims of the table and the state before it.

mod alter;
mod column;
mod drop;
mod rows;
mod sink;
mod whole;

use super::{Effect, LockMode, Work};
use crate::catalog::RelationKind;
use crate::migration::Server;
use crate::migration::state::State;
use crate::sql::ddl::{Action, AlterDomainKind, AlterTypeKind, Name, ObjectKind, Statement};
use sink::Sink;

pub use column::VOLATILE;

/// What a statement does to relations that exist before it, sorted by
/// relation; several commands of one ALTER TABLE give several.
///
/// A relation that the state does not know is taken to be a plain table.
/// ACCESS SHARE on what is only read is left out, and so are sequences, and
/// indexes whose lock follows from that on their table.
pub fn effects(statement: &Statement, before: &State, server: &Server) -> Vec<Effect> {
    let mut sink = Sink::new(before, server);
    match &statement.action {
        Action::CreateTable(create) => whole::create_table(&mut sink, create),
        Action::Alter(alter) => alter::alter(&mut sink, alter),
        Action::CreateIndex(index) => whole::create_index(&mut sink, index),
        Action::Drop(drop) => drop::drop(&mut sink, drop),
        Action::Reindex {
            kind,
            name,
            concurrently,
        } => whole::reindex(&mut sink, *kind, name.as_ref(), *concurrently),
        Action::AlterDomain(alter) => {
            let works = match &alter.kind {
                AlterDomainKind::AddConstraint { not_valid, .. } => !not_valid,
                AlterDomainKind::ValidateConstraint { .. } | AlterDomainKind::SetNotNull => true,
                _ => false,
            };
            if works {
                whole::users_of_domain(&mut sink, &alter.name.name);
            }
        }
        Action::CreateView(view) if view.or_replace && before.table(&view.name.name).is_some() => {
            sink.lock(&view.name.name, LockMode::AccessExclusive);
        }
        Action::Refresh {
            name,
            concurrently,
            no_data,
        } => {
            let relation = sink.qualify(name);
            let (mode, work) = match (concurrently, no_data) {
                (true, _) => (LockMode::Exclusive, Work::Scan),
                (false, true) => (LockMode::AccessExclusive, Work::None),
                (false, false) => (LockMode::AccessExclusive, Work::Rewrite),
            };
            sink.add(&relation, mode, work, None);
        }
        Action::CreateTrigger(trigger) => {
            let relation = sink.qualify(&trigger.table.name);
            let all = if trigger.row {
                sink.partitions(&relation)
            } else {
                vec![relation]
            };
            for one in all {
                sink.add(&one, LockMode::ShareRowExclusive, Work::None, None);
            }
        }
        Action::CreatePolicy { table, .. }
        | Action::AlterPolicy { table, .. }
        | Action::CreateRule { table, .. } => sink.lock(&table.name, LockMode::AccessExclusive),
        Action::CreateStatistics {
            table: Some(table), ..
        } => sink.lock(&table.name, LockMode::ShareUpdateExclusive),
        Action::Comment {
            kind,
            relation: Some(relation),
        } => comment(&mut sink, *kind, relation),
        Action::Publication { tables } => {
            for table in tables {
                sink.lock(table, LockMode::ShareUpdateExclusive);
            }
        }
        Action::Dml(dml) => rows::rows(&mut sink, dml),
        Action::Truncate { tables, cascade } => whole::truncate(&mut sink, tables, *cascade),
        Action::Lock { tables, only, mode } => {
            let mode = LockMode::named(mode).unwrap_or(LockMode::AccessExclusive);
            if mode > LockMode::AccessShare {
                for table in tables {
                    let only = only.contains(&table.name);
                    whole::lock_table(&mut sink, &table.name, only, mode);
                }
            }
        }
        Action::Cluster { table, .. } => {
            for relation in whole::named_or_all(&sink, table.as_slice()) {
                sink.over(&relation, LockMode::AccessExclusive, Work::Rewrite, None);
            }
        }
        Action::Vacuum { full, tables } => {
            let (mode, work) = if *full {
                (LockMode::AccessExclusive, Work::Rewrite)
            } else {
                (LockMode::ShareUpdateExclusive, Work::Scan)
            };
            for relation in whole::named_or_all(&sink, tables) {
                sink.over(&relation, mode, work, None);
            }
        }
        Action::AlterType(alter) => {
            if let AlterTypeKind::Attributes {
                cascade: true,
                retyped,
            } = alter.kind
            {
                whole::typed_tables(&mut sink, &alter.name, retyped);
            }
        }
        // ALTER … ALL IN TABLESPACE names no relation.
        Action::Other { .. } => {
            let kind = match statement.verb.as_str() {
                "ALTER TABLE" => RelationKind::Table,
                "ALTER MATERIALIZED VIEW" => RelationKind::MaterializedView,
                _ => return Vec::new(),
            };
            for one in whole::all(&sink) {
                if before.known(&one).is_some_and(|table| table.kind == kind) {
                    let why = Some("its files are copied".to_owned());
                    sink.add(&one, LockMode::AccessExclusive, Work::Rewrite, why);
                }
            }
        }
        Action::Analyze { tables } => {
            for relation in whole::named_or_all(&sink, tables) {
                sink.over(&relation, LockMode::ShareUpdateExclusive, Work::None, None);
            }
        }
        _ => {}
    }
    sink.done()
}

/// COMMENT locks the relation that it is on, or whose column it is on.
fn comment(sink: &mut Sink<'_>, kind: ObjectKind, relation: &Name) {
    match kind {
        ObjectKind::Table
        | ObjectKind::ForeignTable
        | ObjectKind::View
        | ObjectKind::MaterializedView
        | ObjectKind::Column => sink.lock(relation, LockMode::ShareUpdateExclusive),
        ObjectKind::Index => {
            let index = sink.index_name(relation);
            sink.add(&index, LockMode::ShareUpdateExclusive, Work::None, None);
        }
        _ => {}
    }
}
