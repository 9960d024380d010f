//! Load on Tandem, and on a floor program that does the least anybody could do.
//!
//! One thread holds both ends of every conversation, the XMPP user's and the SIP user's, so that one
//! clock measures both and the load's own CPU is known apart. `just bench-messages` runs it;
//! `docs/PERFORMANCE.md` says what the figures mean.
//!
//! Invariant: every message has a number of its own, and a run ends with each number delivered,
//! refused, or counted as lost.

pub mod calls;
pub mod case;
pub mod datagrams;
pub mod drive;
pub mod end;
pub mod floor;
pub mod latency;
pub mod media;
pub mod meter;
pub mod namespace;
pub mod path;
pub mod plan;
pub mod report;
pub mod sip;
pub mod splitter;
pub mod stream;
pub mod tally;
pub mod text;
pub mod xmpp;
