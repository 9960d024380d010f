//! Latencies and their percentiles.
//!
//! Invariant: every value is kept, so a percentile is exact and not an estimate from buckets.

use std::time::Duration;

/// Measured latencies.
#[derive(Debug, Default, Clone)]
pub struct Latencies {
    nanoseconds: Vec<u64>,
}

impl Latencies {
    /// Adds one.
    pub fn add(&mut self, latency: Duration) {
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.push(nanoseconds);
    }

    /// In milliseconds, the latency that `percent` of the messages did not exceed.
    pub fn percentile(&self, percent: usize) -> Option<f64> {
        let mut sorted = self.nanoseconds.clone();
        sorted.sort_unstable();
        let at = (sorted.len() * percent).div_ceil(100).max(1) - 1;
        sorted.get(at).map(|value| *value as f64 / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.percentile(50), None);
        for value in (1..=200).rev() {
            latencies.add(Duration::from_millis(value));
        }
        assert_eq!(latencies.percentile(50), Some(100.0));
        assert_eq!(latencies.percentile(99), Some(198.0));
        assert_eq!(latencies.percentile(100), Some(200.0));
    }
}
