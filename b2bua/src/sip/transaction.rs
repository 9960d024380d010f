//! Transactions (RFC 3261 §17): matching, retransmission, expiry.
//!
//! The machines are pure: they are told what happened and say what to do. Who keeps them, and for
//! how long, is `endpoint/`. INVITE has machines of its own (RFC 6026) beside the others.

use std::time::Duration;

pub mod client;
pub mod expiring;
pub mod invite_client;
pub mod invite_server;
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
    /// Timers B, F, H, L and M and, over UDP, D and J: 64 times T1.
    pub fn give_up(&self) -> Duration {
        self.t1 * 64
    }

    /// Timer C: more than three minutes (RFC 3261 §16.8).
    pub fn ring(&self) -> Duration {
        self.t1 * 366
    }

    /// How long our side may think before a 100 is sent in its place (RFC 3261 §17.2.1).
    pub fn trying(&self) -> Duration {
        self.t1 * 2 / 5
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
