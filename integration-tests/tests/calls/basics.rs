//! What a call is, on either XMPP server: proposed and outright, both ways, refused and given up.

use anyhow::{Result, ensure};
use integration_tests::{Bench, Server, on_both_servers};

use crate::scene::{Scene, Wishes};

on_both_servers!(calls_begin_and_end);

fn calls_begin_and_end(bench: &Bench, server: Server) -> Result<()> {
    let wishes = Wishes {
        server: Some(server),
        ..Wishes::default()
    };
    let scene = Scene::open_with(bench, wishes)?;
    let alice = &scene.alice;

    // From SIP, proposed and taken; then from XMPP, outright.
    let (mut dialog, sid) = scene.connect()?;
    scene.hang_up(&mut dialog, alice, &sid)?;
    let sid = alice.call(&scene.carol())?;
    let called = scene.sip.wait_called()?;
    called.reply(180, &[], "")?;
    alice.wait_ringing(&sid)?;
    let dialog = called.accept(&[], &scene.describe()?)?;
    scene.play_to(&called.offer())?;
    alice.wait_accepted(&sid)?;
    scene.both_hear(alice, &sid)?;
    alice.end(&sid, "success")?;
    dialog.wait_hung_up()?;

    // Refused by either side.
    let sid = alice.call(&scene.carol())?;
    scene.sip.wait_called()?.refuse(486, &[])?;
    let reason = alice.wait_ended(&sid)?;
    ensure!(reason == "busy", "a busy phone: {reason}");
    let calling = scene.invite("alice", &[], &scene.describe()?)?;
    let proposal = alice.wait_proposal()?;
    alice.say(&proposal.from, "reject", &proposal.id, "")?;
    let refusal = calling.wait_refused()?;
    ensure!(refusal.status() == Some(486), "{refusal}");

    // Given up by either side.
    let sid = alice.propose(&scene.contact())?;
    let called = scene.sip.wait_called()?;
    called.reply(180, &[], "")?;
    alice.wait_said("ringing", &sid)?;
    alice.say(&scene.contact(), "retract", &sid, "")?;
    called.wait_cancelled()?;
    let calling = scene.invite("alice", &[], &scene.describe()?)?;
    let proposal = alice.wait_proposal()?;
    alice.say(&proposal.from, "ringing", &proposal.id, "")?;
    calling.expect(180)?;
    calling.cancel(&[])?;
    alice.wait_said("retract", &proposal.id)?;
    scene.close()
}
