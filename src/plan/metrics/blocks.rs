//! Blocks of each node alone.
//!
//! EXPLAIN prints a node's blocks with everything below it, summed over all
//! loops and processes: what is left without the children is the node's own.
//! An InitPlan's blocks are counted, like its time, in the nodes in which it
//! ran and everything above them, not where it hangs.

use super::shape::Shape;
use super::time::Charge;
use crate::plan::Buffers;

/// Blocks by node index, where they were counted.
pub(super) fn own_buffers(shape: &Shape<'_>, charges: &[Charge]) -> Vec<Option<Buffers>> {
    let printed = |index: usize| shape.node(index).and_then(|node| node.buffers);
    let mut own: Vec<Option<Buffers>> = (0..shape.len())
        .map(|index| {
            let mut left = printed(index)?;
            for child in shape.inputs(index) {
                let below = printed(child).unwrap_or_default();
                for_each_count(&mut left, below, |count, below| *count -= below);
            }
            for_each_count(&mut left, Buffers::default(), |count, none| {
                *count = count.max(none);
            });
            Some(left)
        })
        .collect();
    for charge in charges {
        let mut to_take = printed(charge.init_plan).unwrap_or_default();
        for user in &charge.users {
            let Some(Some(left)) = own.get_mut(*user) else {
                continue;
            };
            let before = *left;
            for_each_count(left, to_take, |count, take| {
                *count = (*count - take).max(0.0);
            });
            let mut taken = before;
            for_each_count(&mut taken, *left, |count, left| *count -= left);
            for_each_count(&mut to_take, taken, |count, taken| *count -= taken);
        }
    }
    own
}

/// Changes each count with the same count of another.
fn for_each_count(buffers: &mut Buffers, other: Buffers, mut change: impl FnMut(&mut f64, f64)) {
    change(&mut buffers.shared_hit_blocks, other.shared_hit_blocks);
    change(&mut buffers.shared_read_blocks, other.shared_read_blocks);
    change(
        &mut buffers.shared_dirtied_blocks,
        other.shared_dirtied_blocks,
    );
    change(
        &mut buffers.shared_written_blocks,
        other.shared_written_blocks,
    );
    change(&mut buffers.local_hit_blocks, other.local_hit_blocks);
    change(&mut buffers.local_read_blocks, other.local_read_blocks);
    change(
        &mut buffers.local_dirtied_blocks,
        other.local_dirtied_blocks,
    );
    change(
        &mut buffers.local_written_blocks,
        other.local_written_blocks,
    );
    change(&mut buffers.temp_read_blocks, other.temp_read_blocks);
    change(&mut buffers.temp_written_blocks, other.temp_written_blocks);
}
