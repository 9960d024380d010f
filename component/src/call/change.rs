//! What users change in sessions: who sends, which contents there are, how they are reached
//! (XEP-0166 §7.2, XEP-0176 §5).

use super::leg::{Change, Input, Leg};
use super::{Calls, translate};
use crate::context::Context;
use crate::jingle::{self, Jingle};
use tandem_shared::call::{End, EndReason, Fact};
use tandem_shared::media::{Direction, Stream};

impl Calls {
    /// The user changes who sends.
    pub(super) fn modify(&mut self, leg: &mut Leg, jingle: &Jingle, context: &mut Context) {
        let author = leg.their_role();
        let active = leg.state.is_active();
        let mut changed = false;
        for content in &jingle.contents {
            let stream = stream_of(leg, &content.name);
            let (Some(stream), Some(senders)) = (stream, content.senders) else {
                continue;
            };
            let direction = senders.direction(author);
            changed |= stream.direction != direction;
            stream.direction = direction;
        }
        if changed && active {
            self.tell_change(leg, Change::Senders, context);
        }
    }

    /// The user takes contents out; a session without any is over.
    pub(super) fn drop_contents(&mut self, mut leg: Leg, jingle: &Jingle, context: &mut Context) {
        let mut changed = false;
        for content in &jingle.contents {
            if let Some(stream) = stream_of(&mut leg, &content.name) {
                changed |= !stream.rejected;
                stream.rejected = true;
                stream.direction = Direction::None;
            }
        }
        let mut theirs = leg.theirs.iter().flat_map(|theirs| &theirs.streams);
        let nothing_left =
            !theirs.any(|stream| translate::sounds(stream) && is_taken(&leg, &stream.mid));
        if changed && nothing_left {
            let reason = match leg.state.is_active() {
                true => EndReason::Success,
                false => EndReason::Cancelled,
            };
            return self.step(leg, Input::Fail, &End::new(reason), context);
        }
        if changed && leg.state.is_active() {
            self.tell_change(&mut leg, Change::Senders, context);
        }
        self.legs.insert(leg.call.clone(), leg);
    }

    /// The user found candidates, or begins ICE anew with other credentials (XEP-0176 §5.9).
    pub(super) fn move_transport(&mut self, leg: &mut Leg, jingle: &Jingle, context: &mut Context) {
        let mut restarts = false;
        for content in &jingle.contents {
            let Some(jingle::Transport::Ice(transport)) = &content.transport else {
                continue;
            };
            if !is_taken(leg, &content.name) {
                continue;
            }
            let new = translate::credentials(transport);
            let stream = stream_of(leg, &content.name);
            if let (Some(stream), Some(new)) = (stream, new)
                && stream.transport.ice.as_ref().is_some_and(|ice| *ice != new)
            {
                restarts = true;
                stream.transport.ice = Some(new);
                stream
                    .transport
                    .candidates
                    .clone_from(&transport.candidates);
                if let Some(dtls) = &transport.dtls {
                    stream.transport.dtls = Some(dtls.clone());
                }
            }
        }
        if restarts && leg.state.is_active() {
            share_restart(leg);
            self.tell_change(leg, Change::Restart, context);
            return;
        }
        let mut trickles = translate::trickles(jingle);
        trickles.retain(|trickle| is_taken(leg, &trickle.mid));
        for trickle in trickles {
            self.publish(leg, Fact::Trickle(trickle));
        }
    }
}

/// Whether the content `name` is one that may come to carry something, as far as that is decided: what
/// is told of others is acknowledged and leads to nothing.
fn is_taken(leg: &Leg, name: &str) -> bool {
    let Some(theirs) = &leg.theirs else {
        return true;
    };
    let named = |stream: &&Stream| stream.mid == name;
    let mut ours = leg.ours.iter().flat_map(|ours| &ours.streams);
    if let Some(ours) = ours.find(named) {
        return !ours.rejected;
    }
    // Not answered yet. Any content of a bundle may speak for the transport of all.
    let bundled = theirs.bundle.iter().any(|mid| mid == name);
    bundled
        || theirs
            .streams
            .iter()
            .find(named)
            .is_none_or(translate::sounds)
}

fn stream_of<'a>(leg: &'a mut Leg, name: &str) -> Option<&'a mut Stream> {
    let theirs = leg.theirs.as_mut()?;
    theirs.streams.iter_mut().find(|stream| stream.mid == name)
}

/// A bundle has one transport: what begins anew on one of its streams does so on all.
fn share_restart(leg: &mut Leg) {
    let Some(theirs) = &mut leg.theirs else {
        return;
    };
    let mut bundled = theirs
        .streams
        .iter_mut()
        .filter(|stream| theirs.bundle.contains(&stream.mid) && !stream.rejected);
    if let Some(first) = bundled.next() {
        for stream in bundled {
            stream.transport.ice.clone_from(&first.transport.ice);
            stream.transport.dtls.clone_from(&first.transport.dtls);
        }
    }
}
