//! Other SIP peers than baresip, through the registrar: linphone, and sipp.

use anyhow::{Context as _, Result, ensure};
use integration_tests::Bench;
use integration_tests::audio::Law;
use integration_tests::kamailio;
use integration_tests::linphone::Caller;
use integration_tests::rtp::{Peer, Stream, media_address};
use integration_tests::sipp::{Scenario, Setup as SippSetup, Sipp, own_media};
use integration_tests::tandem::with_tandem_within;
use integration_tests::wait;

use crate::scene::{Kind, LIMIT, Plan, Scene};

#[test]
fn a_browser_and_linphone_call_each_other() -> Result<()> {
    with_tandem_within(LIMIT, |bench| call_linphone(bench, browser()))
}

#[test]
fn a_script_and_linphone_call_each_other() -> Result<()> {
    with_tandem_within(LIMIT, |bench| call_linphone(bench, Plan::default()))
}

/// A call each way, in which both speak opus.
fn call_linphone(bench: &Bench, plan: Plan<'_>) -> Result<()> {
    let scene = Scene::open(bench, plan)?;
    let alice = &scene.alice;
    let mut erin = Caller::start(bench, "erin", 660)?;
    let sid = alice.call(&scene.contact("erin", "sip.test"))?;
    alice.wait_ringing(&sid)?;
    erin.accept()?;
    alice.wait_connected(&sid)?;
    alice.wait_tone(&sid, 660)?;
    erin.wait_tone(550)?;
    erin.hang_up()?;
    ensure!(alice.wait_ended(&sid)? == "success");
    scene.expect_path("relayed opus")?;

    erin.dial(&scene.uri_of("alice"))?;
    let proposal = alice.wait_proposal()?;
    alice.take_proposal(&proposal)?;
    erin.wait_status(200)?;
    alice.wait_tone(&proposal.id, 660)?;
    erin.wait_tone(550)?;
    alice.end(&proposal.id, "success")?;
    erin.wait_request("BYE")?;
    scene.expect_path("relayed opus")?;
    scene.close()
}

#[test]
fn sipp_calls_a_browser_through_the_registrar() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench, browser())?;
        let alice = &scene.alice;
        // sipp signals; it cannot hear, so the sound is somebody else's.
        let sound = Peer::bind("127.0.0.1:0")?;
        let offer = sound.describe(Law::A, "sendrecv")?;
        let call = Scenario::calling(
            "sip:tester@tester.test",
            &scene.uri_of("alice"),
            &[],
            Some(&offer),
        )
        .expect_status(200)
        .ack(None)
        .expect("BYE")
        .reply_to_last("200 OK", &[], None);
        let setup = SippSetup {
            target: Some(kamailio::ADDRESS),
            ..SippSetup::default()
        };
        let mut scenario = Sipp::start(bench, "caller", &call.to_xml(), setup)?;
        let proposal = alice.wait_proposal()?;
        alice.take_proposal(&proposal)?;
        alice.wait_connected(&proposal.id)?;
        let answer = wait::until("the answer", wait::GENEROUS, || {
            let mut trace = scenario.trace()?.into_iter().map(|(_, message)| message);
            Ok(trace.find(|message| message.status() == Some(200)))
        })?;
        let to = media_address(&answer.text()).context("an answer without address")?;
        sound.send(Stream::tone(to, Law::A, 1_000));
        alice.wait_tone(&proposal.id, 1_000)?;
        sound.wait_tone(550)?;
        alice.end(&proposal.id, "success")?;
        scenario.finish()?;
        scene.close()
    })
}

/// Reliable progress with sound, a hold, a key, and a reason at the end: all as sipp has them.
#[test]
fn sipp_is_called_and_changes_the_call() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let plan = Plan {
            next_hop: "127.0.0.1:5080",
            ..Plan::default()
        };
        let scene = Scene::open(bench, plan)?;
        let tone = Sipp::write_tone(bench, Law::Mu, 880)?;
        let (usual, held) = (own_media(0, "sendrecv"), own_media(0, "sendonly"));
        let call = Scenario::answering()
            .reply("180 Ringing", &[], None)
            .reply(
                "183 Session Progress",
                &["Require: 100rel", "RSeq: 9"],
                Some(&usual),
            )
            .expect("PRACK")
            .reply_to_last("200 OK", &[], None)
            .play(&tone, 0)
            .pause(3_000)
            .reply("200 OK", &[], None)
            .expect("ACK")
            .request("INVITE", &[], Some(&held))
            .expect_status(200)
            .ack(None)
            .request("INFO", &["Info-Package: nothing-we-know"], None)
            .expect_status(469)
            .request("REFER", &["Refer-To: <sip:dave@sip.test>"], None)
            .expect_status(603)
            .request(
                "UPDATE",
                &["Session-Expires: 1800;refresher=uac", "Supported: timer"],
                None,
            )
            .expect_status(200)
            .request("INVITE", &[], Some(&usual))
            .expect_status(200)
            .ack(None)
            // What we would offer, answered with the ACK.
            .request("INVITE", &[], None)
            .expect_status(200)
            .ack(Some(&usual))
            .request("BYE", &["Reason: Q.850;cause=16"], None)
            .expect_status(200);
        let mut scenario = Sipp::start(bench, "called", &call.to_xml(), SippSetup::default())?;
        let alice = &scene.alice;
        let sid = alice.call(&scene.contact("carol", "sip.test"))?;
        alice.wait_ringing(&sid)?;
        alice.wait_tone(&sid, 880)?;
        for event in ["hold", "resumed"] {
            alice.wait_event(event, &sid)?;
        }
        ensure!(alice.wait_ended(&sid)? == "success");
        scenario.finish()?;
        let prack = scenario.trace()?.into_iter().map(|(_, message)| message);
        let prack = prack.filter(|message| message.method() == Some("PRACK"));
        let numbers: Vec<String> = prack.map(|message| message.header("RAck")).collect();
        ensure!(numbers == ["9 1 INVITE"], "{numbers:?}");
        scene.close()
    })
}

fn browser() -> Plan<'static> {
    Plan {
        client: Kind::Browser,
        ..Plan::default()
    }
}
