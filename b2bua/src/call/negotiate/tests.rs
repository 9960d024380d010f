use std::net::IpAddr;

use proptest::prelude::*;
use tandem_shared::media::{Candidate, CandidateKind, Codec, Direction, IceCredentials, Setup};

use super::*;
use crate::body::sdp::{SUITES, Sdp};
use crate::media::{Fingerprint, Flow, Key, Protection, SipLocal, XmppLocal};

pub(super) fn key(of: u8, suite: &str) -> Key {
    let length = SUITES.iter().find(|(name, _)| *name == suite).unwrap().1;
    Key {
        suite: suite.to_owned(),
        bytes: vec![of; length],
    }
}

fn fingerprint(of: u8) -> Fingerprint {
    Fingerprint {
        hash: "sha-256".into(),
        value: vec![format!("{of:02X}"); 32].join(":"),
    }
}

/// An endpoint toward SIP; `of` tells two apart.
pub(super) fn local(of: u8) -> SipLocal {
    let ip = IpAddr::from([198, 51, 100, of]);
    SipLocal {
        rtp: (ip, 5000).into(),
        rtcp: (ip, 5001).into(),
        keys: SUITES.map(|(suite, _)| key(of, suite)).to_vec(),
        fingerprint: fingerprint(of),
        ssrc: u32::from(of),
    }
}

/// An endpoint toward XMPP.
pub(super) fn xmpp_local(of: u8) -> XmppLocal {
    let candidate = Candidate {
        foundation: "1".into(),
        component: 1,
        priority: 2_130_706_431,
        ip: IpAddr::from([198, 51, 100, of]),
        port: 3478,
        kind: CandidateKind::Host,
        related: None,
        generation: 0,
    };
    XmppLocal {
        ice: IceCredentials {
            ufrag: format!("frag{of}"),
            pwd: format!("a password of endpoint {of}"),
        },
        fingerprint: fingerprint(of),
        candidates: vec![candidate],
        ssrc: u32::from(of),
        cname: format!("name{of}"),
    }
}

#[test]
fn a_failed_negotiation_ends_the_call_with_its_reason() {
    for (problem, end, warning) in [
        (NoAgreement::Audio, EndReason::UnsupportedMedia, 304),
        (NoAgreement::Codec, EndReason::UnsupportedMedia, 305),
        (NoAgreement::Transport, EndReason::UnsupportedMedia, 302),
        (NoAgreement::Security, EndReason::Security, 399),
    ] {
        assert_eq!((problem.end(), problem.warning()), (end, warning));
    }
}

#[test]
fn a_policy_is_read_from_words() {
    let read = |text: &str| serde_json::from_str::<Srtp>(text).ok();
    let all = [Some(Srtp::Off), Some(Srtp::Sdes), Some(Srtp::Dtls), None];
    assert_eq!(
        [r#""off""#, r#""sdes""#, r#""dtls""#, r#""zrtp""#].map(read),
        all
    );
    let codecs: Vec<Encoding> = serde_json::from_str(r#"["opus","g722","pcma","pcmu"]"#).unwrap();
    assert_eq!(codecs, Encoding::ALL);
}

fn sip_terms<'a>(local: &'a SipLocal, policy: &'a Policy, other: &'a [Codec]) -> sip::Terms<'a> {
    sip::Terms {
        local,
        policy,
        session: 1,
        signalling: local.rtp.ip(),
        direction: Direction::Both,
        other,
        now: None,
        sent: None,
    }
}

prop_compose! {
    fn policy()(
        codecs in prop::sample::subsequence(Encoding::ALL.to_vec(), 1..=4).prop_shuffle(),
        srtp in prop::sample::select(vec![Srtp::Off, Srtp::Sdes, Srtp::Dtls]),
        demand in prop::sample::select(vec![Demand::Prefer, Demand::Require]),
        keys in prop::sample::select(vec![Keys::Auto, Keys::Rfc4733, Keys::Info]),
    ) -> Policy {
        Policy { codecs, srtp, demand, keys, ..Policy::default() }
    }
}

fn direction() -> impl Strategy<Value = Direction> {
    use Direction::{Both, None, Receive, Send};
    prop::sample::select(vec![Both, Send, Receive, None])
}

/// Lines that make sense alone, in any number and order.
fn offered() -> impl Strategy<Value = String> {
    let m = prop::sample::select(vec![
        "m=audio 4000 RTP/AVP 0 8 96 97 101",
        "m=audio 4000 RTP/AVP 96 101 102",
        "m=audio 4000 RTP/SAVP 9 96 8",
        "m=audio 4000 UDP/TLS/RTP/SAVPF 111 96 0",
        "m=audio 0 RTP/AVP 0",
        "m=audio 4000 RTP/AVP 3 18",
        "m=video 4002 RTP/AVP 31",
        "m=image 4002 udptl t38",
    ]);
    let a = prop::sample::select(vec![
        "a=rtpmap:96 opus/48000/2",
        "a=rtpmap:96 telephone-event/8000",
        "a=rtpmap:97 G722/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=rtpmap:102 PCMU/8000",
        "a=rtpmap:111 opus/48000/2",
        "a=fmtp:96 useinbandfec=1",
        "a=sendonly",
        "a=inactive",
        "a=rtcp-mux",
        "a=mid:x",
        "c=IN IP4 0.0.0.0",
        "a=crypto:2 AEAD_AES_128_GCM inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw",
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj",
        "a=fingerprint:sha-256 AA:BB",
        "a=setup:actpass",
    ]);
    let stream =
        (m, prop::collection::vec(a, 0..8)).prop_map(|(m, a)| format!("{m}\n{}\n", a.join("\n")));
    prop::collection::vec(stream, 0..6)
        .prop_map(|streams| format!("v=0\nc=IN IP4 192.0.2.1\n{}", streams.concat()))
}

/// Whether what `from` sends is what `to` listed, and the other way round.
fn meet(one: &Flow, two: &Flow) {
    assert_eq!(one.direction, two.direction.reversed());
    for (from, to) in [(one, two), (two, one)] {
        let listed = |codec: &Codec| {
            to.receive.iter().any(|mine| {
                (mine.id, &mine.name, mine.clock) == (codec.id, &codec.name, codec.clock)
            })
        };
        assert!(listed(&from.send));
        assert!(from.events.as_ref().is_none_or(listed));
    }
}

fn encodings() -> impl Strategy<Value = Vec<Encoding>> {
    prop::sample::subsequence(Encoding::ALL.to_vec(), 1..=4).prop_shuffle()
}

fn xmpp_terms<'a>(
    local: &'a XmppLocal,
    codecs: &'a [Encoding],
    other: &'a [Codec],
) -> xmpp::Terms<'a> {
    xmpp::Terms {
        local,
        codecs,
        direction: Direction::Both,
        other,
        now: None,
    }
}

/// Whether a phone and a client have a codec in common that the trunk allows too.
fn can_meet(policy: &Policy, phone: &Policy, client: &[Encoding]) -> bool {
    let both = |codec: &&Encoding| phone.codecs.contains(codec) && client.contains(codec);
    policy.codecs.iter().any(|codec| both(&codec))
}

fn of(codecs: &[Encoding]) -> Policy {
    Policy {
        codecs: codecs.to_vec(),
        ..Policy::default()
    }
}

/// The phone, answering in the order of the offer as RFC 3264 wants it.
fn phone_answers(phone: &Policy, offer: &Sdp) -> Option<Sdp> {
    let offered = sip::codecs(offer, phone);
    let local = local(3);
    let agreed = sip::answer(&sip_terms(&local, phone, &offered), offer);
    agreed.ok().map(|agreed| agreed.ours)
}

proptest! {
    /// A client calls a phone; its description comes first, or only after the phone has answered.
    #[test]
    fn a_call_to_a_phone_is_relayed_if_it_can_be(
        (trunk, phone, client) in (encodings(), encodings(), encodings()), late in any::<bool>(),
    ) {
        let (trunk, phone) = (of(&trunk), of(&phone));
        let (near, far) = (xmpp_local(1), xmpp_local(2));
        let from_client = xmpp::offer(&xmpp_terms(&far, &client, &[]));
        let known = if late { &[] } else { xmpp::codecs(&from_client) };
        let local = local(1);
        let terms = sip_terms(&local, &trunk, known);
        let offer = sip::offer(&terms);
        let Some(answer) = phone_answers(&phone, &offer) else {
            prop_assert!(!can_meet(&trunk, &phone, &client));
            return Ok(());
        };
        let at_phone = sip::accept(&terms, offer, &answer).unwrap().flow;
        let other = std::slice::from_ref(&at_phone.send);
        let terms = xmpp_terms(&near, &Encoding::ALL, other);
        let at_client = xmpp::answer(&terms, &from_client).unwrap().flow;
        let chosen = Encoding::of(&at_phone.send).unwrap();
        let relayed = Encoding::of(&at_client.send) == Some(chosen);
        // Once the phone has chosen, the client is given the same if it has it.
        prop_assert_eq!(relayed, client.contains(&chosen));
        prop_assert!(relayed || late || !can_meet(&trunk, &phone, &client));
    }

    /// A phone calls a client: the phone is answered when the client has answered.
    #[test]
    fn a_call_from_a_phone_is_relayed_if_it_can_be(
        (trunk, phone, client) in (encodings(), encodings(), encodings()),
    ) {
        let (trunk, phone) = (of(&trunk), of(&phone));
        let (phone_local, far) = (local(3), xmpp_local(2));
        let from_phone = sip::offer(&sip_terms(&phone_local, &phone, &[]));
        let known = sip::codecs(&from_phone, &trunk);
        let near = xmpp_local(1);
        let terms = xmpp_terms(&near, &Encoding::ALL, &known);
        let offer = xmpp::offer(&terms);
        let offered = xmpp::codecs(&offer).to_vec();
        let answer = xmpp::answer(&xmpp_terms(&far, &client, &offered), &offer).unwrap();
        let at_client = xmpp::accept(&terms, offer, &answer.ours).unwrap().flow;
        let other = std::slice::from_ref(&at_client.send);
        let local = local(1);
        let Ok(at_phone) = sip::answer(&sip_terms(&local, &trunk, other), &from_phone) else {
            prop_assert!(!trunk.codecs.iter().any(|codec| phone.codecs.contains(codec)));
            return Ok(());
        };
        let relayed = Encoding::of(&at_phone.flow.send) == Encoding::of(&at_client.send);
        prop_assert_eq!(relayed, can_meet(&trunk, &phone, &client));
    }

    /// An answer has a line for each of the offer's, is written and read as the same, takes at most
    /// one stream, and lists nothing there that was not offered.
    #[test]
    fn any_offer_is_answered_or_refused(
        text in offered(), policy in policy(), ours in direction(), other in 0..5usize,
    ) {
        let offered = Sdp::parse(text.as_bytes()).unwrap();
        let other = encoding::offer(&Encoding::ALL[other.min(3)..], &[], &[]);
        let local = local(1);
        let terms = sip::Terms { direction: ours, ..sip_terms(&local, &policy, &other) };
        if let Ok(agreed) = sip::answer(&terms, &offered) {
            prop_assert_eq!(agreed.ours.media.len(), offered.media.len());
            prop_assert_eq!(&Sdp::parse(agreed.ours.to_string().as_bytes()).unwrap(), &agreed.ours);
            let open: Vec<_> = (0..offered.media.len())
                .filter(|at| agreed.ours.media[*at].port != 0)
                .collect();
            prop_assert_eq!(open.len(), 1);
            let (mine, theirs) = (&agreed.ours.media[open[0]], &offered.media[open[0]]);
            prop_assert_eq!(&mine.profile, &theirs.profile);
            prop_assert_eq!(&mine.mid, &theirs.mid);
            prop_assert!(mine.extensions.is_empty());
            for codec in &mine.codecs {
                let same = |other: &&Codec| {
                    other.id == codec.id && other.name.eq_ignore_ascii_case(&codec.name)
                };
                prop_assert!(theirs.codecs.iter().any(|other| same(&other)));
            }
            let narrower = agreed.flow.direction.and(theirs.direction.reversed()).and(ours);
            prop_assert_eq!(agreed.flow.direction, narrower);
            let plain = agreed.peer.protection == Protection::Plain;
            prop_assert!(!plain || !(mine.profile.is_secure() || policy.requires()));
        }
    }

    /// Two gateways that call each other agree on the same call or on none, also the second time.
    #[test]
    fn what_one_side_sends_the_other_listed(
        (a, b) in (policy(), policy()), (first, second) in (direction(), direction()),
    ) {
        let (local_a, local_b) = (local(1), local(2));
        let mut terms_a = sip_terms(&local_a, &a, &[]);
        let mut terms_b = sip_terms(&local_b, &b, &[]);
        terms_a.direction = first;
        let offer = sip::offer(&terms_a);
        let Ok(at_b) = sip::answer(&terms_b, &offer) else {
            let common = a.codecs.iter().any(|codec| b.codecs.contains(codec));
            prop_assert!(!common || b.requires());
            return Ok(());
        };
        let Ok(at_a) = sip::accept(&terms_a, offer, &at_b.ours) else {
            prop_assert!(a.requires());
            return Ok(());
        };
        meet(&at_a.flow, &at_b.flow);
        protected_alike(&at_a.peer.protection, &at_b.peer.protection);

        // Now the called side changes the call.
        terms_b.direction = second;
        (terms_a.now, terms_a.sent) = (Some(&at_a), Some(&at_a.ours));
        (terms_b.now, terms_b.sent) = (Some(&at_b), Some(&at_b.ours));
        let change = sip::offer(&terms_b);
        let again_a = sip::answer(&terms_a, &change).unwrap();
        let again_b = sip::accept(&terms_b, change, &again_a.ours).unwrap();
        meet(&again_a.flow, &again_b.flow);
        protected_alike(&again_a.peer.protection, &again_b.peer.protection);
        prop_assert_eq!(&at_a.flow.send, &again_a.flow.send);
        if let (Protection::Dtls { setup: before, .. }, Protection::Dtls { setup: after, .. }) =
            (&at_a.peer.protection, &again_a.peer.protection)
        {
            prop_assert_eq!(before, after);
        }
    }
}

fn protected_alike(one: &Protection, two: &Protection) {
    match (one, two) {
        (Protection::Plain, Protection::Plain) => {}
        (
            Protection::Sdes { ours, theirs },
            Protection::Sdes {
                ours: far_ours,
                theirs: far_theirs,
            },
        ) => assert_eq!((ours, theirs), (far_theirs, far_ours)),
        (Protection::Dtls { setup, .. }, Protection::Dtls { setup: far, .. }) => {
            assert_eq!(*setup, role::reversed(*far));
            assert!(matches!(setup, Setup::Active | Setup::Passive));
        }
        (one, two) => panic!("{one:?} and {two:?}"),
    }
}

#[test]
fn telephone_events_are_neither_offered_nor_taken_where_keys_go_by_info() {
    let by_info = Policy {
        keys: Keys::Info,
        ..Policy::default()
    };
    let local = local(3);
    let with_events = |sdp: &Sdp| {
        let codecs = sdp.media.iter().flat_map(|line| &line.codecs);
        codecs.filter(|codec| encoding::is_events(codec)).count()
    };
    let usual = Policy::default();
    let theirs = sip::offer(&sip_terms(&local, &usual, &[]));
    let ours = sip::offer(&sip_terms(&local, &by_info, &[]));
    assert_eq!((with_events(&theirs), with_events(&ours)), (2, 0));
    let agreed = sip::answer(&sip_terms(&local, &by_info, &[]), &theirs).unwrap();
    assert_eq!(with_events(&agreed.ours), 0);
    assert_eq!(agreed.flow.events, None);
    assert!(!agreed.flow.receive.iter().any(encoding::is_events));
    // Who answers with events all the same has not been asked for them.
    let answer = sip::answer(&sip_terms(&local, &usual, &[]), &theirs)
        .unwrap()
        .ours;
    assert_eq!(with_events(&answer), 1);
    let agreed = sip::accept(&sip_terms(&local, &by_info, &[]), ours, &answer).unwrap();
    assert_eq!(agreed.flow.events, None);
}
