//! Changes of a call on the SIP side (C11, C24): session timers, refreshes, offers that cross, and what
//! is refused without harm.

use anyhow::{Result, ensure};
use integration_tests::audio::Law;
use integration_tests::net;
use integration_tests::rtp::Peer;
use integration_tests::tandem::with_tandem_within;

use crate::scene::{CLIENT_TONE, LIMIT, OTHER_TONE, SIP_TONE, Scene, play};

#[test]
fn session_timers_are_agreed_on() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench)?;
        // Ours is too short for them: asked again with theirs (RFC 4028 §7.1).
        let sid = scene.alice.call(&scene.carol())?;
        let called = scene.sip.wait_called()?;
        called.refuse(422, &[("Min-SE", "2000")])?;
        let called = scene.sip.wait_called()?;
        let asked = called.invite.message.header("Session-Expires");
        ensure!(asked.starts_with("2000"), "{asked}");
        let refresher = [("Session-Expires", "2000;refresher=uas")];
        let mut dialog = called.accept(&refresher, &scene.describe()?)?;
        scene.play_to(&called.offer())?;
        scene.both_hear(&scene.alice, &sid)?;
        let timer = ("Session-Expires", "2000;refresher=uac");
        let response = dialog.ask("UPDATE", &[timer, ("Supported", "timer")], ("", ""))?;
        ensure!(response.status() == Some(200), "{response}");
        let agreed = response.header("Session-Expires");
        ensure!(agreed.starts_with("2000"), "{response}");
        let offer = scene.describe()?;
        let offer = ("application/sdp", offer.as_str());
        let response = dialog.ask("INVITE", &[timer, ("Supported", "timer")], offer)?;
        ensure!(response.status() == Some(200), "{response}");
        scene.both_hear(&scene.alice, &sid)?;
        scene.hang_up(&mut dialog, &scene.alice, &sid)?;

        // Theirs is too short for us.
        let short = [("Session-Expires", "60"), ("Supported", "timer")];
        let calling = scene.invite("alice", &short, &scene.describe()?)?;
        let refusal = calling.wait_refused()?;
        ensure!(refusal.status() == Some(422), "{refusal}");
        ensure!(refusal.header("Min-SE") == "90", "{refusal}");
        scene.close()
    })
}

/// A caller on hold from the first word: music for the user, who is not heard until both want it.
#[test]
fn a_call_may_begin_on_hold() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench)?;
        let offer = scene.sound.describe(Law::A, "sendonly")?;
        let calling = scene.invite("alice", &[], &offer)?;
        let proposal = scene.alice.wait_proposal()?;
        scene.alice.take_proposal(&proposal)?;
        let mut dialog = calling.wait_accepted("")?;
        let answer = &dialog.description;
        ensure!(answer.contains("a=recvonly"), "{answer}");
        scene.play_to(answer)?;
        scene.alice.wait_tone(&proposal.id, SIP_TONE)?;
        ensure!(
            scene.sound.sources().is_empty(),
            "a held phone was sent sound"
        );
        let response = dialog.ask("INVITE", &[], ("application/sdp", &scene.describe()?))?;
        ensure!(response.status() == Some(200), "{response}");
        scene.both_hear(&scene.alice, &proposal.id)?;
        scene.hang_up(&mut dialog, &scene.alice, &proposal.id)?;
        scene.close()
    })
}

/// UPDATE (RFC 3311) before the answer and after it, from both a called and a calling phone.
#[test]
fn updates_change_a_call_at_any_time() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench)?;
        let sid = scene.alice.call(&scene.carol())?;
        let called = scene.sip.wait_called()?;
        let reliable = [("Require", "100rel"), ("RSeq", "1")];
        called.reply(183, &reliable, &scene.describe()?)?;
        let mut dialog = called.dialog();
        dialog.expect("PRACK")?.reply(200, "OK")?;
        scene.play_to(&called.offer())?;
        scene.alice.wait_tone(&sid, SIP_TONE)?;
        // The announcement comes from another machine now.
        let other = Peer::bind(&format!("{}:0", net::ADDRESS))?;
        let offer = other.describe(Law::A, "sendrecv")?;
        let response = dialog.ask("UPDATE", &[], ("application/sdp", &offer))?;
        ensure!(response.status() == Some(200), "{response}");
        ensure!(response.text().contains("m=audio"), "{response}");
        scene.sound.pause();
        play(&other, &response.text(), OTHER_TONE)?;
        scene.alice.wait_tone(&sid, OTHER_TONE)?;
        other.wait_tone(CLIENT_TONE)?;
        called.reply(200, &[], "")?;
        dialog.expect("ACK")?;
        for (direction, answer, event) in [
            ("sendonly", "recvonly", "hold"),
            ("sendrecv", "", "resumed"),
        ] {
            let offer = other.describe(Law::A, direction)?;
            let response = dialog.ask("UPDATE", &[], ("application/sdp", &offer))?;
            ensure!(response.status() == Some(200), "{response}");
            ensure!(response.text().contains(answer), "{response}");
            scene.alice.wait_event(event, &sid)?;
        }
        other.forget();
        other.wait_tone(CLIENT_TONE)?;
        scene.hang_up(&mut dialog, &scene.alice, &sid)?;

        // A caller's offer waits for its answer: a second one is put off, a mere refresh is not.
        let calling = scene.invite("alice", &[], &scene.describe()?)?;
        let proposal = scene.alice.wait_proposal()?;
        scene
            .alice
            .say(&proposal.from, "ringing", &proposal.id, "")?;
        let mut dialog = calling.dialog(&calling.expect(180)?);
        let offer = scene.describe()?;
        let response = dialog.ask("UPDATE", &[], ("application/sdp", &offer))?;
        ensure!(response.status() == Some(500), "{response}");
        ensure!(!response.header("Retry-After").is_empty(), "{response}");
        let response = dialog.ask("UPDATE", &[], ("", ""))?;
        ensure!(response.status() == Some(200), "{response}");
        scene.alice.take_proposal(&proposal)?;
        let answer = calling.wait_accepted("")?.description;
        scene.sound.forget();
        scene.play_to(&answer)?;
        scene.both_hear(&scene.alice, &proposal.id)?;
        scene.hang_up(&mut dialog, &scene.alice, &proposal.id)?;
        scene.close()
    })
}

#[test]
fn sound_moves_to_another_address() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench)?;
        let (mut dialog, sid) = scene.connect()?;
        let other = Peer::bind(&format!("{}:0", net::ADDRESS))?;
        for (peer, law, tone) in [(&other, Law::Mu, OTHER_TONE), (&scene.sound, Law::A, 440)] {
            let offer = peer.describe(law, "sendrecv")?;
            let offer = offer.replace("o=- 1 1", &format!("o=- 1 {tone}"));
            let response = dialog.ask("INVITE", &[], ("application/sdp", &offer))?;
            ensure!(response.status() == Some(200), "{response}");
            scene.sound.pause();
            other.pause();
            peer.forget();
            play(peer, &response.text(), tone)?;
            if law == Law::Mu {
                let mut stream = peer.stream().ok_or_else(|| anyhow::anyhow!("no stream"))?;
                (stream.law, stream.payload_type) = (law, law.payload_type());
                peer.send(stream);
            }
            peer.wait_tone(CLIENT_TONE)?;
            scene.alice.wait_tone(&sid, tone)?;
        }
        scene.hang_up(&mut dialog, &scene.alice, &sid)?;
        scene.close()
    })
}

#[test]
fn offers_that_cross_are_both_put_off() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench)?;
        let (mut dialog, sid) = scene.connect()?;
        scene.alice.hold(&sid)?;
        let ours = dialog.expect("INVITE")?;
        let offer = scene.describe()?;
        let crossing = dialog.ask("INVITE", &[], ("application/sdp", &offer))?;
        ensure!(crossing.status() == Some(491), "{crossing}");
        ours.reply(491, "Request Pending")?;
        // After a while it is asked again.
        let again = dialog.expect("INVITE")?;
        let held = again.message.text();
        ensure!(held.contains("a=sendonly"), "{held}");
        let answer = scene.sound.describe(Law::A, "recvonly")?;
        again.reply_as(
            "agent",
            (200, "OK"),
            &[("Contact", "<sip:script@127.0.0.1:5080>")],
            &answer,
        )?;
        dialog.expect("ACK")?;
        scene.alice.resume(&sid)?;
        let resumed = dialog.expect("INVITE")?;
        let answer = scene.describe()?;
        resumed.reply_as(
            "agent",
            (200, "OK"),
            &[("Contact", "<sip:script@127.0.0.1:5080>")],
            &answer,
        )?;
        dialog.expect("ACK")?;
        scene.sound.forget();
        scene.both_hear(&scene.alice, &sid)?;
        scene.hang_up(&mut dialog, &scene.alice, &sid)?;
        scene.close()
    })
}

#[test]
fn an_offer_that_cannot_be_is_refused_and_the_call_goes_on() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench)?;
        let (mut dialog, sid) = scene.connect()?;
        let strange = scene.describe()?.replace("RTP/AVP 8 101", "RTP/AVP 97");
        let strange = strange.replace("rtpmap:8 PCMA", "rtpmap:97 speex");
        for (offer, statuses) in [
            (strange.as_str(), &[488][..]),
            ("v=0\r\nrubbish", &[400, 488]),
        ] {
            let response = dialog.ask("INVITE", &[], ("application/sdp", offer))?;
            let status = response.status().unwrap_or_default();
            ensure!(statuses.contains(&status), "{response}");
        }
        let foreign = dialog.ask("INVITE", &[], ("text/plain", "hello"))?;
        ensure!(foreign.status() == Some(415), "{foreign}");
        scene.sound.forget();
        scene.both_hear(&scene.alice, &sid)?;
        scene.hang_up(&mut dialog, &scene.alice, &sid)?;
        scene.close()
    })
}
