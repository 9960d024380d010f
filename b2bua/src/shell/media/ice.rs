//! ICE of an XMPP leg: checks (RFC 8445 §7), both roles, trickling, restarts (RFC 8445 §9), consent (RFC 7675 §5).
//!
//! A restart runs beside the round before it: sound keeps flowing over the old pair until the new
//! round has one.

use std::net::SocketAddr;
use std::time::Instant;

use is::stun::{StunMessage, StunPacket};
use is::{IceAgent, IceAgentEvent, IceConnectionState, IceCreds, Protocol};
use tandem_shared::media::{Candidate, CandidateKind, IceCredentials, bounds};

use bytes::Bytes;

/// Both rounds of a leg.
pub(super) struct Ice {
    locals: Vec<SocketAddr>,
    tie_breaker: u64,
    round: Round,
    next: Option<Round>,
    /// Candidates of credentials that are not known yet.
    waiting: Vec<(Option<String>, Candidate)>,
    /// What was before: candidates of these come too late.
    past: Vec<String>,
}

/// One round: from its credentials to its end.
struct Round {
    agent: IceAgent,
    sources: Vec<(usize, SocketAddr)>,
    path: Option<Path>,
    deadline: Option<Instant>,
}

/// Where packets go: which of our addresses, and the other side's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) local: usize,
    pub(super) remote: SocketAddr,
}

/// What comes out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A check or an answer to be sent from one of our addresses.
    Packet(Path, Bytes),
    /// Packets of this leg may come from there: a check from there was authentic.
    Source(usize, SocketAddr),
    /// A round got a pair to send over.
    Connected,
    /// The pair in use no longer answers.
    Lost,
}

impl Ice {
    pub(super) fn new(
        credentials: &IceCredentials,
        locals: Vec<SocketAddr>,
        tie_breaker: u64,
    ) -> Self {
        Self {
            round: Round::new(credentials, &locals, tie_breaker),
            locals,
            tie_breaker,
            next: None,
            waiting: Vec::new(),
            past: Vec::new(),
        }
    }

    /// A new round with new local credentials; it waits for those of the other side. Gives back the
    /// local name of a round that was waiting and is now forgotten.
    pub(super) fn restart(&mut self, credentials: &IceCredentials) -> Option<String> {
        let mut round = Round::new(credentials, &self.locals, self.tie_breaker);
        round.agent.set_controlling(self.round.agent.controlling());
        let replaced = if self.round.agent.remote_credentials().is_none() {
            Some(std::mem::replace(&mut self.round, round))
        } else {
            self.next.replace(round)
        };
        replaced.map(|round| round.agent.local_credentials().ufrag.clone())
    }

    /// The other side's credentials and candidates; again with the same: more candidates.
    pub(super) fn connect(
        &mut self,
        credentials: &IceCredentials,
        controlling: bool,
        candidates: Vec<Candidate>,
    ) {
        let known = self.newest_remote();
        if known != Some(credentials.ufrag.as_str()) {
            if let Some(known) = known.map(str::to_owned) {
                if self.past.len() >= PAST {
                    self.past.remove(0);
                }
                self.past.push(known);
            }
            let first = self.round.agent.remote_credentials().is_none();
            if !first && self.next.as_ref().is_none_or(Round::is_connecting) {
                // The other side began anew without being asked to: our credentials stay.
                let own = self.newest().agent.local_credentials();
                let own = IceCredentials {
                    ufrag: own.ufrag.clone(),
                    pwd: own.pass.clone(),
                };
                self.next = Some(Round::new(&own, &self.locals, self.tie_breaker));
            }
            let round = self.newest_mut();
            round.agent.set_controlling(controlling);
            round.agent.set_remote_credentials(IceCreds {
                ufrag: credentials.ufrag.clone(),
                pass: credentials.pwd.clone(),
            });
            let waiting = std::mem::take(&mut self.waiting);
            for (ufrag, candidate) in waiting {
                if ufrag.is_none_or(|ufrag| ufrag == credentials.ufrag) {
                    self.newest_mut().add(&candidate);
                }
            }
        }
        for candidate in candidates {
            self.newest_mut().add(&candidate);
        }
    }

    /// Candidates found later. Those of an earlier round are dropped, those of a coming one kept.
    pub(super) fn add(&mut self, ufrag: Option<String>, candidates: Vec<Candidate>) {
        let pending = self.newest().agent.remote_credentials().is_none();
        let known = self.newest_remote();
        let now = match &ufrag {
            Some(ufrag) => known == Some(ufrag) && !pending,
            None => !pending,
        };
        let late = ufrag.as_ref().is_some_and(|ufrag| {
            self.past.contains(ufrag) || (pending && known == Some(ufrag.as_str()))
        });
        for candidate in candidates {
            if now {
                self.newest_mut().add(&candidate);
            } else if !late && self.waiting.len() < bounds::CANDIDATES {
                self.waiting.push((ufrag.clone(), candidate));
            }
        }
    }

    /// A STUN message for one of our names, or an answer to one of our checks.
    pub(super) fn handle_packet(
        &mut self,
        local: usize,
        source: SocketAddr,
        message: &[u8],
        now: Instant,
    ) -> bool {
        let Some(destination) = self.locals.get(local).copied() else {
            return false;
        };
        for round in self.next.iter_mut().chain([&mut self.round]) {
            let Ok(message) = StunMessage::parse(message) else {
                return false;
            };
            if !round.agent.accepts_message(&message) {
                continue;
            }
            // Each new source costs memory; an honest peer has a handful.
            let known = round.sources.contains(&(local, source));
            if !known && round.sources.len() >= SOURCES {
                return false;
            }
            let packet = StunPacket {
                proto: Protocol::Udp,
                source,
                destination,
                message,
            };
            return round.agent.handle_packet(now, packet);
        }
        false
    }

    /// Runs checks that are due and collects what came of everything before.
    pub(super) fn advance(&mut self, now: Instant, out: &mut Vec<Step>) {
        if let Some(next) = &mut self.next {
            next.advance(now, &self.locals, out);
            if next.path.is_some() {
                if let Some(next) = self.next.take() {
                    self.round = next;
                }
                // The old pair's fate is of no interest.
                out.retain(|step| *step != Step::Lost);
            }
        }
        self.round.advance(now, &self.locals, out);
    }

    /// Where packets go now.
    pub(super) fn path(&self) -> Option<Path> {
        self.round.path
    }

    /// Whether a round is between credentials and its first pair.
    pub(super) fn is_connecting(&self) -> bool {
        let waits = |round: &Round| round.is_connecting() && round.path.is_none();
        waits(&self.round) || self.next.as_ref().is_some_and(waits)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let next = self.next.as_ref().and_then(|round| round.deadline);
        [self.round.deadline, next].into_iter().flatten().min()
    }

    /// The local names that messages are recognised by.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        [Some(&self.round), self.next.as_ref()]
            .into_iter()
            .flatten()
            .map(|round| round.agent.local_credentials().ufrag.as_str())
    }

    fn newest(&self) -> &Round {
        self.next.as_ref().unwrap_or(&self.round)
    }

    fn newest_mut(&mut self) -> &mut Round {
        self.next.as_mut().unwrap_or(&mut self.round)
    }

    fn newest_remote(&self) -> Option<&str> {
        let of = |round: &'_ Round| round.agent.remote_credentials().is_some();
        let round = self.next.as_ref().filter(|next| of(next));
        let credentials = round.unwrap_or(&self.round).agent.remote_credentials();
        credentials.map(|credentials| credentials.ufrag.as_str())
    }
}

impl Round {
    fn new(credentials: &IceCredentials, locals: &[SocketAddr], tie_breaker: u64) -> Self {
        let mut agent = IceAgent::new(IceCreds {
            ufrag: credentials.ufrag.clone(),
            pass: credentials.pwd.clone(),
        });
        agent.set_control_tie_breaker(tie_breaker);
        agent.set_max_candidate_pairs(bounds::CANDIDATES * 2);
        for local in locals {
            if let Ok(candidate) = is::Candidate::host(*local, Protocol::Udp) {
                agent.add_local_candidate(candidate);
            }
        }
        Self {
            agent,
            sources: Vec::new(),
            path: None,
            deadline: None,
        }
    }

    fn is_connecting(&self) -> bool {
        self.agent.remote_credentials().is_some()
    }

    fn add(&mut self, candidate: &Candidate) {
        let kind = match candidate.kind {
            CandidateKind::Host => is::CandidateKind::Host,
            CandidateKind::ServerReflexive => is::CandidateKind::ServerReflexive,
            CandidateKind::PeerReflexive => is::CandidateKind::PeerReflexive,
            CandidateKind::Relayed => is::CandidateKind::Relayed,
        };
        let ip = candidate.ip;
        let nowhere = ip.is_unspecified() || ip.is_multicast() || candidate.port == 0;
        let full = self.agent.remote_candidates().count() >= bounds::CANDIDATES;
        if candidate.component != 1 || nowhere || full {
            return;
        }
        self.agent.add_remote_candidate(is::Candidate::from_parts(
            candidate.foundation.clone(),
            1,
            Protocol::Udp,
            candidate.priority,
            SocketAddr::new(ip, candidate.port),
            kind,
            candidate.related.map(SocketAddr::from),
            None,
            None,
        ));
    }

    fn advance(&mut self, now: Instant, locals: &[SocketAddr], out: &mut Vec<Step>) {
        let at = |address: SocketAddr| locals.iter().position(|local| *local == address);
        self.agent.handle_timeout(now);
        while let Some(transmit) = self.agent.poll_transmit() {
            if let Some(local) = at(transmit.source) {
                let remote = transmit.destination;
                let bytes = Vec::from(transmit.contents).into();
                out.push(Step::Packet(Path { local, remote }, bytes));
            }
        }
        while let Some(event) = self.agent.poll_event() {
            match event {
                IceAgentEvent::DiscoveredRecv { source, .. } => {
                    // The agent does not say on which of our addresses; any of the family will do.
                    for (local, address) in locals.iter().enumerate() {
                        if address.is_ipv4() == source.is_ipv4() && self.sources.len() < SOURCES {
                            self.sources.push((local, source));
                            out.push(Step::Source(local, source));
                        }
                    }
                }
                IceAgentEvent::NominatedSend {
                    source,
                    destination: remote,
                    ..
                } => {
                    if let Some(local) = at(source) {
                        let first = self.path.is_none();
                        self.path = Some(Path { local, remote });
                        if first {
                            out.push(Step::Connected);
                        }
                    }
                }
                IceAgentEvent::IceConnectionStateChange(IceConnectionState::Disconnected) => {
                    if self.path.take().is_some() {
                        out.push(Step::Lost);
                    }
                }
                IceAgentEvent::IceConnectionStateChange(_) | IceAgentEvent::IceRestart(_) => {}
            }
        }
        self.deadline = self.agent.poll_timeout();
    }
}

/// The name a check is addressed to, and the transaction of an answer.
pub(super) enum Recipient {
    /// The local name in a request.
    Name(String),
    /// The transaction of an answer.
    Transaction([u8; 12]),
}

/// For whom a STUN message is; cheap, and nothing is believed yet.
pub(super) fn recipient(message: &[u8]) -> Option<Recipient> {
    let parsed = StunMessage::parse(message).ok()?;
    if parsed.is_binding_request() {
        let (local, _) = parsed.split_username()?;
        return Some(Recipient::Name(local.to_owned()));
    }
    transaction(message).map(Recipient::Transaction)
}

/// The transaction of a STUN message.
pub(super) fn transaction(message: &[u8]) -> Option<[u8; 12]> {
    message.get(8..20)?.try_into().ok()
}

/// Whether a message of ours asks for an answer.
pub(super) fn is_request(message: &[u8]) -> bool {
    message.get(..2) == Some(&[0, 1])
}

/// Addresses of one round that authentic checks came from.
const SOURCES: usize = 32;
/// Names of earlier rounds that are remembered.
const PAST: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(ufrag: &str) -> IceCredentials {
        IceCredentials {
            ufrag: ufrag.into(),
            pwd: "p".repeat(22),
        }
    }

    fn candidate(port: u16) -> Candidate {
        Candidate {
            foundation: "1".into(),
            component: 1,
            priority: 1,
            ip: [192, 0, 2, 1].into(),
            port,
            kind: CandidateKind::Host,
            related: None,
            generation: 0,
        }
    }

    #[test]
    fn candidates_of_the_past_are_dropped_and_those_to_come_are_kept() {
        let locals = vec!["203.0.113.1:5000".parse().unwrap()];
        let mut ice = Ice::new(&credentials("own"), locals, 1);
        ice.connect(&credentials("first"), true, Vec::new());
        ice.connect(&credentials("second"), true, Vec::new());
        let late = (1..=40).map(candidate).collect();
        ice.add(Some("first".into()), late);
        assert_eq!(ice.waiting, []);
        let early = (1..=40).map(candidate).collect();
        ice.add(Some("third".into()), early);
        assert_eq!(ice.waiting.len(), bounds::CANDIDATES);
        ice.connect(&credentials("third"), true, Vec::new());
        assert_eq!(ice.waiting, []);
        let count = ice.newest().agent.remote_candidates().count();
        assert_eq!(count, bounds::CANDIDATES);
    }
}
