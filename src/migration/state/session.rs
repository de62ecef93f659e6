//! What belongs to a session: its search path, settings, transaction and
//! temporary tables.

use super::{Qualified, State};
use crate::sql::ddl::{Setting, Transaction};

/// The schema of temporary tables, as it can be written.
pub(super) const TEMPORARY: &str = "pg_temp";

/// Settings of a session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) search_path: Vec<String>,
    /// Lower case.
    pub(super) settings: std::collections::BTreeMap<String, String>,
}

/// A point to which changes can be taken back.
#[derive(Debug, Clone)]
pub(super) struct Point {
    kind: PointKind,
    lengths: [usize; 9],
    session: Session,
    partial: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PointKind {
    /// Set by [`State::mark`].
    Outside,
    /// `BEGIN`.
    Transaction,
    /// `SAVEPOINT`.
    Savepoint,
}

/// A point in a replay, made by [`State::mark`], to which [`State::back_to`]
/// goes back.
#[derive(Debug)]
#[must_use = "changes are recorded until the state goes back to it"]
pub struct Mark(usize);

/// The session's settings when a transaction changed them.
#[derive(Debug, Clone)]
pub(super) struct Changed {
    /// At its BEGIN.
    before: Session,
    /// After its COMMIT: without those of SET LOCAL.
    after: Session,
}

impl State {
    /// Remembers this point of the replay. Until [`State::back_to`], changes
    /// are recorded, which costs as much as what changes, not as much as there
    /// is.
    pub fn mark(&mut self) -> Mark {
        let at = self.points.len();
        self.point(PointKind::Outside);
        Mark(at)
    }

    /// Takes all changes since that point back.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a point can be gone back to once"
    )]
    pub fn back_to(&mut self, mark: Mark) {
        let Mark(at) = mark;
        self.undo_to(at);
        self.points.truncate(at);
        self.changed_settings = None;
        self.in_transaction = false;
        self.forget_if_done();
    }

    /// A new session begins: search path and settings are the usual ones
    /// again, temporary tables are gone, and no transaction is open.
    pub fn new_session(&mut self) {
        if self.in_transaction {
            self.commit();
        }
        if self.session != self.base {
            self.session.clone_from(&self.base);
        }
        for table in std::mem::take(&mut self.temporary) {
            self.drop_relation(&table);
        }
    }

    /// Whether `BEGIN` must be able to take back what follows it. Whoever
    /// knows that no `ROLLBACK` follows can save the cost.
    pub fn expect_rollback(&mut self, expected: bool) {
        self.rollback_expected = expected;
    }

    fn point(&mut self, kind: PointKind) {
        let point = Point {
            kind,
            lengths: [
                self.tables.mark(),
                self.indexes.mark(),
                self.sequences.mark(),
                self.enums.mark(),
                self.domains.mark(),
                self.types.mark(),
                self.constraint_names.mark(),
                self.functions.mark(),
                self.schemas.mark(),
            ],
            session: self.session.clone(),
            partial: self.partial,
        };
        self.points.push(point);
    }

    fn undo_to(&mut self, at: usize) {
        let Some(point) = self.points.get(at) else {
            return;
        };
        let [
            tables,
            indexes,
            sequences,
            enums,
            domains,
            types,
            constraint_names,
            functions,
            schemas,
        ] = point.lengths;
        self.session.clone_from(&point.session);
        self.partial = point.partial;
        self.tables.back_to(tables);
        self.indexes.back_to(indexes);
        self.sequences.back_to(sequences);
        self.enums.back_to(enums);
        self.domains.back_to(domains);
        self.types.back_to(types);
        self.constraint_names.back_to(constraint_names);
        self.functions.back_to(functions);
        self.schemas.back_to(schemas);
        self.temporary.retain(|table| self.tables.contains(table));
    }

    fn forget_if_done(&mut self) {
        if self.points.is_empty() {
            self.tables.forget();
            self.indexes.forget();
            self.sequences.forget();
            self.enums.forget();
            self.domains.forget();
            self.types.forget();
            self.constraint_names.forget();
            self.functions.forget();
            self.schemas.forget();
        }
    }

    /// Points above the last that was set from outside.
    fn own_points(&self) -> usize {
        self.points
            .iter()
            .rposition(|point| point.kind == PointKind::Outside)
            .map_or(0, |at| at + 1)
    }

    pub(super) fn transaction(&mut self, what: Transaction) {
        match what {
            Transaction::Begin => {
                if !self.in_transaction {
                    self.in_transaction = true;
                    if self.rollback_expected {
                        self.point(PointKind::Transaction);
                    }
                }
            }
            Transaction::Commit | Transaction::Prepare => self.commit(),
            Transaction::Rollback => {
                let from = self.own_points();
                if self.in_transaction
                    && self
                        .points
                        .get(from)
                        .is_some_and(|point| point.kind == PointKind::Transaction)
                {
                    self.undo_to(from);
                }
                self.points.truncate(from);
                self.forget_if_done();
                if let Some(changed) = self.changed_settings.take() {
                    self.session = changed.before;
                }
                self.in_transaction = false;
            }
            Transaction::Savepoint => {
                if self.in_transaction && self.rollback_expected {
                    self.point(PointKind::Savepoint);
                }
            }
            Transaction::ReleaseSavepoint => {
                if let Some(at) = self.last_savepoint() {
                    self.points.truncate(at);
                    self.forget_if_done();
                }
            }
            Transaction::RollbackToSavepoint => {
                if let Some(at) = self.last_savepoint() {
                    self.undo_to(at);
                }
            }
            Transaction::Options => {}
        }
    }

    fn last_savepoint(&self) -> Option<usize> {
        let from = self.own_points();
        self.points
            .iter()
            .rposition(|point| point.kind == PointKind::Savepoint)
            .filter(|at| *at >= from)
    }

    fn commit(&mut self) {
        let from = self.own_points();
        self.points.truncate(from);
        self.forget_if_done();
        if let Some(changed) = self.changed_settings.take() {
            self.session = changed.after;
        }
        self.in_transaction = false;
    }

    pub(super) fn set(&mut self, setting: &Setting) {
        if self.in_transaction {
            let changed = self.changed_settings.get_or_insert_with(|| Changed {
                before: self.session.clone(),
                after: self.session.clone(),
            });
            if !setting.local {
                change(&mut changed.after, &self.base, setting);
            }
        }
        change(&mut self.session, &self.base, setting);
    }

    /// The schema in which an object without one is created.
    pub(super) fn creation_schema(&self) -> &str {
        let mut path = self
            .session
            .search_path
            .iter()
            .map(String::as_str)
            .filter(|schema| *schema != "$user" && *schema != "pg_catalog");
        path.clone()
            .find(|schema| self.has_schema(schema))
            .or_else(|| path.next())
            .unwrap_or("public")
    }

    /// A schema of that name is there.
    pub(super) fn has_schema(&self, schema: &str) -> bool {
        schema == "public" || schema == TEMPORARY || self.schemas.has("", schema)
    }

    /// The name under which an object is created.
    pub(super) fn new_name(&self, name: &crate::sql::ddl::Name, temporary: bool) -> Qualified {
        let own = super::names::cut(&name.name, super::names::LONGEST);
        match &name.schema {
            Some(schema) => Qualified::new(schema, own),
            None if temporary => Qualified::new(TEMPORARY, own),
            None => Qualified::new(self.creation_schema(), own),
        }
    }
}

fn change(session: &mut Session, base: &Session, setting: &Setting) {
    match (setting.name.as_str(), &setting.value) {
        ("all", None) => session.clone_from(base),
        ("search_path", None) => session.search_path.clone_from(&base.search_path),
        ("search_path", Some(value)) => session.search_path = path(value),
        (name, None) => match base.settings.get(name) {
            Some(usual) => {
                session.settings.insert(name.to_owned(), usual.clone());
            }
            None => {
                session.settings.remove(name);
            }
        },
        (name, Some(value)) => {
            session.settings.insert(name.to_owned(), value.clone());
        }
    }
}

/// The schemas of a search path as written.
fn path(value: &str) -> Vec<String> {
    value
        .split(',')
        .map(|part| part.trim().trim_matches(['"', '\'']).to_owned())
        .filter(|part| !part.is_empty())
        .collect()
}
