//! Reaching the browser: trickling, roles, restarts, certificates and consent.

use std::time::Duration;

use tandem_shared::media::Setup;

use super::codecs::numbered;
use super::world::{ANCHOR, World, address, flow};
use super::*;
use crate::media::{Failure, Leg, Protection};

fn opus() -> tandem_shared::media::Codec {
    numbered("opus")
}

/// A call whose phone talks and whose browser is not connected yet.
fn world() -> World {
    let mut world = World::new(opus(), opus());
    world.connect_phone(Protection::Plain, flow(&opus()));
    world
}

fn is_heard(world: &mut World) -> bool {
    world.phone.tone.forget();
    world.browser.tone.forget();
    world.seconds(2);
    world.phone.tone.is_clean() && world.browser.tone.is_clean()
}

#[test]
fn both_roles() {
    // The side that offers controls, and here begins DTLS when it answers: all four are met.
    for setup in [Setup::Active, Setup::Passive] {
        for controlling in [true, false] {
            let mut world = world();
            let mut peer = world.browser.describe(setup);
            peer.controlling = controlling;
            world.browser.connect(&world.xmpp, setup == Setup::Active);
            let (anchor, flow) = (ANCHOR, Box::new(flow(&opus())));
            let peer = Box::new(peer);
            world.order(Command::ConnectXmpp { anchor, peer, flow });
            world.seconds(3);
            assert!(
                is_heard(&mut world),
                "{setup:?}, controlling: {controlling}"
            );
        }
    }
}

#[test]
fn candidates_may_come_before_and_after_the_description() {
    for (before, named) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut world = world();
        let mut peer = world.browser.describe(Setup::Active);
        let candidates = std::mem::take(&mut peer.candidates);
        let ufrag = named.then(|| peer.ice.ufrag.clone());
        // The browser does not know where we are, so it cannot reach us by itself.
        world.xmpp.candidates.clear();
        world.browser.connect(&world.xmpp, true);
        world.xmpp.candidates.push(world.browser.candidate());
        world.xmpp.candidates[0].port = 5000;
        let anchor = ANCHOR;
        let trickle = Command::Candidates {
            anchor,
            ufrag,
            candidates,
        };
        let flow = Box::new(flow(&opus()));
        let peer = Box::new(peer);
        let connect = Command::ConnectXmpp { anchor, peer, flow };
        let orders = if before {
            [trickle, connect]
        } else {
            [connect, trickle]
        };
        for order in orders {
            world.order(order);
            world.run(Duration::from_millis(200));
        }
        world.seconds(3);
        assert!(is_heard(&mut world), "before: {before}, named: {named}");
    }
}

#[test]
fn candidates_of_another_name_are_not_used() {
    let mut world = world();
    let mut peer = world.browser.describe(Setup::Active);
    let mut candidates = std::mem::take(&mut peer.candidates);
    candidates[0].ip = "192.0.2.99".parse().unwrap();
    let anchor = ANCHOR;
    world.order(Command::Candidates {
        anchor,
        ufrag: Some("other".into()),
        candidates,
    });
    let flow = Box::new(flow(&opus()));
    let peer = Box::new(peer);
    world.order(Command::ConnectXmpp { anchor, peer, flow });
    world.seconds(2);
    assert!(
        world.astray.is_empty(),
        "checked an address of another round"
    );
}

#[test]
fn a_restart_keeps_the_sound_and_finds_the_new_way() {
    let mut world = World::connected(opus(), opus());
    assert!(is_heard(&mut world));
    for asked in [true, false] {
        let events = world.events.len();
        if asked {
            world.order(Command::Restart { anchor: ANCHOR });
            let Some(Event::Restarted { xmpp, .. }) = world.events.pop() else {
                panic!("not restarted");
            };
            assert_ne!(xmpp.ice, world.xmpp.ice);
            assert_eq!(xmpp.candidates[0].generation, 1);
            world.xmpp = *xmpp;
        }
        let before = world.browser.sequences.len();
        world.run(Duration::from_millis(500));
        assert!(world.browser.sequences.len() > before + 20, "sound stopped");
        world.browser.new_credentials();
        world.browser.restart_with(&world.xmpp.clone());
        let (anchor, flow) = (ANCHOR, Box::new(flow(&opus())));
        let peer = Box::new(world.browser.describe(Setup::Active));
        world.order(Command::ConnectXmpp { anchor, peer, flow });
        world.seconds(3);
        let connected = Event::Connected {
            anchor,
            leg: Leg::Xmpp,
        };
        assert!(
            world.events[events..].contains(&connected),
            "asked: {asked}"
        );
        assert_eq!(world.failures(), []);
        assert!(is_heard(&mut world), "asked: {asked}");
        // Checks go on under the new names alone.
        world.seconds(40);
        assert_eq!(world.failures(), []);
    }
    world.release();
}

#[test]
fn another_certificate_than_announced_is_not_connected() {
    for setup in [Setup::Active, Setup::Passive] {
        let mut world = world();
        let mut peer = world.browser.describe(setup);
        peer.dtls.fingerprint = world.xmpp.fingerprint.value.clone();
        world.browser.connect(&world.xmpp, setup == Setup::Active);
        let (anchor, flow) = (ANCHOR, Box::new(flow(&opus())));
        let peer = Box::new(peer);
        world.order(Command::ConnectXmpp { anchor, peer, flow });
        world.seconds(30);
        assert_eq!(world.failures(), [(Leg::Xmpp, Failure::Fingerprint)]);
        assert_eq!(world.release().xmpp.received, 0);
        assert_eq!(world.browser.sequences, [0; 0]);
    }
}

#[test]
fn a_browser_out_of_reach_fails_in_time() {
    let mut world = world();
    world.browser.address = address("192.0.2.77:1");
    world.connect_browser(Setup::Active, flow(&opus()));
    world.browser.address = address("192.0.2.10:40000");
    world.xmpp.candidates.clear();
    world.run(Duration::from_millis(19_900));
    assert_eq!(world.failures(), []);
    world.run(Duration::from_millis(200));
    assert_eq!(world.failures(), [(Leg::Xmpp, Failure::Ice)]);
}

#[test]
fn a_browser_that_went_away_is_noticed() {
    let mut world = World::connected(opus(), opus());
    world.xmpp.candidates.clear();
    world.browser.address = address("192.0.2.10:40001");
    world.seconds(35);
    assert_eq!(world.failures(), [(Leg::Xmpp, Failure::Ice)]);
    world.release();
}
