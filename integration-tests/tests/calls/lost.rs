//! What dies in the middle of a call (C30): a client, the component, the b2bua. Nothing hangs.

use anyhow::{Result, ensure};
use integration_tests::tandem::with_tandem_within;

use crate::scene::{LIMIT, Scene, Wishes};

#[test]
fn a_client_that_dies_ends_its_call() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let wishes = Wishes {
            media: "silence = 4",
            ..Wishes::default()
        };
        let scene = Scene::open_with(bench, wishes)?;
        let (dialog, _) = scene.connect()?;
        scene.clients.kill()?;
        let bye = dialog.wait_hung_up()?;
        ensure!(bye.header("Reason").contains("cause=41"), "{bye}");
        scene.close()
    })
}

#[test]
fn a_component_that_dies_ends_its_calls_and_closes_what_it_opened() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench)?;
        let (dialog, sid) = scene.connect()?;
        let calling = scene.invite("alice", &[], &scene.describe()?)?;
        let proposal = scene.alice.wait_proposal()?;
        scene.tandem.borrow_mut().component.kill_now()?;
        dialog.wait_hung_up()?;
        let refusal = calling.wait_refused()?;
        ensure!(
            matches!(refusal.status(), Some(480 | 500 | 503)),
            "{refusal}"
        );
        scene.tandem.borrow_mut().wait_no_ports()?;
        scene.tandem.borrow_mut().component.start_again()?;
        ensure!(scene.alice.wait_ended(&sid)? == "general-error");
        scene.alice.wait_said("retract", &proposal.id)?;
        scene.close_after_crash()
    })
}

#[test]
fn a_b2bua_that_dies_ends_its_calls_and_the_next_one_is_carried() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let scene = Scene::open(bench)?;
        let (mut dialog, sid) = scene.connect()?;
        scene.tandem.borrow_mut().crash_b2bua()?;
        ensure!(scene.alice.wait_ended(&sid)? == "general-error");
        scene.tandem.borrow_mut().wait_linked()?;
        // The new one knows nothing of the dialog.
        let response = dialog.ask("BYE", &[], ("", ""))?;
        ensure!(response.status() == Some(481), "{response}");
        let (mut next, sid) = scene.connect()?;
        scene.hang_up(&mut next, &scene.alice, &sid)?;
        scene.close_after_crash()
    })
}
