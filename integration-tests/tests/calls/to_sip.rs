//! XMPP users call SIP (C01, C02, C07, C12): proposed first or outright, cancelled, refused.

use anyhow::{Result, ensure};
use integration_tests::jingle::PROPOSALS;
use integration_tests::tandem::with_tandem_within;

use crate::scene::{LIMIT, Scene, reason_of};

#[test]
fn a_proposed_call_rings_and_is_taken_when_the_phone_answers() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench)?;
        let sid = scene.alice.propose(&scene.contact())?;
        let called = scene.sip.wait_called()?;
        called.reply(180, &[], "")?;
        scene.alice.wait_said("ringing", &sid)?;
        // Who is asked to proceed has no sound before the other answers.
        scene.alice.expect_none("proceed", |stanza| {
            stanza.child_in("proceed", PROPOSALS).is_some()
        })?;
        let mut dialog = called.accept(&[], &scene.describe()?)?;
        let proceed = scene.alice.wait_said("proceed", &sid)?;
        scene.alice.begin(proceed.from(), &sid)?;
        scene.play_to(&called.offer())?;
        scene.alice.wait_connected(&sid)?;
        scene.both_hear(&scene.alice, &sid)?;
        scene.hang_up(&mut dialog, &scene.alice, &sid)?;
        scene.alice.wait_said("finish", &sid)?;
        scene.close()
    })
}

#[test]
fn a_call_without_proposal_is_ended_by_the_user() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench)?;
        let sid = scene.alice.call(&scene.carol())?;
        let called = scene.sip.wait_called()?;
        called.reply(180, &[], "")?;
        scene.alice.wait_ringing(&sid)?;
        let dialog = called.accept(&[], &scene.describe()?)?;
        scene.play_to(&called.offer())?;
        scene.alice.wait_accepted(&sid)?;
        scene.both_hear(&scene.alice, &sid)?;
        scene.alice.end(&sid, "success")?;
        let bye = dialog.wait_hung_up()?;
        ensure!(bye.header("Reason").contains("cause=16"), "{bye}");
        scene.close()
    })
}

#[test]
fn who_gives_up_cancels() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench)?;
        let sid = scene.alice.propose(&scene.contact())?;
        let called = scene.sip.wait_called()?;
        called.reply(180, &[], "")?;
        scene.alice.wait_said("ringing", &sid)?;
        scene.alice.say(&scene.contact(), "retract", &sid, "")?;
        called.wait_cancelled()?;

        let sid = scene.alice.call(&scene.carol())?;
        let called = scene.sip.wait_called()?;
        called.reply(180, &[], "")?;
        scene.alice.end(&sid, "cancel")?;
        called.wait_cancelled()?;

        // The answer overtakes the CANCEL: who answered is told that nobody is there any more.
        let sid = scene.alice.call(&scene.carol())?;
        let called = scene.sip.wait_called()?;
        called.reply(180, &[], "")?;
        scene.alice.end(&sid, "cancel")?;
        called.dialog().expect("CANCEL")?.reply(200, "OK")?;
        let dialog = called.accept(&[], &scene.describe()?)?;
        dialog.wait_hung_up()?;
        scene.close()
    })
}

#[test]
fn a_refusal_is_told_by_the_reason_clients_know() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench)?;
        for (status, reason) in REFUSALS {
            let sid = scene.alice.propose(&scene.contact())?;
            scene.sip.wait_called()?.refuse(*status, &[])?;
            let said = scene.alice.wait_said("reject", &sid)?;
            let told = reason_of(&said, "reject");
            ensure!(told.as_deref() == Some(*reason), "{status}: {}", said.xml);

            let sid = scene.alice.call(&scene.carol())?;
            scene.sip.wait_called()?.refuse(*status, &[])?;
            let told = scene.alice.wait_ended(&sid)?;
            ensure!(told == *reason, "{status}: {told}");
        }
        let busy = [("Reason", "Q.850;cause=17")];
        let sid = scene.alice.call(&scene.carol())?;
        scene.sip.wait_called()?.refuse(480, &busy)?;
        ensure!(scene.alice.wait_ended(&sid)? == "busy");
        scene.close()
    })
}

/// What is said at the end of a call that was answered is told in the client's words (RFC 3326).
#[test]
fn the_reason_of_a_phone_that_hangs_up_is_told() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench)?;
        for (header, reason) in FAREWELLS {
            let sid = scene.alice.call(&scene.carol())?;
            let called = scene.sip.wait_called()?;
            let mut dialog = called.accept(&[], &scene.describe()?)?;
            scene.alice.wait_accepted(&sid)?;
            let headers: Vec<_> = header.iter().map(|value| ("Reason", *value)).collect();
            dialog.hang_up(&headers)?;
            let told = scene.alice.wait_ended(&sid)?;
            ensure!(told == *reason, "{header:?}: {told}");
        }
        scene.close()
    })
}

/// And what the client says, to the phone.
#[test]
fn the_reason_of_a_client_that_hangs_up_is_told() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench)?;
        for (reason, cause) in GOODBYES {
            let sid = scene.alice.call(&scene.carol())?;
            let called = scene.sip.wait_called()?;
            let dialog = called.accept(&[], &scene.describe()?)?;
            scene.alice.wait_accepted(&sid)?;
            scene.alice.end(&sid, reason)?;
            let bye = dialog.wait_hung_up()?;
            let told = bye.header("Reason");
            ensure!(told.starts_with(cause), "{reason}: {told}");
        }
        scene.close()
    })
}

/// Statuses by specs 6.5. A client shows "declined" for `decline`, and "no such number" for `gone`.
const REFUSALS: &[(u16, &str)] = &[
    (302, "gone"),
    (400, "general-error"),
    (401, "security-error"),
    (403, "decline"),
    (404, "gone"),
    (405, "general-error"),
    (407, "security-error"),
    (408, "timeout"),
    (410, "gone"),
    (413, "general-error"),
    (414, "general-error"),
    (415, "incompatible-parameters"),
    (416, "gone"),
    (420, "general-error"),
    (421, "general-error"),
    (423, "general-error"),
    (428, "security-error"),
    (433, "security-error"),
    (437, "security-error"),
    (480, "timeout"),
    (481, "general-error"),
    (482, "general-error"),
    (483, "general-error"),
    (484, "gone"),
    (485, "gone"),
    (486, "busy"),
    (488, "incompatible-parameters"),
    (500, "general-error"),
    (501, "general-error"),
    (502, "connectivity-error"),
    (503, "connectivity-error"),
    (504, "timeout"),
    (505, "general-error"),
    (513, "general-error"),
    (580, "general-error"),
    (600, "busy"),
    (603, "decline"),
    (604, "gone"),
    (606, "incompatible-parameters"),
    (607, "decline"),
    (608, "decline"),
    // Unknown ones count as the x00 of their class (RFC 3261 §8.1.3.2).
    (499, "general-error"),
    (699, "busy"),
];

/// Reasons of a BYE: of the telephone network, of SIP, none, and nonsense.
const FAREWELLS: &[(&[&str], &str)] = &[
    (&[], "success"),
    (&["Q.850;cause=16"], "success"),
    (&["SIP;cause=200;text=\"x\"", "Q.850 ; cause=17"], "busy"),
    (&["Q.850;cause=19"], "timeout"),
    (&["Q.850;cause=21"], "decline"),
    (&["Q.850;cause=1"], "gone"),
    (
        &["Q.850;cause=41;text=\"Temporary failure\""],
        "connectivity-error",
    ),
    (&["Q.850;cause=88"], "incompatible-parameters"),
    (&["Q.850;cause=127"], "general-error"),
    (&["Q.850;cause=abc", ";;;"], "success"),
];

/// Reasons of a client that was in a call, and how the Reason of its BYE begins.
const GOODBYES: &[(&str, &str)] = &[
    ("success", "Q.850;cause=16"),
    ("busy", "Q.850;cause=16"),
    ("timeout", "Q.850;cause=41"),
    ("connectivity-error", "Q.850;cause=41"),
    ("media-error", "Q.850;cause=88"),
    ("security-error", "Q.850;cause=65"),
    ("general-error", "Q.850;cause=127"),
];

/// N13: by calls no less than by messages, and before any trunk is asked.
#[test]
fn emergency_numbers_are_refused_in_words() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench)?;
        let gateway = scene.server.gateway();
        for number in [
            "112",
            "911",
            "+1911",
            "9911",
            "1-1-2",
            "sos",
            r"911\40sip.test",
        ] {
            let sid = scene.alice.call(&format!("{number}@{gateway}/sip"))?;
            let end = scene.alice.wait_event("ended", &sid)?;
            let clear = end.text.contains("mergency") && end.text.contains("telephone");
            ensure!(clear, "{number}: {end:?}");
        }
        scene
            .sip
            .expect_none("a call", |message| message.method() == Some("INVITE"))?;
        scene.close()
    })
}
