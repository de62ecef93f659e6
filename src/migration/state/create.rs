//! `CREATE TABLE`, `CREATE VIEW`, and columns that are added.

use std::sync::Arc;

use super::constrain::Adding;
use super::index::Label;
use super::{
    ColumnState, Constrains, ConstraintState, IndexState, Owner, Qualified, SequenceState, State,
    Table, names,
};
use crate::catalog::RelationKind;
use crate::migration::At;
use crate::sql::ddl::{
    ColumnDefinition, Constraint, ConstraintKind, CreateTable, CreateView, Name, Persistence,
    TypeName,
};

impl State {
    /// `CREATE TABLE`.
    pub(super) fn create_table(&mut self, create: &CreateTable, at: At) {
        let temporary = create.persistence == Persistence::Temporary;
        let name = self.new_name(&create.table.name, temporary);
        if self.is_relation(&name.schema, &name.name) {
            // It fails on a server. What stands behind it means the table that
            // it would have made, which nobody uses yet.
            if !create.if_not_exists
                && let Some(table) = self.edit(&name)
            {
                table.created = Some(at);
            }
            return;
        }
        let kind = if create.foreign {
            RelationKind::ForeignTable
        } else if create.partition_by.is_some() {
            RelationKind::PartitionedTable
        } else {
            RelationKind::Table
        };
        let mut table = Table::new(name.clone(), kind, Some(at));
        table.persistence = create.persistence;
        table.partition_by = create
            .partition_by
            .as_ref()
            .map(|by| (by.strategy.clone(), by.keys.clone()));
        if create.of_type.is_some() {
            // The columns are the type's, which are not known.
            table.of_type = create
                .of_type
                .as_ref()
                .map(|of| match self.resolve_type(of) {
                    Some(known) => Name::qualified(known.schema, known.name),
                    None => of.clone(),
                });
            table.columns_known = false;
        }
        if let Some(reads) = &create.query {
            table.columns_known = false;
            table.filled = Some(at);
            for read in reads {
                if self.table(read).is_none() {
                    self.missing(read, at);
                }
            }
        }
        if temporary {
            self.temporary.push(name.clone());
        }
        let parents = self.parents_of(create, at);
        let partition = create.partition_of.is_some();
        for parent in &parents {
            self.inherit_columns(&mut table, parent, partition);
        }
        let mut likes: Vec<(Qualified, Vec<String>)> = Vec::new();
        for (like, including) in &create.like {
            match self.resolve(like) {
                Some(like) => {
                    self.like_columns(&mut table, &like, including, at);
                    likes.push((like, including.clone()));
                }
                None => self.missing(like, at),
            }
        }
        for column in &create.columns {
            self.define_column(&mut table, column, at);
        }
        self.place_sizes(&mut table);
        self.tables.insert(name.clone(), Arc::new(table));
        for column in &create.columns {
            self.sequence_of(&name, column, at);
        }
        if let Some(partition_of) = &create.partition_of
            && let Some(table) = self.edit(&name)
        {
            table.partition_bound = Some(if partition_of.default {
                "DEFAULT".to_owned()
            } else {
                partition_of.bound.clone()
            });
        }
        for parent in &parents {
            self.link(parent, &name);
        }
        for parent in &parents {
            self.inherit_constraints(parent, &name);
        }
        self.constraints_of(&name, create, &likes, at);
        for (like, including) in &likes {
            self.like_indexes(&name, like, including, at);
        }
        if partition {
            for parent in &parents {
                self.inherit_keys(parent, &name);
            }
        }
    }

    fn parents_of(&mut self, create: &CreateTable, at: At) -> Vec<Qualified> {
        let mut parents = Vec::new();
        let written = create
            .inherits
            .iter()
            .chain(create.partition_of.as_ref().map(|of| &of.parent.name));
        for parent in written {
            match self.resolve(parent) {
                Some(parent) => parents.push(parent),
                None => self.missing(parent, at),
            }
        }
        parents
    }

    /// Columns that come from a parent.
    fn inherit_columns(&self, table: &mut Table, parent: &Qualified, partition: bool) {
        let Some(parent) = self.known(parent) else {
            return;
        };
        table.columns_known &= parent.columns_known;
        for column in &parent.columns {
            if let Some(own) = table.column_mut(&column.name) {
                own.inherited += 1;
                own.not_null |= column.not_null;
                continue;
            }
            table.columns.push(ColumnState {
                local: false,
                inherited: 1,
                // Identity of a partitioned table is its partitions' since 17.
                identity: column.identity && partition && self.major >= 17,
                added: table.created,
                ..column.clone()
            });
        }
    }

    /// Columns as those of another table (`LIKE`).
    fn like_columns(&self, table: &mut Table, like: &Qualified, including: &[String], at: At) {
        let Some(like) = self.known(like) else {
            return;
        };
        table.columns_known &= like.columns_known;
        let with = |what: &str| includes(including, what);
        for column in &like.columns {
            if table.column(&column.name).is_some() {
                continue;
            }
            let generated = with("GENERATED");
            table.columns.push(ColumnState {
                default: column
                    .default
                    .clone()
                    .filter(|_| with("DEFAULTS") || (column.is_generated() && generated)),
                generated_stored: column.generated_stored && generated,
                generated_virtual: column.generated_virtual && generated,
                identity: column.identity && with("IDENTITY"),
                local: true,
                inherited: 0,
                added: Some(at),
                ..column.clone()
            });
        }
    }

    /// A column that the table defines itself.
    fn define_column(&self, table: &mut Table, column: &ColumnDefinition, at: At) {
        let state = self.column_state(column, at);
        match table.column_mut(&state.name) {
            Some(own) => {
                own.local = table_may_own(own);
                own.not_null |= state.not_null;
                if state.default.is_some() {
                    own.default = state.default;
                }
                if own.type_name.is_none() {
                    own.type_name = state.type_name;
                }
            }
            None => table.columns.push(state),
        }
    }

    /// A column as it is defined.
    pub(super) fn column_state(&self, column: &ColumnDefinition, at: At) -> ColumnState {
        let stored = column
            .generated
            .as_ref()
            .map(|generated| generated.stored.unwrap_or(self.major < 18));
        ColumnState {
            name: names::cut(&column.name, names::LONGEST).to_owned(),
            type_name: column.type_name.as_ref().map(|of| self.stored_type(of)),
            collation: column.collation.clone(),
            not_null: column.not_null,
            default: column
                .default
                .as_deref()
                .filter(|default| !default.null)
                .or(column
                    .generated
                    .as_ref()
                    .map(|generated| &generated.expression))
                .map(|default| default.text.clone()),
            generated_stored: stored == Some(true),
            generated_virtual: stored == Some(false),
            identity: column.identity,
            local: true,
            inherited: 0,
            added: Some(at),
        }
    }

    /// A type with the schema of a type that the history made.
    pub(super) fn stored_type(&self, of: &TypeName) -> TypeName {
        let mut stored = of.clone();
        if stored.base.schema.is_none() {
            let own = stored.base.name.as_str();
            let schema = self
                .path()
                .find(|schema| {
                    self.enums.has(schema, own)
                        || self.domains.has(schema, own)
                        || self.types.has(schema, own)
                })
                .map(str::to_owned);
            stored.base.schema = schema;
        }
        stored
    }

    /// The sequence of a serial or identity column.
    pub(super) fn sequence_of(&mut self, table: &Qualified, column: &ColumnDefinition, at: At) {
        let serial = column.type_name.as_ref().is_some_and(|of| of.serial);
        if !serial && !column.identity {
            return;
        }
        let name = names::cut(&column.name, names::LONGEST);
        self.make_sequence(table, name, at, serial);
    }

    /// Makes a column's sequence.
    pub(super) fn make_sequence(&mut self, table: &Qualified, column: &str, at: At, serial: bool) {
        let name = self.relation_name(&table.schema, &table.name, Some(column), "seq", false);
        if serial && let Some(state) = self.edit(table).and_then(|table| table.column_mut(column)) {
            state.default = Some(format!("nextval('{name}'::regclass)"));
        }
        self.sequences.insert(
            Qualified::new(&table.schema, name),
            SequenceState {
                owned_by: Some((table.clone(), column.to_owned())),
                created: Some(at),
            },
        );
    }

    /// Constraints of a new table, in the order in which the server makes and
    /// names them.
    fn constraints_of(
        &mut self,
        name: &Qualified,
        create: &CreateTable,
        likes: &[(Qualified, Vec<String>)],
        at: At,
    ) {
        let mut all: Vec<&Constraint> = create
            .columns
            .iter()
            .flat_map(|column| &column.constraints)
            .chain(&create.constraints)
            .collect();
        all.sort_by_key(|constraint| constraint.span.start);
        for (like, including) in likes {
            self.like_constraints(name, like, including, at);
        }
        let adding = Adding {
            at,
            only: false,
            new: true,
        };
        self.new_constraints(name, &create.columns, &all, adding);
    }

    /// Constraints of a new table or column.
    pub(super) fn new_constraints(
        &mut self,
        table: &Qualified,
        columns: &[ColumnDefinition],
        all: &[&Constraint],
        adding: Adding,
    ) {
        for constraint in all {
            if matches!(constraint.kind, ConstraintKind::Check { .. }) {
                self.add_constraint(table, constraint, adding);
            }
        }
        for constraint in all {
            if matches!(constraint.kind, ConstraintKind::NotNull) {
                self.add_constraint(table, constraint, adding);
            }
        }
        for column in columns {
            if column.not_null {
                let own = names::cut(&column.name, names::LONGEST);
                self.not_null_below(table, own, None, true, adding.at, adding.only);
            }
        }
        for constraint in &keys_once(all) {
            self.add_constraint(table, constraint, adding);
        }
        for constraint in all {
            if matches!(constraint.kind, ConstraintKind::ForeignKey { .. }) {
                self.add_constraint(table, constraint, adding);
            }
        }
    }

    /// What `LIKE` copies besides columns, before the table's own.
    fn like_constraints(
        &mut self,
        table: &Qualified,
        like: &Qualified,
        including: &[String],
        at: At,
    ) {
        let Some(model) = self.known(like) else {
            return;
        };
        let copies: Vec<ConstraintState> = model
            .constraints
            .iter()
            .filter(|constraint| match constraint.kind {
                Constrains::NotNull => true,
                Constrains::Check { .. } => includes(including, "CONSTRAINTS"),
                _ => false,
            })
            .map(|constraint| ConstraintState {
                // The new table has no rows that it could not hold for.
                validated: true,
                local: true,
                inherited: 0,
                added: Some(at),
                ..constraint.clone()
            })
            .collect();
        for copy in copies {
            if self
                .known(table)
                .is_some_and(|table| table.constraint(&copy.name).is_none())
            {
                self.push_constraint(table, copy);
            }
        }
        let identities: Vec<String> = self
            .known(table)
            .map(|table| {
                table
                    .columns
                    .iter()
                    .filter(|column| column.identity)
                    .map(|column| column.name.clone())
                    .collect()
            })
            .unwrap_or_default();
        for column in identities {
            if includes(including, "IDENTITY") {
                self.make_sequence(table, &column, at, false);
            }
        }
    }

    /// Indexes that `LIKE … INCLUDING INDEXES` copies.
    fn like_indexes(&mut self, table: &Qualified, like: &Qualified, including: &[String], at: At) {
        if !includes(including, "INDEXES") {
            return;
        }
        let Some(model) = self.known(like) else {
            return;
        };
        let copies: Vec<(IndexState, Option<ConstraintState>)> = model
            .indexes
            .iter()
            .map(|index| {
                let constraint = match &index.owner {
                    Owner::Constraint(name) => model.constraint(name).cloned(),
                    Owner::Index => None,
                };
                (index.clone(), constraint)
            })
            .collect();
        for (index, constraint) in copies {
            let label = match constraint.as_ref().map(|constraint| &constraint.kind) {
                Some(Constrains::PrimaryKey) => Label::PrimaryKey,
                Some(Constrains::Exclusion) => Label::Exclusion,
                Some(_) => Label::Key,
                None => Label::Index,
            };
            let constraint = constraint.map(|constraint| ConstraintState {
                local: true,
                inherited: 0,
                added: Some(at),
                ..constraint
            });
            let copy = IndexState {
                name: String::new(),
                owner: Owner::Index,
                parent: None,
                created: Some(at),
                pages: None,
                scans: None,
                ..index
            };
            self.index_tree(table, copy, constraint, label, false);
        }
    }

    /// `CREATE VIEW`, `CREATE MATERIALIZED VIEW`.
    pub(super) fn create_view(&mut self, create: &CreateView, at: At) {
        let name = self.new_name(&create.name.name, false);
        if self.tables.contains(&name) {
            let replaceable = create.or_replace
                && self
                    .known(&name)
                    .is_some_and(|table| table.kind == RelationKind::View);
            if !replaceable {
                return;
            }
            self.forget_reads(&name);
        } else {
            if self.is_relation(&name.schema, &name.name) {
                return;
            }
            let kind = if create.materialized {
                RelationKind::MaterializedView
            } else {
                RelationKind::View
            };
            let mut view = Table::new(name.clone(), kind, Some(at));
            view.columns_known = false;
            if create.materialized && !create.no_data {
                view.filled = Some(at);
            }
            self.place_sizes(&mut view);
            self.tables.insert(name.clone(), Arc::new(view));
        }
        let mut reads: Vec<Qualified> = Vec::new();
        for read in &create.reads {
            match self.resolve(read) {
                Some(read) if read != name && !reads.contains(&read) => reads.push(read),
                Some(_) => {}
                None => self.missing(read, at),
            }
        }
        for read in &reads {
            if let Some(read) = self.edit(read)
                && !read.read_by.contains(&name)
            {
                read.read_by.push(name.clone());
            }
        }
        if let Some(view) = self.edit(&name) {
            view.reads = reads;
        }
    }

    /// A view reads nothing any more.
    pub(super) fn forget_reads(&mut self, view: &Qualified) {
        let reads = self
            .known(view)
            .map(|view| view.reads.clone())
            .unwrap_or_default();
        for read in reads {
            if let Some(read) = self.edit(&read) {
                read.read_by.retain(|name| name != view);
            }
        }
    }

    /// A statement names a relation that is not known: the history does not
    /// begin at the beginning. What a branch of a DO block names may never
    /// have been there.
    pub(super) fn missing(&mut self, name: &Name, at: At) {
        let own = match name.schema.as_deref() {
            Some(schema) => !schema.starts_with("pg_") && schema != "information_schema",
            None => !name.name.starts_with("pg_"),
        };
        if own && at.inner == 0 {
            self.partial = true;
        }
    }
}

/// A partition's columns are never its own.
fn table_may_own(column: &ColumnState) -> bool {
    column.inherited == 0 || column.local
}

/// Whether `INCLUDING` names it.
fn includes(including: &[String], what: &str) -> bool {
    including.iter().any(|word| word == what || word == "ALL")
}

/// Keys, each once: one that says the same as an earlier one is that one, and
/// gives it its name where it has none.
fn keys_once(all: &[&Constraint]) -> Vec<Constraint> {
    let mut keys: Vec<Constraint> = Vec::new();
    // The primary key comes first, whatever stands first.
    let primary = all
        .iter()
        .filter(|constraint| matches!(constraint.kind, ConstraintKind::PrimaryKey));
    let others = all.iter().filter(|constraint| {
        matches!(
            constraint.kind,
            ConstraintKind::Unique { .. } | ConstraintKind::Exclusion { .. }
        )
    });
    for constraint in primary.chain(others) {
        let earlier = keys.iter_mut().find(|earlier| {
            earlier.columns == constraint.columns
                && earlier.include == constraint.include
                && earlier.deferrable == constraint.deferrable
                && constraint.using_index.is_none()
                && match (&earlier.kind, &constraint.kind) {
                    (ConstraintKind::PrimaryKey, ConstraintKind::Unique { nulls_not_distinct }) => {
                        !nulls_not_distinct
                    }
                    (
                        ConstraintKind::Unique {
                            nulls_not_distinct: one,
                        },
                        ConstraintKind::Unique {
                            nulls_not_distinct: other,
                        },
                    ) => one == other,
                    _ => false,
                }
        });
        match earlier {
            Some(earlier) => {
                if earlier.name.is_none() {
                    earlier.name.clone_from(&constraint.name);
                }
            }
            None => keys.push((*constraint).clone()),
        }
    }
    keys
}

impl ColumnState {
    /// `GENERATED ALWAYS AS (…)`.
    pub fn is_generated(&self) -> bool {
        self.generated_stored || self.generated_virtual
    }
}
