//! Our own INVITE or UPDATE within the dialog: a new offer, or a refresh of the session
//! (RFC 3261 §14.1; RFC 3311 §5.1; RFC 4028).

use std::time::{Duration, Instant};

use super::event::{Body, End, Fork, SessionEvent};
use super::exchange::{Exchange, Step};
use super::usage::{Input, Usage};
use super::{Acked, Context, Session, Timer, ended, refresh};
use crate::sip::digest::Rounds;
use crate::sip::endpoint::{ClientToken, Failure};
use crate::sip::message::{Request, Response};
use crate::sip::method::Method;
use crate::sip::status::Status;

/// A change under way.
#[derive(Debug)]
pub(super) struct Change {
    method: Method,
    /// To whom.
    fork: Fork,
    offer: Option<Body>,
    /// It says nothing new.
    refresh: bool,
    /// None while it waits to be sent again.
    pub(super) token: Option<ClientToken>,
    pub(super) request: Request,
    rounds: Rounds,
    again: Instant,
    tries: u8,
}

impl Change {
    pub(super) fn is_invite(&self) -> bool {
        self.method == Method::Invite && self.token.is_some()
    }
}

impl Session {
    /// Offers something new as soon as it is our turn; a later offer takes the place of one not yet
    /// sent. Its end is an `Answer`, an `OfferRefused` or the end of the call.
    pub fn offer(&mut self, body: Body, cx: &mut Context<'_>) {
        if !matches!(self.usage, Usage::Leaving | Usage::Over) {
            self.wanted = Some(body);
            self.advance(cx);
        }
    }

    /// Starts what waits for its turn.
    pub(super) fn advance(&mut self, cx: &mut Context<'_>) {
        if let Some(change) = self
            .change
            .take_if(|change| change.token.is_none() && change.again <= cx.now)
        {
            if self.wanted.is_none() {
                self.wanted = change.offer.filter(|_| !change.refresh);
            }
            self.stale |= change.refresh;
            return self.start(change.tries, cx);
        }
        self.start(0, cx);
    }

    fn start(&mut self, tries: u8, cx: &mut Context<'_>) {
        if !self.is_quiet() {
            return;
        }
        let Some(peer) = self.peers.first() else {
            return;
        };
        let (updates, agreed) = (peer.updates, peer.exchange == Exchange::Agreed);
        let early = matches!(self.usage, Usage::Calling | Usage::Called);
        let method = match (self.usage, &self.wanted) {
            (Usage::Confirmed, Some(_)) => Method::Invite,
            (Usage::Confirmed, None) if self.stale && updates => Method::Update,
            (Usage::Confirmed, None) if self.stale => Method::Invite,
            // Before the answer only UPDATE may change what was agreed already.
            (_, Some(_)) if early && updates && agreed && self.peers.len() == 1 => Method::Update,
            (_, _) => return,
        };
        let refresh = self.wanted.is_none();
        let offer = match (&method, refresh) {
            (_, false) => self.wanted.take(),
            (Method::Invite, true) => self.described.clone(),
            (_, true) => None,
        };
        self.stale = false;
        self.send_change(method, offer, refresh, tries, cx);
    }

    fn send_change(
        &mut self,
        method: Method,
        offer: Option<Body>,
        refresh: bool,
        tries: u8,
        cx: &mut Context<'_>,
    ) {
        let Some(peer) = self.peers.first_mut() else {
            return;
        };
        let fork = peer.fork;
        let mut request = peer.dialog.request(method.clone());
        if let Some(offer) = &offer {
            let _ = peer.exchange.take(Step::Offer);
            offer.attach(&mut request.headers, &mut request.body);
        }
        self.introduce(&mut request.headers, cx.endpoint);
        if self.is_up() {
            refresh::ask(&mut request.headers, self.local.timer, self.refresh);
        }
        if let Some(digest) = &mut self.digest {
            digest.authorize(&mut request, cx.mint);
        }
        let change = Change {
            method,
            fork,
            offer,
            refresh,
            token: None,
            request,
            rounds: Rounds::default(),
            again: cx.now,
            tries,
        };
        self.transmit(change, cx);
    }

    fn transmit(&mut self, mut change: Change, cx: &mut Context<'_>) {
        let Some(peer) = self.peers.first() else {
            return;
        };
        let way = peer.dialog.way(&cx.endpoint.config().admission);
        let token = self.tokens.next();
        let request = change.request.clone();
        match cx.endpoint.request(token, request, way, cx.now) {
            Ok(()) => {
                change.token = Some(token);
                self.change = Some(change);
            }
            Err(_) => self.refused(&change, Status::SERVICE_UNAVAILABLE),
        }
    }

    /// The final response to our change.
    pub(super) fn changed(
        &mut self,
        token: ClientToken,
        response: &Response,
        cx: &mut Context<'_>,
    ) {
        if response.status.is_success() {
            return self.change_accepted(token, response, cx);
        }
        let Some(change) = self.change.take() else {
            return;
        };
        if matches!(self.usage, Usage::Leaving | Usage::Over) {
            return;
        }
        if self.lost_race(&change) {
            return self.turn_to_winner(change, cx);
        }
        match response.status {
            Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED => {
                self.authorize_change(change, response, cx);
            }
            Status::INTERVAL_TOO_SMALL => match response.headers.min_se() {
                Some(min) if min > self.local.timer.min && change.tries < MAX_TRIES => {
                    self.local.timer.min = min;
                    self.local.timer.seconds = self.local.timer.seconds.max(min);
                    if let Some(refresh) = &mut self.refresh {
                        refresh.seconds = refresh.seconds.max(min);
                    }
                    self.put_off(change, Duration::ZERO, cx);
                }
                Some(_) | None => self.refused(&change, response.status),
            },
            Status::REQUEST_PENDING if change.tries < MAX_TRIES => {
                // RFC 3261 §14.1: whoever owns the Call-ID waits longer.
                let pause = match self.calls() {
                    true => Duration::from_millis(2100) + cx.pause(Duration::from_millis(1900)),
                    false => cx.pause(Duration::from_secs(2)),
                };
                self.put_off(change, pause, cx);
            }
            Status::SERVER_INTERNAL_ERROR
                if change.tries < MAX_TRIES && response.retry_after().is_some() =>
            {
                let seconds = response
                    .retry_after()
                    .unwrap_or_default()
                    .min(MAX_RETRY_AFTER);
                self.put_off(change, Duration::from_secs(seconds.into()), cx);
            }
            Status::METHOD_NOT_ALLOWED | Status::NOT_IMPLEMENTED
                if change.method == Method::Update =>
            {
                if let Some(peer) = self.peer() {
                    peer.updates = false;
                }
                self.put_off(change, Duration::ZERO, cx);
            }
            Status::NO_SUCH_TRANSACTION | Status::REQUEST_TIMEOUT => {
                self.lost(&change, response.status, cx);
            }
            status => self.refused(&change, status),
        }
        self.advance(cx);
    }

    fn change_accepted(&mut self, token: ClientToken, response: &Response, cx: &mut Context<'_>) {
        let invite = self.change.as_ref().is_some_and(Change::is_invite);
        if invite {
            let tag = self.peers.first().map(|peer| peer.dialog.remote_tag());
            let tag = tag.unwrap_or_default().into();
            self.acked.push(Acked {
                token,
                tag,
                ack: None,
            });
            self.acknowledge(token, None, cx);
        }
        let Some(change) = self.change.take() else {
            return;
        };
        if matches!(self.usage, Usage::Leaving | Usage::Over) {
            return;
        }
        if self.lost_race(&change) {
            return self.turn_to_winner(change, cx);
        }
        if let Some(peer) = self.peer() {
            peer.note(&response.headers);
            peer.dialog.refresh_target(&response.headers);
        }
        if self.is_up() {
            self.set_refresh(refresh::settle(&response.headers), cx.now);
        }
        let body = Body::read(&response.headers, &response.body).unwrap_or_default();
        if change.offer.is_some() {
            match body {
                Some(body) => {
                    self.take_step(Step::HearAnswer);
                    self.described.clone_from(&change.offer);
                    let refresh = change.refresh;
                    self.events
                        .push_back(SessionEvent::Answer { body, refresh });
                }
                None => self.refused(&change, Status::NOT_ACCEPTABLE_HERE),
            }
        }
        self.advance(cx);
    }

    fn authorize_change(&mut self, mut change: Change, response: &Response, cx: &mut Context<'_>) {
        let (request, rounds) = (&mut change.request, &mut change.rounds);
        let answered = self
            .digest
            .as_mut()
            .is_some_and(|digest| digest.answer(response, request, rounds, cx.mint).is_ok());
        match (answered, self.peers.first_mut()) {
            (true, Some(peer)) => {
                peer.dialog.renumber(&mut change.request);
                self.transmit(change, cx);
            }
            (_, _) => self.refused(&change, response.status),
        }
    }

    /// Our change has no response.
    pub(super) fn change_failed(&mut self, failure: Failure, cx: &mut Context<'_>) {
        let Some(change) = self.change.take() else {
            return;
        };
        if matches!(self.usage, Usage::Leaving | Usage::Over) {
            return;
        }
        if self.lost_race(&change) {
            return self.turn_to_winner(change, cx);
        }
        match failure {
            Failure::Timeout | Failure::Lost => {
                self.lost(&change, Status::REQUEST_TIMEOUT, cx);
            }
            Failure::NotSent(_) => self.refused(&change, Status::SERVICE_UNAVAILABLE),
        }
        self.advance(cx);
    }

    /// The other side knows nothing of the call, or is silent (RFC 3261 §12.2.1.2). Before the
    /// answer the INVITE decides about that.
    fn lost(&mut self, change: &Change, status: Status, cx: &mut Context<'_>) {
        match self.is_up() {
            true => self.step(Input::Lost, Some(ended(End::Gone)), cx),
            false => self.refused(change, status),
        }
    }

    fn lost_race(&self, change: &Change) -> bool {
        self.peers.first().map(|peer| peer.fork) != Some(change.fork)
    }

    /// The change was meant for a fork that lost the race: whoever won has not heard of it.
    fn turn_to_winner(&mut self, change: Change, cx: &mut Context<'_>) {
        if self.wanted.is_none() {
            self.wanted = change.offer;
        }
        self.advance(cx);
    }

    fn put_off(&mut self, mut change: Change, pause: Duration, cx: &mut Context<'_>) {
        self.drop_offer(&change);
        change.token = None;
        change.again = cx.now + pause;
        change.tries += 1;
        self.timers.set(Timer::Retry, change.again);
        self.change = Some(change);
    }

    fn refused(&mut self, change: &Change, status: Status) {
        self.drop_offer(change);
        if change.offer.is_some() && !change.refresh {
            self.events.push_back(SessionEvent::OfferRefused { status });
        }
    }

    fn drop_offer(&mut self, change: &Change) {
        if change.offer.is_some() {
            self.take_step(Step::Drop);
        }
    }
}

/// How often one change is sent again.
const MAX_TRIES: u8 = 10;
/// Longest pause taken from a peer, in seconds.
const MAX_RETRY_AFTER: u32 = 30;
