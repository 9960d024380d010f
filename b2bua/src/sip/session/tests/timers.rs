use super::*;

fn timed(seconds: [u32; 2], min: [u32; 2]) -> World {
    World::up_with(|side, _, local| {
        local.timer = Wish {
            seconds: seconds[side],
            min: min[side],
        };
    })
}

fn finish(mut world: World) {
    world.act(0, |session, cx| session.hang_up(Vec::new(), cx));
    world.finish();
}

fn sent(world: &World, what: &str) -> [usize; 2] {
    [0, 1].map(|side| world.count(&format!("{side} {what}")))
}

#[test]
fn a_session_is_refreshed_by_update_at_half_its_life() {
    let mut world = timed([1800, 1800], [90, 90]);
    world.run(890_000);
    assert!(world.log.is_empty());
    world.run(2_710_000);
    // By one side only, and nobody is told.
    let [a, b] = sent(&world, "UPDATE");
    assert_eq!((a + b, a.min(b)), (4, 0));
    assert_eq!(world.hear(), [Vec::<String>::new(), Vec::new()]);
    finish(world);
}

#[test]
fn a_peer_without_update_is_refreshed_by_the_same_offer_again() {
    let mut world = timed([1800, 1800], [90, 90]);
    for side in 0..2 {
        world.sides[side].manners.takes_offers = true;
        world.act(side, |session, _| session.peers[0].updates = false);
    }
    world.run(1_000_000);
    let [a, b] = sent(&world, "INVITE");
    assert_eq!((a + b, sent(&world, "UPDATE")), (1, [0, 0]));
    let heard = world.hear().concat();
    assert!(
        heard.iter().any(|line| line.ends_with(" again")),
        "{heard:?}"
    );
    finish(world);
}

#[test]
fn a_refresh_repeats_what_was_agreed_last() {
    let mut world = timed([1800, 1800], [90, 90]);
    for side in 0..2 {
        world.sides[side].manners.takes_offers = true;
    }
    // Whoever refreshes, its last word is repeated.
    world.act(0, |session, cx| session.offer(body("o2"), cx));
    world.run(100);
    world.act(1, |session, cx| session.offer(body("o3"), cx));
    world.run(100);
    world.act(0, |session, cx| session.offer(body("o4"), cx));
    world.run(100);
    world.hear();
    for (us, them, last) in [(0, 1, "offer o4"), (1, 0, "offer a")] {
        world.act(us, |session, cx| {
            session.peers[0].updates = false;
            session.stale = true;
            session.advance(cx);
        });
        world.run(100);
        let heard = world.heard(them);
        assert!(heard[0].starts_with(last), "{heard:?}");
        world.hear();
    }
    finish(world);
}

#[test]
fn the_end_comes_a_third_or_32_s_before_the_life_is_over() {
    for (seconds, end) in [(1800, 1768), (90, 60), (96, 64), (97, 65)] {
        let refresh = Refresh {
            seconds,
            ours: true,
        };
        assert_eq!(refresh.gives_up(), Duration::from_secs(end));
    }
}

#[test]
fn a_session_nobody_refreshes_ends_on_both_sides() {
    let mut world = timed([1800, 1800], [90, 90]);
    world.swallow = vec![("0 UPDATE", 10_000), ("1 UPDATE", 10_000)];
    world.run(1_700_000);
    // The side that refreshes knows sooner: its UPDATE has no response.
    let [a, b] = world.hear();
    assert_eq!([a, b].concat().len(), 2);
    world.finish();

    let mut world = timed([0, 1800], [90, 90]);
    world.act(1, |session, cx| {
        let refresh = session.refresh.map(|refresh| Refresh {
            ours: false,
            ..refresh
        });
        session.set_refresh(refresh, cx.now);
    });
    world.run(1_700_000);
    assert!(world.heard(1).is_empty());
    world.act(0, |session, _| session.timers.cancel(&Timer::Refresh));
    world.run(100_000);
    let heard = world.heard(1);
    assert!(
        heard == ["ended Expired"] || heard[0].starts_with("ended Theirs"),
        "{heard:?}"
    );
    world.finish();
}

#[test]
fn a_422_is_obeyed() {
    let mut world = timed([100, 1800], [90, 600]);
    let key = world.sides[0].session.unwrap();
    let session = world.sides[0].sessions.get(key).unwrap();
    assert_eq!(session.refresh.map(|refresh| refresh.seconds), Some(600));
    world.run(310_000);
    let [a, b] = sent(&world, "UPDATE");
    assert_eq!(a + b, 1);
    finish(world);
}

#[test]
fn a_422_to_a_refresh_is_obeyed_too() {
    let mut world = timed([100, 100], [90, 90]);
    let key = world.sides[1].session.unwrap();
    assert!(world.sides[1].sessions.get(key).unwrap().refresh.is_some());
    for side in 0..2 {
        world.act(side, |session, _| session.local.timer.min = 600);
    }
    world.act(1, |session, _| session.local.timer.min = 800);
    world.act(0, |session, cx| {
        session.stale = true;
        session.advance(cx);
    });
    world.run(100);
    assert_eq!(world.count("1 422 UPDATE"), 1);
    assert_eq!(world.count("0 UPDATE"), 2);
    let session = world.sides[1].sessions.get(key).unwrap();
    assert_eq!(session.refresh.map(|refresh| refresh.seconds), Some(800));
    finish(world);
}

#[test]
fn a_peer_that_knows_nothing_of_timers_is_refreshed_by_us() {
    let mut world = World::with(|side, config, local| {
        if side == 0 {
            config.supported.retain(|tag| &**tag != "timer");
        } else {
            local.timer.seconds = 1800;
        }
    });
    world.sides[1].manners.answers = true;
    world.call(Some("o1"));
    world.run(100);
    world.log.clear();
    world.run(1_000_000);
    assert!(world.count("1 UPDATE") + world.count("0 UPDATE") >= 1);
    finish(world);
}
