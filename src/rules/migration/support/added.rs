//! What rules report of columns that are added with more than a type.

use super::add_column::{self, Filling, Rewrites};
use super::altered::Altered;
use super::lock;
use crate::finding::Level;
use crate::finding::migration::Remedy;
use crate::migration::locks::{Effect, Work};
use crate::migration::state::Qualified;
use crate::rule::migration::{MigrationDraft, MigrationSink, Step};
use crate::sql::ddl::{ColumnDefinition, Constraint};

/// What a rule says of columns that are added in one way.
pub(crate) struct Added {
    /// What is wrong, of a column and its table.
    pub(crate) message: fn(&str, &Qualified) -> String,
    /// How the column's values come to be in the safe way.
    pub(crate) filling: fn(&ColumnDefinition) -> Filling,
    /// The title of the safe way.
    pub(crate) title: &'static str,
    /// What else to know on that major version.
    pub(crate) note: fn(u16) -> Option<&'static str>,
}

impl Added {
    /// Reports the first column that makes the table be written anew for that
    /// cause: the columns of one statement are written in one pass.
    pub(crate) fn rewritten(&self, step: &Step<'_>, cause: Rewrites, sink: &mut MigrationSink) {
        let Some(altered) = Altered::of(step) else {
            return;
        };
        let found = altered.added().find_map(|(number, command, column)| {
            let effect = altered.working(number, Work::Rewrite)?;
            (add_column::cause(step, column) == Some(cause))
                .then_some((number, command, column, effect))
        });
        let Some((number, command, column, effect)) = found else {
            return;
        };
        let remedy =
            add_column::and_others(step, &altered, number, self.remedy(step, &altered, column));
        self.report(step, &altered, column, effect, sink)
            .span(command.span)
            .remedy(remedy);
    }

    /// Reports each column with such a constraint that the statement works for.
    pub(crate) fn constrained(
        &self,
        step: &Step<'_>,
        least: Work,
        is: fn(&Constraint) -> bool,
        sink: &mut MigrationSink,
    ) {
        let Some(altered) = Altered::of(step) else {
            return;
        };
        for (number, _, column) in altered.added() {
            let Some(effect) = altered.working_alone(number, least) else {
                continue;
            };
            let found = column.constraints.iter().find(|constraint| is(constraint));
            let Some(constraint) = found else {
                continue;
            };
            let remedy = self.remedy(step, &altered, column);
            self.report(step, &altered, column, effect, sink)
                .span(constraint.span)
                .remedy(remedy);
        }
    }

    fn remedy(
        &self,
        step: &Step<'_>,
        altered: &Altered<'_, '_>,
        column: &ColumnDefinition,
    ) -> Remedy {
        let filling = (self.filling)(column);
        let remedy = add_column::remedy(step, altered, column, filling, self.title);
        match (self.note)(step.major()) {
            Some(note) => remedy.note(note),
            None => remedy,
        }
    }

    fn report<'s>(
        &self,
        step: &Step<'_>,
        altered: &Altered<'_, '_>,
        column: &ColumnDefinition,
        effect: &Effect,
        sink: &'s mut MigrationSink,
    ) -> MigrationDraft<'s> {
        lock::report(
            step,
            sink,
            effect,
            Level::Critical,
            (self.message)(&column.name, altered.table),
            lock::why_long(effect),
        )
        .relation(altered.table)
        .object(column.name.clone())
    }
}
