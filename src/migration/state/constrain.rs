//! Constraints: added, validated, dropped.

use super::index::Label;
use super::{Constrains, ConstraintState, IndexState, Owner, Qualified, State, names};
use crate::migration::At;
use crate::sql::ddl::{Constraint, ConstraintKind, IndexKey};

impl Constrains {
    pub(super) fn is_primary_key(&self) -> bool {
        matches!(self, Self::PrimaryKey)
    }
}

/// A key on a plain column.
pub(super) fn plain_key(column: &str) -> IndexKey {
    IndexKey {
        column: Some(column.to_owned()),
        text: column.to_owned(),
        functions: Vec::new(),
        columns: vec![column.to_owned()],
        opclass: None,
        collation: None,
        descending: false,
        nulls_first: None,
    }
}

/// How a constraint is added.
#[derive(Debug, Clone, Copy)]
pub(super) struct Adding {
    pub(super) at: At,
    /// `ALTER TABLE ONLY`.
    pub(super) only: bool,
    /// With its table or column: NOT VALID says nothing there.
    pub(super) new: bool,
}

impl State {
    /// Adds a constraint to a table and where it goes below it.
    pub(super) fn add_constraint(
        &mut self,
        table: &Qualified,
        constraint: &Constraint,
        adding: Adding,
    ) {
        if let Some(name) = &constraint.name
            && self
                .known(table)
                .is_none_or(|table| table.constraint(names::cut(name, names::LONGEST)).is_some())
        {
            return;
        }
        let validated = !constraint.not_enforced && (adding.new || !constraint.not_valid);
        match &constraint.kind {
            ConstraintKind::NotNull => {
                for column in &constraint.columns {
                    self.not_null_below(
                        table,
                        column,
                        constraint.name.as_deref(),
                        validated,
                        adding.at,
                        adding.only || constraint.no_inherit,
                    );
                }
            }
            ConstraintKind::Check { expression } => {
                let name = constraint.name.as_deref().map_or_else(
                    || {
                        let second = match expression.columns.as_slice() {
                            [one] => Some(one.as_str()),
                            _ => None,
                        };
                        self.constraint_name(&table.schema, &table.name, second, "check")
                    },
                    |name| names::cut(name, names::LONGEST).to_owned(),
                );
                let state = ConstraintState {
                    name,
                    kind: Constrains::Check {
                        expression: (**expression).clone(),
                    },
                    columns: constraint.columns.clone(),
                    validated,
                    deferrable: false,
                    no_inherit: constraint.no_inherit,
                    local: true,
                    inherited: 0,
                    added: Some(adding.at),
                };
                if !adding.only && !constraint.no_inherit {
                    for child in self.below(table) {
                        self.inherit_check(&child, &state);
                    }
                }
                self.push_constraint(table, state);
            }
            ConstraintKind::ForeignKey { .. } => {
                self.add_foreign_key(table, constraint, validated, adding);
            }
            ConstraintKind::PrimaryKey
            | ConstraintKind::Unique { .. }
            | ConstraintKind::Exclusion { .. } => self.add_key(table, constraint, adding),
        }
    }

    /// `PRIMARY KEY`, `UNIQUE`, `EXCLUDE`.
    fn add_key(&mut self, table: &Qualified, constraint: &Constraint, adding: Adding) {
        let (label, kind) = match &constraint.kind {
            ConstraintKind::PrimaryKey => (Label::PrimaryKey, Constrains::PrimaryKey),
            ConstraintKind::Exclusion { .. } => (Label::Exclusion, Constrains::Exclusion),
            _ => (Label::Key, Constrains::Unique),
        };
        let primary = kind.is_primary_key();
        if primary
            && self
                .known(table)
                .is_none_or(|table| table.primary_key().is_some())
        {
            return;
        }
        let mut state = ConstraintState {
            name: String::new(),
            kind,
            columns: constraint.columns.clone(),
            validated: true,
            deferrable: constraint.deferrable,
            no_inherit: false,
            local: true,
            inherited: 0,
            added: Some(adding.at),
        };
        if let Some(index) = &constraint.using_index {
            let index = Qualified::new(&table.schema, names::cut(index, names::LONGEST));
            let Some(found) = self
                .known(table)
                .and_then(|table| table.index(&index.name))
                .filter(|index| index.owner == Owner::Index)
            else {
                return;
            };
            state.columns = found.key_columns().into_iter().map(str::to_owned).collect();
            let wanted = constraint.name.as_deref().map_or_else(
                || index.name.clone(),
                |name| names::cut(name, names::LONGEST).to_owned(),
            );
            if wanted != index.name {
                if self.is_relation(&table.schema, &wanted) {
                    return;
                }
                self.rename_index(&index, &wanted);
            }
            if primary {
                for column in state.columns.clone() {
                    self.not_null_below(table, &column, None, true, adding.at, false);
                }
            }
            if let Some(index) = self.edit(table).and_then(|table| table.index_mut(&wanted)) {
                index.owner = Owner::Constraint(wanted.clone());
            }
            state.name = wanted;
            self.push_constraint(table, state);
            return;
        }
        if primary {
            for column in &constraint.columns {
                self.not_null_below(table, column, None, true, adding.at, adding.only);
            }
        }
        let plain = || constraint.columns.iter().map(|column| plain_key(column));
        let (method, keys, predicate) = match &constraint.kind {
            ConstraintKind::Exclusion {
                method,
                keys,
                predicate,
            } => (method.clone(), keys.clone(), predicate.as_deref().cloned()),
            _ => ("btree".to_owned(), plain().collect(), None),
        };
        let nulls_not_distinct = matches!(
            constraint.kind,
            ConstraintKind::Unique {
                nulls_not_distinct: true
            }
        );
        let proto = IndexState {
            name: constraint
                .name
                .as_deref()
                .map(|name| names::cut(name, names::LONGEST).to_owned())
                .unwrap_or_default(),
            method,
            keys,
            include: constraint.include.clone(),
            unique: label != Label::Exclusion,
            nulls_not_distinct,
            predicate,
            valid: true,
            owner: Owner::Index,
            parent: None,
            created: Some(adding.at),
            pages: None,
            scans: None,
        };
        self.index_tree(table, proto, Some(state), label, adding.only);
    }

    fn add_foreign_key(
        &mut self,
        table: &Qualified,
        constraint: &Constraint,
        validated: bool,
        adding: Adding,
    ) {
        let ConstraintKind::ForeignKey {
            table: target,
            columns: to,
            on_delete,
            on_update,
        } = &constraint.kind
        else {
            return;
        };
        if self.resolve(&target.name).is_none() {
            self.missing(&target.name, adding.at);
        }
        let target = self.qualify(&target.name);
        let to = if to.is_empty() {
            self.known(&target)
                .and_then(super::Table::primary_key)
                .map(|key| key.columns.clone())
                .unwrap_or_default()
        } else {
            to.clone()
        };
        let name = constraint.name.as_deref().map_or_else(
            || {
                let columns = names::joined(&constraint.columns);
                self.constraint_name(&table.schema, &table.name, Some(&columns), "fkey")
            },
            |name| names::cut(name, names::LONGEST).to_owned(),
        );
        let state = ConstraintState {
            name,
            kind: Constrains::ForeignKey {
                table: target,
                columns: to,
                on_delete: Some(*on_delete),
                on_update: Some(*on_update),
            },
            columns: constraint.columns.clone(),
            validated,
            deferrable: constraint.deferrable,
            no_inherit: false,
            local: true,
            inherited: 0,
            added: Some(adding.at),
        };
        let partitioned = self.known(table).is_some_and(super::Table::is_partitioned);
        self.push_constraint(table, state.clone());
        if partitioned {
            for child in self.below(table) {
                self.inherit_foreign_key(&child, &state);
            }
        }
    }

    /// A partition's copy of its parent's foreign key; one that is the same
    /// already becomes it.
    pub(super) fn inherit_foreign_key(&mut self, partition: &Qualified, parent: &ConstraintState) {
        let Some(known) = self.known(partition) else {
            return;
        };
        let same = known
            .constraints
            .iter()
            .find(|own| own.inherited == 0 && own.is_same_key(parent))
            .map(|own| own.name.clone());
        if let Some(name) = same {
            if let Some(own) = self
                .edit(partition)
                .and_then(|table| table.constraint_mut(&name))
            {
                own.local = false;
                own.inherited = 1;
            }
            return;
        }
        let name = if known.constraint(&parent.name).is_some() {
            let columns = names::joined(&parent.columns);
            self.constraint_name(&partition.schema, &partition.name, Some(&columns), "fkey")
        } else {
            parent.name.clone()
        };
        let copy = ConstraintState {
            name,
            local: false,
            inherited: 1,
            ..parent.clone()
        };
        self.push_constraint(partition, copy);
    }

    /// A child's copy of its parent's CHECK; one of the same name becomes it.
    pub(super) fn inherit_check(&mut self, child: &Qualified, parent: &ConstraintState) {
        let partition = self
            .known(child)
            .is_some_and(|child| child.partition_bound.is_some());
        if self
            .known(child)
            .is_some_and(|child| child.constraint(&parent.name).is_some())
        {
            if let Some(own) = self
                .edit(child)
                .and_then(|table| table.constraint_mut(&parent.name))
            {
                own.inherited += 1;
                own.local &= !partition;
            }
            return;
        }
        let copy = ConstraintState {
            local: false,
            inherited: 1,
            ..parent.clone()
        };
        self.push_constraint(child, copy);
    }

    /// Makes a column NOT NULL in a table and below it.
    pub(super) fn not_null_below(
        &mut self,
        table: &Qualified,
        column: &str,
        name: Option<&str>,
        validated: bool,
        at: At,
        only: bool,
    ) {
        self.not_null(table, column, name, validated, Some(at), false);
        if only {
            return;
        }
        let name = self
            .known(table)
            .and_then(|table| table.not_null_constraint(column))
            .map(|constraint| constraint.name.clone());
        for child in self.below(table) {
            self.not_null(&child, column, name.as_deref(), validated, Some(at), true);
        }
    }

    /// Makes a column of one table NOT NULL; since 18 with a constraint.
    pub(super) fn not_null(
        &mut self,
        table: &Qualified,
        column: &str,
        name: Option<&str>,
        validated: bool,
        at: Option<At>,
        inherited: bool,
    ) {
        let constraints = self.major >= 18;
        let Some(known) = self.known(table) else {
            return;
        };
        if known.column(column).is_none() {
            return;
        }
        let partition = known.partition_bound.is_some();
        let there = known
            .not_null_constraint(column)
            .map(|constraint| constraint.name.clone());
        match there {
            Some(there) => {
                if let Some(own) = self
                    .edit(table)
                    .and_then(|table| table.constraint_mut(&there))
                {
                    own.validated |= validated;
                    if inherited {
                        own.inherited = own.inherited.max(1);
                        own.local &= !partition;
                    } else {
                        own.local = true;
                    }
                }
            }
            None if constraints => {
                let name = name
                    .map(|name| names::cut(name, names::LONGEST).to_owned())
                    .filter(|name| known.constraint(name).is_none())
                    .unwrap_or_else(|| {
                        self.constraint_name(&table.schema, &table.name, Some(column), "not_null")
                    });
                self.push_constraint(
                    table,
                    ConstraintState {
                        name,
                        kind: Constrains::NotNull,
                        columns: vec![column.to_owned()],
                        validated,
                        deferrable: false,
                        no_inherit: false,
                        local: !inherited,
                        inherited: u32::from(inherited),
                        added: at,
                    },
                );
            }
            None => {}
        }
        if validated
            && let Some(column) = self.edit(table).and_then(|table| table.column_mut(column))
        {
            column.not_null = true;
        }
    }

    /// `ALTER COLUMN … DROP NOT NULL` of one table.
    pub(super) fn nullable(&mut self, table: &Qualified, column: &str) {
        let Some(known) = self.known(table) else {
            return;
        };
        if known
            .primary_key()
            .is_some_and(|key| key.columns.iter().any(|name| name == column))
        {
            return;
        }
        if let Some(name) = known
            .not_null_constraint(column)
            .map(|constraint| constraint.name.clone())
        {
            self.take_constraint(table, &name);
        }
        if let Some(column) = self.edit(table).and_then(|table| table.column_mut(column)) {
            column.not_null = false;
        }
    }

    /// Puts a constraint on one table.
    pub(super) fn push_constraint(&mut self, table: &Qualified, constraint: ConstraintState) {
        if !self.tables.contains(table) {
            return;
        }
        let key = Qualified::new(&table.schema, &constraint.name);
        let count = self.constraint_names.get(&key).copied().unwrap_or_default();
        self.constraint_names.insert(key, count + 1);
        if let Constrains::ForeignKey { table: target, .. } = &constraint.kind
            && let Some(target) = self.edit(target)
            && !target.referenced_by.contains(table)
        {
            target.referenced_by.push(table.clone());
        }
        if let Some(table) = self.edit(table) {
            table.constraints.push(constraint);
        }
    }

    /// Takes a constraint off one table; its index stays.
    pub(super) fn take_constraint(
        &mut self,
        table: &Qualified,
        name: &str,
    ) -> Option<ConstraintState> {
        let known = self.edit(table)?;
        let at = known
            .constraints
            .iter()
            .position(|constraint| constraint.name == name)?;
        let gone = known.constraints.remove(at);
        self.name_is_free(&Qualified::new(&table.schema, name));
        if let Constrains::ForeignKey { table: target, .. } = &gone.kind {
            self.reference_is_gone(table, target);
        }
        Some(gone)
    }

    /// One constraint less has that name.
    pub(super) fn name_is_free(&mut self, key: &Qualified) {
        match self.constraint_names.get(key).copied() {
            Some(count) if count > 1 => self.constraint_names.insert(key.clone(), count - 1),
            Some(_) => {
                self.constraint_names.remove(key);
            }
            None => {}
        }
    }

    /// A foreign key from a table to another is gone; it may have been the
    /// last.
    pub(super) fn reference_is_gone(&mut self, from: &Qualified, target: &Qualified) {
        let more = self.known(from).is_some_and(|from| {
            from.constraints
                .iter()
                .any(|constraint| constraint.references(target))
        });
        if !more && let Some(target) = self.edit(target) {
            target.referenced_by.retain(|name| name != from);
        }
    }

    /// `ALTER TABLE … DROP CONSTRAINT`.
    pub(super) fn drop_constraint(&mut self, table: &Qualified, name: &str, only: bool) {
        let name = names::cut(name, names::LONGEST);
        let Some(constraint) = self
            .known(table)
            .and_then(|table| table.constraint(name))
            .cloned()
        else {
            return;
        };
        match &constraint.kind {
            Constrains::PrimaryKey | Constrains::Unique | Constrains::Exclusion => {
                self.drop_index(&Qualified::new(&table.schema, name));
                // One that a catalogue named without its index.
                self.take_constraint(table, name);
                self.drop_keys_to(table, &constraint.columns);
            }
            Constrains::Check { .. } => {
                self.take_constraint(table, name);
                if !constraint.no_inherit {
                    self.disinherit(table, only, |own| own.name == name);
                }
            }
            Constrains::ForeignKey { .. } => {
                self.take_constraint(table, name);
                self.disinherit(table, false, |own| own.is_same_key(&constraint));
            }
            Constrains::NotNull => {
                if let Some(column) = constraint.columns.first() {
                    self.nullable(table, column);
                    for child in self.disinherit(table, only, |own| {
                        matches!(own.kind, Constrains::NotNull) && own.columns == constraint.columns
                    }) {
                        if let Some(column) =
                            self.edit(&child).and_then(|table| table.column_mut(column))
                        {
                            column.not_null = false;
                        }
                    }
                }
            }
        }
    }

    /// Tables below one lose the constraint that came from it: those that
    /// defined it themselves, or have it from another, keep it. Gives the
    /// tables that lost it.
    fn disinherit(
        &mut self,
        table: &Qualified,
        only: bool,
        which: impl Fn(&ConstraintState) -> bool,
    ) -> Vec<Qualified> {
        let mut lost = Vec::new();
        for child in self.below(table) {
            let mut gone = None;
            if let Some(found) = self.edit(&child).and_then(|table| {
                table
                    .constraints
                    .iter_mut()
                    .find(|constraint| constraint.inherited > 0 && which(constraint))
            }) {
                found.inherited -= 1;
                if only {
                    found.local = true;
                } else if found.inherited == 0 && !found.local {
                    gone = Some(found.name.clone());
                }
            }
            if let Some(name) = gone {
                self.take_constraint(&child, &name);
                lost.push(child);
            }
        }
        lost
    }

    /// `VALIDATE CONSTRAINT`.
    pub(super) fn validate(&mut self, table: &Qualified, name: &str) {
        let name = names::cut(name, names::LONGEST);
        let Some(constraint) = self
            .known(table)
            .and_then(|table| table.constraint(name))
            .cloned()
        else {
            return;
        };
        let mut all = vec![table.clone()];
        all.extend(self.below(table));
        for table in all {
            let Some(table) = self.edit(&table) else {
                continue;
            };
            let mut column = None;
            for own in &mut table.constraints {
                let same = match (&own.kind, &constraint.kind) {
                    (Constrains::NotNull, Constrains::NotNull) => own.columns == constraint.columns,
                    (Constrains::ForeignKey { .. }, Constrains::ForeignKey { .. }) => {
                        own.name == name || own.is_same_key(&constraint)
                    }
                    _ => own.name == name,
                };
                if same {
                    own.validated = true;
                    if matches!(own.kind, Constrains::NotNull) {
                        column = own.columns.first().cloned();
                    }
                }
            }
            if let Some(column) = column
                && let Some(column) = table.column_mut(&column)
            {
                column.not_null = true;
            }
        }
    }
}

impl ConstraintState {
    /// A foreign key on the same columns to the same.
    pub(in crate::migration) fn is_same_key(&self, other: &Self) -> bool {
        match (&self.kind, &other.kind) {
            (
                Constrains::ForeignKey { table, columns, .. },
                Constrains::ForeignKey {
                    table: other_table,
                    columns: other_columns,
                    ..
                },
            ) => {
                table == other_table
                    && columns == other_columns
                    && self.columns == other.columns
                    && self.deferrable == other.deferrable
            }
            _ => false,
        }
    }
}

impl super::Table {
    /// The NOT NULL constraint of a column (since 18).
    pub fn not_null_constraint(&self, column: &str) -> Option<&ConstraintState> {
        self.constraints.iter().find(|constraint| {
            matches!(constraint.kind, Constrains::NotNull)
                && constraint
                    .columns
                    .first()
                    .is_some_and(|name| name == column)
        })
    }
}
