//! Which plan a prepared statement ends up with under `plan_cache_mode =
//! auto`.
//!
//! PostgreSQL plans the first five executions each for its values. From then
//! on it takes the generic plan as long as that costs less than the average of
//! the custom plans so far, planning included, which it reckons as 1000
//! operator costs for each relation and one more.

/// Executions that are planned for their values before anything is compared.
const FIRST: usize = 5;
/// Operator costs that planning one relation is reckoned as.
const PLANNING: f64 = 1000.0;
/// More different costs than this are drawn together first, so that what can
/// come of five executions stays countable.
const COSTS: usize = 16;

/// What planning is reckoned to cost.
pub fn planning_cost(relations: usize, cpu_operator_cost: f64) -> f64 {
    PLANNING * cpu_operator_cost * (relations as f64 + 1.0)
}

/// The plan that a prepared statement settles on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settled {
    /// How likely the generic plan is taken after the first five executions.
    pub generic_after_five: f64,
    /// The average cost of custom plans, planning included.
    pub custom_average: f64,
    /// The generic plan's own cost is lower than that average, so that it is
    /// taken sooner or later, whatever the first five were.
    pub generic_at_last: bool,
}

/// `custom` are the costs of the custom plans with the share of executions of
/// each.
pub fn settle(custom: &[(f64, f64)], planning: f64, generic: f64) -> Settled {
    let total: f64 = custom.iter().map(|(_, share)| share).sum();
    let average = if total > 0.0 {
        custom.iter().map(|(cost, share)| cost * share).sum::<f64>() / total
    } else {
        0.0
    } + planning;
    let mut costs: Vec<(f64, f64)> = custom
        .iter()
        .filter(|(_, share)| *share > 0.0)
        .map(|(cost, share)| (*cost, share / total.max(f64::MIN_POSITIVE)))
        .collect();
    costs.sort_by(|a, b| a.0.total_cmp(&b.0));
    while costs.len() > COSTS {
        join_nearest(&mut costs);
    }
    let limit = (generic - planning) * FIRST as f64;
    Settled {
        generic_after_five: chance(&costs, FIRST, 0.0, limit).clamp(0.0, 1.0),
        custom_average: average,
        generic_at_last: generic < average,
    }
}

/// How likely `left` more draws bring the sum above the limit.
fn chance(costs: &[(f64, f64)], left: usize, sum: f64, limit: f64) -> f64 {
    // Multisets rather than sequences: draws from the first cost on, with the
    // number of orders that they can come in.
    fn draw(costs: &[(f64, f64)], left: usize, sum: f64, weight: f64, limit: f64) -> f64 {
        let Some(((cost, share), rest)) = costs.split_first() else {
            return if left == 0 && sum > limit {
                weight
            } else {
                0.0
            };
        };
        let mut chance = 0.0;
        let mut ways = 1.0;
        let mut powers = 1.0;
        for times in 0..=left {
            let drawn = times as f64;
            chance += draw(
                rest,
                left - times,
                drawn.mul_add(*cost, sum),
                weight * ways * powers,
                limit,
            );
            ways *= (left - times) as f64 / (drawn + 1.0);
            powers *= share;
        }
        chance
    }
    draw(costs, left, sum, 1.0, limit)
}

/// Joins the two neighbours that lie nearest.
fn join_nearest(costs: &mut Vec<(f64, f64)>) {
    let nearest = costs
        .windows(2)
        .enumerate()
        .filter_map(|(at, pair)| match pair {
            [a, b] => Some((at, b.0 - a.0)),
            _ => None,
        })
        .min_by(|a, b| a.1.total_cmp(&b.1));
    let Some((at, _)) = nearest else { return };
    if at + 1 < costs.len() {
        let (cost, share) = costs.remove(at + 1);
        if let Some(kept) = costs.get_mut(at) {
            let sum = kept.1 + share;
            kept.0 = (kept.0 * kept.1 + cost * share) / sum.max(f64::MIN_POSITIVE);
            kept.1 = sum;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generic_plan_is_taken_when_it_is_cheaper_than_the_average() {
        let planning = planning_cost(1, 0.0025);
        assert!((planning - 5.0).abs() < 1e-9);
        let settled = settle(&[(100.0, 1.0)], planning, 104.0);
        assert!(settled.generic_at_last);
        assert!((settled.generic_after_five - 1.0).abs() < 1e-9);
        let settled = settle(&[(100.0, 1.0)], planning, 106.0);
        assert!(!settled.generic_at_last);
        assert!(settled.generic_after_five.abs() < 1e-9);
    }

    #[test]
    fn what_the_first_five_are_decides() {
        // One execution in two is dear; the generic plan costs as much as two
        // dear ones among five.
        let settled = settle(&[(0.0, 0.5), (100.0, 0.5)], 0.0, 45.0);
        // Three or more of five.
        assert!((settled.generic_after_five - 0.5).abs() < 1e-9);
        let settled = settle(&[(0.0, 0.9), (100.0, 0.1)], 0.0, 15.0);
        // One or more of five.
        assert!((settled.generic_after_five - (1.0 - 0.9_f64.powi(5))).abs() < 1e-9);
        assert!(!settled.generic_at_last);
    }

    #[test]
    fn many_costs_are_drawn_together() {
        let many: Vec<(f64, f64)> = (0..24).map(|n| (f64::from(n), 1.0)).collect();
        let settled = settle(&many, 0.0, 11.5);
        assert!((settled.custom_average - 11.5).abs() < 1e-9);
        assert!((settled.generic_after_five - 0.5).abs() < 0.05);
    }
}
