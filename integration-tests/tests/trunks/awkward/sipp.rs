//! The provider is sipp, which has its own idea of SIP: what it is told to do wrong, and what comes of it.

use anyhow::{Context, Result, ensure};
use integration_tests::Bench;
use integration_tests::audio::Law;
use integration_tests::names::Names;
use integration_tests::sip::Message;
use integration_tests::sip_trace::Direction;
use integration_tests::sipp::{Scenario, Setup, Sipp, own_media};
use integration_tests::tandem::{Trunk, with_tandem_within};
use integration_tests::wait::{self, GENEROUS};

use super::challenge;
use crate::scene::{LIMIT, Scene};

fn open(bench: &Bench) -> Result<Scene> {
    let trunk = Trunk {
        next_hop: "127.0.0.1:5080",
        ..super::trunk()
    };
    Scene::open(bench, vec![trunk], "")
}

fn start(bench: &Bench, name: &str, scenario: &Scenario, calls: u32) -> Result<Sipp> {
    let setup = Setup {
        calls,
        limit: GENEROUS,
        ..Setup::default()
    };
    Sipp::start(bench, name, &scenario.to_xml(), setup)
}

fn call(scene: &Scene) -> Result<String> {
    let to = format!("{}/sip", scene.contact("+15559001"));
    scene.alice.call(&to)
}

/// The requests with `method` that came to the provider.
fn requests(sipp: &Sipp, method: &str) -> Result<Vec<Message>> {
    let came = sipp
        .trace()?
        .into_iter()
        .filter(|(way, _)| *way == Direction::Received);
    let came = came.map(|(_, message)| message);
    Ok(came.filter(|it| it.method() == Some(method)).collect())
}

/// What is said to an INVITE, and then nothing.
fn refusal(status: &str, headers: &[&str]) -> Scenario {
    Scenario::answering()
        .reply(status, headers, None)
        .expect("ACK")
}

/// Asks for a password for ever, each time as if the one before was right but old.
fn ask_for_ever() -> Scenario {
    let ask = |scenario: Scenario, nonce: &str| {
        let asked = format!("WWW-Authenticate: {}", challenge(nonce, ", stale=true"));
        scenario.reply("401 Who?", &[&asked], None).expect("ACK")
    };
    let first = ask(Scenario::answering(), "n0");
    let second = ask(first.again(), "n1");
    ask(second.again(), "n2")
}

#[test]
fn sipp_does_not_take_calls() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, "")?;
        let scene = open(bench)?;
        let moved = "Contact: <sip:+19005551234@127.0.0.3:5090>;q=0.9";
        let rows = [
            // Names, what is said, how many calls at once, INVITEs of each, what alice is told.
            (
                "moved",
                refusal("302 Moved", &[moved]),
                1,
                1,
                ("gone", "another address"),
            ),
            (
                "wants",
                refusal("421 Extension Required", &["Require: x-billing"]),
                1,
                1,
                ("general-error", ""),
            ),
            (
                "storm",
                refusal("503 Busy", &["Retry-After: 1"]),
                5,
                1,
                ("connectivity-error", ""),
            ),
            (
                "asks",
                ask_for_ever(),
                1,
                3,
                ("security-error", "authenticate"),
            ),
        ];
        for (name, scenario, calls, rounds, (reason, word)) in &rows {
            let attempt = || -> Result<()> {
                let mut sipp = start(bench, name, scenario, *calls)?;
                let mut sids = Vec::new();
                for _ in 0..*calls {
                    sids.push(call(&scene)?);
                }
                for sid in &sids {
                    let ended = scene.alice.wait_event("ended", sid)?;
                    ensure!(ended.reason == *reason, "{ended:?}");
                    ensure!(ended.text.contains(word), "{ended:?}");
                }
                sipp.finish()?;
                let came = requests(&sipp, "INVITE")?;
                let mut sequences: Vec<String> = came
                    .iter()
                    .map(|it| it.header("Call-ID") + &it.header("CSeq"))
                    .collect();
                sequences.sort();
                sequences.dedup();
                let wanted = usize::try_from(calls * rounds)?;
                ensure!(sequences.len() == wanted, "{sequences:?}");
                Ok(())
            };
            attempt().with_context(|| (*name).to_owned())?;
        }
        scene.close(&[])
    })
}

/// Sound before the answer and nothing that says it rings: it is heard, and the call is given up in that state.
#[test]
fn sipp_speaks_before_it_answers() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, "")?;
        let scene = open(bench)?;
        let tone = Sipp::write_tone(bench, Law::A, 880)?;
        let scenario = Scenario::answering()
            .reply("183 Listen", &[], Some(&own_media(8, "sendrecv")))
            .play(&tone, 8)
            .expect("CANCEL")
            .reply_to_last("200 OK", &[], None)
            .reply("487 Request Terminated", &[], None)
            .expect("ACK");
        let mut sipp = start(bench, "early", &scenario, 1)?;
        let sid = call(&scene)?;
        scene.alice.wait_tone(&sid, 880)?;
        scene.alice.end(&sid, "cancel")?;
        sipp.finish()?;
        scene.close(&[])
    })
}

/// Another Contact with each description, the last of which names an address nobody can reach.
#[test]
fn sipp_moves_and_is_found() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, "")?;
        let scene = open(bench)?;
        let tone = Sipp::write_tone(bench, Law::A, 880)?;
        let own = own_media(8, "sendrecv");
        let hidden = own
            .replace("[media_ip]", "192.168.77.7")
            .replace("sipp 1 1", "sipp 1 2");
        let scenario = Scenario::answering()
            .at("sip:one@127.0.0.1:5080")
            .reply("180 Ringing", &[], None)
            .at("sip:two@127.0.0.1:5080;x=y")
            .reply("200 OK", &[], Some(&own))
            .expect("ACK")
            .at("sip:three@127.0.0.1:5080")
            .request("INVITE", &[], Some(&hidden))
            .expect_status(200)
            .ack(None)
            .play(&tone, 8)
            .expect("BYE")
            .reply_to_last("200 OK", &[], None);
        let mut sipp = start(bench, "moves", &scenario, 1)?;
        let sid = call(&scene)?;
        scene.alice.wait_accepted(&sid)?;
        wait::until("the answer to the change", GENEROUS, || {
            let mut came = sipp.trace()?.into_iter();
            let answered = |(way, message): (Direction, Message)| {
                way == Direction::Received && message.status() == Some(200)
            };
            Ok(came.any(answered).then_some(()))
        })?;
        scene.alice.wait_tone(&sid, 880)?;
        scene.alice.end(&sid, "success")?;
        sipp.finish()?;
        for (method, uri) in [
            ("ACK", "sip:two@127.0.0.1:5080;x=y"),
            ("BYE", "sip:three@127.0.0.1:5080"),
        ] {
            let came = requests(&sipp, method)?;
            let found = |it: &Message| it.uri() == uri;
            ensure!(!came.is_empty() && came.iter().all(found), "{came:?}");
        }
        scene.close(&[])
    })
}
