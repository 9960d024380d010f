//! Where answers go and what they carry besides what the core says
//! (RFC 3261 §8.2.6, §18.2; RFC 3581 §4).
//!
//! An answer goes where its request came from, whatever the request claims.

use std::borrow::Cow;

use crate::sip::address;
use crate::sip::header::{Headers, Name};
use crate::sip::hop::{Flow, Hop, Profile, Target, Transport};
use crate::sip::message::Response;
use crate::sip::parse::Defect;
use crate::sip::status::Status;
use crate::sip::uri::Host;
use crate::sip::via::Via;

/// Why a request does not reach the core.
#[derive(Debug, Clone)]
pub(super) struct Rejection {
    pub(super) status: Status,
    pub(super) reason: Cow<'static, str>,
    pub(super) header: Option<(Name<'static>, String)>,
}

impl Rejection {
    pub(super) fn new(status: Status) -> Self {
        Self {
            status,
            reason: Cow::Borrowed(status.reason()),
            header: None,
        }
    }

    pub(super) fn with(mut self, name: Name<'static>, value: String) -> Self {
        self.header = Some((name, value));
        self
    }

    /// The answer to whatever is known of the request.
    pub(super) fn answer(self, request: &Headers) -> Response {
        let mut response = Response::from_headers(request, self.status).with_reason(self.reason);
        if let Some((name, value)) = self.header {
            response.headers.push(name, &value);
        }
        response
    }
}

impl From<Defect> for Rejection {
    fn from(defect: Defect) -> Self {
        let status = defect.status();
        Self {
            status,
            reason: Cow::Owned(defect.to_string()),
            header: None,
        }
    }
}

/// Notes in the topmost Via where the request really came from.
pub(super) fn amend(via: &mut Via, flow: Flow) {
    let source = flow.source();
    let asks_port = via.params.has("rport");
    if asks_port {
        via.params
            .set("rport", Some(&flow.peer().port().to_string()));
    }
    if asks_port || via.sent_by.host.ip() != Some(source) {
        via.params.set("received", Some(&source.to_string()));
    } else {
        via.params.remove("received");
    }
}

/// Where the answer goes; `via` is already amended.
pub(super) fn route(flow: Flow, via: &Via) -> Target {
    match flow {
        Flow::Udp { socket, mut peer } => {
            if !via.params.has("rport") {
                let port = via.sent_by.port.unwrap_or(Transport::Udp.default_port());
                peer.set_port(port);
            }
            Target::Flow {
                flow: Flow::Udp { socket, peer },
                fallback: None,
            }
        }
        Flow::Stream { transport, .. } => Target::Flow {
            flow,
            fallback: fallback(flow, transport, via),
        },
    }
}

/// Whether an answer to a stranger would hit another service: over UDP it goes where somebody else may have said, and
/// nobody speaks SIP from a low port (specs T13).
pub(super) fn hits_others(target: &Target) -> bool {
    match target {
        Target::Flow {
            flow: Flow::Udp { peer, .. },
            ..
        } => peer.port() < LOWEST_PORT,
        Target::Flow {
            flow: Flow::Stream { .. },
            ..
        }
        | Target::Hop(_) => false,
    }
}

/// RFC 3261 §18.2.2: when the connection is gone, the source address with the port of the Via.
/// Over TLS only towards a name, since an address proves nothing; never over WebSocket, whose clients
/// cannot be reached (RFC 7118 §5.3).
fn fallback(flow: Flow, transport: Transport, via: &Via) -> Option<Hop> {
    let server_name = match (via.host(), transport) {
        (Host::Name(name), Transport::Tls) => Some(name.clone()),
        (Host::Ip(_), Transport::Tls) | (_, Transport::Ws | Transport::Wss) => return None,
        (_, Transport::Tcp | Transport::Udp) => None,
    };
    Some(Hop {
        host: Host::Ip(flow.source()),
        port: via.sent_by.port.unwrap_or(transport.default_port()),
        transport,
        server_name,
        profile: Profile::default(),
    })
}

/// Adds what every answer carries: the To tag, unless there is one, and `Server`.
pub(super) fn complete(response: &mut Response, tag: &str, product: &str) {
    let needs_tag = response.status.code() > 100;
    let to = response.headers.get(Name::To).unwrap_or_default();
    if needs_tag && !to.is_empty() && !address::has_tag(to) {
        let to = format!("{to};tag={tag}");
        response.headers.set(Name::To, &to);
    }
    response.headers.set(Name::Server, product);
}

/// The lowest port that is of no service in particular.
const LOWEST_PORT: u16 = 1024;
