//! SIP (RFC 3261): grammar, transactions, the endpoint, dialogs and calls, without I/O.
//!
//! Bytes come in through [`endpoint::Endpoint::handle_packet`], bytes go out through
//! [`endpoint::Endpoint::poll_transmit`]; the sockets are in `shell/`. Nothing here reads a clock,
//! draws random numbers or allocates without bound on what a peer sent.

pub mod address;
pub mod dialog;
pub mod digest;
pub mod endpoint;
pub mod frame;
pub mod grammar;
pub mod header;
pub mod hop;
pub mod message;
pub mod method;
pub mod params;
pub mod parse;
pub mod print;
pub mod session;
pub mod status;
pub mod stun;
#[cfg(test)]
mod torture;
pub mod transaction;
pub mod uri;
pub mod via;

pub use address::NameAddr;
pub use endpoint::{Endpoint, Event};
pub use header::{Headers, Name};
pub use hop::{Flow, Hop, Transport};
pub use message::{Message, Request, Response};
pub use method::Method;
pub use status::Status;
pub use uri::{SipUri, Uri};
pub use via::Via;
