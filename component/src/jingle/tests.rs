use super::*;
use crate::stanza::stanza;
use jid::Jid;
use propose::{Ended, Message, Word};
use tandem_shared::call::{Dtmf, End, EndReason};
use tandem_shared::media::Media;

fn parse(text: &str) -> Element {
    text.parse().unwrap()
}

fn jingle(action: &str, inside: &str) -> Result<Jingle, Refusal> {
    Jingle::read(&parse(&format!(
        "<jingle xmlns='urn:xmpp:jingle:1' sid='s' action='{action}'>{inside}</jingle>"
    )))
}

fn reason_of(result: Result<Jingle, Refusal>) -> refusal::Reason {
    result.unwrap_err().reason
}

#[test]
fn every_action_comes_back() {
    for (action, name) in ACTIONS {
        let read = jingle(name, "").unwrap();
        assert_eq!(read, Jingle::new(action, "s"));
        assert_eq!(Jingle::read(&read.write(None, None)).unwrap(), read);
    }
    assert_eq!(
        reason_of(jingle("session-sneeze", "")),
        refusal::Reason::FeatureNotImplemented
    );
}

#[test]
fn too_much_is_refused() {
    let many = |count: usize, one: &str| {
        (0..count)
            .map(|n| one.replace('N', &n.to_string()))
            .collect::<String>()
    };
    let contents = |count| many(count, "<content creator='initiator' name='N'/>");
    assert!(jingle("session-initiate", &contents(8)).is_ok());
    assert_eq!(
        reason_of(jingle("session-initiate", &contents(9))),
        refusal::Reason::BadRequest
    );
    let inside = |what: &str| format!("<content creator='initiator' name='a'>{what}</content>");
    let codecs = |count| {
        let codecs = many(count, "<payload-type id='96' name='xN' clockrate='8000'/>");
        inside(&format!(
            "<description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'>{codecs}</description>"
        ))
    };
    assert!(jingle("session-initiate", &codecs(64)).is_ok());
    assert_eq!(
        reason_of(jingle("session-initiate", &codecs(65))),
        refusal::Reason::BadRequest
    );
    let candidates = |count| {
        let one = "<candidate component='1' foundation='1' ip='192.0.2.1' port='50N' priority='1' protocol='udp' type='host'/>";
        inside(&format!(
            "<transport xmlns='urn:xmpp:jingle:transports:ice-udp:1'>{}</transport>",
            many(count, one)
        ))
    };
    assert!(jingle("transport-info", &candidates(32)).is_ok());
    // What cannot be used does not count: clients list RTCP's port for every address (specs 6.8).
    let doubled = candidates(32)
        .replace("</transport>", "")
        .replace("</content>", "")
        + &candidates(32)
            .replace("component='1'", "component='2'")
            .split_once("ice-udp:1'>")
            .map_or_else(String::new, |(_, rest)| rest.to_owned());
    let read = jingle("transport-info", &doubled).unwrap();
    let Some(Transport::Ice(transport)) = &read.contents[0].transport else {
        panic!("{read:?}");
    };
    assert_eq!(transport.candidates.len(), 32);
    assert!(transport.candidates.iter().all(|one| one.component == 1));
    assert_eq!(
        reason_of(jingle("transport-info", &candidates(33))),
        refusal::Reason::BadRequest
    );
}

#[test]
fn the_best_of_several_fingerprints_is_taken() {
    let taken = |hashes: &[(&str, &str)]| {
        let prints: String = hashes
            .iter()
            .map(|(hash, digest)| {
                format!(
                    "<fingerprint xmlns='urn:xmpp:jingle:apps:dtls:0' hash='{hash}' setup='active'>{digest}</fingerprint>"
                )
            })
            .collect();
        let text = format!(
            "<content name='a'><transport xmlns='urn:xmpp:jingle:transports:ice-udp:1'>{prints}</transport></content>"
        );
        let read = jingle("session-accept", &text).unwrap();
        let Some(Transport::Ice(transport)) = &read.contents[0].transport else {
            panic!("{read:?}");
        };
        transport.dtls.as_ref().map(|dtls| dtls.fingerprint.clone())
    };
    let taken = |hashes| taken(hashes).unwrap_or_default();
    assert_eq!(taken(&[("sha-1", "AA:01"), ("sha-256", "AA:02")]), "AA:02");
    assert_eq!(
        taken(&[("sha-512", "AA:05"), ("sha-256", "AA:02")]),
        "AA:02"
    );
    assert_eq!(taken(&[("sha-1", "AA:01"), ("sha-384", "AA:03")]), "AA:03");
    assert_eq!(
        taken(&[("sha-256", "AA:02"), ("sha-256", "BB:02")]),
        "AA:02"
    );
    assert_eq!(
        taken(&[("sha-256", "no digest"), ("sha-512", "AA:05")]),
        "AA:05"
    );
    assert_eq!(
        taken(&[("sha-1", "AA:01")]),
        "AA:01",
        "refused where it is checked"
    );
    assert_eq!(taken(&[]), "");
}

#[test]
fn names_that_would_mean_something_in_sdp_are_refused() {
    for name in ["", "a b", "a&#13;&#10;b", "é", &"x".repeat(65)] {
        let content = format!("<content creator='initiator' name='{name}'/>");
        assert_eq!(
            reason_of(jingle("content-add", &content)),
            refusal::Reason::BadRequest,
            "{name}"
        );
    }
    for ufrag in ["a b", "a&#10;b", &"x".repeat(257)] {
        let content = format!(
            "<content name='a'><transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ufrag='{ufrag}'/></content>"
        );
        assert_eq!(
            reason_of(jingle("transport-info", &content)),
            refusal::Reason::BadRequest,
            "{ufrag}"
        );
    }
    for sid in ["", "a&#10;b", &"x".repeat(257)] {
        let text = format!("<jingle xmlns='urn:xmpp:jingle:1' sid='{sid}' action='session-info'/>");
        assert!(Jingle::read(&parse(&text)).is_err(), "{sid}");
    }
}

#[test]
fn payload_types_that_are_none_are_passed_over() {
    let text = "<content name='a'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'>\
        <payload-type id='x' name='a' clockrate='1'/><payload-type id='128' name='a' clockrate='1'/>\
        <payload-type id='97' clockrate='8000'/><payload-type id='97' name='a&#10;b' clockrate='8000'/>\
        <payload-type id='98' name='opus'/><payload-type id='8'/>\
        <payload-type id='101' name='telephone-event' clockrate='8000'><parameter name='events' value='0-15'/></payload-type>\
        </description></content>";
    let read = jingle("session-initiate", text).unwrap();
    let Some(Application::Rtp(description)) = &read.contents[0].application else {
        panic!("{read:?}");
    };
    let names: Vec<_> = description
        .codecs
        .iter()
        .map(|codec| (codec.id, &*codec.name))
        .collect();
    assert_eq!(names, [(8, "PCMA"), (101, "telephone-event")]);
    let events = vec![(String::new(), "0-15".to_owned())];
    assert_eq!(description.codecs[1].parameters, events);
}

#[test]
fn what_sessions_tell_is_told_apart() {
    let info = |inside: &str| jingle("session-info", inside).unwrap().info;
    assert_eq!(info(""), Info::Nothing);
    let rtp = |name: &str| {
        info(&format!(
            "<{name} xmlns='urn:xmpp:jingle:apps:rtp:info:1'/>"
        ))
    };
    assert_eq!(rtp("hold"), Info::Hold);
    assert_eq!(rtp("unhold"), Info::Unhold);
    assert_eq!(rtp("unmute"), Info::Mute);
    assert_eq!(rtp("dance"), Info::Unknown);
    assert_eq!(info("<x xmlns='y'/>"), Info::Unknown);
    let key = |code: &str| {
        info(&format!(
            "<dtmf xmlns='urn:xmpp:jingle:dtmf:0' code='{code}' duration='400'/>"
        ))
    };
    let pressed = Info::Dtmf(Dtmf {
        key: 'A',
        milliseconds: 400,
    });
    assert_eq!(key("a"), pressed);
    assert_eq!((key("12"), key("x")), (Info::Unknown, Info::Unknown));
}

#[test]
fn every_word_comes_back() {
    let (from, to) = (Jid::new("a@b/c").unwrap(), Jid::new("d@e").unwrap());
    let ended = |condition| Ended::new(Reason::new(condition));
    let mut migrated = ended("expired");
    migrated.migrated = Some("new".into());
    for word in [
        Word::Propose(vec![Media::Audio, Media::Video]),
        Word::Ringing,
        Word::Proceed,
        Word::Reject(Ended::by_tie_break()),
        Word::Retract(ended("cancel")),
        Word::Finish(migrated),
        Word::Accept,
    ] {
        let message = Message {
            id: "id".into(),
            word,
        };
        let stanza = message.write(&from, &to);
        assert_eq!(stanza.attr("type"), Some("chat"));
        assert!(stanza.has_child("store", xml::HINTS));
        let (word, id) = propose::of_stanza_id(stanza.attr("id").unwrap()).unwrap();
        assert_eq!((word, id), (message.word.name(), "id"));
        assert_eq!(Message::read(&stanza), Some(message));
    }
    let empty = stanza("message", &from, &to);
    assert_eq!(Message::read(&empty), None);
}

#[test]
fn reasons_of_conversations_and_dino_are_read() {
    let text = "<message xmlns='jabber:component:accept'><reject xmlns='urn:xmpp:jingle-message:0' id='1'>\
        <description xmlns='urn:xmpp:jingle:apps:rtp:1'/></reject></message>";
    let read = Message::read(&parse(text)).unwrap();
    assert_eq!(read.word, Word::Reject(Ended::default()));
    let text = "<reason xmlns='urn:xmpp:jingle:1'><text>Be\nright back</text><busy/></reason>";
    let reason = Reason::read(&parse(text));
    assert_eq!(
        (&*reason.condition, reason.text.as_deref()),
        ("busy", Some("Beright back"))
    );
}

#[test]
fn ends_are_conditions_and_back() {
    let mut table = String::new();
    for reason in [
        EndReason::Success,
        EndReason::Busy,
        EndReason::Declined,
        EndReason::Cancelled,
        EndReason::AnsweredElsewhere,
        EndReason::NoAnswer,
        EndReason::Unreachable,
        EndReason::NotFound,
        EndReason::Forbidden,
        EndReason::Emergency,
        EndReason::UnsupportedMedia,
        EndReason::Security,
        EndReason::Connectivity,
        EndReason::ResourceConstraint,
        EndReason::BadRequest,
        EndReason::Looped,
        EndReason::Replaced,
        EndReason::Failed,
        EndReason::Unknown,
    ] {
        let said = Reason::from_end(&End::new(reason));
        let (before, after) = (said.before_answer(), said.after_answer());
        table += &format!("{reason:?}: {} -> {before:?}, {after:?}\n", said.condition);
    }
    insta::assert_snapshot!(table);
}
