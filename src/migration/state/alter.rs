//! `ALTER TABLE` and its like.

use super::constrain::Adding;
use super::{Constrains, Qualified, State, names};
use crate::migration::At;
use crate::sql::ddl::{
    Alter, AlterKind, ColumnDefinition, Constraint, ObjectKind, Persistence, Which,
};

impl State {
    /// `ALTER TABLE` and its like, command by command.
    pub(super) fn alter(&mut self, alter: &Alter, at: At) {
        let name = &alter.relation.name;
        let Some(table) = self.resolve(name) else {
            if let Some(index) = self.resolve_index(name) {
                for command in &alter.commands {
                    self.alter_index(&index, &command.kind);
                }
            } else if let Some(sequence) = self.resolve_sequence(name) {
                self.alter_sequence(sequence, alter);
            } else if !alter.if_exists && alter.object != ObjectKind::Sequence {
                self.missing(name, at);
            }
            return;
        };
        let mut table = table;
        for command in &alter.commands {
            match &command.kind {
                AlterKind::RenameTo { name } => {
                    let to = Qualified::new(&table.schema, names::cut(name, names::LONGEST));
                    if !self.is_relation(&to.schema, &to.name) {
                        self.move_relation(&table, &to);
                        table = to;
                    }
                }
                AlterKind::SetSchema { schema } => {
                    let to = Qualified::new(schema, &table.name);
                    if !self.is_relation(&to.schema, &to.name) {
                        self.move_relation(&table, &to);
                        table = to;
                    }
                }
                kind => self.command(&table, alter.only, kind, at),
            }
        }
    }

    /// One command on a table.
    fn command(&mut self, table: &Qualified, only: bool, kind: &AlterKind, at: At) {
        match kind {
            AlterKind::AddColumn {
                column,
                if_not_exists: _,
            } => self.add_column(table, column, only, at),
            AlterKind::DropColumn { column, .. } => self.drop_column(table, column, only),
            AlterKind::AddConstraint(constraint) => {
                let adding = Adding {
                    at,
                    only,
                    new: false,
                };
                self.add_constraint(table, constraint, adding);
            }
            AlterKind::DropConstraint { name, .. } => self.drop_constraint(table, name, only),
            AlterKind::ValidateConstraint { name } => self.validate(table, name),
            AlterKind::SetNotNull { column } => {
                let column = names::cut(column, names::LONGEST);
                self.not_null_below(table, column, None, true, at, only);
            }
            AlterKind::DropNotNull { column } => {
                let column = names::cut(column, names::LONGEST);
                for table in self.with_below(table, only) {
                    self.nullable(&table, column);
                }
            }
            AlterKind::AttachPartition {
                partition,
                bound,
                default,
            } => match self.resolve(&partition.name) {
                Some(child) => {
                    let bound = if *default { "DEFAULT" } else { bound.as_str() };
                    self.attach_partition(table, &child, bound);
                }
                None => self.missing(&partition.name, at),
            },
            AlterKind::DetachPartition {
                partition,
                concurrently,
                ..
            } => match self.resolve(&partition.name) {
                Some(child) => {
                    self.detach_partition(table, &child, concurrently.then_some(at));
                }
                None => self.missing(&partition.name, at),
            },
            AlterKind::Inherit { parent } => match self.resolve(parent) {
                Some(parent) => self.inherit(&parent, table),
                None => self.missing(parent, at),
            },
            AlterKind::NoInherit { parent } => {
                if let Some(parent) = self.resolve(parent) {
                    self.no_inherit(&parent, table);
                }
            }
            AlterKind::RenameColumn { from, to } => self.rename_column(table, from, to, only),
            AlterKind::RenameConstraint { from, to } => self.rename_constraint(table, from, to),
            AlterKind::EnableTrigger(which) => self.switch_triggers(table, which, true),
            AlterKind::DisableTrigger(which) => self.switch_triggers(table, which, false),
            AlterKind::AddIdentity { column } => {
                self.make_sequence(table, column, at, false);
                self.column_command(table, only, kind);
            }
            _ => {
                self.column_command(table, only, kind);
                self.table_command(table, kind);
            }
        }
    }

    /// Commands that change a column's attributes.
    fn column_command(&mut self, table: &Qualified, only: bool, kind: &AlterKind) {
        let column = match kind {
            AlterKind::SetType { column, .. }
            | AlterKind::SetDefault { column, .. }
            | AlterKind::DropDefault { column }
            | AlterKind::DropExpression { column }
            | AlterKind::AddIdentity { column }
            | AlterKind::DropIdentity { column } => names::cut(column, names::LONGEST),
            _ => return,
        };
        let stored = match kind {
            AlterKind::SetType { type_name, .. } => Some(self.stored_type(type_name)),
            _ => None,
        };
        for table in self.with_below(table, only) {
            if let AlterKind::SetType { collation, .. } = kind
                && let Some(known) = self.edit(&table)
            {
                for key in known.indexes.iter_mut().flat_map(|index| &mut index.keys) {
                    if key.column.as_deref() == Some(column) && key.collation == *collation {
                        key.collation = None;
                    }
                }
            }
            let Some(state) = self.edit(&table).and_then(|table| table.column_mut(column)) else {
                continue;
            };
            match kind {
                AlterKind::SetType { collation, .. } => {
                    state.type_name.clone_from(&stored);
                    state.collation.clone_from(collation);
                }
                AlterKind::SetDefault { default, .. } => {
                    state.default = (!default.null).then(|| default.text.clone());
                }
                AlterKind::DropDefault { .. } => state.default = None,
                AlterKind::DropExpression { .. } => {
                    if state.generated_stored {
                        state.default = None;
                    }
                    state.generated_stored = false;
                    state.generated_virtual = false;
                }
                AlterKind::AddIdentity { .. } => state.identity = true,
                AlterKind::DropIdentity { .. } => state.identity = false,
                _ => {}
            }
        }
        if matches!(kind, AlterKind::SetType { .. }) {
            self.rename_rebuilt(table, column);
        }
        if matches!(kind, AlterKind::DropIdentity { .. }) {
            self.drop_sequences_of(table, Some(column));
        }
    }

    /// Commands that change a table's attributes.
    fn table_command(&mut self, table: &Qualified, kind: &AlterKind) {
        let Some(table) = self.edit(table) else {
            return;
        };
        match kind {
            AlterKind::EnableRowSecurity => table.row_security = true,
            AlterKind::DisableRowSecurity => table.row_security = false,
            AlterKind::SetLogged => table.persistence = Persistence::Permanent,
            AlterKind::SetUnlogged => table.persistence = Persistence::Unlogged,
            AlterKind::SetTablespace { tablespace } => {
                table.tablespace = Some(tablespace.clone());
            }
            _ => {}
        }
    }

    fn switch_triggers(&mut self, table: &Qualified, which: &Which, enabled: bool) {
        let Some(table) = self.edit(table) else {
            return;
        };
        for trigger in &mut table.triggers {
            let meant = match which {
                Which::All | Which::User => true,
                Which::Named(name) => trigger.name == *name,
            };
            if meant {
                trigger.enabled = enabled;
            }
        }
    }

    /// `ADD COLUMN`.
    fn add_column(&mut self, table: &Qualified, column: &ColumnDefinition, only: bool, at: At) {
        let name = names::cut(&column.name, names::LONGEST);
        let Some(known) = self.known(table) else {
            return;
        };
        if known.column(name).is_some() {
            return;
        }
        let state = self.column_state(column, at);
        for child in self.with_below(table, only) {
            let inherited = child != *table;
            let Some(child) = self.edit(&child) else {
                continue;
            };
            match child.column_mut(name) {
                Some(own) => own.inherited += 1,
                None => child.columns.push(super::ColumnState {
                    local: !inherited,
                    inherited: u32::from(inherited),
                    not_null: false,
                    ..state.clone()
                }),
            }
        }
        self.sequence_of(table, column, at);
        let mut all: Vec<&Constraint> = column.constraints.iter().collect();
        all.sort_by_key(|constraint| constraint.span.start);
        let adding = Adding {
            at,
            only,
            new: false,
        };
        self.new_constraints(table, std::slice::from_ref(column), &all, adding);
    }

    /// `DROP COLUMN`, with the indexes and constraints that name it.
    fn drop_column(&mut self, table: &Qualified, column: &str, only: bool) {
        let column = names::cut(column, names::LONGEST).to_owned();
        if self
            .known(table)
            .is_none_or(|known| known.column(&column).is_none() && known.columns_known)
        {
            return;
        }
        let below = self.below(table);
        self.drop_column_here(table, &column);
        for child in below {
            let mut gone = false;
            if let Some(own) = self
                .edit(&child)
                .and_then(|table| table.column_mut(&column))
            {
                own.inherited = own.inherited.saturating_sub(1);
                if only {
                    own.local = true;
                }
                gone = own.inherited == 0 && !own.local;
            }
            if gone {
                self.drop_column_here(&child, &column);
            }
        }
    }

    pub(super) fn drop_column_here(&mut self, table: &Qualified, column: &str) {
        let Some(known) = self.known(table) else {
            return;
        };
        let indexes: Vec<Qualified> = known
            .indexes
            .iter()
            .filter(|index| index.names_column(column))
            .map(|index| Qualified::new(&table.schema, &index.name))
            .collect();
        for index in indexes {
            self.drop_index(&index);
        }
        let constraints: Vec<String> = self
            .known(table)
            .into_iter()
            .flat_map(|known| &known.constraints)
            .filter(|constraint| constraint.columns.iter().any(|name| name == column))
            .map(|constraint| constraint.name.clone())
            .collect();
        for name in constraints {
            self.take_constraint(table, &name);
        }
        let references: Vec<(Qualified, String)> = self
            .referencing(table)
            .into_iter()
            .filter(|(_, constraint)| {
                matches!(&constraint.kind, Constrains::ForeignKey { columns, .. }
                    if columns.iter().any(|name| name == column))
            })
            .map(|(from, constraint)| (from.name.clone(), constraint.name.clone()))
            .collect();
        for (from, name) in references {
            self.take_constraint(&from, &name);
        }
        self.drop_sequences_of(table, Some(column));
        if let Some(known) = self.edit(table) {
            known.columns.retain(|own| own.name != column);
        }
    }

    fn alter_index(&mut self, index: &Qualified, kind: &AlterKind) {
        match kind {
            AlterKind::RenameTo { name } => {
                let to = names::cut(name, names::LONGEST);
                if !self.is_relation(&index.schema, to) {
                    self.rename_index(index, to);
                }
            }
            AlterKind::AttachPartition { partition, .. } => {
                if let Some(child) = self.resolve_index(&partition.name) {
                    self.attach_index(index, &child);
                }
            }
            _ => {}
        }
    }

    fn alter_sequence(&mut self, sequence: Qualified, alter: &Alter) {
        let mut sequence = sequence;
        for command in &alter.commands {
            let to = match &command.kind {
                AlterKind::RenameTo { name } => {
                    Qualified::new(&sequence.schema, names::cut(name, names::LONGEST))
                }
                AlterKind::SetSchema { schema } => Qualified::new(schema, &sequence.name),
                AlterKind::OwnedBy { table, column } => {
                    let owner = self.qualify(table);
                    if let Some(state) = self.sequences.edit(&sequence) {
                        state.owned_by = Some((owner, column.clone()));
                    }
                    continue;
                }
                _ => continue,
            };
            if !self.is_relation(&to.schema, &to.name)
                && let Some(state) = self.sequences.remove(&sequence)
            {
                self.sequences.insert(to.clone(), state);
                sequence = to;
            }
        }
    }

    /// The table, and what is below it unless `ONLY` is written.
    fn with_below(&self, table: &Qualified, only: bool) -> Vec<Qualified> {
        let mut all = vec![table.clone()];
        if !only
            && self
                .known(table)
                .is_some_and(|table| !table.children.is_empty())
        {
            all.extend(self.below(table));
        }
        all
    }

    /// The qualified name of an index that is known.
    pub(super) fn resolve_index(&self, name: &crate::sql::ddl::Name) -> Option<Qualified> {
        self.index(name)
            .map(|(table, index)| Qualified::new(&table.name.schema, &index.name))
    }

    /// The qualified name of a sequence that is known.
    pub(super) fn resolve_sequence(&self, name: &crate::sql::ddl::Name) -> Option<Qualified> {
        let own = names::cut(&name.name, names::LONGEST);
        match &name.schema {
            Some(schema) => self
                .sequences
                .has(schema, own)
                .then(|| Qualified::new(schema, own)),
            None => self
                .path()
                .find(|schema| self.sequences.has(schema, own))
                .map(|schema| Qualified::new(schema, own)),
        }
    }
}
