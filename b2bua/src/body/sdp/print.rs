//! From [`Sdp`] to text. A value that the grammar does not allow is left out.

use std::fmt::{Display, Formatter, Result};
use std::net::IpAddr;

use tandem_shared::media::{Candidate, CandidateKind, Codec, Direction, Setup};

use super::{MediaLine, Sdp, attribute, text};
use crate::sip::grammar;

pub(super) fn sdp(sdp: &Sdp, f: &mut Formatter<'_>) -> Result {
    let origin = &sdp.origin;
    let user = if text::is_token(&origin.user) {
        &origin.user
    } else {
        "-"
    };
    write!(f, "v=0\r\no={user} {} {} ", origin.session, origin.version)?;
    address(f, origin.address)?;
    let name = grammar::clean(sdp.name.trim());
    let name = if name.trim().is_empty() {
        "-"
    } else {
        name.trim()
    };
    write!(f, "\r\ns={name}\r\n")?;
    // Some phones look for it before the first stream only.
    let shared = sdp.media.first().and_then(|first| first.connection);
    let shared = shared.filter(|_| sdp.media.iter().all(|line| line.connection == shared));
    connection(f, shared)?;
    f.write_str("t=0 0\r\n")?;
    let bundle: Vec<_> = sdp
        .bundle
        .iter()
        .filter(|mid| text::is_token(mid))
        .collect();
    if !bundle.is_empty() {
        f.write_str("a=group:BUNDLE")?;
        bundle.iter().try_for_each(|mid| write!(f, " {mid}"))?;
        f.write_str("\r\n")?;
    }
    for line in &sdp.media {
        media(f, line)?;
        if shared.is_none() {
            connection(f, line.connection)?;
        }
        attributes(f, line)?;
    }
    Ok(())
}

fn address(f: &mut Formatter<'_>, address: IpAddr) -> Result {
    let kind = if address.is_ipv4() { "IP4" } else { "IP6" };
    write!(f, "IN {kind} {address}")
}

fn connection(f: &mut Formatter<'_>, connection: Option<IpAddr>) -> Result {
    let Some(connection) = connection else {
        return Ok(());
    };
    f.write_str("c=")?;
    address(f, connection)?;
    f.write_str("\r\n")
}

fn media(f: &mut Formatter<'_>, line: &MediaLine) -> Result {
    // A line is never left out: an answer has as many as its offer.
    let media = if text::is_token(&line.media) {
        &line.media
    } else {
        "unknown"
    };
    let profile = line.profile.as_str();
    let valid = profile.split('/').all(text::is_token);
    let profile = if valid { profile } else { "unknown" };
    write!(f, "m={media} {} {profile}", line.port)?;
    let mut any = false;
    for codec in line.codecs.iter().filter(|codec| is_printable(codec)) {
        write!(f, " {}", codec.id)?;
        any = true;
    }
    for format in line.formats.iter().filter(|format| text::is_token(format)) {
        write!(f, " {format}")?;
        any = true;
    }
    if !any {
        f.write_str(" 0")?;
    }
    f.write_str("\r\n")
}

fn attributes(f: &mut Formatter<'_>, line: &MediaLine) -> Result {
    if let Some(mid) = line.mid.as_ref().filter(|mid| text::is_token(mid)) {
        write!(f, "a=mid:{mid}\r\n")?;
    }
    for known in line.codecs.iter().filter(|codec| is_printable(codec)) {
        codec(f, known)?;
    }
    number(f, "ptime", line.ptime)?;
    number(f, "maxptime", line.maxptime)?;
    if let Some((port, at)) = line.rtcp {
        write!(f, "a=rtcp:{port}")?;
        if let Some(at) = at {
            f.write_str(" ")?;
            address(f, at)?;
        }
        f.write_str("\r\n")?;
    }
    if line.rtcp_mux {
        f.write_str("a=rtcp-mux\r\n")?;
    }
    line.crypto.iter().try_for_each(|crypto| crypto.print(f))?;
    for print in line
        .fingerprints
        .iter()
        .filter(|print| attribute::is_fingerprint(print))
    {
        write!(f, "a=fingerprint:{} {}\r\n", print.hash, print.value)?;
    }
    if let Some(role) = line.setup {
        write!(f, "a=setup:{}\r\n", setup(role))?;
    }
    if let Some(ice) = line.ice.as_ref()
        && text::is_ice(&ice.ufrag)
        && text::is_ice(&ice.pwd)
    {
        write!(f, "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\n", ice.ufrag, ice.pwd)?;
    }
    line.candidates
        .iter()
        .try_for_each(|one| candidate(f, one))?;
    for extension in line
        .extensions
        .iter()
        .filter(|known| text::is_visible(&known.uri))
    {
        write!(f, "a=extmap:{}", extension.id)?;
        if extension.direction != Direction::Both {
            write!(f, "/{}", direction(extension.direction))?;
        }
        write!(f, " {}\r\n", extension.uri)?;
    }
    for source in &line.sources {
        for (name, value) in &source.parameters {
            if text::is_token(name) && attribute::is_source_value(value) {
                let colon = if value.is_empty() { "" } else { ":" };
                write!(f, "a=ssrc:{} {name}{colon}{value}\r\n", source.ssrc)?;
            }
        }
    }
    write!(f, "a={}\r\n", direction(line.direction))
}

fn is_printable(codec: &Codec) -> bool {
    codec.id < 128 && codec.clock > 0 && codec.channels > 0 && text::is_token(&codec.name)
}

fn codec(f: &mut Formatter<'_>, codec: &Codec) -> Result {
    write!(f, "a=rtpmap:{} {}/{}", codec.id, codec.name, codec.clock)?;
    if codec.channels > 1 {
        write!(f, "/{}", codec.channels)?;
    }
    f.write_str("\r\n")?;
    let mut before = format!("a=fmtp:{} ", codec.id);
    for (name, value) in &codec.parameters {
        let equals = if name.is_empty() { "" } else { "=" };
        let printable = text::is_parameter_name(name) && text::is_parameter_value(value);
        if printable && !(name.is_empty() && value.is_empty()) {
            write!(f, "{before}{name}{equals}{value}")?;
            before = ";".to_owned();
        }
    }
    if before == ";" {
        f.write_str("\r\n")?;
    }
    for (kind, subkind) in &codec.feedback {
        if text::is_token(kind) && (subkind.is_empty() || text::is_token(subkind)) {
            let space = if subkind.is_empty() { "" } else { " " };
            write!(f, "a=rtcp-fb:{} {kind}{space}{subkind}\r\n", codec.id)?;
        }
    }
    Ok(())
}

fn number(f: &mut Formatter<'_>, name: &str, value: Option<impl Display>) -> Result {
    match value {
        Some(value) => write!(f, "a={name}:{value}\r\n"),
        None => Ok(()),
    }
}

fn candidate(f: &mut Formatter<'_>, candidate: &Candidate) -> Result {
    if !text::is_ice(&candidate.foundation) {
        return Ok(());
    }
    let kind = match candidate.kind {
        CandidateKind::Host => "host",
        CandidateKind::ServerReflexive => "srflx",
        CandidateKind::PeerReflexive => "prflx",
        CandidateKind::Relayed => "relay",
    };
    let Candidate {
        foundation,
        component,
        priority,
        ip,
        port,
        ..
    } = candidate;
    write!(
        f,
        "a=candidate:{foundation} {component} UDP {priority} {ip} {port} typ {kind}"
    )?;
    if let Some((ip, port)) = candidate.related {
        write!(f, " raddr {ip} rport {port}")?;
    }
    if candidate.generation > 0 {
        write!(f, " generation {}", candidate.generation)?;
    }
    f.write_str("\r\n")
}

fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Both => "sendrecv",
        Direction::Send => "sendonly",
        Direction::Receive => "recvonly",
        Direction::None => "inactive",
    }
}

fn setup(setup: Setup) -> &'static str {
    match setup {
        Setup::Active => "active",
        Setup::Passive => "passive",
        Setup::Actpass => "actpass",
        Setup::Holdconn => "holdconn",
    }
}
