use super::*;

fn hang_up(world: &mut World, side: usize) {
    world.act(side, |session, cx| session.hang_up(Vec::new(), cx));
}

#[test]
fn a_cancel_ends_a_ringing_call_and_says_why() {
    let mut world = World::new();
    world.sides[1].manners.rings = true;
    world.call(Some("o1"));
    world.run(100);
    let elsewhere = Reason::sip(Status::OK).with_text("Call completed elsewhere");
    world.act(0, |session, cx| session.hang_up(vec![elsewhere], cx));
    world.run(100);
    assert_eq!(world.heard(0), ["progress 180#1", "ended Ours"]);
    assert_eq!(
        world.heard(1),
        [
            "invited o1",
            "ended Cancelled SIP;cause=200;text=\"Call completed elsewhere\""
        ]
    );
    world.finish();
}

#[test]
fn a_cancel_before_any_response_waits_for_one() {
    let mut world = World::new();
    world.call(Some("o1"));
    hang_up(&mut world, 0);
    world.run(150);
    assert_eq!(world.log, ["0 INVITE"]);
    world.run(200);
    assert_eq!(world.heard(0), ["ended Ours"]);
    assert_eq!(world.heard(1), ["invited o1", "ended Cancelled"]);
    world.finish();
}

#[test]
fn a_200_that_crosses_the_cancel_is_acknowledged_and_ended() {
    let mut world = World::new();
    world.sides[1].manners.rings = true;
    world.call(Some("o1"));
    world.run(100);
    hang_up(&mut world, 0);
    world.act(1, |session, cx| session.answer(Some(body("a1")), cx));
    world.run(100);
    assert_eq!(world.heard(0), ["progress 180#1", "ended Ours"]);
    assert_eq!(
        world.heard(1),
        ["invited o1", "established", "ended Theirs"]
    );
    assert_eq!((world.count("0 ACK"), world.count("0 BYE")), (1, 1));
    world.finish();
}

#[test]
fn hanging_up_before_the_ack_waits_for_it() {
    for lost in [0, 1, 1000] {
        let mut world = World::polite();
        world.swallow = vec![("0 ACK", lost)];
        world.call(Some("o1"));
        world.run(7);
        hang_up(&mut world, 1);
        assert_eq!(world.count("1 BYE"), 0, "lost {lost}");
        world.run(40_000);
        assert_eq!(world.count("1 BYE"), 1, "lost {lost}");
        assert_eq!(world.heard(1), ["invited o1", "ended Ours"]);
        world.finish();
    }
}

#[test]
fn an_ack_that_never_comes_ends_the_call_after_32_s() {
    let mut world = World::polite();
    world.swallow = vec![("0 ACK", 1000)];
    world.call(Some("o1"));
    world.run(31_900);
    assert_eq!(world.heard(1), ["invited o1"]);
    assert_eq!(world.count("1 200 INVITE"), 11);
    assert_eq!(world.count("0 ACK"), 11);
    world.run(1000);
    assert_eq!(world.heard(1), ["ended NoAck"]);
    assert_eq!(
        world.heard(0).last().unwrap(),
        "ended Theirs SIP;cause=408;text=\"No ACK\""
    );
    world.finish();
}

#[test]
fn both_hang_up_at_once() {
    let mut world = World::up();
    hang_up(&mut world, 0);
    hang_up(&mut world, 1);
    world.run(100);
    assert_eq!(world.hear(), [["ended Ours"], ["ended Ours"]]);
    assert_eq!((world.count("0 200 BYE"), world.count("1 200 BYE")), (1, 1));
    world.finish();
}

#[test]
fn a_bye_nobody_answers_ends_the_call_all_the_same() {
    let mut world = World::up();
    world.swallow = vec![("0 BYE", 1000)];
    hang_up(&mut world, 0);
    assert_eq!(world.heard(0), ["ended Ours"]);
    world.run(33_000);
    hang_up(&mut world, 1);
    world.run(100);
    // The other side's BYE meets a dialog that is gone.
    assert_eq!(world.count("0 481 BYE"), 1);
    world.finish();
}

#[test]
fn what_waits_for_our_side_is_answered_when_the_call_ends() {
    let mut world = World::up();
    world.act(0, |session, cx| session.offer(body("o2"), cx));
    world.run(20);
    hang_up(&mut world, 0);
    world.run(100);
    assert_eq!(world.heard(1), ["offer o2", "ended Theirs"]);
    assert_eq!(world.count("1 487 INVITE"), 1);
    world.finish();
}

#[test]
fn a_caller_may_end_an_early_dialog_by_bye() {
    let mut world = World::new();
    world.sides[1].manners.rings = true;
    world.call(Some("o1"));
    world.run(100);
    world.act(0, |session, cx| session.send_bye(cx));
    world.run(100);
    assert_eq!(world.heard(1), ["invited o1", "ended Theirs"]);
    assert_eq!(world.heard(0), ["progress 180#1", "refused 487"]);
    world.finish();
}

#[test]
fn requests_outside_any_call_get_481() {
    let mut world = World::up();
    let text = "BYE sip:b@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx\r\n\
        From: <sip:a@a>;tag=1\r\nTo: <sip:b@b>;tag=2\r\nCall-ID: c\r\nCSeq: 1 BYE\r\n\r\n";
    let bye = parse::parse(text.as_bytes(), Framing::Datagram).unwrap();
    world.inject(address(8), 1, &bye);
    assert_eq!(world.log, ["1 481 BYE"]);
    // The right call, but not its other side.
    let key = world.sides[1].session.unwrap();
    let (call_id, tag) = world.sides[1].sessions.get(key).unwrap().names();
    let text = text.replace("Call-ID: c", &format!("Call-ID: {call_id}"));
    let text = text
        .replace("tag=2", &format!("tag={tag}"))
        .replace("Kx", "Ky");
    let bye = parse::parse(text.as_bytes(), Framing::Datagram).unwrap();
    world.inject(address(8), 1, &bye);
    assert_eq!(world.log, ["1 481 BYE", "1 481 BYE"]);
    hang_up(&mut world, 0);
    world.finish();
}
