//! Offer and answer on the XMPP leg, in the words that Jingle is made of (XEP-0167, XEP-0176,
//! XEP-0320). It is always encrypted, by DTLS, and reached by ICE over one port.

use tandem_shared::media::{
    Candidate, Codec, Description, Direction, Dtls, IceCredentials, Media, Setup, Source, Stream,
    Transport,
};

use super::encoding::{self, Choice, Encoding};
use super::protection::HASH;
use super::{NoAgreement, PTIME, ptime, role};
use crate::media::{Flow, XmppLocal, XmppPeer};

/// What a negotiation on the XMPP leg starts from.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// Our endpoint.
    pub local: &'a XmppLocal,
    /// Codecs that are allowed, best first.
    pub codecs: &'a [Encoding],
    /// Which way we let sound flow.
    pub direction: Direction,
    /// What the other leg takes, best first: [`super::sip::codecs`] of its offer, and once it has
    /// agreed its `flow.send` alone. Nothing while it is not known.
    pub other: &'a [Codec],
    /// What is agreed on this leg.
    pub now: Option<&'a Agreed>,
}

/// What both sides agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    /// Our half: the answer to send, or the offer that was answered.
    pub ours: Description,
    /// The other side.
    pub peer: XmppPeer,
    /// What flows.
    pub flow: Flow,
}

impl Agreed {
    /// Whether an offer begins ICE anew (RFC 8445): we then need new credentials of our own before
    /// it is answered.
    #[must_use]
    pub fn is_restarted_by(&self, offer: &Description) -> bool {
        let streams = offer.streams.iter().filter(|stream| is_open(stream));
        let mut known = streams.filter_map(|stream| stream.transport.ice.as_ref());
        known.next().is_some_and(|ice| *ice != self.peer.ice)
    }
}

/// The codecs of a description's sound, best first, for the other leg's terms.
#[must_use]
pub fn codecs(description: &Description) -> &[Codec] {
    let stream = audio_of(description).and_then(|at| description.streams.get(at));
    stream.map_or(&[], |stream| &stream.codecs)
}

/// Our offer: the first, or a change.
#[must_use]
pub fn offer(terms: &Terms<'_>) -> Description {
    let before = terms.now.map(|now| (&now.ours, audio_of(&now.ours)));
    let Some((before, Some(at))) = before else {
        let mut stream = own_stream(terms, MID, Setup::Actpass);
        stream.codecs = listed(encoding::offer(terms.codecs, terms.other, &[]));
        return Description {
            streams: vec![stream],
            // COMPAT(libwebrtc): clients that bundle all streams refuse an offer without a group.
            bundle: vec![MID.to_owned()],
        };
    };
    let mut description = before.clone();
    if let Some(stream) = description.streams.get_mut(at) {
        let codecs = encoding::offer(terms.codecs, terms.other, &stream.codecs);
        *stream = own_stream(terms, &stream.mid, Setup::Actpass);
        stream.codecs = listed(codecs);
    }
    description
}

/// Answers an offer: the first stream of sound that we can take, all others are rejected.
///
/// # Errors
/// When there is none. Within a call what was agreed stays, but for [`NoAgreement::Audio`].
pub fn answer(terms: &Terms<'_>, offer: &Description) -> Result<Agreed, NoAgreement> {
    let current = terms.now.and_then(|now| audio_of(&now.ours));
    let streams = offer.streams.iter().enumerate();
    let mut candidates: Vec<_> = streams.filter(|(_, stream)| is_open(stream)).collect();
    candidates.sort_by_key(|(at, _)| Some(*at) != current);
    let mut problem = NoAgreement::Audio;
    for (at, offered) in candidates {
        match answer_stream(terms, offer, offered) {
            Ok((stream, peer, flow)) => {
                let bundle = offer.bundle.iter().filter(|mid| **mid == stream.mid);
                let bundle = bundle.cloned().collect();
                let mut streams: Vec<_> = offer.streams.iter().map(rejected).collect();
                if let Some(place) = streams.get_mut(at) {
                    *place = stream;
                }
                let ours = Description { streams, bundle };
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
pub fn accept(
    terms: &Terms<'_>,
    ours: Description,
    answer: &Description,
) -> Result<Agreed, NoAgreement> {
    let stream = audio_of(&ours).and_then(|at| ours.streams.get(at));
    let stream = stream.ok_or(NoAgreement::Audio)?;
    // Jingle names its contents, so the order of an answer's says nothing.
    let answered = answer
        .streams
        .iter()
        .find(|theirs| theirs.mid == stream.mid);
    let answered = answered
        .filter(|theirs| is_open(theirs))
        .ok_or(NoAgreement::Audio)?;
    let choice = encoding::accept(&stream.codecs, &answered.codecs, terms.other)
        .ok_or(NoAgreement::Codec)?;
    let reached = Reached::by(answer, answered)?;
    let setup = role::accepted(Some(reached.dtls.setup), kept(terms, reached.dtls));
    let peer = reached.peer(terms, setup, true);
    let flow = flow(answered, stream.direction, choice);
    Ok(Agreed { ours, peer, flow })
}

fn answer_stream(
    terms: &Terms<'_>,
    offer: &Description,
    offered: &Stream,
) -> Result<(Stream, XmppPeer, Flow), NoAgreement> {
    let reached = Reached::by(offer, offered)?;
    let now = terms.now.map(|now| &now.flow.send);
    let choice = encoding::answer(&offered.codecs, terms.codecs, terms.other, now)
        .ok_or(NoAgreement::Codec)?;
    // Who waits hears first which version of DTLS the other side speaks.
    let kept = kept(terms, reached.dtls);
    let setup = role::answer(Some(reached.dtls.setup), kept, Setup::Passive);
    let peer = reached.peer(terms, role::reversed(setup), false);
    let mut stream = own_stream(terms, &offered.mid, setup);
    stream.codecs = listed(choice.ours.clone());
    let flow = flow(offered, terms.direction, choice);
    stream.direction = flow.direction;
    Ok((stream, peer, flow))
}

/// How the other side is reached.
struct Reached<'a> {
    ice: &'a IceCredentials,
    dtls: &'a Dtls,
    candidates: &'a [Candidate],
}

impl<'a> Reached<'a> {
    /// By the stream's own transport, or that of a stream it is bundled with.
    fn by(description: &'a Description, stream: &'a Stream) -> Result<Self, NoAgreement> {
        let is_bundled = |stream: &&Stream| description.bundle.contains(&stream.mid);
        let beside = description.streams.iter().filter(is_bundled);
        let beside = beside.filter(|_| is_bundled(&stream));
        let streams = std::iter::once(stream).chain(beside);
        let mut transports = streams.map(|stream| &stream.transport);
        let transport = transports.find(|transport| transport.ice.is_some());
        let transport = transport.unwrap_or(&stream.transport);
        let dtls = stream.transport.dtls.as_ref().or(transport.dtls.as_ref());
        let dtls = dtls.filter(|dtls| dtls.hash.eq_ignore_ascii_case(HASH));
        let ice = transport.ice.as_ref().filter(|_| stream.rtcp_mux);
        Ok(Self {
            dtls: dtls.ok_or(NoAgreement::Security)?,
            ice: ice.ok_or(NoAgreement::Transport)?,
            candidates: &transport.candidates,
        })
    }

    fn peer(&self, terms: &Terms<'_>, setup: Setup, offered_by_us: bool) -> XmppPeer {
        XmppPeer {
            ice: self.ice.clone(),
            dtls: Dtls {
                hash: HASH.to_owned(),
                fingerprint: self.dtls.fingerprint.clone(),
                setup,
            },
            controlling: terms.now.map_or(offered_by_us, |now| now.peer.controlling),
            candidates: self.candidates.to_vec(),
        }
    }
}

/// The other side's role, if its connection goes on: with another certificate it is a new one.
fn kept(terms: &Terms<'_>, dtls: &Dtls) -> Option<Setup> {
    let known = &terms.now?.peer.dtls;
    (known.fingerprint == dtls.fingerprint).then_some(known.setup)
}

fn flow(theirs: &Stream, ours: Direction, choice: Choice) -> Flow {
    let (wish, most) = (choice.send.ptime, choice.send.maxptime);
    Flow {
        direction: theirs.direction.reversed().and(ours),
        send: choice.send,
        receive: choice.ours,
        events: choice.events,
        ptime: ptime(wish, most, PTIME),
    }
}

fn own_stream(terms: &Terms<'_>, mid: &str, setup: Setup) -> Stream {
    let local = terms.local;
    Stream {
        mid: mid.to_owned(),
        media: Media::Audio,
        direction: terms.direction,
        rejected: false,
        codecs: Vec::new(),
        rtcp_mux: true,
        extensions: Vec::new(),
        sources: vec![Source {
            ssrc: local.ssrc,
            parameters: vec![("cname".to_owned(), local.cname.clone())],
        }],
        transport: Transport {
            ice: Some(local.ice.clone()),
            dtls: Some(Dtls {
                hash: local.fingerprint.hash.clone(),
                fingerprint: local.fingerprint.value.clone(),
                setup,
            }),
            candidates: local.candidates.clone(),
        },
    }
}

/// Codecs as clients list them: telephone events without the range that SDP gives them.
fn listed(mut codecs: Vec<Codec>) -> Vec<Codec> {
    for codec in codecs.iter_mut().filter(|codec| encoding::is_events(codec)) {
        codec.parameters.clear();
    }
    codecs
}

fn rejected(offered: &Stream) -> Stream {
    Stream {
        mid: offered.mid.clone(),
        media: offered.media,
        direction: Direction::None,
        rejected: true,
        codecs: Vec::new(),
        rtcp_mux: false,
        extensions: Vec::new(),
        sources: Vec::new(),
        transport: Transport::default(),
    }
}

fn is_open(stream: &Stream) -> bool {
    stream.media == Media::Audio && !stream.rejected
}

/// The first stream of sound that is open; of ours it is the only one.
fn audio_of(description: &Description) -> Option<usize> {
    description.streams.iter().position(is_open)
}

/// The name of the stream in our offers.
const MID: &str = "audio";

#[cfg(test)]
mod tests;
