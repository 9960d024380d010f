use super::*;
use crate::sip::Method;

fn offer(world: &mut World, side: usize, text: &str) {
    world.act(side, |session, cx| session.offer(body(text), cx));
}

fn finish(mut world: World) {
    world.act(0, |session, cx| session.hang_up(Vec::new(), cx));
    world.finish();
}

#[test]
fn either_side_changes_a_call() {
    let mut world = World::up();
    for (us, them) in [(0, 1), (1, 0)] {
        offer(&mut world, us, "o2");
        world.run(100);
        assert_eq!(world.heard(them), ["offer o2"]);
        world.reply(them, Ok(body("a2")));
        world.run(100);
        assert_eq!(world.heard(us), ["answer a2"]);
    }
    assert_eq!((world.count("0 ACK"), world.count("1 ACK")), (1, 1));
    finish(world);
}

#[test]
fn a_refused_change_leaves_the_call_as_it_was() {
    let mut world = World::up();
    offer(&mut world, 0, "o2");
    world.run(100);
    world.reply(1, Err(Status::NOT_ACCEPTABLE_HERE));
    world.run(100);
    assert_eq!(world.heard(0), ["offer refused 488"]);
    offer(&mut world, 0, "o3");
    world.run(100);
    assert_eq!(world.heard(1), ["offer o2", "offer o3"]);
    world.reply(1, Ok(body("a3")));
    world.run(100);
    assert_eq!(world.heard(0), ["answer a3"]);
    finish(world);
}

#[test]
fn both_offer_at_once_and_both_get_through() {
    let mut world = World::up();
    for side in 0..2 {
        world.sides[side].manners.takes_offers = true;
        offer(&mut world, side, &format!("o{side}"));
    }
    world.run(100);
    assert_eq!(
        (world.count("0 491 INVITE"), world.count("1 491 INVITE")),
        (1, 1)
    );
    assert_eq!(world.hear(), [Vec::<String>::new(), Vec::new()]);
    // Whoever did not begin the call is sooner.
    world.run(2100);
    assert_eq!(world.heard(0), ["offer o1"]);
    assert_eq!(world.heard(1).len(), 1);
    world.run(4100);
    assert_eq!(world.heard(1), ["offer o0"]);
    assert!(world.heard(0)[0].starts_with("answer"));
    finish(world);
}

#[test]
fn an_update_meets_an_open_offer() {
    let send = |world: &mut World| {
        world.act(0, |session, cx| {
            let mut update = session.peers[0].dialog.request(Method::Update);
            body("u").attach(&mut update.headers, &mut update.body);
            let way = session.peers[0].dialog.way(&cx.endpoint.config().admission);
            let token = session.tokens.next();
            cx.endpoint.request(token, update, way, cx.now).unwrap();
        });
    };
    // Both offered.
    let mut world = World::up();
    world.swallow = vec![("1 INVITE", 1)];
    offer(&mut world, 1, "o2");
    send(&mut world);
    world.run(20);
    assert_eq!(world.count("1 491 UPDATE"), 1);
    // They offered before, and our side thinks.
    offer(&mut world, 0, "o3");
    world.run(4000);
    finish(world);
    // The offer of the INVITE itself is not answered yet.
    let mut world = World::new();
    world.sides[1].manners.rings = true;
    world.call(Some("o1"));
    world.run(20);
    send(&mut world);
    world.run(20);
    assert_eq!(world.count("1 500 UPDATE"), 1);
    assert_eq!(world.heard(1), ["invited o1"]);
    finish(world);
}

#[test]
fn a_later_offer_takes_the_place_of_one_that_waits() {
    let mut world = World::up();
    offer(&mut world, 0, "o2");
    offer(&mut world, 0, "o3");
    offer(&mut world, 0, "o4");
    world.run(100);
    world.reply(1, Ok(body("a2")));
    world.run(100);
    world.reply(1, Ok(body("a4")));
    world.run(100);
    assert_eq!(world.heard(1), ["offer o2", "offer o4"]);
    assert_eq!(world.heard(0), ["answer a2", "answer a4"]);
    finish(world);
}

#[test]
fn an_offer_made_while_theirs_waits_comes_after_it() {
    let mut world = World::up();
    offer(&mut world, 0, "o2");
    world.run(100);
    offer(&mut world, 1, "o3");
    world.run(100);
    assert_eq!(world.count("1 INVITE"), 0);
    world.reply(1, Ok(body("a2")));
    world.run(100);
    assert_eq!(world.heard(0), ["answer a2", "offer o3"]);
    world.reply(0, Ok(body("a3")));
    world.run(100);
    finish(world);
}

#[test]
fn an_offer_made_before_the_answer_waits_for_it() {
    let mut world = World::new();
    world.sides[1].manners.rings = true;
    world.call(Some("o1"));
    world.run(100);
    offer(&mut world, 0, "o2");
    world.run(100);
    world.act(1, |session, cx| session.answer(Some(body("a1")), cx));
    world.run(100);
    assert_eq!(world.heard(1), ["invited o1", "established", "offer o2"]);
    finish(world);
}

#[test]
fn what_was_agreed_early_is_changed_by_update() {
    let mut world = World::with(|_, _, local| local.reliable = true);
    world.call(Some("o1"));
    world.run(20);
    world.act(1, |session, cx| {
        session.ring(Status::SESSION_PROGRESS, Some(body("a1")), cx);
    });
    world.run(100);
    for (us, them) in [(0, 1), (1, 0)] {
        world.hear();
        offer(&mut world, us, "o2");
        world.run(20);
        assert_eq!(world.heard(them), ["offer o2"]);
        world.reply(them, Ok(body("a2")));
        world.run(20);
        assert_eq!(world.heard(us), ["answer a2"]);
    }
    assert_eq!((world.count("0 UPDATE"), world.count("1 UPDATE")), (1, 1));
    finish(world);
}

#[test]
fn an_answer_may_overtake_an_early_change() {
    for side in 0..2 {
        let mut world = World::with(|_, _, local| local.reliable = true);
        world.call(Some("o1"));
        world.run(20);
        world.act(1, |session, cx| {
            session.ring(Status::SESSION_PROGRESS, Some(body("a1")), cx);
        });
        world.run(100);
        world.hear();
        world.swallow = vec![("0 UPDATE", 2), ("1 UPDATE", 2)];
        offer(&mut world, side, "o2");
        world.act(1, |session, cx| session.answer(None, cx));
        world.run(200);
        assert_eq!(world.hear(), [["answered -#1"], ["established"]]);
        world.run(2000);
        assert_eq!(world.heard(1 - side), ["offer o2"]);
        world.reply(1 - side, Ok(body("a2")));
        world.run(100);
        assert_eq!(world.heard(side), ["answer a2"]);
        finish(world);
    }
}

#[test]
fn a_second_invite_while_one_waits_is_put_off() {
    let mut world = World::up();
    offer(&mut world, 0, "o2");
    world.run(20);
    // A peer without manners sends the next at once.
    world.act(0, |session, cx| {
        let mut invite = session.peers[0].dialog.request(Method::Invite);
        body("o3").attach(&mut invite.headers, &mut invite.body);
        let way = session.peers[0].dialog.way(&cx.endpoint.config().admission);
        let token = session.tokens.next();
        cx.endpoint.request(token, invite, way, cx.now).unwrap();
    });
    world.run(20);
    assert_eq!(world.count("1 500 INVITE"), 1);
    assert_eq!(world.heard(1), ["offer o2"]);
    world.reply(1, Ok(body("a2")));
    world.run(100);
    assert_eq!(world.heard(0), ["answer a2"]);
    finish(world);
}

#[test]
fn a_change_whose_dialog_is_gone_or_silent_ends_the_call() {
    let mut world = World::up();
    let key = world.sides[1].session.unwrap();
    world.sides[1].sessions = Sessions::default();
    let _ = key;
    offer(&mut world, 0, "o2");
    world.run(100);
    assert_eq!(world.heard(0), ["ended Gone"]);
    world.finish();

    let mut world = World::up();
    world.swallow = vec![("0 INVITE", 1000)];
    offer(&mut world, 0, "o2");
    world.run(33_000);
    assert_eq!(world.heard(0), ["ended Gone"]);
    world.run(100);
    assert_eq!(world.heard(1), ["ended Theirs"]);
    world.finish();
}

#[test]
fn a_lost_ack_of_a_change_is_made_good() {
    let mut world = World::up();
    world.sides[1].manners.takes_offers = true;
    world.swallow = vec![("0 ACK", 2)];
    offer(&mut world, 0, "o2");
    world.run(5000);
    assert_eq!(world.count("0 ACK"), 3);
    assert_eq!(world.heard(0).len(), 1);
    finish(world);
}

#[test]
fn a_new_contact_is_called_from_then_on() {
    let mut world = World::up();
    for side in &mut world.sides {
        side.manners.takes_offers = true;
    }
    let move_to = |world: &mut World, side: usize, contact: &str| {
        world.act(side, |session, _| {
            session.local.contact = NameAddr::parse(contact).unwrap();
        });
    };
    let target = |world: &World, side: usize| {
        let key = world.sides[side].session.unwrap();
        let session = world.sides[side].sessions.get(key).unwrap();
        session.peers[0].dialog.remote_target().to_string()
    };
    // In an INVITE and in its 2xx.
    move_to(&mut world, 0, "<sip:new0@192.0.2.1>");
    move_to(&mut world, 1, "<sip:new1@192.0.2.2>");
    offer(&mut world, 0, "o2");
    world.run(100);
    assert_eq!(target(&world, 1), "sip:new0@192.0.2.1");
    assert_eq!(target(&world, 0), "sip:new1@192.0.2.2");
    // In an UPDATE without a description.
    move_to(&mut world, 1, "<sip:third@192.0.2.2>");
    world.act(1, |session, cx| {
        session.stale = true;
        session.advance(cx);
    });
    world.run(100);
    assert_eq!(target(&world, 0), "sip:third@192.0.2.2");
    finish(world);
}

#[test]
fn a_challenge_within_the_call_is_answered_with_the_next_number() {
    let credential = crate::sip::digest::Credential {
        user: "u".into(),
        password: "p".into(),
        realm: None,
    };
    let mut world = World::up_with(|_, _, local| local.credential = Some(credential.clone()));
    // The other side is a stranger from now on, and we play it.
    let far = address(8);
    world.act(0, |session, _| {
        let dialog = &mut session.peers[0].dialog;
        let mut headers = Headers::new();
        headers.push(Name::Contact, "<sip:b@192.0.2.9>");
        dialog.refresh_target(&headers);
    });
    let challenge = |request: &Request| {
        let text = r#"Digest realm="r", nonce="n", qop="auth""#;
        let response = Response::to(request, Status::UNAUTHORIZED);
        Message::Response(response.with(Name::WwwAuthenticate, text))
    };
    let next = |world: &mut World, method: Method| loop {
        world.run(10);
        let Message::Request(request) = world.stray.remove(0) else {
            panic!()
        };
        if request.method == method {
            return request;
        }
    };
    let mut numbers = Vec::new();
    offer(&mut world, 0, "o2");
    for method in [Method::Invite, Method::Info] {
        if method == Method::Info {
            world.act(0, |session, cx| {
                session.digest = Some(Digest::new(credential.clone()));
                let body = bytes::Bytes::new();
                session.request(Method::Info, &Headers::new(), body, cx);
            });
        }
        let first = next(&mut world, method.clone());
        world.inject(far, 0, &challenge(&first));
        let second = next(&mut world, method.clone());
        assert!(second.headers.get(Name::Authorization).is_some());
        assert_eq!(second.body, first.body);
        numbers.extend([&first, &second].map(|request| request.cseq().unwrap().number));
        let refused = Response::to(&second, Status::FORBIDDEN);
        world.inject(far, 0, &Message::Response(refused));
    }
    assert_eq!(numbers, [2, 3, 4, 5]);
    assert_eq!(world.heard(0), ["offer refused 403", "response 403"]);
    world.stray.clear();
    world.act(0, |session, cx| session.hang_up(Vec::new(), cx));
    world.act(1, |session, cx| session.hang_up(Vec::new(), cx));
    world.finish();
}

#[test]
fn an_info_is_handed_up_and_answered() {
    let mut world = World::up();
    let mut headers = Headers::new();
    headers.push(Name::ContentType, "application/dtmf-relay");
    world.act(0, |session, cx| {
        let text = bytes::Bytes::from_static(b"Signal=5");
        session.request(Method::Info, &headers, text, cx).unwrap();
    });
    world.run(20);
    assert_eq!(world.heard(1), ["request INFO"]);
    assert_eq!(world.heard(0), ["response 200"]);
    // Nobody waits for the answer of one that the end of the call overtook.
    world.act(0, |session, cx| {
        session.request(Method::Info, &headers, bytes::Bytes::new(), cx);
        session.hang_up(Vec::new(), cx);
    });
    world.run(20);
    assert_eq!(world.heard(0), ["ended Ours"]);
    world.finish();
}

#[test]
fn a_cancelled_change_is_withdrawn() {
    let mut world = World::up();
    offer(&mut world, 0, "o2");
    world.run(20);
    // The endpoint wants a provisional response first.
    world.run(300);
    world.act(0, |session, cx| {
        let token = session.change.as_ref().unwrap().token.unwrap();
        cx.endpoint.cancel(token, Headers::new(), cx.now);
    });
    world.run(100);
    assert_eq!(world.heard(1), ["offer o2", "offer withdrawn"]);
    assert_eq!(world.heard(0), ["offer refused 487"]);
    // And nothing of it is in the way of the next.
    offer(&mut world, 0, "o3");
    world.run(20);
    // The answer to what was withdrawn comes too late, and does nothing.
    world.reply(1, Ok(body("late")));
    assert_eq!(world.heard(1), ["offer o3"]);
    world.reply(1, Ok(body("a3")));
    world.run(20);
    assert_eq!(world.heard(0), ["answer a3"]);
    finish(world);
}

#[test]
fn a_call_is_found_by_what_it_is_to_be_replaced_by() {
    let mut world = World::up();
    let key = world.sides[1].session.unwrap();
    let dialog = world.sides[1].sessions.get(key).unwrap().peers[0]
        .dialog
        .clone();
    let ask = |world: &World, from: &str, early: bool| {
        let replaces = Replaces {
            call_id: dialog.call_id().into(),
            to_tag: dialog.local_tag().into(),
            from_tag: from.into(),
            early_only: early,
        };
        let mut invite = Request::new(Method::Invite, Uri::parse("sip:x").unwrap());
        invite.headers.push(Name::Replaces, &replaces.to_string());
        world.sides[1].sessions.replaced_by(&invite)
    };
    let theirs = dialog.remote_tag();
    assert_eq!(ask(&world, theirs, false), Ok(Some(key)));
    assert_eq!(ask(&world, theirs, true), Err(Status::BUSY_HERE));
    assert_eq!(ask(&world, "x", false), Err(Status::NO_SUCH_TRANSACTION));
    world.swallow = vec![("1 BYE", 1)];
    world.act(1, |session, cx| session.hang_up(Vec::new(), cx));
    assert_eq!(ask(&world, theirs, false), Err(Status::DECLINE));
    world.finish();
}
