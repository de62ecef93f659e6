//! Leaving values out of a snapshot, or replacing them.
//!
//! Values of rows stand in most common values, histograms and ends of indexes.
//! The schema's own literals (defaults, CHECK constraints, partial indexes,
//! partition bounds, functions, views) are no values of rows, and stay.

use super::{Relation, Slot, Snapshot, Statistics, Values};

/// Takes every value of a row out. Frequencies, numbers of distinct values,
/// widths, fractions of nulls and correlations stay.
pub fn leave_out_values(snapshot: &mut Snapshot) {
    for relation in &mut snapshot.relations {
        for row in statistics_of(relation) {
            for slot in &mut row.slots {
                slot.values = None;
            }
        }
        for index in &mut relation.indexes {
            index.ends = None;
        }
        leave_out_joint_values(relation);
    }
    snapshot.values = Values::LeftOut;
    snapshot.limits.push(
        "Values were left out (--no-values): a condition on a column is estimated as for its \
         average value, ranges by PostgreSQL's fixed guesses, and joins as if no value were more \
         common than another."
            .to_owned(),
    );
}

/// Most common combinations are values too, in a binary form.
fn leave_out_joint_values(relation: &mut Relation) {
    for object in &mut relation.extended_statistics {
        for data in &mut object.data {
            data.most_common_values = None;
        }
    }
}

/// All rows of statistics of a relation: of its columns, of the expressions of
/// its indexes, and of those of its statistics objects.
fn statistics_of(relation: &mut Relation) -> impl Iterator<Item = &mut Statistics> {
    let columns = relation
        .columns
        .iter_mut()
        .flat_map(|column| &mut column.statistics);
    let indexes = relation
        .indexes
        .iter_mut()
        .flat_map(|index| index.statistics.values_mut().flatten());
    let extended = relation
        .extended_statistics
        .iter_mut()
        .flat_map(|object| &mut object.data)
        .flat_map(|data| &mut data.expressions);
    columns.chain(indexes).chain(extended)
}

/// Whether PostgreSQL can read a slot as it is. Of most common values, of
/// elements and of histograms it reads the values whenever it reads the slot,
/// and fails (`unexpected null value`) where there are none; with an empty
/// array it takes every constant for a rare one. Without the slot it reckons
/// with the average value, so that such a slot is not to be loaded.
pub fn is_loadable(slot: &Slot) -> bool {
    slot.values.is_some() || !matches!(slot.kind, 1 | 2 | 4 | 6 | 7)
}

/// Puts stand-ins in the place of values.
pub fn redact(snapshot: &mut Snapshot) {
    leave_out_values(snapshot);
}
