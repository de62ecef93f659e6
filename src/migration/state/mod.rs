//! The schema before each statement: history replayed, statement by statement.
//!
//! The state is changed in place, so that a long history costs linear time;
//! [`State::catalog`] gives it as a [`Catalog`].

mod table;

pub use table::{
    ColumnState, Constrains, ConstraintState, DomainState, EnumState, IndexState, Owner, Qualified,
    Table, TriggerState,
};

use std::collections::{BTreeMap, HashMap};

use super::At;
use crate::catalog::Catalog;
use crate::sql::ddl::{Name, Statement};

/// What is known of the schema at one point of a history.
#[derive(Debug, Clone, Default)]
pub struct State {
    pub(super) tables: HashMap<Qualified, Table>,
    /// Index → its table.
    pub(super) indexes: HashMap<Qualified, Qualified>,
    pub(super) enums: HashMap<Qualified, EnumState>,
    pub(super) domains: HashMap<Qualified, DomainState>,
    /// User-defined functions: volatility of the most volatile overload.
    pub(super) functions: HashMap<String, char>,
    pub(super) search_path: Vec<String>,
    /// Settings made by `SET` for the session, lower case.
    pub(super) settings: BTreeMap<String, String>,
    /// The history did not begin at the beginning: a relation that is not
    /// known may exist all the same.
    pub(super) partial: bool,
}

impl State {
    /// An empty schema: a history is replayed from its beginning.
    pub fn empty() -> Self {
        Self {
            search_path: vec!["public".to_owned()],
            ..Self::default()
        }
    }

    /// The schema of a catalogue (of a snapshot or a server), with sizes.
    pub fn of_catalog(catalog: &Catalog) -> Self {
        let _ = catalog;
        Self::empty()
    }

    /// The state as a catalogue.
    pub fn catalog(&self) -> Catalog {
        Catalog::default()
    }

    /// Moves the state forward by one statement. Statements of a DO block's
    /// body are applied, too; those of a function's body are not.
    pub fn apply(&mut self, statement: &Statement, at: At) {
        let _ = (statement, at);
    }

    /// Takes sizes (pages, rows) of relations from a catalogue, by name.
    pub fn take_sizes(&mut self, catalog: &Catalog) {
        let _ = catalog;
    }

    /// The relation (table, view, materialised view, foreign table) of that
    /// name, along the search path where no schema is written.
    pub fn table(&self, name: &Name) -> Option<&Table> {
        self.resolve(name)
            .and_then(|qualified| self.tables.get(&qualified))
    }

    /// The relation of exactly that name.
    pub fn known(&self, name: &Qualified) -> Option<&Table> {
        self.tables.get(name)
    }

    /// The qualified name of a relation that is known.
    pub fn resolve(&self, name: &Name) -> Option<Qualified> {
        match &name.schema {
            Some(schema) => {
                let qualified = Qualified::new(schema, &name.name);
                self.tables.contains_key(&qualified).then_some(qualified)
            }
            None => self
                .search_path
                .iter()
                .map(|schema| Qualified::new(schema, &name.name))
                .find(|qualified| self.tables.contains_key(qualified)),
        }
    }

    /// The qualified name under which a relation is, or would be created.
    pub fn qualify(&self, name: &Name) -> Qualified {
        self.resolve(name).unwrap_or_else(|| {
            let schema = name
                .schema
                .as_deref()
                .or_else(|| self.search_path.first().map(String::as_str))
                .unwrap_or("public");
            Qualified::new(schema, &name.name)
        })
    }

    /// The table and the index of that index's name.
    pub fn index(&self, name: &Name) -> Option<(&Table, &IndexState)> {
        let find = |schema: &str| {
            let qualified = Qualified::new(schema, &name.name);
            let table = self.tables.get(self.indexes.get(&qualified)?)?;
            let index = table.indexes.iter().find(|index| index.name == name.name)?;
            Some((table, index))
        };
        match &name.schema {
            Some(schema) => find(schema),
            None => self.search_path.iter().find_map(|schema| find(schema)),
        }
    }

    /// The enum type of that name.
    pub fn enumeration(&self, name: &Name) -> Option<&EnumState> {
        self.find_type(&self.enums, name)
    }

    /// The domain of that name.
    pub fn domain(&self, name: &Name) -> Option<&DomainState> {
        self.find_type(&self.domains, name)
    }

    fn find_type<'a, T>(&self, map: &'a HashMap<Qualified, T>, name: &Name) -> Option<&'a T> {
        match &name.schema {
            Some(schema) => map.get(&Qualified::new(schema, &name.name)),
            None => self
                .search_path
                .iter()
                .find_map(|schema| map.get(&Qualified::new(schema, &name.name))),
        }
    }

    /// Volatility of a user-defined function (`i`, `s`, `v`).
    pub fn volatility(&self, name: &str) -> Option<char> {
        self.functions.get(name).copied()
    }

    /// A setting made by the session: `lock_timeout`.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }

    /// A relation that is not known may exist all the same.
    pub fn is_partial(&self) -> bool {
        self.partial
    }

    /// All relations, sorted by schema and name.
    pub fn tables(&self) -> Vec<&Table> {
        let mut all: Vec<&Table> = self.tables.values().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Foreign keys of all tables that reference that table, as (referencing
    /// table, constraint), sorted.
    pub fn referencing(&self, table: &Qualified) -> Vec<(&Table, &ConstraintState)> {
        let mut found: Vec<(&Table, &ConstraintState)> = self
            .tables
            .get(table)
            .into_iter()
            .flat_map(|table| &table.referenced_by)
            .filter_map(|name| self.tables.get(name))
            .flat_map(|from| {
                from.constraints
                    .iter()
                    .filter(|constraint| constraint.references(table))
                    .map(move |constraint| (from, constraint))
            })
            .collect();
        found.sort_by(|a, b| (&a.0.name, &a.1.name).cmp(&(&b.0.name, &b.1.name)));
        found
    }
}
