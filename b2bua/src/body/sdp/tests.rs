use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

const GOLDEN: [(&str, &str); 9] = [
    ("asterisk", include_str!("golden/asterisk.sdp")),
    ("baresip", include_str!("golden/baresip.sdp")),
    ("fax-and-chat", include_str!("golden/fax-and-chat.sdp")),
    ("freeswitch", include_str!("golden/freeswitch.sdp")),
    ("hold-2543", include_str!("golden/hold-2543.sdp")),
    (
        "kamailio-rtpengine",
        include_str!("golden/kamailio-rtpengine.sdp"),
    ),
    ("libwebrtc", include_str!("golden/libwebrtc.sdp")),
    ("linphone", include_str!("golden/linphone.sdp")),
    ("torture", include_str!("golden/torture.sdp")),
];

fn parse(text: &str) -> Sdp {
    Sdp::parse(text.as_bytes()).unwrap()
}

fn minimal(lines: &str) -> String {
    format!("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n{lines}")
}

#[test]
fn what_peers_write_is_written_so() {
    for (name, text) in GOLDEN {
        let printed = parse(text).to_string().replace("\r\n", "\n");
        insta::assert_snapshot!(name, printed);
    }
}

#[test]
fn what_was_read_is_written_and_read_as_the_same() {
    for (name, text) in GOLDEN {
        let once = parse(text);
        assert_eq!(parse(&once.to_string()), once, "{name}");
    }
}

#[test]
fn line_ends_do_not_matter() {
    for (name, text) in GOLDEN {
        let lf = text.replace("\r\n", "\n");
        assert_eq!(parse(&lf), parse(&lf.replace('\n', "\r\n")), "{name}");
    }
}

#[test]
fn static_payload_types_need_no_rtpmap() {
    let sdp = parse(&minimal("m=audio 5000 RTP/AVP 0 8 9 18 13 96\r\n"));
    let line = &sdp.media[0];
    let names: Vec<_> = line
        .codecs
        .iter()
        .map(|c| (c.name.as_str(), c.clock))
        .collect();
    let expected = [
        ("PCMU", 8000),
        ("PCMA", 8000),
        ("G722", 8000),
        ("G729", 8000),
        ("CN", 8000),
    ];
    assert_eq!(names, expected);
    assert_eq!(line.formats, ["96"]);
}

#[test]
fn what_is_said_for_the_session_holds_for_every_stream_that_says_nothing_else() {
    let sdp = parse(
        "v=0\nc=IN IP4 192.0.2.1\na=inactive\na=setup:actpass\na=fingerprint:sha-256 AA:BB\n\
         m=audio 5000 RTP/AVP 0\n\
         m=audio 5002 RTP/AVP 0\nc=IN IP6 2001:db8::1\na=sendonly\na=setup:active\na=fingerprint:sha-256 CC\n\
         m=audio 5004 RTP/AVP 0\nc=IN IP4 phone.example.com\n",
    );
    let seen: Vec<_> = sdp
        .media
        .iter()
        .map(|line| {
            let digest = line.fingerprints[0].value.as_str();
            (line.connection, line.direction, line.setup, digest)
        })
        .collect();
    let (four, six) = ("192.0.2.1".parse().ok(), "2001:db8::1".parse().ok());
    let expected = [
        (four, Direction::None, Some(Setup::Actpass), "AA:BB"),
        (six, Direction::Send, Some(Setup::Active), "CC"),
        (None, Direction::None, Some(Setup::Actpass), "AA:BB"),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn a_description_that_cannot_be_answered_is_refused_with_its_line() {
    let streams = "m=audio 1 RTP/AVP 0\n".repeat(bounds::STREAMS + 1);
    let formats: String = (0..=bounds::CODECS).map(|id| format!(" {id}")).collect();
    let candidates: String = (0..=bounds::CANDIDATES)
        .map(|port| format!("a=candidate:1 1 UDP 1 192.0.2.1 {port} typ host\n"))
        .collect();
    for (text, line, problem) in [
        (String::new(), 1, Problem::Version),
        ("m=audio 1 RTP/AVP 0\n".into(), 1, Problem::Version),
        ("v=1\n".into(), 1, Problem::Version),
        ("v=0\nm=audio 1\n".into(), 2, Problem::Media),
        ("v=0\nm=au/dio 1 RTP/AVP 0\n".into(), 2, Problem::Media),
        ("v=0\n\nm=audio 65536 RTP/AVP 0\n".into(), 3, Problem::Port),
        ("v=0\r\nm=audio -1 RTP/AVP 0\r\n".into(), 2, Problem::Port),
        (
            format!("v=0\n{streams}"),
            bounds::STREAMS + 2,
            Problem::Streams,
        ),
        (
            format!("v=0\nm=audio 1 RTP/AVP{formats}\n"),
            2,
            Problem::Formats,
        ),
        (
            format!("v=0\nm=audio 1 RTP/AVP 0\n{candidates}"),
            bounds::CANDIDATES + 3,
            Problem::Candidates,
        ),
        ("v".repeat(MAX_LENGTH + 1), 1, Problem::TooLong),
    ] {
        let refused = Sdp::parse(text.as_bytes());
        assert_eq!(refused, Err(InvalidSdp { line, problem }));
    }
}

#[test]
fn a_refusal_says_what_to_do() {
    let mut said = String::new();
    for text in ["", "v=0\nm=audio 1\n", "v=0\nm=audio x y z\n"] {
        let _ = writeln!(said, "{}", Sdp::parse(text.as_bytes()).unwrap_err());
    }
    insta::assert_snapshot!(said, @"
    SDP line 1: a description begins with `v=0`
    SDP line 2: write `m=<media> <port> <profile> <format>`
    SDP line 2: a port is a number from 0 to 65535
    ");
}

#[test]
fn a_key_is_never_shown() {
    let shown = format!("{:?}", parse(GOLDEN[7].1));
    assert!(!shown.contains("WVNfX19") && !shown.contains("0b0bd3d1"));
}

/// Text as it might come from another protocol: a word half of the time, so that one bad value is
/// not always beside another; else what ends lines, what separates, and letters.
fn hostile() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "\r\n",
        "\n",
        "\r",
        "\0",
        "a=x",
        "m=audio 1 RTP/AVP 0",
        " ",
        "/",
        ":",
        ";",
        "=",
        "ö",
        "\u{2028}",
        "\u{85}",
        "opus",
        "9",
        "*",
        "\t",
    ]);
    let pieces = prop::collection::vec(pieces, 0..5).prop_map(|pieces| pieces.concat());
    prop_oneof![Just("opus".to_owned()), pieces]
}

prop_compose! {
    fn codec()(
        id in 0..140u8,
        name in hostile(),
        clock in 0..3u32,
        channels in 0..3u8,
        parameters in prop::collection::vec((hostile(), hostile()), 0..3),
        feedback in prop::collection::vec((hostile(), hostile()), 0..2),
    ) -> Codec {
        Codec { id, name, clock, channels, parameters, feedback, ptime: None, maxptime: None }
    }
}

prop_compose! {
    fn line()(
        media in hostile(),
        profile in hostile(),
        codecs in prop::collection::vec(codec(), 0..3),
        formats in prop::collection::vec(hostile(), 0..3),
        mid in prop::option::of(hostile()),
        digest in (hostile(), prop_oneof![Just("AA:BB".to_owned()), hostile()]),
        ice in (hostile(), hostile()),
        uri in hostile(),
        parameter in (hostile(), hostile()),
        suite in hostile(),
    ) -> MediaLine {
        let mut line = MediaLine::empty(&media, Profile::Other(profile));
        let key = crate::media::Key { suite, bytes: vec![1; 30] };
        line.codecs = codecs;
        line.formats = formats;
        line.mid = mid;
        line.crypto = vec![Crypto::of(1, &key)];
        line.fingerprints = vec![Fingerprint { hash: digest.0, value: digest.1 }];
        line.ice = Some(IceCredentials { ufrag: ice.0, pwd: ice.1 });
        line.extensions = vec![Extension { id: 1, uri, direction: Direction::Both }];
        line.sources = vec![Source { ssrc: 1, parameters: vec![parameter] }];
        line
    }
}

proptest! {
    /// Whatever stands in a description, each line that is written is one of ours, and there are as
    /// many streams as before.
    #[test]
    fn no_value_begins_a_line_of_its_own(
        media in prop::collection::vec(line(), 0..4),
        user in hostile(),
        name in hostile(),
        bundle in prop::collection::vec(hostile(), 0..3),
    ) {
        let address = IpAddr::from([192, 0, 2, 1]);
        let origin = Origin { user, session: 1, version: 1, address };
        let sdp = Sdp { origin, name, bundle, media };
        let text = sdp.to_string();
        prop_assert!(text.ends_with("\r\n"));
        for line in text.strip_suffix("\r\n").unwrap().split("\r\n") {
            prop_assert!(!line.contains(crate::sip::grammar::is_forbidden), "{line:?}");
            let known = [
                "v=0", "o=", "s=", "c=", "t=0 0", "m=", "a=group:BUNDLE ", "a=mid:", "a=rtpmap:",
                "a=fmtp:", "a=rtcp-fb:", "a=crypto:1 ", "a=fingerprint:", "a=ice-ufrag:",
                "a=ice-pwd:", "a=extmap:1 ", "a=ssrc:1 ", "a=sendrecv",
            ];
            prop_assert!(known.iter().any(|start| line.starts_with(start)), "{line:?}");
        }
        let again = Sdp::parse(text.as_bytes()).unwrap();
        prop_assert_eq!(again.media.len(), sdp.media.len());
    }

    /// Lines of real descriptions in any order, some of them cut: what can be read can be written
    /// and reads back as the same.
    #[test]
    fn what_can_be_read_reads_back(
        picks in prop::collection::vec((any::<prop::sample::Index>(), 0..80usize), 0..60)
    ) {
        let all: Vec<_> = GOLDEN.iter().flat_map(|(_, text)| text.lines()).collect();
        let mut text = "v=0\n".to_owned();
        for (pick, cut) in picks {
            let line = pick.get(&all);
            let line = if cut < 8 { line.get(cut..).unwrap_or(line) } else { line };
            let _ = writeln!(text, "{line}");
        }
        if let Ok(once) = Sdp::parse(text.as_bytes()) {
            prop_assert_eq!(Sdp::parse(once.to_string().as_bytes()).unwrap(), once);
        }
    }
}
