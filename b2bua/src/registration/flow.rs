//! What becomes of a registration whose flow is gone (RFC 5626 §4.5).

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::pause::fraction;
use super::{Context, Registration, Registrations, Stage};
use crate::sip::hop::ConnectionId;
use crate::sip::uri::{SipUri, Uri};
use crate::sip::{Hop, Response, Transport};
use crate::trunk::FlowId;

impl Registrations {
    /// A stream ended: who was registered on it cannot be reached any more.
    pub fn handle_closed(&mut self, connection: ConnectionId, cx: &mut Context<'_>) {
        let was = |row: &Registration| row.connection == Some(connection);
        for id in self.of(was) {
            if let Some(row) = self.rows.get_mut(&id) {
                row.connection = None;
                if row.stage == Stage::Resting && row.held {
                    if let Some(at) = row.leave_alone(id, cx) {
                        self.timers.set(id, at);
                        continue;
                    }
                    tracing::warn!(
                        trunk = cx.settings.trunks.name(id.trunk),
                        flow = id.number,
                        "the connection of a registration ended"
                    );
                    self.renew(id, "The connection ended.", cx);
                }
            }
        }
    }

    /// A flow a trunk is registered over is dead.
    pub fn handle_dead(&mut self, id: FlowId, why: &str, cx: &mut Context<'_>) {
        let Some(row) = self.rows.get_mut(&id) else {
            return;
        };
        if row.stage == Stage::Resting && row.held {
            row.connection = None;
            self.renew(id, why, cx);
        }
    }

    /// Our own address over UDP is another one: whoever was told the old one is told the new one.
    pub fn handle_moved(&mut self, cx: &mut Context<'_>) {
        let is_udp = |hop: &Hop| hop.transport == Transport::Udp;
        for id in self.of(|row| row.hop.as_ref().is_some_and(is_udp)) {
            cx.states.set_seen(id, None);
            let Some(row) = self.rows.get_mut(&id) else {
                continue;
            };
            row.corrected = false;
            if row.stage == Stage::Resting && row.held && !self.closed {
                // Not everybody at the same moment.
                let soon = Duration::from_millis(fraction(cx.mint, SPREAD));
                self.timers.set(id, cx.now + soon);
            }
        }
    }

    /// Believes a registrar that sees us elsewhere than our Contact says, and tells it so; once, for
    /// a NAT may show us at another place each time (specs 10.3, "symmetric").
    pub(super) fn learn(&mut self, id: FlowId, response: &Response, cx: &mut Context<'_>) {
        let Some(row) = self.rows.get_mut(&id) else {
            return;
        };
        let (Some(hop), Some(contact)) = (&row.hop, &row.contact) else {
            return;
        };
        if !cx.settings.nat.learns || hop.transport != Transport::Udp || self.closed {
            return;
        }
        let Some(seen) = seen_by(response, hop.host.ip()) else {
            return;
        };
        let port = contact.port.unwrap_or(Transport::Udp.default_port());
        if contact.host.ip() == Some(seen.ip()) && port == seen.port() {
            row.corrected = false;
            return;
        }
        cx.states.set_seen(id, Some(seen));
        if std::mem::replace(&mut row.corrected, true) {
            return;
        }
        tracing::info!(
            trunk = cx.settings.trunks.name(id.trunk),
            %seen,
            "the registrar sees us behind a NAT and is told that address"
        );
        self.start(id, cx);
    }

    /// It is registered no more, and registers from the beginning.
    pub(super) fn renew(&mut self, id: FlowId, why: &str, cx: &mut Context<'_>) {
        let Some(row) = self.rows.get_mut(&id) else {
            return;
        };
        row.stage = Stage::Resting;
        row.held = false;
        // Soon, but not everybody at the same moment; where no flow lasts, each time later.
        let longer = row.brief.saturating_sub(1).min(10);
        let most = (SOON * 2_u64.saturating_pow(longer * 2)).min(MOST_SOON);
        let soon = Duration::from_millis(fraction(cx.mint, most));
        cx.states.set_failed(id, why, cx.now + soon);
        self.timers.set(id, cx.now + soon);
    }
}

impl Registration {
    /// Notes that its stream ended. Some registrars close the stream behind each response, and
    /// connect to the Contact when there is something to say: to register again for each of them would
    /// never end. The second time in a row such a registration stays as it is, unless the flow was to
    /// be kept (RFC 5626 §4.2.1). When it is made again then: it may be that the registrar broke down
    /// and knows nothing of it, so rather sooner than planned, each time later.
    fn leave_alone(&mut self, id: FlowId, cx: &mut Context<'_>) -> Option<Instant> {
        let brief = self.since.is_some_and(|since| cx.now < since + BRIEF);
        self.brief = match brief {
            true => self.brief.saturating_add(1),
            false => 0,
        };
        if self.brief < 2 || self.kept {
            return None;
        }
        cx.states.forget_connection(id);
        if self.brief == 2 {
            tracing::info!(
                trunk = cx.settings.trunks.name(id.trunk),
                "the registrar closes its connections; it has to find us by a new one"
            );
        }
        let later = ALONE * 2_u32.saturating_pow((self.brief - 2).min(10));
        let sooner = cx.now + later;
        Some(self.due.map_or(sooner, |due| due.min(sooner)))
    }

    /// The Contact that is to be forgotten when `contact` is taken. A registrar that keeps flows
    /// does so by itself (RFC 5626 §6).
    pub(super) fn former(&self, contact: &Uri) -> Option<&SipUri> {
        let bound = self.bound.as_ref().filter(|_| !self.kept)?;
        (contact.as_sip() != Some(bound)).then_some(bound)
    }

    /// A registrar that takes one Contact only is not asked to forget another; true when it was.
    pub(super) fn forget_former(&mut self) -> bool {
        let asked = self.contact.clone().map(Uri::Sip);
        let had = asked.is_some_and(|contact| self.former(&contact).is_some());
        if had {
            self.bound = None;
        }
        had
    }
}

/// Where a response says that its request came from (RFC 3581 §4).
fn seen_by(response: &Response, peer: Option<IpAddr>) -> Option<SocketAddr> {
    let via = response.top_via()?;
    let (received, rport) = (via.received(), via.rport());
    if received.is_none() && rport.is_none() {
        return None;
    }
    let ip = received.or(via.sent_by.host.ip())?.to_canonical();
    let own = via.sent_by.port.unwrap_or(Transport::Udp.default_port());
    let port = rport.unwrap_or(own);
    let is_usable = port != 0
        && !ip.is_unspecified()
        && !ip.is_multicast()
        && peer.is_none_or(|peer| peer.is_ipv4() == ip.is_ipv4());
    is_usable.then(|| SocketAddr::new(ip, port))
}

/// How long a stream lives at least that was meant to stay.
const BRIEF: Duration = Duration::from_secs(30);
/// After which time a registration whose streams do not last is made again, the first time.
const ALONE: Duration = Duration::from_secs(60);
/// Within how many milliseconds a flow that ended is made again, and the most of it.
const SOON: u64 = 1000;
const MOST_SOON: u64 = 1_800_000;
/// Within how many milliseconds all accounts are told a new address.
const SPREAD: u64 = 5000;

#[cfg(test)]
mod tests;
