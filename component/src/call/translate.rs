//! Contents of a Jingle session and [`Description`] (XEP-0167 §6; specs 6.6, 6.7).
//!
//! The component transcribes and decides nothing about media: what it refuses here cannot be said
//! in a description at all, or would leave the call unencrypted.

use crate::jingle::{self, Application, Content, Jingle, Party, Senders, ice, rtp};
use tandem_shared::media::{
    Description, Direction, Extension, IceCredentials, Media, Stream, Transport, Trickle,
};

/// Why a session cannot be described.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It makes no sense: no contents, or two of one name.
    Malformed,
    /// A content carries something that is not RTP.
    Application,
    /// A content travels by something that is not ICE over UDP.
    Transport,
    /// A content is not encrypted.
    Insecure,
}

/// What `author` offers in a `session-initiate`.
///
/// # Errors
/// The first fault.
pub fn offer(jingle: &Jingle, author: Party) -> Result<Description, Fault> {
    if jingle.contents.is_empty() || !names_differ(&jingle.contents) {
        return Err(Fault::Malformed);
    }
    let mut description = Description {
        streams: Vec::new(),
        bundle: jingle.bundle.clone(),
    };
    for content in &jingle.contents {
        let stream = stream(content, author)?;
        description.streams.push(stream);
    }
    share_transport(&mut description);
    let open = |stream: &Stream| stream.transport.dtls.is_none();
    if description.streams.iter().any(open) {
        return Err(Fault::Insecure);
    }
    Ok(description)
}

/// What `author` answers to `offer` in a `session-accept`. What it leaves out, or names without a
/// way to reach it, it does not want.
///
/// # Errors
/// The first fault.
pub fn answer(jingle: &Jingle, offer: &Description, author: Party) -> Result<Description, Fault> {
    let offered = |content: &Content| {
        offer
            .streams
            .iter()
            .any(|stream| stream.mid == content.name)
    };
    if !names_differ(&jingle.contents) || !jingle.contents.iter().all(offered) {
        return Err(Fault::Malformed);
    }
    let mut description = Description {
        streams: Vec::new(),
        bundle: jingle.bundle.clone(),
    };
    for asked in &offer.streams {
        let content = jingle
            .contents
            .iter()
            .find(|content| content.name == asked.mid);
        let answered = content.map(|content| stream(content, author)).transpose()?;
        description
            .streams
            .push(answered.unwrap_or_else(|| rejected(asked)));
    }
    share_transport(&mut description);
    for stream in &mut description.streams {
        stream.rejected |= stream.transport.ice.is_none();
    }
    let open = |stream: &Stream| !stream.rejected && stream.transport.dtls.is_none();
    if description.streams.iter().any(open) {
        return Err(Fault::Insecure);
    }
    if description.streams.iter().all(|stream| stream.rejected) {
        return Err(Fault::Malformed);
    }
    Ok(description)
}

/// Our answer `ours` to `theirs` in the form that the user's client survives.
///
/// COMPAT(libwebrtc): who bundles its contents needs each of them in the answer, with a format and, for
/// Conversations, with the certificate of the others. What is declined of a bundle stays in it
/// and idles: nobody sends, and it has nothing of its own to connect.
///
/// COMPAT(Dino): without a bundle what is declined stays rejected and is left out: a client may know no
/// `senders='none'`.
#[must_use]
pub fn settled(mut ours: Description, theirs: &Description) -> Description {
    let bundled = |mid: &String| theirs.bundle.contains(mid);
    let mut streams = ours.streams.iter();
    let carrier = streams.find(|stream| !stream.rejected && bundled(&stream.mid));
    let Some(transport) = carrier.map(|carrier| carrier.transport.clone()) else {
        return ours;
    };
    let mut idle = false;
    for stream in &mut ours.streams {
        let offered = theirs.streams.iter().find(|one| one.mid == stream.mid);
        let format = offered.and_then(|offered| offered.codecs.first());
        let Some(format) = format.filter(|_| stream.rejected && bundled(&stream.mid)) else {
            continue;
        };
        idle = true;
        stream.rejected = false;
        stream.codecs = vec![format.clone()];
        stream.rtcp_mux = true;
        stream.transport = transport.clone();
        stream.transport.candidates.clear();
    }
    if idle {
        let open = |mid: &&String| {
            let mut streams = ours.streams.iter();
            streams.any(|stream| stream.mid == **mid && !stream.rejected)
        };
        ours.bundle = theirs.bundle.iter().filter(open).cloned().collect();
    }
    ours
}

/// Whether `stream` is one that sound may flow in.
#[must_use]
pub fn sounds(stream: &Stream) -> bool {
    stream.media == Media::Audio && !stream.rejected
}

/// The contents that say `description` when `author` says it, but for those that are rejected. All
/// contents are the initiator's: nobody adds any later.
#[must_use]
pub fn contents(description: &Description, author: Party) -> Vec<Content> {
    let streams = description.streams.iter();
    streams
        .filter(|stream| !stream.rejected)
        .map(|stream| content(stream, author))
        .collect()
}

/// The contents that `description` rejects, by name (XEP-0166 §7.2.4).
#[must_use]
pub fn refused(description: &Description) -> Vec<Content> {
    let streams = description.streams.iter();
    streams
        .filter(|stream| stream.rejected)
        .map(|stream| Content::named(&stream.mid, Party::Initiator))
        .collect()
}

/// The candidates that a `transport-info` brings, content by content.
#[must_use]
pub fn trickles(jingle: &Jingle) -> Vec<Trickle> {
    let trickle = |content: &Content| match &content.transport {
        Some(jingle::Transport::Ice(transport)) => Some(Trickle {
            mid: content.name.clone(),
            ufrag: transport.ufrag.clone(),
            candidates: transport.candidates.clone(),
            end: transport.complete,
        }),
        Some(jingle::Transport::Foreign) | None => None,
    };
    jingle
        .contents
        .iter()
        .filter_map(trickle)
        .filter(|trickle| trickle.end || !trickle.candidates.is_empty())
        .collect()
}

/// A content that says `trickle`; `pwd` goes with the fragment, as XEP-0176 wants it.
#[must_use]
pub fn trickled(trickle: &Trickle, current: Option<&IceCredentials>) -> Content {
    let own = current.filter(|ice| {
        trickle
            .ufrag
            .as_ref()
            .is_none_or(|ufrag| *ufrag == ice.ufrag)
    });
    let transport = ice::Transport {
        ufrag: trickle.ufrag.clone().or(own.map(|ice| ice.ufrag.clone())),
        pwd: own.map(|ice| ice.pwd.clone()),
        candidates: trickle.candidates.clone(),
        ..ice::Transport::default()
    };
    let mut content = Content::named(&trickle.mid, Party::Initiator);
    content.transport = Some(jingle::Transport::Ice(Box::new(transport)));
    content
}

/// The transport of `stream` alone, as an ICE restart says it (XEP-0176 §5.9).
#[must_use]
pub fn transport_of(stream: &Stream) -> Content {
    let mut content = Content::named(&stream.mid, Party::Initiator);
    content.transport = Some(jingle::Transport::Ice(Box::new(write_transport(stream))));
    content
}

/// What `transport` says of ICE, if both halves are there.
#[must_use]
pub fn credentials(transport: &ice::Transport) -> Option<IceCredentials> {
    let (ufrag, pwd) = transport.ufrag.clone().zip(transport.pwd.clone())?;
    Some(IceCredentials { ufrag, pwd })
}

fn names_differ(contents: &[Content]) -> bool {
    let name_before =
        |place: usize, name: &str| contents[..place].iter().any(|one| one.name == name);
    let mut places = contents.iter().enumerate();
    !places.any(|(place, content)| name_before(place, &content.name))
}

fn stream(content: &Content, author: Party) -> Result<Stream, Fault> {
    let Some(Application::Rtp(description)) = &content.application else {
        return Err(Fault::Application);
    };
    let Some(jingle::Transport::Ice(transport)) = &content.transport else {
        return Err(Fault::Transport);
    };
    let senders = content.senders.unwrap_or(Senders::Both);
    Ok(Stream {
        mid: content.name.clone(),
        media: description.media,
        direction: senders.direction(author),
        rejected: false,
        codecs: description.codecs.clone(),
        rtcp_mux: description.rtcp_mux,
        extensions: description
            .extensions
            .iter()
            .map(|extension| Extension {
                id: extension.id,
                uri: extension.uri.clone(),
                direction: extension.senders.direction(author),
            })
            .collect(),
        sources: description.sources.clone(),
        transport: Transport {
            ice: credentials(transport),
            dtls: transport.dtls.clone(),
            candidates: transport.candidates.clone(),
        },
    })
}

fn rejected(asked: &Stream) -> Stream {
    Stream {
        mid: asked.mid.clone(),
        media: asked.media,
        direction: Direction::None,
        rejected: true,
        codecs: Vec::new(),
        rtcp_mux: false,
        extensions: Vec::new(),
        sources: Vec::new(),
        transport: Transport::default(),
    }
}

/// Streams of a bundle travel as its first one does; some say it only there.
fn share_transport(description: &mut Description) {
    let Description { streams, bundle } = description;
    let in_bundle = |stream: &&mut Stream| bundle.contains(&stream.mid);
    let mut bundled = streams.iter_mut().filter(in_bundle);
    let Some(first) = bundled.next() else {
        return;
    };
    for stream in bundled {
        let transport = &mut stream.transport;
        if transport.ice.is_none() && transport.dtls.is_none() && !stream.codecs.is_empty() {
            transport.ice.clone_from(&first.transport.ice);
            transport.dtls.clone_from(&first.transport.dtls);
        }
    }
}

fn content(stream: &Stream, author: Party) -> Content {
    let description = rtp::Description {
        media: stream.media,
        codecs: stream.codecs.clone(),
        rtcp_mux: stream.rtcp_mux,
        extensions: stream
            .extensions
            .iter()
            .map(|extension| rtp::Extension {
                id: extension.id,
                uri: extension.uri.clone(),
                senders: Senders::of(extension.direction, author),
            })
            .collect(),
        sources: stream.sources.clone(),
    };
    let transport = write_transport(stream);
    let mut content = Content::named(&stream.mid, Party::Initiator);
    content.senders = Some(Senders::of(stream.direction, author));
    content.application = Some(Application::Rtp(Box::new(description)));
    content.transport = Some(jingle::Transport::Ice(Box::new(transport)));
    content
}

fn write_transport(stream: &Stream) -> ice::Transport {
    let transport = &stream.transport;
    ice::Transport {
        ufrag: transport.ice.as_ref().map(|ice| ice.ufrag.clone()),
        pwd: transport.ice.as_ref().map(|ice| ice.pwd.clone()),
        dtls: transport.dtls.clone(),
        candidates: transport.candidates.clone(),
        complete: false,
    }
}

/// What a call with these contents is to carry, as a propose says it.
#[must_use]
pub fn media(description: &Description) -> Vec<Media> {
    description
        .streams
        .iter()
        .map(|stream| stream.media)
        .collect()
}

#[cfg(test)]
mod tests;
