//! The core of tandem-b2bua: packets and envelopes in, actions out; no I/O, no clock.
//!
//! After every `handle_*` drain [`Core::poll_action`] to the end, and call [`Core::handle_timeout`]
//! at [`Core::poll_timeout`]. It routes and holds no rules of its own.

use std::collections::VecDeque;
use std::time::Instant;

use tandem_shared::bus::link::{Link, Output};
use tandem_shared::bus::{Incoming, NodeId, SessionId};
use tandem_shared::event::Event as BusEvent;
use tandem_shared::mint::Mint;

use crate::account::Accounts as OwnAccounts;
use crate::action::{Action, Record};
use crate::alias::Aliases;
use crate::call::Calls;
use crate::clock::Now;
use crate::counters::Counters;
use crate::discovery::Discovery;
use crate::dns::{Answer, Dns, Query};
use crate::health::{self, Watch};
use crate::keepalive::Keepalives;
use crate::last_number::LastNumbers;
use crate::media;
use crate::message::inbound::Inbound;
use crate::message::outbound::{Accounts, Outbound};
use crate::message::thread::Threads;
use crate::notice::Notices;
use crate::policy::{Approvals, Usage};
use crate::refusal;
use crate::registration::{self, Registrations};
use crate::settings::Settings;
use crate::sip::digest::Digest;
use crate::sip::endpoint::{self, ClientToken, Event as SipEvent};
use crate::sip::hop::{ConnectionId, Flow, NotSent, TransmitId};
use crate::sip::{Endpoint, Method, Response, Status, stun};
use crate::spelling::Spellings;
use crate::trunk::{Pattern, States, Trunk, Trunks};

/// Everything tandem-b2bua knows and decides.
#[derive(Debug)]
pub struct Core {
    settings: Settings,
    key: [u8; 16],
    mint: Mint,
    endpoint: Endpoint,
    link: Link,
    outbound: Outbound,
    inbound: Inbound,
    calls: Calls,
    spellings: Spellings,
    threads: Threads,
    accounts: Accounts,
    own_accounts: OwnAccounts,
    dns: Dns,
    states: States,
    registrations: Registrations,
    watch: Watch,
    usage: Usage,
    approvals: Approvals,
    aliases: Aliases,
    last_numbers: LastNumbers,
    notices: Notices,
    keepalives: Keepalives,
    discovery: Discovery,
    counters: Counters,
    actions: VecDeque<Action>,
}

mod accounts;
mod approve;
mod ask;
mod flows;
mod lend;

impl Core {
    /// A core that knows nothing yet. `key` is the installation's own, the same in every run;
    /// `epoch` differs in every run.
    #[must_use]
    pub fn new(settings: Settings, mut mint: Mint, key: [u8; 16], epoch: u64) -> Self {
        let seed = mint.number().to_le_bytes();
        let digests = settings.mapping.digests();
        Self {
            endpoint: Endpoint::new(settings.endpoint.clone(), Mint::new(seed)),
            link: Link::new(NodeId("b2bua".to_owned()), epoch, digests),
            accounts: accounts(&settings),
            settings,
            key,
            mint,
            outbound: Outbound::default(),
            inbound: Inbound::default(),
            calls: Calls::default(),
            spellings: Spellings::default(),
            threads: Threads::default(),
            own_accounts: OwnAccounts::default(),
            dns: Dns::default(),
            states: States::default(),
            registrations: Registrations::default(),
            watch: Watch::default(),
            usage: Usage::default(),
            approvals: Approvals::default(),
            aliases: Aliases::default(),
            last_numbers: LastNumbers::default(),
            notices: Notices::default(),
            keepalives: Keepalives::default(),
            discovery: Discovery::default(),
            counters: Counters::default(),
            actions: VecDeque::new(),
        }
    }

    /// Takes back what the store held, oldest first.
    pub fn restore(&mut self, rows: impl IntoIterator<Item = Record>, now: Now) {
        for row in rows {
            match row {
                Record::Answered {
                    request,
                    status,
                    at,
                } => self.inbound.restore(request, status, at),
                Record::Spelling { folded, user } => self.spellings.restore(folded, user),
                Record::Account { user, account } => self.restore_account(&user, &account, now),
                Record::Approval(approval) => self.approvals.restore(*approval),
                Record::Alias(pair) => self.aliases.restore(pair),
                Record::LastNumber(row) => self.last_numbers.restore(row),
            }
        }
    }

    /// Begins what it does by itself: registrations, and looking whether trunks are there.
    pub fn begin(&mut self, now: Now) {
        self.with_discovery(now, Discovery::begin);
        let numbers = |trunk: &Trunk| {
            let mut patterns = trunk.patterns.iter();
            patterns.any(|pattern| matches!(pattern, Pattern::Prefix(_) | Pattern::Number(_)))
        };
        let closed = !self.settings.policy.opens_any();
        if closed && self.settings.trunks.iter().any(|(_, trunk)| numbers(trunk)) {
            tracing::warn!(
                "trunks take numbers, but no number with a plus may be reached; \
                set numbering.country or policy.allow"
            );
        }
        self.with_registrations(now, Registrations::begin);
        self.with_watch(now, Watch::begin);
        self.drain_sip(now);
    }

    /// One datagram, or one message of a stream.
    pub fn handle_sip_packet(&mut self, flow: Flow, bytes: &[u8], now: Now) {
        if matches!(flow, Flow::Udp { .. }) && stun::is_stun(bytes) {
            return self.handle_stun(flow, bytes, now);
        }
        self.endpoint.handle_packet(flow, bytes, now.instant);
        self.drain_sip(now);
    }

    /// The sockets gave a request to this connection.
    pub fn handle_sip_bound(&mut self, id: TransmitId, connection: ConnectionId) {
        self.endpoint.handle_bound(id, connection);
        let token = ClientToken(id.0);
        if registration::owns(token) {
            self.registrations.handle_bound(token, connection);
        }
    }

    /// The sockets could not send a request.
    pub fn handle_sip_send_failed(&mut self, id: TransmitId, reason: NotSent, now: Now) {
        self.endpoint.handle_send_failed(id, reason, now.instant);
        self.drain_sip(now);
    }

    /// A connection ended.
    pub fn handle_sip_closed(
        &mut self,
        connection: ConnectionId,
        reason: NotSent,
        unsent: &[TransmitId],
        now: Now,
    ) {
        self.endpoint
            .handle_closed(connection, reason, unsent, now.instant);
        self.with_registrations(now, |registrations, cx| {
            registrations.handle_closed(connection, cx);
        });
        self.drain_sip(now);
    }

    /// Something came from the bus.
    pub fn handle_bus(&mut self, incoming: Incoming, now: Now) {
        match incoming {
            Incoming::Connected => self.link.handle_connected(now.instant),
            Incoming::Disconnected => self.link.handle_disconnected(),
            Incoming::Envelope(envelope) => {
                if let Some((session, event)) = self.link.handle_envelope(*envelope, now.instant) {
                    self.handle_event(session, event, now);
                }
            }
        }
        self.drain_link(now);
        self.drain_sip(now);
    }

    /// The name servers answered a question, or did not.
    pub fn handle_dns(&mut self, query: Query, answer: Answer, now: Now) {
        self.dns.handle_answer(query, answer, now.instant);
        self.with_outbound(now, Outbound::handle_located);
        self.with_calls(now, Calls::handle_located);
        self.with_registrations(now, Registrations::handle_located);
        self.with_watch(now, Watch::handle_located);
        self.with_discovery(now, Discovery::handle_located);
        self.drain_sip(now);
    }

    /// Media says something.
    pub fn handle_media(&mut self, event: media::Event, now: Now) {
        self.with_calls(now, |calls, cx| calls.handle_media(event, cx));
        self.drain_sip(now);
    }

    /// The bus did not take an event.
    pub fn handle_bus_refused(&mut self, event: &BusEvent, now: Now) {
        if let BusEvent::Message(message) = event {
            if !self.notices.handle_unpublished(&message.id, now.instant) {
                self.with_inbound(now, |inbound, cx| {
                    inbound.handle_unpublished(&message.id, cx)
                });
            }
            self.drain_sip(now);
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Now) {
        self.endpoint.handle_timeout(now.instant);
        self.link.handle_timeout(now.instant);
        self.with_outbound(now, Outbound::handle_timeout);
        self.with_inbound(now, Inbound::handle_timeout);
        self.with_calls(now, Calls::handle_timeout);
        self.with_registrations(now, Registrations::handle_timeout);
        self.with_watch(now, Watch::handle_timeout);
        self.with_keepalives(now, Keepalives::handle_timeout);
        self.with_discovery(now, Discovery::handle_timeout);
        self.drain_link(now);
        self.drain_sip(now);
    }

    /// The process is about to end: nothing new is sent or taken.
    pub fn close(&mut self, now: Now) {
        self.outbound.close();
        self.inbound.close();
        self.calls.close();
        self.watch.close();
        self.keepalives.close();
        self.with_registrations(now, Registrations::close);
        self.drain_sip(now);
    }

    /// How many requests of ours wait for a final response.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.outbound.in_flight() + self.registrations.in_flight()
    }

    /// The process ends: who waits for an answer gets one, and the XMPP side is told.
    pub fn end(&mut self, now: Now) {
        self.with_inbound(now, Inbound::end);
        self.with_calls(now, Calls::end);
        self.drain_sip(now);
        self.link.say_goodbye();
        self.drain_link(now);
    }

    /// When [`Core::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        [
            self.endpoint.poll_timeout(),
            self.link.poll_timeout(),
            self.outbound.poll_timeout(),
            self.inbound.poll_timeout(),
            self.calls.poll_timeout(),
            self.registrations.poll_timeout(),
            self.watch.poll_timeout(),
            self.keepalives.poll_timeout(),
            self.discovery.poll_timeout(),
            // Without the XMPP side nobody could be told.
            self.notices.poll_timeout().filter(|_| self.link.is_up()),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> (&Counters, &endpoint::Counters) {
        (&self.counters, self.endpoint.counters())
    }

    /// How many messages of XMPP users have no outcome yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.outbound.waiting()
    }

    /// All trunks.
    #[must_use]
    pub fn trunks(&self) -> &Trunks {
        &self.settings.trunks
    }

    /// How they are.
    #[must_use]
    pub fn states(&self) -> &States {
        &self.states
    }

    /// How many calls there are, and how many sessions of the SIP side, ending ones included.
    #[must_use]
    pub fn calls(&self) -> (usize, usize) {
        self.calls.open()
    }

    /// How many calls are for several users, and how many users those are.
    #[cfg(test)]
    pub(crate) fn forks(&self) -> (usize, usize) {
        self.calls.forks()
    }

    fn handle_event(&mut self, session: SessionId, event: BusEvent, now: Now) {
        match event {
            BusEvent::Message(message) if self.settings.mapping.is_gateway(&message.to) => {
                self.hear_word(&message, session, now);
            }
            BusEvent::Message(message) => {
                self.with_outbound(now, |outbound, cx| {
                    outbound.handle_message(message, session, cx)
                });
            }
            BusEvent::MessageOutcome(outcome) if self.notices.owns(&outcome.id) => {
                self.hear_of_notice(&outcome, now);
            }
            BusEvent::MessageOutcome(outcome) => {
                self.with_inbound(now, |inbound, cx| inbound.handle_outcome(outcome, cx));
            }
            BusEvent::Call(event) => {
                self.with_calls(now, |calls, cx| calls.handle_fact(*event, cx));
            }
            BusEvent::Account(event) => self.handle_account(*event, now),
            BusEvent::Control(_) => {}
            BusEvent::Unknown(kind) => tracing::debug!(kind, "an event of a newer node"),
        }
    }

    fn drain_link(&mut self, now: Now) {
        while let Some(output) = self.link.poll_output() {
            match output {
                Output::Send(envelope) => self.actions.push_back(Action::Publish(envelope)),
                Output::Up(peer) => {
                    tracing::info!(%peer, "the XMPP side is there");
                    self.notices.handle_up();
                    self.with_inbound(now, Inbound::publish_again);
                    self.with_outbound(now, Outbound::handle_up);
                }
                Output::Lost(peer) => {
                    tracing::warn!(%peer, "the XMPP side is gone");
                    self.with_calls(now, Calls::handle_lost);
                }
                Output::Close(mismatch) => {
                    if let Some(mismatch) = mismatch {
                        tracing::error!(
                            ?mismatch,
                            "the two processes do not fit; \
                            [mapping] must be the same in both configurations"
                        );
                    }
                    self.actions.push_back(Action::CloseBus);
                }
            }
        }
    }

    /// Hands on what the endpoint has, until it has nothing more.
    fn drain_sip(&mut self, now: Now) {
        self.drain_endpoint(now);
        self.drain_notices(now);
        while let Some(query) = self.dns.poll_query() {
            self.actions.push_back(Action::Resolve(query));
        }
    }

    fn drain_endpoint(&mut self, now: Now) {
        while let Some(event) = self.endpoint.poll_event() {
            let mut rest = None;
            self.with_calls(now, |calls, cx| rest = calls.handle_sip(event, cx));
            let Some(event) = rest else {
                continue;
            };
            match event {
                SipEvent::Request {
                    token,
                    request,
                    source,
                } if request.method == Method::Message => self.with_inbound(now, |inbound, cx| {
                    inbound.handle_request(token, request, source, cx);
                }),
                SipEvent::Request {
                    token,
                    request,
                    source,
                } if request.method == Method::Invite => self.with_calls(now, |calls, cx| {
                    calls.handle_invite(token, request, source, cx);
                }),
                SipEvent::Request { token, request, .. } => {
                    let response = if request.method == Method::Options {
                        refusal::capabilities(&request)
                    } else {
                        // What belongs to a call belongs into its dialog.
                        Response::to(&request, Status::NO_SUCH_TRANSACTION)
                    };
                    self.endpoint.respond(token, response, now.instant);
                }
                SipEvent::Provisional { .. }
                | SipEvent::Over { .. }
                | SipEvent::Ack { .. }
                | SipEvent::Cancelled { .. } => {}
                SipEvent::Response { token, response } if registration::owns(token) => {
                    self.with_registrations(now, |registrations, cx| {
                        registrations.handle_response(token, &response, cx);
                    });
                }
                SipEvent::Response { token, response } if health::owns(token) => {
                    self.with_watch(now, |watch, cx| watch.handle_response(token, &response, cx));
                }
                SipEvent::Failed { token, failure } if registration::owns(token) => {
                    self.with_registrations(now, |registrations, cx| {
                        registrations.handle_failed(token, failure, cx);
                    });
                }
                SipEvent::Failed { token, failure } if health::owns(token) => {
                    self.with_watch(now, |watch, cx| watch.handle_failed(token, failure, cx));
                }
                SipEvent::Response { token, response } => {
                    self.with_outbound(now, |outbound, cx| {
                        outbound.handle_response(token, &response, cx)
                    });
                }
                SipEvent::Failed { token, failure } => {
                    self.with_outbound(now, |outbound, cx| {
                        outbound.handle_failed(token, failure, cx)
                    });
                }
            }
        }
        while let Some(transmit) = self.endpoint.poll_transmit() {
            self.actions.push_back(Action::Transmit(transmit));
        }
    }

    /// Says `event` to the XMPP side if it is there. An outcome nobody hears is asked for again.
    fn publish(&mut self, session: SessionId, event: BusEvent) {
        if self.link.is_up() {
            let envelope = self.link.envelope(session, event);
            self.actions.push_back(Action::Publish(envelope));
        }
    }
}

fn accounts(settings: &Settings) -> Accounts {
    let trunks = settings.trunks.iter();
    let accounts = trunks.filter_map(|(id, trunk)| Some((id, trunk.credentials.clone()?)));
    accounts
        .map(|(id, credential)| (id, Digest::new(credential)))
        .collect()
}

#[cfg(test)]
pub(crate) mod bench;
#[cfg(test)]
pub(crate) mod heard;
#[cfg(test)]
mod tests;
