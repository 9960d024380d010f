//! SIP calls XMPP users (C03-C05, C12, C31): every device rings, one takes it, or nobody does.

use anyhow::{Result, ensure};
use integration_tests::jingle::{PROPOSALS, Setup as JingleSetup};
use integration_tests::tandem::with_tandem_within;

use crate::scene::{LIMIT, Scene, Wishes, reason_of};

#[test]
fn every_device_rings_and_one_takes_the_call() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench)?;
        let phone = JingleSetup {
            resource: "phone",
            tone: 660,
            ..JingleSetup::default()
        };
        let phone = scene.clients.log_in(scene.server, phone)?;
        let calling = scene.invite("alice", &[], &scene.describe()?)?;
        let proposal = scene.alice.wait_proposal()?;
        ensure!(phone.wait_proposal()? == proposal);
        let (from, sid) = (proposal.from.clone(), proposal.id.clone());
        for device in [&scene.alice, &phone] {
            device.say(&from, "ringing", &sid, "")?;
        }
        calling.expect(180)?;
        phone.take_proposal(&proposal)?;
        let mut dialog = calling.wait_accepted("")?;
        // Too late: the call goes on.
        scene.alice.say(&from, "reject", &sid, "")?;
        scene.play_to(&dialog.description)?;
        phone.wait_tone(&sid, 440)?;
        scene.sound.wait_tone(660)?;
        scene.hang_up(&mut dialog, &phone, &sid)?;
        scene.close()
    })
}

#[test]
fn a_client_without_proposals_is_called_outright() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let wishes = Wishes {
            proposals: false,
            ..Wishes::default()
        };
        let scene = Scene::open_with(bench, wishes)?;
        scene.alice.make_known(&scene.contact())?;
        let calling = scene.invite("alice", &[], &scene.describe()?)?;
        let incoming = scene.alice.wait_incoming()?;
        let sid = incoming.sid.clone();
        scene.alice.ring(&sid)?;
        calling.expect(180)?;
        scene.alice.accept(&sid)?;
        let dialog = calling.wait_accepted("")?;
        scene.play_to(&dialog.description)?;
        scene.both_hear(&scene.alice, &sid)?;
        scene.alice.end(&sid, "success")?;
        dialog.wait_hung_up()?;
        scene
            .alice
            .expect_none("message about a proposal", |stanza| {
                stanza.mentions(PROPOSALS)
            })?;

        for (reason, status) in ENDINGS {
            let calling = scene.invite("alice", &[], &scene.describe()?)?;
            let sid = scene.alice.wait_incoming()?.sid;
            scene.alice.end(&sid, reason)?;
            let refusal = calling.wait_refused()?;
            ensure!(refusal.status() == Some(*status), "{reason}: {refusal}");
            let warns = !refusal.header("Warning").is_empty();
            ensure!(warns == (*status == 488), "{refusal}");
        }
        scene.close()
    })
}

#[test]
fn a_device_that_refuses_is_answered_with_the_status_that_says_so() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench)?;
        for (reason, status) in REFUSALS {
            let calling = scene.invite("alice", &[], &scene.describe()?)?;
            let proposal = scene.alice.wait_proposal()?;
            scene
                .alice
                .say(&proposal.from, "reject", &proposal.id, reason)?;
            let told = calling.wait_refused()?.status();
            ensure!(told == Some(*status), "{reason}: {told:?}");
        }
        scene.close()
    })
}

#[test]
fn a_caller_who_gives_up_is_a_missed_call_unless_somebody_else_answered() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench)?;
        for (header, reason) in CANCELS {
            let calling = scene.invite("alice", &[], &scene.describe()?)?;
            let proposal = scene.alice.wait_proposal()?;
            scene
                .alice
                .say(&proposal.from, "ringing", &proposal.id, "")?;
            calling.expect(180)?;
            let refusal = calling.cancel(header)?;
            ensure!(refusal.status() == Some(487), "{refusal}");
            let said = scene.alice.wait_said("retract", &proposal.id)?;
            let told = reason_of(&said, "retract");
            ensure!(told.as_deref() == Some(*reason), "{}", said.xml);
        }
        scene.close()
    })
}

#[test]
fn nobody_there_is_not_available_and_nobody_of_the_name_is_not_found() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let wishes = Wishes {
            call: "ring = 3",
            ..Wishes::default()
        };
        let scene = Scene::open_with(bench, wishes)?;
        let calling = scene.invite("bob", &[], &scene.describe()?)?;
        let refusal = calling.wait_refused()?;
        ensure!(refusal.status() == Some(480), "{refusal}");
        // Servers do not tell who exists.
        let calling = scene.invite("nobody", &[], &scene.describe()?)?;
        let refusal = calling.wait_refused()?;
        ensure!(matches!(refusal.status(), Some(404 | 480)), "{refusal}");
        let gateway = scene.server.gateway();
        let stranger = format!("sip:alice%40elsewhere.test@{gateway}");
        let ends = ("sip:carol@sip.test", stranger.as_str());
        let offer = scene.describe()?;
        let calling = scene
            .sip
            .call(integration_tests::kamailio::GATEWAY, ends, &[], &offer)?;
        let refusal = calling.wait_refused()?;
        ensure!(matches!(refusal.status(), Some(403 | 404)), "{refusal}");
        scene.close()
    })
}

const REFUSALS: &[(&str, u16)] = &[
    ("<reason xmlns='urn:xmpp:jingle:1'><busy/></reason>", 486),
    ("<reason xmlns='urn:xmpp:jingle:1'><decline/></reason>", 603),
    ("<reason xmlns='urn:xmpp:jingle:1'><expired/></reason>", 480),
    ("", 486),
];

/// Why a client ends a session that it has not accepted, and what the caller hears (specs 6.5).
const ENDINGS: &[(&str, u16)] = &[
    ("success", 480),
    ("busy", 486),
    ("decline", 603),
    ("cancel", 480),
    ("timeout", 480),
    ("expired", 480),
    ("gone", 480),
    ("alternative-session", 480),
    ("connectivity-error", 480),
    ("failed-transport", 480),
    ("failed-application", 488),
    ("incompatible-parameters", 488),
    ("unsupported-applications", 488),
    ("unsupported-transports", 488),
    ("media-error", 488),
    ("security-error", 488),
    ("general-error", 500),
];

/// Header fields of a CANCEL, and the reason the user is told.
const CANCELS: &[(&[(&str, &str)], &str)] = &[
    (&[], "cancel"),
    (
        &[("Reason", "SIP;cause=200;text=\"Call completed elsewhere\"")],
        "success",
    ),
];
