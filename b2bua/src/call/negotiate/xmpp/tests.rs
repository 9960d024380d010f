use super::*;
use crate::call::negotiate::tests::xmpp_local;

fn terms<'a>(local: &'a XmppLocal, other: &'a [Codec], now: Option<&'a Agreed>) -> Terms<'a> {
    Terms {
        local,
        codecs: &Encoding::ALL,
        direction: Direction::Both,
        other,
        now,
    }
}

/// A client's offer, as Conversations makes it.
fn client() -> Description {
    let mut description = offer(&terms(&xmpp_local(2), &[], None));
    let mut video = description.streams[0].clone();
    video.mid = "1".into();
    video.media = Media::Video;
    description.streams[0].mid = "0".into();
    description.streams.push(video);
    description.bundle = vec!["0".into(), "1".into()];
    description
}

fn answered(offer: &Description) -> Result<Agreed, NoAgreement> {
    answer(&terms(&xmpp_local(1), &[], None), offer)
}

fn dtls(description: &mut Description) -> &mut Dtls {
    description.streams[0].transport.dtls.as_mut().unwrap()
}

#[test]
fn a_first_offer() {
    insta::assert_debug_snapshot!(offer(&terms(&xmpp_local(1), &[], None)));
}

#[test]
fn every_stream_is_answered_and_the_group_names_what_was_taken() {
    let agreed = answered(&client()).unwrap();
    let streams: Vec<_> = agreed
        .ours
        .streams
        .iter()
        .map(|stream| (stream.mid.as_str(), stream.media, stream.rejected))
        .collect();
    assert_eq!(
        streams,
        [("0", Media::Audio, false), ("1", Media::Video, true)]
    );
    assert_eq!(agreed.ours.bundle, ["0"]);
    let ours = &agreed.ours.streams[0];
    assert_eq!(ours.codecs.len(), 2);
    assert!(ours.rtcp_mux && ours.extensions.is_empty());
    assert_eq!(ours.transport.dtls.as_ref().unwrap().setup, Setup::Passive);
    assert_eq!(agreed.peer.dtls.setup, Setup::Active);
    assert!(!agreed.peer.controlling);
}

#[test]
fn nothing_is_grouped_that_was_not() {
    let mut offered = client();
    offered.bundle.clear();
    assert!(answered(&offered).unwrap().ours.bundle.is_empty());
}

#[test]
fn a_stream_is_reached_by_the_one_it_is_bundled_with() {
    let mut offered = client();
    offered.streams.swap(0, 1);
    let bare = Transport::default();
    let whole = std::mem::replace(&mut offered.streams[1].transport, bare);
    let agreed = answered(&offered).unwrap();
    assert_eq!(Some(agreed.peer.ice), whole.ice);
    assert_eq!(agreed.peer.candidates, whole.candidates);
    offered.bundle = vec!["1".into()];
    assert_eq!(answered(&offered), Err(NoAgreement::Security));
}

#[test]
fn what_cannot_be_connected_or_trusted_is_refused() {
    let change = |change: fn(&mut Stream)| {
        let mut offered = client();
        offered.bundle.clear();
        change(&mut offered.streams[0]);
        answered(&offered).map(|agreed| agreed.flow)
    };
    let refused = [
        change(|stream| stream.transport.dtls = None),
        change(|stream| stream.transport.dtls.as_mut().unwrap().hash = "md5".into()),
        change(|stream| stream.transport.ice = None),
        change(|stream| stream.rtcp_mux = false),
        change(|stream| stream.codecs.retain(encoding::is_events)),
        change(|stream| stream.rejected = true),
        change(|stream| stream.media = Media::Other),
    ];
    let expected = [
        NoAgreement::Security,
        NoAgreement::Security,
        NoAgreement::Transport,
        NoAgreement::Transport,
        NoAgreement::Codec,
        NoAgreement::Audio,
        NoAgreement::Audio,
    ];
    assert_eq!(refused, expected.map(Err));
}

#[test]
fn an_answer_takes_the_codec_that_the_other_leg_sends() {
    let pcmu = encoding::offer(&[Encoding::Pcmu], &[], &[]);
    let agreed = answer(&terms(&xmpp_local(1), &pcmu[..1], None), &client()).unwrap();
    assert_eq!(agreed.flow.send.name, "PCMU");
    assert_eq!(agreed.flow.events.unwrap().clock, 8000);
}

#[test]
fn an_offer_that_is_answered_makes_a_call() {
    let (ours, theirs) = (xmpp_local(1), xmpp_local(2));
    let offered = offer(&terms(&ours, &[], None));
    let back = answer(&terms(&theirs, &[], None), &offered).unwrap();
    let agreed = accept(&terms(&ours, &[], None), offered, &back.ours).unwrap();
    assert!(agreed.peer.controlling);
    assert_eq!(
        (agreed.peer.dtls.setup, back.peer.dtls.setup),
        (Setup::Passive, Setup::Active)
    );
    assert_eq!((&agreed.peer.ice, &back.peer.ice), (&theirs.ice, &ours.ice));
    assert_eq!(agreed.flow.send.id, back.flow.receive[0].id);
    assert_eq!(agreed.flow.direction, Direction::Both);
}

#[test]
fn an_answer_that_takes_no_sound_is_no_call() {
    let local = xmpp_local(1);
    let accepted = |change: fn(&mut Description)| {
        let offered = offer(&terms(&local, &[], None));
        let mut back = answer(&terms(&xmpp_local(2), &[], None), &offered)
            .unwrap()
            .ours;
        change(&mut back);
        accept(&terms(&local, &[], None), offered, &back).map(|agreed| agreed.peer.dtls.setup)
    };
    assert_eq!(accepted(|_| {}), Ok(Setup::Passive));
    // COMPAT: a role that an answer leaves open.
    assert_eq!(
        accepted(|back| dtls(back).setup = Setup::Actpass),
        Ok(Setup::Active)
    );
    assert_eq!(
        accepted(|back| dtls(back).setup = Setup::Passive),
        Ok(Setup::Passive)
    );
    assert_eq!(
        accepted(|back| back.streams.clear()),
        Err(NoAgreement::Audio)
    );
    assert_eq!(
        accepted(|back| back.streams[0].rejected = true),
        Err(NoAgreement::Audio)
    );
    assert_eq!(
        accepted(|back| back.streams[0].mid = "x".into()),
        Err(NoAgreement::Audio)
    );
    assert_eq!(
        accepted(|back| back.streams[0].codecs.clear()),
        Err(NoAgreement::Codec)
    );
    assert_eq!(
        accepted(|back| back.streams[0].transport.dtls = None),
        Err(NoAgreement::Security)
    );
}

#[test]
fn roles_outlive_a_second_offer_but_not_a_new_certificate() {
    let local = xmpp_local(1);
    let offered = offer(&terms(&local, &[], None));
    let back = answer(&terms(&xmpp_local(2), &[], None), &offered).unwrap();
    let agreed = accept(&terms(&local, &[], None), offered, &back.ours).unwrap();
    let mut again = offer(&terms(&xmpp_local(2), &[], None));
    let role = |offered: &Description| {
        let agreed = answer(&terms(&local, &[], Some(&agreed)), offered).unwrap();
        assert!(
            agreed.peer.controlling,
            "who offered first stays in control"
        );
        agreed.ours.streams[0]
            .transport
            .dtls
            .as_ref()
            .unwrap()
            .setup
    };
    assert_eq!(role(&again), Setup::Active);
    dtls(&mut again).fingerprint = "00:00".into();
    assert_eq!(role(&again), Setup::Passive);
}

#[test]
fn new_credentials_begin_anew() {
    let mut offered = client();
    let agreed = answered(&offered).unwrap();
    assert!(!agreed.is_restarted_by(&offered));
    offered.streams[0].transport.ice.as_mut().unwrap().pwd = "a password of another round".into();
    assert!(agreed.is_restarted_by(&offered));
}

#[test]
fn a_change_keeps_streams_names_and_numbers() {
    let local = xmpp_local(1);
    let mut offered = client();
    offered.streams[0].codecs[0].id = 96;
    offered.streams.swap(0, 1);
    let agreed = answer(&terms(&local, &[], None), &offered).unwrap();
    let held = Terms {
        direction: Direction::Send,
        ..terms(&local, &[], Some(&agreed))
    };
    let change = offer(&held);
    assert!(change.streams[0].rejected && change.streams[0].mid == "1");
    let audio = &change.streams[1];
    assert_eq!(
        (audio.mid.as_str(), audio.direction),
        ("0", Direction::Send)
    );
    assert_eq!(
        (audio.codecs[0].name.as_str(), audio.codecs[0].id),
        ("opus", 96)
    );
    assert_eq!(change.bundle, ["0"]);
}

#[test]
fn directions_are_met() {
    for theirs in [
        Direction::Both,
        Direction::Send,
        Direction::Receive,
        Direction::None,
    ] {
        for ours in [
            Direction::Both,
            Direction::Send,
            Direction::Receive,
            Direction::None,
        ] {
            let mut offered = client();
            offered.streams[0].direction = theirs;
            let local = xmpp_local(1);
            let terms = Terms {
                direction: ours,
                ..terms(&local, &[], None)
            };
            let agreed = answer(&terms, &offered).unwrap();
            let expected = theirs.reversed().and(ours);
            assert_eq!(agreed.flow.direction, expected);
            assert_eq!(agreed.ours.streams[0].direction, expected);
        }
    }
}

#[test]
fn packets_are_as_long_as_the_client_wants() {
    let mut offered = client();
    offered.streams[0].codecs[0].ptime = Some(60);
    offered.streams[0].codecs[0].maxptime = Some(40);
    assert_eq!(answered(&offered).unwrap().flow.ptime, 40);
}
