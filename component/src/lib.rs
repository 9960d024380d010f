//! The XMPP side of Tandem: an external component (XEP-0114) of the server the users are on.
//!
//! The core ([`core::Core`]) is synchronous and has neither sockets nor clocks; `shell` drives it.

pub mod action;
pub mod call;
pub mod caps;
pub mod config;
pub mod confirm;
pub mod context;
pub mod core;
pub mod disco;
pub mod iq;
pub mod jingle;
pub mod message;
pub mod presence;
pub mod refusal;
pub mod stanza;
pub mod stream;
pub mod xml;

#[cfg(feature = "shell")]
pub mod shell;

pub use tandem_shared::clock;
