//! Where a SIP server is (RFC 3263 §4): from a host to addresses, ports and transports, in order.
//!
//! The procedure is a function of what is known. What it misses it names; when that is known it
//! runs again from the beginning.

use std::net::IpAddr;

use tandem_shared::mint::Mint;

use super::{Naptr, Query, Records, Srv, by_weight};
use crate::sip::hop::Profile;
use crate::sip::uri::Host;
use crate::sip::{Hop, Transport};

/// What is to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// A domain, a host or an address.
    pub host: Host,
    /// Its port: then there are no services to ask for.
    pub port: Option<u16>,
    /// The only transport wanted; the peer's choice when absent.
    pub transport: Option<Transport>,
    /// The name its certificate must bear, if not that of `host` (RFC 5922: never that of an SRV
    /// target).
    pub tls_name: Option<Box<str>>,
    /// How it is connected to over TLS and WebSocket.
    pub profile: Profile,
}

/// What is known of a question: nothing yet, nothing at all, or records.
pub(super) type Lookup<'a, 'k> = dyn FnMut(Query) -> Option<Option<&'k Records>> + 'a;

/// The hops to `place` as far as they are known; `lookup` hears of what is missing.
pub(super) fn hops(place: &Place, lookup: &mut Lookup<'_, '_>, mint: &mut Mint) -> Vec<Hop> {
    let name = match &place.host {
        Host::Ip(ip) => {
            let transport = place.transport.unwrap_or(Transport::Udp);
            let port = place.port.unwrap_or_else(|| transport.default_port());
            return vec![place.hop(*ip, port, transport)];
        }
        Host::Name(name) => name.as_ref(),
    };
    if let Some(port) = place.port {
        let transport = place.transport.unwrap_or(Transport::Udp);
        let mut found = place.at(name, port, transport, lookup);
        found.truncate(MAX_HOPS);
        return found;
    }
    let Some(services) = services(name, place.transport, lookup) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut any = false;
    for (transport, service) in services {
        match lookup(Query::Srv(service)) {
            Some(Some(Records::Srv(records))) if !records.is_empty() => {
                any = true;
                // RFC 2782: a target "." says that there is no such service.
                let records = records.iter().filter(|srv| !srv.target.is_empty());
                let mut records: Vec<&Srv> = records.collect();
                // The same ones each time: what they lead to has to be asked for first.
                records.sort_by_key(|srv| srv.priority);
                records.truncate(MAX_TARGETS);
                let rank = |srv: &&Srv| (srv.priority, srv.weight);
                for srv in by_weight(records, rank, mint) {
                    found.extend(place.at(&srv.target, srv.port, transport, lookup));
                }
            }
            // Not known yet: what others say is of no use before.
            None => any = true,
            Some(_) => {}
        }
    }
    if !any {
        let transport = place.transport.unwrap_or(Transport::Udp);
        found = place.at(name, transport.default_port(), transport, lookup);
    }
    found.truncate(MAX_HOPS);
    found
}

/// The transports of a domain, best first, or the one that is `wanted`, and the names of their SRV
/// records; nothing while that is not known.
fn services(
    name: &str,
    wanted: Option<Transport>,
    lookup: &mut Lookup<'_, '_>,
) -> Option<Vec<(Transport, Box<str>)>> {
    if let Some(transport) = wanted
        && let Some(service) = service(transport, name)
    {
        return Some(vec![(transport, service)]);
    }
    let naptr = match lookup(Query::Naptr(name.into()))? {
        Some(Records::Naptr(records)) => records.as_slice(),
        Some(Records::Srv(_) | Records::Addresses(_)) | None => &[],
    };
    let mut usable: Vec<(&Naptr, Transport)> = naptr
        .iter()
        .filter(|record| record.flags.eq_ignore_ascii_case("s"))
        .filter_map(|record| Some((record, transport_of(&record.service)?)))
        .filter(|(_, transport)| wanted.is_none_or(|wanted| wanted == *transport))
        .collect();
    usable.sort_by_key(|(record, _)| (record.order, record.preference));
    if usable.is_empty() {
        // RFC 3263 §4.1: without NAPTR every transport is asked for.
        let all = [Transport::Udp, Transport::Tcp, Transport::Tls];
        let all = all.into_iter().filter(|_| wanted.is_none());
        return Some(
            all.filter_map(|one| Some((one, service(one, name)?)))
                .collect(),
        );
    }
    let services = usable
        .into_iter()
        .take(MAX_SERVICES)
        .map(|(record, transport)| (transport, record.replacement.clone()));
    Some(services.collect())
}

fn transport_of(service: &str) -> Option<Transport> {
    let known = [
        ("SIP+D2U", Transport::Udp),
        ("SIP+D2T", Transport::Tcp),
        ("SIPS+D2T", Transport::Tls),
        ("SIP+D2W", Transport::Ws),
        ("SIPS+D2W", Transport::Wss),
    ];
    let mut known = known.into_iter();
    known
        .find(|(name, _)| service.eq_ignore_ascii_case(name))
        .map(|(_, transport)| transport)
}

/// The name of the SRV records of a transport (RFC 3263 §4.1). WebSocket has none that would be known
/// without NAPTR (RFC 7118 §5.5).
fn service(transport: Transport, name: &str) -> Option<Box<str>> {
    let prefix = match transport {
        Transport::Udp => "_sip._udp",
        Transport::Tcp => "_sip._tcp",
        Transport::Tls => "_sips._tcp",
        Transport::Ws | Transport::Wss => return None,
    };
    Some(format!("{prefix}.{name}").into())
}

impl Place {
    /// The hops to a host of which port and transport are known.
    fn at(
        &self,
        host: &str,
        port: u16,
        transport: Transport,
        lookup: &mut Lookup<'_, '_>,
    ) -> Vec<Hop> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return vec![self.hop(ip, port, transport)];
        }
        match lookup(Query::Addresses(host.into())) {
            Some(Some(Records::Addresses(addresses))) => addresses
                .iter()
                .map(|ip| self.hop(*ip, port, transport))
                .collect(),
            Some(Some(Records::Naptr(_) | Records::Srv(_)) | None) | None => Vec::new(),
        }
    }

    fn hop(&self, ip: IpAddr, port: u16, transport: Transport) -> Hop {
        let own = || match &self.host {
            Host::Name(name) => Some(name.to_string().into_boxed_str()),
            Host::Ip(_) => None,
        };
        let (server_name, profile) = match transport {
            Transport::Tls | Transport::Ws | Transport::Wss => {
                (self.tls_name.clone().or_else(own), self.profile)
            }
            Transport::Udp | Transport::Tcp => (None, Profile::default()),
        };
        Hop {
            host: Host::Ip(ip),
            port,
            transport,
            server_name,
            profile,
        }
    }
}

/// The most services of a domain, hosts of a service and places in all that are looked at: a domain
/// decides by its records how much is asked for it, and others wait.
const MAX_SERVICES: usize = 8;
const MAX_TARGETS: usize = 16;
const MAX_HOPS: usize = 64;
