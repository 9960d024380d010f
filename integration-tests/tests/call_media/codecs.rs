//! Codecs: the legs meet on one where they can, and what flows is then relayed; else it is transcoded (C14).

use anyhow::{Context, Result, ensure};
use integration_tests::audio::Heard;
use integration_tests::baresip::{Answer, Baresip, Codec, Setup as PhoneSetup};
use integration_tests::jingle::{Client, Setup as JingleSetup};
use integration_tests::tandem::with_tandem_within;
use integration_tests::wait;

use crate::scene::{Kind, LIMIT, Plan, Scene, expect_tones, hang_up};

#[test]
fn a_browser_and_phones_meet_on_any_codec_or_are_transcoded() -> Result<()> {
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
        let phones = [
            ("carol", Codec::Opus, "opus"),
            ("dave", Codec::G722, "G722"),
            ("erin", Codec::Pcma, "PCMA"),
            ("frank", Codec::Pcmu, "PCMU"),
        ];
        for ((user, codec, name), index) in phones.into_iter().zip(0..) {
            let setup = PhoneSetup {
                index,
                user,
                codecs: &[codec],
                answer: Answer::Auto,
                ..PhoneSetup::default()
            };
            let mut phone = Baresip::start_with(bench, setup)?;
            let relayed = format!("relayed {name}");
            let transcoded = match codec {
                Codec::Opus => relayed.clone(),
                Codec::G722 | Codec::Pcma | Codec::Pcmu => format!("transcoded opus to {name}"),
            };
            for (client, called, path) in
                [(&scene.alice, "alice", relayed), (&bob, "bob", transcoded)]
            {
                call_both_ways(&scene, client, called, &mut phone, user, &path)
                    .with_context(|| format!("{called} and a phone with {name}"))?;
            }
        }
        drop(bob);
        scene.close()
    })
}

/// Waits until a tone is as loud as it was sent: a player may fade in.
fn wait_level(decibel: f64, mut hear: impl FnMut() -> Result<Heard>) -> Result<()> {
    let what = format!("a tone of {decibel} dB");
    wait::until(&what, wait::GENEROUS, || {
        Ok(hear()?.expect_level(decibel).ok())
    })
}

/// How loud what phones and browsers send is, in dB.
const OF_PHONES: f64 = -6.0;
const OF_CLIENTS: f64 = -6.0;

/// A call each way, both with sound that goes from leg to leg by `path`.
fn call_both_ways(
    scene: &Scene,
    client: &Client,
    name: &str,
    phone: &mut Baresip,
    user: &str,
    path: &str,
) -> Result<()> {
    let sid = scene.call(client, phone, user)?;
    expect_tones(client, &sid, phone)?;
    hang_up(client, &sid, phone)?;
    scene.expect_path(path)?;
    let sid = scene.be_called(client, phone, name)?;
    expect_tones(client, &sid, phone)?;
    phone.hang_up()?;
    phone.wait_closed()?;
    ensure!(client.wait_ended(&sid)? == "success");
    scene.expect_path(path)
}

/// Clients and phones that know one codec each, and not the same.
#[test]
fn every_pair_of_codecs_is_transcoded() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let knowing = |user, codecs| JingleSetup {
            user,
            codecs: Some(codecs),
            ..JingleSetup::default()
        };
        let plan = Plan {
            client: Kind::Browser,
            alice: knowing("alice", &["G722"]),
            ..Plan::default()
        };
        let scene = Scene::open(bench, plan)?;
        let bob = scene.log_in(knowing("bob", &["PCMA"]))?;
        let mallory = scene.log_in(knowing("mallory", &["PCMU"]))?;
        let phones = [
            ("carol", Codec::Opus, "opus"),
            ("dave", Codec::G722, "G722"),
            ("erin", Codec::Pcma, "PCMA"),
            ("frank", Codec::Pcmu, "PCMU"),
        ];
        for ((user, codec, name), index) in phones.into_iter().zip(0..) {
            let setup = PhoneSetup {
                index,
                user,
                codecs: &[codec],
                answer: Answer::Auto,
                ..PhoneSetup::default()
            };
            let mut phone = Baresip::start_with(bench, setup)?;
            for (client, own, called) in [
                (&scene.alice, "G722", "alice"),
                (&bob, "PCMA", "bob"),
                (&mallory, "PCMU", "mallory"),
            ] {
                let sid = scene.call(client, &mut phone, user)?;
                let mut heard = || -> Result<()> {
                    wait_level(OF_PHONES, || client.wait_tone(&sid, 440))?;
                    wait_level(OF_CLIENTS, || phone.wait_tone(550))
                };
                let path = match own == name {
                    true => format!("relayed {own}"),
                    false => format!("transcoded {own} to {name}"),
                };
                heard().with_context(|| path.clone())?;
                hang_up(client, &sid, &mut phone)?;
                scene.expect_path(&path)?;
                let sid = scene.be_called(client, &mut phone, called)?;
                expect_tones(client, &sid, &mut phone)?;
                hang_up(client, &sid, &mut phone)?;
                scene.expect_path(&path)?;
            }
        }
        drop((bob, mallory));
        scene.close()
    })
}

#[test]
fn a_script_and_phones_meet_on_g711() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let knowing = |user, codecs| JingleSetup {
            user,
            codecs: Some(codecs),
            ..JingleSetup::default()
        };
        let plan = Plan {
            alice: knowing("alice", &["PCMU"]),
            ..Plan::default()
        };
        let scene = Scene::open(bench, plan)?;
        let bob = scene.log_in(knowing("bob", &["PCMA"]))?;
        // The phone would rather have something better.
        let setup = PhoneSetup {
            codecs: &[Codec::Opus, Codec::G722, Codec::Pcmu, Codec::Pcma],
            answer: Answer::Auto,
            ..PhoneSetup::default()
        };
        let mut phone = Baresip::start_with(bench, setup)?;
        let alice = &scene.alice;
        call_both_ways(&scene, alice, "alice", &mut phone, "carol", "relayed PCMU")?;
        call_both_ways(&scene, &bob, "bob", &mut phone, "carol", "relayed PCMA")?;
        scene.close()
    })
}
