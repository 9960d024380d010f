use super::*;

const FAR: usize = 8;

/// A call to an address where we play both parties behind a forking proxy.
fn start(offer: Option<&str>) -> (World, Request) {
    let mut world = World::new();
    world.call_to(address(FAR), offer);
    world.run(10);
    let Message::Request(invite) = world.stray.remove(0) else {
        panic!()
    };
    (world, invite)
}

fn response(invite: &Request, status: u16, tag: &str, answer: Option<&str>) -> Response {
    let mut response = Response::to(invite, Status::new(status).unwrap());
    let to = format!("<sip:b@far.example>;tag={tag}");
    response.headers.set(Name::To, &to);
    let contact = format!("<sip:{tag}@192.0.2.9>");
    response.headers.push(Name::Contact, &contact);
    if let Some(answer) = answer {
        body(answer).attach(&mut response.headers, &mut response.body);
    }
    response
}

impl World {
    fn far(&mut self, response: Response) {
        self.inject(address(FAR), 0, &Message::Response(response));
        self.run(6);
    }

    /// Requests sent since the last look: method, tag of the other side and CSeq.
    fn requests(&mut self) -> Vec<String> {
        let show = |message: Message| match message {
            Message::Request(request) => {
                let tag = request.to().unwrap().tag().unwrap_or_default();
                let number = request.cseq().unwrap().number;
                format!("{} {tag} {number}", request.method)
            }
            Message::Response(response) => panic!("{response:?}"),
        };
        self.stray.drain(..).map(show).collect()
    }
}

#[test]
fn the_first_2xx_wins_and_every_other_gets_ack_and_bye() {
    let (mut world, invite) = start(Some("o1"));
    world.far(response(&invite, 180, "x", None));
    world.far(response(&invite, 183, "y", Some("ay")));
    world.far(response(&invite, 200, "y", Some("ay")));
    assert_eq!(
        world.heard(0),
        [
            "progress 180#1",
            "progress 183#2",
            "early ay#2 preview",
            "answered -#2"
        ]
    );
    assert_eq!(world.requests(), ["ACK y 1"]);
    world.far(response(&invite, 200, "x", Some("ax")));
    world.far(response(&invite, 200, "z", Some("az")));
    assert_eq!(
        world.requests(),
        ["ACK x 1", "BYE x 2", "ACK z 1", "BYE z 2"]
    );
    // Copies are acknowledged again, and nobody is left twice.
    for tag in ["x", "y", "z"] {
        world.far(response(&invite, 200, tag, Some("a")));
    }
    assert_eq!(world.requests(), ["ACK x 1", "ACK y 1", "ACK z 1"]);
    assert!(world.heard(0).is_empty());
    world.run(33_000);
    world.stray.clear();
    world.act(0, |session, cx| session.hang_up(Vec::new(), cx));
    world.run(10);
    assert_eq!(world.requests(), ["BYE y 2"]);
    world.finish();
}

/// Somebody who answered second is paid for until the BYE is taken, and that may be asked for
/// a password like anything else.
#[test]
fn who_lost_the_race_and_asks_who_hangs_up_is_told() {
    let credential = crate::sip::digest::Credential {
        user: "u".into(),
        password: "p".into(),
        realm: None,
    };
    let mut world = World::with(|_, _, local| local.credential = Some(credential.clone()));
    world.call_to(address(FAR), Some("o1"));
    world.run(10);
    let Message::Request(invite) = world.stray.remove(0) else {
        panic!()
    };
    world.far(response(&invite, 200, "y", Some("ay")));
    world.far(response(&invite, 200, "x", Some("ax")));
    let Some(Message::Request(bye)) = world.stray.pop() else {
        panic!()
    };
    world.stray.clear();
    let challenge = r#"Digest realm="r", nonce="n", qop="auth""#;
    let asks = Response::to(&bye, Status::UNAUTHORIZED).with(Name::WwwAuthenticate, challenge);
    world.far(asks);
    let Some(Message::Request(again)) = world.stray.pop() else {
        panic!()
    };
    assert!(again.headers.get(Name::Authorization).is_some());
    assert_eq!(again.to().unwrap().tag().as_deref(), Some("x"));
    assert_eq!(again.cseq().unwrap().to_string(), "3 BYE");
    world.far(Response::to(&again, Status::OK));
    world.act(0, |session, cx| session.hang_up(Vec::new(), cx));
    world.run(10);
    assert_eq!(world.requests(), ["BYE y 2"]);
    world.finish();
}

#[test]
fn a_late_200_after_a_cancel_is_ended() {
    let (mut world, invite) = start(Some("o1"));
    world.far(response(&invite, 180, "x", None));
    world.act(0, |session, cx| session.hang_up(Vec::new(), cx));
    world.run(10);
    assert_eq!(world.requests(), ["CANCEL  1"]);
    // What rings now is of no interest.
    world.far(response(&invite, 183, "x", Some("a")));
    for tag in ["x", "y"] {
        world.far(response(&invite, 200, tag, Some("a")));
    }
    assert_eq!(
        world.requests(),
        ["ACK x 1", "BYE x 2", "ACK y 1", "BYE y 2"]
    );
    assert_eq!(world.heard(0), ["progress 180#1", "ended Ours"]);
    world.finish();
}

#[test]
fn reliable_responses_are_acknowledged_in_order_and_per_fork() {
    let (mut world, invite) = start(Some("o1"));
    let reliable = |tag: &str, rseq: u32| {
        response(&invite, 183, tag, Some(tag))
            .with(Name::Require, "100rel")
            .with(Name::RSeq, &rseq.to_string())
    };
    world.far(reliable("x", 500));
    world.far(reliable("x", 500));
    world.far(reliable("x", 502));
    world.far(reliable("y", 1));
    world.far(reliable("x", 501));
    let rack = |message: Message| {
        let Message::Request(request) = message else {
            panic!()
        };
        request.headers.get(Name::RAck).unwrap().to_owned()
    };
    let racks: Vec<_> = world.stray.drain(..).map(rack).collect();
    assert_eq!(racks, ["500 1 INVITE", "1 1 INVITE", "501 1 INVITE"]);
    assert_eq!(
        world.heard(0),
        [
            "progress 183#1",
            "early x#1 reliable",
            "progress 183#2",
            "early y#2 reliable",
            "progress 183#1"
        ]
    );
    world.far(response(&invite, 486, "x", None));
    assert_eq!(world.heard(0), ["refused 486"]);
    world.finish();
}

#[test]
fn a_2xx_without_the_answer_takes_that_of_the_183_or_ends_the_call() {
    for (early, heard) in [(Some("a1"), "answered -#1"), (None, "ended NoDescription")] {
        let (mut world, invite) = start(Some("o1"));
        world.far(response(&invite, 183, "x", early));
        world.far(response(&invite, 200, "x", None));
        assert_eq!(world.heard(0).last().unwrap(), heard);
        world.act(0, |session, cx| session.hang_up(Vec::new(), cx));
        world.finish();
    }
}

#[test]
fn more_forks_than_anybody_needs_do_not_fill_memory() {
    let (mut world, invite) = start(Some("o1"));
    for fork in 0..100 {
        world.far(response(&invite, 183, &format!("t{fork}"), Some("a")));
    }
    let key = world.sides[0].session.unwrap();
    assert_eq!(world.sides[0].sessions.get(key).unwrap().peers.len(), 16);
    for fork in 0..100 {
        world.far(response(&invite, 200, &format!("t{fork}"), Some("a")));
    }
    let session = world.sides[0].sessions.get(key).unwrap();
    assert!(session.acked.len() <= 16);
    world.act(0, |session, cx| session.hang_up(Vec::new(), cx));
    world.finish();
}

#[test]
fn the_2xx_has_the_last_word_on_the_way() {
    let (mut world, invite) = start(Some("o1"));
    let routed = |status, route: &str| {
        response(&invite, status, "x", Some("a")).with(Name::RecordRoute, route)
    };
    world.far(routed(183, "<sip:192.0.2.30;lr>"));
    world.far(routed(200, "<sip:192.0.2.31;lr>, <sip:192.0.2.32;lr>"));
    let Message::Request(ack) = world.stray.remove(0) else {
        panic!()
    };
    let routes: Vec<_> = ack.headers.values(Name::Route).collect();
    assert_eq!(routes, ["<sip:192.0.2.32;lr>", "<sip:192.0.2.31;lr>"]);
    world.act(0, |session, cx| session.hang_up(Vec::new(), cx));
    world.finish();
}

/// An UPDATE of one of the parties behind the proxy.
fn update(invite: &Request, tag: &str, number: u32) -> Message {
    let uri = Uri::parse("sip:p0@192.0.2.1").unwrap();
    let mut update = Request::new(crate::sip::Method::Update, uri);
    let via = format!("SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK{tag}{number}");
    let from = format!("<sip:b@far.example>;tag={tag}");
    let contact = format!("<sip:{tag}@192.0.2.9>");
    for (name, value) in [
        (Name::Via, via.as_str()),
        (Name::From, &from),
        (Name::To, invite.headers.get(Name::From).unwrap()),
        (Name::CallId, invite.call_id()),
        (Name::CSeq, &format!("{number} UPDATE")),
        (Name::Contact, &contact),
    ] {
        update.headers.push(name, value);
    }
    body("u").attach(&mut update.headers, &mut update.body);
    Message::Request(update)
}

#[test]
fn an_offer_of_a_fork_that_lost_the_race_is_withdrawn() {
    let (mut world, invite) = start(Some("o1"));
    for tag in ["x", "y"] {
        let reliable = response(&invite, 183, tag, Some(tag))
            .with(Name::Require, "100rel")
            .with(Name::RSeq, "1");
        world.far(reliable);
    }
    world.inject(address(FAR), 0, &update(&invite, "y", 1));
    world.hear();
    world.far(response(&invite, 200, "x", None));
    assert_eq!(world.heard(0), ["offer withdrawn", "answered -#1"]);
    assert_eq!(world.count("0 487 UPDATE"), 1);
    world.inject(address(FAR), 0, &update(&invite, "x", 1));
    assert_eq!(world.heard(0), ["offer u"]);
    world.reply(0, Err(Status::NOT_ACCEPTABLE_HERE));
    world.reply(0, Err(Status::NOT_ACCEPTABLE_HERE));
    assert_eq!(world.count("0 488 UPDATE"), 1);
    world.act(0, |session, cx| session.hang_up(Vec::new(), cx));
    world.finish();
}

#[test]
fn a_change_made_early_with_a_fork_that_lost_is_made_with_the_winner() {
    let (mut world, invite) = start(Some("o1"));
    let reliable = response(&invite, 183, "x", Some("ax"))
        .with(Name::Require, "100rel")
        .with(Name::Allow, "UPDATE")
        .with(Name::RSeq, "1");
    world.far(reliable);
    world.act(0, |session, cx| session.offer(body("o2"), cx));
    world.run(10);
    assert_eq!(world.requests(), ["PRACK x 2", "UPDATE x 3"]);
    world.far(response(&invite, 200, "y", Some("ay")));
    assert_eq!(world.requests(), ["ACK y 1"]);
    // Nobody answers the UPDATE.
    world.run(33_000);
    assert!(world.requests().contains(&"INVITE y 2".to_owned()));
    assert!(!world.heard(0).iter().any(|line| line.starts_with("ended")));
    world.act(0, |session, cx| session.hang_up(Vec::new(), cx));
    world.finish();
}

/// RFC 3261 §12.1.2: no tag is a tag as well.
#[test]
fn a_2xx_without_tag_is_a_call() {
    let (mut world, invite) = start(Some("o1"));
    let mut accepted = response(&invite, 200, "x", Some("a"));
    accepted.headers.set(Name::To, "<sip:b@far.example>");
    world.far(accepted.clone());
    assert_eq!(world.heard(0), ["answered a#1"]);
    world.far(accepted);
    assert_eq!(world.requests(), ["ACK  1", "ACK  1"]);
    world.act(0, |session, cx| session.hang_up(Vec::new(), cx));
    world.run(10);
    assert_eq!(world.requests(), ["BYE  2"]);
    world.finish();
}

#[test]
fn a_2xx_that_makes_no_dialog_is_a_failure_in_the_end() {
    let (mut world, invite) = start(Some("o1"));
    let mut accepted = response(&invite, 200, "x", Some("a"));
    accepted.headers.remove(Name::To);
    world.far(accepted);
    assert!(world.heard(0).is_empty());
    world.run(33_000);
    assert_eq!(world.heard(0), ["failed Lost"]);
    world.finish();
}
