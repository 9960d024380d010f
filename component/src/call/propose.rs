//! What users say about calls by messages (XEP-0353 §3).

use super::devices::Way;
use super::leg::{Input, Leg, Output, State};
use super::past::{Past, Used};
use super::{Calls, MOVED_WITHIN, OpenKey, Wait, contact_at, speak};
use crate::context::Context;
use crate::jingle::Party;
use crate::jingle::propose::{Ended, Message, Word, of_stanza_id};
use crate::jingle::reason::Reason;
use crate::refusal::from_xmpp;
use crate::stanza::Frame;
use crate::xml;
use jid::Jid;
use minidom::Element;
use std::time::{Duration, Instant};
use tandem_shared::call::{CallId, End, EndReason, Fact, Offer};
use tandem_shared::media::Media;
use tandem_shared::message;
use tandem_shared::pii::Pii;
use tandem_shared::refusal::{Reason as Cause, Refusal};

/// Conversations rejects by itself after ringing for half a minute: what comes then is nobody's
/// decision (specs 6.9).
const UNATTENDED: std::ops::RangeInclusive<u64> = 29_000..=32_000;

impl Calls {
    /// A user says something about a call.
    ///
    /// # Errors
    /// The refusal to answer with.
    pub fn handle_message(
        &mut self,
        frame: &Frame,
        said: Message,
        stanza: &Element,
        context: &mut Context,
    ) -> Result<(), Refusal> {
        let key = OpenKey::new(&frame.from, &said.id);
        if let Word::Propose(media) = said.word {
            let receipt = stanza.has_child("request", xml::RECEIPTS);
            let receipt = frame.id.clone().filter(|_| receipt);
            return self.handle_propose(frame, key, media, receipt, context);
        }
        let Some(leg) = self.find(&key) else {
            tracing::debug!(id = said.id, "something was said about a call that is over");
            return Ok(());
        };
        let Some((input, end)) = heard(leg, frame, &said.word, context.now) else {
            return Ok(());
        };
        let Some(mut leg) = self.take(&key) else {
            return Ok(());
        };
        if let Word::Finish(Ended {
            migrated: Some(to), ..
        }) = &said.word
        {
            self.await_move(leg, to, context);
            return Ok(());
        }
        if input == Input::Proceed && matches!(leg.state, State::Proposing | State::Rung) {
            leg.user = frame.from.clone();
        }
        self.step(leg, input, &end, context);
        Ok(())
    }

    /// A device says that it has the message `id` (XEP-0184 §7).
    pub fn handle_receipt(&mut self, frame: &Frame, id: &str, context: &mut Context) {
        if let Some(("propose", sid)) = of_stanza_id(id) {
            self.input(&OpenKey::new(&frame.from, sid), Input::Ringing, context);
        }
    }

    /// An error came for a message; true when it was one of ours about a call.
    pub fn handle_bounce(
        &mut self,
        frame: &Frame,
        stanza: &Element,
        context: &mut Context,
    ) -> bool {
        let id = frame.id.as_deref().unwrap_or_default();
        let Some((word, sid)) = of_stanza_id(id) else {
            return false;
        };
        let key = OpenKey::new(&frame.from, sid);
        let reason = match (word, self.find(&key).map(|leg| leg.state)) {
            // A device that does not want a proposal says nothing about the others.
            ("propose", Some(State::Proposing | State::Rung))
                if frame.from.resource().is_none() =>
            {
                unreached(from_xmpp(stanza, &frame.from, context.mapping).reason)
            }
            ("proceed", Some(State::Proceeded)) => EndReason::Cancelled,
            _ => return false,
        };
        if let Some(leg) = self.take(&key) {
            self.step(leg, Input::Bounce, &End::new(reason), context);
        }
        true
    }

    fn handle_propose(
        &mut self,
        frame: &Frame,
        key: OpenKey,
        media: Vec<Media>,
        receipt: Option<String>,
        context: &mut Context,
    ) -> Result<(), Refusal> {
        let to = context.mapping.contact_from_jid(&frame.to)?.account();
        let from = context.mapping.user_from_jid(&frame.from)?;
        let (Some(contact), Some(_)) = (contact_at(&frame.to), frame.from.resource()) else {
            return Err(Refusal::new(Cause::BadRequest).with_text("A call needs a device."));
        };
        let known = self
            .find(&key)
            .is_some_and(|leg| !is_crossed(leg, &contact));
        if known || self.past.has_call(&key, context.now) {
            tracing::debug!(id = key.sid, "a proposal came again");
            return Ok(());
        }
        let reject = |past: &mut Past, end: &End, context: &mut Context| {
            let ends = (&contact, &frame.from);
            let stanza = speak::closer(Output::SayReject, &key.sid, ends, end, context);
            stanza.into_iter().for_each(|stanza| context.send(stanza));
            past.remember(key.clone(), &frame.from, Used::Proposal, context.now);
        };
        if !media.contains(&Media::Audio) {
            let end = End::new(EndReason::UnsupportedMedia);
            reject(&mut self.past, &end, context);
            return Ok(());
        }
        if self.lose_tie(&key, (&contact, &frame.from), context) {
            let (key, user) = (key.clone(), &frame.from);
            self.past.remember(key, user, Used::Proposal, context.now);
            return Ok(());
        }
        if let Some(old) = self.take_active(&frame.from, &contact) {
            self.migrate(old, key, (contact, frame.from.clone()), context);
            return Ok(());
        }
        if let Err(end) = self.admit(&key.user, context) {
            reject(&mut self.past, &end, context);
            return Ok(());
        }
        let call = CallId::mint(context.mint);
        tracing::info!(%call, from = %Pii(&frame.from), to = %Pii(&frame.to), "a user calls");
        let sides = (contact, frame.from.clone());
        let ids = (call, key.sid.clone());
        let mut leg = Leg::new(ids, (State::Proposed, Party::Responder), sides, context.now);
        leg.receipt = receipt;
        let offer = Offer {
            from,
            to,
            name: None,
            media,
            description: None,
            hops: message::Message::HOPS,
        };
        self.publish(&leg, Fact::Offer(Box::new(offer)));
        self.open(leg, context);
        Ok(())
    }

    /// Both call each other at once: the lower id wins, and of equal ones that of the lower JID
    /// (XEP-0353 §4.1). True when the user's loses; a call of ours that loses is given up.
    fn lose_tie(
        &mut self,
        key: &OpenKey,
        (contact, user): (&Jid, &Jid),
        context: &mut Context,
    ) -> bool {
        let crossing = |leg: &&Leg| is_crossed(leg, contact);
        let same = self.find(key).filter(crossing);
        let Some(ours) = same.or_else(|| self.of_user(&key.user).find(crossing)) else {
            return false;
        };
        let (sid, silent) = (ours.sid.clone(), ours.state == State::Choosing);
        let give_way = |word, to: &Jid| speak::message(&key.sid, word).write(contact, to);
        if goes_before((&sid, contact), key) && !silent {
            context.send(give_way(Word::Reject(Ended::by_tie_break()), user));
            return true;
        }
        let ours = OpenKey::new(user, &sid);
        if let Some(leg) = self.take(&ours) {
            self.publish(&leg, Fact::End(End::new(EndReason::Replaced)));
            let everyone = Jid::from(user.to_bare());
            let word = Word::Retract(Ended::by_tie_break());
            let retract = speak::message(&sid, word).write(contact, &everyone);
            let closing = if silent { Vec::new() } else { vec![retract] };
            self.remove(leg, closing, context);
        }
        false
    }

    /// The user goes on with a call on another device, or on the same one after it had lost the
    /// first (XEP-0353 §4.2): the new session takes the old one's place and SIP hears a new offer.
    fn migrate(&mut self, old: Leg, key: OpenKey, sides: (Jid, Jid), context: &mut Context) {
        tracing::info!(call = %old.call, "a user goes on with a call in a new session");
        let ids = (old.call.clone(), key.sid.clone());
        let mut leg = Leg::new(ids, (State::Proposed, Party::Responder), sides, context.now);
        leg.media.clone_from(&old.media);
        let end = End::new(EndReason::Success);
        let ends = (&old.contact, &old.user);
        let terminate = speak::terminate(&old.sid, ends, Reason::from_end(&end), context);
        let mut ended = Ended::new(Reason::new("expired"));
        ended.migrated = Some(key.sid);
        let finish = speak::message(&old.sid, Word::Finish(ended)).write(&old.contact, &old.user);
        self.remove(old, vec![terminate, finish], context);
        let new = leg.sid.clone();
        let user = leg.user.clone();
        self.open(leg, context);
        self.input(&OpenKey::new(&user, &new), Input::FarReady, context);
    }

    /// The user says that the call of `leg` goes on in the session `to`, which is what the responder of
    /// that session says of the old one (XEP-0353 §4.2). Where it is a call of its own already,
    /// this one is replaced by it; else it waits for it.
    fn await_move(&mut self, mut leg: Leg, to: &str, context: &mut Context) {
        let is_there = self.keys.contains_key(&OpenKey::new(&leg.user, to));
        if is_there || leg.state != State::Active(Way::Proposed) {
            let end = End::new(EndReason::Replaced);
            self.step(leg, Input::Finish, &end, context);
            return;
        }
        leg.moves = true;
        let wait = (leg.call.clone(), Wait::Move);
        self.timers.set(wait, context.now + MOVED_WITHIN);
        self.legs.insert(leg.call.clone(), leg);
    }

    fn take_active(&mut self, user: &Jid, contact: &Jid) -> Option<Leg> {
        let goes_on = |leg: &&Leg| {
            matches!(leg.state, State::Active(Way::Proposed))
                && leg.contact.to_bare() == contact.to_bare()
        };
        let user = user.to_bare();
        let sid = self.of_user(&user).find(goes_on)?.sid.clone();
        self.take(&OpenKey { user, sid })
    }
}

/// Whether a proposal of the user's to `contact` crosses the call that `leg` is of.
fn is_crossed(leg: &Leg, contact: &Jid) -> bool {
    let proposed = matches!(leg.state, State::Choosing | State::Proposing | State::Rung);
    proposed && leg.contact == *contact
}

/// Whether our call, of `sid` and from `contact`, wins over that of `theirs`.
pub(super) fn goes_before((sid, contact): (&str, &Jid), theirs: &OpenKey) -> bool {
    // Which device a call comes from is not known on both sides.
    (sid, contact.to_bare().as_str()) < (&*theirs.sid, theirs.user.as_str())
}

/// What `word` means to `leg`, if its sender may say it.
fn heard(leg: &Leg, frame: &Frame, word: &Word, now: Instant) -> Option<(Input, End)> {
    let same = frame.from == leg.user;
    let to_us = frame.to == leg.contact || frame.to == leg.contact.to_bare();
    // Until one of them takes the call, any device of the called user may speak.
    let waiting = matches!(leg.state, State::Proposing | State::Rung);
    if !to_us || !(same || waiting) {
        return None;
    }
    let over = |ended: &Ended, input: Input, without: EndReason| {
        let reason = match ended.tie_break {
            true => EndReason::Replaced,
            false => leg.ended_by_user(ended.reason.as_ref(), without),
        };
        (input, End::new(reason))
    };
    let nothing = End::new(EndReason::Unknown);
    Some(match word {
        Word::Propose(_) | Word::Accept => return None,
        Word::Ringing => (Input::Ringing, nothing),
        Word::Proceed if frame.from.resource().is_none() => return None,
        Word::Proceed => (Input::Proceed, nothing),
        Word::Reject(ended) => {
            let after = now.saturating_duration_since(leg.since);
            let without = match is_unattended(after) {
                true => EndReason::NoAnswer,
                false => EndReason::Busy,
            };
            over(ended, Input::Reject, without)
        }
        Word::Retract(ended) if leg.role == Party::Responder => {
            over(ended, Input::Retract, EndReason::Cancelled)
        }
        Word::Retract(_) => return None,
        Word::Finish(ended) => over(ended, Input::Finish, EndReason::Success),
    })
}

fn is_unattended(after: Duration) -> bool {
    u64::try_from(after.as_millis()).is_ok_and(|after| UNATTENDED.contains(&after))
}

/// What it means to a caller that a proposal comes back with an error.
fn unreached(cause: Cause) -> EndReason {
    let nobody = matches!(
        cause,
        Cause::ItemNotFound | Cause::Gone | Cause::JidMalformed | Cause::RemoteServerNotFound
    );
    if nobody {
        EndReason::NotFound
    } else {
        EndReason::Unreachable
    }
}
