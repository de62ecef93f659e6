//! The state from a catalogue, and as one.

use std::collections::HashMap;
use std::sync::Arc;

use super::constrain::plain_key;
use super::{
    ColumnState, Constrains, ConstraintState, FunctionState, IndexState, Owner, Qualified, State,
    Table,
};
use crate::catalog::{self, Catalog, Relation, RelationKind};
use crate::source::{SourceId, Span};
use crate::sql::ddl::{Expression, IndexKey, Name, TypeName};

/// Sizes that are kept until their relation comes into being.
#[derive(Debug, Default)]
pub(super) struct Sizes {
    /// Pages and rows.
    relations: HashMap<Qualified, (f64, Option<f64>)>,
    /// Pages and scans.
    indexes: HashMap<Qualified, (f64, Option<f64>)>,
}

impl State {
    /// The schema of a catalogue (of a snapshot or a server), with sizes.
    /// Everything in it was there before. Enums, domains, triggers and what
    /// views read are no part of a catalogue.
    pub fn of_catalog(catalog: &Catalog) -> Self {
        let mut state = Self::empty();
        if catalog.version_num > 0 {
            state.major = u16::try_from(catalog.major()).unwrap_or(state.major);
        }
        if !catalog.search_path.is_empty() {
            state.session.search_path.clone_from(&catalog.search_path);
            state.base.search_path.clone_from(&catalog.search_path);
        }
        for (name, volatility) in &catalog.functions {
            let function = FunctionState {
                volatility: *volatility,
                trigger: false,
                steady: false,
            };
            state.functions.insert(Qualified::new("", name), function);
        }
        for relation in &catalog.relations {
            let name = Qualified::new(&relation.schema, &relation.name);
            state
                .schemas
                .insert(Qualified::new("", &relation.schema), None);
            state
                .tables
                .insert(name.clone(), Arc::new(table_of(relation)));
            for index in &relation.indexes {
                state
                    .indexes
                    .insert(Qualified::new(&relation.schema, &index.name), name.clone());
            }
        }
        for relation in &catalog.relations {
            let name = Qualified::new(&relation.schema, &relation.name);
            if let Some((schema, parent)) = &relation.parent {
                state.link(&Qualified::new(schema, parent), &name);
            }
            for constraint in &relation.constraints {
                state.push_constraint(&name, constraint_of(constraint));
            }
        }
        // A partition's part of an index says nothing of its parent: the one
        // that is on the same keys is taken to be it.
        for relation in &catalog.relations {
            if relation.partition_bound.is_some()
                && let Some((schema, parent)) = &relation.parent
            {
                state.link_indexes(
                    &Qualified::new(schema, parent),
                    &Qualified::new(&relation.schema, &relation.name),
                );
            }
        }
        state
    }

    fn link_indexes(&mut self, parent: &Qualified, partition: &Qualified) {
        let models = self
            .known(parent)
            .map(|parent| parent.indexes.clone())
            .unwrap_or_default();
        let keys: Vec<ConstraintState> = self
            .known(parent)
            .into_iter()
            .flat_map(|parent| &parent.constraints)
            .filter(|constraint| matches!(constraint.kind, Constrains::ForeignKey { .. }))
            .cloned()
            .collect();
        for model in &models {
            let name = Qualified::new(&parent.schema, &model.name);
            let part = self
                .known(partition)
                .into_iter()
                .flat_map(|partition| &partition.indexes)
                .find(|part| {
                    part.parent.is_none()
                        && part.fits(model)
                        && (part.owner == Owner::Index) == (model.owner == Owner::Index)
                })
                .map(|part| part.name.clone());
            if let Some(part) = part {
                self.attach(partition, &part, &name);
            }
        }
        for key in &keys {
            let same = self
                .known(partition)
                .into_iter()
                .flat_map(|partition| &partition.constraints)
                .any(|own| own.inherited == 0 && own.is_same_key(key));
            if same {
                self.inherit_foreign_key(partition, key);
            }
        }
    }

    /// Takes sizes (pages, rows, and scans of indexes) from a catalogue, by
    /// name. Those of relations that are not there yet are kept until they are
    /// created, or renamed to that name.
    pub fn take_sizes(&mut self, catalog: &Catalog) {
        let mut sizes = Sizes::default();
        for relation in &catalog.relations {
            sizes.relations.insert(
                Qualified::new(&relation.schema, &relation.name),
                (relation.pages, relation.tuples),
            );
            for index in &relation.indexes {
                sizes.indexes.insert(
                    Qualified::new(&relation.schema, &index.name),
                    (index.pages, index.scans),
                );
            }
        }
        self.sizes = Some(Arc::new(sizes));
        for name in self.tables.keys_where(|_, _| true) {
            let Some(mut table) = self.tables.get(&name).cloned() else {
                continue;
            };
            let changed = Arc::make_mut(&mut table);
            self.place_sizes(changed);
            for index in &mut changed.indexes {
                self.place_sizes_of_index(&name, index);
            }
            self.tables.insert(name, table);
        }
    }

    /// Says that everything in it was there before the history began, and that
    /// it is all that was. Foreign keys to tables that the history makes later
    /// are known to those tables then.
    pub fn was_there_before(&mut self) {
        self.partial = false;
        let mut awaited: HashMap<Qualified, Vec<Qualified>> = HashMap::new();
        for name in self.tables.keys_where(|_, _| true) {
            let Some(table) = self.tables.edit(&name).map(Arc::make_mut) else {
                continue;
            };
            table.created = None;
            table.filled = None;
            for column in &mut table.columns {
                column.added = None;
            }
            for constraint in &mut table.constraints {
                constraint.added = None;
            }
            for index in &mut table.indexes {
                index.created = None;
            }
            let targets: Vec<Qualified> = table
                .constraints
                .iter()
                .filter_map(|constraint| match &constraint.kind {
                    Constrains::ForeignKey { table, .. } => Some(table.clone()),
                    _ => None,
                })
                .collect();
            for target in targets {
                let from = awaited.entry(target).or_default();
                if !from.contains(&name) {
                    from.push(name.clone());
                }
            }
        }
        awaited.retain(|target, _| !self.tables.contains(target));
        self.awaited = Arc::new(awaited);
        for name in self.enums.keys_where(|_, _| true) {
            if let Some(state) = self.enums.edit(&name).map(Arc::make_mut) {
                state.created = None;
                for (_, added) in &mut state.values {
                    *added = None;
                }
            }
        }
        for name in self.domains.keys_where(|_, _| true) {
            if let Some(state) = self.domains.edit(&name).map(Arc::make_mut) {
                state.created = None;
            }
        }
        for name in self.sequences.keys_where(|_, _| true) {
            if let Some(state) = self.sequences.edit(&name) {
                state.created = None;
            }
        }
        for name in self.types.keys_where(|_, at| at.is_some()) {
            self.types.insert(name, None);
        }
        for name in self.schemas.keys_where(|_, at| at.is_some()) {
            self.schemas.insert(name, None);
        }
    }

    /// Gives a table the sizes that are known for its name.
    pub(super) fn place_sizes(&self, table: &mut Table) {
        for from in self.awaited.get(&table.name).into_iter().flatten() {
            if self.tables.contains(from) && !table.referenced_by.contains(from) {
                table.referenced_by.push(from.clone());
            }
        }
        if let Some((pages, rows)) = self
            .sizes
            .as_ref()
            .and_then(|sizes| sizes.relations.get(&table.name))
        {
            table.pages = Some(*pages);
            table.rows = *rows;
        }
    }

    /// Gives an index the sizes that are known for its name.
    pub(super) fn place_sizes_of_index(&self, table: &Qualified, index: &mut IndexState) {
        if let Some(sizes) = &self.sizes
            && let Some((pages, scans)) = sizes
                .indexes
                .get(&Qualified::new(&table.schema, &index.name))
        {
            index.pages = Some(*pages);
            index.scans = *scans;
        }
    }

    /// The state as a catalogue, without statistics. Numbers of objects are
    /// made up, and expressions stand as they were written.
    pub fn catalog(&self) -> Catalog {
        let mut oid = 16_384;
        let mut next = || {
            oid += 1;
            oid
        };
        let mut relations = Vec::new();
        for table in self.tables() {
            let mut relation = self.relation(table, next());
            for index in &table.indexes {
                relation.indexes.push(catalog_index(table, index, next()));
            }
            relation.indexes.sort_by(|a, b| a.name.cmp(&b.name));
            relation.constraints = table.constraints.iter().map(catalog_constraint).collect();
            relation.constraints.sort_by(|a, b| a.name.cmp(&b.name));
            relations.push(relation);
        }
        Catalog {
            version_num: u32::from(self.major) * 10_000,
            version: self.major.to_string(),
            search_path: self.session.search_path.clone(),
            settings: self.session.settings.clone(),
            relations,
            functions: self
                .functions
                .keys_where(|_, _| true)
                .into_iter()
                .filter_map(|name| {
                    let function = *self.functions.get(&name)?;
                    Some((name.name, function.volatility))
                })
                .collect(),
            ..Catalog::default()
        }
    }

    fn relation(&self, table: &Table, oid: u32) -> Relation {
        Relation {
            oid,
            schema: table.name.schema.clone(),
            name: table.name.name.clone(),
            kind: table.kind,
            columns: table
                .columns
                .iter()
                .zip(1..)
                .map(|(column, number)| self.catalog_column(column, number))
                .collect(),
            indexes: Vec::new(),
            constraints: Vec::new(),
            statistics: Vec::new(),
            partition_key: table.partition_by.as_ref().map(|(strategy, keys)| {
                format!("{} ({})", strategy.to_uppercase(), keys.join(", "))
            }),
            parent: table
                .parents
                .first()
                .map(|parent| (parent.schema.clone(), parent.name.clone())),
            partition_bound: table.partition_bound.clone(),
            pages: table.pages.unwrap_or_default(),
            tuples: table.rows,
            all_visible_pages: 0.0,
            row_security: table.row_security,
            activity: None,
        }
    }

    fn catalog_column(&self, column: &ColumnState, number: i16) -> catalog::Column {
        let of = column.type_name.as_ref();
        // Domains are resolved to what they are over, at most as deep as
        // anybody makes them.
        let mut base = of;
        for _ in 0..32 {
            match base.and_then(|of| self.domain(&of.base)) {
                Some(domain) if base.is_some_and(|of| !of.array) => {
                    base = domain.type_name.as_ref();
                }
                _ => break,
            }
        }
        catalog::Column {
            number,
            name: column.name.clone(),
            type_name: of.map(|of| of.text.clone()).unwrap_or_default(),
            base_type: base
                .map(|of| {
                    let array = if of.array { "_" } else { "" };
                    format!("{array}{}", of.base.name)
                })
                .unwrap_or_default(),
            not_null: column.not_null,
            default: column.default.clone(),
            generated: column.is_generated(),
            collation: column.collation.clone(),
            collation_is_c: matches!(column.collation.as_deref(), Some("C" | "POSIX")),
            statistics_target: None,
            stats: None,
        }
    }
}

fn catalog_index(table: &Table, index: &IndexState, oid: u32) -> catalog::Index {
    let constraint = match &index.owner {
        Owner::Constraint(name) => table.constraint(name),
        Owner::Index => None,
    };
    catalog::Index {
        oid,
        name: index.name.clone(),
        method: index.method.clone(),
        keys: index
            .keys
            .iter()
            .map(|key| catalog::IndexKey {
                column: key.column.clone(),
                text: key.text.clone(),
                opclass: key.opclass.clone().unwrap_or_default(),
                default_opclass: key.opclass.is_none(),
                collation: key.collation.clone(),
                descending: key.descending,
                nulls_first: key.nulls_first.unwrap_or(key.descending),
                stats: None,
            })
            .collect(),
        include: index.include.clone(),
        unique: index.unique,
        primary: constraint.is_some_and(|constraint| constraint.kind.is_primary_key()),
        valid: index.valid,
        immediate: constraint.is_none_or(|constraint| !constraint.deferrable),
        nulls_not_distinct: index.nulls_not_distinct,
        predicate: index
            .predicate
            .as_ref()
            .map(|predicate| predicate.text.clone()),
        definition: definition(table, index),
        pages: index.pages.unwrap_or_default(),
        tuples: table.rows,
        scans: index.scans,
    }
}

/// `CREATE INDEX …` that makes the index.
fn definition(table: &Table, index: &IndexState) -> String {
    use crate::catalog::ident::quote;
    let keys: Vec<String> = index
        .keys
        .iter()
        .map(|key| {
            let mut text = match &key.column {
                Some(column) => quote(column),
                None => format!("({})", key.text),
            };
            if let Some(collation) = &key.collation {
                text.push_str(" COLLATE ");
                text.push_str(&quote(collation));
            }
            if let Some(opclass) = &key.opclass {
                text.push(' ');
                text.push_str(opclass);
            }
            if key.descending {
                text.push_str(" DESC");
            }
            match key.nulls_first {
                Some(true) if !key.descending => text.push_str(" NULLS FIRST"),
                Some(false) if key.descending => text.push_str(" NULLS LAST"),
                _ => {}
            }
            text
        })
        .collect();
    let mut text = format!(
        "CREATE {}INDEX {} ON {}.{} USING {} ({})",
        if index.unique { "UNIQUE " } else { "" },
        quote(&index.name),
        quote(&table.name.schema),
        quote(&table.name.name),
        index.method,
        keys.join(", ")
    );
    if !index.include.is_empty() {
        let include: Vec<String> = index.include.iter().map(|name| quote(name)).collect();
        text.push_str(&format!(" INCLUDE ({})", include.join(", ")));
    }
    if index.nulls_not_distinct {
        text.push_str(" NULLS NOT DISTINCT");
    }
    if let Some(predicate) = &index.predicate {
        text.push_str(&format!(" WHERE ({})", predicate.text));
    }
    text
}

fn catalog_constraint(constraint: &ConstraintState) -> catalog::Constraint {
    catalog::Constraint {
        name: constraint.name.clone(),
        kind: match &constraint.kind {
            Constrains::NotNull => catalog::ConstraintKind::NotNull,
            Constrains::PrimaryKey => catalog::ConstraintKind::PrimaryKey,
            Constrains::Unique => catalog::ConstraintKind::Unique,
            Constrains::Exclusion => catalog::ConstraintKind::Exclusion,
            Constrains::Check { expression } => catalog::ConstraintKind::Check {
                expression: expression.text.clone(),
            },
            Constrains::ForeignKey { table, columns, .. } => catalog::ConstraintKind::ForeignKey {
                schema: table.schema.clone(),
                table: table.name.clone(),
                columns: columns.clone(),
            },
        },
        columns: constraint.columns.clone(),
        validated: constraint.validated,
        deferrable: constraint.deferrable,
    }
}

fn table_of(relation: &Relation) -> Table {
    let mut table = Table::new(
        Qualified::new(&relation.schema, &relation.name),
        relation.kind,
        None,
    );
    table.pages = Some(relation.pages);
    table.rows = relation.tuples;
    table.row_security = relation.row_security;
    table.partition_bound.clone_from(&relation.partition_bound);
    table.partition_by = relation.partition_key.as_deref().map(partition_by);
    table.columns = relation
        .columns
        .iter()
        .map(|column| column_of(relation, column))
        .collect();
    table.columns_known = !matches!(
        relation.kind,
        RelationKind::View | RelationKind::MaterializedView
    );
    table.indexes = relation
        .indexes
        .iter()
        .map(|index| index_of(relation, index))
        .collect();
    table
}

/// `RANGE (a, b)`.
fn partition_by(key: &str) -> (String, Vec<String>) {
    let (strategy, rest) = key.split_once('(').unwrap_or((key, ""));
    let keys = rest.trim_end().strip_suffix(')').unwrap_or(rest);
    let mut depth = 0;
    let parts = keys
        .split(|character| {
            match character {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            character == ',' && depth == 0
        })
        .map(|part| part.trim().trim_matches('"').to_owned())
        .filter(|part| !part.is_empty())
        .collect();
    (strategy.trim().to_lowercase(), parts)
}

fn column_of(relation: &Relation, column: &catalog::Column) -> ColumnState {
    let partition = relation.partition_bound.is_some();
    let array = column.base_type.starts_with('_') && column.type_name.ends_with("[]");
    let base = if array {
        column.base_type.trim_start_matches('_')
    } else {
        &column.base_type
    };
    let modifiers = column
        .type_name
        .split_once('(')
        .and_then(|(_, rest)| rest.split_once(')'))
        .map(|(inside, _)| {
            inside
                .split(',')
                .map(|part| part.trim().to_owned())
                .collect()
        })
        .unwrap_or_default();
    ColumnState {
        name: column.name.clone(),
        type_name: Some(TypeName {
            span: Span::new(SourceId(0), 0..0),
            text: column.type_name.clone(),
            base: Name::bare(base),
            modifiers,
            array,
            serial: false,
        }),
        collation: column
            .collation
            .clone()
            .filter(|collation| collation != "default"),
        not_null: column.not_null,
        default: column.default.clone(),
        generated_stored: column.generated,
        generated_virtual: false,
        identity: false,
        local: !partition,
        inherited: u32::from(relation.parent.is_some()),
        added: None,
    }
}

fn constraint_of(constraint: &catalog::Constraint) -> ConstraintState {
    let kind = match &constraint.kind {
        catalog::ConstraintKind::PrimaryKey => Constrains::PrimaryKey,
        catalog::ConstraintKind::Unique => Constrains::Unique,
        catalog::ConstraintKind::Exclusion => Constrains::Exclusion,
        catalog::ConstraintKind::NotNull => Constrains::NotNull,
        catalog::ConstraintKind::ForeignKey {
            schema,
            table,
            columns,
        } => Constrains::ForeignKey {
            table: Qualified::new(schema, table),
            columns: columns.clone(),
            on_delete: None,
            on_update: None,
        },
        catalog::ConstraintKind::Check { expression } => Constrains::Check {
            expression: Expression {
                columns: constraint.columns.clone(),
                ..expression_of(expression)
            },
        },
    };
    ConstraintState {
        name: constraint.name.clone(),
        kind,
        columns: constraint.columns.clone(),
        validated: constraint.validated,
        deferrable: constraint.deferrable,
        no_inherit: false,
        local: true,
        inherited: 0,
        added: None,
    }
}

fn index_of(relation: &Relation, index: &catalog::Index) -> IndexState {
    let constraint = relation.constraints.iter().find(|constraint| {
        constraint.name == index.name
            && matches!(
                constraint.kind,
                catalog::ConstraintKind::PrimaryKey
                    | catalog::ConstraintKind::Unique
                    | catalog::ConstraintKind::Exclusion
            )
    });
    IndexState {
        name: index.name.clone(),
        method: index.method.clone(),
        keys: index
            .keys
            .iter()
            .map(|key| match &key.column {
                Some(column) => IndexKey {
                    opclass: Some(key.opclass.clone()).filter(|_| !key.default_opclass),
                    collation: key.collation.clone(),
                    descending: key.descending,
                    nulls_first: Some(key.nulls_first),
                    ..plain_key(column)
                },
                None => IndexKey {
                    column: None,
                    text: key.text.clone(),
                    functions: functions_in(&key.text),
                    columns: columns_in(relation, &key.text),
                    opclass: Some(key.opclass.clone()).filter(|_| !key.default_opclass),
                    collation: key.collation.clone(),
                    descending: key.descending,
                    nulls_first: Some(key.nulls_first),
                },
            })
            .collect(),
        include: index.include.clone(),
        unique: index.unique,
        nulls_not_distinct: index.nulls_not_distinct,
        predicate: index.predicate.as_ref().map(|predicate| Expression {
            columns: columns_in(relation, predicate),
            ..expression_of(predicate)
        }),
        valid: index.valid,
        owner: constraint.map_or(Owner::Index, |constraint| {
            Owner::Constraint(constraint.name.clone())
        }),
        parent: None,
        created: None,
        pages: Some(index.pages),
        scans: index.scans,
    }
}

/// An expression as the server prints it.
fn expression_of(text: &str) -> Expression {
    Expression {
        span: Span::new(SourceId(0), 0..0),
        text: text.to_owned(),
        functions: functions_in(text),
        columns: Vec::new(),
        casts: Vec::new(),
        strings: Vec::new(),
        constant: false,
        null: false,
    }
}

/// Words of an expression outside of strings, folded, and whether `(` follows.
fn words(text: &str) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    let mut at = 0;
    for token in squawk_lexer::tokenize(text) {
        let start = at;
        at += token.len as usize;
        let piece = text.get(start..at).unwrap_or_default();
        let word = match token.kind {
            squawk_lexer::TokenKind::Ident => piece.to_lowercase(),
            squawk_lexer::TokenKind::QuotedIdent { .. } => catalog::ident::fold(piece),
            _ => continue,
        };
        let call = text
            .get(at..)
            .is_some_and(|rest| rest.trim_start().starts_with('('));
        found.push((word, call));
    }
    found
}

fn functions_in(text: &str) -> Vec<Name> {
    words(text)
        .into_iter()
        .filter(|(_, call)| *call)
        .map(|(word, _)| Name::bare(word))
        .collect()
}

fn columns_in(relation: &Relation, text: &str) -> Vec<String> {
    let mut columns: Vec<String> = Vec::new();
    for (word, call) in words(text) {
        if !call && relation.column(&word).is_some() && !columns.contains(&word) {
            columns.push(word);
        }
    }
    columns
}
