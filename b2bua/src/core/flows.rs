//! What the core hears of flows: pongs, STUN, and their death.

use super::Core;
use crate::action::Action;
use crate::clock::Now;
use crate::discovery::{self, Discovery};
use crate::keepalive::{Context, Keepalives};
use crate::registration::Registrations;
use crate::sip::hop::{ConnectionId, Flow, Target, Transmit};
use crate::sip::stun::{self, Stun};

impl Core {
    /// The answer to a keep-alive of ours came on a stream.
    pub fn handle_sip_pong(&mut self, flow: Flow, now: Now) {
        if let Flow::Stream { connection, .. } = flow {
            self.with_keepalives(now, |keepalives, cx| keepalives.handle_pong(connection, cx));
        }
    }

    /// A client connected whose certificate, which was verified, speaks for these domains.
    pub fn handle_sip_certified(&mut self, connection: ConnectionId, domains: &[String]) {
        let Some(id) = self.settings.trunks.certified(domains) else {
            return tracing::debug!(?connection, "a client has a certificate of no trunk's");
        };
        let trunk = self.settings.trunks.name(id);
        tracing::info!(?connection, trunk, "a client is known by its certificate");
        self.endpoint.handle_certified(connection, id.guest());
    }

    /// How a STUN server sees our UDP socket, if one was asked.
    #[must_use]
    pub fn discovery(&self) -> Option<std::net::SocketAddr> {
        self.discovery.seen()
    }

    /// A STUN datagram came on a SIP socket. Strangers hear nothing.
    pub(super) fn handle_stun(&mut self, flow: Flow, bytes: &[u8], now: Now) {
        match stun::read(bytes) {
            Some(Stun::Request(id)) if self.settings.endpoint.admission.admits(flow.source()) => {
                // RFC 5626 §8: what a keep-alive wants to know is how we see it.
                let fallback = None;
                self.actions.push_back(Action::Transmit(Transmit {
                    id: None,
                    target: Target::Flow { flow, fallback },
                    bytes: stun::answer(id, flow.peer()),
                }));
            }
            Some(Stun::Request(_)) | None => {}
            Some(answer) => {
                let source = canonical(flow);
                self.with_keepalives(now, |keepalives, cx| {
                    keepalives.handle_stun(source, answer, cx);
                });
                self.with_discovery(now, |discovery, cx| {
                    discovery.handle_stun(source, answer, cx);
                });
            }
        }
        self.drain_sip(now);
    }

    /// Lets `work` at the keep-alives; whoever was registered over a flow that is dead registers again.
    pub(super) fn with_keepalives(
        &mut self,
        now: Now,
        work: impl FnOnce(&mut Keepalives, &mut Context<'_>),
    ) {
        let mut context = Context {
            settings: &self.settings,
            states: &self.states,
            mint: &mut self.mint,
            actions: &mut self.actions,
            now: now.instant,
        };
        work(&mut self.keepalives, &mut context);
        while let Some(dead) = self.keepalives.poll_dead() {
            self.with_registrations(now, |registrations, cx| {
                registrations.handle_dead(dead.flow, dead.why, cx);
            });
        }
    }

    /// Lets `work` at the discovery; what it finds is our address from now on.
    pub(super) fn with_discovery(
        &mut self,
        now: Now,
        work: impl FnOnce(&mut Discovery, &mut discovery::Context<'_>),
    ) {
        let mut context = discovery::Context {
            settings: &self.settings,
            dns: &mut self.dns,
            mint: &mut self.mint,
            actions: &mut self.actions,
            now: now.instant,
        };
        work(&mut self.discovery, &mut context);
        if let Some(public) = self.discovery.poll_found() {
            let moved = self.settings.endpoint.move_udp(public);
            self.endpoint.move_udp(public);
            if moved {
                self.with_registrations(now, Registrations::handle_moved);
            }
        }
    }
}

fn canonical(flow: Flow) -> std::net::SocketAddr {
    std::net::SocketAddr::new(flow.source(), flow.peer().port())
}
