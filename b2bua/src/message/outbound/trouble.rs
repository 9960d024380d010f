//! What follows when a destination does not take its head: another way, a rest, or doubt until it answers a probe.

use std::time::Duration;

use super::destination::State;
use super::{Context, Outbound, backoff};
use crate::dns::PENALTY;
use crate::message::request;
use crate::sip::endpoint::ClientToken;

impl Outbound {
    /// The place the head went to said 503: the next one is tried, and without one the head is
    /// refused, or tried later if the peer asked for that.
    pub(super) fn pass(&mut self, key: u128, after: Option<u32>, cx: &mut Context<'_>) {
        let head = self.destinations.get_mut(&key);
        let Some(job) = head.and_then(|destination| destination.queue.front_mut()) else {
            return;
        };
        if let Some((whose, hop)) = job.tried() {
            let pause = after.map_or(PENALTY, |after| Duration::from_secs(u64::from(after)));
            cx.dns.penalise(whose, hop, pause, cx.now);
        }
        if job.pass() {
            return;
        }
        match after {
            Some(_) => self.rest(key, after, cx),
            None => {
                let refusal = job.expired();
                self.finish_head(key, Err(refusal), cx);
            }
        }
    }

    /// The trunk the head went to does not know us: another one is tried, and without one the head
    /// is refused.
    pub(super) fn pass_trunk(&mut self, key: u128, cx: &mut Context<'_>) {
        let head = self.destinations.get_mut(&key);
        let Some(job) = head.and_then(|destination| destination.queue.front_mut()) else {
            return;
        };
        if !job.pass_trunk() {
            let refusal = job.expired();
            self.finish_head(key, Err(refusal), cx);
        }
    }

    /// The place the head went to cannot be reached: the next one is tried, and without one the
    /// first again, later.
    pub(super) fn pass_unsent(&mut self, key: u128, cx: &mut Context<'_>) {
        let head = self.destinations.get_mut(&key);
        let Some(job) = head.and_then(|destination| destination.queue.front_mut()) else {
            return;
        };
        if let Some((whose, hop)) = job.tried() {
            cx.dns.penalise(whose, hop, PENALTY, cx.now);
        }
        if !job.pass() {
            self.rest(key, None, cx);
        }
    }

    /// Lets a destination rest before its head is tried again, if it still has time.
    pub(super) fn rest(&mut self, key: u128, after: Option<u32>, cx: &mut Context<'_>) {
        let Some(destination) = self.destinations.get_mut(&key) else {
            return;
        };
        let Some(head) = destination.queue.front_mut() else {
            return;
        };
        head.start_over();
        let deadline = head.deadline;
        let pause = match after {
            Some(seconds) => Duration::from_secs(u64::from(seconds.max(1))),
            None => backoff::pause(destination.failures, cx.mint),
        };
        let at = cx.now + pause;
        if cx.now >= deadline || (after.is_some() && at >= deadline) {
            let refusal = head.expired();
            return self.finish_head(key, Err(refusal), cx);
        }
        destination.failures += 1;
        destination.state = State::Resting;
        destination.until = Some(at.min(deadline));
        self.timers.set(key, at.min(deadline));
        cx.counters.retried += 1;
    }

    /// Nothing more goes to a destination until it answers a probe.
    pub(super) fn doubt(&mut self, key: u128, cx: &mut Context<'_>) {
        let Some(destination) = self.destinations.get_mut(&key) else {
            return;
        };
        let at = cx.now + backoff::pause(destination.failures, cx.mint);
        destination.failures += 1;
        destination.state = State::Doubtful;
        destination.until = Some(at);
        let deadline = destination.queue.front().map(|head| head.deadline);
        self.timers
            .set(key, deadline.map_or(at, |deadline| at.min(deadline)));
    }

    pub(super) fn probe(&mut self, key: u128, cx: &mut Context<'_>) {
        let Some(destination) = self.destinations.get_mut(&key) else {
            return;
        };
        let Some(head) = destination.queue.front_mut() else {
            return;
        };
        self.tokens += 1;
        let token = ClientToken(self.tokens);
        let found = head.find_way(cx).is_ok();
        if let (true, Some(target), Some(hop)) = (found, head.target(), head.hop()) {
            let request = request::probe(target, cx.settings, cx.mint);
            cx.counters.probes += 1;
            if cx
                .endpoint
                .request(token, request, hop.clone(), cx.now)
                .is_ok()
            {
                destination.state = State::Probing(token);
                self.by_token.insert(token, key);
                self.timers.set(key, head.deadline);
                return;
            }
        }
        self.doubt(key, cx);
    }

    /// Refuses what has waited for too long at a destination that does not answer.
    pub(super) fn expire(&mut self, key: u128, cx: &mut Context<'_>) {
        while let Some(destination) = self.destinations.get(&key)
            && !matches!(destination.state, State::Sending(_) | State::Ready)
            && let Some(head) = destination.queue.front()
            && head.deadline <= cx.now
        {
            // A head that has rested until its deadline gets its last try first.
            if destination.state == State::Resting
                && destination.until.is_some_and(|at| at <= cx.now)
            {
                return;
            }
            let refusal = head.expired();
            self.finish_head(key, Err(refusal), cx);
        }
    }
}
