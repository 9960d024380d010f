//! Random numbers that follow from a seed.

use std::time::Duration;

/// SplitMix64.
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
}

impl Random {
    /// Numbers that follow from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`; 0 when there is none.
    pub fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.number() % limit).unwrap_or(0)
    }

    /// True `per_mille` times in a thousand.
    pub fn chance(&mut self, per_mille: usize) -> bool {
        self.below(1000) < per_mille
    }

    /// Up to `most`, in whole milliseconds.
    pub fn up_to(&mut self, most: Duration) -> Duration {
        let most = usize::try_from(most.as_millis()).unwrap_or(usize::MAX);
        let millis = self.below(most.saturating_add(1));
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }

    /// One of `choices`, each as often as its weight says.
    pub fn choose<T: Copy>(&mut self, choices: &[(usize, T)]) -> Option<T> {
        let total = choices.iter().map(|(weight, _)| weight).sum();
        let mut left = self.below(total);
        choices.iter().find_map(|(weight, choice)| {
            let hit = left < *weight;
            left = left.saturating_sub(*weight);
            hit.then_some(*choice)
        })
    }
}
