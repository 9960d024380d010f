//! How the SIP leg travels: UDP, TCP or TLS, and its sound plain, with keys in SDP, or by DTLS.

use anyhow::{Context, Result, ensure};
use integration_tests::Bench;
use integration_tests::baresip::{Answer, Baresip, Encryption, Setup as PhoneSetup, Transport};
use integration_tests::linphone::{Caller, Encryption as Linphone};
use integration_tests::sip_trace::Direction;
use integration_tests::tandem::with_tandem_within;

use crate::scene::{Kind, LIMIT, Plan, Scene, expect_tones, hang_up};

/// The phone has keys where the other has, and so has the trunk.
#[test]
fn keys_are_preferred_over_tcp() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let trunk = "srtp = \"sdes\"";
        protect(
            bench,
            "tcp",
            trunk,
            Transport::Tcp,
            Encryption::Offered,
            "a=crypto:",
        )
    })
}

#[test]
fn keys_are_required_over_tls() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let trunk = "srtp = \"sdes\"\nsrtp_demand = \"require\"";
        protect(
            bench,
            "tls",
            trunk,
            Transport::Tls,
            Encryption::Mandatory,
            "RTP/SAVP",
        )
    })
}

#[test]
fn dtls_is_required_over_udp() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let trunk = "srtp = \"dtls\"\nsrtp_demand = \"require\"";
        protect(
            bench,
            "udp",
            trunk,
            Transport::Udp,
            Encryption::Dtls,
            "UDP/TLS/RTP/SAVP",
        )
    })
}

/// A call each way, whose descriptions on the phone's side say `sign` both times.
fn protect(
    bench: &Bench,
    transport: &str,
    trunk: &str,
    of_phone: Transport,
    encryption: Encryption,
    sign: &str,
) -> Result<()> {
    let plan = Plan {
        transport,
        trunk,
        ..Plan::default()
    };
    let scene = Scene::open(bench, plan)?;
    let setup = PhoneSetup {
        transport: of_phone,
        encryption,
        answer: Answer::Auto,
        ..PhoneSetup::default()
    };
    let mut phone = Baresip::start_with(bench, setup)?;
    let alice = &scene.alice;
    let sid = scene
        .call(alice, &mut phone, "carol")
        .context("to the phone")?;
    expect_tones(alice, &sid, &mut phone)?;
    hang_up(alice, &sid, &mut phone)?;
    scene.wait_report()?;

    let sid = scene
        .be_called(alice, &mut phone, "alice")
        .context("from the phone")?;
    expect_tones(alice, &sid, &mut phone)?;
    phone.hang_up()?;
    phone.wait_closed()?;
    ensure!(alice.wait_ended(&sid)? == "success");
    scene.wait_report()?;

    // Over a stream the trace does not tell what was sent from what came: all are to say so.
    let described: Vec<String> = phone
        .trace()?
        .into_iter()
        .filter(|(_, message)| message.header("CSeq").ends_with("INVITE"))
        .map(|(_, message)| message.text())
        .filter(|text| text.contains("m=audio"))
        .collect();
    ensure!(
        described.len() >= 4 && described.iter().all(|text| text.contains(sign)),
        "{described:?}"
    );
    drop(phone);
    scene.close()
}

/// Who protects nothing gets no call where protection is required, and is told so.
#[test]
fn a_phone_without_protection_is_refused_where_it_is_required() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let plan = Plan {
            trunk: "srtp = \"sdes\"\nsrtp_demand = \"require\"",
            ..Plan::default()
        };
        let scene = Scene::open(bench, plan)?;
        let setup = PhoneSetup {
            answer: Answer::Auto,
            ..PhoneSetup::default()
        };
        let mut phone = Baresip::start_with(bench, setup)?;
        let sid = scene.alice.call(&scene.contact("carol", "sip.test"))?;
        let reason = scene.alice.wait_ended(&sid)?;
        ensure!(
            [
                "failed-application",
                "security-error",
                "incompatible-parameters"
            ]
            .contains(&reason.as_str()),
            "ended with {reason}"
        );
        phone.wait_closed()?;
        phone.dial(&scene.uri_of("alice"))?;
        let reason = phone.wait_closed()?;
        ensure!(reason.starts_with("488"), "closed with {reason}");
        drop(phone);
        scene.close()
    })
}

/// A trunk that asks for no protection still takes the call of a phone that insists on it.
#[test]
fn a_phone_that_insists_on_keys_gets_them() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench, Plan::default())?;
        let setup = PhoneSetup {
            encryption: Encryption::Mandatory,
            ..PhoneSetup::default()
        };
        let mut phone = Baresip::start_with(bench, setup)?;
        let sid = scene.be_called(&scene.alice, &mut phone, "alice")?;
        expect_tones(&scene.alice, &sid, &mut phone)?;
        hang_up(&scene.alice, &sid, &mut phone)?;
        drop(phone);
        scene.close()
    })
}

#[test]
fn a_browser_has_the_newest_version_of_dtls() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        expect_version(bench, Kind::Browser, "FEFC", "DTLS 1.3")
    })
}

#[test]
fn who_knows_the_older_version_of_dtls_has_that() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        expect_version(bench, Kind::Script, "", "DTLS 1.2")
    })
}

/// A call each way, in which the client says `version`, if it says any, and the log `protection`.
fn expect_version(bench: &Bench, client: Kind, version: &str, protection: &str) -> Result<()> {
    let plan = Plan {
        client,
        ..Plan::default()
    };
    let scene = Scene::open(bench, plan)?;
    let setup = PhoneSetup {
        answer: Answer::Auto,
        ..PhoneSetup::default()
    };
    let mut phone = Baresip::start_with(bench, setup)?;
    let alice = &scene.alice;
    for called in [false, true] {
        let sid = match called {
            false => scene.call(alice, &mut phone, "carol")?,
            true => scene.be_called(alice, &mut phone, "alice")?,
        };
        expect_tones(alice, &sid, &mut phone)?;
        let stats = alice.stats(&sid)?;
        ensure!(stats.dtls == version, "called {called}: {stats:?}");
        hang_up(alice, &sid, &mut phone)?;
        let report = scene.wait_report()?;
        let told = report.contains(&format!("protection: \"{protection}\""));
        ensure!(told, "called {called}: {report}");
    }
    drop(phone);
    scene.close()
}

#[test]
fn another_kind_of_phone_has_keys_in_its_description() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        protect_another(bench, "srtp = \"sdes\"", Linphone::Keys, "a=crypto:")
    })
}

#[test]
fn another_kind_of_phone_has_keys_by_dtls() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        protect_another(bench, "srtp = \"dtls\"", Linphone::Dtls, "a=fingerprint:")
    })
}

/// A call each way with linphone; the answer it hears says `sign`.
fn protect_another(bench: &Bench, trunk: &str, encryption: Linphone, sign: &str) -> Result<()> {
    let plan = Plan {
        trunk,
        ..Plan::default()
    };
    let scene = Scene::open(bench, plan)?;
    let mut erin = Caller::start_protected(bench, "erin", 660, encryption)?;
    let alice = &scene.alice;
    let sid = alice.call(&scene.contact("erin", "sip.test"))?;
    alice.wait_ringing(&sid)?;
    erin.accept()?;
    alice.wait_tone(&sid, 660)?;
    erin.wait_tone(550)?;
    erin.hang_up()?;
    ensure!(alice.wait_ended(&sid)? == "success");
    scene.wait_report()?;

    erin.dial(&scene.uri_of("alice"))?;
    let proposal = alice.wait_proposal()?;
    alice.take_proposal(&proposal)?;
    let answer = erin.wait_status(200)?.text();
    ensure!(answer.contains(sign), "{answer}");
    alice.wait_tone(&proposal.id, 660)?;
    erin.wait_tone(550)?;
    alice.end(&proposal.id, "success")?;
    erin.wait_request("BYE")?;
    scene.wait_report()?;
    drop(erin);
    scene.close()
}

/// A registrar that wants to know who calls (RFC 3261 §22.3); what follows in the call passes it too.
#[test]
fn a_registrar_that_asks_who_calls_is_answered() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let mut plan = Plan::default();
        plan.registrar.challenge_gateway = true;
        let scene = Scene::open(bench, plan)?;
        let setup = PhoneSetup {
            answer: Answer::Auto,
            ..PhoneSetup::default()
        };
        let mut phone = Baresip::start_with(bench, setup)?;
        let alice = &scene.alice;
        let sid = scene.call(alice, &mut phone, "carol")?;
        expect_tones(alice, &sid, &mut phone)?;
        alice.hold(&sid)?;
        phone.wait_traced("the hold", Direction::Received, |message| {
            message.method() == Some("INVITE") && message.text().contains("a=sendonly")
        })?;
        alice.resume(&sid)?;
        expect_tones(alice, &sid, &mut phone)?;
        hang_up(alice, &sid, &mut phone)?;
        let numbers = phone.trace()?.into_iter().filter_map(|(_, message)| {
            (message.method() == Some("INVITE")).then(|| message.header("CSeq"))
        });
        // The first was challenged, and never came so far.
        ensure!(numbers.min().as_deref() == Some("2 INVITE"));
        drop(phone);
        scene.close()
    })
}
