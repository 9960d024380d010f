//! Where a trunk may lead. Where the admin wrote no next hop, whoever is called, or the name servers of its domain, would
//! choose what in here is talked to, and what hears SIP that does not speak it (specs T3).

use super::Trunk;
use super::network::is_public;
use crate::sip::endpoint::{EndpointConfig, SentBy};
use crate::sip::{Hop, Transport};

/// Why requests by a trunk do not go somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shut {
    /// It is an address of the own network, and `allow_private` is not set.
    OwnNetwork,
    /// Its port is of another service.
    LowPort,
    /// It is where others reach us.
    Ourselves,
}

/// Why requests by `trunk` may not go to `hop`; nothing when they may.
#[must_use]
pub fn shut(trunk: &Trunk, hop: &Hop, endpoint: &EndpointConfig) -> Option<Shut> {
    // Written by the admin and no user.
    if trunk.next_hop.is_some() && trunk.owner.is_none() {
        return None;
    }
    let is_public = hop.host.ip().is_some_and(is_public);
    if !is_public && !trunk.allow_private {
        return Some(Shut::OwnNetwork);
    }
    if !has_sip_port(hop) {
        return Some(Shut::LowPort);
    }
    is_ours(hop, endpoint).then_some(Shut::Ourselves)
}

/// Low ports are of other services; WebSocket has those of HTTP (RFC 7118 §5.5).
fn has_sip_port(hop: &Hop) -> bool {
    let is_usual = match hop.transport {
        Transport::Ws | Transport::Wss => hop.port == hop.transport.default_port(),
        Transport::Udp | Transport::Tcp | Transport::Tls => false,
    };
    is_usual || hop.port >= LOWEST
}

/// Whether it is where others reach us: what went there would only come back (specs 10.7).
fn is_ours(hop: &Hop, endpoint: &EndpointConfig) -> bool {
    let is = |sent_by: &SentBy| {
        let ours = sent_by.of(hop.transport);
        let port = ours.port.unwrap_or(hop.transport.default_port());
        ours.host == hop.host && port == hop.port
    };
    is(&endpoint.sent_by) || endpoint.sent_by_other.as_ref().is_some_and(is)
}

/// The lowest port that is nobody's in particular.
const LOWEST: u16 = 1024;

#[cfg(test)]
mod tests {
    use tandem_shared::address::Address;

    use super::*;
    use crate::settings::tests::settings;
    use crate::sip::uri::Host;
    use crate::trunk::tests::trunk;

    fn hop(address: &str, port: u16, transport: Transport) -> Hop {
        Hop {
            host: Host::Ip(address.parse().unwrap()),
            port,
            transport,
            server_name: None,
            profile: Default::default(),
        }
    }

    #[test]
    fn nobody_but_the_admin_chooses_what_is_talked_to() {
        use Transport::{Tcp, Tls, Udp, Ws, Wss};
        let endpoint = settings().endpoint;
        let open = trunk("open", &["*@partner.example"], None);
        let lab = Trunk {
            allow_private: true,
            ..open.clone()
        };
        let named = trunk("named", &["+*"], Some("192.0.2.1"));
        let may = |address: &str, port, transport| {
            let hop = hop(address, port, transport);
            [&open, &lab, &named].map(|trunk| shut(trunk, &hop, &endpoint).is_none())
        };
        let (all, nobody_else) = ([true; 3], [false, false, true]);
        for (port, transport) in [
            (5060, Udp),
            (5061, Tls),
            (1024, Tcp),
            (65_535, Udp),
            (80, Ws),
            (443, Wss),
        ] {
            assert_eq!(may("203.0.113.9", port, transport), all, "{port}");
        }
        for (port, transport) in [
            (0, Udp),
            (25, Tcp),
            (53, Udp),
            (123, Udp),
            (443, Tls),
            (443, Ws),
            (80, Wss),
            (1023, Tcp),
        ] {
            assert_eq!(may("203.0.113.9", port, transport), nobody_else, "{port}");
        }
        for private in [
            "127.0.0.1",
            "::ffff:127.0.0.1",
            "169.254.169.254",
            "fd00::1",
        ] {
            assert_eq!(may(private, 5060, Udp), [false, true, true], "{private}");
            assert_eq!(may(private, 53, Udp), nobody_else, "{private}");
        }
        // Ourselves, as others reach us.
        assert_eq!(may("198.51.100.1", 5060, Udp), nobody_else);
        assert_eq!(may("198.51.100.1", 5070, Udp), all);
    }
    /// However an address is written it is that address, or a name that name servers are asked for.
    #[test]
    fn no_spelling_hides_an_address() {
        let endpoint = settings().endpoint;
        let open = trunk("open", &["*@partner.example"], None);
        for host in [
            "127.0.0.1",
            "127.0.0.1.",
            "127.1",
            "0177.0.0.1",
            "2130706433",
            "0x7f000001",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[0:0:0:0:0:0:0:1]",
            "[fe80::1%25eth0]",
        ] {
            let contact = Address::new("root", host);
            let place = contact.and_then(|contact| open.place(&contact));
            if let Ok(place) = place
                && let Host::Ip(ip) = place.host
            {
                let hop = hop(&ip.to_string(), 5060, Transport::Udp);
                assert!(shut(&open, &hop, &endpoint).is_some(), "{host} is {ip}");
            }
        }
    }
}
