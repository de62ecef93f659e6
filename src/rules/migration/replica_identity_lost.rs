//! An index or primary key that logical replication needs goes.

use crate::declare_migration_rule;
use crate::rule::migration::{End, MigrationRule, MigrationSink};
use std::collections::{BTreeMap, BTreeSet};

use super::support::around;
use crate::finding::migration::Remedy;
use crate::finding::{Evidence, Origin, Value};
use crate::migration::state::Qualified;
use crate::migration::{At, Direction};
use crate::source::Span;
use crate::sql::ddl::{Action, AlterKind, ObjectKind};

/// What is remembered of a table.
#[derive(Default)]
struct Identity {
    /// A migration chose it: FULL, NOTHING, DEFAULT or an index.
    chosen: bool,
    /// `REPLICA IDENTITY USING INDEX name`.
    index: Option<String>,
    /// The new statement that took the primary key or the index.
    lost: Option<(At, Span, bool)>,
}

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds new migrations after which a table that is published for logical
    /// replication, or that has a `REPLICA IDENTITY USING INDEX`, is without
    /// what identifies its rows: its primary key, or the index named, is
    /// dropped.
    ///
    /// Publications `FOR ALL TABLES` made outside the migrations are not
    /// known.
    ///
    /// ## Why it matters
    ///
    /// UPDATE and DELETE of a published table without a replica identity fail
    /// at the publisher, from the commit on.
    ///
    /// ## When it is wrong
    ///
    /// When the publication is dropped as well, or publishes only INSERT.
    ///
    /// ## References
    ///
    /// - [Replica identity](https://www.postgresql.org/docs/current/logical-replication-publication.html#LOGICAL-REPLICATION-PUBLICATION-REPLICA-IDENTITY)
    pub struct ReplicaIdentityLost = {
        id: "replica-identity-lost",
        summary: "a published table loses what identifies its rows",
        level: Warning,
        category: Compatibility,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for ReplicaIdentityLost {
    fn end(&self, end: &End<'_>, sink: &mut MigrationSink) {
        let mut identities: BTreeMap<Qualified, Identity> = BTreeMap::new();
        let mut published: BTreeSet<Qualified> = BTreeSet::new();
        // Index → table, of the identities in force.
        let mut used: BTreeMap<String, Qualified> = BTreeMap::new();
        for (number, file) in end.numbered() {
            for (part_number, part) in file.parts.iter().enumerate() {
                if part.direction == Direction::Down {
                    continue;
                }
                for (at, statement) in part.statements.iter().enumerate() {
                    let at = At {
                        file: number,
                        part: part_number,
                        statement: at,
                        inner: 0,
                    };
                    match &statement.action {
                        Action::Publication { tables } => {
                            published.extend(tables.iter().map(|name| end.after.qualify(name)));
                        }
                        Action::Alter(alter) => {
                            let table = end.after.qualify(&alter.relation.name);
                            for command in &alter.commands {
                                match &command.kind {
                                    AlterKind::ReplicaIdentity { index } => {
                                        if let Some(index) = index {
                                            used.insert(index.clone(), table.clone());
                                        }
                                        let identity = identities.entry(table.clone()).or_default();
                                        identity.index.clone_from(index);
                                        identity.chosen = true;
                                        identity.lost = None;
                                    }
                                    AlterKind::DropConstraint { name, .. } if file.new => {
                                        let is_key = name.ends_with("_pkey");
                                        if is_key || used.get(name) == Some(&table) {
                                            identities.entry(table.clone()).or_default().lost =
                                                Some((at, command.span, is_key));
                                        }
                                    }
                                    _ => {}
                                }
                            }
                        }
                        Action::Drop(drop) if drop.object == ObjectKind::Index && file.new => {
                            for place in &drop.names {
                                if let Some(table) = used.get(&place.name.name)
                                    && let Some(identity) = identities.get_mut(table)
                                    && identity.index.as_ref() == Some(&place.name.name)
                                {
                                    identity.lost = Some((at, place.span, false));
                                }
                            }
                        }
                        _ => {}
                    }
                }
            }
        }
        for (table, identity) in identities {
            let Some((at, span, is_key)) = identity.lost else {
                continue;
            };
            let Some(known) = end.after.known(&table) else {
                continue;
            };
            let by_index = identity.index.clone();
            let lost = match &by_index {
                Some(index) => !known.indexes.iter().any(|known| known.name == *index),
                None => {
                    is_key
                        && !identity.chosen
                        && published.contains(&table)
                        && known.primary_key().is_none()
                }
            };
            if !lost {
                continue;
            }
            let what = match &by_index {
                Some(index) => format!("the index {index}, its replica identity"),
                None => "its primary key, the replica identity of a published table".to_owned(),
            };
            let Some(statement) = around::statement_at(end.context.history, at) else {
                continue;
            };
            sink.report(
                format!("{table} loses {what}"),
                "UPDATE and DELETE fail from then on where the table is published",
                Evidence::new(
                    "statement",
                    Value::Text(statement.verb.clone()),
                    Origin::Sql(statement.span),
                ),
            )
            .at(at, span)
            .relation(&table)
            .remedy(
                Remedy::new("give it another replica identity before")
                    .then(format!("ALTER TABLE {} REPLICA IDENTITY FULL", table.sql()))
                    .note("FULL writes whole old rows to the log; USING INDEX of another unique index on NOT NULL columns costs less."),
            );
        }
    }
}
