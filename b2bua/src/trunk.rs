//! The ways out to SIP, and who may come in by them (the configuration's `[[trunk]]`).
//!
//! Closed by default: a contact that no pattern takes does not exist, a source that no trunk names
//! is not heard.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tandem_shared::address::{Address, host_to_ascii};
use tandem_shared::mint;
use tandem_shared::refusal::{Reason, Refusal};

use crate::call::negotiate::Policy;
use crate::dns::Place;
use crate::number::{Format, Plan};
use crate::sip::digest::Credential;
use crate::sip::endpoint::LINE;
use crate::sip::endpoint::{Guest, Source};
use crate::sip::hop::Profile;
use crate::sip::uri::{Host, SipUri, Uri};
use crate::sip::{Hop, Request, Transport};

mod gate;
mod guest;
pub mod network;
mod own;
pub mod pattern;
pub mod reach;
pub mod state;
pub mod ways;

pub use gate::Gate;
pub use network::Network;
pub use pattern::Pattern;
pub use state::{FlowId, Health, Registered, State, States};
pub use ways::{Guide, PATIENCE, Step, Ways};

use own::Own;

/// One way out.
#[derive(Debug, Clone)]
pub struct Trunk {
    /// For logs.
    pub name: String,
    /// Which contacts it takes.
    pub patterns: Vec<Pattern>,
    /// Lowest first among trunks whose patterns fit equally well.
    pub priority: u16,
    /// Its share among those of the same priority.
    pub weight: u16,
    /// Where its requests go; the contact's own host when absent.
    pub next_hop: Option<NextHop>,
    /// How they go; as its name servers say when absent (RFC 3263 §4.1).
    pub transport: Option<Transport>,
    /// The name its certificate must bear, if not that of the next hop.
    pub tls_name: Option<Box<str>>,
    /// How it is connected to over TLS and WebSocket.
    pub profile: Profile,
    /// The host of URIs of numbers; that of the next hop when absent.
    pub domain: Option<Host>,
    /// Whether names of contacts may lead into the own network.
    pub allow_private: bool,
    /// Who our users are there.
    pub identity: Identity,
    /// How it says who they are beside From.
    pub asserts: Asserts,
    /// What it learns of callers that are hidden.
    pub privacy: Privacy,
    /// How numbers are written toward it.
    pub format: Format,
    /// How it writes numbers.
    pub inbound_format: Format,
    /// By which plan both are done.
    pub plan: Plan,
    /// Digits before every number that is called, as for an outside line.
    pub prefix: String,
    /// The account that answers its challenges.
    pub credentials: Option<Credential>,
    /// Whether texts that are too long go in parts.
    pub split: bool,
    /// Whether parts of a text that come from it are joined.
    pub join: bool,
    /// Most bytes of a request over a stream.
    pub max_size: usize,
    /// How requests go that are too large for UDP; nothing when they do not.
    pub large: Option<Transport>,
    /// Whether it has to be told where we are.
    pub register: Option<Register>,
    /// The user of our Contact there; who calls it means us, and this trunk.
    pub line: String,
    /// How often it is asked whether it is there.
    pub keepalive: Option<Duration>,
    /// How often a datagram keeps the way to us open, where it is registered over UDP.
    pub nat_keepalive: Option<Duration>,
    /// Most calls on it; 0 for no bound.
    pub channels: usize,
    /// Whose requests it lets in.
    pub inbound: Vec<Network>,
    /// The domain whose certificate lets it in from anywhere.
    pub peer_name: Option<Box<str>>,
    /// The account by which it comes in from anywhere.
    pub inbound_account: Option<Credential>,
    /// What it allows of the media of calls.
    pub media: Policy,
    /// Whether P-Asserted-Identity names the sender (RFC 3325 §4).
    pub trust_identity: bool,
    /// The user whose own account it is: nobody else calls by it, and who calls it means that user.
    pub owner: Option<Address>,
}

/// How a trunk is told who calls, beside From.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asserts {
    /// Not at all.
    Nothing,
    /// P-Asserted-Identity: it trusts us (RFC 3325 §9.1).
    Asserted,
    /// P-Preferred-Identity: it knows us and may choose (RFC 3325 §9.2).
    Preferred,
    /// Remote-Party-ID, for old ones.
    RemoteParty,
}

/// What a trunk learns of callers that are hidden (RFC 3323 §4; RFC 3325 §7).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Privacy {
    /// Who they are, and that it has to keep that to itself.
    #[default]
    Pass,
    /// Nothing: it is not trusted with it.
    Withhold,
    /// As with `Pass`, of all callers: all are hidden.
    Always,
    /// Nothing, for it cannot hide anybody: hidden callers do not take it.
    Never,
}

/// How we register at a trunk (RFC 3261 §10.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Register {
    /// The user whose address is registered.
    pub user: String,
    /// For how many seconds.
    pub expires: u32,
    /// Whether flows are asked for (RFC 5626).
    pub outbound: bool,
    /// How many are kept at once, each to another server, where the registrar keeps flows.
    pub flows: u8,
}

/// A host with an optional port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextHop {
    /// The name to resolve, or the address.
    pub host: Host,
    /// The port, if not the transport's own.
    pub port: Option<u16>,
}

/// What stands in From.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// `sip:juliet%40example.com@` and the gateway's domain.
    User,
    /// The user's number; users without one are refused.
    Number,
    /// Always the same URI.
    Fixed(Uri),
}

/// All trunks.
#[derive(Debug, Clone, Default)]
pub struct Trunks {
    trunks: Vec<Trunk>,
    own: Own,
    gate: Arc<Gate>,
}

/// Which trunk, for as long as the process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrunkId(usize);

impl Trunks {
    /// The trunks, in the order of the configuration.
    #[must_use]
    pub fn new(trunks: Vec<Trunk>) -> Self {
        let named = trunks.iter().flat_map(|trunk| trunk.inbound.clone());
        Self {
            gate: Arc::new(Gate::new(named.collect())),
            own: Own::default(),
            trunks,
        }
    }

    /// Who is let in, for those who ask it of each packet.
    #[must_use]
    pub fn gate(&self) -> Arc<Gate> {
        Arc::clone(&self.gate)
    }

    /// The trunks of `user` to `contact`: the user's own that take it, else those of all users.
    ///
    /// # Errors
    /// As [`Trunks::find`].
    pub fn find_for(
        &self,
        user: &Address,
        contact: &Address,
        own: &str,
    ) -> Result<Vec<TrunkId>, Refusal> {
        let found = best(self.own.of(user), contact, own);
        match found.is_empty() {
            true => self.find(contact, own),
            false => Ok(found),
        }
    }

    /// The trunks of all users to `contact`: those whose pattern fits best.
    ///
    /// # Errors
    /// `item-not-found` when no trunk takes it.
    pub fn find(&self, contact: &Address, own: &str) -> Result<Vec<TrunkId>, Refusal> {
        let all = self.trunks.iter().enumerate();
        let found = best(all.map(|(at, trunk)| (TrunkId(at), trunk)), contact, own);
        match found.is_empty() {
            true => {
                Err(Refusal::new(Reason::ItemNotFound).with_text("No route leads to this address."))
            }
            false => Ok(found),
        }
    }

    /// The trunk itself.
    #[must_use]
    pub fn get(&self, id: TrunkId) -> Option<&Trunk> {
        match own::is_own(id) {
            true => self.own.get(id),
            false => self.trunks.get(id.0),
        }
    }

    /// All of them: those of the configuration in its order, then users' own.
    pub fn iter(&self) -> impl Iterator<Item = (TrunkId, &Trunk)> {
        let trunks = self.trunks.iter().enumerate();
        let trunks = trunks.map(|(at, trunk)| (TrunkId(at), trunk));
        trunks.chain(self.own.iter())
    }

    /// Takes in a user's own.
    pub fn add_own(&mut self, trunk: Trunk) -> TrunkId {
        self.own.add(trunk)
    }

    /// From now on nothing new goes or comes by a user's own trunk.
    pub fn retire_own(&mut self, id: TrunkId) {
        self.own.retire(id);
    }

    /// Nothing needs a user's own trunk any more.
    pub fn forget_own(&mut self, id: TrunkId) {
        self.own.forget(id);
        self.gate.shut(id);
    }

    /// What the trunk is called, for logs.
    #[must_use]
    pub fn name(&self, id: TrunkId) -> &str {
        self.get(id).map_or("", |trunk| &trunk.name)
    }

    /// The trunk of this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<TrunkId> {
        let at = self.trunks.iter().position(|trunk| trunk.name == name);
        at.map(TrunkId)
    }

    /// From now on lets in what comes from where a flow is registered; tells whether it has moved, and whether
    /// there is a former place.
    pub fn welcome(&self, id: FlowId, source: IpAddr) -> (bool, bool) {
        self.gate.open(id, source)
    }

    /// Lets in no more than a flow needs: where it is, if it is registered, and where it was, if it has calls.
    /// Tells whether there is such a former place.
    pub fn review(&self, id: FlowId, is_registered: bool, has_calls: bool) -> bool {
        self.gate.review(id, is_registered, has_calls)
    }

    /// The trunk a request from `source` came by: the one whose credentials or certificate it has, else
    /// the one it names with its Request-URI, else the one with the narrowest range, else the first
    /// that is registered there. A user's own has to be named, and by name comes after all others.
    #[must_use]
    pub fn of(&self, request: &Request, source: Source) -> Option<(TrunkId, &Trunk)> {
        if let Some(Guest(number)) = source.guest {
            let id = TrunkId(number);
            return Some((id, self.get(id)?));
        }
        let uri = request.uri.as_sip();
        self.of_source(source.address(), uri.and_then(SipUri::raw_user))
    }

    fn of_source(&self, source: IpAddr, user: Option<&str>) -> Option<(TrunkId, &Trunk)> {
        if let Some(found) = user.and_then(|user| self.own.by_line(user)) {
            return Some(found);
        }
        let narrowest = |trunk: &Trunk| {
            let holding = trunk
                .inbound
                .iter()
                .filter(|network| network.contains(source));
            holding.map(Network::bits).max()
        };
        let registered = |id: TrunkId| self.gate.is_welcome(id, source);
        let mut best: Option<((TrunkId, &Trunk), u8)> = None;
        for (at, trunk) in self.trunks.iter().enumerate() {
            let id = TrunkId(at);
            let Some(bits) = narrowest(trunk).or_else(|| registered(id).then_some(0)) else {
                continue;
            };
            if user == Some(trunk.line.as_str()) {
                return Some((id, trunk));
            }
            if best.is_none_or(|(_, other)| bits > other) {
                best = Some(((id, trunk), bits));
            }
        }
        let found = best.map(|(found, _)| found);
        found.or_else(|| self.own_by_name(source, user?))
    }

    /// The user's own trunk that its registrar names by what is registered there, instead of our Contact.
    fn own_by_name(&self, source: IpAddr, user: &str) -> Option<(TrunkId, &Trunk)> {
        let there = self.gate.registered_at(source).into_iter();
        let mut there = there.filter_map(|id| Some((id, self.own.get(id)?)));
        there.find(|(_, trunk)| {
            let register = trunk.register.as_ref();
            register.is_some_and(|register| register.user == user)
        })
    }
}

/// Those of `trunks` whose pattern fits `contact` best.
fn best<'a>(
    trunks: impl Iterator<Item = (TrunkId, &'a Trunk)>,
    contact: &Address,
    own: &str,
) -> Vec<TrunkId> {
    let mut found: Vec<TrunkId> = Vec::new();
    let mut best = 0;
    for (id, trunk) in trunks {
        let fits = trunk.patterns.iter().filter_map(|it| it.fit(contact, own));
        let Some(fit) = fits.max() else {
            continue;
        };
        if fit > best {
            found.clear();
            best = fit;
        }
        if fit == best {
            found.push(id);
        }
    }
    found
}

/// The user part by which a trunk is named in our Contact: the same in every run, so that a
/// registration that outlived us still finds us.
fn line(name: &str) -> String {
    let hash = mint::hash(&[0; 16], &[b"line", name.as_bytes()]);
    let token: String = mint::base32(hash).chars().take(12).collect();
    format!("{LINE}{token}")
}

impl Trunk {
    /// A trunk with the defaults of the configuration, which leads nowhere yet.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            patterns: Vec::new(),
            priority: 0,
            weight: 1,
            next_hop: None,
            transport: None,
            tls_name: None,
            profile: Profile::default(),
            domain: None,
            allow_private: false,
            identity: Identity::User,
            asserts: Asserts::Nothing,
            privacy: Privacy::Pass,
            format: Format::Plus,
            inbound_format: Format::Plus,
            plan: Plan::default(),
            prefix: String::new(),
            credentials: None,
            split: false,
            join: true,
            max_size: 8192,
            large: Some(Transport::Tcp),
            register: None,
            line: line(name),
            keepalive: None,
            nat_keepalive: None,
            channels: 0,
            inbound: Vec::new(),
            peer_name: None,
            inbound_account: None,
            media: Policy::default(),
            trust_identity: false,
            owner: None,
        }
    }

    /// Whether what comes by it tells how `contact` is spelled: a user's own only of its provider's.
    #[must_use]
    pub fn knows_spelling(&self, contact: &Address) -> bool {
        let domain = self.domain.as_ref().map(ToString::to_string);
        self.owner.is_none() || domain.as_deref() == Some(contact.host.as_str())
    }

    /// A number as this trunk is to see it; what is no global one stays as it is.
    #[must_use]
    pub fn write_number(&self, number: &str) -> String {
        match number.starts_with('+') {
            true => self.plan.write(number, self.format),
            false => number.to_owned(),
        }
    }

    /// A number to be called as this trunk is to see it.
    #[must_use]
    pub fn dial(&self, number: &str) -> String {
        format!("{}{}", self.prefix, self.write_number(number))
    }

    /// A number this trunk wrote, in its global form where that is known.
    #[must_use]
    pub fn read_number(&self, text: &str) -> Option<String> {
        self.plan.read(text, self.inbound_format)
    }

    /// Where requests to `contact` go.
    ///
    /// # Errors
    /// `jid-malformed` when the contact's host has no form in DNS.
    pub fn place(&self, contact: &Address) -> Result<Place, Refusal> {
        let (host, port) = match &self.next_hop {
            Some(next) => (next.host.clone(), next.port),
            None => (host_of(contact)?, None),
        };
        Ok(Place {
            host,
            port,
            transport: self.transport,
            tls_name: self.tls_name.clone(),
            profile: self.profile,
        })
    }

    /// The same place as `hop` over another transport: a port given for one holds for UDP and TCP
    /// alike, not for TLS.
    #[must_use]
    pub fn over(&self, hop: &Hop, transport: Transport) -> Hop {
        let alike = transport.is_secure() == hop.transport.is_secure();
        let next = self.next_hop.as_ref().map(|next| &next.host);
        let name = || {
            next.filter(|host| host.ip().is_none())
                .map(|host| host.to_string().into())
        };
        Hop {
            host: hop.host.clone(),
            port: if alike {
                hop.port
            } else {
                transport.default_port()
            },
            transport,
            server_name: match transport {
                Transport::Tls | Transport::Ws | Transport::Wss => {
                    self.tls_name.clone().or_else(name)
                }
                Transport::Udp | Transport::Tcp => None,
            },
            profile: match transport {
                Transport::Tls | Transport::Ws | Transport::Wss => self.profile,
                Transport::Udp | Transport::Tcp => Profile::default(),
            },
        }
    }
}

/// Whether no further call may begin on a trunk.
#[must_use]
pub fn is_full(trunk: &Trunk, id: TrunkId, states: &States) -> bool {
    trunk.channels > 0 && states.calls(id) >= trunk.channels
}

/// The host of a contact as SIP writes it.
///
/// # Errors
/// `jid-malformed` when it has no such form.
pub fn host_of(contact: &Address) -> Result<Host, Refusal> {
    Host::parse(&host_to_ascii(&contact.host)?).map_err(|_| {
        Refusal::new(Reason::JidMalformed).with_text("The domain in the address is not valid.")
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A trunk over UDP with the defaults of the configuration.
    pub(crate) fn trunk(name: &str, patterns: &[&str], next_hop: Option<&str>) -> Trunk {
        Trunk {
            patterns: patterns.iter().map(|text| text.parse().unwrap()).collect(),
            next_hop: next_hop.map(|text| {
                let parsed = crate::sip::uri::HostPort::parse(text).unwrap();
                NextHop {
                    host: parsed.host,
                    port: parsed.port,
                }
            }),
            transport: Some(Transport::Udp),
            inbound: vec!["192.0.2.0/24".parse().unwrap()],
            ..Trunk::new(name)
        }
    }

    #[test]
    fn the_longest_prefix_wins() {
        let trunks = Trunks::new(vec![
            trunk("world", &["+*"], Some("192.0.2.1")),
            trunk(
                "america",
                &["+1*", "*@pbx.example.com"],
                Some("192.0.2.2:5070"),
            ),
        ]);
        let name = |user: &str, host: &str| {
            let found = trunks.find(&Address::new(user, host).unwrap(), "sip.example.com");
            let first = found.ok().and_then(|ids| ids.first().copied());
            first
                .and_then(|id| trunks.get(id))
                .map(|trunk| trunk.name.clone())
        };
        assert_eq!(
            name("+15551", "sip.example.com").as_deref(),
            Some("america")
        );
        assert_eq!(name("+4930", "sip.example.com").as_deref(), Some("world"));
        assert_eq!(name("alice", "pbx.example.com").as_deref(), Some("america"));
        assert_eq!(name("alice", "example.net"), None);
        assert_eq!(name("alice", "sip.example.com"), None);
    }

    #[test]
    fn trunks_that_fit_equally_well_are_alternatives() {
        let trunks = Trunks::new(vec![
            trunk("a", &["+1*", "+*"], Some("192.0.2.1")),
            trunk("b", &["+*"], Some("192.0.2.2")),
        ]);
        let found = |user: &str| {
            let contact = Address::new(user, "sip.example.com").unwrap();
            trunks.find(&contact, "sip.example.com").unwrap().len()
        };
        assert_eq!((found("+15551"), found("+4930")), (1, 2));
    }

    #[test]
    fn a_domain_trunk_leads_to_the_domain_itself() {
        let contact = Address::new("romeo", "bücher.example").unwrap();
        let place = trunk("r", &["*@bücher.example"], None).place(&contact);
        let place = place.unwrap();
        assert_eq!(place.host.to_string(), "xn--bcher-kva.example");
        assert_eq!(place.port, None);
    }

    #[test]
    fn a_port_holds_for_udp_and_tcp_alike_but_not_for_tls() {
        let trunk = trunk("r", &["*"], Some("pbx.example:5070"));
        let hop = Hop {
            host: Host::Ip([192, 0, 2, 1].into()),
            port: 5070,
            transport: Transport::Udp,
            server_name: None,
            profile: Profile::default(),
        };
        assert_eq!(trunk.over(&hop, Transport::Tcp).port, 5070);
        let tls = trunk.over(&hop, Transport::Tls);
        assert_eq!(tls.port, 5061);
        assert_eq!(tls.server_name.as_deref(), Some("pbx.example"));
    }

    #[test]
    fn the_narrowest_range_says_by_which_trunk_a_request_came() {
        let mut wide = trunk("wide", &["+*"], Some("192.0.2.1"));
        wide.inbound = vec!["10.0.0.0/8".parse().unwrap()];
        let mut narrow = trunk("narrow", &["*"], Some("192.0.2.1"));
        narrow.inbound = vec!["10.1.0.0/16".parse().unwrap()];
        let trunks = Trunks::new(vec![wide, narrow]);
        let name = |source: [u8; 4]| {
            trunks
                .of_source(source.into(), None)
                .map(|(_, trunk)| trunk.name.as_str())
        };
        assert_eq!(name([10, 1, 2, 3]), Some("narrow"));
        assert_eq!(name([10, 2, 2, 3]), Some("wide"));
        assert_eq!(name([192, 0, 2, 1]), None);
    }
}
