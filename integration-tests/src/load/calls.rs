//! Load on the signalling of calls: set up, answered at once, and ended.
//!
//! One thread is the XMPP server with all its users and all phones. Nobody connects media: what that
//! costs is in `just bench-media`. `just bench-calls` runs it.
//!
//! Invariant: a call counts only if both its ends were told of its beginning, its answer and its end.

pub mod bench;
pub mod drive;
pub mod phones;
pub mod users;
