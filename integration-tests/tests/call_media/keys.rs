//! Keys of a telephone, both ways: as events at either clock, and by INFO where there are none (C22).

use anyhow::{Result, ensure};
use integration_tests::jingle::{Client, Setup as JingleSetup};
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

/// A browser plays the keys it receives: 5 is a pair of tones.
fn wait_five(client: &Client, sid: &str) -> Result<()> {
    wait::until("the key 5", wait::GENEROUS, || {
        let heard = client.listen(sid)?;
        let levels = [770, 1_336, 1_633].map(|hertz| heard.level_at(hertz) > -45.0);
        Ok((levels == [true, true, false]).then_some(()))
    })
}
