//! How a content travels: ICE over UDP (XEP-0176 §5.3).

use super::{dtls, is_token, malformed, number};
use crate::stanza::set;
use crate::xml;
use minidom::Element;
use std::net::IpAddr;
use tandem_shared::media::{Candidate, CandidateKind, Dtls, bounds};
use tandem_shared::mint;
use tandem_shared::refusal::Refusal;

/// The longest user name fragment and password (RFC 8839 allows 256 characters each).
const CREDENTIAL_MAX: usize = 256;
/// The component that carries RTP.
const RTP: u8 = 1;

/// A `<transport/>`. Clients that trickle send it with less and less in it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Transport {
    /// The user name fragment.
    pub ufrag: Option<String>,
    /// The password; never logged.
    pub pwd: Option<String>,
    /// Certificate and role.
    pub dtls: Option<Dtls>,
    /// Candidates that can be used: over UDP, with an IP address.
    pub candidates: Vec<Candidate>,
    /// No more candidates will come. Not part of this transport, but stanza says it.
    pub complete: bool,
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transport")
            .field("ufrag", &self.ufrag)
            .field("candidates", &self.candidates)
            .finish_non_exhaustive()
    }
}

impl Transport {
    pub(super) fn read(element: &Element) -> Result<Self, Refusal> {
        let credential = |name: &str| match element.attr(name) {
            None | Some("") => Ok(None),
            Some(text) if is_token(text, CREDENTIAL_MAX) => Ok(Some(text.to_owned())),
            Some(_) => Err(malformed("The ICE credentials are not usable.")),
        };
        let mut transport = Self {
            ufrag: credential("ufrag")?,
            pwd: credential("pwd")?,
            ..Self::default()
        };
        for child in element.children() {
            if child.is("candidate", xml::ICE_UDP) {
                transport.candidates.extend(read_candidate(child));
            } else if child.is("fingerprint", xml::DTLS) {
                transport.dtls = dtls::better(transport.dtls, dtls::read(child));
            } else if child.name() == "gathering-complete" {
                transport.complete = true;
            }
            if transport.candidates.len() > bounds::CANDIDATES {
                return Err(malformed("There are too many candidates."));
            }
        }
        Ok(transport)
    }

    pub(super) fn write(&self) -> Element {
        let mut element = Element::bare("transport", xml::ICE_UDP);
        for (name, value) in [("ufrag", &self.ufrag), ("pwd", &self.pwd)] {
            if let Some(value) = value {
                set(&mut element, name, value);
            }
        }
        if let Some(dtls) = &self.dtls {
            element.append_child(dtls::write(dtls));
        }
        for candidate in &self.candidates {
            element.append_child(write_candidate(candidate));
        }
        element
    }
}

/// A candidate, or nothing when it is not for us: over TCP, behind a name (mDNS), or for RTCP on a
/// port of its own. RTCP shares the port of RTP here, so the last are listed by clients in vain.
fn read_candidate(element: &Element) -> Option<Candidate> {
    let component: u8 = number(element, "component").unwrap_or(RTP);
    let udp = element
        .attr("protocol")
        .is_none_or(|name| name.eq_ignore_ascii_case("udp"));
    let foundation = element.attr("foundation").unwrap_or("0");
    let related: Option<IpAddr> = number(element, "rel-addr");
    let candidate = Candidate {
        foundation: is_token(foundation, 32).then(|| foundation.to_owned())?,
        component,
        priority: number(element, "priority")?,
        ip: number(element, "ip")?,
        port: number(element, "port").filter(|port| *port > 0)?,
        kind: match element.attr("type")? {
            "host" => CandidateKind::Host,
            "srflx" => CandidateKind::ServerReflexive,
            "prflx" => CandidateKind::PeerReflexive,
            "relay" => CandidateKind::Relayed,
            _ => return None,
        },
        related: related.zip(number(element, "rel-port")),
        generation: number(element, "generation").unwrap_or(0),
    };
    (udp && component == RTP).then_some(candidate)
}

fn write_candidate(candidate: &Candidate) -> Element {
    let mut element = Element::bare("candidate", xml::ICE_UDP);
    let (ip, port) = (candidate.ip.to_string(), candidate.port.to_string());
    let component = candidate.component.to_string();
    let generation = candidate.generation.to_string();
    let kind = match candidate.kind {
        CandidateKind::Host => "host",
        CandidateKind::ServerReflexive => "srflx",
        CandidateKind::PeerReflexive => "prflx",
        CandidateKind::Relayed => "relay",
    };
    // The id must differ among all candidates of a session, in whichever stanza they come.
    let parts = [&ip, &port, &component, &generation, kind].map(str::as_bytes);
    let id = mint::hash(&[0; 16], &parts) as u32;
    for (name, value) in [
        ("component", &*component),
        ("foundation", &candidate.foundation),
        ("generation", &generation),
        ("id", &format!("{id:08x}")),
        ("ip", &ip),
        ("network", "0"),
        ("port", &port),
        ("priority", &candidate.priority.to_string()),
        ("protocol", "udp"),
        ("type", kind),
    ] {
        set(&mut element, name, value);
    }
    if let Some((ip, port)) = candidate.related {
        set(&mut element, "rel-addr", &ip.to_string());
        set(&mut element, "rel-port", &port.to_string());
    }
    element
}
