//! Renames, and moves to another schema.

use std::sync::Arc;

use super::{Constrains, IndexState, Owner, Qualified, State, names};
use crate::sql::ddl::Expression;

impl State {
    /// Gives a relation another name or schema. Its indexes, constraints and
    /// owned sequences keep their names and go with it to another schema.
    pub(super) fn move_relation(&mut self, from: &Qualified, to: &Qualified) {
        let Some(mut table) = self.tables.remove(from) else {
            return;
        };
        let moved = Arc::make_mut(&mut table);
        moved.name = to.clone();
        let other_schema = from.schema != to.schema;
        for constraint in &mut moved.constraints {
            if let Constrains::ForeignKey { table, .. } = &mut constraint.kind
                && table == from
            {
                table.clone_from(to);
            }
        }
        for name in moved
            .referenced_by
            .iter_mut()
            .chain(&mut moved.parents)
            .chain(&mut moved.children)
        {
            if name == from {
                name.clone_from(to);
            }
        }
        self.place_sizes(moved);
        let targets: Vec<Qualified> = moved
            .constraints
            .iter()
            .filter_map(|constraint| match &constraint.kind {
                Constrains::ForeignKey { table, .. } => Some(table.clone()),
                _ => None,
            })
            .collect();
        let indexes: Vec<String> = moved
            .indexes
            .iter()
            .map(|index| index.name.clone())
            .collect();
        let constraints: Vec<String> = moved
            .constraints
            .iter()
            .map(|constraint| constraint.name.clone())
            .collect();
        let (referenced_by, parents, children, reads, read_by) = (
            moved.referenced_by.clone(),
            moved.parents.clone(),
            moved.children.clone(),
            moved.reads.clone(),
            moved.read_by.clone(),
        );
        self.tables.insert(to.clone(), table);
        for temporary in &mut self.temporary {
            if temporary == from {
                temporary.clone_from(to);
            }
        }
        let replace = |names: &mut Vec<Qualified>| {
            for name in names {
                if name == from {
                    name.clone_from(to);
                }
            }
        };
        for target in targets {
            if let Some(target) = self.edit(&target) {
                replace(&mut target.referenced_by);
            }
        }
        for referencing in referenced_by {
            if let Some(referencing) = self.edit(&referencing) {
                for constraint in &mut referencing.constraints {
                    if let Constrains::ForeignKey { table, .. } = &mut constraint.kind
                        && table == from
                    {
                        table.clone_from(to);
                    }
                }
            }
        }
        for parent in parents {
            if let Some(parent) = self.edit(&parent) {
                replace(&mut parent.children);
            }
        }
        for child in &children {
            if let Some(child) = self.edit(child) {
                replace(&mut child.parents);
            }
        }
        for read in reads {
            if let Some(read) = self.edit(&read) {
                replace(&mut read.read_by);
            }
        }
        for view in read_by {
            if let Some(view) = self.edit(&view) {
                replace(&mut view.reads);
            }
        }
        for index in indexes {
            let old = Qualified::new(&from.schema, &index);
            let new = Qualified::new(&to.schema, &index);
            self.indexes.remove(&old);
            self.indexes.insert(new.clone(), to.clone());
            if other_schema {
                self.rename_parent_of_parts(&children, &old, &new);
            }
        }
        if other_schema {
            for constraint in constraints {
                self.name_is_free(&Qualified::new(&from.schema, &constraint));
                let key = Qualified::new(&to.schema, constraint);
                let count = self.constraint_names.get(&key).copied().unwrap_or_default();
                self.constraint_names.insert(key, count + 1);
            }
        }
        let owned = self.sequences.keys_where(|_, sequence| {
            sequence
                .owned_by
                .as_ref()
                .is_some_and(|(table, _)| table == from)
        });
        for name in owned {
            if let Some(mut sequence) = self.sequences.remove(&name) {
                if let Some((table, _)) = &mut sequence.owned_by {
                    table.clone_from(to);
                }
                let name = if other_schema {
                    Qualified::new(&to.schema, name.name)
                } else {
                    name
                };
                self.sequences.insert(name, sequence);
            }
        }
    }

    /// Indexes of partitions have to know their parent by its new name.
    fn rename_parent_of_parts(&mut self, children: &[Qualified], from: &Qualified, to: &Qualified) {
        for child in children {
            let Some(child) = self.edit(child) else {
                continue;
            };
            for index in &mut child.indexes {
                if index.parent.as_ref() == Some(from) {
                    index.parent = Some(to.clone());
                }
            }
        }
    }

    /// Renames an index, and the constraint whose it is.
    pub(super) fn rename_index(&mut self, from: &Qualified, to: &str) {
        let Some(table) = self.indexes.remove(from) else {
            return;
        };
        let new = Qualified::new(&from.schema, to);
        self.indexes.insert(new.clone(), table.clone());
        let Some(known) = self.edit(&table) else {
            return;
        };
        let children = known.children.clone();
        let mut constraint = None;
        if let Some(index) = known.index_mut(&from.name) {
            to.clone_into(&mut index.name);
            if let Owner::Constraint(name) = &mut index.owner {
                constraint = Some(std::mem::replace(name, to.to_owned()));
            }
        }
        if let Some(constraint) = constraint {
            if let Some(constraint) = known.constraint_mut(&constraint) {
                to.clone_into(&mut constraint.name);
            }
            self.constraint_renamed(&from.schema, &constraint, to);
        }
        self.rename_parent_of_parts(&children, from, &new);
    }

    fn constraint_renamed(&mut self, schema: &str, from: &str, to: &str) {
        self.name_is_free(&Qualified::new(schema, from));
        let key = Qualified::new(schema, to);
        let count = self.constraint_names.get(&key).copied().unwrap_or_default();
        self.constraint_names.insert(key, count + 1);
    }

    /// `RENAME CONSTRAINT`.
    pub(super) fn rename_constraint(&mut self, table: &Qualified, from: &str, to: &str) {
        let from = names::cut(from, names::LONGEST);
        let to = names::cut(to, names::LONGEST);
        let Some(constraint) = self.known(table).and_then(|known| {
            known
                .constraint(to)
                .is_none()
                .then(|| known.constraint(from))
                .flatten()
        }) else {
            return;
        };
        let inherits = matches!(
            constraint.kind,
            Constrains::Check { .. } | Constrains::NotNull
        );
        let index = Qualified::new(&table.schema, from);
        if self.indexes.get(&index) == Some(table) {
            if !self.is_relation(&table.schema, to) {
                self.rename_index(&index, to);
            }
            return;
        }
        let mut all = vec![table.clone()];
        if inherits {
            all.extend(self.below(table));
        }
        for table in all {
            let Some(constraint) = self
                .edit(&table)
                .and_then(|table| table.constraint_mut(from))
            else {
                continue;
            };
            to.clone_into(&mut constraint.name);
            self.constraint_renamed(&table.schema, from, to);
        }
    }

    /// `RENAME COLUMN`.
    pub(super) fn rename_column(&mut self, table: &Qualified, from: &str, to: &str, only: bool) {
        let from = names::cut(from, names::LONGEST);
        let to = names::cut(to, names::LONGEST);
        if self
            .known(table)
            .is_none_or(|known| known.column(to).is_some() || known.column(from).is_none())
        {
            return;
        }
        let mut all = vec![table.clone()];
        if !only {
            all.extend(self.below(table));
        }
        for table in all {
            self.rename_column_here(&table, from, to);
        }
    }

    fn rename_column_here(&mut self, table: &Qualified, from: &str, to: &str) {
        let Some(known) = self.edit(table) else {
            return;
        };
        if let Some(column) = known.column_mut(from) {
            to.clone_into(&mut column.name);
        }
        for column in &mut known.columns {
            if let Some(default) = &mut column.default
                && (column.generated_stored || column.generated_virtual)
            {
                *default = with_column(default, from, to);
            }
        }
        for constraint in &mut known.constraints {
            rename_in(&mut constraint.columns, from, to);
            match &mut constraint.kind {
                Constrains::Check { expression } => rename_in_expression(expression, from, to),
                Constrains::ForeignKey {
                    table: to_table,
                    columns,
                    ..
                } if to_table == table => {
                    rename_in(columns, from, to);
                }
                _ => {}
            }
        }
        for index in &mut known.indexes {
            rename_in_index(index, from, to);
        }
        if let Some((_, keys)) = &mut known.partition_by {
            for key in keys {
                *key = with_column(key, from, to);
            }
        }
        let referencing: Vec<Qualified> = known
            .referenced_by
            .iter()
            .filter(|name| *name != table)
            .cloned()
            .collect();
        for name in referencing {
            let Some(referencing) = self.edit(&name) else {
                continue;
            };
            for constraint in &mut referencing.constraints {
                if let Constrains::ForeignKey {
                    table: target,
                    columns,
                    ..
                } = &mut constraint.kind
                    && target == table
                {
                    rename_in(columns, from, to);
                }
            }
        }
        let owned = self.sequences.keys_where(|_, sequence| {
            sequence
                .owned_by
                .as_ref()
                .is_some_and(|(owner, column)| owner == table && column == from)
        });
        for name in owned {
            if let Some(sequence) = self.sequences.edit(&name)
                && let Some((_, column)) = &mut sequence.owned_by
            {
                to.clone_into(column);
            }
        }
    }

    /// A schema's new name.
    pub(super) fn rename_schema(&mut self, from: &str, to: &str) {
        if let Some(created) = self.schemas.remove(&Qualified::new("", from)) {
            self.schemas.insert(Qualified::new("", to), created);
        }
        for table in self.tables.keys_where(|name, _| name.schema == from) {
            let to = Qualified::new(to, &table.name);
            self.move_relation(&table, &to);
        }
        for name in self.sequences.keys_where(|name, _| name.schema == from) {
            if let Some(sequence) = self.sequences.remove(&name) {
                self.sequences
                    .insert(Qualified::new(to, name.name), sequence);
            }
        }
        self.move_types(|name| name.schema == from, to);
    }
}

fn rename_in(columns: &mut [String], from: &str, to: &str) {
    for column in columns {
        if column == from {
            to.clone_into(column);
        }
    }
}

fn rename_in_expression(expression: &mut Expression, from: &str, to: &str) {
    if expression.columns.iter().any(|column| column == from) {
        rename_in(&mut expression.columns, from, to);
        expression.text = with_column(&expression.text, from, to);
    }
}

fn rename_in_index(index: &mut IndexState, from: &str, to: &str) {
    for key in &mut index.keys {
        if key.column.as_deref() == Some(from) {
            key.column = Some(to.to_owned());
            to.clone_into(&mut key.text);
        } else if key.columns.iter().any(|column| column == from) {
            key.text = with_column(&key.text, from, to);
        }
        rename_in(&mut key.columns, from, to);
    }
    rename_in(&mut index.include, from, to);
    if let Some(predicate) = &mut index.predicate {
        rename_in_expression(predicate, from, to);
    }
}

/// A text with one column's name replaced, where it stands as a word outside
/// of strings.
fn with_column(text: &str, from: &str, to: &str) -> String {
    let new = crate::catalog::ident::quote(to);
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let length = match character {
            '\'' => rest
                .get(1..)
                .and_then(|inner| inner.find('\''))
                .map_or(rest.len(), |at| at + 2),
            '"' => {
                let length = rest
                    .get(1..)
                    .and_then(|inner| inner.find('"'))
                    .map_or(rest.len(), |at| at + 2);
                if rest.get(1..length.saturating_sub(1)) == Some(from) {
                    result.push_str(&new);
                    rest = rest.get(length..).unwrap_or_default();
                    continue;
                }
                length
            }
            _ if character.is_alphabetic() || character == '_' => {
                let length = rest
                    .find(|next: char| !(next.is_alphanumeric() || next == '_' || next == '$'))
                    .unwrap_or(rest.len());
                if rest
                    .get(..length)
                    .is_some_and(|word| word.to_lowercase() == from)
                {
                    result.push_str(&new);
                    rest = rest.get(length..).unwrap_or_default();
                    continue;
                }
                length
            }
            _ => character.len_utf8(),
        };
        let (kept, behind) = rest.split_at_checked(length).unwrap_or((rest, ""));
        result.push_str(kept);
        rest = behind;
    }
    result
}
