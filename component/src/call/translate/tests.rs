use super::*;
use crate::xml;
use minidom::Element;
use proptest::prelude::*;
use tandem_shared::media::{Candidate, CandidateKind, Codec, Dtls, Setup, Source};

/// A `<jingle/>` through the text that is sent and back.
fn over_the_wire(jingle: &Jingle) -> Jingle {
    let mut text = Vec::new();
    jingle.write(None, None).write_to(&mut text).unwrap();
    let element: Element = String::from_utf8(text).unwrap().parse().unwrap();
    Jingle::read(&element).unwrap()
}

fn say(description: &Description, author: Party) -> Jingle {
    let mut jingle = Jingle::new(jingle::Action::SessionInitiate, "s");
    jingle.contents = contents(description, author);
    jingle.bundle = description.bundle.clone();
    over_the_wire(&jingle)
}

fn token() -> impl Strategy<Value = String> {
    "[A-Za-z0-9+/.-]{1,12}"
}

fn text() -> impl Strategy<Value = String> {
    // What XML escapes, and what it would make something else of.
    "[a-z0-9<>&'\"=;, ]{0,12}"
}

fn direction() -> impl Strategy<Value = Direction> {
    prop_oneof![
        Just(Direction::Both),
        Just(Direction::Send),
        Just(Direction::Receive),
        Just(Direction::None)
    ]
}

fn codec() -> impl Strategy<Value = Codec> {
    let parameters = prop::collection::vec(("[a-z]{0,6}", "[a-z0-9/-]{1,8}"), 0..4);
    let feedback = prop::collection::vec((token(), "[a-z]{0,4}"), 0..3);
    let times = (any::<Option<u16>>(), any::<Option<u16>>());
    (
        0..128u8,
        token(),
        1..96_000u32,
        1..3u8,
        parameters,
        feedback,
        times,
    )
        .prop_map(
            |(id, name, clock, channels, parameters, feedback, (ptime, maxptime))| Codec {
                id,
                name,
                clock,
                channels,
                parameters,
                feedback,
                ptime,
                maxptime,
            },
        )
}

fn candidate() -> impl Strategy<Value = Candidate> {
    let kind = prop_oneof![
        Just(CandidateKind::Host),
        Just(CandidateKind::ServerReflexive),
        Just(CandidateKind::PeerReflexive),
        Just(CandidateKind::Relayed)
    ];
    let related = any::<Option<(std::net::IpAddr, u16)>>();
    let numbers = (Just(1u8), any::<u32>(), 1..=u16::MAX, any::<u32>());
    (token(), any::<std::net::IpAddr>(), kind, related, numbers).prop_map(
        |(foundation, ip, kind, related, (component, priority, port, generation))| Candidate {
            foundation,
            component,
            priority,
            ip,
            port,
            kind,
            related,
            generation,
        },
    )
}

fn transport() -> impl Strategy<Value = Transport> {
    let setup = prop_oneof![
        Just(Setup::Active),
        Just(Setup::Passive),
        Just(Setup::Actpass),
        Just(Setup::Holdconn)
    ];
    let candidates = prop::collection::vec(candidate(), 0..5);
    (token(), token(), setup, candidates).prop_map(|(ufrag, pwd, setup, candidates)| Transport {
        ice: Some(IceCredentials { ufrag, pwd }),
        dtls: Some(Dtls {
            hash: "sha-256".into(),
            fingerprint: "0A:FF:12".into(),
            setup,
        }),
        candidates,
    })
}

fn stream() -> impl Strategy<Value = Stream> {
    let extensions = prop::collection::vec(
        (any::<u16>(), token(), direction()).prop_map(|(id, uri, direction)| Extension {
            id,
            uri,
            direction,
        }),
        0..3,
    );
    let sources = prop::collection::vec(
        (any::<u32>(), prop::collection::vec((token(), text()), 0..3))
            .prop_map(|(ssrc, parameters)| Source { ssrc, parameters }),
        0..3,
    );
    let codecs = prop::collection::vec(codec(), 1..5);
    let media = prop_oneof![Just(Media::Audio), Just(Media::Video)];
    (
        media,
        direction(),
        codecs,
        any::<bool>(),
        extensions,
        sources,
        transport(),
    )
        .prop_map(
            |(media, direction, codecs, rtcp_mux, extensions, sources, transport)| Stream {
                mid: String::new(),
                media,
                direction,
                rejected: false,
                codecs,
                rtcp_mux,
                extensions,
                sources,
                transport,
            },
        )
}

fn description() -> impl Strategy<Value = Description> {
    (prop::collection::vec(stream(), 1..4), any::<bool>()).prop_map(|(mut streams, bundled)| {
        for (place, stream) in streams.iter_mut().enumerate() {
            stream.mid = place.to_string();
        }
        let mids = streams.iter().map(|stream| stream.mid.clone());
        let bundle = if bundled { mids.collect() } else { Vec::new() };
        Description { streams, bundle }
    })
}

proptest! {
    #[test]
    fn descriptions_come_back(description in description()) {
        for author in [Party::Initiator, Party::Responder] {
            let read = offer(&say(&description, author), author).unwrap();
            prop_assert_eq!(&read, &description);
        }
    }

    #[test]
    fn answers_come_back_with_what_is_rejected(
        mut description in description(),
        asked in description(),
        reject in any::<u8>(),
    ) {
        let mut asked = asked;
        asked.streams.truncate(description.streams.len());
        description.streams.truncate(asked.streams.len());
        description.bundle.clear();
        for (place, stream) in description.streams.iter_mut().enumerate().skip(1) {
            if reject & (1 << place) != 0 {
                asked.streams[place].media = stream.media;
                *stream = rejected(&asked.streams[place]);
            }
        }
        let said = say(&description, Party::Responder);
        let read = answer(&said, &asked, Party::Responder).unwrap();
        prop_assert_eq!(read, description);
    }

    #[test]
    fn nothing_written_by_others_panics(name in "\\PC{0,8}", value in "\\PC{0,12}", ns in 0..4usize) {
        let ns = [xml::JINGLE, xml::RTP, xml::ICE_UDP, xml::DTLS][ns];
        let mut inner = Element::bare("candidate", ns);
        crate::stanza::set(&mut inner, "port", &value);
        crate::stanza::set(&mut inner, "ip", &name);
        let mut outer = Element::bare("transport", ns);
        crate::stanza::set(&mut outer, "ufrag", &value);
        outer.append_child(inner);
        let mut content = Element::bare("content", xml::JINGLE);
        crate::stanza::set(&mut content, "name", &name);
        content.append_child(outer);
        let mut jingle = Element::bare("jingle", xml::JINGLE);
        crate::stanza::set(&mut jingle, "action", "transport-info");
        crate::stanza::set(&mut jingle, "sid", &value);
        jingle.append_child(content);
        let _ = Jingle::read(&jingle).map(|jingle| trickles(&jingle));
    }
}

/// What a client recorded, and the description it means.
fn recorded(text: &str, action: jingle::Action) -> Jingle {
    let stanza: Element = text.parse().unwrap();
    let jingle = Jingle::read(stanza.get_child("jingle", xml::JINGLE).unwrap()).unwrap();
    assert_eq!(jingle.action, action);
    jingle
}

#[test]
fn what_chromium_with_stanza_offers() {
    let text = include_str!("../../jingle/fixtures/stanza-initiate.xml");
    let jingle = recorded(text, jingle::Action::SessionInitiate);
    let description = offer(&jingle, Party::Initiator).unwrap();
    insta::assert_debug_snapshot!(description);
}

#[test]
fn what_chromium_with_stanza_answers() {
    let asked = include_str!("../../jingle/fixtures/stanza-initiate.xml");
    let asked = recorded(asked, jingle::Action::SessionInitiate);
    let asked = offer(&asked, Party::Initiator).unwrap();
    let text = include_str!("../../jingle/fixtures/stanza-accept.xml");
    let jingle = recorded(text, jingle::Action::SessionAccept);
    let description = answer(&jingle, &asked, Party::Responder).unwrap();
    let stream = &description.streams[0];
    assert_eq!(stream.transport.dtls.as_ref().unwrap().setup, Setup::Active);
    assert_eq!((stream.codecs.len(), description.bundle.len()), (3, 1));
}

#[test]
fn what_dino_offers() {
    let text = include_str!("../../jingle/fixtures/dino-initiate.xml");
    let jingle = recorded(text, jingle::Action::SessionInitiate);
    let description = offer(&jingle, Party::Initiator).unwrap();
    insta::assert_debug_snapshot!(description);
}

#[test]
fn what_chromium_offers_with_pictures() {
    let text = include_str!("../../jingle/fixtures/stanza-video.xml");
    let jingle = recorded(text, jingle::Action::SessionInitiate);
    let description = offer(&jingle, Party::Initiator).unwrap();
    assert_eq!(media(&description), [Media::Audio, Media::Video]);
    assert_eq!(description.bundle, ["0", "1"]);
    let video = &description.streams[1];
    let feedback = &video.codecs[0].feedback;
    assert!(feedback.contains(&("ccm".to_owned(), "fir".to_owned())));
    let apt = vec![("apt".to_owned(), "96".to_owned())];
    assert_eq!(video.codecs[1].parameters, apt);
    assert!(!video.sources.is_empty());
}

#[test]
fn what_we_write_is_whole() {
    let text = include_str!("../../jingle/fixtures/stanza-video.xml");
    let asked = recorded(text, jingle::Action::SessionInitiate);
    let mut answer = offer(&asked, Party::Initiator).unwrap();
    let sound = &mut answer.streams[0];
    sound.direction = Direction::Receive;
    sound.transport.candidates.push(Candidate {
        foundation: "1".into(),
        component: 1,
        priority: 2_130_706_431,
        ip: [203, 0, 113, 5].into(),
        port: 40000,
        kind: CandidateKind::ServerReflexive,
        related: Some(([192, 168, 0, 1].into(), 40000)),
        generation: 0,
    });
    answer.streams[1] = rejected(&answer.streams[1]);
    answer.bundle = vec!["0".into()];
    let theirs = offer(&asked, Party::Initiator).unwrap();
    let answer = settled(answer, &theirs);
    let mut jingle = Jingle::new(jingle::Action::SessionAccept, "s");
    jingle.contents = contents(&answer, Party::Responder);
    jingle.bundle.clone_from(&answer.bundle);
    let written = String::from(&jingle.write(None, Some("+1@sip.example.com/sip")));
    insta::assert_snapshot!(written.replace("><", ">\n<"));
}

#[test]
fn what_is_declined_idles_in_its_bundle_and_is_left_out_without_one() {
    let text = include_str!("../../jingle/fixtures/stanza-video.xml");
    let asked = recorded(text, jingle::Action::SessionInitiate);
    let theirs = offer(&asked, Party::Initiator).unwrap();
    let mut ours = theirs.clone();
    ours.streams[1] = rejected(&theirs.streams[1]);
    ours.bundle = vec!["0".into()];
    let settled_in = settled(ours.clone(), &theirs);
    let [sound, pictures] = &settled_in.streams[..] else {
        panic!("{settled_in:?}");
    };
    assert_eq!(*sound, ours.streams[0], "what is taken stays as it is");
    assert_eq!(settled_in.bundle, ["0", "1"]);
    assert_eq!(
        (pictures.direction, pictures.rejected),
        (Direction::None, false)
    );
    assert_eq!(pictures.codecs, theirs.streams[1].codecs[..1]);
    assert_eq!(pictures.transport.ice, sound.transport.ice);
    assert_eq!(pictures.transport.dtls, sound.transport.dtls);
    assert!(refused(&settled_in).is_empty());

    let mut apart = theirs;
    apart.bundle.clear();
    ours.bundle.clear();
    let settled_apart = settled(ours.clone(), &apart);
    assert_eq!(settled_apart, ours);
    let names = |contents: Vec<Content>| -> Vec<String> {
        contents.into_iter().map(|content| content.name).collect()
    };
    assert_eq!(names(contents(&settled_apart, Party::Responder)), ["0"]);
    assert_eq!(names(refused(&settled_apart)), ["1"]);
}

#[test]
fn candidates_over_tcp_and_behind_names_are_passed_over() {
    let text = include_str!("../../jingle/fixtures/stanza-trickle.xml");
    let jingle = recorded(text, jingle::Action::TransportInfo);
    let [trickle] = &trickles(&jingle)[..] else {
        panic!("one content");
    };
    assert_eq!(
        (trickle.ufrag.as_deref(), trickle.end),
        (Some("uSBE"), false)
    );
    let [candidate] = &trickle.candidates[..] else {
        panic!("{trickle:?}");
    };
    assert_eq!((candidate.port, candidate.generation), (54078, 0));
}

#[test]
fn the_end_of_gathering_is_heard() {
    let text = include_str!("../../jingle/fixtures/stanza-complete.xml");
    let jingle = recorded(text, jingle::Action::TransportInfo);
    assert!(trickles(&jingle)[0].end);
}

fn dino() -> Jingle {
    let text = include_str!("../../jingle/fixtures/dino-initiate.xml");
    recorded(text, jingle::Action::SessionInitiate)
}

#[test]
fn what_cannot_be_described_is_told_apart() {
    let mut none = dino();
    none.contents.clear();
    assert_eq!(offer(&none, Party::Initiator), Err(Fault::Malformed));
    let mut twice = dino();
    twice.contents.push(twice.contents[0].clone());
    assert_eq!(offer(&twice, Party::Initiator), Err(Fault::Malformed));
    let mut foreign = dino();
    foreign.contents[0].application = Some(Application::Foreign);
    assert_eq!(offer(&foreign, Party::Initiator), Err(Fault::Application));
    let mut foreign = dino();
    foreign.contents[0].transport = Some(jingle::Transport::Foreign);
    assert_eq!(offer(&foreign, Party::Initiator), Err(Fault::Transport));
    let mut open = dino();
    if let Some(jingle::Transport::Ice(transport)) = &mut open.contents[0].transport {
        transport.dtls = None;
    }
    assert_eq!(offer(&open, Party::Initiator), Err(Fault::Insecure));
}

#[test]
fn an_answer_names_nothing_that_was_not_offered() {
    let asked = offer(&dino(), Party::Initiator).unwrap();
    let mut other = dino();
    other.contents[0].name = "video".into();
    assert_eq!(
        answer(&other, &asked, Party::Responder),
        Err(Fault::Malformed)
    );
    let mut none = dino();
    none.contents.clear();
    assert_eq!(
        answer(&none, &asked, Party::Responder),
        Err(Fault::Malformed)
    );
}

#[test]
fn senders_are_directions_as_the_author_sees_them() {
    // Senders, what the initiator means by it, what the responder means by it (specs 6.7).
    for (senders, initiator, responder) in [
        (Senders::Both, Direction::Both, Direction::Both),
        (Senders::Initiator, Direction::Send, Direction::Receive),
        (Senders::Responder, Direction::Receive, Direction::Send),
        (Senders::None, Direction::None, Direction::None),
    ] {
        assert_eq!(senders.direction(Party::Initiator), initiator);
        assert_eq!(senders.direction(Party::Responder), responder);
        assert_eq!(Senders::of(initiator, Party::Initiator), senders);
        assert_eq!(Senders::of(responder, Party::Responder), senders);
    }
}
