//! One statement's change to the state.

use super::{FunctionState, Qualified, SequenceState, State, TriggerState};
use crate::migration::At;
use crate::migration::locks::volatile_function;
use crate::sql::ddl::{Action, Dml, DmlKind, ObjectKind, Statement};

impl State {
    /// Moves the state forward by one statement. Of a `DO` the statements of
    /// its body are to be applied, one by one; those of a function's body run
    /// when it is called.
    pub fn apply(&mut self, statement: &Statement, at: At) {
        match &statement.action {
            Action::CreateTable(create) => self.create_table(create, at),
            Action::Alter(alter) => self.alter(alter, at),
            Action::CreateIndex(create) => self.create_index(create, at),
            Action::Drop(drop) => self.drop_objects(drop, at),
            Action::CreateType(create) => self.create_type(create, at),
            Action::AlterType(alter) => self.alter_type(alter, at),
            Action::CreateDomain(create) => self.create_domain(create, at),
            Action::AlterDomain(alter) => self.alter_domain(alter),
            Action::CreateView(create) => self.create_view(create, at),
            Action::CreateFunction(create) => {
                let made = FunctionState {
                    volatility: create.volatility,
                    trigger: create.trigger,
                    steady: create
                        .inlined()
                        .is_some_and(|value| volatile_function(value, self).is_none()),
                };
                self.function(&create.name.name, made, create.or_replace);
            }
            Action::CreateTrigger(create) => match self.resolve(&create.table.name) {
                Some(table) => {
                    if let Some(table) = self.edit(&table) {
                        table.triggers.retain(|trigger| trigger.name != create.name);
                        table.triggers.push(TriggerState {
                            name: create.name.clone(),
                            enabled: true,
                            row: create.row,
                            function: create.function.clone(),
                        });
                    }
                }
                None => self.missing(&create.table.name, at),
            },
            Action::CreatePolicy { name, table } => {
                if let Some(table) = self.resolve(&table.name)
                    && let Some(table) = self.edit(&table)
                    && !table.policies.contains(name)
                {
                    table.policies.push(name.clone());
                }
            }
            Action::CreateRule { name, table } => {
                if let Some(table) = self.resolve(&table.name)
                    && let Some(table) = self.edit(&table)
                    && !table.rules.contains(name)
                {
                    table.rules.push(name.clone());
                }
            }
            // What is put together at run time may make and drop anything.
            Action::Do(body) if body.unread || !body.dynamic.is_empty() => self.partial = true,
            Action::CreateSequence {
                name,
                if_not_exists: _,
                owned_by,
            } => {
                let name = self.new_name(name, false);
                if !self.is_relation(&name.schema, &name.name) {
                    let owned_by = owned_by
                        .as_ref()
                        .map(|(table, column)| (self.qualify(table), column.clone()));
                    let state = SequenceState {
                        owned_by,
                        created: Some(at),
                    };
                    self.sequences.insert(name, state);
                }
            }
            Action::CreateSchema { name, .. } => {
                let key = Qualified::new("", name);
                if !self.schemas.contains(&key) {
                    self.schemas.insert(key, Some(at));
                }
            }
            Action::CreateExtension {
                schema: Some(schema),
                ..
            } => {
                // It is there, whoever made it.
                let key = Qualified::new("", schema);
                if !self.schemas.contains(&key) {
                    self.schemas.insert(key, None);
                }
            }
            Action::AlterOther {
                kind: ObjectKind::Schema,
                name: Some(name),
                rename_to: Some(to),
            } => self.rename_schema(&name.name, to),
            Action::AlterOther {
                kind: ObjectKind::Trigger,
                name: Some(name),
                rename_to: Some(to),
            } => {
                // Which table is not said here: none keeps the old name.
                for table in self.tables.keys_where(|_, table| {
                    table
                        .triggers
                        .iter()
                        .any(|trigger| trigger.name == name.name)
                }) {
                    for trigger in self
                        .edit(&table)
                        .into_iter()
                        .flat_map(|one| &mut one.triggers)
                    {
                        if trigger.name == name.name {
                            trigger.name.clone_from(to);
                        }
                    }
                }
            }
            Action::AlterOther {
                kind: ObjectKind::Function | ObjectKind::Procedure,
                name: Some(name),
                rename_to: Some(to),
            } => {
                if let Some(function) = self.functions.remove(&Qualified::new("", &name.name)) {
                    self.functions.insert(Qualified::new("", to), function);
                }
            }
            Action::Dml(dml) => self.rows(dml, at),
            Action::Truncate { tables, .. } => {
                for table in tables {
                    if let Some(table) = self.resolve(&table.name)
                        && let Some(table) = self.edit(&table)
                        && table.created.is_some()
                    {
                        table.filled = None;
                    }
                }
            }
            Action::Refresh {
                name,
                no_data: false,
                ..
            } => self.fill(name, at),
            Action::Transaction(what) => self.transaction(*what),
            Action::Set(setting) => self.set(setting),
            // ALTER TABLE ALL IN TABLESPACE: which tables it moves is not known.
            Action::Other { .. } if statement.verb == "ALTER TABLE" => {
                let moved: Vec<Qualified> = self
                    .tables()
                    .into_iter()
                    .filter(|table| table.tablespace.is_some())
                    .map(|table| table.name.clone())
                    .collect();
                for name in moved {
                    if let Some(table) = self.edit(&name) {
                        table.tablespace = None;
                    }
                }
            }
            _ => {}
        }
    }

    /// Statements that read or write rows.
    fn rows(&mut self, dml: &Dml, at: At) {
        let Some(target) = &dml.target else {
            return;
        };
        if self.table(&target.name).is_none() {
            self.missing(&target.name, at);
            return;
        }
        if matches!(
            dml.kind,
            DmlKind::Insert | DmlKind::Update | DmlKind::Merge | DmlKind::CopyFrom
        ) {
            self.fill(&target.name, at);
        }
    }

    /// A relation gets its first rows.
    fn fill(&mut self, name: &crate::sql::ddl::Name, at: At) {
        if self.table(name).is_some_and(|table| table.filled.is_none())
            && let Some(table) = self.resolve(name)
            && let Some(table) = self.edit(&table)
        {
            table.filled = Some(at);
        }
    }

    fn function(&mut self, name: &str, made: FunctionState, replace: bool) {
        let key = Qualified::new("", name);
        let rank = |volatility: char| match volatility {
            'i' => 0,
            's' => 1,
            _ => 2,
        };
        let known = self.functions.get(&key).copied().filter(|_| !replace);
        let both = match known {
            Some(known) => FunctionState {
                volatility: if rank(known.volatility) > rank(made.volatility) {
                    known.volatility
                } else {
                    made.volatility
                },
                trigger: known.trigger && made.trigger,
                steady: known.steady && made.steady,
            },
            None => made,
        };
        self.functions.insert(key, both);
    }
}
