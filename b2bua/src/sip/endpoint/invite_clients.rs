//! The INVITE client transactions of an endpoint.
//!
//! Every open one ends in exactly one refusal, one `Failed`, or one or more 2xx and then `Over`.

use std::collections::HashMap;
use std::time::Instant;

use bytes::Bytes;
use tandem_shared::timers::Timers as Deadlines;

use super::{ClientToken, Event, Failure, Outbox};
use crate::sip::header::{CSeq, Headers, Name};
use crate::sip::hop::{ConnectionId, NotSent, Target, Transmit, TransmitId};
use crate::sip::message::{Request, Response};
use crate::sip::method::Method;
use crate::sip::transaction::Timers;
use crate::sip::transaction::invite_client::{Client, Input, Output};
use crate::sip::transaction::key::{ByKey, Key};

/// The table.
#[derive(Debug)]
pub(super) struct InviteClients {
    open: HashMap<Key, Open, ByKey>,
    by_token: HashMap<ClientToken, Key, ByKey>,
    deadlines: Deadlines<(Key, Timer), ByKey>,
    timers: Timers,
    /// To be started as transactions of their own.
    cancels: Vec<Cancel>,
}

/// An INVITE about to be sent.
pub(super) struct Start {
    pub(super) token: ClientToken,
    pub(super) request: Request,
    /// The Via it leaves with; its ACK and CANCEL bear the same.
    pub(super) via: String,
    pub(super) target: Target,
    pub(super) bytes: Bytes,
    /// The key of its CANCEL.
    pub(super) cancel: Key,
}

/// A CANCEL to be sent.
#[derive(Debug)]
pub(super) struct Cancel {
    pub(super) key: Key,
    pub(super) target: Target,
    pub(super) bytes: Bytes,
}

#[derive(Debug)]
struct Open {
    token: ClientToken,
    machine: Client,
    target: Target,
    /// The request while it may be sent again, then the ACK of its refusal.
    bytes: Bytes,
    repeated: bool,
    connection: Option<ConnectionId>,
    /// What ACK and CANCEL are made of.
    request: Request,
    via: String,
    cancel: Key,
    reason: Headers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Timer {
    A,
    B,
    C,
    D,
    M,
}

const TIMERS: [Timer; 5] = [Timer::A, Timer::B, Timer::C, Timer::D, Timer::M];

/// What comes with an input.
enum Cause {
    Nothing,
    Response(Box<Response>),
    Failure(Failure),
}

impl InviteClients {
    pub(super) fn new(timers: Timers) -> Self {
        Self {
            open: HashMap::default(),
            by_token: HashMap::default(),
            deadlines: Deadlines::default(),
            timers,
            cancels: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn start(&mut self, key: Key, start: Start, now: Instant, out: &mut Outbox) {
        let mut outputs = Vec::with_capacity(3);
        let reliable = start.target.transport().is_reliable();
        let machine = Client::start(reliable, &self.timers, &mut outputs);
        out.transmits.push_back(Transmit {
            id: Some(TransmitId(start.token.0)),
            target: start.target.clone(),
            bytes: start.bytes.clone(),
        });
        self.by_token.insert(start.token, key);
        self.open.insert(
            key,
            Open {
                token: start.token,
                machine,
                connection: start.target.connection(),
                target: start.target,
                bytes: start.bytes,
                repeated: false,
                request: start.request,
                via: start.via,
                cancel: start.cancel,
                reason: Headers::new(),
            },
        );
        for output in outputs {
            self.arm(key, output, now);
        }
    }

    /// Sends a CANCEL with these further fields as soon as that is allowed.
    pub(super) fn cancel(
        &mut self,
        token: ClientToken,
        reason: Headers,
        now: Instant,
        out: &mut Outbox,
    ) {
        let Some(&key) = self.by_token.get(&token) else {
            return;
        };
        if let Some(open) = self.open.get_mut(&key) {
            open.reason = reason;
        }
        self.handle(key, Input::Cancel, Cause::Nothing, now, out);
    }

    /// The CANCELs to be started.
    pub(super) fn take_cancels(&mut self) -> Vec<Cancel> {
        std::mem::take(&mut self.cancels)
    }

    pub(super) fn bind(&mut self, id: TransmitId, connection: ConnectionId) {
        let key = self.by_token.get(&ClientToken(id.0));
        if let Some(open) = key.and_then(|key| self.open.get_mut(key)) {
            open.connection = Some(connection);
        }
    }

    /// Takes a response; false when it belongs to none of these.
    pub(super) fn respond(
        &mut self,
        key: Key,
        response: Box<Response>,
        now: Instant,
        out: &mut Outbox,
    ) -> Option<Box<Response>> {
        if !self.open.contains_key(&key) {
            return Some(response);
        }
        let input = match response.status.code() {
            100 => Input::Trying,
            101..200 => Input::Provisional,
            200..300 => Input::Success,
            _ => Input::Refusal,
        };
        self.handle(key, input, Cause::Response(response), now, out);
        None
    }

    pub(super) fn fail(
        &mut self,
        id: TransmitId,
        failure: Failure,
        now: Instant,
        out: &mut Outbox,
    ) {
        let Some(&key) = self.by_token.get(&ClientToken(id.0)) else {
            return;
        };
        let repeated = self.open.get(&key).is_some_and(|open| open.repeated);
        if !repeated || failure != Failure::NotSent(NotSent::Unreachable) {
            let cause = Cause::Failure(failure);
            self.handle(key, Input::TransportFailed, cause, now, out);
        }
    }

    /// Fails every transaction bound to a connection that is gone and still waiting for its first
    /// response; a later one may come over another connection.
    pub(super) fn lose(&mut self, connection: ConnectionId, now: Instant, out: &mut Outbox) {
        let bound = self.open.values().filter(|open| {
            open.connection == Some(connection) && matches!(open.machine, Client::Calling { .. })
        });
        let mut lost: Vec<_> = bound.map(|open| TransmitId(open.token.0)).collect();
        lost.sort_unstable();
        for id in lost {
            self.fail(id, Failure::Lost, now, out);
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, out: &mut Outbox) {
        while let Some((key, timer)) = self.deadlines.pop(now) {
            let input = match timer {
                Timer::A => Input::TimerA,
                Timer::B => Input::TimerB,
                Timer::C => Input::TimerC,
                Timer::D => Input::TimerD,
                Timer::M => Input::TimerM,
            };
            self.handle(key, input, Cause::Nothing, now, out);
        }
    }

    /// Entries of all tables.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.open.len() + self.by_token.len() + self.deadlines.len() + self.cancels.len()
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    fn handle(&mut self, key: Key, input: Input, cause: Cause, now: Instant, out: &mut Outbox) {
        let Some(open) = self.open.get_mut(&key) else {
            return;
        };
        let reliable = open.target.transport().is_reliable();
        let mut outputs = Vec::with_capacity(3);
        open.machine = open
            .machine
            .handle(input, reliable, &self.timers, &mut outputs);
        let (token, over) = (open.token, open.machine == Client::Terminated);
        let mut cause = cause;
        for output in outputs {
            match output {
                Output::Transmit => {
                    open.repeated = true;
                    out.counters.retransmissions += 1;
                    out.transmits.push_back(open.again());
                }
                Output::Ack => {
                    if let Cause::Response(response) = &cause {
                        open.acknowledge(response);
                    }
                    out.transmits.push_back(open.again());
                }
                Output::Cancel => self.cancels.push(open.make_cancel()),
                Output::Deliver => match std::mem::replace(&mut cause, Cause::Nothing) {
                    Cause::Response(response) => deliver(token, response, out),
                    Cause::Nothing | Cause::Failure(_) => {}
                },
                Output::TimedOut => out.fail(token, Failure::Timeout),
                Output::Failed => {
                    if let Cause::Failure(failure) = cause {
                        out.fail(token, failure);
                    }
                }
                Output::Over => out.events.push_back(Event::Over { token }),
                Output::ArmA(_)
                | Output::ArmB(_)
                | Output::ArmC(_)
                | Output::ArmD(_)
                | Output::ArmM(_) => arm(&mut self.deadlines, key, output, now),
            }
        }
        if over {
            self.open.remove(&key);
            self.by_token.remove(&token);
            cancel_all(&mut self.deadlines, key);
        }
    }

    fn arm(&mut self, key: Key, output: Output, now: Instant) {
        arm(&mut self.deadlines, key, output, now);
    }
}

impl Open {
    fn again(&self) -> Transmit {
        Transmit {
            id: Some(TransmitId(self.token.0)),
            target: self.target.clone(),
            bytes: self.bytes.clone(),
        }
    }

    /// RFC 3261 §17.1.1.3.
    fn acknowledge(&mut self, response: &Response) {
        let mut ack = self.derive(Method::Ack);
        if let Some(to) = response.headers.get(Name::To) {
            ack.headers.set(Name::To, to);
        }
        self.bytes = self.print(&ack);
    }

    /// RFC 3261 §9.1.
    fn make_cancel(&self) -> Cancel {
        let mut cancel = self.derive(Method::Cancel);
        for (name, value) in self.reason.iter() {
            cancel.headers.push(name, value);
        }
        Cancel {
            key: self.cancel,
            target: self.target.clone(),
            bytes: self.print(&cancel),
        }
    }

    fn derive(&self, method: Method) -> Request {
        let mut request = Request::new(method, self.request.uri.clone());
        for name in [Name::Route, Name::From, Name::To, Name::CallId] {
            for value in self.request.headers.all(name) {
                request.headers.push(name, value);
            }
        }
        let number = self.request.cseq().map_or(0, |cseq| cseq.number);
        let method = request.method.clone();
        let cseq = CSeq { number, method };
        request.headers.push(Name::CSeq, &cseq.to_string());
        request.headers.push(Name::MaxForwards, "70");
        request
    }

    fn print(&self, request: &Request) -> Bytes {
        let mut bytes = Vec::with_capacity(512);
        request.print_with_via(&request.uri.to_string(), &self.via, &mut bytes);
        bytes.into()
    }
}

fn arm(deadlines: &mut Deadlines<(Key, Timer), ByKey>, key: Key, output: Output, now: Instant) {
    let (timer, pause, over): (_, _, &[Timer]) = match output {
        Output::ArmA(pause) => (Timer::A, pause, &[]),
        Output::ArmB(pause) => (Timer::B, pause, &[Timer::C]),
        Output::ArmC(pause) => (Timer::C, pause, &[Timer::A, Timer::B]),
        Output::ArmD(pause) => (Timer::D, pause, &TIMERS),
        Output::ArmM(pause) => (Timer::M, pause, &TIMERS),
        Output::Transmit
        | Output::Ack
        | Output::Cancel
        | Output::Deliver
        | Output::TimedOut
        | Output::Failed
        | Output::Over => return,
    };
    for &timer in over {
        deadlines.cancel(&(key, timer));
    }
    deadlines.set((key, timer), now + pause);
}

fn cancel_all(deadlines: &mut Deadlines<(Key, Timer), ByKey>, key: Key) {
    for timer in TIMERS {
        deadlines.cancel(&(key, timer));
    }
}

fn deliver(token: ClientToken, response: Box<Response>, out: &mut Outbox) {
    out.counters.responses += 1;
    out.events
        .push_back(match response.status.is_provisional() {
            true => Event::Provisional { token, response },
            false => Event::Response { token, response },
        });
}
