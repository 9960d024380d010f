//! One destination: its queue and what it is known to be.

use std::collections::VecDeque;
use std::time::Instant;

use super::job::Job;
use crate::sip::endpoint::ClientToken;

/// What stands between a destination and its next message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing.
    #[default]
    Ready,
    /// A request is open.
    Sending(ClientToken),
    /// The head was surely not delivered; it waits to be sent again.
    Resting,
    /// A request was never answered; a probe waits to be sent.
    Doubtful,
    /// A probe is open.
    Probing(ClientToken),
}

/// A queue of messages for one SIP party; its head is the only one ever on the wire.
#[derive(Debug, Default)]
pub(super) struct Destination {
    pub(super) queue: VecDeque<Job>,
    pub(super) state: State,
    /// Failures in a row.
    pub(super) failures: u32,
    /// When the next try or probe is due.
    pub(super) until: Option<Instant>,
}

/// What to do about a destination whose timer fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Send,
    Probe,
    /// Nobody has anything for it.
    Forget,
    Wait(Instant),
    Nothing,
}

impl Destination {
    /// Its timer fired, and what had waited for too long is gone.
    pub(super) fn wake(&mut self, now: Instant) -> Next {
        let due = self.until.is_none_or(|at| at <= now);
        let deadline = self.queue.front().map(|head| head.deadline);
        match self.state {
            State::Resting if due => {
                self.state = State::Ready;
                Next::Send
            }
            State::Doubtful if deadline.is_none() => Next::Forget,
            State::Doubtful if due => Next::Probe,
            State::Resting | State::Doubtful => match (self.until, deadline) {
                (Some(until), Some(deadline)) => Next::Wait(until.min(deadline)),
                (Some(at), None) | (None, Some(at)) => Next::Wait(at),
                (None, None) => Next::Nothing,
            },
            State::Probing(_) => deadline.map_or(Next::Nothing, Next::Wait),
            State::Ready => Next::Send,
            State::Sending(_) => Next::Nothing,
        }
    }
}
