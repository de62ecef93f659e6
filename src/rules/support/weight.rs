//! How much a finding weighs, so that tiny tables stay silent.
//!
//! The share of the statement that could be saved decides together with what
//! that share comes to: milliseconds where the plan was timed, the planner's
//! cost units where it was not.

use super::show;
use crate::finding::{Evidence, Level, Origin, Value};
use crate::plan::metrics::Metrics;
use crate::subject::Subject;

/// Below that share nothing is said.
const LEAST_SHARE: f64 = 0.05;
/// Nor when less than that could be saved.
const LEAST_MS: f64 = 1.0;
/// Or, without times, less than that.
const LEAST_COST: f64 = 100.0;
/// From here a finding is a warning.
const WARNING_SHARE: f64 = 0.1;
/// From here it is critical,
const CRITICAL_SHARE: f64 = 0.5;
/// if at least that could be saved
const CRITICAL_MS: f64 = 50.0;
/// or, without times, that.
const CRITICAL_COST: f64 = 10_000.0;

/// What could be saved, in the unit that is known.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Saved {
    Ms(f64),
    Cost(f64),
}

/// The weight of one finding.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Weight {
    share: f64,
    saved: Saved,
}

impl Weight {
    /// The weight of a share of the statement; `None` when the plan says
    /// neither times nor costs.
    pub(crate) fn new(subject: &Subject<'_>, share: f64) -> Option<Self> {
        Self::of(subject.metrics?, share)
    }

    fn of(metrics: &Metrics, share: f64) -> Option<Self> {
        let share = share.clamp(0.0, 1.0);
        let saved = match (metrics.total_ms, metrics.total_cost) {
            (Some(ms), _) => Saved::Ms(ms * share),
            (None, Some(cost)) => Saved::Cost(cost * share),
            (None, None) => return None,
        };
        Some(Self { share, saved })
    }

    /// The weight, if it is worth a word, or if somebody asks why there is
    /// none.
    pub(crate) fn worth_telling(subject: &Subject<'_>, share: f64) -> Option<Self> {
        Self::new(subject, share).filter(|weight| subject.whatever_weight || weight.matters())
    }

    /// Why a finding of that share is not worth a word; `None` when it is.
    pub(crate) fn too_light(metrics: &Metrics, share: f64) -> Option<String> {
        let weight = Self::of(metrics, share)?;
        if weight.matters() {
            return None;
        }
        let (saved, noun, least) = match weight.saved {
            Saved::Ms(ms) => (show::ms(ms), "time", show::ms(LEAST_MS)),
            Saved::Cost(cost) => (show::count(cost), "cost", show::count(LEAST_COST)),
        };
        let below = if weight.share < LEAST_SHARE {
            format!("under {} it is not told", show::percent(LEAST_SHARE))
        } else {
            format!("under {least} it is not told")
        };
        Some(format!(
            "seen, but it could save {} of the {noun} at most ({saved}); {below}",
            show::percent(weight.share)
        ))
    }

    /// The weight of milliseconds beside the plan's tree (triggers, JIT,
    /// planning, output), of a whole in which they are counted; `None` unless
    /// worth a word, or asked for.
    pub(crate) fn of_ms(subject: &Subject<'_>, saved_ms: f64, whole_ms: f64) -> Option<Self> {
        if whole_ms <= 0.0 {
            return None;
        }
        let weight = Self {
            share: (saved_ms / whole_ms).clamp(0.0, 1.0),
            saved: Saved::Ms(saved_ms.min(whole_ms)),
        };
        (subject.whatever_weight || weight.matters()).then_some(weight)
    }

    fn matters(self) -> bool {
        self.share >= LEAST_SHARE && self.reaches(LEAST_MS, LEAST_COST)
    }

    /// Whether what could be saved comes to that time or, where the plan has
    /// none, to that cost.
    pub(crate) fn reaches(self, least_ms: f64, least_cost: f64) -> bool {
        match self.saved {
            Saved::Ms(ms) => ms >= least_ms,
            Saved::Cost(cost) => cost >= least_cost,
        }
    }

    /// The share, 0 to 1.
    pub(crate) fn share(self) -> f64 {
        self.share
    }

    /// How much it matters.
    pub(crate) fn level(self) -> Level {
        if self.share >= CRITICAL_SHARE && self.reaches(CRITICAL_MS, CRITICAL_COST) {
            Level::Critical
        } else if self.share >= WARNING_SHARE {
            Level::Warning
        } else {
            Level::Note
        }
    }

    /// What could be saved, as evidence.
    pub(crate) fn evidence(self) -> Evidence {
        match self.saved {
            Saved::Ms(ms) => Evidence::new(
                "time that could be saved at most",
                Value::Ms(ms),
                Origin::Formula("share of the execution time"),
            ),
            Saved::Cost(cost) => Evidence::new(
                "cost that could be saved at most",
                Value::Cost(cost),
                Origin::Formula("share of the planner's total cost"),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight(ms: Option<f64>, cost: f64, share: f64) -> Option<Weight> {
        let metrics = Metrics {
            total_ms: ms,
            total_cost: Some(cost),
            remainder_ms: 0.0,
            ..Metrics::default()
        };
        let subject = Subject {
            metrics: Some(&metrics),
            ..Subject::default()
        };
        Weight::worth_telling(&subject, share)
    }

    #[test]
    fn a_quick_statement_and_a_small_share_stay_silent() {
        assert_eq!(weight(Some(0.9), 1e6, 1.0), None);
        assert_eq!(weight(Some(1000.0), 1e6, 0.04), None);
        assert_eq!(weight(None, 90.0, 1.0), None);
    }

    #[test]
    fn silence_says_what_it_would_have_taken() {
        let light = |ms, cost, share| {
            let metrics = Metrics {
                total_ms: ms,
                total_cost: Some(cost),
                remainder_ms: 0.0,
                ..Metrics::default()
            };
            Weight::too_light(&metrics, share)
        };
        assert_eq!(
            light(Some(1000.0), 1.0, 0.004).as_deref(),
            Some(
                "seen, but it could save 0.4 % of the time at most (4.0 ms); under 5.0 % it is not told"
            )
        );
        assert_eq!(
            light(None, 90.0, 0.5).as_deref(),
            Some("seen, but it could save 50 % of the cost at most (45); under 100 it is not told")
        );
        assert_eq!(light(Some(100.0), 1.0, 0.5), None);
    }

    #[test]
    fn the_level_follows_share_and_size() {
        let level = |ms, cost, share| weight(ms, cost, share).map(Weight::level);
        assert_eq!(level(Some(200.0), 1.0, 0.6), Some(Level::Critical));
        assert_eq!(level(Some(20.0), 1.0, 0.9), Some(Level::Warning));
        assert_eq!(level(None, 100_000.0, 0.9), Some(Level::Critical));
        assert_eq!(level(None, 1000.0, 0.9), Some(Level::Warning));
        assert_eq!(level(Some(200.0), 1.0, 0.07), Some(Level::Note));
    }
}
