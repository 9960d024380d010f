//! The time, as the shell hands it to the core.

use std::time::{Instant, SystemTime};

/// One moment on both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// For deadlines.
    pub instant: Instant,
    /// For people.
    pub wall: SystemTime,
}
