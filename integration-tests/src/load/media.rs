//! Load on the media of calls: many calls at once, each with a packet every 20 ms each way.
//!
//! One thread holds both ends of every call, the client's and the phone's. The client's end does ICE,
//! DTLS and SRTP as a browser does; the phone's end has plain RTP or keys from SDP. `just bench-media`
//! runs it; `docs/PERFORMANCE.md` says what the figures mean.
//!
//! Invariant: a packet counts as carried only if it came out at the other end of its call.

pub mod client;
pub mod component;
pub mod forwarder;
pub mod line;
pub mod path;
pub mod phones;
pub mod protection;
pub mod pump;
pub mod report;
pub mod rtpengine;
pub mod sound;
pub mod subject;
pub mod tandem;
