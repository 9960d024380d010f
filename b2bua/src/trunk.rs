//! The ways out to SIP, and who may come in by them (the configuration's `[[trunk]]`).
//!
//! Closed by default: a contact that no pattern takes does not exist, a source that no trunk names
//! is not heard.

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
use crate::sip::hop::Profile;
use crate::sip::uri::{Host, Uri};
use crate::sip::{Hop, Transport};

mod gate;
mod guest;
pub mod network;
mod own;
pub mod pattern;
pub mod reach;
pub mod state;
mod table;
pub mod ways;

pub use gate::Gate;
pub use network::Network;
pub use pattern::Pattern;
pub use state::{FlowId, Health, Registered, State, States};
pub use table::Trunks;
pub use ways::{Guide, PATIENCE, Step, Ways};

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

/// Which trunk, for as long as the process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrunkId(usize);

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
}
