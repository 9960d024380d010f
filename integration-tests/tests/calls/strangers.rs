//! Users who do not have the contact in their roster see it while a call lasts, and no longer (C01, C03).

use anyhow::Result;
use integration_tests::tandem::with_tandem_within;

use crate::scene::{LIMIT, Scene};

#[test]
fn a_stranger_who_calls_sees_the_contact_while_the_call_lasts() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench)?;
        let sid = scene.alice.propose(&scene.contact())?;
        let called = scene.sip.wait_called()?;
        called.reply(180, &[], "")?;
        expect_shown(&scene)?;
        scene.alice.wait_said("ringing", &sid)?;
        let mut dialog = called.accept(&[], &scene.describe()?)?;
        let proceed = scene.alice.wait_said("proceed", &sid)?;
        scene.alice.begin(proceed.from(), &sid)?;
        scene.play_to(&called.offer())?;
        scene.both_hear(&scene.alice, &sid)?;
        scene.hang_up(&mut dialog, &scene.alice, &sid)?;
        expect_hidden(&scene)?;
        scene.close()
    })
}

#[test]
fn a_stranger_who_is_called_sees_the_contact_too() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench)?;
        let calling = scene.invite("alice", &[], &scene.describe()?)?;
        expect_shown(&scene)?;
        let proposal = scene.alice.wait_proposal()?;
        scene
            .alice
            .say(&proposal.from, "reject", &proposal.id, DECLINED)?;
        calling.wait_refused()?;
        expect_hidden(&scene)?;
        scene.close()
    })
}

#[test]
fn a_friend_goes_on_seeing_the_contact() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench)?;
        scene.alice.make_known(&scene.contact())?;
        let calling = scene.invite("alice", &[], &scene.describe()?)?;
        let proposal = scene.alice.wait_proposal()?;
        scene
            .alice
            .say(&proposal.from, "reject", &proposal.id, DECLINED)?;
        calling.wait_refused()?;
        let carol = scene.carol();
        scene.alice.expect_none("farewell", |stanza| {
            stanza.from() == carol && stanza.kind() == "unavailable"
        })?;
        scene.close()
    })
}

fn expect_shown(scene: &Scene) -> Result<()> {
    let carol = scene.carol();
    let shown = scene.alice.expect("the contact's presence", |stanza| {
        stanza.name == "presence" && stanza.from() == carol && stanza.kind().is_empty()
    })?;
    anyhow::ensure!(shown.child("c").is_some(), "{}", shown.xml);
    Ok(())
}

fn expect_hidden(scene: &Scene) -> Result<()> {
    let carol = scene.carol();
    let hidden = scene.alice.expect("the contact's farewell", |stanza| {
        stanza.from() == carol && stanza.kind() == "unavailable"
    });
    hidden.map(drop)
}

const DECLINED: &str = "<reason xmlns='urn:xmpp:jingle:1'><decline/></reason>";
