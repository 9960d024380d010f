//! Calls that also offer pictures: only the sound is taken, and the client survives it.

use super::*;

/// The sound of [`CONTENT`], and pictures beside it.
fn both() -> String {
    let pictures = CONTENT
        .replace("name='0'", "name='1'")
        .replace("'audio'", "'video'")
        .replace(
            "id='111' name='opus' clockrate='48000' channels='2'",
            "id='96' name='VP8' clockrate='90000'",
        );
    format!("{CONTENT}{pictures}")
}

fn bundled() -> String {
    let group = "<group xmlns='urn:xmpp:jingle:apps:grouping:0' semantics='BUNDLE'>\
        <content name='0'/><content name='1'/></group>";
    format!("{}{group}", both())
}

/// SIP's answer: the sound and nothing else.
fn sound_alone() -> Description {
    let mut answer = ours();
    answer.streams.push(Stream {
        mid: "1".into(),
        media: Media::Video,
        direction: Direction::None,
        rejected: true,
        codecs: Vec::new(),
        rtcp_mux: false,
        extensions: Vec::new(),
        sources: Vec::new(),
        transport: Transport::default(),
    });
    answer
}

/// A call of the user's with `contents`, answered; what the answer led to.
fn answered(bench: &mut Bench, contents: &str) -> (CallId, Round) {
    let call = bench.propose().call();
    bench.far(&call, Fact::Ready(Ready::default()));
    bench.jingle(SID, "session-initiate", contents);
    let round = bench.far_describes(&call, Role::Answer, sound_alone());
    (call, round)
}

fn candidate_of(name: &str) -> String {
    format!(
        "<content creator='initiator' name='{name}'>\
         <transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ufrag='uuuu'>\
         <candidate component='1' foundation='1' generation='0' ip='192.0.2.7' port='9' \
         priority='1' protocol='udp' type='host'/></transport></content>"
    )
}

fn trickled(round: &Round) -> Vec<String> {
    let facts = round.facts();
    let mids = facts.iter().filter_map(|fact| match fact {
        Fact::Trickle(trickle) => Some(trickle.mid.clone()),
        _ => None,
    });
    mids.collect()
}

#[test]
fn without_a_bundle_pictures_are_left_out_and_refused_beside() {
    let mut bench = Bench::befriended();
    let (call, round) = answered(&mut bench, &both());
    let said = [
        "iq /phone: session-accept(content)",
        "iq /phone: content-reject(content)",
    ];
    assert_eq!(round.said(), said);
    let names = |jingle: &Element| -> Vec<String> {
        let contents = jingle.children().filter(|child| child.name() == "content");
        contents
            .filter_map(|content| content.attr("name").map(str::to_owned))
            .collect()
    };
    let jingles: Vec<&Element> = all(&round.actions)
        .into_iter()
        .filter_map(|stanza| stanza.get_child("jingle", crate::xml::JINGLE))
        .collect();
    assert_eq!(
        (names(jingles[0]), names(jingles[1])),
        (vec!["0".into()], vec!["1".into()])
    );
    assert!(String::from(jingles[1]).contains("unsupported-applications"));

    // The client may not know how to hear that, and goes on with its candidates.
    let id = round.actions.iter().rev().find_map(|action| match action {
        Action::Send(stanza) if stanza.has_child("jingle", crate::xml::JINGLE) => stanza.attr("id"),
        _ => None,
    });
    let id = id.unwrap().to_owned();
    bench.stanza(&format!(
        "<iq from='{USER}' to='{FULL}' type='error' id='{id}'><error type='cancel'>\
         <feature-not-implemented xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    ));
    let round = bench.round();
    assert!(round.said().is_empty() && round.facts().is_empty());
    let round = bench.jingle(SID, "transport-info", &candidate_of("1"));
    assert_eq!(
        (round.said(), trickled(&round)),
        (vec!["iq /phone: result".into()], vec![])
    );
    let round = bench.jingle(SID, "transport-info", &candidate_of("0"));
    assert_eq!(trickled(&round), ["0"]);

    // Nothing more is said about the pictures.
    let trickle = Trickle {
        mid: "1".into(),
        ufrag: None,
        candidates: vec![candidate(40001)],
        end: false,
    };
    let round = bench.far(&call, Fact::Trickle(trickle));
    assert_eq!(names(round.jingle()), ["0"]);
    let mut held = sound_alone();
    held.streams[0].direction = Direction::Send;
    let round = bench.far_describes(&call, Role::Offer, held);
    assert_eq!(round.said(), ["iq /phone: content-modify(content)"]);
    assert_eq!(names(round.jingle()), ["0"]);
}

#[test]
fn in_a_bundle_pictures_idle() {
    let mut bench = Bench::befriended();
    let (call, round) = answered(&mut bench, &bundled());
    assert_eq!(round.said(), ["iq /phone: session-accept(content)"]);
    let contents: Vec<&Element> = round
        .jingle()
        .children()
        .filter(|child| child.name() == "content")
        .collect();
    let [sound, pictures] = &contents[..] else {
        panic!("{round:?}");
    };
    assert_eq!(
        (sound.attr("senders"), pictures.attr("senders")),
        (Some("both"), Some("none"))
    );
    let text = String::from(*pictures);
    for part in ["VP8", "ufrag='gggg'", "CC:DD", "rtcp-mux"] {
        assert!(text.contains(part), "no {part}: {text}");
    }
    assert!(!text.contains("<candidate"), "{text}");
    let group = round
        .jingle()
        .get_child("group", "urn:xmpp:jingle:apps:grouping:0");
    assert_eq!(group.unwrap().children().count(), 2);

    // Any content of a bundle speaks for the transport of all.
    let round = bench.jingle(SID, "transport-info", &candidate_of("1"));
    assert_eq!(trickled(&round), ["1"]);

    // What SIP says again is no change.
    let round = bench.far_describes(&call, Role::Offer, sound_alone());
    assert_eq!(
        (round.said(), round.described().role),
        (vec![], Role::Answer)
    );
}

#[test]
fn a_session_that_only_has_refused_pictures_left_is_over() {
    for contents in [both(), bundled()] {
        let mut bench = Bench::befriended();
        answered(&mut bench, &contents);
        let sound = "<content creator='initiator' name='0'/>";
        let round = bench.jingle(SID, "content-remove", sound);
        assert_eq!(round.end(), EndReason::Success);
        bench.expect_nothing_left(&round);
    }
}

#[test]
fn candidates_of_pictures_that_are_not_in_a_bundle_go_nowhere_before_the_answer_too() {
    for (contents, expected) in [(both(), vec![]), (bundled(), vec!["1".to_owned()])] {
        let mut bench = Bench::befriended();
        bench.jingle(SID, "session-initiate", &contents);
        let round = bench.jingle(SID, "transport-info", &candidate_of("1"));
        assert_eq!(
            (round.said(), trickled(&round)),
            (vec!["iq /phone: result".into()], expected)
        );
    }
}
