//! What a feature may use while it handles one input.

use crate::action::Action;
use crate::confirm::{Confirm, Written};
use crate::presence::Pairs;
use minidom::Element;
use std::collections::VecDeque;
use std::time::Instant;
use tandem_shared::address::Mapping;
use tandem_shared::mint::Mint;

/// Borrowed from the core for the time of one call.
#[derive(Debug)]
pub struct Context<'a> {
    /// Which JIDs stand for which SIP parties.
    pub mapping: &'a Mapping,
    /// Who sees which contact anyway.
    pub pairs: &'a Pairs,
    /// Where ids come from.
    pub mint: &'a mut Mint,
    /// What is known of the server's progress; absent while the stream is down.
    pub confirm: Option<&'a mut Confirm>,
    /// The time of the input.
    pub now: Instant,
    /// Where actions go.
    pub actions: &'a mut VecDeque<Action>,
}

impl Context<'_> {
    /// Has `stanza` written to the server.
    pub fn send(&mut self, stanza: Element) {
        self.actions.push_back(Action::Send(Box::new(stanza)));
    }

    /// Has `stanza` written and its arrival confirmed as `written`; false while the stream is down.
    pub fn send_confirmed(&mut self, stanza: Element, written: Written) -> bool {
        let Some(confirm) = self.confirm.as_deref_mut() else {
            return false;
        };
        confirm.add(written);
        self.actions.push_back(Action::Send(Box::new(stanza)));
        true
    }
}
