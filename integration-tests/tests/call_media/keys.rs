//! Keys of a telephone, both ways: as events at either clock, and by INFO where there are none (C22).

use anyhow::{Result, ensure};
use integration_tests::jingle::{Client, Setup as JingleSetup};
use integration_tests::rtp::{Packet, Peer, Stream};
use integration_tests::tandem::with_tandem_within;
use integration_tests::wait;

use crate::desk::Desk;
use crate::scene::{Kind, LIMIT, Plan, Scene};

#[test]
fn keys_cross_in_every_dialect() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let plan = Plan {
            client: Kind::Browser,
            ..Plan::default()
        };
        let scene = Scene::open(bench, plan)?;
        let opus_only = JingleSetup {
            user: "bob",
            codecs: Some(&["opus", "telephone-event"]),
            ..JingleSetup::default()
        };
        let bob = scene.log_in(opus_only)?;
        let desk = Desk::start()?;
        // At one clock on both legs, then at two.
        for (client, name, path) in [
            (&scene.alice, "alice", "relayed PCMU"),
            (&bob, "bob", "transcoded opus to PCMU"),
        ] {
            let (dialog, sid) = desk.call(&scene, client, name, &desk.describe()?)?;
            desk.talk(&dialog)?;
            desk.expect_tones(client, &sid)?;
            desk.sound.forget();
            client.press(&sid, "12#")?;
            desk.sound.wait_keys("12#", 101)?;
            expect_events(&desk.sound, 101, 8_000)?;
            desk.sound.press("5555")?;
            wait_five(client, &sid)?;
            desk.expect_tones(client, &sid)?;
            desk.hang_up(dialog, client, &sid)?;
            scene.expect_path(path)?;
        }

        let without: String = desk.describe()?.replace(" 101\r\n", "\r\n").replace(
            "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n",
            "",
        );
        let (mut dialog, sid) = desk.call(&scene, &scene.alice, "alice", &without)?;
        desk.talk(&dialog)?;
        desk.expect_tones(&scene.alice, &sid)?;
        for (kind, body) in [
            ("application/dtmf-relay", "Signal=5\r\nDuration=300\r\n"),
            ("application/dtmf", "5"),
        ] {
            let answer = desk.request(&mut dialog, "INFO", Some((kind, body)))?;
            ensure!(answer.status() == Some(200), "{answer}");
            wait_five(&scene.alice, &sid)?;
            desk.expect_tones(&scene.alice, &sid)?;
        }
        scene.alice.press(&sid, "7")?;
        let info = desk.expect(&dialog, "INFO")?;
        info.reply(200, "OK")?;
        ensure!(info.message.text().contains("Signal=7"), "{}", info.message);
        desk.hang_up(dialog, &scene.alice, &sid)?;
        drop(bob);
        scene.close()
    })
}

/// A phone that would hear them as events hears them by INFO where its trunk wants that.
#[test]
fn keys_go_by_info_where_the_trunk_wants_that() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let plan = Plan {
            client: Kind::Browser,
            trunk: "dtmf = \"info\"",
            ..Plan::default()
        };
        let scene = Scene::open(bench, plan)?;
        let desk = Desk::start()?;
        let (dialog, sid) = desk.call(&scene, &scene.alice, "alice", &desk.describe()?)?;
        let described = &dialog.theirs;
        ensure!(!described.contains("telephone-event"), "{described}");
        desk.talk(&dialog)?;
        desk.expect_tones(&scene.alice, &sid)?;
        scene.alice.press(&sid, "7")?;
        let info = desk.expect(&dialog, "INFO")?;
        info.reply(200, "OK")?;
        ensure!(info.message.text().contains("Signal=7"), "{}", info.message);
        desk.hang_up(dialog, &scene.alice, &sid)?;
        scene.close()
    })
}

/// A phone whose keys count 48,000 ticks a second, with clients that count as many or 8,000.
#[test]
fn keys_cross_at_the_clock_of_opus() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let knowing = |user, codecs| JingleSetup {
            user,
            codecs: Some(codecs),
            ..JingleSetup::default()
        };
        let plan = Plan {
            client: Kind::Browser,
            alice: knowing("alice", &["opus", "telephone-event"]),
            ..Plan::default()
        };
        let scene = Scene::open(bench, plan)?;
        let bob = scene.log_in(knowing("bob", &["PCMU", "telephone-event"]))?;
        let desk = Desk::start()?;
        let opus = desk
            .describe()?
            .replace("RTP/AVP 0 101", "RTP/AVP 96 97")
            .replace("rtpmap:0 PCMU/8000", "rtpmap:96 opus/48000/2")
            .replace(
                "rtpmap:101 telephone-event/8000",
                "rtpmap:97 telephone-event/48000",
            )
            .replace("fmtp:101", "fmtp:97");
        for (client, name, path) in [
            (&scene.alice, "alice", "relayed opus"),
            (&bob, "bob", "transcoded PCMU to opus"),
        ] {
            let (dialog, sid) = desk.call(&scene, client, name, &opus)?;
            let mut stream = Stream::opus_silence(dialog.media()?, 96);
            stream.key_type = 97;
            desk.sound.send(stream);
            client.wait_silence(&sid)?;
            desk.sound.wait_packets(10)?;
            desk.sound.forget();
            client.press(&sid, "12#")?;
            desk.sound.wait_keys("12#", 97)?;
            expect_events(&desk.sound, 97, 48_000)?;
            desk.sound.press("5555")?;
            wait_five(client, &sid)?;
            client.wait_silence(&sid)?;
            desk.hang_up(dialog, client, &sid)?;
            scene.expect_path(path)?;
        }
        drop(bob);
        scene.close()
    })
}

/// What RFC 4733 §2.5 wants of the packets of every key: one timestamp, a mark on the first alone, durations that
/// grow, an end told three times, and about a tenth of a second by this clock.
fn expect_events(phone: &Peer, payload_type: u8, clock: u32) -> Result<()> {
    let events = || -> Result<Vec<Packet>> {
        let mut packets = phone.wait_packets(1)?;
        packets.retain(|packet| packet.payload_type == payload_type);
        Ok(packets)
    };
    // The last packets of the last key may be on their way.
    wait::until("the end of a key, thrice", wait::GENEROUS, || {
        let events = events()?;
        let ends = events.iter().rev().take_while(|packet| has_ended(packet));
        Ok((ends.count() >= 3).then_some(()))
    })?;
    for key in events()?.chunk_by(|a, b| a.timestamp == b.timestamp) {
        let durations: Vec<u32> = key.iter().map(duration).collect();
        let marks: Vec<bool> = key.iter().map(|packet| packet.marker).collect();
        let ends = key.iter().filter(|packet| has_ended(packet)).count();
        let longest = durations.last().copied().unwrap_or_default();
        ensure!(
            marks
                .iter()
                .zip(0..)
                .all(|(mark, place)| *mark == (place == 0))
                && durations.is_sorted()
                && ends == 3
                && (clock / 20..clock / 4).contains(&longest),
            "marks {marks:?}, durations {durations:?}, {ends} ends"
        );
    }
    Ok(())
}

fn duration(packet: &Packet) -> u32 {
    match packet.payload.get(2..4) {
        Some([high, low]) => u32::from(u16::from_be_bytes([*high, *low])),
        _ => 0,
    }
}

fn has_ended(packet: &Packet) -> bool {
    packet.payload.get(1).is_some_and(|flags| flags & 0x80 != 0)
}

/// A browser plays the keys it receives: 5 is a pair of tones.
fn wait_five(client: &Client, sid: &str) -> Result<()> {
    wait::until("the key 5", wait::GENEROUS, || {
        let heard = client.listen(sid)?;
        let levels = [770, 1_336, 1_633].map(|hertz| heard.level_at(hertz) > -45.0);
        Ok((levels == [true, true, false]).then_some(()))
    })
}
