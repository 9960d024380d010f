//! What the core lends to each part that works: all of it borrowed anew for one piece of work.

use tandem_shared::bus::SessionId;
use tandem_shared::event::{Event as BusEvent, MessageOutcome};

use crate::call::{self, Calls};
use crate::clock::Now;
use crate::core::Core;
use crate::health::{self, Watch};
use crate::keepalive::Keepalives;
use crate::message::inbound::{self, Inbound};
use crate::message::outbound::{self, Outbound};
use crate::registration::{self, Registrations};

impl Core {
    /// Lets `work` at the outbound messages; outcomes go out before any request that follows them.
    pub(super) fn with_outbound(
        &mut self,
        now: Now,
        work: impl FnOnce(&mut Outbound, &mut outbound::Context<'_>),
    ) {
        let mut outcomes: Vec<(SessionId, MessageOutcome)> = Vec::new();
        self.last_numbers.set_time(now.unix_ms());
        let mut context = outbound::Context {
            endpoint: &mut self.endpoint,
            settings: &self.settings,
            key: &self.key,
            spellings: &self.spellings,
            threads: &mut self.threads,
            mint: &mut self.mint,
            dns: &mut self.dns,
            states: &self.states,
            usage: &mut self.usage,
            approvals: &mut self.approvals,
            aliases: &mut self.aliases,
            last_numbers: &self.last_numbers,
            accounts: &mut self.accounts,
            counters: &mut self.counters,
            linked: self.link.is_up(),
            outcomes: &mut outcomes,
            now: now.instant,
        };
        work(&mut self.outbound, &mut context);
        for (session, outcome) in outcomes {
            self.publish(session, BusEvent::MessageOutcome(outcome));
        }
    }

    pub(super) fn with_inbound(
        &mut self,
        now: Now,
        work: impl FnOnce(&mut Inbound, &mut inbound::Context<'_>),
    ) {
        let mut events: Vec<(SessionId, BusEvent)> = Vec::new();
        self.last_numbers.set_time(now.unix_ms());
        let mut context = inbound::Context {
            endpoint: &mut self.endpoint,
            settings: &self.settings,
            key: &self.key,
            spellings: &mut self.spellings,
            threads: &self.threads,
            last_numbers: &mut self.last_numbers,
            counters: &mut self.counters,
            actions: &mut self.actions,
            events: &mut events,
            linked: self.link.is_up(),
            now,
        };
        work(&mut self.inbound, &mut context);
        for (session, event) in events {
            self.publish(session, event);
        }
    }

    pub(super) fn with_calls(
        &mut self,
        now: Now,
        work: impl FnOnce(&mut Calls, &mut call::Context<'_>),
    ) {
        let mut events: Vec<(SessionId, BusEvent)> = Vec::new();
        self.last_numbers.set_time(now.unix_ms());
        let mut context = call::Context {
            endpoint: &mut self.endpoint,
            settings: &self.settings,
            spellings: &mut self.spellings,
            mint: &mut self.mint,
            dns: &mut self.dns,
            states: &mut self.states,
            usage: &mut self.usage,
            approvals: &mut self.approvals,
            aliases: &mut self.aliases,
            last_numbers: &mut self.last_numbers,
            actions: &mut self.actions,
            events: &mut events,
            linked: self.link.is_up(),
            now: now.instant,
        };
        work(&mut self.calls, &mut context);
        for (session, event) in events {
            self.publish(session, event);
        }
        self.forget_retired();
    }

    pub(super) fn with_registrations(
        &mut self,
        now: Now,
        work: impl FnOnce(&mut Registrations, &mut registration::Context<'_>),
    ) {
        let mut context = registration::Context {
            endpoint: &mut self.endpoint,
            settings: &self.settings,
            key: &self.key,
            dns: &mut self.dns,
            states: &mut self.states,
            accounts: &mut self.accounts,
            mint: &mut self.mint,
            now: now.instant,
        };
        work(&mut self.registrations, &mut context);
        self.with_keepalives(now, Keepalives::follow);
        self.forget_retired();
    }

    pub(super) fn with_watch(
        &mut self,
        now: Now,
        work: impl FnOnce(&mut Watch, &mut health::Context<'_>),
    ) {
        let mut context = health::Context {
            endpoint: &mut self.endpoint,
            settings: &self.settings,
            dns: &mut self.dns,
            states: &mut self.states,
            mint: &mut self.mint,
            now: now.instant,
        };
        work(&mut self.watch, &mut context);
    }
}
