//! The INVITE server transactions of an endpoint.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::Instant;

use bytes::Bytes;
use tandem_shared::timers::Timers as Deadlines;

use super::load::Load;
use super::{Outbox, answer};
use crate::sip::hop::{Target, Transmit};
use crate::sip::message::{Request, Response};
use crate::sip::status::Status;
use crate::sip::transaction::Timers;
use crate::sip::transaction::invite_server::{Input, Output, Server};
use crate::sip::transaction::key::{ByKey, Key, Keys};

/// The table.
#[derive(Debug)]
pub(super) struct InviteServers {
    open: HashMap<Key, Open, ByKey>,
    /// The merge keys of those that began a call (RFC 3261 §8.2.2.2), until they are forgotten: a
    /// copy by another way must not ring again.
    merging: HashSet<Key, ByKey>,
    load: Load,
    deadlines: Deadlines<(Key, Timer), ByKey>,
    timers: Timers,
    product: Box<str>,
    keys: Keys,
}

#[derive(Debug)]
struct Open {
    machine: Server,
    target: Target,
    /// What is sent next time somebody asks: at first a 100.
    last: Bytes,
    merge: Option<Key>,
    cancelled: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Timer {
    Trying,
    G,
    H,
    I,
    L,
}

const TIMERS: [Timer; 5] = [Timer::Trying, Timer::G, Timer::H, Timer::I, Timer::L];

/// What a CANCEL found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cancelled {
    /// An INVITE without a final answer, cancelled for the first time.
    First,
    /// One that is answered or cancelled already.
    Late,
    /// None.
    Unknown,
}

impl InviteServers {
    pub(super) fn new(timers: Timers, product: Box<str>, keys: Keys) -> Self {
        Self {
            open: HashMap::default(),
            merging: HashSet::default(),
            load: Load::default(),
            deadlines: Deadlines::default(),
            timers,
            product,
            keys,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// How many of them are of `source`.
    pub(super) fn of(&self, source: IpAddr) -> usize {
        self.load.of(source)
    }

    pub(super) fn knows(&self, key: Key) -> bool {
        self.open.contains_key(&key)
    }

    pub(super) fn is_merged(&self, merge: Key) -> bool {
        self.merging.contains(&merge)
    }

    pub(super) fn start(
        &mut self,
        key: Key,
        merge: Option<Key>,
        request: &Request,
        target: Target,
        now: Instant,
    ) {
        self.merging.extend(merge);
        self.load.add(&target);
        let last = self.print(key, Response::to(request, Status::TRYING));
        self.open.insert(
            key,
            Open {
                machine: Server::Trying,
                target,
                last,
                merge,
                cancelled: false,
            },
        );
        self.deadlines
            .set((key, Timer::Trying), now + self.timers.trying());
    }

    /// The same INVITE came again.
    pub(super) fn repeat(&mut self, key: Key, now: Instant, out: &mut Outbox) {
        out.counters.request_copies += 1;
        self.handle(key, Input::Retransmission, now, out);
    }

    /// An ACK with the branch of an INVITE came; true when it is for a 2xx.
    pub(super) fn acknowledge(&mut self, key: Key, now: Instant, out: &mut Outbox) -> bool {
        self.handle(key, Input::Ack, now, out)
    }

    /// A CANCEL came.
    pub(super) fn cancel(&mut self, key: Key) -> Cancelled {
        let Some(open) = self.open.get_mut(&key) else {
            return Cancelled::Unknown;
        };
        let answered = match open.machine {
            Server::Trying | Server::Proceeding => false,
            Server::Completed { .. }
            | Server::Confirmed
            | Server::Accepted
            | Server::Terminated => true,
        };
        match answered || std::mem::replace(&mut open.cancelled, true) {
            true => Cancelled::Late,
            false => Cancelled::First,
        }
    }

    /// Sends our answer; hands it back when it belongs to none of these.
    pub(super) fn respond(
        &mut self,
        key: Key,
        response: Response,
        now: Instant,
        out: &mut Outbox,
    ) -> Option<Response> {
        let Some(open) = self.open.get(&key) else {
            return Some(response);
        };
        let (input, taken) = match (response.status.class(), open.machine) {
            (1, Server::Trying | Server::Proceeding) => (Input::Provisional, true),
            (2, Server::Trying | Server::Proceeding | Server::Accepted) => (Input::Success, true),
            (_, Server::Trying | Server::Proceeding) => (Input::Refusal, true),
            (_, _) => (Input::Refusal, false),
        };
        if taken {
            let bytes = self.print(key, response);
            if let Some(open) = self.open.get_mut(&key) {
                open.last = bytes;
            }
            self.handle(key, input, now, out);
        }
        None
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, out: &mut Outbox) {
        while let Some((key, timer)) = self.deadlines.pop(now) {
            let input = match timer {
                Timer::Trying => Input::TimerTrying,
                Timer::G => Input::TimerG,
                Timer::H => Input::TimerH,
                Timer::I => Input::TimerI,
                Timer::L => Input::TimerL,
            };
            self.handle(key, input, now, out);
        }
    }

    /// Entries of all tables.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.open.len() + self.merging.len() + self.load.len() + self.deadlines.len()
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    fn handle(&mut self, key: Key, input: Input, now: Instant, out: &mut Outbox) -> bool {
        let Some(open) = self.open.get_mut(&key) else {
            return false;
        };
        let reliable = open.target.transport().is_reliable();
        let mut outputs = Vec::with_capacity(3);
        open.machine = open
            .machine
            .handle(input, reliable, &self.timers, &mut outputs);
        let machine = open.machine;
        let mut delivered = false;
        for output in outputs {
            match output {
                Output::SendTrying | Output::Transmit | Output::Repeat => {
                    out.transmits.push_back(Transmit {
                        id: None,
                        target: open.target.clone(),
                        bytes: open.last.clone(),
                    });
                }
                Output::Deliver => delivered = true,
                Output::ArmG(pause) => self.deadlines.set((key, Timer::G), now + pause),
                Output::ArmH(pause) => self.deadlines.set((key, Timer::H), now + pause),
                Output::ArmI(pause) => self.deadlines.set((key, Timer::I), now + pause),
                Output::ArmL(pause) => self.deadlines.set((key, Timer::L), now + pause),
            }
        }
        let over: &[Timer] = match machine {
            Server::Trying => &[],
            Server::Proceeding | Server::Completed { .. } | Server::Accepted => &[Timer::Trying],
            Server::Confirmed => &[Timer::G, Timer::H],
            Server::Terminated => &TIMERS,
        };
        for &timer in over {
            self.deadlines.cancel(&(key, timer));
        }
        if machine == Server::Terminated
            && let Some(open) = self.open.remove(&key)
        {
            self.load.remove(&open.target);
            if let Some(merge) = open.merge {
                self.merging.remove(&merge);
            }
        }
        delivered
    }

    fn print(&self, key: Key, mut response: Response) -> Bytes {
        answer::complete(&mut response, &self.keys.tag(key), &self.product);
        let mut bytes = Vec::with_capacity(1024);
        response.print(&mut bytes);
        bytes.into()
    }
}
