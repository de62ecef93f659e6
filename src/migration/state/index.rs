//! Indexes: made, attached, dropped.

use super::{Constrains, ConstraintState, IndexState, Owner, Qualified, State, Table, names};
use crate::catalog::RelationKind;
use crate::migration::At;
use crate::sql::ddl::CreateIndex;

/// Which sort of name an index gets where none is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    PrimaryKey,
    Key,
    Exclusion,
    Index,
}

impl State {
    /// `CREATE INDEX`.
    pub(super) fn create_index(&mut self, index: &CreateIndex, at: At) {
        let Some(table) = self.resolve(&index.table.name) else {
            self.missing(&index.table.name, at);
            return;
        };
        let name = index
            .name
            .as_deref()
            .map(|name| names::cut(name, names::LONGEST).to_owned());
        let proto = IndexState {
            name: name.unwrap_or_default(),
            method: index.method.clone(),
            keys: index.keys.clone(),
            include: index.include.clone(),
            unique: index.unique,
            nulls_not_distinct: index.nulls_not_distinct,
            predicate: index.predicate.clone(),
            valid: true,
            owner: Owner::Index,
            parent: None,
            created: Some(at),
            pages: None,
            scans: None,
        };
        self.index_tree(&table, proto, None, Label::Index, index.only);
    }

    /// Puts an index on a table and, unless `only`, on its partitions. Gives
    /// the name; nothing where the name is taken.
    pub(super) fn index_tree(
        &mut self,
        table: &Qualified,
        proto: IndexState,
        constraint: Option<ConstraintState>,
        label: Label,
        only: bool,
    ) -> Option<String> {
        let known = self.known(table)?;
        let partitioned = known.is_partitioned();
        let invalid = partitioned && only && !known.children.is_empty();
        let mut proto = proto;
        proto.valid = !invalid;
        let name = self.place_index(table, proto, constraint, label)?;
        if partitioned && !only {
            let parent = Qualified::new(&table.schema, &name);
            let children = self
                .known(table)
                .map(|table| table.children.clone())
                .unwrap_or_default();
            for child in children {
                self.index_of_partition(table, &parent, &child);
            }
        }
        Some(name)
    }

    /// Puts one index, with its constraint, on one table.
    fn place_index(
        &mut self,
        table: &Qualified,
        mut index: IndexState,
        constraint: Option<ConstraintState>,
        label: Label,
    ) -> Option<String> {
        let schema = table.schema.as_str();
        if let Some(known) = self.known(table) {
            for key in &mut index.keys {
                let own = key.column.as_deref().and_then(|name| known.column(name));
                // The column's own collation says nothing more.
                if own.is_some_and(|column| column.collation == key.collation) {
                    key.collation = None;
                }
            }
        }
        if index.name.is_empty() {
            let of_constraint = constraint.is_some();
            let columns = names::joined(&names::index_columns(&index.keys, &index.include));
            let (second, label) = match label {
                Label::PrimaryKey => (None, "pkey"),
                Label::Key => (Some(columns.as_str()), "key"),
                Label::Exclusion => (Some(columns.as_str()), "excl"),
                Label::Index => (Some(columns.as_str()), "idx"),
            };
            index.name = self.relation_name(schema, &table.name, second, label, of_constraint);
        } else if self.is_relation(schema, &index.name)
            || (constraint.is_some()
                && self
                    .known(table)
                    .is_some_and(|table| table.constraint(&index.name).is_some()))
        {
            return None;
        }
        let name = index.name.clone();
        if let Some(mut constraint) = constraint {
            index.owner = Owner::Constraint(name.clone());
            constraint.name.clone_from(&name);
            self.push_constraint(table, constraint);
        }
        self.place_sizes_of_index(table, &mut index);
        self.edit(table)?.indexes.push(index);
        self.indexes
            .insert(Qualified::new(schema, &name), table.clone());
        Some(name)
    }

    /// Sees to it that a partition, and what is below it, has the index of its
    /// parent: one that fits is attached, else one is made.
    pub(super) fn index_of_partition(
        &mut self,
        of: &Qualified,
        parent: &Qualified,
        partition: &Qualified,
    ) {
        let mut todo = vec![(of.clone(), parent.clone(), partition.clone())];
        while let Some((of, parent, partition)) = todo.pop() {
            let Some(child) = self.known(&partition) else {
                continue;
            };
            if child.kind == RelationKind::ForeignTable {
                continue;
            }
            let Some(model) = self
                .known(&of)
                .and_then(|table| table.index(&parent.name))
                .cloned()
            else {
                continue;
            };
            let of_constraint = matches!(model.owner, Owner::Constraint(_));
            let fits = child.indexes.iter().find(|index| {
                index.parent.is_none()
                    && index.valid
                    && index.fits(&model)
                    && (!of_constraint || matches!(index.owner, Owner::Constraint(_)))
            });
            if let Some(fits) = fits {
                let name = fits.name.clone();
                self.attach(&partition, &name, &parent);
                continue;
            }
            let constraint = match &model.owner {
                Owner::Constraint(name) => self
                    .known(&of)
                    .and_then(|table| table.constraint(name))
                    .cloned(),
                Owner::Index => None,
            };
            let label = match (&constraint, &model.owner) {
                (Some(constraint), _) => match constraint.kind {
                    Constrains::PrimaryKey => Label::PrimaryKey,
                    Constrains::Exclusion => Label::Exclusion,
                    _ => Label::Key,
                },
                _ => Label::Index,
            };
            let constraint = constraint.map(|constraint| ConstraintState {
                local: false,
                inherited: 1,
                ..constraint
            });
            if let Some(constraint) = &constraint
                && constraint.kind.is_primary_key()
            {
                for column in &constraint.columns {
                    self.not_null(&partition, column, None, true, model.created, true);
                }
            }
            let proto = IndexState {
                name: String::new(),
                owner: Owner::Index,
                parent: Some(parent.clone()),
                valid: true,
                pages: None,
                scans: None,
                ..model
            };
            let Some(name) = self.place_index(&partition, proto, constraint, label) else {
                continue;
            };
            let own = Qualified::new(&partition.schema, name);
            let children = self
                .known(&partition)
                .map(|table| table.children.clone())
                .unwrap_or_default();
            // The last in, the first out: the first child is to be the next.
            for child in children.into_iter().rev() {
                todo.push((partition.clone(), own.clone(), child));
            }
        }
    }

    /// Makes an index of a partition a part of its parent's.
    pub(super) fn attach(&mut self, partition: &Qualified, index: &str, parent: &Qualified) {
        let Some(table) = self.edit(partition) else {
            return;
        };
        let mut constraint = None;
        if let Some(index) = table.index_mut(index) {
            index.parent = Some(parent.clone());
            if let Owner::Constraint(name) = &index.owner {
                constraint = Some(name.clone());
            }
        }
        if let Some(name) = constraint
            && let Some(constraint) = table.constraint_mut(&name)
        {
            constraint.local = false;
            constraint.inherited = 1;
        }
    }

    /// `ALTER INDEX … ATTACH PARTITION`.
    pub(super) fn attach_index(&mut self, parent: &Qualified, child: &Qualified) {
        let (Some(of), Some(partition)) = (
            self.indexes.get(parent).cloned(),
            self.indexes.get(child).cloned(),
        ) else {
            return;
        };
        self.attach(&partition, &child.name, parent);
        self.validate_partitioned(&of, &parent.name);
    }

    /// A partitioned index is valid once all partitions have their part.
    pub(super) fn validate_partitioned(&mut self, table: &Qualified, index: &str) {
        let mut next = Some((table.clone(), index.to_owned()));
        while let Some((table, index)) = next.take() {
            let Some(known) = self.known(&table) else {
                return;
            };
            if known.index(&index).is_none_or(|index| index.valid) {
                return;
            }
            let own = Qualified::new(&table.schema, &index);
            let whole = known.children.iter().all(|child| {
                self.known(child).is_none_or(|child| {
                    child
                        .indexes
                        .iter()
                        .any(|part| part.valid && part.parent.as_ref() == Some(&own))
                })
            });
            if !whole {
                return;
            }
            let mut above = None;
            if let Some(found) = self.edit(&table).and_then(|table| table.index_mut(&index)) {
                found.valid = true;
                above.clone_from(&found.parent);
            }
            next = above.and_then(|above| {
                let table = self.indexes.get(&above)?.clone();
                Some((table, above.name))
            });
        }
    }

    /// Indexes of partitions are made anew with the one above them when a
    /// column changes its type, and get the names that PostgreSQL makes.
    pub(super) fn rename_rebuilt(&mut self, table: &Qualified, column: &str) {
        for partition in self.below(table) {
            let Some(known) = self.known(&partition) else {
                continue;
            };
            let rebuilt: Vec<IndexState> = known
                .indexes
                .iter()
                .filter(|index| index.parent.is_some() && index.names_column(column))
                .cloned()
                .collect();
            for index in rebuilt {
                let old = Qualified::new(&partition.schema, &index.name);
                let (constraint, label) = match &index.owner {
                    Owner::Index => (false, "idx"),
                    Owner::Constraint(name) => (
                        true,
                        match self
                            .known(&partition)
                            .and_then(|known| known.constraint(name))
                            .map(|constraint| &constraint.kind)
                        {
                            Some(Constrains::PrimaryKey) => "pkey",
                            Some(Constrains::Exclusion) => "excl",
                            _ => "key",
                        },
                    ),
                };
                let columns = names::joined(&names::index_columns(&index.keys, &index.include));
                let second = (label != "pkey").then_some(columns.as_str());
                let name = names::choose(&partition.name, second, label, |name| {
                    name != old.name
                        && (self.is_relation(&partition.schema, name)
                            || (constraint && self.constraint_names.has(&partition.schema, name)))
                });
                if name != old.name {
                    self.rename_index(&old, &name);
                }
            }
        }
    }

    /// Drops an index, its constraint, and its parts on partitions.
    pub(super) fn drop_index(&mut self, index: &Qualified) {
        let mut todo = vec![index.clone()];
        while let Some(index) = todo.pop() {
            let Some(table) = self.indexes.remove(&index) else {
                continue;
            };
            let children = self
                .known(&table)
                .map(|table| table.children.clone())
                .unwrap_or_default();
            for child in children {
                if let Some(child) = self.known(&child) {
                    todo.extend(
                        child
                            .indexes
                            .iter()
                            .filter(|part| part.parent.as_ref() == Some(&index))
                            .map(|part| Qualified::new(&child.name.schema, &part.name)),
                    );
                }
            }
            let mut owner = Owner::Index;
            if let Some(table) = self.edit(&table)
                && let Some(at) = table
                    .indexes
                    .iter()
                    .position(|known| known.name == index.name)
            {
                owner = table.indexes.remove(at).owner;
            }
            if let Owner::Constraint(name) = owner {
                self.take_constraint(&table, &name);
            }
        }
    }

    /// Drops the foreign keys that need a unique index on exactly those
    /// columns, unless the table still has another.
    pub(super) fn drop_keys_to(&mut self, table: &Qualified, columns: &[String]) {
        let same = |these: &[String]| {
            these.len() == columns.len() && columns.iter().all(|column| these.contains(column))
        };
        let Some(known) = self.known(table) else {
            return;
        };
        let another = known.indexes.iter().any(|index| {
            index.unique
                && index.predicate.is_none()
                && index.keys.iter().all(|key| key.column.is_some())
                && same(
                    &index
                        .key_columns()
                        .into_iter()
                        .map(str::to_owned)
                        .collect::<Vec<_>>(),
                )
        });
        if another {
            return;
        }
        let gone: Vec<(Qualified, String)> = self
            .referencing(table)
            .into_iter()
            .filter(|(_, constraint)| {
                matches!(&constraint.kind, Constrains::ForeignKey { columns: to, .. } if same(to))
            })
            .map(|(from, constraint)| (from.name.clone(), constraint.name.clone()))
            .collect();
        for (from, name) in gone {
            self.take_constraint(&from, &name);
        }
    }
}

impl Table {
    /// The index of that name.
    pub fn index(&self, name: &str) -> Option<&IndexState> {
        self.indexes.iter().find(|index| index.name == name)
    }

    pub(super) fn index_mut(&mut self, name: &str) -> Option<&mut IndexState> {
        self.indexes.iter_mut().find(|index| index.name == name)
    }

    pub(super) fn constraint_mut(&mut self, name: &str) -> Option<&mut ConstraintState> {
        self.constraints
            .iter_mut()
            .find(|constraint| constraint.name == name)
    }
}

impl IndexState {
    /// It can be the part of that index on a partition.
    pub(super) fn fits(&self, model: &Self) -> bool {
        self.method == model.method
            && self.unique == model.unique
            && self.nulls_not_distinct == model.nulls_not_distinct
            && self.include == model.include
            && self.keys.len() == model.keys.len()
            && self.keys.iter().zip(&model.keys).all(|(a, b)| {
                a.column == b.column
                    && (a.column.is_some() || a.text == b.text)
                    && a.opclass == b.opclass
                    && a.collation == b.collation
                    && a.descending == b.descending
            })
            && self.predicate.as_ref().map(|predicate| &predicate.text)
                == model.predicate.as_ref().map(|predicate| &predicate.text)
    }
}
