//! Transactions (RFC 3261 §17): matching, retransmission, expiry.
//!
//! The machines are pure: they are told what happened and say what to do. Who keeps them, and for
//! how long, is `endpoint/`. INVITE has machines of its own (RFC 6026), to stand beside these.

use std::time::Duration;

pub mod client;
pub mod expiring;
pub mod key;
pub mod server;

/// The base values every timer of RFC 3261 §17 derives from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timers {
    /// Round-trip estimate; 500 ms.
    pub t1: Duration,
    /// Longest pause between retransmissions; 4 s.
    pub t2: Duration,
    /// Longest life of a message in the network; 5 s.
    pub t4: Duration,
}

impl Timers {
    /// Timer F and, over UDP, Timer J: 64 times T1.
    pub fn give_up(&self) -> Duration {
        self.t1 * 64
    }
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
        }
    }
}

#[cfg(test)]
mod tests;
