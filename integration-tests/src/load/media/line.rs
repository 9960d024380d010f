//! A call as the load sees it: its two ends and where each sends.

use std::net::SocketAddr;

use super::client::Client;
use super::protection::Protection;

/// A call.
pub struct Line {
    /// The client's end.
    pub client: Client,
    /// The phone's end.
    pub phone: Phone,
}

/// The phone's end of a call; all phones share a socket.
pub struct Phone {
    /// Where its packets go, and where those for it come from.
    pub remote: SocketAddr,
    /// What its packets go through.
    pub protection: Protection,
}
