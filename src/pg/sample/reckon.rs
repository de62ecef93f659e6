//! What ANALYZE reckons from the number of rows in the table, beside those in
//! its sample.
//!
//! These are PostgreSQL's own rules, the same in versions 13 to 18; tests hold
//! them against a server's ANALYZE.

/// How many different values a table has, from its sample: the estimator Duj1
/// of Haas and Stokes. `rows` were sampled of `total`, with `distinct`
/// different values, `once` of which occurred once.
pub(super) fn distinct(rows: f64, total: f64, distinct: f64, once: f64) -> f64 {
    if rows <= 0.0 || total <= 0.0 {
        return distinct;
    }
    let denominator = (rows - once) + once * rows / total;
    let estimate = if denominator > 0.0 {
        rows * distinct / denominator
    } else {
        total
    };
    estimate.max(distinct).min(total.max(distinct))
}

/// The least number of times that a combination must have been seen to be kept
/// in an mcv list of an extended statistics object.
pub(super) fn least_count(rows: f64, total: f64) -> f64 {
    let denominator = total - rows + 0.04 * rows * (total - 1.0);
    if denominator == 0.0 {
        0.0
    } else {
        rows * (total - rows) / denominator
    }
}

/// What a sample shows of one column.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Seen {
    /// Rows in the sample.
    pub rows: f64,
    /// Rows in the table.
    pub total: f64,
    /// Nulls in the sample.
    pub nulls: f64,
    /// Values that are too wide to be looked at.
    pub wide: f64,
    /// Different values among the others.
    pub distinct: f64,
    /// Those that occur more than once.
    pub multiple: f64,
    /// How often the most common values occur that occur more than once, in
    /// descending order; no more than the target.
    pub counts: Vec<f64>,
    /// The statistics target.
    pub target: usize,
}

impl Seen {
    fn null_fraction(&self) -> f64 {
        self.nulls / self.rows.max(1.0)
    }

    /// `stadistinct`.
    pub(super) fn n_distinct(&self) -> f64 {
        let values = self.rows - self.nulls;
        let found = if self.multiple == 0.0 {
            return -(1.0 - self.null_fraction());
        } else if self.wide == 0.0 && self.multiple >= self.distinct {
            self.distinct
        } else {
            let once = self.distinct - self.multiple + self.wide;
            let total = self.total * (1.0 - self.null_fraction());
            (distinct(values, total, once + self.multiple, once) + 0.5).floor()
        };
        if found > 0.1 * self.total {
            -(found / self.total)
        } else {
            found
        }
    }

    /// How many of the most common values are kept.
    pub(super) fn kept(&self, n_distinct: f64) -> usize {
        let tracked = self.counts.len();
        // Every value was seen more than once, and all of them fit.
        if self.multiple >= self.distinct
            && self.wide == 0.0
            && n_distinct > 0.0
            && tracked as f64 >= self.distinct
        {
            return tracked;
        }
        let mut keep = tracked.min(self.target);
        if self.rows >= self.total {
            return keep;
        }
        let in_table = if n_distinct < 0.0 {
            -n_distinct * self.total
        } else {
            n_distinct
        };
        let (n, total) = (self.rows, self.total);
        let mut sum: f64 = self.counts.iter().take(keep.saturating_sub(1)).sum();
        while let Some(count) = keep.checked_sub(1).and_then(|last| self.counts.get(last)) {
            // The frequency that the value would have were it not in the list.
            let mut selectivity = (1.0 - sum / n - self.null_fraction()).clamp(0.0, 1.0);
            let others = in_table - (keep as f64 - 1.0);
            if others > 1.0 {
                selectivity /= others;
            }
            let in_all = total * count / n;
            let variance =
                n * in_all * (total - in_all) * (total - n) / (total * total * (total - 1.0));
            if *count > selectivity * n + 2.0 * variance.sqrt() + 0.5 {
                break;
            }
            keep -= 1;
            if let Some(next) = keep.checked_sub(1).and_then(|last| self.counts.get(last)) {
                sum -= next;
            }
        }
        keep
    }

    /// How many bounds the histogram has beside so many common values.
    pub(super) fn bounds(&self, kept: usize) -> usize {
        let rest = (self.distinct as usize).saturating_sub(kept);
        let bounds = rest.min(self.target + 1);
        if bounds >= 2 { bounds } else { 0 }
    }
}

/// `pg_ndistinct`: its items, and how to change their numbers.
#[derive(Debug)]
pub(super) struct Combinations {
    raw: Vec<u8>,
    /// Where each number stands, and the columns that it is of; expressions
    /// are negative.
    pub items: Vec<(usize, Vec<i16>)>,
}

impl Combinations {
    /// Reads what a server of this machine wrote.
    pub(super) fn read(raw: Vec<u8>) -> Option<Self> {
        let number = |at: usize| -> Option<usize> {
            let bytes = raw.get(at..at + 4)?.try_into().ok()?;
            usize::try_from(u32::from_ne_bytes(bytes)).ok()
        };
        let count = number(8)?;
        let mut items = Vec::new();
        let mut at = 12;
        for _ in 0..count {
            let columns = number(at + 8)?;
            let members = raw.get(at + 12..at + 12 + 2 * columns)?;
            let members = members
                .chunks_exact(2)
                .filter_map(|pair| Some(i16::from_ne_bytes(pair.try_into().ok()?)))
                .collect();
            items.push((at, members));
            at += 12 + 2 * columns;
        }
        (at == raw.len()).then_some(Self { raw, items })
    }

    /// Changes the number that stands there.
    pub(super) fn set(&mut self, at: usize, distinct: f64) {
        if let Some(place) = self.raw.get_mut(at..at + 8) {
            place.copy_from_slice(&distinct.to_ne_bytes());
        }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.raw
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_table_has_what_was_seen() {
        assert!((distinct(1000.0, 1000.0, 37.0, 12.0) - 37.0).abs() < 1e-9);
        assert!(least_count(1000.0, 1000.0).abs() < 1e-9);
        assert!((least_count(30_000.0, 1e9) - 25.0).abs() < 0.1);
    }

    #[test]
    fn values_seen_once_stand_for_others() {
        // All once: nothing is known but that there are many.
        assert!((distinct(100.0, 10_000.0, 100.0, 100.0) - 10_000.0).abs() < 1e-6);
        assert!((distinct(100.0, 10_000.0, 10.0, 0.0) - 10.0).abs() < 1e-9);
    }

    #[test]
    fn the_numbers_of_combinations_are_changed_in_place() {
        let mut raw = Vec::new();
        for number in [0xA352_BFA4_u32, 1, 1] {
            raw.extend(number.to_ne_bytes());
        }
        raw.extend(42.0_f64.to_ne_bytes());
        raw.extend(2_u32.to_ne_bytes());
        raw.extend(1_i16.to_ne_bytes());
        raw.extend((-1_i16).to_ne_bytes());
        let mut read = Combinations::read(raw.clone()).unwrap();
        assert_eq!(read.items, [(12, vec![1, -1])]);
        read.set(12, 43.0);
        let changed = read.into_bytes();
        assert_eq!(changed[12..20], 43.0_f64.to_ne_bytes());
        assert_eq!(changed[20..], raw[20..]);
        assert!(Combinations::read(raw[..25].to_vec()).is_none());
    }
}
