//! Two phones of one user ring through their registrar, and either takes the call (C10).

use anyhow::{Result, ensure};
use integration_tests::baresip::{Baresip, Setup as PhoneSetup};
use integration_tests::linphone::Caller;
use integration_tests::tandem::with_tandem_within;

use crate::scene::{LIMIT, Plan, Scene, expect_tones, hang_up};

#[test]
fn of_two_phones_that_ring_one_takes_the_call() -> Result<()> {
    with_tandem_within(LIMIT, |bench| {
        let mut plan = Plan::default();
        plan.registrar.forks = true;
        let scene = Scene::open(bench, plan)?;
        let setup = PhoneSetup {
            user: "erin",
            ..PhoneSetup::default()
        };
        let mut desk = Baresip::start_with(bench, setup)?;
        let mut pocket = Caller::start(bench, "erin", 660)?;
        let alice = &scene.alice;

        let sid = alice.call(&scene.contact("erin", "sip.test"))?;
        desk.wait_incoming()?;
        pocket.wait_request("INVITE")?;
        alice.wait_ringing(&sid)?;
        desk.accept()?;
        pocket.wait_request("CANCEL")?;
        alice.wait_connected(&sid)?;
        desk.wait_established()?;
        expect_tones(alice, &sid, &mut desk)?;
        hang_up(alice, &sid, &mut desk)?;
        scene.wait_report()?;

        let sid = alice.call(&scene.contact("erin", "sip.test"))?;
        desk.wait_incoming()?;
        alice.wait_ringing(&sid)?;
        pocket.accept()?;
        desk.wait_closed()?;
        alice.wait_connected(&sid)?;
        alice.wait_tone(&sid, 660)?;
        pocket.wait_tone(550)?;
        pocket.hang_up()?;
        ensure!(alice.wait_ended(&sid)? == "success");
        scene.wait_report()?;

        // Nobody takes it.
        let sid = alice.call(&scene.contact("erin", "sip.test"))?;
        desk.wait_incoming()?;
        alice.end(&sid, "cancel")?;
        desk.wait_closed()?;
        scene.wait_report()?;
        drop((desk, pocket));
        scene.close()
    })
}
