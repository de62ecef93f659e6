//! Enums, domains and other types.

use std::sync::Arc;

use super::{DomainState, EnumState, Qualified, State, names};
use crate::migration::At;
use crate::sql::ddl::{
    AlterDomain, AlterDomainKind, AlterType, AlterTypeKind, CreateDomain, CreateType, Name,
    TypeShape,
};

impl State {
    /// `CREATE TYPE`.
    pub(super) fn create_type(&mut self, create: &CreateType, at: At) {
        let name = self.new_name(&create.name, false);
        if self.is_type(&name) || self.tables.contains(&name) {
            return;
        }
        match &create.shape {
            TypeShape::Enum(values) => {
                let state = EnumState {
                    name: name.clone(),
                    values: values
                        .iter()
                        .map(|value| (value.clone(), Some(at)))
                        .collect(),
                    created: Some(at),
                };
                self.enums.insert(name, Arc::new(state));
            }
            TypeShape::Other => self.types.insert(name, Some(at)),
        }
    }

    /// `CREATE DOMAIN`.
    pub(super) fn create_domain(&mut self, create: &CreateDomain, at: At) {
        let name = self.new_name(&create.name, false);
        if self.is_type(&name) || self.tables.contains(&name) {
            return;
        }
        let mut state = DomainState {
            name: name.clone(),
            type_name: create.type_name.as_ref().map(|of| self.stored_type(of)),
            not_null: create.not_null,
            checks: !create.checks.is_empty(),
            constraints: Vec::new(),
            default: create.default.is_some(),
            created: Some(at),
        };
        for _ in &create.checks {
            state.constraints.push(domain_check(&state));
        }
        self.domains.insert(name, Arc::new(state));
    }

    /// `ALTER DOMAIN`.
    pub(super) fn alter_domain(&mut self, alter: &AlterDomain) {
        let Some(name) = self
            .domain(&alter.name.name)
            .map(|domain| domain.name.clone())
        else {
            return;
        };
        match &alter.kind {
            AlterDomainKind::RenameTo { name: to } => {
                let to = Qualified::new(&name.schema, names::cut(to, names::LONGEST));
                self.rename_type(&name, &to);
                return;
            }
            AlterDomainKind::SetSchema { schema } => {
                let to = Qualified::new(schema, &name.name);
                self.rename_type(&name, &to);
                return;
            }
            _ => {}
        }
        let Some(domain) = self.domains.edit(&name).map(Arc::make_mut) else {
            return;
        };
        match &alter.kind {
            AlterDomainKind::SetNotNull => domain.not_null = true,
            AlterDomainKind::DropNotNull => domain.not_null = false,
            AlterDomainKind::AddConstraint { constraint, .. } => {
                let name = constraint.clone().unwrap_or_else(|| domain_check(domain));
                domain.constraints.push(name);
                domain.checks = true;
            }
            AlterDomainKind::DropConstraint { constraint } => {
                domain.constraints.retain(|name| name != constraint);
                domain.checks = !domain.constraints.is_empty();
            }
            _ => {}
        }
    }

    /// `ALTER TYPE`.
    pub(super) fn alter_type(&mut self, alter: &AlterType, at: At) {
        let Some(name) = self.resolve_type(&alter.name) else {
            return;
        };
        match &alter.kind {
            AlterTypeKind::AddValue { value, .. } => {
                if let Some(state) = self.enums.edit(&name).map(Arc::make_mut)
                    && state.values.iter().all(|(known, _)| known != value)
                {
                    state.values.push((value.clone(), Some(at)));
                }
            }
            AlterTypeKind::RenameValue { from, to } => {
                if let Some(state) = self.enums.edit(&name).map(Arc::make_mut) {
                    for (value, _) in &mut state.values {
                        if value == from {
                            value.clone_from(to);
                        }
                    }
                }
            }
            AlterTypeKind::RenameTo { name: to } => {
                let to = Qualified::new(&name.schema, names::cut(to, names::LONGEST));
                self.rename_type(&name, &to);
            }
            AlterTypeKind::SetSchema { schema } => {
                let to = Qualified::new(schema, &name.name);
                self.rename_type(&name, &to);
            }
            AlterTypeKind::Attributes { .. } | AlterTypeKind::Other => {}
        }
    }

    fn is_type(&self, name: &Qualified) -> bool {
        self.enums.contains(name) || self.domains.contains(name) || self.types.contains(name)
    }

    /// The qualified name of a type that the history made.
    pub(in crate::migration) fn resolve_type(&self, name: &Name) -> Option<Qualified> {
        let own = names::cut(&name.name, names::LONGEST);
        let there = |schema: &str| {
            self.enums.has(schema, own)
                || self.domains.has(schema, own)
                || self.types.has(schema, own)
        };
        match &name.schema {
            Some(schema) => there(schema).then(|| Qualified::new(schema, own)),
            None => self
                .path()
                .find(|schema| there(schema))
                .map(|schema| Qualified::new(schema, own)),
        }
    }

    /// Gives a type another name; columns of it go with it.
    fn rename_type(&mut self, from: &Qualified, to: &Qualified) {
        if self.is_type(to) || self.tables.contains(to) {
            return;
        }
        if let Some(mut state) = self.enums.remove(from) {
            Arc::make_mut(&mut state).name = to.clone();
            self.enums.insert(to.clone(), state);
        } else if let Some(mut state) = self.domains.remove(from) {
            Arc::make_mut(&mut state).name = to.clone();
            self.domains.insert(to.clone(), state);
        } else if let Some(state) = self.types.remove(from) {
            self.types.insert(to.clone(), state);
        }
        for table in self.tables_of_type(from) {
            let Some(table) = self.edit(&table) else {
                continue;
            };
            for column in &mut table.columns {
                if column.is_of_type(from)
                    && let Some(of) = &mut column.type_name
                {
                    of.base = Name::qualified(&to.schema, &to.name);
                    of.text = type_text(to, of.array);
                }
            }
        }
        for domain in self.domains.keys_where(|_, domain| {
            domain.type_name.as_ref().is_some_and(|of| {
                of.base.name == from.name && of.base.schema.as_ref() == Some(&from.schema)
            })
        }) {
            if let Some(domain) = self.domains.edit(&domain).map(Arc::make_mut)
                && let Some(of) = &mut domain.type_name
            {
                of.base = Name::qualified(&to.schema, &to.name);
                of.text = type_text(to, of.array);
            }
        }
    }

    fn tables_of_type(&self, name: &Qualified) -> Vec<Qualified> {
        self.tables
            .keys_where(|_, table| table.columns.iter().any(|column| column.is_of_type(name)))
    }

    /// Drops a type with the columns and domains of it. Without CASCADE there
    /// are none, as the history was applied.
    pub(super) fn drop_type(&mut self, name: &Name, cascade: bool) {
        let Some(name) = self.resolve_type(name) else {
            return;
        };
        let mut todo = vec![name];
        while let Some(name) = todo.pop() {
            let tables = self.tables_of_type(&name);
            if !cascade && !tables.is_empty() {
                // The server refuses.
                return;
            }
            for table in tables {
                let columns: Vec<String> = self
                    .known(&table)
                    .into_iter()
                    .flat_map(|table| &table.columns)
                    .filter(|column| column.is_of_type(&name))
                    .map(|column| column.name.clone())
                    .collect();
                for column in columns {
                    self.drop_column_here(&table, &column);
                }
            }
            todo.extend(self.domains.keys_where(|_, domain| {
                domain.type_name.as_ref().is_some_and(|of| {
                    of.base.name == name.name && of.base.schema.as_ref() == Some(&name.schema)
                })
            }));
            self.enums.remove(&name);
            self.domains.remove(&name);
            self.types.remove(&name);
        }
    }

    /// Names of all types for which something holds, sorted.
    pub(super) fn type_names(&self, wanted: impl Fn(&Qualified) -> bool) -> Vec<Qualified> {
        let mut all = self.enums.keys_where(|name, _| wanted(name));
        all.extend(self.domains.keys_where(|name, _| wanted(name)));
        all.extend(self.types.keys_where(|name, _| wanted(name)));
        all.sort();
        all
    }

    /// Moves types to another schema.
    pub(super) fn move_types(&mut self, wanted: impl Fn(&Qualified) -> bool, schema: &str) {
        for name in self.type_names(wanted) {
            let to = Qualified::new(schema, &name.name);
            self.rename_type(&name, &to);
        }
    }
}

/// The name of a domain's next CHECK.
fn domain_check(domain: &DomainState) -> String {
    let mut label = "check".to_owned();
    let mut number = 0;
    loop {
        let name = names::object_name(&domain.name.name, None, &label);
        if !domain.constraints.contains(&name) {
            return name;
        }
        number += 1;
        label = format!("check{number}");
    }
}

/// A type's name as a column shows it.
fn type_text(name: &Qualified, array: bool) -> String {
    let mut text = if name.schema == "public" {
        name.name.clone()
    } else {
        format!("{}.{}", name.schema, name.name)
    };
    if array {
        text.push_str("[]");
    }
    text
}
