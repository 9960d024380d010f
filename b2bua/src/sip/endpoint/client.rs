//! The client transactions of an endpoint: their table, their timers, their ends.
//!
//! Every open one ends in exactly one `Response` or `Failed` event.

use std::collections::HashMap;
use std::time::Instant;

use bytes::Bytes;
use tandem_shared::timers::Timers as Deadlines;

use super::{ClientToken, Event, Failure, Outbox};
use crate::sip::hop::{ConnectionId, NotSent, Target, Transmit, TransmitId};
use crate::sip::message::Response;
use crate::sip::transaction::Timers;
use crate::sip::transaction::client::{Client, Input, Output};
use crate::sip::transaction::expiring::Expiring;
use crate::sip::transaction::key::{ByKey, Key};

/// The table.
#[derive(Debug)]
pub(super) struct Clients {
    open: HashMap<Key, Open, ByKey>,
    by_token: HashMap<ClientToken, Key, ByKey>,
    deadlines: Deadlines<(Key, Timer), ByKey>,
    finished: Expiring<()>,
    timers: Timers,
    outputs: Vec<Output>,
}

#[derive(Debug)]
struct Open {
    /// None for a CANCEL: nobody waits for what becomes of it.
    token: Option<ClientToken>,
    machine: Client,
    /// Kept while it may have to be sent again.
    repeat: Option<Transmit>,
    repeated: bool,
    connection: Option<ConnectionId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Timer {
    E,
    F,
}

/// What comes with an input.
enum Cause {
    Timer,
    Response(Box<Response>),
    Failure(Failure),
}

impl Clients {
    pub(super) fn new(timers: Timers, max_finished: usize) -> Self {
        Self {
            open: HashMap::default(),
            by_token: HashMap::default(),
            deadlines: Deadlines::default(),
            finished: Expiring::new(max_finished),
            timers,
            outputs: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn start(
        &mut self,
        key: Key,
        token: Option<ClientToken>,
        target: Target,
        bytes: Bytes,
        now: Instant,
        out: &mut Outbox,
    ) {
        let reliable = target.transport().is_reliable();
        let connection = target.connection();
        let transmit = Transmit {
            id: token.map(|token| TransmitId(token.0)),
            target,
            bytes,
        };
        let mut outputs = std::mem::take(&mut self.outputs);
        let machine = Client::start(reliable, &self.timers, &mut outputs);
        let repeat = (!reliable).then(|| transmit.clone());
        out.transmits.push_back(transmit);
        self.open.insert(
            key,
            Open {
                token,
                machine,
                repeat,
                repeated: false,
                connection,
            },
        );
        self.by_token.extend(token.map(|token| (token, key)));
        for output in outputs.drain(..) {
            self.arm(key, output, now);
        }
        self.outputs = outputs;
    }

    pub(super) fn bind(&mut self, id: TransmitId, connection: ConnectionId) {
        let key = self.by_token.get(&ClientToken(id.0));
        if let Some(open) = key.and_then(|key| self.open.get_mut(key)) {
            open.connection = Some(connection);
        }
    }

    pub(super) fn respond(
        &mut self,
        key: Key,
        response: Box<Response>,
        now: Instant,
        out: &mut Outbox,
    ) {
        if !self.open.contains_key(&key) {
            match self.finished.get(key) {
                Some(()) => out.counters.response_copies += 1,
                None => out.counters.stray_response += 1,
            }
            return;
        }
        let input = match response.status.is_provisional() {
            true => Input::Provisional,
            false => Input::Final,
        };
        self.handle(key, input, Cause::Response(response), now, out);
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
            self.handle(
                key,
                Input::TransportFailed,
                Cause::Failure(failure),
                now,
                out,
            );
        }
    }

    /// Fails every transaction bound to a connection that is gone.
    pub(super) fn lose(&mut self, connection: ConnectionId, now: Instant, out: &mut Outbox) {
        let bound = self
            .open
            .values()
            .filter(|open| open.connection == Some(connection));
        let tokens = bound.filter_map(|open| open.token);
        let mut lost: Vec<_> = tokens.map(|token| TransmitId(token.0)).collect();
        lost.sort_unstable();
        for id in lost {
            self.fail(id, Failure::Lost, now, out);
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, out: &mut Outbox) {
        while let Some((key, timer)) = self.deadlines.pop(now) {
            let input = match timer {
                Timer::E => Input::TimerE,
                Timer::F => Input::TimerF,
            };
            self.handle(key, input, Cause::Timer, now, out);
        }
        self.finished.expire(now);
    }

    /// Entries of all tables.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.open.len() + self.by_token.len() + self.deadlines.len() + self.finished.len()
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.deadlines
            .next()
            .into_iter()
            .chain(self.finished.next_expiry())
            .min()
    }

    fn handle(&mut self, key: Key, input: Input, cause: Cause, now: Instant, out: &mut Outbox) {
        let Some(open) = self.open.get_mut(&key) else {
            return;
        };
        let mut outputs = std::mem::take(&mut self.outputs);
        open.machine = open.machine.handle(input, &self.timers, &mut outputs);
        let (token, over) = (
            open.token,
            matches!(open.machine, Client::Completed | Client::Terminated),
        );
        let mut cause = Some(cause);
        for output in outputs.drain(..) {
            match output {
                Output::Transmit => self.repeat(key, out),
                Output::ArmE(_) | Output::ArmF(_) | Output::ArmK(_) => self.arm(key, output, now),
                Output::Deliver => deliver(token, cause.take(), out),
                Output::TimedOut => fail(token, Failure::Timeout, out),
                Output::Failed => match cause.take() {
                    Some(Cause::Failure(failure)) => fail(token, failure, out),
                    Some(Cause::Timer | Cause::Response(_)) | None => {}
                },
            }
        }
        self.outputs = outputs;
        if over {
            self.close(key, token);
        }
    }

    fn repeat(&mut self, key: Key, out: &mut Outbox) {
        let Some(open) = self.open.get_mut(&key) else {
            return;
        };
        if let Some(transmit) = open.repeat.clone() {
            open.repeated = true;
            out.counters.retransmissions += 1;
            out.transmits.push_back(transmit);
        }
    }

    fn arm(&mut self, key: Key, output: Output, now: Instant) {
        match output {
            Output::ArmE(pause) => self.deadlines.set((key, Timer::E), now + pause),
            Output::ArmF(pause) => self.deadlines.set((key, Timer::F), now + pause),
            Output::ArmK(pause) => {
                self.finished.insert(key, (), now + pause);
            }
            Output::Transmit | Output::Deliver | Output::TimedOut | Output::Failed => {}
        }
    }

    fn close(&mut self, key: Key, token: Option<ClientToken>) {
        self.open.remove(&key);
        if let Some(token) = token {
            self.by_token.remove(&token);
        }
        self.deadlines.cancel(&(key, Timer::E));
        self.deadlines.cancel(&(key, Timer::F));
    }
}

fn fail(token: Option<ClientToken>, failure: Failure, out: &mut Outbox) {
    if let Some(token) = token {
        out.fail(token, failure);
    }
}

fn deliver(token: Option<ClientToken>, cause: Option<Cause>, out: &mut Outbox) {
    let (Some(token), Some(Cause::Response(response))) = (token, cause) else {
        return;
    };
    out.counters.responses += 1;
    out.events
        .push_back(match response.status.is_provisional() {
            true => Event::Provisional { token, response },
            false => Event::Response { token, response },
        });
}
