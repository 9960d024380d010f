//! The bus between the two processes.
//!
//! Ordered per sender, at most once, no acknowledgements: whoever needs an answer keeps a timer, so
//! loss, a crash and a slow peer are one case. [`link`] is the life of a link as a pure machine;
//! the transports move envelopes and say when the other end comes and goes.

pub mod link;
pub mod node;

#[cfg(feature = "transport")]
pub mod frame;
#[cfg(feature = "transport")]
pub mod local;
#[cfg(feature = "transport")]
pub mod memory;
#[cfg(feature = "transport")]
pub mod url;

use crate::event::Event;
use serde::{Deserialize, Serialize};

pub use node::{NodeId, SessionId};

/// The version of [`Envelope`] this node writes.
pub const VERSION: u16 = 1;

/// Envelopes a transport holds for a slow peer; more are refused.
pub const QUEUE: usize = 1024;

/// One event on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Which version of this format it is.
    #[serde(rename = "v")]
    pub version: u16,
    /// Who says it.
    pub from: NodeId,
    /// To whom; empty while the peer is not known yet.
    #[serde(default)]
    pub to: NodeId,
    /// Which run of the sender says it.
    pub epoch: u64,
    /// What it is about.
    pub session: SessionId,
    /// The fact itself.
    pub event: Event,
}

/// What a transport tells its owner.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming {
    /// The other end can be reached from now on.
    Connected,
    /// The other end said something.
    Envelope(Box<Envelope>),
    /// The other end cannot be reached any more; what was queued for it is gone.
    Disconnected,
}

/// Why an envelope was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// [`QUEUE`] envelopes are waiting already.
    #[error("the bus queue is full")]
    Full,
    /// Nobody is at the other end.
    #[error("the bus is not connected")]
    NotConnected,
    /// The envelope is larger than a frame may be.
    #[error("the envelope is too large for the bus")]
    TooLarge,
}

/// A transport of the bus.
#[cfg(feature = "transport")]
#[expect(
    async_fn_in_trait,
    reason = "implemented and awaited inside the workspace only"
)]
pub trait Bus {
    /// Queues an envelope.
    ///
    /// # Errors
    /// When it was not taken; the transport stays usable.
    fn send(&mut self, envelope: &Envelope) -> Result<(), SendError>;

    /// How many more envelopes [`Bus::send`] would take.
    fn room(&self) -> usize;

    /// Lets leave what can without waiting; [`Bus::recv`] sends the rest.
    fn kick(&mut self);

    /// Waits until what was queued has left this process, or the link is gone.
    async fn flush(&mut self);

    /// Appends at least one and at most `max` incoming items to `into`. Cancel-safe.
    async fn recv(&mut self, into: &mut Vec<Incoming>, max: usize);

    /// Ends the link in order to begin again; nothing is delivered from the old one.
    fn close(&mut self);
}
