//! What changes within a call: holding by either side, another address, codec or numbering, and far too many offers.

use anyhow::{Result, ensure};
use integration_tests::audio::Law;
use integration_tests::baresip::{Answer, Baresip, Setup as PhoneSetup};
use integration_tests::jingle::Client;
use integration_tests::rtp::{Peer, Stream};
use integration_tests::tandem::with_tandem_within;
use integration_tests::wait;
use std::time::Duration;

use crate::desk::{Desk, Dialog};
use crate::scene::{LIMIT, Plan, Scene, expect_tones};

/// Whoever holds says so as it likes (C20): nothing is sent to it, and afterwards all is as before.
#[test]
fn a_phone_holds_in_every_dialect() -> Result<()> {
    with_tandem_within(HOLD_LIMIT, |bench| {
        let scene = Scene::open(bench, Plan::default())?;
        let (desk, alice) = (Desk::start()?, &scene.alice);
        let usual = desk.describe()?;
        let (mut dialog, sid) = desk.call(&scene, alice, "alice", &usual)?;
        desk.talk(&dialog)?;
        desk.expect_tones(alice, &sid)?;
        let nowhere = usual.replace("c=IN IP4 127.0.0.2", "c=IN IP4 0.0.0.0");
        for (offer, answer) in [
            (usual.replace("sendrecv", "sendonly"), "a=recvonly"),
            (usual.replace("sendrecv", "inactive"), "a=inactive"),
            (nowhere, "a=recvonly"),
        ] {
            let response = desk.offer(&mut dialog, &offer)?;
            ensure!(response.text().contains(answer), "{offer}\n{response}");
            alice.wait_event("hold", &sid)?;
            expect_nothing_sent(&desk, alice, &sid, answer == "a=inactive")?;
            let response = desk.offer(&mut dialog, &usual)?;
            ensure!(!response.text().contains(answer), "{response}");
            alice.wait_event("resumed", &sid)?;
            desk.expect_tones(alice, &sid)?;
        }
        desk.hang_up(dialog, alice, &sid)?;
        scene.close()
    })
}

/// How many packets a hold lasts: a few, or, as the long run wants it, those of half a minute.
fn packets_of_a_hold() -> Result<u64> {
    match std::env::var("TANDEM_HOLD_SECONDS") {
        Ok(seconds) => Ok(50 * seconds.parse::<u64>()?),
        Err(_) => Ok(15),
    }
}

/// While it is held the phone gets no packet, though the client goes on to send.
fn expect_nothing_sent(desk: &Desk, alice: &Client, sid: &str, silent: bool) -> Result<()> {
    desk.sound.forget();
    let (before, more) = (alice.stats(sid)?.sent, packets_of_a_hold()?);
    wait::until("more of the client's sound", HOLD_LIMIT, || {
        Ok((alice.stats(sid)?.sent > before + more).then_some(()))
    })?;
    let came = desk.sound.received();
    let came: Vec<_> = came.iter().filter_map(|got| got.packet.as_ref()).collect();
    // One may have been on its way.
    ensure!(came.len() <= 1, "{} packets came", came.len());
    if silent {
        let before = alice.stats(sid)?.received;
        let sent = alice.stats(sid)?.sent;
        wait::until("still more", wait::GENEROUS, || {
            Ok((alice.stats(sid)?.sent > sent + 10).then_some(()))
        })?;
        let after = alice.stats(sid)?.received;
        ensure!(after <= before + 1, "{before} packets became {after}");
    } else {
        alice.wait_tone(sid, 440)?;
    }
    Ok(())
}

/// The XMPP user holds: by a word, and by who may send (XEP-0167, XEP-0166).
#[test]
fn a_client_holds_and_resumes() -> Result<()> {
    with_tandem_within(HOLD_LIMIT, |bench| {
        let scene = Scene::open(bench, Plan::default())?;
        let (desk, alice) = (Desk::start()?, &scene.alice);
        let usual = desk.describe()?;
        let (mut dialog, sid) = desk.call(&scene, alice, "alice", &usual)?;
        desk.talk(&dialog)?;
        desk.expect_tones(alice, &sid)?;

        alice.hold(&sid)?;
        let held = usual.replace("sendrecv", "recvonly");
        let offer = desk.accept_offer(&mut dialog, &held)?;
        ensure!(
            offer.contains("a=sendonly") || offer.contains("a=inactive"),
            "{offer}"
        );
        let (before, more) = (alice.stats(&sid)?.sent, packets_of_a_hold()?);
        wait::until("the end of the hold", HOLD_LIMIT, || {
            Ok((alice.stats(&sid)?.sent > before + more).then_some(()))
        })?;
        alice.resume(&sid)?;
        let offer = desk.accept_offer(&mut dialog, &usual)?;
        ensure!(is_both_ways(&offer), "{offer}");
        desk.expect_tones(alice, &sid)?;

        // The phone called, so it is the initiator towards her.
        for (senders, direction) in [("responder", "a=sendonly"), ("both", "")] {
            modify(alice, &scene, &sid, senders)?;
            let answer = match direction {
                "" => &usual,
                _ => &held,
            };
            let offer = desk.accept_offer(&mut dialog, answer)?;
            ensure!(
                offer.contains(direction) && is_both_ways(&offer) == direction.is_empty(),
                "{offer}"
            );
        }
        desk.expect_tones(alice, &sid)?;
        desk.hang_up(dialog, alice, &sid)?;
        scene.close()
    })
}

fn is_both_ways(description: &str) -> bool {
    let others = ["a=sendonly", "a=recvonly", "a=inactive"];
    !others.iter().any(|other| description.contains(other))
}

/// Says who sends from now on.
fn modify(client: &Client, scene: &Scene, sid: &str, senders: &str) -> Result<()> {
    let payload = format!(
        "<jingle xmlns='urn:xmpp:jingle:1' action='content-modify' sid='{sid}'>\
         <content creator='initiator' name='audio' senders='{senders}'/></jingle>"
    );
    let answer = client.ask("set", &scene.contact("desk", "desk.test"), &payload)?;
    ensure!(answer.kind() == "result", "{}", answer.xml);
    Ok(())
}

/// A phone that holds with an offer of its own kind, as its user presses the button.
#[test]
fn the_button_of_a_phone_holds_and_resumes() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench, Plan::default())?;
        let setup = PhoneSetup {
            answer: Answer::Auto,
            ..PhoneSetup::default()
        };
        let mut phone = Baresip::start_with(bench, setup)?;
        let alice = &scene.alice;
        let sid = scene.call(alice, &mut phone, "carol")?;
        expect_tones(alice, &sid, &mut phone)?;
        phone.hold()?;
        alice.wait_event("hold", &sid)?;
        phone.resume()?;
        alice.wait_event("resumed", &sid)?;
        expect_tones(alice, &sid, &mut phone)?;
        phone.hang_up()?;
        phone.wait_closed()?;
        ensure!(alice.wait_ended(&sid)? == "success");
        drop(phone);
        scene.close()
    })
}

/// Both sides press their buttons at once, again and again: offers cross, and at the end both hear each other.
#[test]
fn both_sides_hold_and_resume_at_once() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench, Plan::default())?;
        let setup = PhoneSetup {
            answer: Answer::Auto,
            ..PhoneSetup::default()
        };
        let mut phone = Baresip::start_with(bench, setup)?;
        let alice = &scene.alice;
        let sid = scene.call(alice, &mut phone, "carol")?;
        expect_tones(alice, &sid, &mut phone)?;
        for _ in 0..10 {
            alice.hold(&sid)?;
            phone.hold()?;
            alice.resume(&sid)?;
            phone.resume()?;
        }
        // A phone whose last offer was put off does not repeat it by itself.
        wait::until("both to hear each other", wait::GENEROUS, || {
            phone.resume()?;
            let hears = alice.listen(&sid)?.last(Duration::from_millis(200));
            Ok(hears.measure().is_tone(440).then_some(()))
        })?;
        expect_tones(alice, &sid, &mut phone)?;
        phone.hang_up()?;
        phone.wait_closed()?;
        ensure!(alice.wait_ended(&sid)? == "success");
        drop(phone);
        scene.close()
    })
}

/// Another port, another codec, another number for it, and fifty offers in a row.
#[test]
fn a_phone_moves_renames_and_repeats_itself() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench, Plan::default())?;
        let (mut desk, alice) = (Desk::start()?, &scene.alice);
        let usual = desk.describe()?;
        let (mut dialog, sid) = desk.call(&scene, alice, "alice", &usual)?;
        desk.talk(&dialog)?;
        desk.expect_tones(alice, &sid)?;

        // Elsewhere, and in the other law.
        let elsewhere = Peer::bind("127.0.0.2:0")?;
        desk.offer(&mut dialog, &elsewhere.describe(Law::A, "sendrecv")?)?;
        desk.sound.pause();
        let before = std::mem::replace(&mut desk.sound, elsewhere);
        let stream = Stream::tone(dialog.media()?, Law::A, 880);
        desk.sound.send(stream);
        alice.wait_tone(&sid, 880)?;
        desk.sound.wait_tone(550)?;
        drop(before);

        // The first law under a number of its own.
        let renamed = desk
            .describe()?
            .replace("RTP/AVP 0 101", "RTP/AVP 97 101")
            .replace("rtpmap:0 ", "rtpmap:97 ");
        desk.offer(&mut dialog, &renamed)?;
        let mut stream = Stream::tone(dialog.media()?, Law::Mu, 660);
        stream.payload_type = 97;
        desk.sound.send(stream);
        alice.wait_tone(&sid, 660)?;
        desk.sound.forget();
        let packets = desk.sound.wait_packets(10)?;
        ensure!(
            packets
                .iter()
                .skip(1)
                .all(|packet| packet.payload_type == 97),
            "{:?}",
            packets.last()
        );

        storm(&desk, &mut dialog)?;
        desk.talk(&dialog)?;
        desk.sound.forget();
        desk.expect_tones(alice, &sid)?;
        desk.hang_up(dialog, alice, &sid)?;
        scene.close()
    })
}

/// Offer after offer: each is answered, and the last one counts.
fn storm(desk: &Desk, dialog: &mut Dialog) -> Result<()> {
    let usual = desk.describe()?;
    let offers: Vec<String> = ["sendonly", "inactive", "sendrecv", "recvonly", "sendrecv"]
        .iter()
        .map(|direction| usual.replace("sendrecv", direction))
        .collect();
    for offer in offers.iter().cycle().take(50) {
        desk.offer(dialog, offer)?;
    }
    // All at once: one that comes before another is done may be refused (RFC 3261 §14.2).
    let statuses = desk.rush(dialog, &offers)?;
    ensure!(
        statuses.first() == Some(&200) && statuses.iter().all(|s| [200, 491, 500].contains(s)),
        "{statuses:?}"
    );
    desk.offer(dialog, &usual).map(drop)
}

/// Three holds of half a minute, at most.
const HOLD_LIMIT: Duration = Duration::from_secs(240);
