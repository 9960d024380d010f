//! What SIP says about calls.

use super::leg::{Change, Input, Leg, State};
use super::{Calls, OpenKey, Wait, contact_at, speak, translate};
use crate::context::Context;
use crate::jingle::info::Info;
use crate::jingle::{Action, Content, Party, Senders};
use tandem_shared::call::{CallEvent, CallId, Describe, End, EndReason, Fact, Offer, Role};
use tandem_shared::media::{Description, Media, Trickle};
use tandem_shared::pii::Pii;

/// The longest id of a call, in bytes; it becomes the id of a session.
const ID_MAX: usize = 64;

impl Calls {
    /// SIP told a fact.
    pub fn handle_event(&mut self, event: CallEvent, context: &mut Context) {
        let CallEvent { call, fact } = event;
        if let Fact::Offer(offer) = fact {
            self.handle_offer(call, &offer, context);
            return;
        }
        let Some(mut leg) = self.legs.remove(&call) else {
            // Whoever still speaks about a call that is over has not heard so.
            if !matches!(fact, Fact::End(_) | Fact::Unknown) {
                self.publish_about(call, Fact::End(End::new(EndReason::Failed)));
            }
            return;
        };
        let nothing = End::new(EndReason::Unknown);
        match fact {
            Fact::Ringing => self.step(leg, Input::FarRinging, &nothing, context),
            Fact::Ready(_) => self.step(leg, Input::FarReady, &nothing, context),
            Fact::Describe(describe) => self.handle_describe(leg, *describe, context),
            Fact::Trickle(trickle) => {
                self.handle_trickle(&mut leg, &trickle, context);
                self.legs.insert(call, leg);
            }
            Fact::Hold(held) => {
                if leg.state.is_active() {
                    let info = if held { Info::Hold } else { Info::Unhold };
                    speak::inform(&mut leg, info, context);
                }
                self.legs.insert(call, leg);
            }
            Fact::End(end) => {
                self.explain(&leg, &end, context);
                leg.over = Some(end.clone());
                self.step(leg, Input::FarEnd, &end, context);
            }
            // Keys are heard in the media.
            Fact::Dtmf(_) | Fact::Offer(_) | Fact::Unknown => {
                self.legs.insert(call, leg);
            }
        }
    }

    fn handle_offer(&mut self, call: CallId, offer: &Offer, context: &mut Context) {
        if self.legs.contains_key(&call) {
            return;
        }
        match self.invite(&call, offer, context) {
            Ok(leg) => {
                tracing::info!(%call, from = %Pii(&leg.contact), to = %Pii(&leg.user), "SIP calls a user");
                self.open(leg, context);
                self.choose(&call, context);
            }
            Err(end) => self.publish_about(call, Fact::End(end)),
        }
    }

    /// A leg for `offer`, or why there is none.
    fn invite(&mut self, call: &CallId, offer: &Offer, context: &Context) -> Result<Leg, End> {
        let nobody = |_| End::new(EndReason::NotFound);
        let usable = (1..=ID_MAX).contains(&call.0.len())
            && call
                .0
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let contact = context.mapping.contact_to_jid(&offer.from.account());
        let contact = contact
            .ok()
            .as_ref()
            .and_then(contact_at)
            .filter(|_| usable);
        let contact = contact.ok_or_else(|| End::new(EndReason::BadRequest))?;
        let user = context.mapping.user_to_jid(&offer.to).map_err(nobody)?;
        let domain = user.domain().as_str();
        if !self.allowed.iter().any(|allowed| allowed == domain) {
            return Err(End::new(EndReason::NotFound));
        }
        if !offer.media.contains(&Media::Audio) {
            return Err(End::new(EndReason::UnsupportedMedia));
        }
        if context.confirm.is_none() {
            let end = End::new(EndReason::Unreachable);
            return Err(end.with_text("The XMPP server cannot be reached."));
        }
        let many = self.of_user(&user.to_bare()).count() >= self.section.per_user;
        if many || self.keys.contains_key(&OpenKey::new(&user, &call.0)) {
            return Err(End::new(EndReason::Busy));
        }
        self.admit(&user.to_bare(), context)?;
        let ids = (call.clone(), call.0.clone());
        let sides = (contact, user);
        let mut leg = Leg::new(ids, (State::Choosing, Party::Initiator), sides, context.now);
        // Clients end a call whose session carries something else than was proposed.
        leg.media = vec![Media::Audio];
        leg.name.clone_from(&offer.name);
        Ok(leg)
    }

    fn handle_describe(&mut self, mut leg: Leg, describe: Describe, context: &mut Context) {
        let Describe {
            role,
            mut description,
        } = describe;
        if let Some(theirs) = &leg.theirs {
            description = translate::settled(description, theirs);
        }
        let nothing = End::new(EndReason::Unknown);
        match (role, leg.state) {
            (Role::Offer, State::Taken(_)) => {
                leg.ours = Some(description);
                self.step(leg, Input::FarOffer, &nothing, context);
                return;
            }
            (Role::Offer, State::Active(_)) if leg.change.is_none() => {
                self.handle_reoffer(&mut leg, description, context);
            }
            (Role::Offer, _) => self.refuse(&leg),
            (Role::Answer, State::Offered(_)) => {
                leg.ours = Some(description);
                self.step(leg, Input::FarAnswer, &nothing, context);
                return;
            }
            (Role::Answer, State::Active(_)) => {
                if leg.change == Some(Change::Restart) {
                    let contents = description.streams.iter().filter(|stream| !stream.rejected);
                    let contents = contents.map(translate::transport_of).collect();
                    speak::send_contents(&mut leg, Action::TransportInfo, contents, context);
                }
                leg.ours = Some(description);
                self.change_done(&mut leg, context);
            }
            (Role::Refusal, State::Offered(_)) => {
                let end = End::new(EndReason::UnsupportedMedia);
                self.step(leg, Input::Fail, &end, context);
                return;
            }
            (Role::Refusal, State::Active(_)) => {
                if leg.change == Some(Change::Senders) {
                    self.take_back_senders(&mut leg, context);
                }
                self.change_done(&mut leg, context);
            }
            (Role::Answer | Role::Refusal, _) => {}
        }
        self.legs.insert(leg.call.clone(), leg);
    }

    /// SIP wants a change. Jingle can say who sends; for all else there is no word that clients
    /// know.
    fn handle_reoffer(&mut self, leg: &mut Leg, wanted: Description, context: &mut Context) {
        let (Some(ours), Some(theirs)) = (&leg.ours, &mut leg.theirs) else {
            self.refuse(leg);
            return;
        };
        let mut same = wanted.clone();
        let mut contents = Vec::new();
        for (stream, now) in same.streams.iter_mut().zip(&ours.streams) {
            if stream.direction != now.direction {
                let mut content = Content::named(&stream.mid, Party::Initiator);
                content.senders = Some(Senders::of(stream.direction, leg.role));
                contents.push(content);
                stream.direction = now.direction;
            }
        }
        if same != *ours {
            self.refuse(leg);
            return;
        }
        for (stream, wanted) in theirs.streams.iter_mut().zip(&wanted.streams) {
            stream.direction = wanted.direction.reversed();
        }
        let answer = Describe {
            role: Role::Answer,
            description: theirs.clone(),
        };
        leg.ours = Some(wanted);
        if !contents.is_empty() {
            speak::send_contents(leg, Action::ContentModify, contents, context);
        }
        self.publish(leg, Fact::Describe(Box::new(answer)));
    }

    fn refuse(&mut self, leg: &Leg) {
        let refusal = Describe {
            role: Role::Refusal,
            description: Description::default(),
        };
        self.publish(leg, Fact::Describe(Box::new(refusal)));
    }

    fn handle_trickle(&mut self, leg: &mut Leg, trickle: &Trickle, context: &mut Context) {
        // There is no word for the end of candidates that every client knows.
        if !leg.state.has_session() || trickle.candidates.is_empty() {
            return;
        }
        let mut streams = leg.ours.iter().flat_map(|ours| &ours.streams);
        let mut sounding = streams.clone().filter(|stream| translate::sounds(stream));
        // All our streams have one transport; nothing more is said about a content that was declined.
        let named = streams.find(|stream| stream.mid == trickle.mid && translate::sounds(stream));
        let stream = named.or_else(|| sounding.next());
        let mut trickle = trickle.clone();
        if let Some(stream) = stream {
            trickle.mid.clone_from(&stream.mid);
        }
        let current = stream.and_then(|stream| stream.transport.ice.as_ref());
        let content = translate::trickled(&trickle, current);
        speak::send_contents(leg, Action::TransportInfo, vec![content], context);
    }

    /// A change of the user's is to be told to SIP, now or after the one that is being answered.
    pub(super) fn tell_change(&mut self, leg: &mut Leg, change: Change, context: &Context) {
        if leg.change.is_some() {
            // New credentials need an answer of their own; new senders are in any description.
            let restarts = leg.next_change == Some(Change::Restart);
            leg.next_change = Some(if restarts { Change::Restart } else { change });
            return;
        }
        leg.change = Some(change);
        let description = leg.theirs.clone().unwrap_or_default();
        let role = Role::Offer;
        self.publish(
            leg,
            Fact::Describe(Box::new(Describe { role, description })),
        );
        let at = context.now + super::OFFERED_WITHIN;
        self.timers.set((leg.call.clone(), Wait::Change), at);
    }

    fn change_done(&mut self, leg: &mut Leg, context: &Context) {
        leg.change = None;
        self.timers.cancel(&(leg.call.clone(), Wait::Change));
        if let Some(change) = leg.next_change.take() {
            self.tell_change(leg, change, context);
        }
    }

    /// SIP does not take the senders the user wants: those that hold are said again.
    fn take_back_senders(&mut self, leg: &mut Leg, context: &mut Context) {
        let (Some(ours), Some(theirs)) = (&leg.ours, &mut leg.theirs) else {
            return;
        };
        let mut contents = Vec::new();
        let pairs = theirs.streams.iter_mut().zip(&ours.streams);
        for (stream, holds) in pairs.filter(|(_, holds)| !holds.rejected) {
            stream.direction = holds.direction.reversed();
            let mut content = Content::named(&stream.mid, Party::Initiator);
            content.senders = Some(Senders::of(holds.direction, leg.role));
            contents.push(content);
        }
        speak::send_contents(leg, Action::ContentModify, contents, context);
    }

    /// Tells a caller in words why a call is not allowed: clients show no text of a reason.
    fn explain(&mut self, leg: &Leg, end: &End, context: &mut Context) {
        let begins = leg.role == Party::Responder && !leg.state.is_active();
        if !begins || !speak::deserves_words(end) {
            return;
        }
        let user = leg.user.to_bare();
        if self.told.get(&user, context.now).is_some() {
            return;
        }
        self.told.insert(user, (), context.now);
        let reason = crate::jingle::reason::Reason::from_end(end);
        if let Some(text) = reason.text {
            speak::words(&leg.contact, &leg.user, &text, context);
        }
    }
}
