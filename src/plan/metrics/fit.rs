//! Settles what rounding contradicts, so that times alone sum to the whole.
//!
//! A printed time stands for an interval: half a microsecond to either side of
//! the time per loop, times the loops. With many loops that is much: 100,000
//! loops of 0.001 ms are between 50 and 150 ms. The true times lie in these
//! intervals, and those of a node's inputs sum to no more than its own. From
//! the leaves up, that bounds each time from below; from the root down, each
//! node then gives its inputs their printed times, or as much as it has, none
//! less than its bound. What a node is left with is its time alone: never
//! negative, and the sum over all nodes is the root's time.
//!
//! Inputs that took longer than their node by more than rounding explains are
//! scaled down to it with all below them: processes that ran beside each
//! other or on after the Gather was done with them, a file put together by
//! hand. How much is told in [`Fitted::scaled`].

use super::places::Charge;
use super::shape::{Shape, at, set};

/// Differences below this are of the computer's arithmetic.
const NOTHING_MS: f64 = 1e-9;

/// Times that agree with each other, by node index.
pub(super) struct Fitted {
    /// With everything below.
    pub(super) total: Vec<f64>,
    /// Alone.
    pub(super) own: Vec<f64>,
    /// By how much printed inputs were beyond their nodes, within rounding.
    pub(super) rounded: f64,
    /// By how much they were beyond that.
    pub(super) scaled: f64,
    /// The nodes whose inputs were scaled down.
    pub(super) scaled_at: Vec<usize>,
}

/// Something inside of a node's time: an input, or a part of an InitPlan.
struct Inside {
    index: usize,
    /// What part of it is here.
    part: f64,
}

pub(super) fn fit(shape: &Shape<'_>, printed: &[f64], slack: &[f64], charges: &[Charge]) -> Fitted {
    let count = shape.len();
    let mut inside: Vec<Vec<Inside>> = (0..count)
        .map(|index| {
            shape
                .inputs(index)
                .map(|input| Inside {
                    index: input,
                    part: 1.0,
                })
                .collect()
        })
        .collect();
    let mut total = vec![0.0; count];
    let mut waiting = vec![0_usize; count];
    for charge in charges {
        let whole = charge.parts.iter().map(|(_, ms)| ms).sum::<f64>() + charge.afterwards;
        set(&mut total, charge.init_plan, charge.afterwards);
        for (user, ms) in &charge.parts {
            if let Some(inside) = inside.get_mut(*user) {
                inside.push(Inside {
                    index: charge.init_plan,
                    part: if whole > 0.0 { ms / whole } else { 0.0 },
                });
            }
        }
    }
    for inside in inside.iter().flatten() {
        let more = at(&waiting, inside.index) + 1;
        set(&mut waiting, inside.index, more);
    }
    let order = order(&inside, &waiting);
    let lowest = lowest(&inside, &order, printed, slack);
    set(&mut total, 0, at(printed, 0).max(at(&lowest, 0)));
    let mut fitted = Fitted {
        own: vec![0.0; count],
        total,
        rounded: 0.0,
        scaled: 0.0,
        scaled_at: Vec::new(),
    };
    // By how much all below a node was scaled.
    let mut factor = vec![1.0; count];
    for index in order {
        let there = at(&fitted.total, index);
        let scale = at(&factor, index);
        let (mut wanted, mut least) = (0.0, 0.0);
        for inside in inside.get(index).into_iter().flatten() {
            let low = at(&lowest, inside.index) * inside.part * scale;
            least += low;
            wanted += (at(printed, inside.index) * inside.part * scale).max(low);
        }
        // Of what is wanted beyond the least, how much there is; of the least,
        // how much.
        let (beyond, of_least) = if wanted <= there + NOTHING_MS {
            (1.0, 1.0)
        } else if least <= there + NOTHING_MS {
            fitted.rounded += wanted - there;
            (((there - least) / (wanted - least)).clamp(0.0, 1.0), 1.0)
        } else {
            fitted.rounded += wanted - least;
            fitted.scaled += least - there;
            fitted.scaled_at.push(index);
            (0.0, there / least)
        };
        let mut left = there;
        for inside in inside.get(index).into_iter().flatten() {
            let low = at(&lowest, inside.index) * inside.part * scale;
            let want = (at(printed, inside.index) * inside.part * scale).max(low);
            let given = low * of_least + (want - low) * beyond;
            left -= given;
            let sum = at(&fitted.total, inside.index) + given;
            set(&mut fitted.total, inside.index, sum);
            set(&mut factor, inside.index, scale * of_least);
        }
        set(&mut fitted.own, index, left.max(0.0));
    }
    fitted
}

/// All nodes, each after those that it is inside of.
fn order(inside: &[Vec<Inside>], waiting: &[usize]) -> Vec<usize> {
    let mut waiting = waiting.to_vec();
    let mut open: Vec<usize> = (0..waiting.len())
        .rev()
        .filter(|index| at(&waiting, *index) == 0)
        .collect();
    let mut order = Vec::with_capacity(waiting.len());
    while let Some(index) = open.pop() {
        order.push(index);
        for inside in inside.get(index).into_iter().flatten() {
            let left = at(&waiting, inside.index).saturating_sub(1);
            set(&mut waiting, inside.index, left);
            if left == 0 {
                open.push(inside.index);
            }
        }
    }
    order
}

/// The least that each time can have been.
fn lowest(inside: &[Vec<Inside>], order: &[usize], printed: &[f64], slack: &[f64]) -> Vec<f64> {
    let mut lowest = vec![0.0; printed.len()];
    for index in order.iter().rev().copied() {
        let (printed, slack) = (at(printed, index), at(slack, index));
        let needed: f64 = inside
            .get(index)
            .into_iter()
            .flatten()
            .map(|inside| at(&lowest, inside.index) * inside.part)
            .sum();
        // Where rounding explains nothing, the printed time stands.
        let low = if needed <= printed + slack {
            needed.max(printed - slack).max(0.0)
        } else {
            printed
        };
        set(&mut lowest, index, low);
    }
    lowest
}
