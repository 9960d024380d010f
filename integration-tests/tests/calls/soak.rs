//! Many short calls that end in every way: afterwards nothing is open that was not before.
//!
//! `TANDEM_SOAK_CALLS` sets how many.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use integration_tests::audio::Law;
use integration_tests::jingle::Proposal;
use integration_tests::net;
use integration_tests::rtp::Peer;
use integration_tests::tandem::with_tandem_within;

use crate::scene::Scene;

/// A call from its beginning to its end.
type Story = fn(&Scene) -> Result<()>;

const STORIES: &[(&str, Story)] = &[
    ("a client calls and hangs up", client_hangs_up),
    ("a phone calls and hangs up", phone_hangs_up),
    ("a phone is busy", phone_is_busy),
    ("a client gives up", client_gives_up),
    ("a phone gives up", phone_gives_up),
    ("a client declines", client_declines),
    ("an answer does not fit", answer_does_not_fit),
    ("another phone takes over", another_takes_over),
];

#[test]
fn a_soak_of_short_calls_leaves_nothing_behind() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench)?;
        play(&scene, 2 * STORIES.len())?;
        let before = scene.tandem.borrow_mut().settle(None)?;
        play(&scene, calls()?)?;
        let after = scene.tandem.borrow_mut().settle(Some(before))?;
        for (before, after) in before.iter().zip(after) {
            println!("{before:?} became {after:?}");
            let grown = after.memory.saturating_sub(before.memory);
            ensure!(grown < MEMORY, "{before:?} became {after:?}");
        }
        scene.close()
    })
}

fn calls() -> Result<usize> {
    match std::env::var("TANDEM_SOAK_CALLS") {
        Ok(calls) => Ok(calls.parse()?),
        Err(_) => Ok(10 * STORIES.len()),
    }
}

fn play(scene: &Scene, calls: usize) -> Result<()> {
    for (number, (name, story)) in STORIES.iter().cycle().take(calls).enumerate() {
        story(scene).with_context(|| format!("call {number}: {name}"))?;
        scene.sound.forget();
    }
    Ok(())
}

fn client_hangs_up(scene: &Scene) -> Result<()> {
    let sid = scene.alice.call(&scene.carol())?;
    let called = scene.sip.wait_called()?;
    let dialog = called.accept(&[], &scene.describe()?)?;
    scene.alice.wait_connected(&sid)?;
    scene.alice.end(&sid, "success")?;
    dialog.wait_hung_up().map(drop)
}

fn phone_hangs_up(scene: &Scene) -> Result<()> {
    let (mut dialog, proposal) = be_called(scene)?;
    scene.hang_up(&mut dialog, &scene.alice, &proposal.id)
}

fn phone_is_busy(scene: &Scene) -> Result<()> {
    let sid = scene.alice.propose(&scene.contact())?;
    scene.sip.wait_called()?.refuse(486, &[])?;
    scene.alice.wait_said("reject", &sid).map(drop)
}

fn client_gives_up(scene: &Scene) -> Result<()> {
    let sid = scene.alice.call(&scene.carol())?;
    let called = scene.sip.wait_called()?;
    called.reply(180, &[], "")?;
    scene.alice.wait_ringing(&sid)?;
    scene.alice.end(&sid, "cancel")?;
    called.wait_cancelled().map(drop)
}

fn phone_gives_up(scene: &Scene) -> Result<()> {
    let calling = scene.invite("alice", &[], &scene.describe()?)?;
    let proposal = scene.alice.wait_proposal()?;
    calling.cancel(&[])?;
    scene.alice.wait_said("retract", &proposal.id).map(drop)
}

fn client_declines(scene: &Scene) -> Result<()> {
    let calling = scene.invite("alice", &[], &scene.describe()?)?;
    let Proposal { from, id, .. } = scene.alice.wait_proposal()?;
    scene.alice.say(&from, "reject", &id, "")?;
    calling.wait_refused().map(drop)
}

fn answer_does_not_fit(scene: &Scene) -> Result<()> {
    let sid = scene.alice.call(&scene.carol())?;
    let called = scene.sip.wait_called()?;
    let speex = scene.describe()?.replace("PCMA/8000", "speex/8000");
    let dialog = called.accept(&[], &speex.replace("AVP 8 101", "AVP 98"))?;
    dialog.wait_hung_up()?;
    let reason = scene.alice.wait_ended(&sid)?;
    ensure!(reason == "incompatible-parameters", "ended with {reason}");
    Ok(())
}

fn another_takes_over(scene: &Scene) -> Result<()> {
    let (first, proposal) = be_called(scene)?;
    let other = Peer::bind(&format!("{}:0", net::ADDRESS))?;
    let offer = other.describe(Law::A, "sendrecv")?;
    let calling = scene.invite("alice", &[("Replaces", &first.replaces()?)], &offer)?;
    let mut second = calling.wait_accepted("")?;
    first.wait_hung_up()?;
    scene.hang_up(&mut second, &scene.alice, &proposal.id)
}

/// A phone calls, and alice takes the call.
fn be_called(scene: &Scene) -> Result<(integration_tests::sip::Dialog<'_>, Proposal)> {
    let calling = scene.invite("alice", &[], &scene.describe()?)?;
    let proposal = scene.alice.wait_proposal()?;
    scene.alice.take_proposal(&proposal)?;
    Ok((calling.wait_accepted("")?, proposal))
}

/// The long run takes ten minutes.
const LIMIT: Duration = Duration::from_secs(1_200);
/// Bytes by which a process may grow, however many calls there are.
const MEMORY: u64 = 8 * 1024 * 1024;
