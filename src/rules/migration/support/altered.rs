//! `ALTER TABLE` of a table that is in use, with what each command does.

use crate::migration::locks::{self, Effect, Work};
use crate::migration::state::{Qualified, Table};
use crate::rule::migration::Step;
use crate::sql::ddl::{
    Action, Alter, AlterKind, ColumnDefinition, Command, Constraint, ObjectKind,
};

use super::lock;

/// An `ALTER TABLE` of a table that is in use.
pub(crate) struct Altered<'a, 's> {
    step: &'s Step<'a>,
    /// The statement.
    pub(crate) alter: &'a Alter,
    /// The table.
    pub(crate) table: &'a Qualified,
    /// The table as SQL, qualified as the user wrote it.
    pub(crate) sql: &'a str,
    /// What is known of the table.
    pub(crate) state: Option<&'a Table>,
}

impl<'a, 's> Altered<'a, 's> {
    /// The statement, when it is one, and its table is in use.
    pub(crate) fn of(step: &'s Step<'a>) -> Option<Self> {
        let Action::Alter(alter) = &step.statement.action else {
            return None;
        };
        if !lock::is_judged(step)
            || !matches!(
                alter.object,
                ObjectKind::Table | ObjectKind::MaterializedView
            )
        {
            return None;
        }
        let found = step.altered()?;
        Some(Self {
            step,
            alter,
            sql: &found.sql,
            state: step.before.known(&found.relation),
            table: &found.relation,
        })
    }

    /// Its commands, numbered.
    pub(crate) fn commands(&self) -> impl Iterator<Item = (usize, &'a Command)> + use<'a> {
        self.alter.commands.iter().enumerate()
    }

    /// The columns that it adds; not those that IF NOT EXISTS finds there.
    pub(crate) fn added(
        &self,
    ) -> impl Iterator<Item = (usize, &'a Command, &'a ColumnDefinition)> + use<'a> {
        let state = self.state;
        self.commands().filter_map(move |(number, command)| {
            let AlterKind::AddColumn {
                column,
                if_not_exists,
            } = &command.kind
            else {
                return None;
            };
            let is_there =
                *if_not_exists && state.is_some_and(|table| table.column(&column.name).is_some());
            (!is_there).then_some((number, command, column.as_ref()))
        })
    }

    /// The constraints that it adds by ADD CONSTRAINT.
    pub(crate) fn constraints(
        &self,
    ) -> impl Iterator<Item = (usize, &'a Command, &'a Constraint)> + use<'a> {
        self.commands()
            .filter_map(|(number, command)| match &command.kind {
                AlterKind::AddConstraint(constraint) => {
                    Some((number, command, constraint.as_ref()))
                }
                _ => None,
            })
    }

    /// The costliest effect of a command on the table, or on its partitions
    /// and children.
    pub(crate) fn effect(&self, number: usize) -> Option<&'a Effect> {
        let found = self
            .step
            .effects
            .iter()
            .filter(|effect| effect.command.is_none_or(|command| command == number))
            .filter(|effect| self.is_own(&effect.relation) && self.step.is_in_use(&effect.relation))
            .max_by_key(|effect| (effect.work, effect.mode, effect.relation == *self.table))?;
        // What PostgreSQL did is known for the statement as a whole: which of
        // several commands it did it for follows from the text.
        if found.command.is_none()
            && found.work > Work::None
            && self.alter.commands.len() > 1
            && !locks::effects(
                self.step.statement,
                self.step.before,
                self.step.context.server,
            )
            .iter()
            .any(|effect| effect.command == Some(number) && effect.work > Work::None)
        {
            return None;
        }
        Some(found)
    }

    /// The effect of a command whose work is at least that.
    pub(crate) fn working(&self, number: usize, least: Work) -> Option<&'a Effect> {
        self.effect(number).filter(|effect| effect.work >= least)
    }

    /// Whether a relation is the table, or a partition or child of it.
    fn is_own(&self, relation: &Qualified) -> bool {
        let mut name = relation;
        for _ in 0..16 {
            if name == self.table {
                return true;
            }
            match self
                .step
                .before
                .known(name)
                .and_then(|table| table.parents.first())
            {
                Some(parent) => name = parent,
                None => return false,
            }
        }
        false
    }

    /// The same, unless the table is written anew: that does the work on its
    /// way, and is found by itself.
    pub(crate) fn working_alone(&self, number: usize, least: Work) -> Option<&'a Effect> {
        self.working(number, least)
            .filter(|effect| effect.work != Work::Rewrite)
    }

    /// It is known to be partitioned.
    pub(crate) fn is_partitioned(&self) -> bool {
        self.state.is_some_and(Table::is_partitioned)
    }
}
