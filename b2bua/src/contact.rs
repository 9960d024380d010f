//! Where peers find us: the URI of our Contact (RFC 3261 §8.1.1.8).

use std::net::{IpAddr, SocketAddr};

use crate::sip::Transport;
use crate::sip::endpoint::EndpointConfig;
use crate::sip::uri::{HostPort, SipUri};

/// Toward a peer at `peer`, if that is known, over `transport`; `seen` is how it sees us over UDP,
/// where it said so.
#[must_use]
pub fn uri(
    user: &str,
    (transport, peer): (Transport, Option<IpAddr>),
    seen: Option<SocketAddr>,
    config: &EndpointConfig,
) -> SipUri {
    let place = match seen.filter(|_| transport == Transport::Udp) {
        Some(seen) => HostPort::from(seen),
        None => config.sent_by(transport, peer).clone(),
    };
    let mut uri = SipUri::new(place.host).with_user(user);
    uri.port = place.port;
    if let Some(transport) = transport.param() {
        uri.params.set("transport", Some(transport));
    }
    uri
}
