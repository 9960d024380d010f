//! Who gives up, at every moment until the answer (C02, C12, N18; specs 6.5, 6.11), and emergency numbers, with
//! which no call begins (N13).

use anyhow::{Context, Result, ensure};
use integration_tests::kamailio::GATEWAY;
use integration_tests::sip::Called;
use integration_tests::tandem::with_tandem_within;

use crate::scene::{LIMIT, Scene, Wishes};

/// Says something before the answer.
type Say = fn(&Scene, &Called<'_>) -> Result<()>;

/// What the called phone has said by then.
const MOMENTS: &[(&str, Say)] = &[
    ("100", |_, called| called.reply(100, &[], "")),
    ("180", |_, called| called.reply(180, &[], "")),
    ("183 with sound", |scene, called| {
        called.reply(183, &[], &scene.describe()?)
    }),
    ("reliable 183, acknowledged", |scene, called| {
        called.reply(183, RELIABLE, &scene.describe()?)?;
        called.dialog().expect("PRACK")?.reply(200, "OK")
    }),
    ("reliable 183, its PRACK unanswered", |scene, called| {
        called.reply(183, RELIABLE, &scene.describe()?)?;
        called.dialog().expect("PRACK").map(drop)
    }),
    ("two branches", |_, called| {
        called.reply(180, &[], "")?;
        called.as_branch("second").reply(180, &[], "")
    }),
];
const RELIABLE: &[(&str, &str)] = &[("Require", "100rel"), ("RSeq", "1")];

#[test]
fn an_xmpp_user_gives_up_at_every_moment() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench)?;
        for (moment, reply) in MOMENTS {
            let attempt = || -> Result<()> {
                let sid = scene.alice.call(&scene.carol())?;
                let called = scene.sip.wait_called()?;
                reply(&scene, &called)?;
                if *moment != "100" {
                    scene.alice.wait_ringing(&sid)?;
                }
                scene.alice.end(&sid, "cancel")?;
                called.wait_cancelled().map(drop)
            };
            attempt().with_context(|| format!("after {moment}"))?;
        }
        // Before the first sign of life there is nothing to cancel yet (RFC 3261 §9.1).
        let sid = scene.alice.call(&scene.carol())?;
        let called = scene.sip.wait_called()?;
        scene.alice.end(&sid, "cancel")?;
        scene.sip.expect("the INVITE again", |message| {
            message.method() == Some("INVITE")
                && message.header("Call-ID") == called.invite.message.header("Call-ID")
        })?;
        scene
            .sip
            .expect_none("CANCEL", |message| message.method() == Some("CANCEL"))?;
        called.reply(180, &[], "")?;
        called.wait_cancelled()?;

        // The answer is first: who answered learns at once that nobody is there any more.
        let sid = scene.alice.call(&scene.carol())?;
        let called = scene.sip.wait_called()?;
        scene.alice.end(&sid, "cancel")?;
        let dialog = called.accept(&[], &scene.describe()?)?;
        dialog.wait_hung_up()?;
        scene.close()
    })
}

/// Nothing ever answers: after Timer B nothing is left, and a CANCEL was never sent.
#[test]
fn an_invite_into_the_void_is_given_up() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let wishes = Wishes {
            sip: "t1_ms = 20",
            ..Wishes::default()
        };
        let scene = Scene::open_with(bench, wishes)?;
        let sid = scene.alice.call(&scene.carol())?;
        let reason = scene.alice.wait_ended(&sid)?;
        ensure!(reason == "connectivity-error", "ended with {reason}");
        let sid = scene.alice.call(&scene.carol())?;
        scene.sip.wait_called()?;
        scene.alice.end(&sid, "cancel")?;
        scene.tandem.borrow_mut().wait_no_calls()?;
        scene
            .sip
            .expect_none("CANCEL", |message| message.method() == Some("CANCEL"))?;
        scene.close()
    })
}

#[test]
fn a_phone_gives_up_at_every_moment() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench)?;
        // With the INVITE in one breath.
        let calling = scene.invite("alice", &[], &scene.describe()?)?;
        let refusal = calling.cancel(&[])?;
        ensure!(refusal.status() == Some(487), "{refusal}");

        let calling = scene.invite("alice", &[], &scene.describe()?)?;
        let proposal = scene.alice.wait_proposal()?;
        let refusal = calling.cancel(&[])?;
        ensure!(refusal.status() == Some(487), "{refusal}");
        scene.alice.wait_said("retract", &proposal.id)?;

        // Ringing reliably, and not acknowledged.
        let calling = scene.invite("alice", &[("Require", "100rel")], &scene.describe()?)?;
        let proposal = scene.alice.wait_proposal()?;
        scene
            .alice
            .say(&proposal.from, "ringing", &proposal.id, "")?;
        calling.expect(180)?;
        let refusal = calling.cancel(&[])?;
        ensure!(refusal.status() == Some(487), "{refusal}");
        scene.alice.wait_said("retract", &proposal.id)?;

        // A device has taken the call, and its session is on the way.
        let calling = scene.invite("alice", &[], &scene.describe()?)?;
        let proposal = scene.alice.wait_proposal()?;
        scene
            .alice
            .say(&proposal.from, "proceed", &proposal.id, "")?;
        scene.alice.wait_event("incoming", &proposal.id)?;
        let refusal = calling.cancel(&[])?;
        ensure!(refusal.status() == Some(487), "{refusal}");
        ensure!(scene.alice.wait_ended(&proposal.id)? == "cancel");

        // The answer is first: the CANCEL is heard and changes nothing (RFC 3261 §9.2).
        let calling = scene.invite("alice", &[], &scene.describe()?)?;
        let proposal = scene.alice.wait_proposal()?;
        scene.alice.take_proposal(&proposal)?;
        let answer = calling.expect(200)?;
        calling.try_cancel(&[])?;
        let mut dialog = calling.dialog(&answer);
        dialog.acknowledge(1, "")?;
        scene.play_to(&dialog.description)?;
        scene.both_hear(&scene.alice, &proposal.id)?;
        scene.hang_up(&mut dialog, &scene.alice, &proposal.id)?;
        scene.close()
    })
}

#[test]
fn a_phone_says_how_long_it_waits() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench)?;
        let calling = scene.invite("alice", &[("Expires", "2")], &scene.describe()?)?;
        let proposal = scene.alice.wait_proposal()?;
        scene
            .alice
            .say(&proposal.from, "ringing", &proposal.id, "")?;
        calling.expect(180)?;
        let refusal = calling.wait_refused()?;
        ensure!(refusal.status() == Some(487), "{refusal}");
        scene.alice.wait_said("retract", &proposal.id)?;
        scene.close()
    })
}

#[test]
fn no_call_begins_with_an_emergency_number() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench)?;
        let gateway = scene.server.gateway();
        for spelling in [
            "112",
            "911",
            "+1911",
            "9911",
            "0112",
            "1-1-2",
            "sos",
            "sos.fire",
            "999",
            r"911\40sip.test",
            r"sos\40sip.test",
        ] {
            let contact = format!("{spelling}@{gateway}");
            let sid = scene.alice.propose(&contact)?;
            let said = scene.alice.wait_said("reject", &sid)?;
            ensure!(said.xml.contains("mergency"), "{spelling}: {}", said.xml);
            let sid = scene.alice.call(&format!("{contact}/sip"))?;
            let ended = scene.alice.wait_event("ended", &sid)?;
            ensure!(
                ended.reason == "decline" && ended.text.contains("mergency"),
                "{spelling}: {ended:?}"
            );
        }
        for uri in [
            format!("sip:112@{gateway}"),
            format!("sip:911@{gateway};user=phone"),
            format!("sip:+1911@{gateway};user=phone"),
            format!("sip:%39%31%31@{gateway}"),
            "tel:911;phone-context=+1".to_owned(),
            "urn:service:sos".to_owned(),
            "urn:service:SOS.police".to_owned(),
        ] {
            let ends = ("sip:carol@sip.test", uri.as_str());
            let offer = scene.describe()?;
            let calling = scene.sip.call(GATEWAY, ends, &[], &offer)?;
            let refusal = calling.wait_refused()?;
            ensure!(
                refusal.start_line() == "SIP/2.0 403 No emergency service",
                "{uri}: {refusal}"
            );
        }
        scene
            .sip
            .expect_none("INVITE", |message| message.method() == Some("INVITE"))?;
        scene.close()
    })
}
