//! What both Tandem processes share: addresses, the vocabulary of the bus and its transports.
//!
//! Without the feature `transport` this crate has no sockets, files or clocks, so that the two
//! cores built on it cannot have them either.

pub mod account;
pub mod address;
pub mod bounds;
pub mod bus;
pub mod call;
pub mod clock;
pub mod event;
pub mod media;
pub mod message;
pub mod mint;
mod newer;
pub mod pii;
pub mod refusal;
pub mod tally;
pub mod timers;

#[cfg(feature = "transport")]
pub mod cli;
#[cfg(feature = "transport")]
pub mod config;
#[cfg(feature = "transport")]
pub mod private;
#[cfg(feature = "transport")]
pub mod telemetry;
