//! The server transactions of an endpoint.
//!
//! A finished one costs its key, a status and, rarely, a box: the answer to a retransmission is
//! built anew from that retransmission, byte for byte the same. 10,000 requests a second for the
//! 32 s of Timer J are 320,000 of them.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::Instant;

use bytes::Bytes;

use super::load::Load;
use super::{Outbox, answer};
use crate::sip::header::{Headers, Name};
use crate::sip::hop::{Target, Transmit};
use crate::sip::message::{Request, Response};
use crate::sip::status::Status;
use crate::sip::transaction::Timers;
use crate::sip::transaction::expiring::Expiring;
use crate::sip::transaction::key::{ByKey, Key, Keys};
use crate::sip::transaction::server::{Input, Output, Server};

/// The table.
#[derive(Debug)]
pub(super) struct Servers {
    open: HashMap<Key, Open, ByKey>,
    /// The merge keys of the open ones (RFC 3261 §8.2.2.2). A copy of a finished one is handed up:
    /// the core knows its outcome and answers with it, where 482 would lose it.
    merging: HashSet<Key, ByKey>,
    load: Load,
    finished: Expiring<Answer>,
    timers: Timers,
    swept: Option<Instant>,
    product: Box<str>,
    keys: Keys,
}

#[derive(Debug)]
struct Open {
    machine: Server,
    target: Target,
    last: Option<Bytes>,
    merge: Option<Key>,
    since: Instant,
}

/// What a finished transaction keeps of its answer.
#[derive(Debug)]
struct Answer {
    status: Status,
    extra: Option<Box<Extra>>,
}

/// What cannot be copied from the request.
#[derive(Debug)]
struct Extra {
    reason: Cow<'static, str>,
    headers: Headers,
    body: Bytes,
}

impl Servers {
    pub(super) fn new(timers: Timers, max_finished: usize, product: Box<str>, keys: Keys) -> Self {
        Self {
            open: HashMap::default(),
            merging: HashSet::default(),
            load: Load::default(),
            finished: Expiring::new(max_finished),
            timers,
            swept: None,
            product,
            keys,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// How many open ones are of `source`.
    pub(super) fn of(&self, source: IpAddr) -> usize {
        self.load.of(source)
    }

    /// Whether `key` is known, open or finished.
    pub(super) fn knows(&self, key: Key) -> bool {
        self.open.contains_key(&key) || self.finished.get(key).is_some()
    }

    /// Whether another copy of the request is open.
    pub(super) fn is_merged(&self, merge: Key) -> bool {
        self.merging.contains(&merge)
    }

    pub(super) fn start(&mut self, key: Key, merge: Option<Key>, target: Target, now: Instant) {
        self.merging.extend(merge);
        self.load.add(&target);
        self.open.insert(
            key,
            Open {
                machine: Server::Trying,
                target,
                last: None,
                merge,
                since: now,
            },
        );
        self.swept.get_or_insert(now);
    }

    /// Absorbs or answers a retransmission.
    pub(super) fn repeat(&mut self, key: Key, request: &Request, target: Target, out: &mut Outbox) {
        out.counters.request_copies += 1;
        if let Some(open) = self.open.get(&key) {
            // Proceeding repeats its last answer; Trying absorbs.
            if let Some(bytes) = open.last.clone() {
                out.transmits.push_back(Transmit {
                    id: None,
                    target,
                    bytes,
                });
            }
        } else if let Some(known) = self.finished.get(key) {
            let mut response = Response::to(request, known.status);
            if let Some(extra) = &known.extra {
                response.reason = extra.reason.clone();
                response.body = extra.body.clone();
                for (name, value) in extra.headers.iter() {
                    response.headers.push(name, value);
                }
            }
            let bytes = self.print(key, response);
            out.transmits.push_back(Transmit {
                id: None,
                target,
                bytes,
            });
        }
    }

    /// Sends our answer.
    pub(super) fn respond(&mut self, key: Key, response: Response, now: Instant, out: &mut Outbox) {
        let Some(open) = self.open.get_mut(&key) else {
            return;
        };
        let target = open.target.clone();
        let reliable = target.transport().is_reliable();
        let input = match response.status.is_provisional() {
            true => Input::Provisional,
            false => Input::Final,
        };
        let mut outputs = Vec::with_capacity(2);
        open.machine = open
            .machine
            .handle(input, reliable, &self.timers, &mut outputs);
        let over = matches!(open.machine, Server::Completed | Server::Terminated);
        if outputs.contains(&Output::Transmit) {
            let (status, extra) = (response.status, Extra::of(&response));
            let bytes = self.print(key, response);
            out.transmits.push_back(Transmit {
                id: None,
                target,
                bytes: bytes.clone(),
            });
            if let Some(open) = self.open.get_mut(&key) {
                open.last = Some(bytes);
            }
            for output in outputs {
                if let Output::ArmJ(pause) = output {
                    let forgot = self
                        .finished
                        .insert(key, Answer { status, extra }, now + pause);
                    out.counters.forgotten += u64::from(forgot);
                    break;
                }
            }
        }
        if over && let Some(open) = self.open.remove(&key) {
            self.load.remove(&open.target);
            if let Some(merge) = open.merge {
                self.merging.remove(&merge);
            }
        }
    }

    /// Forgets what the core never answered; by then the client has given up (Timer F).
    pub(super) fn handle_timeout(&mut self, now: Instant, out: &mut Outbox) {
        self.finished.expire(now);
        if self.next_sweep().is_none_or(|due| due > now) {
            return;
        }
        let life = self.timers.give_up();
        let (merging, load) = (&mut self.merging, &mut self.load);
        let counters = &mut out.counters;
        self.open.retain(|_, open| {
            let keep = now.saturating_duration_since(open.since) < life;
            if !keep {
                load.remove(&open.target);
                if let Some(merge) = open.merge {
                    merging.remove(&merge);
                }
                counters.unanswered += 1;
            }
            keep
        });
        self.swept = (!self.open.is_empty()).then_some(now);
    }

    /// Entries of all tables.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.open.len() + self.merging.len() + self.load.len() + self.finished.len()
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.next_sweep()
            .into_iter()
            .chain(self.finished.next_expiry())
            .min()
    }

    fn next_sweep(&self) -> Option<Instant> {
        self.swept.map(|swept| swept + self.timers.give_up() / 4)
    }

    fn print(&self, key: Key, mut response: Response) -> Bytes {
        answer::complete(&mut response, &self.keys.tag(key), &self.product);
        let mut bytes = Vec::with_capacity(1024);
        response.print(&mut bytes);
        bytes.into()
    }
}

impl Extra {
    fn of(response: &Response) -> Option<Box<Self>> {
        let mut headers = Headers::new();
        for (name, value) in response
            .headers
            .iter()
            .filter(|(name, _)| !COPIED.contains(name))
        {
            headers.push(name, value);
        }
        let usual = response.reason == response.status.reason();
        if usual && headers.is_empty() && response.body.is_empty() {
            return None;
        }
        let (reason, body) = (response.reason.clone(), response.body.clone());
        Some(Box::new(Self {
            reason,
            headers,
            body,
        }))
    }
}

/// What an answer has from its request, and what [`answer::complete`] adds.
const COPIED: [Name<'static>; 7] = [
    Name::Via,
    Name::From,
    Name::To,
    Name::CallId,
    Name::CSeq,
    Name::Timestamp,
    Name::Server,
];

/// Bytes of one answer in the table.
#[cfg(test)]
pub(super) const ANSWER_SIZE: usize = size_of::<Answer>();
