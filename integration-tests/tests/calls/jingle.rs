//! Clients that do Jingle wrong, or too much of it (C16, C32, C35): every such call ends with the reason, and
//! the phone with it.

use anyhow::{Result, ensure};
use integration_tests::aiortc::Faults;
use integration_tests::audio::Law;
use integration_tests::net;
use integration_tests::rtp::Peer;
use integration_tests::tandem::with_tandem_within;
use integration_tests::xmpp::Stanza;

use crate::scene::{CLIENT_TONE, LIMIT, OTHER_TONE, Scene, Wishes, play};

#[test]
fn without_encryption_there_is_no_call() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open_with(bench, faulty(OPEN))?;
        let sid = scene.alice.call(&scene.carol())?;
        ensure!(scene.alice.wait_ended(&sid)? == "security-error");
        scene
            .sip
            .expect_none("INVITE", |message| message.method().is_some())?;

        let calling = scene.invite("alice", &[], &scene.describe()?)?;
        let proposal = scene.alice.wait_proposal()?;
        scene.alice.misbehave(Faults::default())?;
        scene
            .alice
            .say(&proposal.from, "proceed", &proposal.id, "")?;
        scene.alice.wait_event("incoming", &proposal.id)?;
        scene.alice.misbehave(OPEN)?;
        scene.alice.accept(&proposal.id)?;
        ensure!(scene.alice.wait_ended(&proposal.id)? == "security-error");
        ensure!(calling.wait_refused()?.status() == Some(488));
        scene.close()
    })
}

#[test]
fn a_certificate_that_was_not_announced_ends_the_call() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let wrong = Faults {
            fingerprint: Some("wrong"),
            ..Faults::default()
        };
        let scene = Scene::open_with(bench, faulty(wrong))?;
        let sid = scene.alice.call(&scene.carol())?;
        let called = scene.sip.wait_called()?;
        let dialog = called.accept(&[], &scene.describe()?)?;
        ensure!(scene.alice.wait_ended(&sid)? == "security-error");
        dialog.wait_hung_up()?;

        let calling = scene.invite("alice", &[], &scene.describe()?)?;
        let proposal = scene.alice.wait_proposal()?;
        scene.alice.take_proposal(&proposal)?;
        let dialog = calling.wait_accepted("")?;
        ensure!(scene.alice.wait_ended(&proposal.id)? == "security-error");
        dialog.wait_hung_up()?;
        scene.close()
    })
}

#[test]
fn what_is_no_sound_is_refused_and_pictures_are_left_out() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench)?;
        let to = scene.carol();
        for (content, condition) in [
            (FILE.to_owned(), "unsupported-applications"),
            (SOCKS.to_owned(), "unsupported-transports"),
        ] {
            initiate(&scene, &to, condition, &content)?;
            let told = wait_terminated(&scene, condition)?;
            ensure!(told.contains(condition), "{told}");
        }
        // More than anybody has reason to offer.
        let many = Faults {
            codecs: 100,
            ..Faults::default()
        };
        scene.alice.misbehave(many)?;
        let sid = scene.alice.call(&to)?;
        let answer = scene.alice.expect("an answer", |stanza| {
            stanza.kind() == "error" || stanza.xml.contains(&sid)
        })?;
        ensure!(
            answer.kind() == "error" || answer.xml.contains("session-terminate"),
            "{}",
            answer.xml
        );
        scene
            .sip
            .expect_none("INVITE", |message| message.method().is_some())?;

        let both = format!(
            "{}{}",
            content("0", "audio", OPUS),
            content("1", "video", VP8)
        );
        initiate(&scene, &to, "pictures", &both)?;
        let called = scene.sip.wait_called()?;
        let offer = called.offer();
        ensure!(offer.matches("m=").count() == 1, "{offer}");
        let dialog = called.accept(&[], &scene.describe()?)?;
        let accept = scene.alice.expect("the acceptance", |stanza| {
            stanza.xml.contains("session-accept")
        })?;
        let jingle = accept.child("jingle").cloned().unwrap_or_default();
        let names = |jingle: &Stanza| -> Vec<String> {
            let contents = jingle.children.iter();
            let contents = contents.filter(|child| child.name == "content");
            contents
                .map(|content| content.attribute("name").to_owned())
                .collect()
        };
        ensure!(names(&jingle) == ["0"], "{}", accept.xml);
        let reject = scene
            .alice
            .expect("what becomes of the pictures", |stanza| {
                stanza.xml.contains("content-reject")
            })?;
        let jingle = reject.child("jingle").cloned().unwrap_or_default();
        ensure!(names(&jingle) == ["1"], "{}", reject.xml);
        scene.alice.send(&format!(
            "<iq type='set' id='end' to='{to}'><jingle xmlns='urn:xmpp:jingle:1' sid='pictures' \
             action='session-terminate'><reason><success/></reason></jingle></iq>"
        ))?;
        dialog.wait_hung_up()?;
        scene.close()
    })
}

#[test]
fn a_second_call_rings_as_the_first_goes_on() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench)?;
        let (mut first, one) = scene.connect()?;
        let sound = Peer::bind(&format!("{}:0", net::ADDRESS))?;
        let offer = sound.describe(Law::A, "sendrecv")?;
        let calling = scene.invite("alice", &[], &offer)?;
        let proposal = scene.alice.wait_proposal()?;
        scene.alice.take_proposal(&proposal)?;
        let mut second = calling.wait_accepted("")?;
        play(&sound, &second.description, OTHER_TONE)?;
        scene.alice.wait_tone(&proposal.id, OTHER_TONE)?;
        sound.wait_tone(CLIENT_TONE)?;
        scene.sound.forget();
        scene.both_hear(&scene.alice, &one)?;
        scene.hang_up(&mut first, &scene.alice, &one)?;
        scene.hang_up(&mut second, &scene.alice, &proposal.id)?;
        scene.close()
    })
}

#[test]
fn more_calls_than_allowed_are_refused_with_words() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let wishes = Wishes {
            call: "max = 1",
            ..Wishes::default()
        };
        let scene = Scene::open_with(bench, wishes)?;
        let (mut dialog, sid) = scene.connect()?;
        let refusal = scene
            .invite("bob", &[], &scene.describe()?)?
            .wait_refused()?;
        ensure!(matches!(refusal.status(), Some(480 | 503)), "{refusal}");
        let other = scene.alice.call(&scene.carol())?;
        let ended = scene.alice.wait_event("ended", &other)?;
        ensure!(
            ended.reason == "general-error" && !ended.text.is_empty(),
            "{ended:?}"
        );
        scene.both_hear(&scene.alice, &sid)?;
        scene.hang_up(&mut dialog, &scene.alice, &sid)?;
        scene.close()
    })
}

fn faulty(faults: Faults) -> Wishes<'static> {
    Wishes {
        faults,
        ..Wishes::default()
    }
}

fn initiate(scene: &Scene, to: &str, sid: &str, contents: &str) -> Result<()> {
    let own = scene.alice.jid();
    scene.alice.send(&format!(
        "<iq type='set' id='i-{sid}' to='{to}'><jingle xmlns='urn:xmpp:jingle:1' sid='{sid}' \
         action='session-initiate' initiator='{own}'>{contents}</jingle></iq>"
    ))
}

/// The XML of what ends a session.
fn wait_terminated(scene: &Scene, sid: &str) -> Result<String> {
    let stanza = scene.alice.expect("the end of the session", |stanza| {
        stanza.child("jingle").is_some_and(|jingle| {
            jingle.attribute("sid") == sid && jingle.attribute("action") == "session-terminate"
        })
    })?;
    let reason = stanza
        .child("jingle")
        .and_then(|jingle| jingle.child("reason"))
        .cloned();
    Ok(reason.map_or_else(String::new, |reason| {
        reason
            .children
            .iter()
            .map(|child| child.name.clone())
            .collect()
    }))
}

fn content(name: &str, media: &str, codecs: &str) -> String {
    let digest = vec!["AB"; 32].join(":");
    format!(
        "<content creator='initiator' name='{name}' senders='both'>\
         <description xmlns='urn:xmpp:jingle:apps:rtp:1' media='{media}'>{codecs}<rtcp-mux/></description>\
         <transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ufrag='abcd' pwd='abcdefghijklmnopqrstuvwx'>\
         <fingerprint xmlns='urn:xmpp:jingle:apps:dtls:0' hash='sha-256' setup='actpass'>{digest}</fingerprint>\
         </transport></content>"
    )
}

const OPEN: Faults = Faults {
    fingerprint: Some("none"),
    setup: None,
    codecs: 0,
    candidates: None,
    acknowledge: true,
    mux: true,
};
const OPUS: &str = "<payload-type id='111' name='opus' clockrate='48000' channels='2'/>";
const VP8: &str = "<payload-type id='96' name='VP8' clockrate='90000'/>";
const FILE: &str = "<content creator='initiator' name='file'>\
    <description xmlns='urn:xmpp:jingle:apps:file-transfer:5'><file><name>x</name></file></description>\
    <transport xmlns='urn:xmpp:jingle:transports:ibb:1' sid='x' block-size='4096'/></content>";
const SOCKS: &str = "<content creator='initiator' name='voice'>\
    <description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'>\
    <payload-type id='0' name='PCMU' clockrate='8000'/></description>\
    <transport xmlns='urn:xmpp:jingle:transports:s5b:1' sid='x'/></content>";
