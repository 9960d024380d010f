//! How long everything takes: a whole run, or a quick one.
//!
//! Invariant: a quick run measures the same things, only with less certainty.

use std::time::Duration;

/// Durations and sizes of one run; what has none is left out.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Load before anything is measured.
    pub settle: Duration,
    /// The closed loop that finds the limit.
    pub limit: Duration,
    /// How many may be open in the closed loop.
    pub window: usize,
    /// Each step of the search for the highest rate with a bounded latency.
    pub step: Duration,
    /// The low rate.
    pub low: Duration,
    /// Load over the limit.
    pub overload: Duration,
    /// Conversations of the memory test.
    pub seen: u32,
}

impl Plan {
    /// What `docs/PERFORMANCE.md` shows.
    pub const WHOLE: Self = Self {
        settle: Duration::from_secs(1),
        limit: Duration::from_secs(4),
        window: WINDOW,
        step: Duration::from_secs(3),
        low: Duration::from_secs(10),
        overload: Duration::from_secs(10),
        seen: 100_000,
    };

    /// For a look while working.
    pub const QUICK: Self = Self {
        settle: Duration::from_millis(500),
        limit: Duration::from_millis(1500),
        window: WINDOW,
        step: Duration::from_millis(1500),
        low: Duration::from_secs(3),
        overload: Duration::from_secs(3),
        seen: 20_000,
    };
}

impl Plan {
    /// The memory test alone.
    pub fn memory_of(seen: u32) -> Self {
        Self {
            seen,
            ..Self::limit_for(Duration::ZERO)
        }
    }

    /// The closed loop alone, for as long as a profiler wants to look.
    pub fn limit_for(limit: Duration) -> Self {
        Self {
            settle: Self::WHOLE.settle,
            limit,
            window: WINDOW,
            step: Duration::ZERO,
            low: Duration::ZERO,
            overload: Duration::ZERO,
            seen: 0,
        }
    }
}

/// Conversations of every measurement but two.
pub const CONVERSATIONS: u32 = 1000;
/// Conversations under overload: enough that no sender has to wait for its turn.
pub const CROWD: u32 = 50_000;
/// The bound on the latency of 99 of 100 messages, in milliseconds.
pub const BOUND: f64 = 60.0;
/// Messages per second of the low rate.
pub const LOW: f64 = 100.0;
/// Shares of the limit at which the bound is tried, highest first.
pub const SHARES: [f64; 7] = [1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5];
/// How many may be open in the closed loop, unless told otherwise.
pub const WINDOW: usize = 1000;
/// What may still come after a run: longer than the sender's Timer F (RFC 3261 §17.1.2.2).
pub const PATIENCE: Duration = Duration::from_secs(40);
