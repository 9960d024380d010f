//! What users say in sessions (XEP-0166 §7.2, XEP-0167 §8, XEP-0176 §5).
//!
//! Every request is acknowledged before anything is said because of it, or answered by an error.

use super::devices::Way;
use super::leg::{Input, Leg, State};
use super::past::Used;
use super::propose::goes_before;
use super::translate::{self, Fault};
use super::wrong::Wrong;
use super::{Calls, OpenKey, speak};
use crate::context::Context;
use crate::jingle::info::Info;
use crate::jingle::reason::Reason;
use crate::jingle::{Action, Content, Jingle, Party};
use crate::stanza::Frame;
use minidom::Element;
use tandem_shared::call::{CallId, End, EndReason, Fact, Offer};
use tandem_shared::message::Message;
use tandem_shared::pii::Pii;
use tandem_shared::refusal::{Reason as Cause, Refusal};

impl Calls {
    /// A user's `<jingle/>` request to a contact.
    pub fn handle_jingle(&mut self, frame: &Frame, element: &Element, context: &mut Context) {
        let read = Jingle::read(element).map_err(Wrong::from);
        let done = read.and_then(|jingle| self.handle_request(frame, &jingle, context));
        if let Err(wrong) = done {
            let answer = wrong.answer(frame, context);
            context.send(answer);
        }
    }

    fn handle_request(
        &mut self,
        frame: &Frame,
        jingle: &Jingle,
        context: &mut Context,
    ) -> Result<(), Wrong> {
        let key = OpenKey::new(&frame.from, &jingle.sid);
        let known = self.find(&key);
        if jingle.action == Action::SessionInitiate {
            return match known {
                None => self.begin(frame, &key, jingle, context),
                Some(leg) => {
                    let state = leg.state;
                    if !is_between(leg, frame) {
                        return Err(Wrong::UnknownSession);
                    }
                    if leg.initiated.is_some() && leg.initiated == frame.id {
                        // Sent again, not meant again.
                        context.send(frame.result());
                        return Ok(());
                    }
                    match state {
                        State::Proceeded | State::Lapsed => {
                            self.go_on(frame, &key, jingle, context);
                            Ok(())
                        }
                        State::Proposed => Err(Wrong::UnknownSession),
                        State::Taken(Way::Direct) | State::Initiated(Way::Direct) => {
                            self.begin(frame, &key, jingle, context)
                        }
                        State::Offered(_)
                        | State::Choosing
                        | State::Proposing
                        | State::Rung
                        | State::Taken(Way::Proposed)
                        | State::Initiated(Way::Proposed)
                        | State::Active(_)
                        | State::Ended => Err(Wrong::OutOfOrder),
                    }
                }
            };
        }
        let known = known.filter(|leg| leg.state.has_session() && is_between(leg, frame));
        let state = known.ok_or(Wrong::UnknownSession)?.state;
        check_order(jingle, state)?;
        let leg = self.take(&key).ok_or(Wrong::UnknownSession)?;
        context.send(frame.result());
        self.perform(leg, jingle, context);
        Ok(())
    }

    /// A session without a proposal before it.
    fn begin(
        &mut self,
        frame: &Frame,
        key: &OpenKey,
        jingle: &Jingle,
        context: &mut Context,
    ) -> Result<(), Wrong> {
        let to = context.mapping.contact_from_jid(&frame.to)?.account();
        let from = context.mapping.user_from_jid(&frame.from)?;
        match self.past.used_by(&frame.from, key, context.now) {
            Some(Used::Session) => {
                context.send(frame.result());
                return Ok(());
            }
            Some(Used::Proposal) => return Err(Wrong::UnknownSession),
            None => {}
        }
        self.lose_session_tie(key, frame, context)?;
        let description = match translate::offer(jingle, Party::Initiator) {
            Ok(description) => description,
            Err(fault) => {
                let reason = fault.condition().ok_or_else(|| malformed(fault))?;
                self.turn_down(frame, key, Reason::new(reason), context);
                return Ok(());
            }
        };
        if let Err(end) = self.admit(&key.user, context) {
            self.turn_down(frame, key, Reason::from_end(&end), context);
            return Ok(());
        }
        let call = CallId::mint(context.mint);
        tracing::info!(%call, from = %Pii(&frame.from), to = %Pii(&frame.to), "a user calls outright");
        let ids = (call, key.sid.clone());
        // Some compare JIDs as text: we speak as whoever was addressed.
        let sides = (frame.to.clone(), frame.from.clone());
        let state = (State::Offered(Way::Direct), Party::Responder);
        let mut leg = Leg::new(ids, state, sides, context.now);
        leg.media = translate::media(&description);
        leg.theirs = Some(description.clone());
        leg.initiated.clone_from(&frame.id);
        let offer = Offer {
            from,
            to,
            name: None,
            media: leg.media.clone(),
            description: Some(description),
            hops: Message::HOPS,
        };
        self.publish(&leg, Fact::Offer(Box::new(offer)));
        self.open(leg, context);
        context.send(frame.result());
        Ok(())
    }

    /// Acknowledges a session that there shall not be, and ends it for `reason`.
    fn turn_down(&mut self, frame: &Frame, key: &OpenKey, reason: Reason, context: &mut Context) {
        context.send(frame.result());
        let ends = (&frame.to, &frame.from);
        let terminate = speak::terminate(&key.sid, ends, reason, context);
        context.send(terminate);
        self.past
            .remember(key.clone(), &frame.from, Used::Session, context.now);
    }

    /// Both began a session at once: the lower id wins, and of equal ones that of the lower JID
    /// (XEP-0166 §7.2.16).
    fn lose_session_tie(
        &mut self,
        key: &OpenKey,
        frame: &Frame,
        context: &mut Context,
    ) -> Result<(), Wrong> {
        let crossing = |leg: &&Leg| {
            let begun = matches!(
                leg.state,
                State::Taken(Way::Direct) | State::Initiated(Way::Direct)
            );
            begun && leg.contact.to_bare() == frame.to.to_bare()
        };
        let same = self.find(key).filter(crossing);
        let Some(ours) = same.or_else(|| self.of_user(&key.user).find(crossing)) else {
            return Ok(());
        };
        let sid = ours.sid.clone();
        if goes_before((&sid, &ours.contact), key) {
            return Err(Wrong::TieBreak);
        }
        let Some(leg) = self.take(&OpenKey::new(&frame.from, &sid)) else {
            return Ok(());
        };
        let end = End::new(EndReason::Replaced);
        if sid == key.sid {
            // To end it would end the user's, which has its name.
            self.publish(&leg, Fact::End(end));
            self.remove(leg, Vec::new(), context);
        } else {
            self.step(leg, Input::Fail, &end, context);
        }
        Ok(())
    }

    /// The session of a proposal that SIP has answered.
    fn go_on(&mut self, frame: &Frame, key: &OpenKey, jingle: &Jingle, context: &mut Context) {
        let Some(mut leg) = self.take(key) else {
            return;
        };
        match translate::offer(jingle, Party::Initiator) {
            Ok(description) => {
                context.send(frame.result());
                leg.theirs = Some(description);
                leg.initiated.clone_from(&frame.id);
                let end = leg.over.clone();
                let end = end.unwrap_or_else(|| End::new(EndReason::Cancelled));
                self.step(leg, Input::Initiate, &end, context);
            }
            Err(fault) => {
                let answer = match fault.condition() {
                    Some(_) => frame.result(),
                    None => malformed(fault).answer(frame, context),
                };
                context.send(answer);
                self.fail(leg, fault, context);
            }
        }
    }

    /// Ends a leg whose user describes nothing that makes a call.
    fn fail(&mut self, leg: Leg, fault: Fault, context: &mut Context) {
        if let Some(condition) = fault.condition()
            && !leg.state.has_session()
        {
            let ends = (&leg.contact, &leg.user);
            let reason = Reason::new(condition);
            let terminate = speak::terminate(&leg.sid, ends, reason, context);
            context.send(terminate);
        }
        self.step(leg, Input::Fail, &End::new(fault.end()), context);
    }

    /// Does what `jingle`, which was acknowledged, asks in `leg`, which was taken out.
    fn perform(&mut self, mut leg: Leg, jingle: &Jingle, context: &mut Context) {
        match jingle.action {
            Action::SessionAccept => return self.accept(leg, jingle, context),
            // It ends the session, and not the call.
            Action::SessionTerminate if leg.moves => {}
            Action::SessionTerminate => {
                let without = EndReason::Unreachable;
                let end = End::new(leg.ended_by_user(jingle.reason.as_ref(), without));
                return self.step(leg, Input::Terminate, &end, context);
            }
            Action::ContentRemove => return self.drop_contents(leg, jingle, context),
            Action::SessionInfo => return self.hear(leg, &jingle.info, context),
            Action::ContentAdd => {
                let named = |content: &Content| Content::named(&content.name, content.creator);
                let contents = jingle.contents.iter().map(named).collect();
                speak::send_contents(&mut leg, Action::ContentReject, contents, context);
            }
            Action::TransportReplace => {
                let contents = jingle.contents.clone();
                speak::send_contents(&mut leg, Action::TransportReject, contents, context);
            }
            Action::ContentModify => self.modify(&mut leg, jingle, context),
            Action::TransportInfo => self.move_transport(&mut leg, jingle, context),
            Action::SessionInitiate
            | Action::ContentAccept
            | Action::ContentReject
            | Action::DescriptionInfo
            | Action::SecurityInfo
            | Action::TransportAccept
            | Action::TransportReject => {}
        }
        self.legs.insert(leg.call.clone(), leg);
    }

    fn accept(&mut self, mut leg: Leg, jingle: &Jingle, context: &mut Context) {
        let ours = leg.ours.clone().unwrap_or_default();
        match translate::answer(jingle, &ours, leg.their_role()) {
            Ok(description) => {
                leg.theirs = Some(description);
                let end = End::new(EndReason::Success);
                self.step(leg, Input::Accept, &end, context);
            }
            Err(fault) => self.fail(leg, fault, context),
        }
    }

    fn hear(&mut self, leg: Leg, info: &Info, context: &mut Context) {
        match info {
            Info::Ringing => {
                let nothing = End::new(EndReason::Unknown);
                return self.step(leg, Input::Ringing, &nothing, context);
            }
            Info::Hold => self.publish(&leg, Fact::Hold(true)),
            Info::Unhold | Info::Active => self.publish(&leg, Fact::Hold(false)),
            Info::Dtmf(key) => self.publish(&leg, Fact::Dtmf(key.clone())),
            Info::Nothing | Info::Mute | Info::Unknown => {}
        }
        self.legs.insert(leg.call.clone(), leg);
    }
}

/// Whether `jingle` fits a session in `state`.
fn check_order(jingle: &Jingle, state: State) -> Result<(), Wrong> {
    match jingle.action {
        Action::SessionAccept if !matches!(state, State::Initiated(_)) => Err(Wrong::OutOfOrder),
        // We never add contents, nor replace transports.
        Action::SessionInitiate
        | Action::ContentAccept
        | Action::ContentReject
        | Action::TransportAccept
        | Action::TransportReject => Err(Wrong::OutOfOrder),
        Action::SessionInfo if jingle.info == Info::Unknown => Err(Wrong::UnsupportedInfo),
        Action::SessionAccept
        | Action::SessionTerminate
        | Action::SessionInfo
        | Action::ContentAdd
        | Action::ContentModify
        | Action::ContentRemove
        | Action::DescriptionInfo
        | Action::SecurityInfo
        | Action::TransportInfo
        | Action::TransportReplace => Ok(()),
    }
}

/// Whether `frame` comes from and goes to exactly the two who hold the session.
fn is_between(leg: &Leg, frame: &Frame) -> bool {
    leg.user == frame.from && leg.contact == frame.to
}

fn malformed(fault: Fault) -> Wrong {
    debug_assert!(fault == Fault::Malformed);
    let text = "The contents of the session make no sense.";
    Wrong::Refused(Refusal::new(Cause::BadRequest).with_text(text))
}
