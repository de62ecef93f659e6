//! `DROP`.

use super::{Constrains, Qualified, State, names};
use crate::catalog::RelationKind;
use crate::migration::At;
use crate::sql::ddl::{Drop, Name, ObjectKind};

impl State {
    /// `DROP` of anything.
    pub(super) fn drop_objects(&mut self, drop: &Drop, at: At) {
        for place in &drop.names {
            let name = &place.name;
            match drop.object {
                ObjectKind::Table
                | ObjectKind::ForeignTable
                | ObjectKind::View
                | ObjectKind::MaterializedView => match self.resolve(name) {
                    Some(found) if self.is_kind(&found, drop.object) => {
                        self.drop_relation(&found);
                    }
                    Some(_) => {}
                    None if drop.if_exists => {}
                    None => self.missing(name, at),
                },
                ObjectKind::Index => {
                    if let Some(index) = self.resolve_index(name) {
                        self.drop_index_statement(&index, drop.cascade);
                    } else if !drop.if_exists {
                        self.missing(name, at);
                    }
                }
                ObjectKind::Sequence => {
                    if let Some(sequence) = self.resolve_sequence(name) {
                        self.drop_sequence(&sequence, drop.cascade);
                    }
                }
                ObjectKind::Schema => self.drop_schema(&name.name),
                ObjectKind::Type | ObjectKind::Domain => self.drop_type(name, drop.cascade),
                ObjectKind::Function | ObjectKind::Procedure | ObjectKind::Aggregate => {
                    self.functions.remove(&Qualified::new("", &name.name));
                    if drop.cascade {
                        self.drop_function_users(name);
                    }
                }
                ObjectKind::Extension if drop.cascade => {
                    self.drop_extension_users(&name.name);
                }
                ObjectKind::Trigger => {
                    if let Some(table) = drop.on.as_ref().and_then(|on| self.resolve(&on.name))
                        && let Some(table) = self.edit(&table)
                    {
                        table.triggers.retain(|trigger| trigger.name != name.name);
                    }
                }
                ObjectKind::Policy | ObjectKind::Rule => {
                    if let Some(table) = drop.on.as_ref().and_then(|on| self.resolve(&on.name))
                        && let Some(table) = self.edit(&table)
                    {
                        let list = if drop.object == ObjectKind::Policy {
                            &mut table.policies
                        } else {
                            &mut table.rules
                        };
                        list.retain(|one| *one != name.name);
                    }
                }
                _ => {}
            }
        }
    }

    /// `DROP VIEW` of a table is an error, and so on.
    fn is_kind(&self, name: &Qualified, object: ObjectKind) -> bool {
        self.known(name).is_some_and(|table| match table.kind {
            RelationKind::Table | RelationKind::PartitionedTable => object == ObjectKind::Table,
            RelationKind::ForeignTable => object == ObjectKind::ForeignTable,
            RelationKind::View => object == ObjectKind::View,
            RelationKind::MaterializedView => object == ObjectKind::MaterializedView,
        })
    }

    /// Drops a relation with all that hangs on it: indexes, constraints,
    /// foreign keys to it, partitions and children, owned sequences, and views
    /// that read it. Without CASCADE the server would refuse where others
    /// depend on it; as the history was applied, nothing does then.
    pub(super) fn drop_relation(&mut self, name: &Qualified) {
        let mut todo = vec![name.clone()];
        while let Some(name) = todo.pop() {
            let Some(table) = self.tables.remove(&name) else {
                continue;
            };
            for index in &table.indexes {
                self.indexes
                    .remove(&Qualified::new(&name.schema, &index.name));
            }
            for constraint in &table.constraints {
                self.name_is_free(&Qualified::new(&name.schema, &constraint.name));
                if let Constrains::ForeignKey { table: target, .. } = &constraint.kind
                    && let Some(target) = self.edit(target)
                {
                    target.referenced_by.retain(|from| *from != name);
                }
            }
            for from in &table.referenced_by {
                let gone: Vec<String> = self
                    .known(from)
                    .into_iter()
                    .flat_map(|from| &from.constraints)
                    .filter(|constraint| constraint.references(&name))
                    .map(|constraint| constraint.name.clone())
                    .collect();
                for constraint in gone {
                    self.take_constraint(from, &constraint);
                }
            }
            for parent in &table.parents {
                if let Some(parent) = self.edit(parent) {
                    parent.children.retain(|child| *child != name);
                }
            }
            for read in &table.reads {
                if let Some(read) = self.edit(read) {
                    read.read_by.retain(|view| *view != name);
                }
            }
            self.drop_sequences_of(&name, None);
            todo.extend(table.children.iter().cloned());
            todo.extend(table.read_by.iter().cloned());
        }
    }

    /// `DROP INDEX`: a constraint's is dropped with its constraint only.
    fn drop_index_statement(&mut self, index: &Qualified, cascade: bool) {
        let Some(table) = self.indexes.get(index).cloned() else {
            return;
        };
        let Some(state) = self
            .known(&table)
            .and_then(|table| table.index(&index.name))
        else {
            return;
        };
        if state.owner != super::Owner::Index || state.parent.is_some() {
            return;
        }
        let columns: Vec<String> = state.key_columns().into_iter().map(str::to_owned).collect();
        let unique = state.unique;
        self.drop_index(index);
        if unique && cascade {
            self.drop_keys_to(&table, &columns);
        }
    }

    fn drop_sequence(&mut self, sequence: &Qualified, cascade: bool) {
        let owner = self
            .sequences
            .remove(sequence)
            .and_then(|state| state.owned_by);
        if !cascade {
            return;
        }
        self.drop_sequence_users(sequence);
        // The default of a serial column is not written as text.
        if let Some((table, column)) = owner
            && let Some(column) = self
                .edit(&table)
                .and_then(|table| table.column_mut(&column))
            && column
                .default
                .as_ref()
                .is_some_and(|default| default.contains(&sequence.name))
        {
            column.default = None;
        }
    }

    /// Sequences that a table, or one column of it, owns.
    pub(super) fn drop_sequences_of(&mut self, table: &Qualified, column: Option<&str>) {
        let owned = self.sequences.keys_where(|_, sequence| {
            sequence.owned_by.as_ref().is_some_and(|(owner, of)| {
                owner == table && column.is_none_or(|column| of == column)
            })
        });
        for name in owned {
            self.sequences.remove(&name);
        }
    }

    fn drop_schema(&mut self, schema: &str) {
        let schema = names::cut(schema, names::LONGEST);
        for table in self.tables.keys_where(|name, _| name.schema == schema) {
            self.drop_relation(&table);
        }
        for name in self.sequences.keys_where(|name, _| name.schema == schema) {
            self.sequences.remove(&name);
        }
        for name in self.type_names(|name| name.schema == schema) {
            self.drop_type(&Name::qualified(&name.schema, &name.name), true);
        }
        self.schemas.remove(&Qualified::new("", schema));
    }
}
