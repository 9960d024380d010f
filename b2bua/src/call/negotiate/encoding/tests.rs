use super::*;

/// `opus@111 te48@110` as codecs.
fn codecs(text: &str) -> Vec<Codec> {
    let read = |word: &str| {
        let (name, id) = word.split_once('@').unwrap();
        let (name, clock, channels) = match name {
            "opus" => ("opus", 48000, 2),
            "te8" => ("telephone-event", 8000, 1),
            "te16" => ("telephone-event", 16000, 1),
            "te48" => ("telephone-event", 48000, 1),
            name => (name, 8000, 1),
        };
        Codec {
            id: id.parse().unwrap(),
            name: name.to_owned(),
            clock,
            channels,
            parameters: Vec::new(),
            feedback: Vec::new(),
            ptime: None,
            maxptime: None,
        }
    };
    text.split_whitespace().map(read).collect()
}

fn text(codecs: &[Codec]) -> String {
    let write = |codec: &Codec| {
        let name = match codec.clock {
            clock if is_events(codec) => format!("te{}", clock / 1000),
            _ => codec.name.clone(),
        };
        format!("{name}@{}", codec.id)
    };
    codecs.iter().map(write).collect::<Vec<_>>().join(" ")
}

const NARROW: [Encoding; 2] = [Encoding::Pcma, Encoding::Pcmu];

#[test]
fn an_offer_begins_with_what_the_other_leg_has() {
    let all = Encoding::ALL;
    for (allowed, other, before, expected) in [
        (
            &all[..],
            "",
            "",
            "opus@111 G722@9 PCMA@8 PCMU@0 te48@110 te8@101",
        ),
        (
            &all,
            "PCMU@0 te8@101",
            "",
            "PCMU@0 opus@111 G722@9 PCMA@8 te8@101 te48@110",
        ),
        (
            &all,
            "speex@97 PCMU@0 PCMA@8",
            "",
            "PCMA@8 PCMU@0 opus@111 G722@9 te8@101 te48@110",
        ),
        (&NARROW, "opus@96", "", "PCMA@8 PCMU@0 te8@101"),
        // What a number meant before it means for the whole call.
        (&NARROW, "", "PCMU@0 te8@97", "PCMU@0 PCMA@8 te8@97"),
        (
            &all,
            "",
            "PCMA@8 te8@111",
            "PCMA@8 opus@96 G722@9 PCMU@0 te8@111 te48@110",
        ),
        (
            &all,
            "",
            "opus@101",
            "opus@101 G722@9 PCMA@8 PCMU@0 te48@110 te8@96",
        ),
        (
            &all,
            "PCMU@0",
            "opus@96 te48@100",
            "PCMU@0 opus@96 G722@9 PCMA@8 te8@101 te48@100",
        ),
    ] {
        let offered = offer(allowed, &codecs(other), &codecs(before));
        assert_eq!(text(&offered), expected, "{other} after {before}");
    }
}

#[test]
fn an_answer_takes_what_the_other_leg_has_and_else_the_best() {
    for (offered, other, expected) in [
        ("opus@96 PCMU@0", "PCMU@0", Some("PCMU@0")),
        ("opus@96 PCMU@0", "", Some("opus@96")),
        ("PCMU@0 opus@96", "", Some("opus@96")),
        ("PCMU@0 PCMA@8", "G722@9", Some("PCMA@8")),
        ("pcmu@100", "", Some("PCMU@100")),
        ("speex@97 iLBC@98", "opus@96", None),
        ("te8@101", "", None),
        ("", "", None),
        // Events follow the clock of the codec, if they can.
        ("opus@96 te8@101 te48@102", "", Some("opus@96 te48@102")),
        ("PCMU@0 te48@102 te8@101", "", Some("PCMU@0 te8@101")),
        (
            "G722@9 te48@102 te16@103 te8@101",
            "",
            Some("G722@9 te8@101"),
        ),
        ("opus@96 te8@101", "", Some("opus@96 te8@101")),
        ("opus@96 te16@103", "", Some("opus@96")),
    ] {
        let choice = answer(&codecs(offered), &Encoding::ALL, &codecs(other), None);
        let ours = choice.as_ref().map(|choice| text(&choice.ours));
        assert_eq!(ours.as_deref(), expected, "{offered} with {other}");
        if let Some(choice) = choice {
            let sent: Vec<_> = std::iter::once(choice.send).chain(choice.events).collect();
            assert_eq!(text(&sent), expected.unwrap());
        }
    }
}

#[test]
fn the_codec_in_use_stays_unless_both_legs_can_meet() {
    let offered = codecs("opus@96 PCMA@8 PCMU@0");
    let now = &codecs("PCMU@0")[0];
    for (other, expected) in [("", "PCMU@0"), ("G722@9", "PCMU@0"), ("PCMA@8", "PCMA@8")] {
        let choice = answer(&offered, &Encoding::ALL, &codecs(other), Some(now)).unwrap();
        assert_eq!(text(&choice.ours), expected);
    }
}

#[test]
fn what_the_route_does_not_allow_is_not_taken() {
    let (offered, other) = (codecs("opus@96 PCMU@0"), codecs("opus@111"));
    let choice = answer(&offered, &NARROW, &other, None).unwrap();
    assert_eq!(text(&choice.ours), "PCMU@0");
    assert!(answer(&codecs("opus@96"), &NARROW, &other, None).is_none());
}

#[test]
fn an_accepted_answer_says_what_is_sent_and_what_may_come() {
    let offered = "opus@111 PCMA@8 PCMU@0 te48@110 te8@101";
    for (answered, other, send, receive) in [
        ("PCMA@8 te8@101", "", "PCMA@8 te8@101", "PCMA@8 te8@101"),
        // The other side has numbers of its own.
        (
            "opus@96 te48@97",
            "",
            "opus@96 te48@97",
            "opus@111 te48@110",
        ),
        ("PCMU@0 opus@111", "", "PCMU@0", "PCMU@0 opus@111"),
        ("PCMU@0 opus@111", "opus@1", "opus@111", "opus@111 PCMU@0"),
        ("PCMU@0 G722@9", "G722@9", "PCMU@0", "PCMU@0"),
        (
            "opus@111 te8@101",
            "",
            "opus@111 te8@101",
            "opus@111 te8@101",
        ),
    ] {
        let choice = accept(&codecs(offered), &codecs(answered), &codecs(other)).unwrap();
        let sent: Vec<_> = std::iter::once(choice.send).chain(choice.events).collect();
        assert_eq!(
            (text(&sent).as_str(), text(&choice.ours).as_str()),
            (send, receive)
        );
    }
    assert!(accept(&codecs(offered), &codecs("G722@9 te8@101"), &[]).is_none());
    assert!(accept(&codecs(offered), &codecs("te8@101"), &[]).is_none());
}

#[test]
fn codecs_go_by_their_proper_name_and_clock() {
    let mut offered = codecs("g722@9 opus@100");
    offered[0].clock = 16000;
    offered[1].channels = 1;
    offered[1].name = "OPUS".into();
    for (at, name, clock, channels) in [(0, "G722", 8000, 1), (1, "opus", 48000, 2)] {
        let choice = answer(&offered[at..=at], &Encoding::ALL, &[], None).unwrap();
        for codec in [&choice.send, &choice.ours[0]] {
            assert_eq!(
                (codec.name.as_str(), codec.clock, codec.channels),
                (name, clock, channels)
            );
        }
    }
}

#[test]
fn wishes_about_opus_cross_as_numbers_only() {
    let wish = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut other = codecs("opus@96");
    other[0].ptime = Some(40);
    other[0].parameters = vec![
        wish("maxaveragebitrate", "24000"),
        wish("x-evil", "1"),
        wish("stereo", "0\r\na=x"),
        wish("usedtx", ""),
        wish("cbr", "1234567"),
        wish("useinbandfec", "1"),
    ];
    let offered = offer(&[Encoding::Opus], &other, &[]);
    let expected = [
        wish("maxaveragebitrate", "24000"),
        wish("useinbandfec", "1"),
    ];
    assert_eq!(offered[0].parameters, expected);
    assert_eq!(offered[0].ptime, Some(40));
}
