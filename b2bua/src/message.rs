//! Pager-mode messages as SIP sees them (RFC 3428; RFC 7572).
//!
//! [`outbound`] brings messages of XMPP users to SIP, one at a time to each destination;
//! [`inbound`] brings those of SIP parties to the bus and answers them when their outcome is known;
//! [`join`] makes one of the parts a carrier has split; [`request`] and [`translate`] turn messages into requests and back.

pub mod inbound;
pub mod join;
pub mod outbound;
pub mod request;
pub mod split;
pub mod thread;
pub mod translate;
