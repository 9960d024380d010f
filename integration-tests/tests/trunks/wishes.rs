//! What each trunk wants of calls and messages: who is hidden from it, and sound before the answer (C27, C07).

use anyhow::{Result, ensure};
use integration_tests::audio::Law;
use integration_tests::jingle::PROPOSALS;
use integration_tests::names::Names;
use integration_tests::net;
use integration_tests::rtp::Peer;
use integration_tests::tandem::{Trunk, with_tandem_within};

use crate::scene::{LIMIT, Scene, provider};

/// The network itself as trunk to numbers that begin so.
fn trunk(name: &'static str, matches: &'static str, extra: &'static str) -> Trunk<'static> {
    Trunk {
        name,
        matches,
        next_hop: "127.0.0.1:5090",
        inbound: vec!["127.0.0.1"],
        from: "number",
        extra,
        ..provider()
    }
}

#[test]
fn a_trunk_learns_of_hidden_callers_what_it_may() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, "")?;
        let trunks = vec![
            trunk(
                "always",
                "+1555*",
                "identity = \"asserted\"\nprivacy = \"always\"",
            ),
            trunk(
                "withhold",
                "+1666*",
                "identity = \"asserted\"\nprivacy = \"withhold\"",
            ),
            trunk(
                "never",
                "+1777*",
                "identity = \"asserted\"\nprivacy = \"never\"",
            ),
        ];
        let scene = Scene::open(bench, trunks, "")?;
        for (number, is_hidden, is_asserted) in [
            ("+15559001000", true, true),
            ("*67+16669001000", true, false),
            ("+16669001001", false, true),
            ("+17779001000", false, true),
        ] {
            scene.say(number, number)?;
            let request = scene.network.expect_body(number)?;
            let message = &request.message;
            let hidden = message.header("From").contains("anonymous.invalid");
            ensure!(hidden == is_hidden, "{message}");
            ensure!(
                (message.header("Privacy") == "id") == is_hidden,
                "{message}"
            );
            let asserted = !message.header("P-Asserted-Identity").is_empty();
            ensure!(asserted == is_asserted, "{message}");
            request.reply(200, "OK")?;
        }
        scene.say("*67+17779001000", "not hidden")?;
        let error = scene
            .alice
            .expect("an error", |stanza| stanza.kind() == "error")?;
        ensure!(
            error.error_text().contains("cannot be hidden"),
            "{}",
            error.xml
        );
        scene.close(&[])
    })
}

#[test]
fn sound_before_the_answer_is_heard_or_not_as_the_trunk_says() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, "")?;
        let trunks = vec![
            trunk("connects", "+1555*", ""),
            trunk("waits", "+1666*", "early_media = \"ignore\""),
        ];
        let scene = Scene::open(bench, trunks, "")?;
        let sound = Peer::bind(&format!("{}:0", net::ADDRESS))?;
        let early = |number: &str| {
            let sid = scene.alice.propose(&scene.contact(number))?;
            let called = scene.network.wait_called()?;
            called.reply(183, &[], &sound.describe(Law::A, "sendrecv")?)?;
            anyhow::Ok((sid, called))
        };
        let (sid, called) = early("+15559001000")?;
        scene.alice.wait_said("proceed", &sid)?;
        called.refuse(486, &[])?;
        scene.alice.wait_said("finish", &sid)?;
        let (sid, called) = early("+16669001000")?;
        scene.alice.wait_said("ringing", &sid)?;
        called.refuse(486, &[])?;
        scene.alice.wait_said("reject", &sid)?;
        scene.alice.expect_none("proceed", |stanza| {
            stanza.child_in("proceed", PROPOSALS).is_some()
        })?;
        scene.close(&[])
    })
}
