//! Offer and answer on the SIP leg, in SDP.

use std::net::{IpAddr, SocketAddr};

use tandem_shared::media::{Codec, Direction, Setup};

use super::encoding::{self, Choice, Encoding};
use super::{Keys, NoAgreement, Policy, protection, ptime};
use crate::body::sdp::{MediaLine, Origin, Profile, Sdp};
use crate::media::{Flow, SipLocal, SipPeer};

/// What a negotiation on the SIP leg starts from.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// Our endpoint.
    pub local: &'a SipLocal,
    /// What the trunk allows.
    pub policy: &'a Policy,
    /// Names the session in our descriptions; one for each dialog, below 2^63.
    pub session: u64,
    /// Where the other side's signalling comes from.
    pub signalling: IpAddr,
    /// Which way we let sound flow.
    pub direction: Direction,
    /// What the other leg takes, best first: [`super::xmpp::codecs`] of its offer, and once it has
    /// agreed its `flow.send` alone. Nothing while it is not known.
    pub other: &'a [Codec],
    /// What is agreed on this leg.
    pub now: Option<&'a Agreed>,
    /// The last description we sent in this dialog, whether it was taken or not.
    pub sent: Option<&'a Sdp>,
}

/// What both sides agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    /// Our half: the answer to send, or the offer that was answered.
    pub ours: Sdp,
    /// The other side.
    pub peer: SipPeer,
    /// What flows; the other side holds the call where it does not let us send.
    pub flow: Flow,
}

/// The codecs of a description's sound that the trunk allows, for the other leg's terms.
#[must_use]
pub fn codecs(sdp: &Sdp, policy: &Policy) -> Vec<Codec> {
    let Some(line) = audio_of(sdp).and_then(|at| sdp.media.get(at)) else {
        return Vec::new();
    };
    let is_allowed = |codec: &&Codec| {
        Encoding::of(codec).is_some_and(|encoding| policy.codecs.contains(&encoding))
    };
    let mut codecs: Vec<_> = line.codecs.iter().filter(is_allowed).cloned().collect();
    for codec in &mut codecs {
        (codec.ptime, codec.maxptime) = (line.ptime, line.maxptime);
    }
    codecs
}

/// Our offer: the first, for an INVITE or for a 2xx to one without, or a change.
#[must_use]
pub fn offer(terms: &Terms<'_>) -> Sdp {
    let before = terms.now.map(|now| (&now.ours, audio_of(&now.ours)));
    let Some((before, Some(at))) = before else {
        let mut line = own_line(terms);
        protection::propose(&mut line, terms.local, terms.policy);
        let codecs = encoding::offer(&terms.policy.codecs, terms.other, &[]);
        list(&mut line, codecs, terms);
        return describe(terms, Vec::new(), vec![line]);
    };
    let mut media = before.media.clone();
    for line in &mut media {
        line.connection = Some(terms.local.rtp.ip());
    }
    if let Some(line) = media.get_mut(at) {
        let own = own_line(terms);
        let codecs = encoding::offer(&terms.policy.codecs, terms.other, &line.codecs);
        list(line, codecs, terms);
        line.port = own.port;
        line.direction = own.direction;
        line.rtcp = own.rtcp;
        line.setup = line.setup.and(Some(Setup::Actpass));
    }
    describe(terms, before.bundle.clone(), media)
}

/// Answers an offer: the first stream of sound that we can take, all others are rejected.
///
/// # Errors
/// When there is none. Within a call what was agreed stays, but for [`NoAgreement::Audio`].
pub fn answer(terms: &Terms<'_>, offer: &Sdp) -> Result<Agreed, NoAgreement> {
    let current = terms.now.and_then(|now| audio_of(&now.ours));
    let lines = offer.media.iter().enumerate();
    let mut candidates: Vec<_> = lines.filter(|(_, line)| is_open(line)).collect();
    candidates.sort_by_key(|(at, _)| Some(*at) != current);
    let mut problem = NoAgreement::Audio;
    for (at, offered) in candidates {
        match answer_line(terms, offered) {
            Ok((line, peer, flow)) => {
                let taken = |mid: &&String| Some(*mid) == line.mid.as_ref();
                let bundle = offer.bundle.iter().filter(taken).cloned().collect();
                let mut media: Vec<_> = offer.media.iter().map(|l| rejected(terms, l)).collect();
                if let Some(place) = media.get_mut(at) {
                    *place = line;
                }
                let ours = describe(terms, bundle, media);
                return Ok(Agreed { ours, peer, flow });
            }
            Err(first) if problem == NoAgreement::Audio => problem = first,
            Err(_) => {}
        }
    }
    Err(problem)
}

/// Takes the answer to our offer.
///
/// # Errors
/// When the answer rejects the sound, or takes nothing that we can do.
pub fn accept(terms: &Terms<'_>, ours: Sdp, answer: &Sdp) -> Result<Agreed, NoAgreement> {
    let at = audio_of(&ours).ok_or(NoAgreement::Audio)?;
    let answered = answer.media.get(at).filter(|line| is_open(line));
    let answered = answered.ok_or(NoAgreement::Audio)?;
    let line = ours.media.get(at).ok_or(NoAgreement::Audio)?;
    let choice =
        encoding::accept(&line.codecs, &answered.codecs, terms.other).ok_or(NoAgreement::Codec)?;
    let before = terms.now.map(|now| &now.peer.protection);
    let protection = protection::accept(line, answered, terms.policy, before)?;
    let peer = SipPeer {
        rtp: address(answered),
        rtcp: rtcp(answered, line.rtcp_mux && answered.rtcp_mux),
        signalling: terms.signalling,
        protection,
    };
    let flow = flow(terms, answered, line.direction, choice);
    Ok(Agreed { ours, peer, flow })
}

fn answer_line(
    terms: &Terms<'_>,
    offered: &MediaLine,
) -> Result<(MediaLine, SipPeer, Flow), NoAgreement> {
    let now = terms.now.map(|now| &now.flow.send);
    let mut choice = encoding::answer(&offered.codecs, &terms.policy.codecs, terms.other, now)
        .ok_or(NoAgreement::Codec)?;
    if terms.policy.keys == Keys::Info {
        choice.events = None;
    }
    let mut line = own_line(terms);
    let before = terms.now.map(|now| &now.peer.protection);
    let protection = protection::answer(offered, &mut line, terms.local, terms.policy, before)?;
    line.mid.clone_from(&offered.mid);
    line.rtcp_mux = offered.rtcp_mux;
    if line.rtcp_mux {
        line.rtcp = None;
    }
    list(&mut line, choice.ours.clone(), terms);
    let peer = SipPeer {
        rtp: address(offered),
        rtcp: rtcp(offered, offered.rtcp_mux),
        signalling: terms.signalling,
        protection,
    };
    let flow = flow(terms, offered, terms.direction, choice);
    line.direction = flow.direction;
    Ok((line, peer, flow))
}

/// Lists codecs. SDP has one packet length for all of them, so the first one's counts.
fn list(line: &mut MediaLine, codecs: Vec<Codec>, terms: &Terms<'_>) {
    let wish = codecs.first().and_then(|first| first.ptime);
    line.ptime = Some(wish.unwrap_or(terms.policy.ptime));
    line.maxptime = codecs.first().and_then(|first| first.maxptime);
    line.codecs = heard(codecs, terms);
    for codec in &mut line.codecs {
        (codec.ptime, codec.maxptime) = (None, None);
    }
}

/// What may come of the codecs we list.
fn heard(mut codecs: Vec<Codec>, terms: &Terms<'_>) -> Vec<Codec> {
    if terms.policy.keys == Keys::Info {
        codecs.retain(|codec| !encoding::is_events(codec));
    }
    codecs
}

/// What flows where the other side described `theirs` and we allow `ours`.
fn flow(terms: &Terms<'_>, theirs: &MediaLine, ours: Direction, choice: Choice) -> Flow {
    let mut send = choice.send;
    (send.ptime, send.maxptime) = (theirs.ptime, theirs.maxptime);
    Flow {
        direction: far_direction(theirs).reversed().and(ours),
        send,
        receive: heard(choice.ours, terms),
        events: choice.events,
        ptime: ptime(theirs.ptime, theirs.maxptime, terms.policy.ptime),
    }
}

/// The direction as the other side means it: before RFC 3264 a call was held by an address of
/// zeros. With ICE such an address only says that candidates follow.
fn far_direction(line: &MediaLine) -> Direction {
    let nowhere = line.connection.is_some_and(|ip| ip.is_unspecified()) && line.ice.is_none();
    let possible = if nowhere {
        Direction::Send
    } else {
        Direction::Both
    };
    line.direction.and(possible)
}

/// Where RTP can be sent to.
fn address(line: &MediaLine) -> Option<SocketAddr> {
    let ip = line.connection.filter(is_usable)?;
    (line.port != 0).then_some(SocketAddr::new(ip, line.port))
}

/// Where RTCP can be sent to: beside RTP, at the announced port, or at the next one.
fn rtcp(line: &MediaLine, mux: bool) -> Option<SocketAddr> {
    let rtp = address(line)?;
    if mux {
        return Some(rtp);
    }
    match line.rtcp {
        Some((0, _)) => None,
        Some((port, ip)) => {
            let ip = ip.filter(is_usable).unwrap_or(rtp.ip());
            Some(SocketAddr::new(ip, port))
        }
        None => Some(SocketAddr::new(rtp.ip(), rtp.port().checked_add(1)?)),
    }
}

fn is_usable(ip: &IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    !(ip.is_unspecified() || ip.is_multicast() || broadcast)
}

/// What every line of sound of ours has.
fn own_line(terms: &Terms<'_>) -> MediaLine {
    let SipLocal { rtp, rtcp, .. } = terms.local;
    let mut line = MediaLine::empty("audio", Profile::Avp);
    line.port = rtp.port();
    line.connection = Some(rtp.ip());
    line.direction = terms.direction;
    if *rtcp != SocketAddr::new(rtp.ip(), rtp.port().wrapping_add(1)) {
        let elsewhere = (rtcp.ip() != rtp.ip()).then_some(rtcp.ip());
        line.rtcp = Some((rtcp.port(), elsewhere));
    }
    line
}

/// A stream that we do not take; some want an address even there.
fn rejected(terms: &Terms<'_>, offered: &MediaLine) -> MediaLine {
    let mut line = offered.rejected();
    line.connection = Some(terms.local.rtp.ip());
    line
}

/// The first stream of sound that is open; of ours it is the only one.
fn audio_of(sdp: &Sdp) -> Option<usize> {
    sdp.media.iter().position(is_open)
}

fn is_open(line: &MediaLine) -> bool {
    line.is_audio() && line.port != 0
}

/// Puts a description together. Its version is the last one's if nothing changed, else the next.
fn describe(terms: &Terms<'_>, bundle: Vec<String>, media: Vec<MediaLine>) -> Sdp {
    let origin = Origin {
        user: "-".to_owned(),
        session: terms.session,
        version: terms.sent.map_or(1, |sent| sent.origin.version),
        address: terms.local.rtp.ip(),
    };
    let mut sdp = Sdp {
        origin,
        name: "-".to_owned(),
        bundle,
        media,
    };
    if terms.sent.is_some_and(|sent| *sent != sdp) {
        sdp.origin.version = sdp.origin.version.saturating_add(1);
    }
    sdp
}

#[cfg(test)]
mod tests;
