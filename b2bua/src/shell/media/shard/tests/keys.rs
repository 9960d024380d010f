//! Pressed keys across the call.

use std::time::Duration;

use super::codecs::numbered;
use super::world::{ANCHOR, World, flow};
use super::*;
use crate::media::{Leg, Protection};

fn heard(world: &World) -> Vec<(Leg, char, u128, bool)> {
    let keys = world.events.iter().filter_map(|event| {
        let Event::Dtmf {
            leg,
            key,
            duration,
            relayed,
            ..
        } = event
        else {
            return None;
        };
        Some((*leg, *key, duration.as_millis(), *relayed))
    });
    keys.collect()
}

#[test]
fn keys_of_the_phone_reach_the_browser_by_its_clock() {
    for browser in ["opus", "PCMU"] {
        let mut world = World::connected(numbered(browser), numbered("PCMU"));
        let mut out = Vec::new();
        world.phone.press(126, 5, 4, &mut out);
        for packet in out {
            world.post(packet);
        }
        world.seconds(1);
        assert_eq!(heard(&world), [(Leg::Sip, '5', 80, true)]);
        let keys = &world.browser.keys;
        let unit = if browser == "opus" { 960 } else { 160 };
        let durations: Vec<u16> = keys.iter().map(|(_, key, _)| key.duration / unit).collect();
        assert_eq!(durations, [1, 2, 3, 4, 4, 4, 4]);
        let ends: Vec<bool> = keys.iter().map(|(_, key, _)| key.end).collect();
        assert_eq!(ends, [false, false, false, false, true, true, true]);
        assert!(keys[0].0 && keys[1..].iter().all(|(marker, ..)| !marker));
        assert!(keys.iter().all(|(_, _, timestamp)| *timestamp == keys[0].2));
        let sequences = &world.browser.sequences;
        assert!(
            sequences
                .windows(2)
                .all(|two| two[1].wrapping_sub(two[0]) == 1)
        );
        world.seconds(1);
        assert!(world.browser.tone.is_audible(), "no sound after the key");
    }
}

#[test]
fn keys_of_the_browser_reach_the_phone() {
    for id in [110, 126] {
        let mut world = World::connected(numbered("opus"), numbered("PCMU"));
        let now = world.now;
        world.browser.press(id, 11, 5, now);
        world.seconds(1);
        assert_eq!(heard(&world), [(Leg::Xmpp, '#', 100, true)]);
        let last = world.phone.keys.last().unwrap();
        assert_eq!((last.1.event, last.1.end, last.1.duration), (11, true, 800));
    }
}

#[test]
fn a_key_for_a_leg_without_events_is_only_told() {
    let mut world = World::connected(numbered("opus"), numbered("PCMU"));
    let mut deaf = flow(&numbered("PCMU"));
    deaf.events = None;
    world.connect_phone(Protection::Plain, deaf);
    let now = world.now;
    world.browser.press(110, 1, 5, now);
    world.seconds(1);
    assert_eq!(heard(&world), [(Leg::Xmpp, '1', 100, false)]);
    assert_eq!(world.phone.keys, []);
}

#[test]
fn keys_on_command_are_played_one_after_the_other() {
    let mut world = World::connected(numbered("opus"), numbered("opus"));
    for key in ['1', '*'] {
        world.order(Command::Dtmf {
            anchor: ANCHOR,
            leg: Leg::Sip,
            key,
            duration: Duration::from_millis(100),
        });
    }
    world.seconds(2);
    let keys = &world.phone.keys;
    let events: Vec<u8> = keys.iter().map(|(_, key, _)| key.event).collect();
    assert_eq!(events, [1, 1, 1, 1, 1, 1, 1, 10, 10, 10, 10, 10, 10, 10]);
    assert_eq!(keys[6].1.duration, 4800);
    assert_eq!(keys.iter().filter(|(_, key, _)| key.end).count(), 6);
    // Sound gave way, and no number is missing or sent twice.
    let sequences = &world.phone.sequences;
    assert!(
        sequences
            .windows(2)
            .all(|two| two[1].wrapping_sub(two[0]) == 1)
    );
    assert!(
        world
            .phone
            .timestamps
            .is_sorted_by(|a, b| b.wrapping_sub(*a) < 1 << 31)
    );
    assert_eq!(heard(&world), []);
}
