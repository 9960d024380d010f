//! The shell of the b2bua: sockets, clock and files around the pure core.

#![expect(
    clippy::disallowed_methods,
    reason = "only the shell reads a clock; the cores are handed the time"
)]

pub mod admin;
mod answers;
pub mod media;
pub mod run;

mod batch;
mod resolve;
mod store;
mod stream;
mod tls;
pub mod transport;
mod udp;
