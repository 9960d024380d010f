//! Calls that cross, come again, or go on in a new session (C06).

use anyhow::{Result, ensure};
use integration_tests::tandem::with_tandem_within;
use integration_tests::xmpp::Stanza;

use crate::scene::{LIMIT, Scene, reason_of};

/// The client's proposal has the lower id: the call from SIP gives way, and the client's goes through.
#[test]
fn of_two_crossing_calls_the_lower_id_goes_through() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench)?;
        let calling = scene.invite("alice", &[], &scene.describe()?)?;
        let proposal = scene.alice.wait_proposal()?;
        propose(&scene, LOWEST)?;
        let retract = scene.alice.wait_said("retract", &proposal.id)?;
        ensure!(is_tie_break(&retract, "retract"), "{}", retract.xml);
        let refusal = calling.wait_refused()?;
        ensure!(refusal.status() == Some(480), "{refusal}");
        let called = scene.sip.wait_called()?;
        let mut dialog = called.accept(&[], &scene.describe()?)?;
        let proceed = scene.alice.wait_said("proceed", LOWEST)?;
        scene.alice.begin(proceed.from(), LOWEST)?;
        scene.play_to(&called.offer())?;
        scene.both_hear(&scene.alice, LOWEST)?;
        scene.hang_up(&mut dialog, &scene.alice, LOWEST)?;
        scene.close()
    })
}

#[test]
fn of_two_crossing_calls_the_higher_id_gives_way() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench)?;
        let calling = scene.invite("alice", &[], &scene.describe()?)?;
        let proposal = scene.alice.wait_proposal()?;
        propose(&scene, HIGHEST)?;
        let reject = scene.alice.wait_said("reject", HIGHEST)?;
        ensure!(is_tie_break(&reject, "reject"), "{}", reject.xml);
        scene.alice.take_proposal(&proposal)?;
        let mut dialog = calling.wait_accepted("")?;
        scene.play_to(&dialog.description)?;
        scene.both_hear(&scene.alice, &proposal.id)?;
        scene
            .sip
            .expect_none("INVITE", |message| message.method() == Some("INVITE"))?;
        scene.hang_up(&mut dialog, &scene.alice, &proposal.id)?;
        scene.close()
    })
}

/// What a client sends again after its stream was resumed rings at nobody's.
#[test]
fn a_call_that_comes_again_after_its_end_does_not_ring() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench)?;
        propose(&scene, LOWEST)?;
        scene.sip.wait_called()?.refuse(486, &[])?;
        scene.alice.wait_said("reject", LOWEST)?;
        propose(&scene, LOWEST)?;
        // The next call is the next that SIP hears of.
        propose(&scene, HIGHEST)?;
        scene.sip.wait_called()?.refuse(404, &[])?;
        scene.alice.wait_said("reject", HIGHEST)?;
        scene
            .sip
            .expect_none("INVITE", |message| message.method() == Some("INVITE"))?;
        scene
            .alice
            .expect_none("second answer", |stanza| stanza.xml.contains(LOWEST))?;
        scene.close()
    })
}

/// The client ends the old session in favour of a new one before that has come.
#[test]
fn a_call_goes_on_in_the_session_it_is_said_to_go_on_in() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench)?;
        let (mut dialog, old) = scene.connect()?;
        let moved = format!(
            "<reason xmlns='urn:xmpp:jingle:1'><expired/></reason><migrated to='{LOWEST}'/>"
        );
        scene.alice.say(&scene.carol(), "finish", &old, &moved)?;
        scene.alice.end(&old, "expired")?;
        propose(&scene, LOWEST)?;
        let proceed = scene.alice.wait_said("proceed", LOWEST)?;
        scene.alice.begin(proceed.from(), LOWEST)?;
        scene.alice.wait_connected(LOWEST)?;
        scene.sound.forget();
        scene.both_hear(&scene.alice, LOWEST)?;
        scene.hang_up(&mut dialog, &scene.alice, LOWEST)?;
        scene.close()
    })
}

fn propose(scene: &Scene, id: &str) -> Result<()> {
    let media = "<description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/>";
    scene.alice.say(&scene.contact(), "propose", id, media)
}

fn is_tie_break(said: &Stanza, word: &str) -> bool {
    let broken = said
        .child(word)
        .is_some_and(|word| word.child("tie-break").is_some());
    broken && reason_of(said, word).as_deref() == Some("expired")
}

const LOWEST: &str = "00000000-0000-4000-8000-000000000000";
const HIGHEST: &str = "ffffffff-ffff-4fff-bfff-ffffffffffff";
