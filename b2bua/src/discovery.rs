//! How the world sees our UDP socket: a STUN server is asked now and then (RFC 8489 §6.2.1).
//!
//! What it says stands in Via and Contact wherever nobody has configured another address.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tandem_shared::mint::Mint;

use crate::action::Action;
use crate::dns::{Dns, Located, Place, Whose};
use crate::settings::Settings;
use crate::sip::hop::{Profile, Target, Transmit};
use crate::sip::stun::{Asking, Stun, TransactionId};
use crate::sip::{Hop, Transport};
use crate::trunk::NextHop;

/// What asks.
#[derive(Debug, Default)]
pub struct Discovery {
    stage: Stage,
    timer: Option<Instant>,
    /// What was said last.
    seen: Option<SocketAddr>,
    /// What was said and is news.
    found: Option<SocketAddr>,
    /// Whether it did not answer the last time.
    silent: bool,
}

/// What it works with, lent by the core.
#[derive(Debug)]
pub struct Context<'a> {
    /// What was configured.
    pub settings: &'a Settings,
    /// Where names lead.
    pub dns: &'a mut Dns,
    /// For what must not be guessed.
    pub mint: &'a mut Mint,
    /// What is to be done.
    pub actions: &'a mut VecDeque<Action>,
    /// The time.
    pub now: Instant,
}

#[derive(Debug, Default)]
enum Stage {
    /// Not now.
    #[default]
    Resting,
    /// Its name is being asked for.
    Locating,
    /// Its answer is awaited.
    Asking(Asking, Hop),
}

impl Discovery {
    /// Asks for the first time, if there is somebody to ask.
    pub fn begin(&mut self, cx: &mut Context<'_>) {
        if let Some(server) = cx.settings.nat.stun.clone() {
            self.locate(&server, cx);
        }
    }

    /// A name server answered, or nobody did.
    pub fn handle_located(&mut self, cx: &mut Context<'_>) {
        if matches!(self.stage, Stage::Locating) {
            self.begin(cx);
        }
    }

    /// A STUN answer came; only one of ours means anything.
    pub fn handle_stun(&mut self, source: SocketAddr, stun: Stun, cx: &Context<'_>) {
        let Stage::Asking(asking, hop) = &self.stage else {
            return;
        };
        let is_ours = |id| asking.is(id) && place(hop) == Some(source);
        match stun {
            Stun::Success(id, Some(seen)) if is_ours(id) => {
                self.silent = false;
                self.rest(cx.now);
                if self.seen != Some(seen) {
                    let before = self.seen.map(|before| before.to_string());
                    tracing::info!(%seen, before, "our UDP address as a STUN server sees it");
                    (self.seen, self.found) = (Some(seen), Some(seen));
                }
            }
            Stun::Success(id, None) | Stun::Failure(id) if is_ours(id) => {
                self.miss("It does not say how it sees us.", cx.now);
            }
            Stun::Success(..) | Stun::Failure(_) | Stun::Request(_) => {}
        }
    }

    /// Lets the timer fire, if it is due.
    pub fn handle_timeout(&mut self, cx: &mut Context<'_>) {
        if self.timer.is_none_or(|at| at > cx.now) {
            return;
        }
        self.timer = None;
        match self.stage {
            Stage::Asking(..) => self.ask(cx),
            Stage::Resting | Stage::Locating => self.begin(cx),
        }
    }

    /// When [`Discovery::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timer
    }

    /// Our address as it was seen last.
    #[must_use]
    pub fn seen(&self) -> Option<SocketAddr> {
        self.seen
    }

    /// Our address, when it is another than before.
    pub fn poll_found(&mut self) -> Option<SocketAddr> {
        self.found.take()
    }

    fn locate(&mut self, server: &NextHop, cx: &mut Context<'_>) {
        let wanted = Place {
            host: server.host.clone(),
            port: Some(server.port.unwrap_or(PORT)),
            transport: Some(Transport::Udp),
            tls_name: None,
            profile: Profile::default(),
        };
        let hops = match cx.dns.locate(Whose::All, &wanted, cx.mint, cx.now) {
            Located::Hops(hops) => hops,
            Located::Wait => {
                self.stage = Stage::Locating;
                self.timer = None;
                return;
            }
        };
        // Addresses are translated in IPv4; hardly anybody does so in IPv6.
        let is_v4 = |hop: &&Hop| hop.host.ip().is_some_and(|ip| ip.is_ipv4());
        match hops.iter().find(is_v4).or(hops.first()) {
            Some(hop) => {
                let rto = cx.settings.endpoint.timers.t1;
                let asking = Asking::new(TransactionId::mint(cx.mint), rto);
                self.stage = Stage::Asking(asking, hop.clone());
                self.ask(cx);
            }
            None => self.miss("Its name has no address.", cx.now),
        }
    }

    fn ask(&mut self, cx: &mut Context<'_>) {
        let Stage::Asking(asking, hop) = &mut self.stage else {
            return;
        };
        match asking.send() {
            Some((bytes, pause)) => {
                let (id, target) = (None, Target::Hop(hop.clone()));
                let transmit = Transmit { id, target, bytes };
                cx.actions.push_back(Action::Transmit(transmit));
                self.timer = Some(cx.now + pause);
            }
            None => self.miss("It does not answer.", cx.now),
        }
    }

    /// What was known holds on.
    fn miss(&mut self, why: &str, now: Instant) {
        if !std::mem::replace(&mut self.silent, true) {
            tracing::warn!(why, "the STUN server of sip.stun is of no use");
        }
        self.rest(now);
    }

    fn rest(&mut self, now: Instant) {
        self.stage = Stage::Resting;
        self.timer = Some(now + EVERY);
    }
}

fn place(hop: &Hop) -> Option<SocketAddr> {
    Some(SocketAddr::new(hop.host.ip()?, hop.port))
}

/// How often it is asked.
const EVERY: Duration = Duration::from_secs(60);
/// Where a STUN server listens (RFC 8489 §18.6).
const PORT: u16 = 3478;

#[cfg(test)]
mod tests;
