//! Bad lines: packets that are lost, late or out of order, that come from elsewhere, or not at all (C16, C17, T12).

use anyhow::{Context, Result, ensure};
use integration_tests::aiortc::Faults;
use integration_tests::audio::Law;
use integration_tests::baresip::{Answer, Baresip, Setup as PhoneSetup};
use integration_tests::kamailio;
use integration_tests::loss::Loss;
use integration_tests::nat::Nat;
use integration_tests::relay::{Line, Relay};
use integration_tests::rtp::{Peer, Stream};
use integration_tests::tandem::with_tandem_within;
use std::time::Duration;

use crate::desk::Desk;
use crate::scene::{LIMIT, MEDIA, Plan, Scene, expect_tones, hang_up};

/// Everything is lost alike: signalling of the phone, ICE, DTLS, and sound.
#[test]
fn a_call_survives_lost_packets() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench, Plan::default())?;
        let setup = PhoneSetup {
            answer: Answer::Auto,
            ..PhoneSetup::default()
        };
        let mut phone = Baresip::start_with(bench, setup)?;
        let alice = &scene.alice;
        for every in [20, 5] {
            let rules = [5_060..=5_070, 10_000..=10_099, 20_000..=MEDIA + 7];
            let rules: Vec<Loss> = rules
                .into_iter()
                .map(|ports| Loss::every(every, ports))
                .collect::<Result<_>>()?;
            let mut heard = || -> Result<String> {
                let sid = scene.call(alice, &mut phone, "carol")?;
                expect_tones(alice, &sid, &mut phone)?;
                Ok(sid)
            };
            let sid = heard().with_context(|| format!("one of {every} lost"))?;
            drop(rules);
            phone.hang_up()?;
            phone.wait_closed()?;
            ensure!(alice.wait_ended(&sid)? == "success");
            let report = scene.wait_report()?;
            ensure!(!report.contains("sip=Measured { received: 0"), "{report}");
        }
        drop(phone);
        scene.close()
    })
}

/// Between phone and gateway packets are lost, late, doubled and out of order.
#[test]
fn a_call_survives_a_line_that_shuffles() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench, Plan::default())?;
        let (desk, alice) = (Desk::start()?, &scene.alice);
        let line = Line {
            lost: 50,
            late: 50,
            twice: 20,
            delay: Duration::from_millis(80),
            jitter: Duration::from_millis(15),
            seed: 5,
        };
        let own = desk.sound.address()?;
        let relay = Relay::start("127.0.0.2:0", own, line)?;
        let port = |port: u16| format!("m=audio {port} ");
        let description = desk
            .describe()?
            .replace(&port(own.port()), &port(relay.address().port()));
        let (dialog, sid) = desk.call(&scene, alice, "alice", &description)?;
        desk.sound.send(Stream::tone(relay.address(), Law::Mu, 440));
        desk.expect_tones(alice, &sid)?;
        ensure!(relay.lost() > 0 && relay.passed() > 0);
        desk.hang_up(dialog, alice, &sid)?;
        scene.close()
    })
}

/// Between gateway and registrar requests and responses are lost, late, doubled and out of order.
#[test]
fn calls_are_begun_and_given_up_over_a_line_that_shuffles() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let line = Line {
            lost: 150,
            late: 150,
            twice: 150,
            delay: Duration::from_millis(30),
            jitter: Duration::from_millis(30),
            seed: 11,
        };
        let relay = Relay::start("127.0.0.1:5999", kamailio::ADDRESS.parse()?, line)?;
        let plan = Plan {
            next_hop: "127.0.0.1:5999",
            ..Plan::default()
        };
        let scene = Scene::open(bench, plan)?;
        let mut phone = Baresip::start_with(bench, PhoneSetup::default())?;
        let alice = &scene.alice;
        for _ in 0..4 {
            let sid = alice.call(&scene.contact("carol", "sip.test"))?;
            phone.wait_incoming()?;
            phone.accept()?;
            alice.wait_connected(&sid)?;
            phone.wait_established()?;
            expect_tones(alice, &sid, &mut phone)?;
            hang_up(alice, &sid, &mut phone)?;

            let sid = alice.call(&scene.contact("carol", "sip.test"))?;
            phone.wait_incoming()?;
            alice.end(&sid, "cancel")?;
            phone.wait_closed()?;
        }
        ensure!(relay.lost() > 0 && relay.passed() > 0);
        drop(phone);
        scene.close()
    })
}

/// Behind a NAT sound comes from another port than was said: that is believed once, and no stranger ever.
#[test]
fn sound_from_another_port_is_believed_once() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench, Plan::default())?;
        let (desk, alice) = (Desk::start()?, &scene.alice);
        let (dialog, sid) = desk.call(&scene, alice, "alice", &desk.describe()?)?;
        let to = dialog.media()?;
        let stranger = Peer::bind("127.0.0.3:0")?;
        stranger.send(Stream::tone(to, Law::Mu, 1_500));
        let behind = Peer::bind("127.0.0.2:0")?;
        behind.send(Stream::tone(to, Law::Mu, 440));
        alice.wait_tone(&sid, 440)?;
        behind.wait_tone(550)?;
        // It is too late for anybody else, even from the same address.
        let late = Peer::bind("127.0.0.2:0")?;
        late.send(Stream::tone(to, Law::Mu, 1_800));
        behind.forget();
        behind.wait_packets(25)?;
        alice.wait_tone(&sid, 440)?;
        for other in [&stranger, &late] {
            ensure!(other.received().is_empty(), "{:?}", other.received());
        }
        desk.hang_up(dialog, alice, &sid)?;
        let report = scene.wait_report()?;
        let sip = report.split("sip=Measured").nth(1).unwrap_or_default();
        ensure!(!sip.contains("dropped: 0,"), "{report}");
        scene.close()
    })
}

/// Client and phone are each behind a NAT that lets nothing in by itself.
#[test]
fn a_call_passes_nats_on_either_side() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench, Plan::default())?;
        let setup = PhoneSetup {
            answer: Answer::Auto,
            ..PhoneSetup::default()
        };
        let mut phone = Baresip::start_with(bench, setup)?;
        let alice = &scene.alice;
        // The ports a script gets from the system, and those of the phone.
        for inside in [32_768..=60_999, 10_000..=10_099] {
            let nat = Nat::before(inside, 15_000..=15_050)?;
            let sid = scene.call(alice, &mut phone, "carol")?;
            expect_tones(alice, &sid, &mut phone)?;
            hang_up(alice, &sid, &mut phone)?;
            let sid = scene.be_called(alice, &mut phone, "alice")?;
            expect_tones(alice, &sid, &mut phone)?;
            hang_up(alice, &sid, &mut phone)?;
            ensure!(nat.translated()? >= 2);
        }
        drop(phone);
        scene.close()
    })
}

/// A phone that falls silent for good: both ends are told.
#[test]
fn a_call_without_sound_ends() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let plan = Plan {
            media: "silence = 2",
            ..Plan::default()
        };
        let scene = Scene::open(bench, plan)?;
        let (desk, alice) = (Desk::start()?, &scene.alice);
        let (dialog, sid) = desk.call(&scene, alice, "alice", &desk.describe()?)?;
        desk.talk(&dialog)?;
        desk.expect_tones(alice, &sid)?;
        desk.sound.pause();
        desk.wait_end(&dialog)?;
        let reason = alice.wait_ended(&sid)?;
        ensure!(reason == "connectivity-error", "ended with {reason}");
        scene.close()
    })
}

/// A client that nothing reaches, and one whose certificate is not the announced one.
#[test]
fn a_call_that_never_connects_ends() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let plan = Plan {
            media: "connect = 2",
            ..Plan::default()
        };
        let scene = Scene::open(bench, plan)?;
        let (desk, alice) = (Desk::start()?, &scene.alice);
        let unreachable = Loss::every(1, MEDIA..=MEDIA + 7)?;
        let (dialog, sid) = desk.call(&scene, alice, "alice", &desk.describe()?)?;
        desk.talk(&dialog)?;
        desk.wait_end(&dialog)?;
        let reason = alice.wait_ended(&sid)?;
        ensure!(reason == "connectivity-error", "ended with {reason}");
        ensure!(unreachable.dropped()? > 0);
        drop(unreachable);

        alice.misbehave(Faults {
            fingerprint: Some("wrong"),
            ..Faults::default()
        })?;
        let (dialog, sid) = desk.call(&scene, alice, "alice", &desk.describe()?)?;
        desk.wait_end(&dialog)?;
        let reason = alice.wait_ended(&sid)?;
        ensure!(reason == "security-error", "ended with {reason}");
        scene.close()
    })
}
