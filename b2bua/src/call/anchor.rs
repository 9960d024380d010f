//! The anchor of a call: what calls ask of media, and what media says of it.

use tandem_shared::call::{CallId, End, EndReason};

use super::{Call, Calls, Context, Stage, ending};
use crate::action::Action;
use crate::media::{self, AnchorId, Command, Report};

impl Calls {
    /// Media says something.
    pub fn handle_media(&mut self, event: media::Event, cx: &mut Context<'_>) {
        match event {
            media::Event::Opened { anchor, xmpp, sip } => {
                if let Some(call) = self.of_anchor(anchor) {
                    call.xmpp.local = Some(*xmpp);
                    call.sip.local = Some(*sip);
                    let id = call.id.clone();
                    self.begin(&id, cx);
                }
            }
            media::Event::NotOpened { anchor } => {
                if let Some(id) = self.by_anchor.remove(&anchor) {
                    let end = End::new(EndReason::ResourceConstraint)
                        .with_text("The gateway has no room for another call. Try again later.");
                    self.end_both(&id, end, cx);
                }
            }
            media::Event::Restarted { anchor, xmpp } => {
                if let Some(call) = self.of_anchor(anchor) {
                    call.xmpp.local = Some(*xmpp);
                    let id = call.id.clone();
                    self.answer_xmpp(&id, cx);
                }
            }
            media::Event::Candidates { anchor, candidates } => {
                self.send_candidates(anchor, candidates, cx);
            }
            media::Event::Connected { anchor, leg } => {
                if let Some(call) = self.of_anchor(anchor) {
                    tracing::info!(call = %call.id, ?leg, "media connected");
                }
            }
            media::Event::Failed {
                anchor,
                leg,
                failure,
            } => {
                let id = self.by_anchor.get(&anchor).cloned();
                let call = id.as_ref().and_then(|id| self.calls.get(id));
                // Who rings is silent.
                let waits = call.is_some_and(|call| call.stage != Stage::Up);
                if let Some(id) = id.filter(|_| !(waits && failure == media::Failure::Silent)) {
                    tracing::warn!(call = %id, ?leg, ?failure, "media failed");
                    self.end_both(&id, ending::of_failure(leg, failure), cx);
                }
            }
            media::Event::Dtmf {
                anchor,
                leg,
                key,
                duration,
                relayed,
            } => {
                if !relayed {
                    self.pass_key(anchor, leg, key, duration, cx);
                }
            }
            media::Event::Released { anchor, report } => {
                if let Some(id) = self.by_anchor.remove(&anchor) {
                    log_report(&id, &report);
                }
            }
        }
        self.settle(cx);
    }

    /// Asks media for the ports of a call.
    pub(super) fn open_place(&mut self, id: &CallId, cx: &mut Context<'_>) {
        if let Some(call) = self.calls.get(id) {
            let (anchor, sip) = (call.anchor, call.sip.signalling);
            self.by_anchor.insert(anchor, id.clone());
            order(Command::Open { anchor, sip }, cx);
        }
    }

    /// Asks media for other ports: the SIP leg is of another address family than it was.
    pub(super) fn move_place(&mut self, id: &CallId, peer: std::net::IpAddr, cx: &mut Context<'_>) {
        let anchor = self.next_anchor();
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let old = std::mem::replace(&mut call.anchor, anchor);
        (call.sip.local, call.xmpp.local) = (None, None);
        order(Command::Release { anchor: old }, cx);
        self.by_anchor.insert(anchor, id.clone());
        order(Command::Open { anchor, sip: peer }, cx);
    }

    pub(super) fn of_anchor(&mut self, anchor: AnchorId) -> Option<&mut Call> {
        let id = self.by_anchor.get(&anchor)?;
        self.calls.get_mut(id).map(Box::as_mut)
    }

    pub(super) fn next_anchor(&mut self) -> AnchorId {
        self.anchors += 1;
        AnchorId(self.anchors)
    }
}

pub(super) fn order(command: Command, cx: &mut Context<'_>) {
    cx.actions.push_back(Action::Media(Box::new(command)));
}

fn log_report(id: &CallId, report: &Report) {
    let Report { xmpp, sip, path } = report;
    tracing::info!(call = %id, path, ?xmpp, ?sip, "media of a call");
}
