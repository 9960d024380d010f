//! Our other requests within the dialog: BYE, PRACK, INFO.

use super::event::{End, RequestToken, SessionEvent};
use super::usage::{Input, Usage};
use super::{Context, Session, ended};
use crate::sip::digest::Rounds;
use crate::sip::endpoint::{ClientToken, Event, Failure, ServerToken};
use crate::sip::header::{Headers, Name};
use crate::sip::hop::Target;
use crate::sip::message::{Request, Response};
use crate::sip::method::Method;
use crate::sip::status::Status;

/// A request under way.
#[derive(Debug)]
pub(super) struct Open {
    token: ClientToken,
    kind: Kind,
    request: Request,
    way: Target,
    rounds: Rounds,
}

/// What becomes of its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The end of the call.
    Bye,
    /// A BYE to somebody whose answer came second.
    Farewell,
    /// A PRACK; whoever misses it says so again.
    Prack,
    /// Our owner's.
    Owned(RequestToken),
}

impl Session {
    /// Sends another request within a call that is up, such as INFO; a `Response` event follows.
    pub fn request(
        &mut self,
        method: Method,
        headers: &Headers,
        body: bytes::Bytes,
        cx: &mut Context<'_>,
    ) -> Option<RequestToken> {
        if !self.is_up() {
            return None;
        }
        let peer = self.peers.first_mut()?;
        let mut request = peer.dialog.request(method);
        let way = peer.dialog.way(&cx.endpoint.config().admission);
        for (name, value) in headers.iter() {
            request.headers.push(name, value);
        }
        let contact = self.local.contact.to_string();
        request.headers.set(Name::Contact, &contact);
        request.body = body;
        let token = RequestToken(self.tokens.next().0);
        self.send_within(Kind::Owned(token), request, way, cx);
        Some(token)
    }

    pub(super) fn send_bye(&mut self, cx: &mut Context<'_>) {
        if let Some(asked) = self.asked.take() {
            self.let_go(asked, cx);
        }
        let Some(peer) = self.peers.first_mut() else {
            return self.step(Input::ByeDone, None, cx);
        };
        let mut bye = peer.dialog.request(Method::Bye);
        let way = peer.dialog.way(&cx.endpoint.config().admission);
        bye.headers.push_reasons(&self.reasons);
        self.send_within(Kind::Bye, bye, way, cx);
    }

    pub(super) fn send_farewell(&mut self, bye: Request, way: Target, cx: &mut Context<'_>) {
        self.send_within(Kind::Farewell, bye, way, cx);
    }

    pub(super) fn send_within(
        &mut self,
        kind: Kind,
        mut request: Request,
        way: Target,
        cx: &mut Context<'_>,
    ) {
        if let Some(digest) = &mut self.digest {
            digest.authorize(&mut request, cx.mint);
        }
        let open = Open {
            token: self.tokens.next(),
            kind,
            request,
            way,
            rounds: Rounds::default(),
        };
        self.send_open(open, cx);
    }

    fn send_open(&mut self, open: Open, cx: &mut Context<'_>) {
        let (request, way) = (open.request.clone(), open.way.clone());
        match cx.endpoint.request(open.token, request, way, cx.now) {
            Ok(()) => self.open.push(open),
            Err(_) => self.finish(open.kind, None, cx),
        }
    }

    /// What the endpoint tells of our requests.
    pub(super) fn handle_event(&mut self, event: Event, cx: &mut Context<'_>) {
        match event {
            Event::Provisional { token, response } => {
                if self.is_calling(token) {
                    self.progress(&response, cx);
                }
            }
            Event::Response { token, response } => self.handle_response(token, response, cx),
            Event::Failed { token, failure } => self.handle_failed(token, failure, cx),
            Event::Over { token } => {
                self.acked.retain(|acked| acked.token != token);
                let over = self.calling.take_if(|calling| calling.token == token);
                // It was accepted in a way that made no dialog.
                if over.is_some() && matches!(self.usage, Usage::Calling | Usage::Cancelling) {
                    self.fail_invite(Failure::Lost, cx);
                }
            }
            Event::Request { token, request, .. } => self.handle_request(token, request, cx),
            Event::Ack { request, .. } => self.handle_ack(&request, cx),
            Event::Cancelled { token, request } => self.handle_cancel(token, &request, cx),
        }
    }

    fn handle_cancel(&mut self, token: ServerToken, request: &Request, cx: &mut Context<'_>) {
        let begins = self
            .called
            .as_ref()
            .is_some_and(|called| called.token == token);
        match begins {
            true => self.cancelled(request, cx),
            false => self.withdraw(token, cx),
        }
    }

    fn handle_response(
        &mut self,
        token: ClientToken,
        response: Box<Response>,
        cx: &mut Context<'_>,
    ) {
        if self.is_calling(token) {
            return self.conclude(response, cx);
        }
        if self.is_changing(token) {
            return self.changed(token, &response, cx);
        }
        if let Some(at) = self.open.iter().position(|open| open.token == token) {
            let open = self.open.swap_remove(at);
            return self.opened(open, &response, cx);
        }
        // A copy of the 2xx to a change.
        let tag = super::dialog_tag(&response);
        self.acknowledge_copy(token, &tag, cx);
    }

    fn opened(&mut self, mut open: Open, response: &Response, cx: &mut Context<'_>) {
        let challenged = matches!(
            response.status,
            Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED
        );
        if challenged
            && let Some(digest) = &mut self.digest
            && digest
                .answer(response, &mut open.request, &mut open.rounds, cx.mint)
                .is_ok()
        {
            match (open.kind, self.peers.first_mut()) {
                (Kind::Bye | Kind::Prack | Kind::Owned(_), Some(peer)) => {
                    peer.dialog.renumber(&mut open.request);
                }
                // Its dialog is forgotten, and nothing else is asked in it.
                (Kind::Farewell, _) | (_, None) => open.request.renumber(),
            }
            open.token = self.tokens.next();
            return self.send_open(open, cx);
        }
        self.finish(open.kind, Some(response.status), cx);
    }

    fn handle_failed(&mut self, token: ClientToken, failure: Failure, cx: &mut Context<'_>) {
        if self.is_calling(token) {
            return self.fail_invite(failure, cx);
        }
        if self.is_changing(token) {
            return self.change_failed(failure, cx);
        }
        if let Some(at) = self.open.iter().position(|open| open.token == token) {
            let open = self.open.swap_remove(at);
            self.finish(open.kind, None, cx);
        }
    }

    /// A request has its end. Within a dialog 481 and 408 end the call (RFC 3261 §12.2.1.2).
    fn finish(&mut self, kind: Kind, status: Option<Status>, cx: &mut Context<'_>) {
        match kind {
            Kind::Bye => self.step(Input::ByeDone, None, cx),
            Kind::Farewell | Kind::Prack => {}
            Kind::Owned(_) if !self.is_up() => {}
            Kind::Owned(token) => {
                self.events
                    .push_back(SessionEvent::Response { token, status });
                let gone = [Status::NO_SUCH_TRANSACTION, Status::REQUEST_TIMEOUT];
                if status.is_some_and(|status| gone.contains(&status)) {
                    self.step(Input::Lost, Some(ended(End::Gone)), cx);
                }
            }
        }
    }

    /// Whether our INVITE began the call, so that its Call-ID is ours.
    pub(super) fn calls(&self) -> bool {
        self.forks > 0
    }

    fn is_calling(&self, token: ClientToken) -> bool {
        self.calling
            .as_ref()
            .is_some_and(|calling| calling.token == token)
    }

    fn is_changing(&self, token: ClientToken) -> bool {
        self.change
            .as_ref()
            .is_some_and(|change| change.token == Some(token))
    }
}
