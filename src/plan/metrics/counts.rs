//! Blocks, I/O times and WAL of each node alone.
//!
//! EXPLAIN prints a node's counts with everything below it, summed over all
//! loops and processes: what is left without the children is the node's own.
//! An InitPlan's are counted, like its time, in the nodes in which it ran and
//! everything above them, not where it hangs.
//!
//! Two things are counted elsewhere than one would think. Workers hand in
//! their counts when they are shut down (`InstrAccumParallelQuery`), which a
//! Gather that is started over, or not read to its end, leaves to a node above
//! it: its input then has more than itself, and the node above is relieved of
//! the difference. A CTE that is shut down at the end counts that where it
//! hangs. Either way the sum over all nodes is the root's count.

use super::places::Charge;
use super::shape::{Shape, at, set};
use super::time::HALF_STEP_MS;
use crate::plan::{Buffers, IoTimes, PlanNode, Wal};

/// How many counts a node has: 10 of blocks, 6 of I/O times, 4 of WAL.
const COUNTS: usize = 20;

type Row = [f64; COUNTS];

/// Counts of one node, or of a whole plan.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Counts {
    /// Blocks.
    pub buffers: Option<Buffers>,
    /// I/O times.
    pub io: Option<IoTimes>,
    /// Write-ahead log.
    pub wal: Option<Wal>,
}

/// Counts by node index.
pub(super) struct OwnCounts {
    pub(super) own: Vec<Counts>,
    /// Of the whole execution: the root's, and those of data-modifying CTEs
    /// that were finished after it.
    pub(super) whole: Counts,
    /// The largest share of a count that no node above had room for.
    pub(super) unplaced: f64,
}

pub(super) fn own_counts(shape: &Shape<'_>, charges: &[Charge]) -> OwnCounts {
    let printed: Vec<Row> = shape.nodes.iter().copied().map(row).collect();
    let mut own = printed.clone();
    for index in 0..shape.len() {
        for input in shape.inputs(index) {
            let mut below = at(&printed, input);
            both(own.get_mut(index), &mut below, |count, below| {
                *count -= *below;
            });
        }
    }
    let mut whole = at(&printed, 0);
    // What an InitPlan has beyond the nodes in which it ran, by its index.
    let mut short = vec![[0.0; COUNTS]; shape.len()];
    for charge in charges {
        let mut to_take = at(&printed, charge.init_plan);
        let parts = charge.parts.iter().map(|(user, _)| *user);
        for user in parts.chain(charge.others.iter().copied()) {
            both(own.get_mut(user), &mut to_take, |count, to_take| {
                let taken = count.max(0.0).min(*to_take);
                *count -= taken;
                *to_take -= taken;
            });
        }
        let changes_data = shape
            .kind(charge.init_plan)
            .is_some_and(|kind| *kind == crate::plan::NodeKind::ModifyTable);
        if changes_data {
            both(Some(&mut whole), &mut to_take, |count, rest| {
                *count += *rest;
            });
        } else {
            set(&mut short, charge.init_plan, to_take);
        }
    }
    // Deficits are a node's above, which children come before here.
    let mut unplaced: f64 = 0.0;
    for index in (0..shape.len()).rev() {
        let mut deficit = at(&short, index);
        both(own.get_mut(index), &mut deficit, |count, deficit| {
            if *count < 0.0 {
                *deficit -= *count;
                *count = 0.0;
            }
        });
        if let Some(parent) = shape.parent(index) {
            both(own.get_mut(parent), &mut deficit, |count, deficit| {
                *count -= *deficit;
            });
            continue;
        }
        let rounded = HALF_STEP_MS * (shape.len() + 1) as f64;
        for ((deficit, whole), is_time) in deficit.iter().zip(&whole).zip(is_time()) {
            let rounded = if is_time { rounded } else { 0.0 };
            if *deficit > rounded {
                unplaced = unplaced.max(deficit / whole.max(*deficit));
            }
        }
        fit(&mut own, &deficit);
    }
    let root = shape.node(0);
    OwnCounts {
        own: shape
            .nodes
            .iter()
            .zip(&own)
            .map(|(node, row)| counts(node, row))
            .collect(),
        whole: root.map_or_else(Counts::default, |root| counts(root, &whole)),
        unplaced,
    }
}

/// Which counts are times, each printed to the microsecond.
fn is_time() -> impl Iterator<Item = bool> {
    (0..COUNTS).map(|at| (10..16).contains(&at))
}

/// Takes what even the root has no room for from all nodes in proportion.
fn fit(own: &mut [Row], deficit: &Row) {
    let mut sum = [0.0; COUNTS];
    for row in own.iter_mut() {
        both(Some(&mut sum), row, |sum, count| *sum += *count);
    }
    let mut factor = [1.0; COUNTS];
    for (factor, (sum, deficit)) in factor.iter_mut().zip(sum.iter().zip(deficit)) {
        if *deficit > 0.0 && *sum > 0.0 {
            *factor = ((sum - deficit) / sum).max(0.0);
        }
    }
    for row in own {
        both(Some(row), &mut factor, |count, factor| *count *= *factor);
    }
}

/// Changes each count of two rows together.
fn both(row: Option<&mut Row>, other: &mut Row, mut change: impl FnMut(&mut f64, &mut f64)) {
    for (count, other) in row.into_iter().flatten().zip(other) {
        change(count, other);
    }
}

/// The counts of a node, zeros where it prints none.
fn row(node: &PlanNode) -> Row {
    let mut buffers = node.buffers.unwrap_or_default();
    let mut io = node.io.unwrap_or_default();
    let mut wal = node.wal.unwrap_or_default();
    places(&mut buffers, &mut io, &mut wal).map(|place| *place)
}

/// The counts of those kinds that the node prints.
fn counts(node: &PlanNode, row: &Row) -> Counts {
    let mut buffers = Buffers::default();
    let mut io = IoTimes::default();
    let mut wal = Wal::default();
    for (place, count) in places(&mut buffers, &mut io, &mut wal).into_iter().zip(row) {
        *place = *count;
    }
    Counts {
        buffers: node.buffers.map(|_| buffers),
        io: node.io.map(|_| io),
        wal: node.wal.map(|_| wal),
    }
}

/// Where each count of a row stands: blocks, then I/O times, then WAL.
fn places<'a>(
    buffers: &'a mut Buffers,
    io: &'a mut IoTimes,
    wal: &'a mut Wal,
) -> [&'a mut f64; COUNTS] {
    // A new field does not compile until it has its place.
    let Buffers {
        shared_hit_blocks,
        shared_read_blocks,
        shared_dirtied_blocks,
        shared_written_blocks,
        local_hit_blocks,
        local_read_blocks,
        local_dirtied_blocks,
        local_written_blocks,
        temp_read_blocks,
        temp_written_blocks,
    } = buffers;
    let IoTimes {
        shared_read_ms,
        shared_write_ms,
        local_read_ms,
        local_write_ms,
        temp_read_ms,
        temp_write_ms,
    } = io;
    let Wal {
        records,
        full_page_images,
        bytes,
        buffers_full,
    } = wal;
    [
        shared_hit_blocks,
        shared_read_blocks,
        shared_dirtied_blocks,
        shared_written_blocks,
        local_hit_blocks,
        local_read_blocks,
        local_dirtied_blocks,
        local_written_blocks,
        temp_read_blocks,
        temp_written_blocks,
        shared_read_ms,
        shared_write_ms,
        local_read_ms,
        local_write_ms,
        temp_read_ms,
        temp_write_ms,
        records,
        full_page_images,
        bytes,
        buffers_full,
    ]
}
