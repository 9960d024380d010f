//! The values of single attributes. Each function gives nothing where the value cannot be used.

use std::net::IpAddr;

use tandem_shared::media::{Candidate, CandidateKind, Codec, Direction, Extension, Setup};

use super::{payload, text};
use crate::media::Fingerprint;

/// `IN IP4 192.0.2.1`, also with a TTL behind it; a name gives nothing.
pub(super) fn connection(value: &str) -> Option<IpAddr> {
    let mut words = value.split_ascii_whitespace();
    let (Some(_net), Some(_kind), Some(address)) = (words.next(), words.next(), words.next())
    else {
        return None;
    };
    let address = address.split('/').next()?;
    address.trim_matches(['[', ']']).parse().ok()
}

pub(super) fn direction(name: &str) -> Option<Direction> {
    Some(match name {
        "sendrecv" => Direction::Both,
        "sendonly" => Direction::Send,
        "recvonly" => Direction::Receive,
        "inactive" => Direction::None,
        _ => return None,
    })
}

/// `96 opus/48000/2`.
pub(super) fn rtpmap(value: &str) -> Option<Codec> {
    let (id, encoding) = value.split_once([' ', '\t'])?;
    let mut parts = encoding.trim().split('/').map(str::trim);
    let name = parts.next().filter(|name| text::is_token(name))?;
    let clock = parts.next()?.parse().ok().filter(|clock| *clock > 0)?;
    let channels = match parts.next() {
        Some(channels) => channels.parse().ok().filter(|channels| *channels > 0)?,
        None => 1,
    };
    Some(payload::codec(payload_type(id)?, name, clock, channels))
}

/// `97 minptime=10;useinbandfec=1`, `101 0-16`: the payload type and its parameters.
pub(super) fn fmtp(value: &str) -> Option<(u8, Vec<(String, String)>)> {
    let (id, parameters) = value.split_once([' ', '\t'])?;
    let split = |parameter: &str| {
        let (name, value) = parameter.split_once('=').unwrap_or(("", parameter));
        let (name, value) = (name.trim(), value.trim());
        let used = text::is_parameter_name(name)
            && text::is_parameter_value(value)
            && !(name.is_empty() && (value.is_empty() || value.contains('=')));
        used.then(|| (name.to_owned(), value.to_owned()))
    };
    let parameters = parameters.split(';').filter_map(split).collect();
    Some((payload_type(id)?, parameters))
}

/// `96 nack pli` or `* ccm fir`: the payload type unless it is for all, type and subtype.
pub(super) fn feedback(value: &str) -> Option<(Option<u8>, (String, String))> {
    let mut words = value.split_ascii_whitespace();
    let id = match words.next()? {
        "*" => None,
        id => Some(payload_type(id)?),
    };
    let kind = words.next().filter(|kind| text::is_token(kind))?;
    let subkind = words.next().unwrap_or_default();
    let valid = subkind.is_empty() || text::is_token(subkind);
    valid.then(|| (id, (kind.to_owned(), subkind.to_owned())))
}

/// `53020` or `53020 IN IP4 192.0.2.1`.
pub(super) fn rtcp(value: &str) -> Option<(u16, Option<IpAddr>)> {
    let value = value.trim();
    let (port, address) = match value.split_once(' ') {
        Some((port, address)) => (port, connection(address)),
        None => (value, None),
    };
    Some((port.parse().ok()?, address))
}

pub(super) fn fingerprint(value: &str) -> Option<Fingerprint> {
    let (hash, digest) = value.trim().split_once(' ')?;
    let print = Fingerprint {
        hash: hash.to_ascii_lowercase(),
        value: digest.trim().to_ascii_uppercase(),
    };
    is_fingerprint(&print).then_some(print)
}

/// Whether a digest has a token for a name and pairs of hexadecimal digits with colons between.
pub(super) fn is_fingerprint(print: &Fingerprint) -> bool {
    let pair = |pair: &str| pair.len() == 2 && pair.bytes().all(|byte| byte.is_ascii_hexdigit());
    text::is_token(&print.hash) && print.value.len() < 192 && print.value.split(':').all(pair)
}

pub(super) fn setup(value: &str) -> Option<Setup> {
    Some(match value.trim().to_ascii_lowercase().as_str() {
        "active" => Setup::Active,
        "passive" => Setup::Passive,
        "actpass" => Setup::Actpass,
        "holdconn" => Setup::Holdconn,
        _ => return None,
    })
}

/// `1 1 UDP 2130706431 192.0.2.1 5000 typ host`; other transports and names give nothing.
pub(super) fn candidate(value: &str) -> Option<Candidate> {
    let mut words = value.split_ascii_whitespace();
    let foundation = words.next().filter(|word| text::is_ice(word))?.to_owned();
    let component = words.next()?.parse().ok()?;
    if !words.next()?.eq_ignore_ascii_case("udp") {
        return None;
    }
    let priority = words.next()?.parse().ok()?;
    let ip = words.next()?.parse().ok()?;
    let port = words.next()?.parse().ok()?;
    let kind = words
        .next()
        .filter(|word| *word == "typ")
        .and(words.next())?;
    let kind = match kind {
        "host" => CandidateKind::Host,
        "srflx" => CandidateKind::ServerReflexive,
        "prflx" => CandidateKind::PeerReflexive,
        "relay" => CandidateKind::Relayed,
        _ => return None,
    };
    let (mut related_ip, mut related_port, mut generation) = (None, None, 0);
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        match name {
            "raddr" => related_ip = value.parse().ok(),
            "rport" => related_port = value.parse().ok(),
            "generation" => generation = value.parse().unwrap_or(0),
            _ => {}
        }
    }
    Some(Candidate {
        foundation,
        component,
        priority,
        ip,
        port,
        kind,
        related: related_ip.zip(related_port),
        generation,
    })
}

/// `3/sendonly urn:ietf:params:rtp-hdrext:sdes:mid`; attributes behind the URI are left out.
pub(super) fn extension(value: &str) -> Option<Extension> {
    let mut words = value.split_ascii_whitespace();
    let (id, way) = match words.next()?.split_once('/') {
        Some((id, way)) => (id, direction(way)?),
        None => (value.split_ascii_whitespace().next()?, Direction::Both),
    };
    let uri = words.next().filter(|uri| text::is_visible(uri))?;
    Some(Extension {
        id: id.parse().ok()?,
        uri: uri.to_owned(),
        direction: way,
    })
}

/// `12345 cname:name`: the source and one of its parameters.
pub(super) fn source(value: &str) -> Option<(u32, (String, String))> {
    let (ssrc, parameter) = value.trim().split_once(' ')?;
    let (name, value) = parameter.split_once(':').unwrap_or((parameter, ""));
    let value = value.trim();
    let valid = text::is_token(name) && is_source_value(value);
    valid.then_some((ssrc.parse().ok()?, (name.to_owned(), value.to_owned())))
}

/// Whether `text` may be the value of a source's parameter.
pub(super) fn is_source_value(text: &str) -> bool {
    let printable = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    text.len() <= 256 && text.trim() == text && text.bytes().all(printable)
}

fn payload_type(text: &str) -> Option<u8> {
    text.parse().ok().filter(|id| *id < 128)
}
