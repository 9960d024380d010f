//! The model SIP peer: a trunk with a few parties, that answers requests and sends its own.

use super::stage::Stage;
use crate::sip::Message;

mod answering;
mod asking;

/// The peer.
#[derive(Debug, Default)]
pub(super) struct Peer {
    answering: answering::Answering,
    asking: asking::Asking,
}

impl Peer {
    /// A datagram arrives.
    pub(super) fn handle(&mut self, bytes: &[u8], stage: &mut Stage) {
        let message = Message::from_datagram(bytes);
        if message.reparse().is_err() {
            stage
                .ledger
                .accuse(format!("a second parser does not read {message}"));
        }
        match message.status() {
            Some(status) => self.asking.handle_response(&message, status, stage),
            None => self.answering.handle_request(&message, stage),
        }
    }

    /// A party writes the message with this number.
    pub(super) fn write(&mut self, number: u32, stage: &mut Stage) {
        self.asking.write(number, stage);
    }

    /// The timer of an open request is due.
    pub(super) fn handle_timer(&mut self, number: u32, stage: &mut Stage) {
        self.asking.handle_timer(number, stage);
    }
}
