use super::*;

#[test]
fn the_called_side_asks_on_the_stream_it_was_called_on() {
    let mut world = World::polite();
    world.transport = Transport::Tcp;
    world.call(Some("o1"));
    world.run(50);
    world.act(1, |session, cx| session.offer(body("o2"), cx));
    world.run(50);
    world.reply(0, Ok(body("a2")));
    world.run(50);
    assert_eq!(
        world.log,
        [
            "0 INVITE",
            "1 180 INVITE",
            "1 200 INVITE",
            "0 ACK",
            "1 INVITE",
            "0 200 INVITE",
            "1 ACK"
        ]
    );
    let stream = |way: &Target| way.connection() == Some(ConnectionId(9));
    let ways: Vec<_> = world.ways.iter().map(stream).collect();
    // INVITE and ACK go to the hop of the caller's choice.
    assert_eq!(ways, [false, false, true, true]);
    let Target::Flow { fallback, .. } = &world.ways[2] else {
        panic!()
    };
    assert_eq!(fallback.as_ref().unwrap().host, address(0).into());
    world.act(1, |session, cx| session.hang_up(Vec::new(), cx));
    world.finish();
}

#[test]
fn over_a_stream_nothing_but_the_2xx_is_repeated() {
    let mut world = World::polite();
    world.transport = Transport::Tcp;
    world.swallow = vec![("0 ACK", 3), ("0 BYE", 1)];
    world.call(Some("o1"));
    world.run(10_000);
    assert_eq!((world.count("1 200 INVITE"), world.count("0 ACK")), (4, 4));
    world.act(0, |session, cx| session.hang_up(Vec::new(), cx));
    world.run(40_000);
    assert_eq!(world.count("0 BYE"), 1);
    world.act(1, |session, cx| session.hang_up(Vec::new(), cx));
    world.finish();
}

#[test]
fn a_stream_that_dies_under_our_invite_is_a_failure() {
    let mut world = World::new();
    world.transport = Transport::Tcp;
    world.call_to(address(8), Some("o1"));
    let now = world.now;
    let side = &mut world.sides[0];
    let id = crate::sip::hop::TransmitId(table::tests::first_token(side.session.unwrap()));
    side.endpoint.handle_bound(id, ConnectionId(4));
    side.endpoint
        .handle_closed(ConnectionId(4), crate::sip::hop::NotSent::Closed, &[], now);
    world.settle(0);
    assert_eq!(world.heard(0), ["failed Lost"]);
    world.finish();
}
