//! What a leg says: stanzas to the user, facts to SIP.

use super::leg::{Leg, Output, State};
use super::{Calls, RINGBACK, Wait, translate};
use crate::caps;
use crate::context::Context;
use crate::disco::Entity;
use crate::jingle::info::Info;
use crate::jingle::propose::{Ended, Message, Word, stanza_id};
use crate::jingle::reason::Reason;
use crate::jingle::{Action, Content, Jingle, Party};
use crate::stanza::{set, stanza, text_element};
use crate::xml;
use jid::Jid;
use minidom::Element;
use std::time::Duration;
use tandem_shared::address::Mapping;
use tandem_shared::call::{Describe, End, EndReason, Fact, Ready, Role};

/// How long a device may take to say that it has our `session-initiate`.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(10);

/// The stanza by which `output` tells the user that the call `sid` is over; nothing for others.
pub(super) fn closer(
    output: Output,
    sid: &str,
    (contact, user): (&Jid, &Jid),
    end: &End,
    context: &mut Context,
) -> Option<Element> {
    let ended = || Ended::new(Reason::from_end(end));
    let (word, to) = match output {
        Output::SayReject => (Word::Reject(ended()), user.clone()),
        // All devices rang.
        Output::SayRetract => (Word::Retract(ended()), Jid::from(user.to_bare())),
        Output::SayFinish => (Word::Finish(ended()), user.clone()),
        Output::SayTerminate => {
            let reason = Reason::from_end(end);
            return Some(terminate(sid, (contact, user), reason, context));
        }
        Output::SayPropose
        | Output::SayRinging
        | Output::SayProceed
        | Output::SayInitiate
        | Output::SayAccept
        | Output::PublishRinging
        | Output::PublishReady
        | Output::PublishDescription
        | Output::PublishEnd => return None,
    };
    Some(message(sid, word).write(contact, &to))
}

/// A `session-terminate`.
pub(super) fn terminate(
    sid: &str,
    (contact, user): (&Jid, &Jid),
    reason: Reason,
    context: &mut Context,
) -> Element {
    let mut jingle = Jingle::new(Action::SessionTerminate, sid);
    jingle.reason = Some(reason);
    let id = context.mint.token();
    iq(&id, (contact, user), jingle.write(None, None))
}

/// What is said about the call `sid`.
pub(super) fn message(sid: &str, word: Word) -> Message {
    let id = sid.to_owned();
    Message { id, word }
}

/// Words for a person, as an ordinary message from the contact.
pub(super) fn words(contact: &Jid, user: &Jid, text: &str, context: &mut Context) {
    let mut message = stanza("message", &contact.to_bare().into(), user);
    set(&mut message, "type", "chat");
    set(&mut message, "id", &context.mint.token());
    message.append_child(text_element("body", xml::COMPONENT, text));
    context.send(message);
}

fn iq(id: &str, (from, to): (&Jid, &Jid), payload: Element) -> Element {
    let mut iq = stanza("iq", from, to);
    set(&mut iq, "type", "set");
    set(&mut iq, "id", id);
    iq.append_child(payload);
    iq
}

impl Calls {
    /// Says `output`, which closes nothing.
    pub(super) fn say(&mut self, leg: &mut Leg, output: Output, end: &End, context: &mut Context) {
        match output {
            Output::SayPropose => self.propose(leg, context),
            Output::SayRinging => ring(leg, context),
            Output::SayProceed => {
                show_to_stranger(leg, context);
                tell(leg, Word::Proceed, context);
            }
            Output::SayInitiate => {
                let at = context.now + ACKNOWLEDGED_WITHIN;
                self.timers.set((leg.call.clone(), Wait::Acknowledged), at);
                describe(leg, Action::SessionInitiate, context);
            }
            Output::SayAccept => {
                describe(leg, Action::SessionAccept, context);
                let refused = leg.ours.as_ref().map(translate::refused);
                if let Some(refused) = refused.filter(|refused| !refused.is_empty()) {
                    send_contents(leg, Action::ContentReject, refused, context);
                }
            }
            Output::PublishRinging => {
                if !std::mem::replace(&mut leg.rung, true) {
                    self.publish(leg, Fact::Ringing);
                }
            }
            Output::PublishReady => self.publish_ready(leg, context.mapping),
            Output::PublishDescription => {
                let role = match leg.state.is_active() {
                    true => Role::Answer,
                    false => Role::Offer,
                };
                let description = leg.theirs.clone().unwrap_or_default();
                self.publish(
                    leg,
                    Fact::Describe(Box::new(Describe { role, description })),
                );
            }
            Output::PublishEnd => self.publish(leg, Fact::End(end.clone())),
            Output::SayReject | Output::SayRetract | Output::SayFinish | Output::SayTerminate => {}
        }
    }

    fn propose(&mut self, leg: &mut Leg, context: &mut Context) {
        // Who does not see the contact's presence learns from this that it may trust the call.
        show(leg, Jid::from(leg.user.to_bare()), context);
        let word = Word::Propose(leg.media.clone());
        let mut propose = message(&leg.sid, word).write(&leg.contact, &leg.user);
        // Older clients never say that they ring, but that they have the message.
        propose.append_child(Element::bare("request", xml::RECEIPTS));
        add_name(leg, &mut propose);
        context.send(propose);
        leg.since = context.now;
        let ringback = (leg.call.clone(), Wait::Ringback);
        self.timers.set(ringback, context.now + RINGBACK);
    }

    fn publish_ready(&mut self, leg: &Leg, mapping: &Mapping) {
        let answered = leg.state == State::Taken(super::devices::Way::Proposed);
        let device = mapping.user_from_jid(&leg.user).ok();
        self.publish(leg, Fact::Ready(Ready { answered, device }));
    }
}

/// Shows the contact, and what it can do, to `whom` (XEP-0353 §3.1).
fn show(leg: &mut Leg, whom: Jid, context: &mut Context) {
    let mut presence = stanza("presence", &leg.contact, &whom);
    presence.append_child(caps::element(Entity::Device));
    add_name(leg, &mut presence);
    context.send(presence);
    if !context.pairs.sees(&whom, &leg.contact) {
        leg.shown = Some(whom);
    }
}

/// Adds the name the caller goes by, which clients show beside the number (XEP-0172 §4.2).
fn add_name(leg: &Leg, stanza: &mut Element) {
    if let Some(name) = &leg.name {
        stanza.append_child(text_element("nick", xml::NICK, name));
    }
}

/// Shows the contact once to a calling user who does not see it: clients look for what the device they
/// call can do before they go on (XEP-0353 §3.4).
fn show_to_stranger(leg: &mut Leg, context: &mut Context) {
    if leg.shown.is_none() && !context.pairs.sees(&leg.user, &leg.contact) {
        show(leg, leg.user.clone(), context);
    }
}

/// What takes the contact away again from whoever it was shown to for the call of `leg`.
pub(super) fn hide(leg: &Leg, context: &Context) -> Option<Element> {
    let whom = leg.shown.as_ref()?;
    if context.pairs.sees(whom, &leg.contact) {
        return None;
    }
    let mut presence = stanza("presence", &leg.contact, whom);
    set(&mut presence, "type", "unavailable");
    Some(presence)
}

fn tell(leg: &Leg, word: Word, context: &mut Context) {
    context.send(message(&leg.sid, word).write(&leg.contact, &leg.user));
}

/// Tells the calling user once that it rings, in the way it called.
fn ring(leg: &mut Leg, context: &mut Context) {
    if std::mem::replace(&mut leg.rung, true) {
        return;
    }
    if leg.state.has_session() {
        inform(leg, Info::Ringing, context);
        return;
    }
    show_to_stranger(leg, context);
    tell(leg, Word::Ringing, context);
    if let Some(id) = &leg.receipt {
        let mut received = Element::bare("received", xml::RECEIPTS);
        set(&mut received, "id", id);
        let mut receipt = stanza("message", &leg.contact, &leg.user);
        set(&mut receipt, "type", "chat");
        set(&mut receipt, "id", &context.mint.token());
        receipt.append_child(received);
        receipt.append_child(Element::bare("store", xml::HINTS));
        context.send(receipt);
    }
}

/// Sends our side of the media as the whole of `action`.
fn describe(leg: &mut Leg, action: Action, context: &mut Context) {
    let mut jingle = Jingle::new(action, &leg.sid);
    if let Some(ours) = &leg.ours {
        jingle.contents = translate::contents(ours, leg.role);
        jingle.bundle.clone_from(&ours.bundle);
    }
    let contact = leg.contact.as_str();
    let (initiator, responder) = match leg.role {
        Party::Initiator => (Some(contact), None),
        Party::Responder => (None, Some(contact)),
    };
    let payload = jingle.write(initiator, responder);
    let id = stanza_id("session", &leg.call.0);
    context.send(iq(&id, (&leg.contact, &leg.user), payload));
}

/// Sends a `session-info`.
pub(super) fn inform(leg: &mut Leg, info: Info, context: &mut Context) {
    let mut jingle = Jingle::new(Action::SessionInfo, &leg.sid);
    jingle.info = info;
    request(leg, &jingle, context);
}

/// Sends `contents` as `action`.
pub(super) fn send_contents(
    leg: &mut Leg,
    action: Action,
    contents: Vec<Content>,
    context: &mut Context,
) {
    let mut jingle = Jingle::new(action, &leg.sid);
    jingle.contents = contents;
    if action == Action::ContentReject {
        jingle.reason = Some(Reason::new("unsupported-applications"));
    }
    request(leg, &jingle, context);
}

fn request(leg: &mut Leg, jingle: &Jingle, context: &mut Context) {
    leg.asked = leg.asked.wrapping_add(1);
    let id = stanza_id(&leg.asked.to_string(), &leg.call.0);
    let payload = jingle.write(None, None);
    context.send(iq(&id, (&leg.contact, &leg.user), payload));
}

/// Whether a person is told more than the reason a client shows.
pub(super) fn deserves_words(end: &End) -> bool {
    matches!(end.reason, EndReason::Forbidden | EndReason::Emergency)
}
