//! Z01, Z02, T2: what users may reach, how much of it, and that nobody comes in to go out again.

use anyhow::{Result, ensure};
use integration_tests::kamailio::GATEWAY;
use integration_tests::names::Names;
use integration_tests::sip::Draft;
use integration_tests::tandem::{Trunk, with_tandem_within};

use crate::scene::{LIMIT, Scene, provider};

fn trunk() -> Trunk<'static> {
    Trunk {
        next_hop: "127.0.0.1:5090",
        inbound: vec!["127.0.0.1"],
        matches: "*",
        ..provider()
    }
}

/// Numbers abroad, satellites, premium services: each refused by the rule that should, and nothing is sent.
#[test]
fn dear_numbers_are_closed() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, "")?;
        let more =
            "[numbering]\ncountry = \"1\"\n[policy]\nallow = [\"+44*\"]\ndeny = [\"+1555666*\"]\n";
        let scene = Scene::open(bench, vec![trunk()], more)?;
        for (number, rule) in [
            ("+4930123456", "no rule allows it"),
            ("+88213300000", "known to be dear"),
            ("+19005551234", "known to be dear"),
            ("+18765551234", "known to be dear"),
            ("+15556660000", "policy.deny \"+1555666*\""),
            ("+449012345678", "known to be dear"),
            ("0088213300000", "known to be dear"),
        ] {
            let shown = scene.tandem.borrow().ask(&["route-test", number])?;
            ensure!(
                shown.contains(rule) && shown.contains("policy: closed"),
                "{shown}"
            );
            scene.say(number, number)?;
            let error = scene.alice.expect("an error", |stanza| {
                stanza.kind() == "error" && stanza.id() == number
            })?;
            ensure!(error.condition() == "not-allowed", "{}", error.xml);
            ensure!(
                error.error_text().contains("administrator"),
                "{}",
                error.xml
            );
            let sid = scene
                .alice
                .call(&format!("{}/sip", scene.contact(number)))?;
            scene.alice.wait_ended(&sid)?;
        }
        for number in ["+15559001000", "+442012345678"] {
            scene.write(number, number)?;
        }
        ensure!(scene.network.take(|_| true).is_none(), "something was sent");
        scene.close(&[])
    })
}

/// A stolen account: a hundred calls and messages to numbers that are open stop at the limits.
#[test]
fn nobody_uses_more_than_is_allowed() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, "")?;
        let more = "[policy]\nallow = [\"+*\"]\nuser_messages_per_minute = 5\nuser_calls_per_minute = 3\nuser_calls = 2\n";
        let scene = Scene::open(bench, vec![trunk()], more)?;
        let mut calls = Vec::new();
        for _ in 0..2 {
            let sid = scene
                .alice
                .call(&format!("{}/sip", scene.contact("+15559001000")))?;
            let called = scene.network.wait_called()?;
            called.reply(180, &[], "")?;
            calls.push((sid, called));
        }
        let third = scene
            .alice
            .call(&format!("{}/sip", scene.contact("+15559001000")))?;
        let event = scene.alice.wait_event("ended", &third)?;
        ensure!(event.text.contains("too many calls at once"), "{event:?}");
        for (sid, called) in calls {
            called.refuse(486, &[])?;
            scene.alice.wait_ended(&sid)?;
        }
        let sid = scene
            .alice
            .call(&format!("{}/sip", scene.contact("+15559001000")))?;
        scene.network.wait_called()?.refuse(486, &[])?;
        scene.alice.wait_ended(&sid)?;
        for _ in 0..100 {
            let sid = scene
                .alice
                .call(&format!("{}/sip", scene.contact("+15559001000")))?;
            let event = scene.alice.wait_event("ended", &sid)?;
            ensure!(event.text.contains("Wait a minute"), "{event:?}");
        }
        for count in 0..5 {
            scene.write("+15559001000", &format!("m{count}"))?;
        }
        scene.say("+15559001000", "too much")?;
        let error = scene.alice.expect("an error", |stanza| {
            stanza.kind() == "error" && stanza.id() == "too much"
        })?;
        ensure!(error.condition() == "policy-violation", "{}", error.xml);
        scene.close(&[])
    })
}

/// Who comes in by a trunk does not go out by one, whatever it calls.
#[test]
fn nobody_comes_in_to_go_out_again() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, "")?;
        let scene = Scene::open(bench, vec![trunk()], "[policy]\nallow = [\"+*\"]\n")?;
        let gateway = scene.server.gateway();
        for to in [
            format!("sip:+15559001000@{gateway}"),
            format!("sip:%2B15559001000%40{gateway}@{gateway}"),
            format!("sip:bob%5C40phones.test@{gateway}"),
            "sip:+15559001000@127.0.0.1".to_owned(),
            "tel:+15559001000".to_owned(),
        ] {
            let path = scene.network.udp_to(GATEWAY)?;
            let draft = Draft::message(&to, "sip:+15559002000@network.test", "hairpin");
            let answer = scene.network.ask(&draft, &path)?;
            ensure!(
                matches!(answer.status(), Some(403 | 404 | 400)),
                "{to}: {answer}"
            );
            let parties = ("sip:+15559002000@network.test", to.as_str());
            let calling = scene.network.call(GATEWAY, parties, &[], "")?;
            let refusal = calling.wait_refused()?;
            ensure!(
                matches!(refusal.status(), Some(403 | 404 | 400)),
                "{to}: {refusal}"
            );
        }
        let sent = scene.network.take(|message| message.method().is_some());
        ensure!(sent.is_none(), "something went out again");
        scene.close(&[])
    })
}
