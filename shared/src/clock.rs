//! The time, as a shell hands it to its core.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// One moment on both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// For deadlines.
    pub instant: Instant,
    /// For people and for what outlives the process.
    pub wall: SystemTime,
}

impl Now {
    /// Milliseconds since 1970 (UTC); 0 before.
    #[must_use]
    pub fn unix_ms(&self) -> i64 {
        self.wall
            .duration_since(UNIX_EPOCH)
            .ok()
            .and_then(|since| i64::try_from(since.as_millis()).ok())
            .unwrap_or(0)
    }
}
