//! The core's hands: sockets, clocks, files, signals.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the one place of the process that reads clocks"
)]

mod connection;
pub mod run;
mod store;
