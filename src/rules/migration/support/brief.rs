//! Statements that take a strong lock and do no work under it.

use std::collections::BTreeSet;

use crate::finding::migration::Remedy;
use crate::migration::At;
use crate::migration::locks::Effect;
use crate::migration::state::Qualified;
use crate::rule::migration::{End, FileEnd, MigrationSink};
use crate::source::Span;
use crate::sql::ddl::{Name, Statement};

use super::around::listed;
use super::{evidence, lock, walk};

/// The statements that change a table as asked, and wait for their lock
/// without a timeout.
pub(crate) struct Brief<'a> {
    changed: fn(&Statement) -> Option<&Name>,
    seen: BTreeSet<&'a Qualified>,
    first: Option<(At, Span, &'a Effect, &'a str, &'static str)>,
}

impl<'a> Brief<'a> {
    /// Of a file, where each is a change of its own.
    pub(crate) fn file(
        end: &FileEnd<'a>,
        sink: &mut MigrationSink,
        changed: fn(&Statement) -> Option<&Name>,
    ) {
        if !end.context.one_change && !end.locked.is_empty() {
            let mut brief = Self::new(changed);
            brief.look(end, &walk::locked(end));
            brief.report(sink);
        }
    }

    /// Of all new files, where they are one change.
    pub(crate) fn end(
        end: &End<'a>,
        sink: &mut MigrationSink,
        changed: fn(&Statement) -> Option<&Name>,
    ) {
        if end.context.one_change {
            let mut brief = Self::new(changed);
            walk::each_file(end, |file, locked| brief.look(file, locked));
            brief.report(sink);
        }
    }

    fn new(changed: fn(&Statement) -> Option<&Name>) -> Self {
        Self {
            changed,
            seen: BTreeSet::new(),
            first: None,
        }
    }

    fn look(&mut self, end: &FileEnd<'a>, locked: &[(At, Span, &'a Vec<Effect>)]) {
        let places = walk::statements(end.number, end.file);
        for (at, span, effects) in locked {
            let (Some(place), Some(statement)) =
                (walk::find(&places, *at), walk::statement(&places, *at))
            else {
                continue;
            };
            let Some(table) = (self.changed)(statement).filter(|_| !place.lock_timeout) else {
                continue;
            };
            let table = end.after.qualify(table);
            let Some(effect) = effects
                .iter()
                .filter(|effect| effect.relation == table && effect.mode.blocks_writes())
                .max_by_key(|effect| effect.mode)
            else {
                continue;
            };
            if self.seen.insert(&effect.relation) {
                self.first.get_or_insert((
                    *at,
                    *span,
                    effect,
                    &statement.verb,
                    walk::set_timeout(place),
                ));
            }
        }
    }

    /// One finding, at the first.
    fn report(&self, sink: &mut MigrationSink) {
        let Some((at, span, effect, verb, sql)) = self.first else {
            return;
        };
        let others: Vec<&&Qualified> = self
            .seen
            .iter()
            .filter(|table| ***table != effect.relation)
            .collect();
        let more = if others.is_empty() {
            String::new()
        } else {
            format!("; the change locks {} in the same way", listed(&others))
        };
        sink.report(
            format!(
                "{verb} takes {} on {}, and no lock_timeout is set",
                effect.mode.name(),
                effect.relation
            ),
            format!("{}{more}", lock::why_brief(effect)),
            evidence::lock_at(span, effect),
        )
        .at(at, span)
        .effect(effect)
        .remedy(Remedy::new("bound the wait, and try again when the timeout strikes").then(sql));
    }
}
