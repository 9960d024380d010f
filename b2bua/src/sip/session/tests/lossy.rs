use super::*;

const BAD: Faults = Faults {
    seed: 0,
    lost: 20,
    doubled: 20,
    jitter: 300,
    spoilt: 0,
};

fn run(seed: u64, lost: u64, scene: impl Fn(&mut World)) -> World {
    let mut world = World::polite();
    world.sides[0].manners.takes_offers = true;
    world.faults = Faults {
        seed: seed.wrapping_mul(7919) + 1,
        lost,
        ..BAD
    };
    for side in &mut world.sides {
        side.local.reliable = seed.is_multiple_of(2);
    }
    scene(&mut world);
    world
}

fn says_end(line: &str) -> bool {
    ["ended", "refused", "failed", "redirected"]
        .iter()
        .any(|word| line.starts_with(word))
}

#[test]
fn a_call_over_a_bad_wire_comes_about_changes_and_ends() {
    for seed in 0..150 {
        let mut world = run(seed, 20, |world| {
            world.call(if seed.is_multiple_of(3) {
                None
            } else {
                Some("o1")
            });
        });
        world.run(30_000);
        let up = |world: &World| {
            (0..2).all(|side| {
                let side = &world.sides[side];
                let session = side.session.and_then(|key| side.sessions.get(key));
                session.is_some_and(|session| session.usage == Usage::Confirmed)
            })
        };
        assert!(
            up(&world),
            "seed {seed}: {:?}\n{:?}",
            world.hear(),
            world.log
        );
        for side in 0..2 {
            world.act(side, |session, cx| session.offer(body("o2"), cx));
        }
        world.run(60_000);
        let heard = world.hear();
        for (side, lines) in heard.iter().enumerate() {
            let answers = lines.iter().filter(|line| line.starts_with("answer a"));
            // The late offer of the call itself is answered in the same words.
            let more = usize::from(side == 1 && seed.is_multiple_of(3));
            assert_eq!(
                answers.count(),
                1 + more,
                "seed {seed}: {heard:?}\n{:?}",
                world.log
            );
        }
        let side = usize::try_from(seed % 2).unwrap();
        world.act(side, |session, cx| session.hang_up(Vec::new(), cx));
        world.run(70_000);
        for lines in world.hear() {
            let ends = lines.iter().filter(|line| says_end(line)).count();
            assert_eq!(ends, 1, "seed {seed}: {lines:?}");
        }
        world.finish();
    }
}

#[test]
fn a_call_given_up_at_any_moment_ends_once_on_both_sides() {
    for moment in 0..120 {
        for side in 0..2 {
            let seed = moment * 2 + side;
            let mut world = run(seed, 15, |world| world.call(Some("o1")));
            world.run(moment * 13);
            let who = usize::try_from(side).unwrap();
            if world.sides[who].session.is_some() {
                world.act(who, |session, cx| session.hang_up(Vec::new(), cx));
            } else {
                world.act(0, |session, cx| session.hang_up(Vec::new(), cx));
            }
            world.run(200_000);
            for (side, lines) in world.hear().into_iter().enumerate() {
                let invited = side == 0 || !lines.is_empty();
                let ends = lines.iter().filter(|line| says_end(line)).count();
                assert_eq!(
                    ends,
                    usize::from(invited),
                    "moment {moment}, by {who}, side {side}: {lines:?}"
                );
            }
            world.finish();
        }
    }
}

#[test]
fn a_storm_of_changes_from_both_sides_settles() {
    for seed in 0..30 {
        let mut world = run(seed, 5, |world| world.call(Some("o1")));
        world.run(20_000);
        for round in 0..20 {
            for side in 0..2 {
                let text = format!("s{side}r{round}");
                world.act(side, |session, cx| session.offer(body(&text), cx));
            }
            world.run(700);
        }
        world.run(120_000);
        let heard = world.hear();
        for lines in &heard {
            assert!(
                !lines.iter().any(|line| says_end(line)),
                "seed {seed}: {lines:?}"
            );
        }
        // What was wanted last was offered last.
        for (us, them) in [(0, 1), (1, 0)] {
            let mut offers = heard[them]
                .iter()
                .filter(|line| line.starts_with("offer s"));
            let last = offers.next_back().unwrap();
            assert_eq!(*last, format!("offer s{us}r19"), "seed {seed}");
        }
        world.act(1, |session, cx| session.hang_up(Vec::new(), cx));
        world.finish();
    }
}
