use super::*;

#[test]
fn without_an_offer_in_the_invite_it_comes_in_the_2xx_and_the_answer_in_the_ack() {
    let mut world = World::new();
    world.call(None);
    world.run(20);
    world.act(1, |session, cx| session.answer(Some(body("o1")), cx));
    world.run(1000);
    assert_eq!(world.heard(0), ["answered -#1", "offer o1"]);
    // No ACK before our side has its answer; the 2xx is repeated meanwhile.
    assert_eq!(world.count("0 ACK"), 0);
    assert_eq!(world.count("1 200 INVITE"), 2);
    world.reply(0, Ok(body("a1")));
    world.run(100);
    assert_eq!(world.heard(1), ["invited -", "established", "answer a1"]);
    world.act(0, |session, cx| session.hang_up(Vec::new(), cx));
    world.finish();
}

#[test]
fn an_offer_our_side_does_not_take_is_acknowledged_and_the_call_ended() {
    let mut world = World::new();
    world.call(None);
    world.run(20);
    world.act(1, |session, cx| session.answer(Some(body("o1")), cx));
    world.run(20);
    world.reply(0, Err(Status::NOT_ACCEPTABLE_HERE));
    world.run(100);
    assert_eq!(world.heard(0), ["answered -#1", "offer o1", "ended Ours"]);
    let heard = world.heard(1);
    assert_eq!(&heard[..2], ["invited -", "established"]);
    assert!(heard[2].starts_with("ended"), "{heard:?}");
    // Without the answer in the ACK there is no call.
    assert_eq!((world.count("0 BYE"), world.count("1 BYE")), (1, 1));
    world.finish();
}

#[test]
fn an_offer_in_a_reliable_183_is_answered_in_the_prack() {
    let mut world = World::new();
    world.call(None);
    world.run(20);
    // The caller can: a description that must not be lost is made reliable.
    world.act(1, |session, cx| {
        session.ring(Status::SESSION_PROGRESS, Some(body("o1")), cx);
    });
    world.run(20);
    assert_eq!(world.heard(0), ["progress 183#1", "offer o1"]);
    world.act(1, |session, cx| session.answer(None, cx));
    world.run(20);
    assert_eq!(world.count("1 200 INVITE"), 0);
    world.reply(0, Ok(body("a1")));
    world.run(100);
    assert_eq!(world.heard(1), ["invited -", "answer a1", "established"]);
    assert_eq!(world.heard(0), ["answered -#1"]);
    world.act(1, |session, cx| session.hang_up(Vec::new(), cx));
    world.finish();
}

#[test]
fn hanging_up_while_an_offer_waits_still_acknowledges() {
    let mut world = World::new();
    world.call(None);
    world.run(20);
    world.act(1, |session, cx| session.answer(Some(body("o1")), cx));
    world.run(20);
    world.act(0, |session, cx| session.hang_up(Vec::new(), cx));
    world.run(100);
    let ours: Vec<_> = world
        .log
        .iter()
        .filter(|line| line.starts_with('0'))
        .collect();
    assert_eq!(ours[..3], ["0 INVITE", "0 ACK", "0 BYE"]);
    world.finish();
}

#[test]
fn a_hold_back_reinvite_without_an_offer_asks_for_one() {
    let mut world = World::up();
    // As a peer does that refreshes by an INVITE without a description.
    world.act(0, |session, cx| {
        session.described = None;
        session.stale = true;
        session.advance(cx);
    });
    world.run(20);
    assert_eq!(world.log, ["0 UPDATE", "1 200 UPDATE"]);
    world.act(0, |session, cx| {
        session.peers[0].updates = false;
        session.stale = true;
        session.advance(cx);
    });
    world.run(20);
    assert_eq!(world.heard(1), ["offer wanted"]);
    world.act(1, |session, cx| session.hang_up(Vec::new(), cx));
    world.finish();
}
