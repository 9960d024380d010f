//! Calls over IPv6: SIP, its sound and the client's, or only those of one leg.

use anyhow::{Result, ensure};
use integration_tests::rtp::media_address;
use integration_tests::tandem::with_tandem_within;

use crate::scene::{Family, LIMIT, Scene, Wishes};

#[test]
fn both_legs_are_on_the_newer_family() -> Result<()> {
    with_tandem_within(LIMIT, |bench| call_both_ways(bench, Family::SIX))
}

#[test]
fn legs_of_two_families_meet() -> Result<()> {
    with_tandem_within(LIMIT, |bench| call_both_ways(bench, Family::MIXED))
}

fn call_both_ways(bench: &integration_tests::Bench, family: Family) -> Result<()> {
    let wishes = Wishes {
        family,
        ..Wishes::default()
    };
    let scene = Scene::open_with(bench, wishes)?;
    let (mut dialog, sid) = scene.connect()?;
    let media = media_address(&dialog.description);
    ensure!(
        media.is_some_and(|it| it.is_ipv6()),
        "{}",
        dialog.description
    );
    scene.hang_up(&mut dialog, &scene.alice, &sid)?;

    let sid = scene.alice.call(&scene.carol())?;
    let called = scene.sip.wait_called()?;
    let offer = called.offer();
    ensure!(offer.contains("c=IN IP6 "), "{offer}");
    let mut dialog = called.accept(&[], &scene.describe()?)?;
    scene.alice.wait_connected(&sid)?;
    scene.play_to(&offer)?;
    scene.both_hear(&scene.alice, &sid)?;
    scene.hang_up(&mut dialog, &scene.alice, &sid)?;
    scene.close()
}
