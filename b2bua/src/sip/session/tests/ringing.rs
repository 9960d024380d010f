use super::*;

/// Both sides: the called one makes every provisional answer reliable.
fn reliable() -> World {
    World::with(|_, _, local| local.reliable = true)
}

fn early(world: &mut World, status: Status, answer: Option<&str>) {
    let answer = answer.map(body);
    world.act(1, |session, cx| session.ring(status, answer, cx));
}

#[test]
fn an_answer_in_a_reliable_183_is_told_once() {
    let mut world = reliable();
    world.call(Some("o1"));
    world.run(20);
    early(&mut world, Status::SESSION_PROGRESS, Some("a1"));
    world.run(100);
    assert_eq!(world.heard(0), ["progress 183#1", "early a1#1 reliable"]);
    world.act(1, |session, cx| session.answer(None, cx));
    world.run(100);
    assert_eq!(world.heard(0), ["answered -#1"]);
    assert_eq!(world.count("0 PRACK"), 1);
    world.act(1, |session, cx| session.hang_up(Vec::new(), cx));
    world.finish();
}

#[test]
fn an_answer_in_an_unreliable_183_is_a_preview_of_the_2xx() {
    for (last, told) in [(None, "answered -#1"), (Some("a2"), "answered a2#1")] {
        let mut world = World::new();
        world.call(Some("o1"));
        world.run(20);
        early(&mut world, Status::SESSION_PROGRESS, Some("a1"));
        early(&mut world, Status::SESSION_PROGRESS, Some("a1"));
        world.run(20);
        assert_eq!(
            world.heard(0),
            ["progress 183#1", "early a1#1 preview", "progress 183#1"]
        );
        world.act(1, |session, cx| session.answer(last.map(body), cx));
        world.run(20);
        assert_eq!(world.heard(0), [told]);
        world.act(0, |session, cx| session.hang_up(Vec::new(), cx));
        world.finish();
    }
}

#[test]
fn no_2xx_before_the_prack_of_a_description() {
    let mut world = reliable();
    world.swallow = vec![("0 PRACK", 1)];
    world.call(Some("o1"));
    world.run(20);
    early(&mut world, Status::SESSION_PROGRESS, Some("a1"));
    world.act(1, |session, cx| session.answer(None, cx));
    world.run(300);
    assert_eq!(world.count("1 200 INVITE"), 0);
    world.run(1000);
    assert_eq!(
        world.heard(0),
        ["progress 183#1", "early a1#1 reliable", "answered -#1"]
    );
    // The copy of the 183 that crossed the second PRACK makes no third.
    assert_eq!((world.count("0 PRACK"), world.count("1 200 PRACK")), (2, 1));
    world.act(0, |session, cx| session.hang_up(Vec::new(), cx));
    world.finish();
}

#[test]
fn reliable_responses_go_out_one_by_one_and_arrive_in_order() {
    let mut world = reliable();
    world.call(Some("o1"));
    world.run(20);
    early(&mut world, Status::RINGING, None);
    early(&mut world, Status::SESSION_PROGRESS, Some("a1"));
    early(&mut world, Status::RINGING, None);
    world.run(100);
    assert_eq!(
        world.heard(0),
        [
            "progress 180#1",
            "progress 183#1",
            "early a1#1 reliable",
            "progress 180#1"
        ]
    );
    assert_eq!(world.count("1 200 PRACK"), 3);
    world.act(0, |session, cx| session.hang_up(Vec::new(), cx));
    world.finish();
}

#[test]
fn a_reliable_response_nobody_acknowledges_fails_the_call() {
    let mut world = reliable();
    world.swallow = vec![("0 PRACK", 1000)];
    world.call(Some("o1"));
    world.run(20);
    early(&mut world, Status::RINGING, None);
    world.run(40_000);
    assert_eq!(world.heard(1), ["invited o1", "ended NoAck"]);
    assert_eq!(world.heard(0), ["progress 180#1", "refused 504"]);
    world.finish();
}

#[test]
fn a_prack_for_nothing_is_refused() {
    let mut world = reliable();
    world.call(Some("o1"));
    world.run(20);
    early(&mut world, Status::RINGING, None);
    world.run(20);
    world.log.clear();
    world.act(0, |session, cx| session.send_prack(Fork(1), 7, None, cx));
    world.run(20);
    assert_eq!(world.log, ["0 PRACK", "1 481 PRACK"]);
    // The right number of another INVITE.
    world.log.clear();
    world.swallow = vec![("0 PRACK", 1)];
    early(&mut world, Status::RINGING, None);
    world.run(20);
    world.act(0, |session, cx| {
        let rseq = session.peers[0].rseq.unwrap();
        session
            .calling
            .as_mut()
            .unwrap()
            .request
            .headers
            .set(Name::CSeq, "9 INVITE");
        session.send_prack(Fork(1), rseq, None, cx);
        session
            .calling
            .as_mut()
            .unwrap()
            .request
            .headers
            .set(Name::CSeq, "1 INVITE");
    });
    world.run(20);
    assert_eq!(
        world.log,
        ["1 180 INVITE", "0 PRACK", "0 PRACK", "1 481 PRACK"]
    );
    world.act(0, |session, cx| session.hang_up(Vec::new(), cx));
    world.finish();
}

#[test]
fn no_other_offer_before_the_prack_of_a_description() {
    let mut world = reliable();
    world.swallow = vec![("0 PRACK", 1)];
    world.call(Some("o1"));
    world.run(20);
    early(&mut world, Status::SESSION_PROGRESS, Some("a1"));
    world.act(1, |session, cx| session.offer(body("o2"), cx));
    world.run(300);
    assert_eq!(world.count("1 UPDATE"), 0);
    world.run(500);
    assert_eq!(world.count("1 UPDATE"), 1);
    assert_eq!(world.heard(0).last().unwrap(), "offer o2");
    world.act(0, |session, cx| session.hang_up(Vec::new(), cx));
    world.finish();
}

#[test]
fn a_call_that_rings_says_so_every_minute() {
    for make in [World::new, reliable] {
        let mut world = make();
        world.call(Some("o1"));
        world.run(20);
        early(&mut world, Status::RINGING, None);
        world.run(179_000);
        assert_eq!(world.count("1 180 INVITE"), 3);
        world.act(1, |session, cx| session.hang_up(Vec::new(), cx));
        world.run(100);
        assert_eq!(world.heard(0).last().unwrap(), "refused 480");
        world.finish();
    }
}
