//! One party of a session: its dialog, and what was said in it.

use super::event::{Body, Fork};
use super::exchange::Exchange;
use crate::sip::dialog::Dialog;
use crate::sip::header::{Headers, Name};

/// Before the answer there may be several, afterwards one.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) fork: Fork,
    pub(super) dialog: Dialog,
    pub(super) exchange: Exchange,
    /// The last reliable response taken, by its RSeq.
    pub(super) rseq: Option<u32>,
    /// What an unreliable provisional response said.
    pub(super) preview: Option<Body>,
    /// Whether it takes UPDATE.
    pub(super) updates: bool,
}

/// What a reliable provisional response is, by its number (RFC 3262 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// The next in order.
    Next,
    /// A copy, or one after a gap.
    Other,
}

impl Peer {
    pub(super) fn new(fork: Fork, dialog: Dialog, exchange: Exchange) -> Self {
        Self {
            fork,
            dialog,
            exchange,
            rseq: None,
            preview: None,
            updates: false,
        }
    }

    /// Notes what the peer can do.
    pub(super) fn note(&mut self, headers: &Headers) {
        if headers.get(Name::Allow).is_some() {
            self.updates = headers.has_option(Name::Allow, "UPDATE");
        }
    }

    pub(super) fn turn(&mut self, rseq: u32) -> Turn {
        if self
            .rseq
            .is_some_and(|last| last.checked_add(1) != Some(rseq))
        {
            return Turn::Other;
        }
        self.rseq = Some(rseq);
        Turn::Next
    }
}
