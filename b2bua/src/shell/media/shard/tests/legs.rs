//! Protection, hold, silence, reports and changing sources.

use std::time::Duration;

use tandem_shared::media::{Direction, Setup};

use super::codecs::numbered;
use super::world::{World, flow};
use super::*;
use crate::media::{Failure, Leg, Protection};

fn heard_cleanly(world: &mut World) {
    world.phone.tone.forget();
    world.browser.tone.forget();
    world.seconds(2);
    assert!(world.phone.tone.is_clean(), "not to the phone");
    assert!(world.browser.tone.is_clean(), "not to the browser");
}

#[test]
fn a_phone_with_keys_in_its_description() {
    for suite in Suite::OFFERED {
        let mut world = World::new(numbered("opus"), numbered("PCMA"));
        let local = world.sip.clone();
        let protection = world.phone.with_keys(&local, suite.name());
        world.connect_browser(Setup::Passive, flow(&numbered("opus")));
        world.connect_phone(protection.clone(), flow(&numbered("PCMA")));
        world.seconds(1);
        heard_cleanly(&mut world);
        // A description that changes nothing does not begin the keys anew: the phone's numbers have
        // wrapped, and only who counted that can read on.
        world.seconds(10);
        world.connect_phone(protection, flow(&numbered("PCMA")));
        heard_cleanly(&mut world);
        world.seconds(3);
        assert!(!world.phone.reports.is_empty(), "no report under {suite:?}");
        assert_eq!(world.release().sip.dropped, 0);
    }
}

#[test]
fn a_phone_with_dtls_in_either_role() {
    for active in [true, false] {
        let mut world = World::new(numbered("PCMU"), numbered("PCMU"));
        let local = world.sip.clone();
        let protection = world.phone.with_dtls(&local, active);
        world.connect_browser(Setup::Active, flow(&numbered("PCMU")));
        world.connect_phone(protection, flow(&numbered("PCMU")));
        world.seconds(2);
        assert_eq!(world.failures(), []);
        heard_cleanly(&mut world);
        world.release();
    }
}

#[test]
fn a_phone_with_another_certificate_is_not_connected() {
    let mut world = World::new(numbered("PCMU"), numbered("PCMU"));
    let local = world.sip.clone();
    let mut protection = world.phone.with_dtls(&local, true);
    if let Protection::Dtls { fingerprint, .. } = &mut protection {
        *fingerprint = local.fingerprint;
    }
    world.connect_phone(protection, flow(&numbered("PCMU")));
    world.seconds(3);
    assert_eq!(world.failures(), [(Leg::Sip, Failure::Fingerprint)]);
    assert_eq!(world.release().sip.received, 0);
}

#[test]
fn a_key_that_fits_no_suite_fails() {
    let mut world = World::new(numbered("PCMU"), numbered("PCMU"));
    let mut theirs = world.sip.keys[0].clone();
    let ours = theirs.clone();
    theirs.bytes.pop();
    world.connect_phone(Protection::Sdes { ours, theirs }, flow(&numbered("PCMU")));
    assert_eq!(world.failures(), [(Leg::Sip, Failure::Dtls)]);
}

#[test]
fn directions_are_kept() {
    let mut world = World::connected(numbered("opus"), numbered("PCMU"));
    let mut held = flow(&numbered("PCMU"));
    held.direction = Direction::Receive;
    world.connect_phone(Protection::Plain, held);
    let sent = world.phone.sequences.len();
    world.seconds(1);
    assert!(
        world.phone.sequences.len() <= sent + 2,
        "played to a leg that only sends"
    );
    let heard = world.browser.sequences.len();
    let mut mute = flow(&numbered("PCMU"));
    mute.direction = Direction::Send;
    world.connect_phone(Protection::Plain, mute);
    world.seconds(1);
    assert!(
        world.browser.sequences.len() <= heard + 2,
        "heard a leg that only listens"
    );
    assert!(world.phone.sequences.len() > sent + 40);
    world.connect_phone(Protection::Plain, flow(&numbered("PCMU")));
    heard_cleanly(&mut world);
}

#[test]
fn numbers_go_on_when_the_source_changes() {
    for phone in ["opus", "PCMA"] {
        let mut world = World::connected(numbered("opus"), numbered(phone));
        for _ in 0..3 {
            world.seconds(1);
            world.phone.change_source();
        }
        world.seconds(1);
        let (sequences, stamps) = (&world.browser.sequences, &world.browser.timestamps);
        for two in sequences.windows(2) {
            assert_eq!(two[1].wrapping_sub(two[0]), 1, "a break in the numbers");
        }
        for two in stamps.windows(2) {
            let step = two[1].wrapping_sub(two[0]);
            assert!((480..=2880).contains(&step), "time jumps by {step}");
        }
        world.release();
    }
}

#[test]
fn silence_is_told_once_and_later_on_hold() {
    let mut world = World::connected(numbered("PCMU"), numbered("PCMU"));
    world.phone.talks = false;
    world.seconds(58);
    assert_eq!(world.failures(), []);
    world.seconds(4);
    assert_eq!(world.failures(), [(Leg::Sip, Failure::Silent)]);
    world.seconds(30);
    assert_eq!(world.failures().len(), 1);

    let mut world = World::connected(numbered("PCMU"), numbered("PCMU"));
    world.phone.talks = false;
    let mut held = flow(&numbered("PCMU"));
    held.direction = Direction::Send;
    world.connect_phone(Protection::Plain, held);
    world.seconds(100);
    assert_eq!(world.failures(), []);
}

#[test]
fn reports_tell_the_round_trip_and_keep_a_leg_alive() {
    let mut world = World::connected(numbered("PCMU"), numbered("PCMU"));
    world.seconds(20);
    assert!((2..=9).contains(&world.phone.reports.len()));
    let trip = world.release().xmpp.round_trip.unwrap();
    // The network takes 5 ms each way, and both ends look at the clock each millisecond.
    assert!((8..20).contains(&trip.as_millis()), "{trip:?}");
    // Farewell.
    world.run(Duration::from_millis(20));
    assert_eq!(world.phone.reports.last().unwrap()[..2], [0x81, 200]);
    assert!(
        world
            .phone
            .reports
            .last()
            .unwrap()
            .ends_with(&world.sip.ssrc.to_be_bytes())
    );
}
