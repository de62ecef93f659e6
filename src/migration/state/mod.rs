//! The schema before each statement: history replayed, statement by statement.
//!
//! The state is changed in place, so that a long history costs linear time;
//! [`State::catalog`] gives it as a [`Catalog`](crate::catalog::Catalog).
//! A statement that the server would refuse (a table that is there already, a
//! column that is not) changes nothing, as on the server.

mod alter;
mod apply;
mod catalogue;
mod constrain;
mod create;
mod depend;
mod index;
mod inherit;
mod map;
mod names;
mod queries;
mod remove;
mod rename;
mod session;
mod table;
mod types;

pub use session::Mark;
pub use table::{
    ColumnState, Constrains, ConstraintState, DomainState, EnumState, IndexState, Owner, Qualified,
    SequenceState, Table, TriggerState,
};

use std::collections::HashMap;
use std::sync::Arc;

use super::{At, Server};
use crate::sql::ddl::Name;
use map::Map;
use session::{Changed, Point, Session, TEMPORARY};

/// What is known of the functions of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FunctionState {
    /// That of the most volatile overload.
    volatility: char,
    /// Every overload returns `trigger`.
    trigger: bool,
    /// Every overload is an expression that the planner puts in its place, and
    /// that calls nothing volatile.
    steady: bool,
}

/// What is known of the schema at one point of a history.
///
/// A copy costs little: tables are shared until they change. To look ahead
/// and come back, [`State::mark`] and [`State::back_to`] cost less still.
#[derive(Debug, Clone, Default)]
pub struct State {
    tables: Map<Arc<Table>>,
    /// Index → its table.
    indexes: Map<Qualified>,
    sequences: Map<SequenceState>,
    enums: Map<Arc<EnumState>>,
    domains: Map<Arc<DomainState>>,
    /// Types that are neither enum nor domain.
    types: Map<Option<At>>,
    /// How many constraints of a schema have that name.
    constraint_names: Map<u32>,
    /// User-defined functions, without schema.
    functions: Map<FunctionState>,
    /// Schemas, as names without a schema.
    schemas: Map<Option<At>>,
    session: Session,
    /// The settings that a new session has.
    base: Session,
    temporary: Vec<Qualified>,
    /// Sizes of relations whose time has not come yet.
    sizes: Option<Arc<catalogue::Sizes>>,
    /// Tables that were there before, by the tables that their foreign keys
    /// reference and that are not there yet.
    awaited: Arc<HashMap<Qualified, Vec<Qualified>>>,
    points: Vec<Point>,
    changed_settings: Option<Changed>,
    in_transaction: bool,
    rollback_expected: bool,
    /// The history did not begin at the beginning: a relation that is not
    /// known may exist all the same.
    partial: bool,
    major: u16,
}

impl State {
    /// An empty schema: a history is replayed from its beginning.
    pub fn empty() -> Self {
        let session = Session {
            search_path: vec!["public".to_owned()],
            ..Session::default()
        };
        Self {
            base: session.clone(),
            session,
            rollback_expected: true,
            major: Server::ASSUMED,
            ..Self::default()
        }
    }

    /// Says which major version the history is replayed for: NOT NULL is a
    /// constraint with a name since 18.
    pub fn set_major(&mut self, major: u16) {
        self.major = major;
    }

    /// The relation (table, view, materialised view, foreign table) of that
    /// name, along the search path where no schema is written.
    pub fn table(&self, name: &Name) -> Option<&Table> {
        let own = names::cut(&name.name, names::LONGEST);
        match &name.schema {
            Some(schema) => self.tables.find(schema, own),
            None => self.path().find_map(|schema| self.tables.find(schema, own)),
        }
        .map(AsRef::as_ref)
    }

    /// The relation of exactly that name.
    pub fn known(&self, name: &Qualified) -> Option<&Table> {
        self.tables.get(name).map(AsRef::as_ref)
    }

    /// The qualified name of a relation that is known.
    pub fn resolve(&self, name: &Name) -> Option<Qualified> {
        self.table(name).map(|table| table.name.clone())
    }

    /// The qualified name under which a relation is, or would be created.
    pub fn qualify(&self, name: &Name) -> Qualified {
        self.resolve(name)
            .unwrap_or_else(|| self.new_name(name, false))
    }

    /// The table and the index of that index's name.
    pub fn index(&self, name: &Name) -> Option<(&Table, &IndexState)> {
        let own = names::cut(&name.name, names::LONGEST);
        let find = |schema: &str| {
            let table = self.tables.get(self.indexes.find(schema, own)?)?;
            let index = table.indexes.iter().find(|index| index.name == own)?;
            Some((table.as_ref(), index))
        };
        match &name.schema {
            Some(schema) => find(schema),
            None => self.path().find_map(find),
        }
    }

    /// The enum type of that name.
    pub fn enumeration(&self, name: &Name) -> Option<&EnumState> {
        self.find_type(&self.enums, name).map(AsRef::as_ref)
    }

    /// The domain of that name.
    pub fn domain(&self, name: &Name) -> Option<&DomainState> {
        self.find_type(&self.domains, name).map(AsRef::as_ref)
    }

    fn find_type<'a, T: Clone>(&self, map: &'a Map<T>, name: &Name) -> Option<&'a T> {
        let own = names::cut(&name.name, names::LONGEST);
        match &name.schema {
            Some(schema) => map.find(schema, own),
            None => self.path().find_map(|schema| map.find(schema, own)),
        }
    }

    /// The schemas in which a name without one is looked for.
    fn path(&self) -> impl Iterator<Item = &str> {
        (!self.temporary.is_empty())
            .then_some(TEMPORARY)
            .into_iter()
            .chain(self.session.search_path.iter().map(String::as_str))
    }

    /// Volatility of a user-defined function (`i`, `s`, `v`).
    pub fn volatility(&self, name: &str) -> Option<char> {
        self.functions
            .find("", name)
            .map(|function| function.volatility)
    }

    /// Whether a call gives another value for each row, as far as the planner
    /// knows: a function of one expression is what that is, whatever it was
    /// declared to be.
    pub fn is_volatile_call(&self, name: &str) -> Option<bool> {
        let function = self.functions.find("", name)?;
        Some(function.volatility == 'v' && !function.steady)
    }

    /// Whether all functions of that name that are known return `trigger`.
    pub fn is_trigger_function(&self, name: &str) -> bool {
        self.functions
            .find("", name)
            .is_some_and(|function| function.trigger)
    }

    /// A setting made by the session: `lock_timeout`.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.session.settings.get(name).map(String::as_str)
    }

    /// Says that the history makes no table at all, so that it is the end of
    /// another one; nothing where tables are known already.
    pub fn begin_in_the_middle(&mut self) {
        self.partial |= self.tables.values().next().is_none();
    }

    /// A relation that is not known may exist all the same.
    pub fn is_partial(&self) -> bool {
        self.partial
    }

    /// The major version that the history is replayed for.
    pub fn major(&self) -> u16 {
        self.major
    }

    /// All relations, sorted by schema and name.
    pub fn tables(&self) -> Vec<&Table> {
        let mut all: Vec<&Table> = self.tables.values().map(AsRef::as_ref).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Changes a table; nothing where it is not known.
    fn edit(&mut self, table: &Qualified) -> Option<&mut Table> {
        self.tables.edit(table).map(Arc::make_mut)
    }
}
