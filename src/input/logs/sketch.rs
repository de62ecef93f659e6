//! Percentiles of many durations in little memory.

/// Bits of the mantissa that tell buckets apart: 64 a power of two, so that a
/// bucket's middle is within 0.8 % of everything in it.
const BITS: u32 = 6;

/// How many durations fell into each of the buckets, whose bounds grow by the
/// same factor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sketch {
    /// The buckets that are not empty, by their number.
    buckets: Vec<(u32, u32)>,
    count: u64,
}

impl Sketch {
    /// Counts a duration.
    pub(super) fn add(&mut self, value: f64) {
        // Nothing is shorter than a thousandth of a millisecond but zero itself,
        // and nothing longer than 30 years: at most 50 powers of two.
        let value = value.clamp(0.000_5, 1e12);
        let bucket = (value.to_bits() >> (52 - BITS)) as u32;
        self.count += 1;
        match self
            .buckets
            .binary_search_by_key(&bucket, |(bucket, _)| *bucket)
        {
            Ok(at) => {
                if let Some((_, count)) = self.buckets.get_mut(at) {
                    *count = count.saturating_add(1);
                }
            }
            Err(at) => self.buckets.insert(at, (bucket, 1)),
        }
    }

    /// The duration that this share of all is not longer than.
    pub(super) fn quantile(&self, share: f64) -> f64 {
        let rank = ((self.count as f64) * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in &self.buckets {
            seen += u64::from(*count);
            if seen >= rank {
                let bound = |bucket: u32| f64::from_bits(u64::from(bucket) << (52 - BITS));
                return f64::midpoint(bound(*bucket), bound(bucket + 1));
            }
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_one_percent() {
        let mut sketch = Sketch::default();
        let values: Vec<f64> = (1..=10_000).map(|at| f64::from(at) * 0.37).collect();
        for value in &values {
            sketch.add(*value);
        }
        for share in [0.01, 0.5, 0.95, 0.99, 1.0] {
            let exact = values[(share * 10_000.0) as usize - 1];
            let found = sketch.quantile(share);
            assert!(
                (found / exact - 1.0).abs() < 0.01,
                "{share}: {found} {exact}"
            );
        }
    }

    #[test]
    fn memory_does_not_grow_with_the_count() {
        let mut sketch = Sketch::default();
        let mut value = 0.0;
        for _ in 0..200_000 {
            sketch.add(value);
            value = (value * 1.7 + 0.001) % 1e13;
        }
        sketch.add(f64::MAX);
        assert!(sketch.buckets.len() <= 64 * 52, "{}", sketch.buckets.len());
    }
}
