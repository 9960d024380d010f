use super::*;

#[test]
fn spoilt_packets_end_nothing_twice_and_leave_nothing_behind() {
    for seed in 0..150 {
        let mut world = World::polite();
        world.sides[0].manners.takes_offers = true;
        world.faults = Faults {
            seed: seed + 1,
            lost: 5,
            doubled: 10,
            jitter: 100,
            spoilt: 30,
        };
        for side in &mut world.sides {
            side.local.reliable = seed.is_multiple_of(2);
            side.local.timer.seconds = 1800;
        }
        world.call(if seed.is_multiple_of(3) {
            None
        } else {
            Some("o1")
        });
        for round in 0..10 {
            world.run(1000);
            for side in 0..2 {
                let text = format!("o{round}");
                if world.sides[side].session.is_some() {
                    world.act(side, |session, cx| session.offer(body(&text), cx));
                }
            }
        }
        world.faults.spoilt = 0;
        for side in 0..2 {
            // Whatever the wire made of it: every session ends when its owner says so.
            while let Some(key) = world.sides[side].sessions.any() {
                world.sides[side].session = Some(key);
                world.act(side, |session, cx| session.hang_up(Vec::new(), cx));
                world.run(100_000);
            }
        }
        world.finish();
    }
}

#[test]
fn requests_of_every_kind_are_answered_at_every_moment() {
    use crate::sip::Method;
    let methods = [
        Method::Invite,
        Method::Bye,
        Method::Prack,
        Method::Update,
        Method::Info,
        Method::Options,
        Method::Refer,
    ];
    for moment in [0, 7, 12, 17, 25, 100] {
        for method in &methods {
            for side in 0..2 {
                for described in [false, true] {
                    let mut world = World::polite();
                    world.sides[0].manners.takes_offers = true;
                    world.call(Some("o1"));
                    world.run(moment);
                    if world.sides[side].session.is_none() {
                        continue;
                    }
                    let mut sent = false;
                    world.act(side, |session, cx| {
                        let Some(peer) = session.peers.first_mut() else {
                            return;
                        };
                        let mut request = peer.dialog.request(method.clone());
                        request.headers.push(Name::Contact, "<sip:x@192.0.2.1>");
                        request.headers.push(Name::RAck, "1 1 INVITE");
                        if described {
                            body("u").attach(&mut request.headers, &mut request.body);
                        }
                        let way = peer.dialog.way(&cx.endpoint.config().admission);
                        let token = session.tokens.next();
                        cx.endpoint.request(token, request, way, cx.now).unwrap();
                        sent = true;
                    });
                    world.run(2000);
                    if sent {
                        let answers = |line: &&String| {
                            let mut words = line.split(' ').skip(1);
                            let status: Option<u16> =
                                words.next().and_then(|word| word.parse().ok());
                            status.is_some_and(|status| status >= 200)
                                && words.next() == Some(method.as_str())
                        };
                        assert!(
                            world.log.iter().any(|line| answers(&line)),
                            "{method} {moment} {side}: {:?}",
                            world.log
                        );
                    }
                    for side in 0..2 {
                        while let Some(key) = world.sides[side].sessions.any() {
                            world.sides[side].session = Some(key);
                            world.act(side, |session, cx| session.hang_up(Vec::new(), cx));
                            world.run(100_000);
                        }
                    }
                    world.finish();
                }
            }
        }
    }
}
