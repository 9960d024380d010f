//! Many calls and messages over a registered trunk whose registrar begins anew now and then: afterwards
//! nothing is open that was not before.
//!
//! `TANDEM_SOAK_TRUNK_CALLS` and `TANDEM_SOAK_TRUNK_MESSAGES` set how many.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use integration_tests::names::Names;
use integration_tests::provider::{Provider, Setup};
use integration_tests::server::password_of;
use integration_tests::tandem::with_tandem_within;

use crate::scene::{SOUND, Scene, ZONE, account};

#[test]
fn a_soak_over_a_registered_trunk_leaves_nothing_behind() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let _names = Names::start(bench, ZONE)?;
        let mut node = Provider::start(bench, Setup::default())?;
        let password = password_of("tandem");
        let trunk = account("tcp", &password, "register = true\nkeepalive = 5");
        let scene = Scene::open(bench, vec![trunk], "")?;
        node.wait_registered("tandem")?;
        scene.tandem.borrow_mut().b2bua.wait_log("registered")?;
        round(&scene, &node, 8, 40).context("warming up")?;
        let before = scene.tandem.borrow_mut().settle(None)?;
        let (calls, messages) = (
            number("TANDEM_SOAK_TRUNK_CALLS", 300)?,
            number("TANDEM_SOAK_TRUNK_MESSAGES", 2000)?,
        );
        for part in 0..ROUNDS {
            round(&scene, &node, calls / ROUNDS, messages / ROUNDS)
                .with_context(|| format!("round {part}"))?;
            node.process.stop()?;
            node.start_again()?;
            let mark = node.process.mark()?;
            scene.tandem.borrow().ask(&["register", "provider"])?;
            node.process.wait_log_since(mark, "provider-registered")?;
        }
        let after = scene.tandem.borrow_mut().settle(Some(before))?;
        for (before, after) in before.iter().zip(after) {
            println!("{before:?} became {after:?}");
            let grown = after.memory.saturating_sub(before.memory);
            ensure!(grown < MEMORY, "{before:?} became {after:?}");
        }
        scene.close(&[])
    })
}

/// So many calls, of every kind, and messages both ways.
fn round(scene: &Scene, node: &Provider, calls: usize, messages: usize) -> Result<()> {
    for number in 0..calls {
        let kind = KINDS[number % KINDS.len()];
        place(scene, node, kind, number).with_context(|| format!("call {number}: {kind:?}"))?;
        forget(scene)?;
    }
    for burst in 0..messages.div_ceil(2 * BURST) {
        let left = messages - 2 * BURST * burst;
        converse(scene, node, (left / 2).min(BURST))
            .with_context(|| format!("messages {burst}"))?;
        forget(scene)?;
    }
    Ok(())
}

/// What both ends have heard and nobody has asked for, which would be looked through over and over.
fn forget(scene: &Scene) -> Result<()> {
    while scene.network.take(|_| true).is_some() {}
    scene.alice.forget()
}

/// So many messages to the network at once, each to a number of its own, and as many from there.
fn converse(scene: &Scene, node: &Provider, count: usize) -> Result<()> {
    // No two are the same: a repeat of one that was written is no new message.
    let text = || format!("m{}", WRITTEN.fetch_add(1, Ordering::Relaxed));
    let texts: Vec<String> = (0..count).map(|_| text()).collect();
    for (number, text) in texts.iter().enumerate() {
        scene.say(&format!("+1555901{number:04}"), text)?;
    }
    for text in &texts {
        scene.network.expect_body(text)?.reply(200, "OK")?;
    }
    (0..count).try_for_each(|_| scene.write_in(node, &text()))
}

fn place(scene: &Scene, node: &Provider, kind: Kind, number: usize) -> Result<()> {
    let alice = &scene.alice;
    if kind == Kind::CameIn {
        let parties = (
            "sip:+15559001@network.test",
            "sip:+15550001000@provider.test",
        );
        let calling = scene.network.call(node.address(), parties, &[], SOUND)?;
        let proposal = alice.wait_proposal()?;
        alice.take_proposal(&proposal)?;
        calling.wait_accepted("")?.hang_up(&[])?;
        return alice.wait_ended(&proposal.id).map(drop);
    }
    let to = scene.contact(&format!("+1555900{:04}", number % 50));
    let sid = alice.call(&format!("{to}/sip"))?;
    let called = scene.network.wait_called()?;
    match kind {
        Kind::CameIn | Kind::Refused => called.refuse(486, &[])?,
        Kind::Cancelled => {
            called.reply(180, &[], "")?;
            alice.wait_ringing(&sid)?;
            alice.end(&sid, "cancel")?;
            return called.wait_cancelled().map(drop);
        }
        Kind::EndedByUser => {
            let dialog = called.accept(&[], SOUND)?;
            alice.wait_accepted(&sid)?;
            alice.end(&sid, "success")?;
            return dialog.wait_hung_up().map(drop);
        }
        Kind::EndedByNetwork => {
            let mut dialog = called.accept(&[], SOUND)?;
            alice.wait_accepted(&sid)?;
            dialog.hang_up(&[])?;
        }
    }
    alice.wait_ended(&sid).map(drop)
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Refused,
    Cancelled,
    EndedByUser,
    EndedByNetwork,
    CameIn,
}

const KINDS: [Kind; 5] = [
    Kind::Refused,
    Kind::Cancelled,
    Kind::EndedByUser,
    Kind::EndedByNetwork,
    Kind::CameIn,
];

fn number(variable: &str, usual: usize) -> Result<usize> {
    match std::env::var(variable) {
        Ok(text) => Ok(text.parse()?),
        Err(_) => Ok(usual),
    }
}

static WRITTEN: AtomicUsize = AtomicUsize::new(0);
/// How often the registrar begins anew.
const ROUNDS: usize = 4;
/// What a process may hold more afterwards, in bytes: tables that grew keep their room.
const MEMORY: u64 = 24 * 1024 * 1024;
/// Messages under way at once.
const BURST: usize = 25;
/// A long soak takes its time.
const LIMIT: Duration = Duration::from_secs(4 * 3600);
