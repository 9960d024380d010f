//! Which feature a stanza is for.

use super::Core;
use crate::action::{Action, Key, Record};
use crate::call;
use crate::confirm::Written;
use crate::jingle::propose;
use crate::stanza::Frame;
use crate::xml;
use minidom::Element;
use tandem_shared::pii::Pii;
use tandem_shared::refusal::{Reason, Refusal};

impl Core {
    pub(super) fn handle_message(&mut self, frame: &Frame, stanza: &Element) {
        if frame.form == "error" {
            let (calls, mut context) = self.calls();
            if !calls.handle_bounce(frame, stanza, &mut context) {
                let (messages, mut context) = self.messages();
                messages.handle_bounce(frame, stanza, &mut context);
            }
            return;
        }
        // The server itself speaks to us too, unasked (ejabberd's privileges, XEP-0356).
        if frame.from.node().is_none() {
            return;
        }
        let taken = self
            .check_sender(frame)
            .and_then(|()| self.take_message(frame, stanza));
        if let Err(refusal) = taken {
            self.refuse(frame, &refusal);
        }
    }

    fn take_message(&mut self, frame: &Frame, stanza: &Element) -> Result<(), Refusal> {
        if let Some(said) = propose::Message::read(stanza) {
            let (calls, mut context) = self.calls();
            return calls.handle_message(frame, said, stanza, &mut context);
        }
        let receipt = stanza.get_child("received", xml::RECEIPTS);
        if let Some(id) = receipt.and_then(|received| received.attr("id")) {
            let (calls, mut context) = self.calls();
            calls.handle_receipt(frame, id, &mut context);
        }
        let (messages, mut context) = self.messages();
        messages.handle_stanza(frame, stanza, &mut context)
    }

    pub(super) fn handle_presence(&mut self, frame: &Frame, stanza: &Element) {
        if self.check_sender(frame).is_err() {
            return;
        }
        let (calls, mut context) = self.calls();
        calls.handle_presence(frame, stanza, &mut context);
        let answer = self.pairs.handle(frame, &self.config.mapping);
        if let Some(pair) = answer.store {
            self.actions.push_back(Action::Store(Record::Pair(pair)));
        }
        if let Some(pair) = answer.forget {
            self.actions.push_back(Action::Forget(Key::Pair(pair)));
        }
        let send = |presence| Action::Send(Box::new(presence));
        self.actions.extend(answer.send.into_iter().map(send));
    }

    pub(super) fn handle_iq(&mut self, frame: &Frame, stanza: &Element) {
        match frame.form.as_str() {
            "result" | "error" => {
                let id = frame.id.as_deref().unwrap_or_default();
                for written in self.confirm.handle_answer(&frame.from, id) {
                    self.handle_confirmed(written);
                }
                let (calls, mut context) = self.calls();
                calls.handle_answer(frame, stanza, &mut context);
            }
            "get" | "set" => self.handle_question(frame, stanza),
            _ => self.unusable += 1,
        }
    }

    fn handle_question(&mut self, frame: &Frame, stanza: &Element) {
        let jingle = stanza.get_child("jingle", xml::JINGLE);
        if let Some(jingle) = jingle.filter(|_| is_request(frame) && call::is_callable(frame)) {
            if let Err(refusal) = self.check_sender(frame) {
                self.refuse(frame, &refusal);
                return;
            }
            let (calls, mut context) = self.calls();
            calls.handle_jingle(frame, jingle, &mut context);
            return;
        }
        match self.answers.answer(frame, stanza, self.now) {
            Ok(None) => self.send(frame.result()),
            Ok(Some(payload)) => self.send(frame.result_with(payload)),
            Err(refusal) => self.refuse(frame, &refusal),
        }
    }

    fn handle_confirmed(&mut self, written: Written) {
        if let Written::Call(key) = written {
            let (calls, mut context) = self.calls();
            calls.handle_confirmed(key, &mut context);
        } else {
            let (messages, mut context) = self.messages();
            messages.handle_confirmed(written, &mut context);
        }
    }

    /// Only users of the allowed domains may use the gateway.
    fn check_sender(&self, frame: &Frame) -> Result<(), Refusal> {
        if self.config.allows(frame.from.domain().as_str()) {
            return Ok(());
        }
        tracing::info!(from = %Pii(&frame.from), "a stranger was turned away");
        Err(Refusal::new(Reason::Forbidden).with_text("This gateway does not serve your domain."))
    }
}

/// Whether `frame` asks for something to be done, in a way that can be answered.
fn is_request(frame: &Frame) -> bool {
    frame.form == "set" && frame.id.is_some()
}
