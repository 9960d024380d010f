use super::*;
use crate::call::negotiate::tests::{key, local};
use crate::call::negotiate::{Demand, Srtp};
use crate::media::Protection;

struct Bench {
    local: SipLocal,
    policy: Policy,
    other: Vec<Codec>,
    direction: Direction,
}

impl Default for Bench {
    fn default() -> Self {
        Self {
            local: local(1),
            policy: Policy::default(),
            other: Vec::new(),
            direction: Direction::Both,
        }
    }
}

impl Bench {
    fn with(srtp: Srtp, demand: Demand) -> Self {
        let mut bench = Self::default();
        bench.policy.srtp = srtp;
        bench.policy.demand = demand;
        bench
    }

    fn terms<'a>(&'a self, now: Option<&'a Agreed>) -> Terms<'a> {
        Terms {
            local: &self.local,
            policy: &self.policy,
            session: 7,
            signalling: IpAddr::from([192, 0, 2, 99]),
            direction: self.direction,
            other: &self.other,
            now,
            sent: now.map(|now| &now.ours),
        }
    }

    fn answer(&self, lines: &str) -> Result<Agreed, NoAgreement> {
        answer(&self.terms(None), &sdp(lines))
    }

    fn accept(&self, lines: &str) -> Result<Agreed, NoAgreement> {
        accept(&self.terms(None), offer(&self.terms(None)), &sdp(lines))
    }
}

fn sdp(lines: &str) -> Sdp {
    let text = format!("v=0\no=- 1 1 IN IP4 192.0.2.20\ns=-\nc=IN IP4 192.0.2.20\nt=0 0\n{lines}");
    Sdp::parse(text.as_bytes()).unwrap()
}

fn text(sdp: &Sdp) -> String {
    sdp.to_string().replace("\r\n", "\n")
}

const PLAIN: &str = "m=audio 4000 RTP/AVP 8 101\na=rtpmap:101 telephone-event/8000\n";
const THEIR_KEY: &str = "inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";
const PRINT: &str = "a=fingerprint:sha-256 AA:BB\n";

#[test]
fn first_offers() {
    let mut all = String::new();
    for (srtp, demand) in [
        (Srtp::Off, Demand::Require),
        (Srtp::Sdes, Demand::Prefer),
        (Srtp::Sdes, Demand::Require),
        (Srtp::Dtls, Demand::Prefer),
        (Srtp::Dtls, Demand::Require),
    ] {
        let bench = Bench::with(srtp, demand);
        all += &format!(
            "--- {srtp:?} {demand:?}\n{}",
            text(&offer(&bench.terms(None)))
        );
    }
    insta::assert_snapshot!(all);
}

#[test]
fn every_line_is_answered_in_its_place() {
    let answered = Bench::default().answer(
        "a=group:BUNDLE v a b\n\
         m=video 4002 RTP/AVP 96 97\na=rtpmap:96 VP8/90000\na=mid:v\n\
         m=image 4004 udptl t38\n\
         m=audio 0 RTP/AVP 0\n\
         m=audio 4006 RTP/AVP 3\na=mid:gsm\n\
         m=audio 4008 RTP/AVP 0 101\na=mid:a\na=extmap:1 urn:x\na=rtcp-mux\na=rtpmap:101 telephone-event/8000\n\
         m=audio 4010 RTP/AVP 8\na=mid:b\n\
         m=application 9 UDP/DTLS/SCTP webrtc-datachannel\n",
    );
    insta::assert_snapshot!(text(&answered.unwrap().ours));
}

#[test]
fn an_offer_without_anything_for_us_is_refused() {
    let key_of = |suite: &str, more: &str| {
        format!("m=audio 4000 RTP/SAVP 8\na=crypto:1 {suite} {THEIR_KEY}{more}\n")
    };
    let known = "AES_CM_128_HMAC_SHA1_80";
    for (lines, problem) in [
        (String::new(), NoAgreement::Audio),
        ("m=video 4000 RTP/AVP 31\n".into(), NoAgreement::Audio),
        ("m=audio 0 RTP/AVP 8\n".into(), NoAgreement::Audio),
        ("m=audio 4000 TCP/RTP/AVP 8\n".into(), NoAgreement::Audio),
        ("m=audio 4000 RTP/AVP 3 18\n".into(), NoAgreement::Codec),
        ("m=audio 4000 RTP/SAVP 8\n".into(), NoAgreement::Security),
        (key_of("AES_256_CM_HMAC_SHA1_80", ""), NoAgreement::Security),
        (key_of(known, "|1:4"), NoAgreement::Security),
        (key_of(known, " UNENCRYPTED_SRTP"), NoAgreement::Security),
        (
            "m=audio 4000 UDP/TLS/RTP/SAVP 8\n".into(),
            NoAgreement::Security,
        ),
        (
            "m=audio 4000 UDP/TLS/RTP/SAVP 8\na=fingerprint:md5 AA\n".into(),
            NoAgreement::Security,
        ),
        // Keys in the description are not for a line that wants DTLS.
        (
            format!("m=audio 4000 UDP/TLS/RTP/SAVP 8\na=crypto:1 {known} {THEIR_KEY}\n"),
            NoAgreement::Security,
        ),
    ] {
        let refused = Bench::default().answer(&lines).map(|agreed| agreed.flow);
        assert_eq!(refused, Err(problem), "{lines}");
    }
}

#[test]
fn the_first_stream_that_policy_and_codecs_allow_is_taken() {
    let lines = format!(
        "{PLAIN}m=audio 4002 RTP/SAVP 3\na=crypto:1 AES_CM_128_HMAC_SHA1_80 {THEIR_KEY}\n\
         m=audio 4004 RTP/SAVP 0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 {THEIR_KEY}\n"
    );
    for (demand, port, expected) in [
        (Demand::Prefer, 4000, [5000, 0, 0]),
        (Demand::Require, 4004, [0, 0, 5000]),
    ] {
        let agreed = Bench::with(Srtp::Sdes, demand).answer(&lines).unwrap();
        let ports: Vec<_> = agreed.ours.media.iter().map(|line| line.port).collect();
        assert_eq!(ports, expected);
        assert_eq!(agreed.peer.rtp.unwrap().port(), port);
    }
}

#[test]
fn protection_of_an_answer() {
    use Demand::{Prefer, Require};
    let with = |profile: &str, sdes: bool, dtls: bool| {
        let crypto = format!("a=crypto:4 AES_CM_128_HMAC_SHA1_32 {THEIR_KEY}|2^31\n");
        let crypto = if sdes { crypto.as_str() } else { "" };
        let print = if dtls { PRINT } else { "" };
        format!("m=audio 4000 {profile} 8\n{crypto}{print}a=setup:actpass\n")
    };
    let mut table = String::from("| srtp | offered | answered |\n");
    for (srtp, demand) in [
        (Srtp::Off, Prefer),
        (Srtp::Sdes, Prefer),
        (Srtp::Sdes, Require),
        (Srtp::Dtls, Prefer),
        (Srtp::Dtls, Require),
    ] {
        for profile in ["RTP/AVP", "RTP/AVPF", "RTP/SAVP", "UDP/TLS/RTP/SAVPF"] {
            for (sdes, dtls) in [(false, false), (true, false), (false, true), (true, true)] {
                let answered = Bench::with(srtp, demand).answer(&with(profile, sdes, dtls));
                let said = match &answered {
                    Ok(agreed) => {
                        let line = &agreed.ours.media[0];
                        assert_eq!(line.profile.as_str(), profile);
                        match &agreed.peer.protection {
                            Protection::Plain => "plain".to_owned(),
                            Protection::Sdes { ours, theirs } => {
                                assert_eq!(line.crypto[0].key().as_ref(), Some(ours));
                                assert_eq!((&ours.suite, line.crypto[0].tag), (&theirs.suite, 4));
                                "sdes".to_owned()
                            }
                            Protection::Dtls { setup, .. } => {
                                format!("dtls, they are {setup:?}, we {:?}", line.setup.unwrap())
                            }
                        }
                    }
                    Err(problem) => format!("{problem:?}"),
                };
                let offered = format!("{profile} sdes={sdes} dtls={dtls}");
                table += &format!("| {srtp:?} {demand:?} | {offered} | {said} |\n");
            }
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn protection_after_an_answer() {
    use Demand::{Prefer, Require};
    let known = "AES_CM_128_HMAC_SHA1_80";
    let sdes = |tag: u32, suite: &str| {
        format!("m=audio 4000 RTP/SAVP 8\na=crypto:{tag} {suite} {THEIR_KEY}\n")
    };
    let dtls = |setup: &str| format!("m=audio 4000 UDP/TLS/RTP/SAVP 8\n{PRINT}a=setup:{setup}\n");
    for (srtp, demand, lines, expected) in [
        (Srtp::Sdes, Require, sdes(1, known), Ok("sdes")),
        (Srtp::Sdes, Prefer, sdes(1, known), Ok("sdes")),
        (Srtp::Sdes, Prefer, PLAIN.to_owned(), Ok("plain")),
        (
            Srtp::Sdes,
            Require,
            PLAIN.to_owned(),
            Err(NoAgreement::Security),
        ),
        // A tag or suite that we did not offer.
        (
            Srtp::Sdes,
            Require,
            sdes(9, known),
            Err(NoAgreement::Security),
        ),
        (
            Srtp::Sdes,
            Require,
            sdes(2, known),
            Err(NoAgreement::Security),
        ),
        (Srtp::Off, Prefer, sdes(1, known), Ok("plain")),
        (Srtp::Dtls, Require, dtls("active"), Ok("Active")),
        (Srtp::Dtls, Prefer, dtls("passive"), Ok("Passive")),
        (Srtp::Dtls, Require, dtls("actpass"), Ok("Active")),
        (
            Srtp::Dtls,
            Require,
            PLAIN.to_owned(),
            Err(NoAgreement::Security),
        ),
        (Srtp::Dtls, Prefer, PLAIN.to_owned(), Ok("plain")),
    ] {
        let bench = Bench::with(srtp, demand);
        let agreed = bench
            .accept(&lines)
            .map(|agreed| match agreed.peer.protection {
                Protection::Plain => "plain",
                Protection::Sdes { ours, theirs } => {
                    assert_eq!(ours, key(1, known));
                    assert_ne!(theirs, ours);
                    "sdes"
                }
                Protection::Dtls {
                    setup: Setup::Active,
                    ..
                } => "Active",
                Protection::Dtls { .. } => "Passive",
            });
        assert_eq!(agreed, expected, "{srtp:?} {demand:?} {lines}");
    }
}

#[test]
fn an_answer_that_takes_no_sound_is_no_call() {
    for (lines, problem) in [
        ("", NoAgreement::Audio),
        ("m=audio 0 RTP/AVP 8\n", NoAgreement::Audio),
        ("m=video 4000 RTP/AVP 31\n", NoAgreement::Audio),
        ("m=audio 4000 RTP/AVP 3\n", NoAgreement::Codec),
    ] {
        assert_eq!(Bench::default().accept(lines), Err(problem), "{lines}");
    }
}

#[test]
fn where_packets_go() {
    for (lines, rtp, rtcp) in [
        (
            "m=audio 4000 RTP/AVP 8\n",
            Some("192.0.2.20:4000"),
            Some("192.0.2.20:4001"),
        ),
        (
            "m=audio 4000 RTP/AVP 8\na=rtcp-mux\na=rtcp:4007\n",
            Some("192.0.2.20:4000"),
            Some("192.0.2.20:4000"),
        ),
        (
            "m=audio 4000 RTP/AVP 8\na=rtcp:4007\n",
            Some("192.0.2.20:4000"),
            Some("192.0.2.20:4007"),
        ),
        (
            "m=audio 4000 RTP/AVP 8\na=rtcp:4007 IN IP4 192.0.2.21\n",
            Some("192.0.2.20:4000"),
            Some("192.0.2.21:4007"),
        ),
        (
            "m=audio 4000 RTP/AVP 8\na=rtcp:4007 IN IP4 0.0.0.0\n",
            Some("192.0.2.20:4000"),
            Some("192.0.2.20:4007"),
        ),
        (
            "m=audio 4000 RTP/AVP 8\na=rtcp:0\n",
            Some("192.0.2.20:4000"),
            None,
        ),
        ("m=audio 65535 RTP/AVP 8\n", Some("192.0.2.20:65535"), None),
        (
            "m=audio 4000 RTP/AVP 8\nc=IN IP6 2001:db8::1\n",
            Some("[2001:db8::1]:4000"),
            Some("[2001:db8::1]:4001"),
        ),
        (
            "m=audio 4000 RTP/AVP 8\nc=IN IP4 phone.example.com\n",
            None,
            None,
        ),
        ("m=audio 4000 RTP/AVP 8\nc=IN IP4 224.0.0.1\n", None, None),
        (
            "m=audio 4000 RTP/AVP 8\nc=IN IP4 255.255.255.255\n",
            None,
            None,
        ),
        ("m=audio 4000 RTP/AVP 8\nc=IN IP4 0.0.0.0\n", None, None),
    ] {
        let peer = Bench::default().answer(lines).unwrap().peer;
        let expected = [rtp, rtcp].map(|address| address.map(|text| text.parse().unwrap()));
        assert_eq!([peer.rtp, peer.rtcp], expected, "{lines}");
        assert_eq!(peer.signalling, IpAddr::from([192, 0, 2, 99]));
    }
}

#[test]
fn rtcp_shares_the_port_only_where_both_said_so() {
    let mux = "m=audio 4000 RTP/AVP 8\na=rtcp-mux\n";
    let alone = "m=audio 4000 RTP/AVP 8\n";
    for (srtp, answered, port) in [
        (Srtp::Dtls, mux, 4000),
        (Srtp::Dtls, alone, 4001),
        (Srtp::Off, mux, 4001),
        (Srtp::Off, alone, 4001),
    ] {
        let agreed = Bench::with(srtp, Demand::Prefer).accept(answered).unwrap();
        assert_eq!(
            agreed.peer.rtcp.unwrap().port(),
            port,
            "{srtp:?} {answered}"
        );
    }
}

#[test]
fn rtcp_beside_the_next_port_is_announced() {
    for (rtcp, expected) in [
        ("198.51.100.1:5001", None),
        ("198.51.100.1:6000", Some("a=rtcp:6000\r\n")),
        (
            "198.51.100.2:5001",
            Some("a=rtcp:5001 IN IP4 198.51.100.2\r\n"),
        ),
    ] {
        let mut bench = Bench::default();
        bench.local.rtcp = rtcp.parse().unwrap();
        let offered = offer(&bench.terms(None)).to_string();
        assert_eq!(offered.contains("a=rtcp:"), expected.is_some());
        assert!(
            expected.is_none_or(|line| offered.contains(line)),
            "{offered}"
        );
    }
}

#[test]
fn packets_are_as_long_as_the_other_side_wants() {
    for (lines, usual, expected) in [
        ("", 20, 20),
        ("a=ptime:30\n", 20, 30),
        ("a=ptime:35\n", 20, 30),
        ("a=ptime:200\n", 20, 60),
        ("a=ptime:5\n", 20, 10),
        ("a=maxptime:10\n", 20, 10),
        ("a=ptime:60\na=maxptime:40\n", 20, 40),
        ("", 40, 40),
    ] {
        let mut bench = Bench::default();
        bench.policy.ptime = usual;
        let agreed = bench.answer(&format!("{PLAIN}{lines}")).unwrap();
        assert_eq!(agreed.flow.ptime, expected, "{lines}");
    }
}

#[test]
fn a_wish_about_packets_crosses_with_the_codec() {
    let phone = sdp(&format!("{PLAIN}a=ptime:30\na=maxptime:60\n"));
    let phone = codecs(&phone, &Policy::default());
    let bench = Bench {
        other: phone,
        ..Bench::default()
    };
    let offered = offer(&bench.terms(None));
    let line = &offered.media[0];
    assert_eq!(line.codecs[0].name, "PCMA");
    assert_eq!((line.ptime, line.maxptime), (Some(30), Some(60)));
}

/// What the other side says, whether we still want to send and receive; what flows, what we answer.
#[test]
fn holds_in_every_dialect() {
    let zeros = "c=IN IP4 0.0.0.0\n";
    let mut table = String::from("| offered | we allow | we answer | what flows |\n");
    for (name, lines) in [
        ("sendrecv", String::new()),
        ("sendonly", "a=sendonly\n".into()),
        ("recvonly", "a=recvonly\n".into()),
        ("inactive", "a=inactive\n".into()),
        ("zeros", zeros.into()),
        ("zeros sendonly", format!("{zeros}a=sendonly\n")),
        ("zeros recvonly", format!("{zeros}a=recvonly\n")),
        ("zeros inactive", format!("{zeros}a=inactive\n")),
        ("zeros of six", "c=IN IP6 ::\n".into()),
        (
            "zeros with ICE",
            format!("{zeros}a=ice-ufrag:abcd\na=ice-pwd:0123456789012345678901\n"),
        ),
    ] {
        for direction in [Direction::Both, Direction::Send] {
            let bench = Bench {
                direction,
                ..Bench::default()
            };
            let agreed = bench.answer(&format!("{PLAIN}{lines}")).unwrap();
            let (ours, flows) = (agreed.ours.media[0].direction, agreed.flow.direction);
            table += &format!("| {name} | {direction:?} | {ours:?} | {flows:?} |\n");
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn hold_and_resume_leave_the_call_as_it_was() {
    let bench = Bench::default();
    let first = bench.answer(PLAIN).unwrap();
    assert_eq!(first.ours.origin.version, 1);
    let held = answer(
        &bench.terms(Some(&first)),
        &sdp(&format!("{PLAIN}a=sendonly\n")),
    )
    .unwrap();
    assert_eq!(held.ours.origin.version, 2);
    assert_eq!(held.flow.direction, Direction::Receive);
    let resumed = answer(&bench.terms(Some(&held)), &sdp(PLAIN)).unwrap();
    assert_eq!(resumed.ours.origin.version, 3);
    assert_eq!((resumed.flow, resumed.peer), (first.flow, first.peer));
    assert_eq!(resumed.ours.media, first.ours.media);
}

#[test]
fn a_description_that_did_not_change_keeps_its_version() {
    let bench = Bench::default();
    let first = bench.answer(PLAIN).unwrap();
    let refreshed = answer(&bench.terms(Some(&first)), &sdp(PLAIN)).unwrap();
    assert_eq!(refreshed, first);
    let offered = offer(&bench.terms(None));
    let again = offer(&Terms {
        sent: Some(&offered),
        ..bench.terms(None)
    });
    assert_eq!(again, offered);
}

#[test]
fn a_refused_offer_uses_up_its_version() {
    let mut bench = Bench::default();
    let first = bench.answer(PLAIN).unwrap();
    bench.direction = Direction::Send;
    let refused = offer(&bench.terms(Some(&first)));
    assert_eq!(refused.origin.version, 2);
    bench.direction = Direction::None;
    let next = offer(&Terms {
        sent: Some(&refused),
        ..bench.terms(Some(&first))
    });
    assert_eq!(next.origin.version, 3);
}

#[test]
fn an_offer_within_a_call_keeps_lines_and_numbers() {
    let mut bench = Bench::default();
    let first = bench
        .answer(
            "m=video 4002 RTP/AVP 31\na=mid:v\n\
             m=audio 4000 RTP/AVP 101 96\na=mid:a\na=rtpmap:101 opus/48000/2\na=rtpmap:96 telephone-event/48000\n",
        )
        .unwrap();
    bench.direction = Direction::Send;
    insta::assert_snapshot!(text(&offer(&bench.terms(Some(&first)))));
}

#[test]
fn an_offer_within_a_call_keeps_its_protection() {
    let bench = Bench::default();
    let lines = "m=audio 4000 RTP/SAVP 8\na=crypto:3 AEAD_AES_128_GCM inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw\n";
    let first = bench.answer(lines).unwrap();
    let line = offer(&bench.terms(Some(&first))).media[0].clone();
    assert_eq!(
        (line.profile, line.crypto),
        (Profile::Savp, first.ours.media[0].crypto.clone())
    );

    let lines = format!("m=audio 4000 UDP/TLS/RTP/SAVP 8\n{PRINT}a=setup:active\n");
    let first = bench.answer(&lines).unwrap();
    assert_eq!(first.ours.media[0].setup, Some(Setup::Passive));
    let line = offer(&bench.terms(Some(&first))).media[0].clone();
    assert_eq!(
        (line.profile, line.setup),
        (Profile::DtlsSavp, Some(Setup::Actpass))
    );
}

#[test]
fn a_handshake_that_was_done_keeps_its_roles() {
    let bench = Bench::with(Srtp::Dtls, Demand::Require);
    let line = |print: &str, setup: &str| {
        format!("m=audio 4000 UDP/TLS/RTP/SAVP 8\na=fingerprint:sha-256 {print}\na=setup:{setup}\n")
    };
    // They took the active role in answer to our offer, and now offer again.
    let first = bench.accept(&line("AA:BB", "active")).unwrap();
    for (print, expected) in [("AA:BB", Setup::Passive), ("CC:DD", Setup::Active)] {
        let again = answer(&bench.terms(Some(&first)), &sdp(&line(print, "actpass"))).unwrap();
        assert_eq!(again.ours.media[0].setup, Some(expected), "{print}");
    }
}

#[test]
fn an_offer_within_a_call_may_change_everything() {
    let bench = Bench::default();
    let crypto = |key: &str| format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}\n");
    let key_one = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";
    let key_two = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
    let first = format!(
        "m=audio 4000 RTP/SAVP 96 97\na=rtpmap:96 opus/48000/2\na=rtpmap:97 telephone-event/48000\n{}",
        crypto(key_one)
    );
    let first = bench.answer(&first).unwrap();
    let second = format!(
        "m=audio 4100 RTP/SAVP 0 96\nc=IN IP4 192.0.2.77\na=rtpmap:96 telephone-event/8000\na=ptime:30\n{}",
        crypto(key_two)
    );
    let second = answer(&bench.terms(Some(&first)), &sdp(&second)).unwrap();
    assert_eq!(
        (
            first.flow.send.name.as_str(),
            second.flow.send.name.as_str()
        ),
        ("opus", "PCMU")
    );
    let events = second.flow.events.unwrap();
    assert_eq!((events.id, events.clock, second.flow.ptime), (96, 8000, 30));
    assert_eq!(second.peer.rtp, "192.0.2.77:4100".parse().ok());
    let keys = |agreed: &Protection| match agreed {
        Protection::Sdes { ours, theirs } => (ours.clone(), theirs.clone()),
        Protection::Plain | Protection::Dtls { .. } => panic!("no key"),
    };
    let (before, after) = (keys(&first.peer.protection), keys(&second.peer.protection));
    assert_eq!(before.0, after.0);
    assert_ne!(before.1, after.1);
}

#[test]
fn a_stream_that_is_given_up_ends_the_sound() {
    let bench = Bench::default();
    let first = bench.answer(PLAIN).unwrap();
    let offered = sdp("m=audio 0 RTP/AVP 8\n");
    assert_eq!(
        answer(&bench.terms(Some(&first)), &offered),
        Err(NoAgreement::Audio)
    );
}

#[test]
fn a_second_audio_does_not_take_over_within_a_call() {
    let bench = Bench::default();
    let offered = format!("m=audio 0 RTP/AVP 0\n{PLAIN}");
    let first = bench.answer(&offered).unwrap();
    let offered = format!("m=audio 4444 RTP/AVP 0\n{PLAIN}");
    let second = answer(&bench.terms(Some(&first)), &sdp(&offered)).unwrap();
    assert_eq!(second.peer.rtp.unwrap().port(), 4000);
}

#[test]
fn both_legs_meet_on_a_codec_of_the_other() {
    let mut bench = Bench::default();
    bench.policy.codecs = vec![Encoding::Opus, Encoding::Pcmu];
    bench.other = encoding::offer(&[Encoding::Pcmu], &[], &[]);
    let agreed = bench
        .answer("m=audio 4000 RTP/AVP 96 0\na=rtpmap:96 opus/48000/2\n")
        .unwrap();
    assert_eq!(agreed.flow.send.name, "PCMU");
    assert_eq!(offer(&bench.terms(None)).media[0].codecs[0].name, "PCMU");
}
