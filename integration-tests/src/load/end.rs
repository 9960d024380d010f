//! The two ends of the conversations, as the load drives them.
//!
//! Invariant: whatever an end sends again is the same message under the same number.

use std::os::fd::BorrowedFd;

use anyhow::Result;

use super::text::Number;

/// One end: it sends messages of its users, and hears those of the others.
pub trait End {
    /// Queues message `number` of a conversation.
    fn send(&mut self, number: Number, conversation: u32);

    /// Lets leave what is queued.
    fn flush(&mut self) -> Result<()>;

    /// Appends what was heard since.
    fn hear(&mut self, into: &mut Vec<Heard>) -> Result<()>;

    /// What to wait on for more to hear.
    fn descriptor(&self) -> BorrowedFd<'_>;

    /// Whether something waits for the socket to take it.
    fn is_waiting(&self) -> bool;

    /// After how many seconds without an answer a message is sent again, each time it is; empty
    /// where the network loses nothing.
    fn retries(&self) -> &'static [f64];
}

/// What an end heard about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It arrived here.
    Delivered(Number),
    /// A copy of the datagram that brought it came, as RFC 3261 §17.1.2.2 has them sent.
    Retransmitted(Number),
    /// Its sender was told that it arrived.
    Answered(Number),
    /// Its sender was told that it did not, and why.
    Refused(Number, String),
}
