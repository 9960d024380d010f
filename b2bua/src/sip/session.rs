//! Calls as SIP sees them (RFC 3261 §13, §14, §15): one INVITE usage from its beginning to its end,
//! in either role, without I/O and without a clock.
//!
//! A [`Session`] is commanded by its owner, hears of the endpoint through [`Sessions`], and tells
//! what happened as [`SessionEvent`]s. Descriptions pass through it unread: it only knows which is
//! an offer and which an answer.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tandem_shared::mint::Mint;
use tandem_shared::timers::Timers;

use super::digest::Digest;
use super::endpoint::{ClientToken, Endpoint, ServerToken};
use super::header::{Headers, Name, Reason, Replaces};
use super::message::{Request, Response};
use super::status::Status;

mod asked;
mod called;
mod caller;
mod change;
mod early;
mod event;
mod exchange;
mod peer;
mod refresh;
mod reliable;
mod requests;
mod table;
mod usage;

pub use event::{Body, End, Fork, Local, OfferToken, Outgoing, RequestToken, SessionEvent};
pub use refresh::Wish;
pub use table::{SessionKey, Sessions};

use asked::Asked;
use called::{Called, Unacked};
use caller::{Acked, Calling};
use change::Change;
use peer::Peer;
use refresh::Refresh;
use requests::Open;
use usage::{Input, Output, Usage};

/// What a session works with.
#[derive(Debug)]
pub struct Context<'a> {
    /// Requests and answers leave by it.
    pub endpoint: &'a mut Endpoint,
    /// Tags, and the pauses after both sides offered at once.
    pub mint: &'a mut Mint,
    /// The time.
    pub now: Instant,
}

impl Context<'_> {
    /// A pause between nothing and `most`, in steps of 10 ms.
    fn pause(&mut self, most: Duration) -> Duration {
        let steps = most.as_millis() / 10 + 1;
        let drawn = self.mint.number() % steps;
        Duration::from_millis(u64::try_from(drawn).unwrap_or_default() * 10)
    }
}

/// One call.
#[derive(Debug)]
pub struct Session {
    tokens: Tokens,
    local: Local,
    usage: Usage,
    /// The parties our INVITE reached, or the one that called. Once it is up, one is left.
    peers: Vec<Peer>,
    forks: u16,
    /// Our INVITE, until no response to it can come.
    calling: Option<Calling>,
    /// Their INVITE, until it is answered.
    called: Option<Called>,
    /// Our 2xx that waits for its ACK.
    unacked: Option<Unacked>,
    /// Our own change, under way.
    change: Option<Change>,
    /// The offer we want to make next.
    wanted: Option<Body>,
    /// Whether the session is to be refreshed as soon as that is possible.
    stale: bool,
    /// Their offer that waits for our side.
    asked: Option<Asked>,
    offers: u32,
    /// The 2xx we acknowledged, while copies may come.
    acked: Vec<Acked>,
    /// Our other requests under way.
    open: Vec<Open>,
    refresh: Option<Refresh>,
    /// What we said last; repeated by an INVITE that only refreshes.
    described: Option<Body>,
    digest: Option<Digest>,
    /// What our BYE or CANCEL says.
    reasons: Vec<Reason>,
    timers: Timers<Timer>,
    events: VecDeque<SessionEvent>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Timer {
    /// Repeat our 2xx.
    RepeatAnswer,
    /// Its ACK never came.
    NoAck,
    /// Repeat a reliable provisional answer.
    RepeatRing,
    /// Its PRACK never came.
    NoPrack,
    /// Say again that it rings.
    Remind,
    /// Offer again after both sides did at once.
    Retry,
    /// Refresh the session.
    Refresh,
    /// Nobody refreshed it.
    Expire,
}

/// Names the client transactions of one session.
#[derive(Debug, Clone, Copy)]
struct Tokens {
    base: u64,
    next: u32,
}

impl Tokens {
    fn next(&mut self) -> ClientToken {
        self.next = (self.next + 1) & ((1 << table::TOKEN_BITS) - 1);
        ClientToken(self.base | u64::from(self.next))
    }
}

impl Session {
    fn new(base: u64, local: Local, usage: Usage) -> Self {
        Self {
            tokens: Tokens { base, next: 0 },
            digest: local.credential.clone().map(Digest::new),
            local,
            usage,
            peers: Vec::new(),
            forks: 0,
            calling: None,
            called: None,
            unacked: None,
            change: None,
            wanted: None,
            stale: false,
            asked: None,
            offers: 0,
            acked: Vec::new(),
            open: Vec::new(),
            refresh: None,
            described: None,
            reasons: Vec::new(),
            timers: Timers::default(),
            events: VecDeque::new(),
        }
    }

    /// Ends the call, whatever its state: CANCEL before their answer, 480 before ours, BYE after.
    /// `Ended` follows: at once, or when the CANCEL has done its work or their ACK is there.
    pub fn hang_up(&mut self, reasons: Vec<Reason>, cx: &mut Context<'_>) {
        if self.usage == Usage::Called {
            let mut headers = Headers::new();
            headers.push_reasons(&reasons);
            return self.reject(Status::TEMPORARILY_UNAVAILABLE, &headers, cx);
        }
        self.reasons = reasons;
        self.step(Input::HangUp, Some(ended(End::Ours)), cx);
    }

    /// Whether a Replaces names this call, and what stands against replacing it (RFC 3891).
    pub fn matches(&self, replaces: &Replaces) -> Option<Result<(), Status>> {
        let found = self.peers.iter().any(|peer| {
            let dialog = &peer.dialog;
            let theirs = match dialog.remote_tag() {
                "" => "0",
                tag => tag,
            };
            dialog.call_id() == &*replaces.call_id
                && dialog.local_tag() == &*replaces.to_tag
                && theirs == &*replaces.from_tag
        });
        found.then_some(match self.usage {
            Usage::Confirmed | Usage::Answered if replaces.early_only => Err(Status::BUSY_HERE),
            Usage::Confirmed | Usage::Answered => Ok(()),
            // Only an early dialog that we began may be taken from us.
            Usage::Calling => Ok(()),
            Usage::Called => Err(Status::NO_SUCH_TRANSACTION),
            Usage::Cancelling | Usage::HangingUp | Usage::Leaving | Usage::Over => {
                Err(Status::DECLINE)
            }
        })
    }

    /// Whether it is answered and not ended.
    pub fn is_up(&self) -> bool {
        matches!(self.usage, Usage::Confirmed | Usage::Answered)
    }

    /// What happened next.
    pub fn poll_event(&mut self) -> Option<SessionEvent> {
        self.events.pop_front()
    }

    /// When [`Session::handle_timeout`] is wanted next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Lets every timer due fire.
    pub fn handle_timeout(&mut self, cx: &mut Context<'_>) {
        while let Some(timer) = self.timers.pop(cx.now) {
            match timer {
                Timer::RepeatAnswer => self.repeat_answer(cx),
                Timer::NoAck => self.give_up_answer(cx),
                Timer::RepeatRing => self.repeat_ring(cx),
                Timer::NoPrack => self.give_up_ring(cx),
                Timer::Remind => self.remind(cx),
                Timer::Retry => self.advance(cx),
                Timer::Refresh => {
                    self.stale = true;
                    self.advance(cx);
                }
                Timer::Expire => {
                    let reason = Reason::sip(Status::REQUEST_TIMEOUT);
                    self.reasons = vec![reason.with_text("Session expired")];
                    self.step(Input::Lost, Some(ended(End::Expired)), cx);
                }
            }
        }
    }

    /// Whether nothing of it is left, not even copies to be answered.
    fn is_over(&self) -> bool {
        self.usage == Usage::Over
            && self.calling.is_none()
            && self.change.is_none()
            && self.acked.is_empty()
            && self.open.is_empty()
    }

    /// The other party of a call that is up, or the only one so far.
    fn peer(&mut self) -> Option<&mut Peer> {
        self.peers.first_mut()
    }

    /// Moves the machine and does what it says; `tell` is what its owner is told, if anything.
    fn step(&mut self, input: Input, tell: Option<SessionEvent>, cx: &mut Context<'_>) {
        let (usage, outputs) = self.usage.handle(input);
        self.usage = usage;
        let mut tell = tell;
        for output in outputs {
            match output {
                Output::SendCancel => {
                    let mut headers = Headers::new();
                    headers.push_reasons(&self.reasons);
                    if let Some(calling) = &self.calling {
                        cx.endpoint.cancel(calling.token, headers, cx.now);
                    }
                }
                Output::SendBye => self.send_bye(cx),
                Output::Terminate => self.terminate(cx),
                Output::TellAnswered
                | Output::TellEstablished
                | Output::TellRefused
                | Output::TellEnded => self.events.extend(tell.take()),
            }
        }
        if matches!(self.usage, Usage::Leaving | Usage::Over) {
            self.close(cx);
        }
    }

    /// Lets go of everything that only a living call needs.
    fn close(&mut self, cx: &mut Context<'_>) {
        for timer in ALL_TIMERS {
            self.timers.cancel(&timer);
        }
        self.unacked = None;
        self.called = None;
        self.wanted = None;
        self.stale = false;
        if let Some(asked) = self.asked.take() {
            self.let_go(asked, cx);
        }
        // Waiting to be sent again, it never will be.
        self.change.take_if(|change| change.token.is_none());
    }

    /// What every answer that makes or keeps a dialog carries.
    fn accept(&self, request: &Request, status: Status, endpoint: &Endpoint) -> Response {
        let mut response = Response::to(request, status);
        if let Some(peer) = self.peers.first() {
            response.headers.set(Name::To, peer.dialog.local());
        }
        for value in request.headers.all(Name::RecordRoute) {
            response.headers.push(Name::RecordRoute, value);
        }
        self.introduce(&mut response.headers, endpoint);
        response
    }

    /// Where we are, and what we can do.
    fn introduce(&self, headers: &mut Headers, endpoint: &Endpoint) {
        headers.push(Name::Contact, &self.local.contact.to_string());
        let config = endpoint.config();
        let allow: Vec<_> = config.allow.iter().map(|method| method.as_str()).collect();
        headers.push(Name::Allow, &allow.join(", "));
        headers.push(Name::Supported, &config.supported.join(", "));
    }

    fn set_refresh(&mut self, refresh: Option<Refresh>, now: Instant) {
        self.refresh = refresh;
        self.stale = false;
        self.timers.cancel(&Timer::Refresh);
        self.timers.cancel(&Timer::Expire);
        if let Some(refresh) = refresh {
            self.timers.set(Timer::Expire, now + refresh.gives_up());
            if refresh.ours {
                self.timers.set(Timer::Refresh, now + refresh.due());
            }
        }
    }
}

fn ended(end: End) -> SessionEvent {
    SessionEvent::Ended {
        end,
        reasons: Vec::new(),
    }
}

fn dialog_tag(response: &Response) -> String {
    super::dialog::tag_of(response.headers.get(Name::To).unwrap_or_default())
}

fn respond(token: ServerToken, request: &Request, status: Status, cx: &mut Context<'_>) {
    let response = Response::to(request, status);
    cx.endpoint.respond(token, response, cx.now);
}

const ALL_TIMERS: [Timer; 8] = [
    Timer::RepeatAnswer,
    Timer::NoAck,
    Timer::RepeatRing,
    Timer::NoPrack,
    Timer::Remind,
    Timer::Retry,
    Timer::Refresh,
    Timer::Expire,
];

#[cfg(test)]
mod tests;
