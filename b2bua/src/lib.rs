//! Tandem's SIP side: a pure core and, with the feature `shell`, the sockets around it.

pub mod sip;

#[cfg(feature = "shell")]
pub mod shell;
