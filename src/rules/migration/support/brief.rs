//! Statements that take a strong lock and do no work under it.

use std::collections::BTreeSet;

use crate::finding::migration::Remedy;
use crate::migration::state::Qualified;
use crate::rule::migration::{FileEnd, MigrationSink};
use crate::sql::ddl::{Name, Statement};

use super::{evidence, lock, walk};

/// Reports the statements of a file that change a table as `changed` says, and
/// wait for their lock without a timeout: one finding a table.
pub(crate) fn report(
    end: &FileEnd<'_>,
    sink: &mut MigrationSink,
    changed: fn(&Statement) -> Option<&Name>,
) {
    if end.locked.is_empty() {
        return;
    }
    let places = walk::statements(end.number, end.file);
    let mut seen: BTreeSet<&Qualified> = BTreeSet::new();
    for (at, span, effects) in end.locked {
        let (Some(place), Some(statement)) =
            (walk::find(&places, *at), walk::statement(&places, *at))
        else {
            continue;
        };
        let Some(table) = changed(statement).filter(|_| !place.lock_timeout) else {
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
        // One finding a file and table says it.
        if !seen.insert(&effect.relation) {
            continue;
        }
        sink.report(
            format!(
                "{} takes {} on {}, and no lock_timeout is set",
                statement.verb,
                effect.mode.name(),
                effect.relation
            ),
            lock::why_brief(effect),
            evidence::lock_at(*span, effect),
        )
        .at(*at, *span)
        .effect(effect)
        .remedy(
            Remedy::new("bound the wait, and try again when the timeout strikes")
                .then(lock::SET_TIMEOUT),
        );
    }
}
