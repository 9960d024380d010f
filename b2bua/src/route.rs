//! The ways out to SIP, and who may come in by them (the configuration's `[[route]]`).
//!
//! Closed by default: a contact that no pattern takes does not exist, a source that no route names
//! is not heard.

use std::net::IpAddr;

use tandem_shared::address::{Address, host_to_ascii};
use tandem_shared::refusal::{Reason, Refusal};

use crate::call::negotiate::Policy;
use crate::sip::digest::Credential;
use crate::sip::uri::{Host, Uri};
use crate::sip::{Hop, Transport};

pub mod network;
pub mod pattern;

pub use network::Network;
pub use pattern::Pattern;

/// One way out.
#[derive(Debug, Clone)]
pub struct Route {
    /// For logs.
    pub name: String,
    /// Which contacts it takes.
    pub patterns: Vec<Pattern>,
    /// Where its requests go; the contact's own host when absent.
    pub next_hop: Option<NextHop>,
    /// How they go.
    pub transport: Transport,
    /// The name its certificate must bear, if not that of the next hop.
    pub tls_name: Option<Box<str>>,
    /// The host of URIs of numbers; that of the next hop when absent.
    pub domain: Option<Host>,
    /// Who our users are there.
    pub identity: Identity,
    /// The account that answers its challenges.
    pub credentials: Option<Credential>,
    /// Whether texts that are too long go in parts.
    pub split: bool,
    /// Most bytes of a request over a stream.
    pub max_size: usize,
    /// How requests go that are too large for UDP; nothing when they do not.
    pub large: Option<Transport>,
    /// Whose requests it lets in.
    pub inbound: Vec<Network>,
    /// What it allows of the media of calls.
    pub media: Policy,
    /// Whether P-Asserted-Identity names the sender (RFC 3325 §4).
    pub trust_identity: bool,
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

/// All routes.
#[derive(Debug, Clone, Default)]
pub struct Routes {
    routes: Vec<Route>,
}

/// Which route, for as long as the process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RouteId(usize);

impl Routes {
    /// The routes, in the order of the configuration.
    #[must_use]
    pub fn new(routes: Vec<Route>) -> Self {
        Self { routes }
    }

    /// The route to `contact`: the one whose pattern fits best, the first among equals.
    ///
    /// # Errors
    /// `item-not-found` when no route takes it.
    pub fn find(&self, contact: &Address, own: &str) -> Result<RouteId, Refusal> {
        let mut best: Option<(usize, usize)> = None;
        for (at, route) in self.routes.iter().enumerate() {
            let fit = route
                .patterns
                .iter()
                .filter_map(|pattern| pattern.fit(contact, own))
                .max();
            if let Some(fit) = fit
                && best.is_none_or(|(_, other)| fit > other)
            {
                best = Some((at, fit));
            }
        }
        best.map(|(at, _)| RouteId(at)).ok_or_else(|| {
            Refusal::new(Reason::ItemNotFound).with_text("No route leads to this address.")
        })
    }

    /// The route itself.
    #[must_use]
    pub fn get(&self, id: RouteId) -> Option<&Route> {
        self.routes.get(id.0)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = (RouteId, &Route)> {
        let routes = self.routes.iter().enumerate();
        routes.map(|(at, route)| (RouteId(at), route))
    }

    /// The route that requests from `source` come by: the one with the narrowest range.
    #[must_use]
    pub fn of_source(&self, source: IpAddr) -> Option<&Route> {
        let narrowest = |route: &Route| {
            let holding = route
                .inbound
                .iter()
                .filter(|network| network.contains(source));
            holding.map(Network::bits).max()
        };
        let mut best: Option<(&Route, u8)> = None;
        for route in &self.routes {
            if let Some(bits) = narrowest(route)
                && best.is_none_or(|(_, other)| bits > other)
            {
                best = Some((route, bits));
            }
        }
        best.map(|(route, _)| route)
    }
}

impl Route {
    /// Where a request to `contact` goes over `transport`.
    ///
    /// # Errors
    /// `jid-malformed` when the contact's host has no form in DNS.
    pub fn hop(&self, contact: &Address, transport: Transport) -> Result<Hop, Refusal> {
        let (host, port) = match &self.next_hop {
            Some(next) => (next.host.clone(), next.port),
            None => (host_of(contact)?, None),
        };
        // A port given for one transport holds for UDP and TCP alike, not for TLS.
        let port =
            port.filter(|_| (transport == Transport::Tls) == (self.transport == Transport::Tls));
        Ok(Hop {
            host,
            port: port.unwrap_or_else(|| transport.default_port()),
            transport,
            server_name: self
                .tls_name
                .clone()
                .filter(|_| transport == Transport::Tls),
        })
    }
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

    /// A route over UDP with the defaults of the configuration.
    pub(crate) fn route(name: &str, patterns: &[&str], next_hop: Option<&str>) -> Route {
        Route {
            name: name.to_owned(),
            patterns: patterns.iter().map(|text| text.parse().unwrap()).collect(),
            next_hop: next_hop.map(|text| {
                let parsed = crate::sip::uri::HostPort::parse(text).unwrap();
                NextHop {
                    host: parsed.host,
                    port: parsed.port,
                }
            }),
            transport: Transport::Udp,
            tls_name: None,
            domain: None,
            identity: Identity::User,
            credentials: None,
            split: false,
            max_size: 8192,
            large: Some(Transport::Tcp),
            inbound: vec!["192.0.2.0/24".parse().unwrap()],
            media: Policy::default(),
            trust_identity: false,
        }
    }

    #[test]
    fn the_longest_prefix_wins() {
        let routes = Routes::new(vec![
            route("world", &["+*"], Some("192.0.2.1")),
            route(
                "america",
                &["+1*", "*@pbx.example.com"],
                Some("192.0.2.2:5070"),
            ),
        ]);
        let name = |user: &str, host: &str| {
            let found = routes.find(&Address::new(user, host).unwrap(), "sip.example.com");
            found
                .ok()
                .and_then(|id| routes.get(id))
                .map(|route| route.name.clone())
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
    fn a_domain_route_leads_to_the_domain_itself() {
        let contact = Address::new("romeo", "bücher.example").unwrap();
        let hop = route("r", &["*@bücher.example"], None)
            .hop(&contact, Transport::Tcp)
            .unwrap();
        assert_eq!(
            (hop.host.to_string().as_str(), hop.port),
            ("xn--bcher-kva.example", 5060)
        );
    }

    #[test]
    fn the_narrowest_range_says_by_which_route_a_request_came() {
        let mut wide = route("wide", &["+*"], Some("192.0.2.1"));
        wide.inbound = vec!["10.0.0.0/8".parse().unwrap()];
        let mut narrow = route("narrow", &["*"], Some("192.0.2.1"));
        narrow.inbound = vec!["10.1.0.0/16".parse().unwrap()];
        let routes = Routes::new(vec![wide, narrow]);
        let name = |source: [u8; 4]| {
            routes
                .of_source(source.into())
                .map(|route| route.name.as_str())
        };
        assert_eq!(name([10, 1, 2, 3]), Some("narrow"));
        assert_eq!(name([10, 2, 2, 3]), Some("wide"));
        assert_eq!(name([192, 0, 2, 1]), None);
    }
}
