//! How long to wait before the next try.

use std::time::Duration;

use tandem_shared::mint::Mint;

/// Two seconds, doubled with each failure up to a minute, give or take a quarter so that
/// destinations that failed together do not come back together.
#[must_use]
pub fn pause(failures: u32, mint: &mut Mint) -> Duration {
    let base = FIRST.saturating_mul(1 << failures.min(8)).min(LONGEST);
    let thousandth = u32::try_from(mint.number() % 500).unwrap_or(0);
    base.saturating_mul(750 + thousandth) / 1000
}

const FIRST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute() {
        let mut mint = Mint::new([3; 16]);
        for (failures, seconds) in [(0, 2), (1, 4), (4, 32), (5, 60), (4_000_000, 60)] {
            let pause = pause(failures, &mut mint).as_secs_f64();
            let (low, high) = (f64::from(seconds) * 0.75, f64::from(seconds) * 1.25);
            assert!((low..=high).contains(&pause), "{failures}: {pause}");
        }
    }
}
