//! What sizes of tables mean for a finding.

use crate::finding::Level;
use crate::migration::state::{Qualified, State};
use crate::rule::migration::Step;

/// Blocks below which reading, writing or indexing a whole table is over so
/// soon that nobody notices: 8 MB.
const SMALL: f64 = 1_000.0;

/// Blocks of a relation; of a partitioned table those of its partitions.
/// Missing where any of them is not known.
pub(crate) fn pages(step: &Step<'_>, relation: &Qualified) -> Option<f64> {
    pages_in(step.before, relation)
}

/// The same for a state.
pub(crate) fn pages_in(state: &State, relation: &Qualified) -> Option<f64> {
    let mut sum = 0.0;
    let mut left = vec![relation];
    let mut seen = 0_usize;
    while let Some(name) = left.pop() {
        let table = state.known(name)?;
        if !table.is_partitioned() {
            sum += table.pages?;
        } else if table.children.is_empty() {
            return None;
        }
        left.extend(&table.children);
        seen += 1;
        if seen > 10_000 {
            return None;
        }
    }
    Some(sum)
}

/// The level of a finding about work that grows with the relation: a note
/// where the relation is known to be small.
pub(crate) fn level(step: &Step<'_>, relation: &Qualified, usual: Level) -> Level {
    level_in(step.before, relation, usual)
}

/// The same for a state.
pub(crate) fn level_in(state: &State, relation: &Qualified, usual: Level) -> Level {
    if pages_in(state, relation).is_some_and(|pages| pages < SMALL) {
        Level::Note
    } else {
        usual
    }
}
